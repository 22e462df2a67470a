/* gslb/admin/routes.h
 * The interface of docs/api.md: finds the handler of a path and method, and answers what finds none. Reads are answered
 * at once from the view; changes are refused over TCP. Runs on the HTTP server's threads. */
#ifndef GSLB_ADMIN_ROUTES_H
#define GSLB_ADMIN_ROUTES_H

#include "gslb/admin/view.h"
#include "gslb/model/commit.h"
#include "gslb/net/http_server.h"

typedef void routes_reload(void *context, struct http_call *call);
/* Answers the call, which is not yet held, in the end. */

struct routes { /* all borrowed while the server runs */
  struct views *views;
  struct committer *committer;
  routes_reload *reload;
  void *reload_context;
};

void routes_handle(void *routes, struct http_call *call);
/* An http_handle. */

#endif
