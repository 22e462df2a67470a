/* gslb/admin/watch_routes.h
 * GET /v1/watch: what happened since a position, at once, as a long poll, or as server-sent events. Those who wait are
 * with gslb/admin/watchers, which control starts and stops. Runs on the HTTP server's threads. */
#ifndef GSLB_ADMIN_WATCH_ROUTES_H
#define GSLB_ADMIN_WATCH_ROUTES_H

#include "gslb/admin/visit.h"

void watch_routes_get(struct visit *visit);

#endif
