/* gslb/admin/balancer_routes.h
 * This balancer and its peers: who they are, planned absences of this one, and what is published to other DNS servers.
 * Runs on the HTTP server's threads; plans are answered from the committer's. */
#ifndef GSLB_ADMIN_BALANCER_ROUTES_H
#define GSLB_ADMIN_BALANCER_ROUTES_H

#include "gslb/admin/visit.h"
#include "gslb/model/registration.h"

struct json_t;

enum status balancer_routes_parse_leave(const struct json_t *body, int64_t now_ms, struct leave_record *out,
                                        struct json_t **errors);
/* {"at_s","for_s","reason"}; who is left empty. STATUS_RANGE: *errors is a new array of {"pointer","detail"}. */

void balancer_routes_own(struct visit *visit);
void balancer_routes_peers(struct visit *visit);
void balancer_routes_published(struct visit *visit);
void balancer_routes_plan(struct visit *visit);
void balancer_routes_cancel(struct visit *visit);

#endif
