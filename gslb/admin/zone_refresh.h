/* gslb/admin/zone_refresh.h
 * An operator wants a secondary zone asked for now. Runs on the HTTP server's threads. */
#ifndef GSLB_ADMIN_ZONE_REFRESH_H
#define GSLB_ADMIN_ZONE_REFRESH_H

#include "gslb/admin/zone_view.h"
#include "gslb/model/commit.h"
#include "gslb/net/http_server.h"

void zone_refresh(struct http_call *call, const struct view *view, struct committer *committer, size_t zone,
                  const char *who);
/* Answers the call: 202 once a primary is to be asked, 503 when nobody keeps the zone. Writes the audit: who asked. */

#endif
