/* gslb/admin/watchers.h
 * Those who wait for what happens: held calls (long polls) that are answered at the first change or when their time is
 * over, and streams of server-sent events. One thread answers all of them. Threads: any may call. */
#ifndef GSLB_ADMIN_WATCHERS_H
#define GSLB_ADMIN_WATCHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "discovery/registry/feed.h"
#include "gslb/base/status.h"
#include "gslb/net/http_server.h"

#define WATCHERS_ALIVE_MS 15000 /* a stream without news says so often that it is there */

struct watchers;

enum status watchers_start(struct feed *feed, struct watchers **out, struct errbuf *err);
/* Borrows feed until watchers_free. */
void watchers_stop(struct watchers *watchers);
/* Answers every held call with what there is, ends every stream and the thread; from then on none is held. Before
 * http_server_stop. NULL is fine. */
void watchers_free(struct watchers *watchers);
/* After http_server_stop. NULL is fine. */

struct feed *watchers_feed(const struct watchers *watchers);

struct watchers_wish {
  struct feed_position since;
  struct feed_filter filter; /* copied */
  int64_t wait_ms;           /* of a held call */
  bool is_stream;
  size_t most; /* waiting calls and streams at once, of all */
};
enum status watchers_hold(struct watchers *watchers, struct http_call *call, const struct watchers_wish *wish);
/* Holds the call, or answers it with a stream; it is this module's from here on. Otherwise it is still the caller's to
 * answer: STATUS_LIMIT: so many wait already; STATUS_IO: it is stopping. */

struct json_t *watchers_page(struct feed_position position, struct json_t *changes);
/* {"position","changes"}, the answer to a long poll; takes the reference. */

#endif
