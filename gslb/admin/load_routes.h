/* gslb/admin/load_routes.h
 * The route of docs/api.md that shows a member's load. Runs on the HTTP server's threads. */
#ifndef GSLB_ADMIN_LOAD_ROUTES_H
#define GSLB_ADMIN_LOAD_ROUTES_H

#include "gslb/admin/visit.h"

void load_routes_get(struct visit *visit);
/* GET /v1/members/{service}/{member}/load */

#endif
