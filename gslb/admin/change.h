/* gslb/admin/change.h
 * An operator's override of a member: parsed and checked, queued to the committer, answered when it is on the disk.
 * Runs on the HTTP server's threads and the committer's. */
#ifndef GSLB_ADMIN_CHANGE_H
#define GSLB_ADMIN_CHANGE_H

#include "gslb/admin/view.h"
#include "gslb/model/commit.h"
#include "gslb/model/records.h"
#include "gslb/net/http_server.h"

#define CHANGE_FOR_MOST_S (10 * 365 * 86400)

struct json_t;

enum status change_parse(const char *body, size_t size, int64_t now_ms, struct override_record *out,
                         struct json_t **errors, struct errbuf *err);
/* {"state","reason","for_s"} -> kind, why, set_ms, until_ms; who is left empty. STATUS_INVALID: not JSON, as err says.
 * STATUS_RANGE: *errors is a new array of {"pointer","detail"}, one for everything that is wrong. */

void change_who(const struct http_peer *peer, char who[64]);
/* The name of the peer's user, or "uid 1000" where it has none; of one that came over TCP its address. */

void change_override(struct http_call *call, struct view *view, struct committer *committer, struct view_name name);
/* Answers the call: 200 with the member, 400, 422, or 503 when it cannot be stored. view is borrowed for the call. */
void change_clear(struct http_call *call, struct view *view, struct committer *committer, struct view_name name);
/* Answers the call: 204, or 503. */
void change_override_as(struct http_call *call, struct view *view, struct committer *committer, struct view_name name,
                        const char *who);
void change_clear_as(struct http_call *call, struct view *view, struct committer *committer, struct view_name name,
                     const char *who);
/* The same for a caller that is known by another name than change_who gives it: the owner of a token, say. */

#endif
