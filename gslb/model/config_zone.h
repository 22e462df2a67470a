/* gslb/model/config_zone.h
 * The part of the configuration that is about zones: their sources, transfers and keys. Part of struct config
 * (gslb/model/config), immutable. */
#ifndef GSLB_MODEL_CONFIG_ZONE_H
#define GSLB_MODEL_CONFIG_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/prefix.h"
#include "gslb/model/position.h"

enum key_algorithm { KEY_HMAC_SHA1, KEY_HMAC_SHA224, KEY_HMAC_SHA256, KEY_HMAC_SHA384, KEY_HMAC_SHA512 };
const char *key_algorithm_name(enum key_algorithm algorithm);
/* "hmac-sha256": as in TSIG records. */

struct config_key { /* TSIG, RFC 8945 */
  struct config_pos pos;
  const char *name; /* lower case, without the last dot */
  enum key_algorithm algorithm;
  const char *secret; /* base64 */
};

enum zone_balanced { ZONE_BALANCED_OMIT, ZONE_BALANCED_FREEZE };
enum zone_serial { ZONE_SERIAL_FILE, ZONE_SERIAL_UNIXTIME };

#define CONFIG_NO_KEY UINT32_MAX

struct config_zone {
  struct config_pos pos;
  const char *name;       /* lower case, without the last dot; "." for the root */
  const char *file;       /* absolute; of a secondary zone: where its last copy is kept, state/secondary/NAME.zone */
  struct addr *primaries; /* with ports; a secondary zone has at least one */
  size_t primary_count;
  uint32_t primary_key;          /* index into keys, or CONFIG_NO_KEY */
  struct prefix *transfer_allow; /* who may transfer the zone: a client needs one of these and, where keys are named, */
  size_t transfer_allow_count;   /* one of those; with neither nobody may */
  uint32_t *transfer_keys;
  size_t transfer_key_count;
  enum zone_balanced transfer_balanced; /* balanced names in a transfer: left out, or all members' addresses */
  struct addr *notify;                  /* with ports */
  size_t notify_count;
  uint32_t notify_key;
  enum zone_serial serial; /* of the SOA: as in the file, or the time of compilation where that is greater */
  bool has_register;       /* _gslb-register._tcp.<zone> is published; default: one of its services accepts */
  bool has_browse;         /* DNS-SD under the zone; default likewise */
};

#endif
