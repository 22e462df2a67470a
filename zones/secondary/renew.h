/* zones/secondary/renew.h
 * One check of one secondary zone: asks its primaries in turn, and brings what is newer as far as the draft of the
 * copy. Waits for the network; any thread, one a file at a time. */
#ifndef GSLB_ZONES_SECONDARY_RENEW_H
#define GSLB_ZONES_SECONDARY_RENEW_H

#include "gslb/base/clock.h"
#include "zones/secondary/fetch.h"

struct renew { /* all borrowed */
  const char *name;
  struct name zone;
  const char *file; /* of the copy */
  const struct addr *primaries;
  size_t primary_count;
  size_t first; /* the primary to ask first */
  const struct tsig_key *key;
  const struct fetch_limits *limits;
  const struct house *house;
  int cancel; /* as in struct fetch */
  bool has_copy;
  uint32_t serial; /* of the copy */
};

struct renewal {
  size_t primary; /* the one that it is from */
  bool is_changed;
  /* where it is changed: */
  struct soa soa; /* of the draft */
  bool is_difference;
  size_t record_count;
};

enum status renew_zone(const struct renew *renew, struct renewal *out, struct errbuf *err);
/* STATUS_OK: a primary has the version that is held, or *out is changed and the draft, which zones_check_copy has
 * found sound, is the caller's to commit or discard. Anything else: no primary could serve; err tells of the last one.
 */

#endif
