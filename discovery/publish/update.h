/* discovery/publish/update.h
 * One exchange with another DNS server: a dynamic update (RFC 2136) or a question, signed with TSIG (RFC 8945) where
 * there is a key, over UDP while it fits a datagram, else TCP. Messages are ldns's; the waiting is ours, so that it has
 * an end and can be given up. Any thread; an update belongs to one. */
#ifndef GSLB_DISCOVERY_PUBLISH_UPDATE_H
#define GSLB_DISCOVERY_PUBLISH_UPDATE_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/memory.h"
#include "gslb/base/status.h"
#include "gslb/decide/directory.h"
#include "gslb/model/config.h"
#include "gslb/model/name.h"

struct update_target {
  struct addr server; /* with port */
  struct name zone;
  const struct config_key *key; /* borrowed; NULL: unsigned */
};

struct update_patience {
  int64_t total_ms; /* for the whole exchange */
  int cancel;       /* gives up when this descriptor is readable; -1: never */
};

struct update;

struct update *update_new(const struct update_target *target);
/* Borrows target until update_free. */
void update_free(struct update *update);
/* NULL is fine. */

void update_require_no_set(struct update *update, const struct name *owner, uint16_t type);
/* Prerequisite: no record of the type is there (section 2.4.3). */
void update_delete_set(struct update *update, const struct name *owner, uint16_t type);
/* All records of the type (section 2.5.2). */
void update_delete(struct update *update, const struct directory_record *record);
/* This one alone (section 2.5.4). */
void update_add(struct update *update, const struct directory_record *record);
/* Section 2.5.1. Changes take effect in the order in which they were asked for. */
size_t update_size(const struct update *update);
/* Bytes of what it holds so far, not compressed: an upper bound. A message holds at most 65,535 with its header, zone
 * and signature. */

enum status update_send(struct update *update, const struct update_patience *patience, struct errbuf *err);
/* All of it was done, or nothing. STATUS_CONFLICT: a prerequisite does not hold. STATUS_FORBIDDEN: the server refuses,
 * is not the zone's, or does not take the signature, or its own is wrong. STATUS_TIMEOUT, STATUS_IO. STATUS_INVALID:
 * an answer that makes no sense, or a key that ldns cannot sign with (HMAC-SHA224 and -SHA384). STATUS_LIMIT: too long
 * for a message. */

enum status update_ask(const struct update_target *target, const struct name *owner, uint16_t type,
                       const struct update_patience *patience, struct arena *arena, struct directory *out,
                       struct errbuf *err);
/* The records of that owner and type as the server answers them, in its order; none is no failure. Failures as
 * above. */

#endif
