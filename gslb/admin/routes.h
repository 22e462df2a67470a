/* gslb/admin/routes.h
 * The interface of docs/api.md: finds the handler of a path and method, asks gslb/admin/authority whether the caller
 * may, and answers what finds none. Runs on the HTTP server's threads. */
#ifndef GSLB_ADMIN_ROUTES_H
#define GSLB_ADMIN_ROUTES_H

#include "discovery/balancers/balancers.h"
#include "discovery/publish/publish.h"
#include "discovery/registry/registry.h"
#include "discovery/registry/token.h"
#include "gslb/admin/throttle.h"
#include "gslb/admin/view.h"
#include "gslb/admin/watchers.h"
#include "gslb/model/commit.h"
#include "gslb/net/http_server.h"

typedef void routes_reload(void *context, struct http_call *call, const char *who);
/* Answers the call, which is not yet held, in the end. who, for the audit, is borrowed for the call alone. */

struct routes { /* all borrowed while the server runs */
  struct views *views;
  struct committer *committer;
  routes_reload *reload;
  void *reload_context;
  int supervisor; /* takes CHANNEL_MEASURE; -1: none */
  /* Each of these may be NULL: what needs it is answered with 503. */
  struct registry *registry;
  struct tokens *tokens;
  struct balancers *balancers;
  struct publisher *publisher;
  struct watchers *watchers;
  struct throttle *throttle; /* NULL: no limit of changes */
};

void routes_handle(void *routes, struct http_call *call);
/* An http_handle. */

typedef void routes_visit(void *context, const char *method, const char *pattern);
void routes_each(routes_visit *visit, void *context);
/* Every route: "GET", "/v1/members/" and so on, with "*" or "**" for each part that varies. The page's files are none.
 */

#endif
