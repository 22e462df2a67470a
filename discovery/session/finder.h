/* discovery/session/finder.h
 * Finds balancers: SRV of _gslb-register._tcp.<domain> with TXT and addresses, ordered by priority and drawn by weight
 * as RFC 2782 says, by DNS or by multicast; or the one that a URL names. Belongs to its loop's thread. */
#ifndef GSLB_DISCOVERY_SESSION_FINDER_H
#define GSLB_DISCOVERY_SESSION_FINDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "discovery/session/session.h"
#include "gslb/base/addr.h"
#include "gslb/base/random.h"
#include "gslb/base/status.h"
#include "gslb/net/loop.h"

#define FINDER_SERVICE "_gslb-register._tcp"
#define FINDER_API_PATH "/v1" /* where a TXT record or a URL names no other */

struct finder_target {
  char host[256];
  struct addr address; /* with the port */
  bool is_tls;
  char path[64]; /* of the API, from the TXT record; "/v1" */
  uint16_t priority, weight;
};

typedef void finder_done(void *context, enum status status, const struct finder_target *targets, size_t count,
                         const char *detail);
/* Best first, one row for each address of each target; all borrowed. STATUS_NODATA: the domain says there is none.
 * STATUS_TIMEOUT, STATUS_IO: nobody answered. STATUS_INVALID: the URL is none. */

struct finder;
struct finder *finder_start(struct loop *loop, const struct session_place *place, struct random *random,
                            int64_t timeout_ms, finder_done *done, void *context);
/* done is called once, from the loop and never within this call, unless cancelled. place is copied. */
void finder_cancel(struct finder *finder);
/* NULL is fine. */

void finder_order(struct finder_target *targets, size_t count, struct random *random);
/* RFC 2782: by priority, among equals drawn by weight one after the other; those of weight 0 have a small chance. */

struct finder_url {
  bool is_tls;
  char host[256];      /* as a Host header writes it: an IPv6 address in brackets */
  struct addr address; /* with the port; family 0: a name, whose addresses must be looked up */
  const char *target;  /* path and query within the text; "" for none */
};
enum status finder_parse_url(const char *text, struct finder_url *out, struct errbuf *err);
/* "http://" or "https://", host, port (80, 443) and path (RFC 3986 section 3); no user, no fragment. STATUS_INVALID. */

#endif
