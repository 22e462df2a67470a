/* gslb/admin/throttle.h
 * How often one address may change something: a token bucket for each IPv4 address or IPv6 /64, in a table of fixed
 * size with a keyed place. Threads: any. */
#ifndef GSLB_ADMIN_THROTTLE_H
#define GSLB_ADMIN_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/addr.h"

#define THROTTLE_WAYS 8u /* buckets that share a place; the one that rested longest makes room */
#define THROTTLE_PLACES 1024u

struct throttle;

struct throttle *throttle_new(void);
void throttle_free(struct throttle *throttle);
/* NULL is fine. */

bool throttle_take(struct throttle *throttle, const struct addr *client, uint32_t per_s, int64_t now_ms);
/* Whether the client may go on, which costs one of its tokens: per_s come back each second, and as many may be saved
 * up. Always, with throttle NULL, per_s 0 or an address without a family. now_ms: mono. */

#endif
