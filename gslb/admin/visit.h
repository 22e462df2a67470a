/* gslb/admin/visit.h
 * One call on its way through a handler, and what handlers share: reading bodies and arguments, answering with
 * headers. Runs on the HTTP server's threads. */
#ifndef GSLB_ADMIN_VISIT_H
#define GSLB_ADMIN_VISIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "discovery/registry/principal.h"
#include "gslb/admin/routes.h"
#include "gslb/model/commit.h"
#include "gslb/model/records.h"

#define VISIT_PARTS_MOST 2
#define VISIT_PART_SIZE 272
#define VISIT_RETRY_S 1u /* what cannot be done now may be tried again so soon */

struct json_t;

struct visit {
  const struct routes *routes;
  struct http_call *call;
  struct view *view;                             /* borrowed from routes_handle: view_hold it for longer */
  struct principal principal;                    /* who asks; its client is borrowed from the view's configuration */
  char parts[VISIT_PARTS_MOST][VISIT_PART_SIZE]; /* what stood for each "*" or "**" of the pattern */
};

bool visit_is_json(struct visit *visit, bool is_patch);
/* Whether the body is said to be JSON (for a patch also JSON Merge Patch, RFC 7396), or nothing is said of it; answers
 * the call with 415 otherwise. */
bool visit_read(struct visit *visit, bool is_patch, struct json_t **body);
/* The body, a JSON object; a new reference. Answers the call with 400 or 415 where it is none. */

bool visit_number(struct visit *visit, const char *name, int64_t least, int64_t most, int64_t *out);
/* The query's argument; *out stays where it is absent. Answers the call with 400 where it is no number in these
 * bounds. */
bool visit_flag(struct visit *visit, const char *name, bool *out);
/* "1" or "0"; false where it is absent. Answers the call with 400 otherwise. */

void visit_problem(struct http_call *call, unsigned status, const char *code, unsigned retry_after_s,
                   const char *detail);
/* A problem with a word for programs as "code" (NULL: none) and Retry-After (0: none). */
void visit_wrong(struct http_call *call, struct json_t *errors);
/* 422 with what is wrong; takes the reference. */
void visit_queue(struct visit *visit, commit_apply *apply, commit_done *done, void *context);
/* Holds the call and has the committer do it; done answers the call, at once where nothing can be queued. */
void visit_not_stored(struct http_call *call, const struct audit_record *audit, enum status status,
                      const struct errbuf *err);
/* Answers for done: 409 for STATUS_CONFLICT, 404 for STATUS_NOTFOUND, else 503, which is logged. */
bool visit_has(struct visit *visit, const void *part, const char *what);
/* Whether there is such a part; answers the call with 503 where it is NULL. */

void visit_who(const struct principal *principal, char who[64]);
/* For the audit: the user's name, "token app" or "client web". */

#endif
