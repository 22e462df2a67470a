/* gslb/admin/resource_routes.h
 * /v1/resources: registering, renewing, leaving, looking; and what an operator does to a registration. Changes of the
 * store are answered later, from the registry's threads. Runs on the HTTP server's threads. */
#ifndef GSLB_ADMIN_RESOURCE_ROUTES_H
#define GSLB_ADMIN_RESOURCE_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/admin/visit.h"

void resource_routes_list(struct visit *visit);
void resource_routes_get(struct visit *visit);
void resource_routes_put(struct visit *visit);
void resource_routes_patch(struct visit *visit);
void resource_routes_put_status(struct visit *visit);
void resource_routes_delete(struct visit *visit);
/* By the resource itself, or with ?remove=1 by an operator. */
void resource_routes_allow(struct visit *visit);

bool resource_routes_read_match(const char *header, uint64_t *revision);
/* The revision of an If-Match with one entity tag of ours: "\"3\"" (RFC 9110 section 13.1.1). */
bool resource_routes_knows(const char *header, uint64_t revision);
/* Whether an If-None-Match names this revision, weakly compared, or "*" (section 13.1.2). */

#endif
