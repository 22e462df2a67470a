/* gslb/admin/history_routes.h
 * What the history holds of a member: which series there are, or the points of one of them. Runs on the HTTP server's
 * threads; reads the durable store in a transaction of its own. */
#ifndef GSLB_ADMIN_HISTORY_ROUTES_H
#define GSLB_ADMIN_HISTORY_ROUTES_H

#include <stdint.h>

#include "gslb/admin/visit.h"
#include "gslb/base/status.h"

enum status history_routes_parse_time(const char *text, int64_t now_ms, int64_t *out);
/* RFC 3339 in UTC, or seconds from now, such as -3600, as house time. STATUS_INVALID. */

void history_routes_get(struct visit *visit, const struct view_name *name);
/* Answers the call: 200, 400, 404 where there is no such series or none is kept, 409 where several sources have the
 * metric and none was named, 503. */

#endif
