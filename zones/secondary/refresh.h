/* zones/secondary/refresh.h
 * When a secondary zone is to be checked again and when it expires (RFC 1034 section 4.3.5, RFC 1035 section 3.3.13).
 * Pure: time comes in, in milliseconds of house time. One thread. */
#ifndef GSLB_ZONES_SECONDARY_REFRESH_H
#define GSLB_ZONES_SECONDARY_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

#include "zones/records/content.h"

#define REFRESH_NEVER INT64_MAX
#define REFRESH_LEAST_MS 1000        /* between two checks, NOTIFY or not */
#define REFRESH_UNSET_MS 30000       /* where the SOA record says 0 */
#define REFRESH_ABSENT_MOST_MS 60000 /* between two tries while there is no copy whose SOA record would tell */

struct refresh {
  bool has_copy;
  struct soa soa;       /* of the copy */
  int64_t refreshed_ms; /* the primary was last heard to have this version; 0: never */
  int64_t tried_ms;     /* the last check began; 0: never */
  int64_t next_ms;      /* the next check */
  int64_t expire_ms;    /* REFRESH_NEVER without a copy */
  uint32_t failures;    /* in a row */
};

void refresh_init(struct refresh *refresh);
/* No copy; to be checked at once. */
void refresh_load(struct refresh *refresh, const struct soa *soa, int64_t refreshed_ms, int64_t now_ms);
/* A copy from before: to be checked at once; its expiry counts from refreshed_ms, at most now. */
void refresh_begin(struct refresh *refresh, int64_t now_ms);
/* A check begins. */
void refresh_succeed(struct refresh *refresh, const struct soa *soa, int64_t now_ms, uint32_t jitter);
/* The copy has now the version of soa, and the primary that serial. jitter: a random number, by which zones that were
 * loaded at once are checked apart: up to an eighth earlier. */
void refresh_fail(struct refresh *refresh, int64_t now_ms);
void refresh_hurry(struct refresh *refresh, int64_t now_ms);
/* NOTIFY came (RFC 1996 section 3.11): to be checked as soon as may be. */
bool refresh_has_expired(const struct refresh *refresh, int64_t now_ms);
void refresh_expire(struct refresh *refresh);
/* The copy is gone. */

#endif
