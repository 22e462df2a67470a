/* gslb/admin/token_routes.h
 * /v1/tokens: making, listing and revoking bearer tokens, which an operator alone may. Runs on the HTTP server's
 * threads; what is stored is answered from the committer's. */
#ifndef GSLB_ADMIN_TOKEN_ROUTES_H
#define GSLB_ADMIN_TOKEN_ROUTES_H

#include "gslb/admin/visit.h"
#include "gslb/model/domain.h"
#include "gslb/model/registration.h"

struct json_t;

enum status token_routes_parse(const struct json_t *body, int64_t now_ms, char name[DOMAIN_LABEL_MOST + 1],
                               struct token_record *out, struct json_t **errors);
/* {"name","resources","services","admin","read","for_s"}; hash and who are left empty. STATUS_RANGE: *errors is a new
 * array of {"pointer","detail"}, one for everything that is wrong. */

void token_routes_list(struct visit *visit);
void token_routes_create(struct visit *visit);
void token_routes_delete(struct visit *visit);

#endif
