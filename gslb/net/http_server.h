/* gslb/net/http_server.h
 * HTTP/1.1 on a listening descriptor, without routes: whole requests go to one callback, which answers at once or holds
 * the request and lets another thread answer later. The only file pair that knows libmicrohttpd.
 * Threads: the callback runs on the server's own threads, several at once. A call is one request with its answer; it is
 * the server's memory and lives until http_respond was called and its callback has returned. */
#ifndef GSLB_NET_HTTP_SERVER_H
#define GSLB_NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"

#define HTTP_BODY_MOST 65536u /* bytes of a request's body; a larger one is refused with 413 */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_PATCH, HTTP_DELETE, HTTP_OTHER };

struct http_peer {
  bool is_unix;
  uint32_t uid;     /* unix: of the process that connected, told by the kernel */
  int32_t pid;      /* unix */
  struct addr addr; /* TCP */
};

struct http_call {
  enum http_method method;
  const char *path; /* percent-decoded, without the query */
  const char *body; /* NUL-terminated */
  size_t body_size;
  struct http_peer peer;
};

const char *http_call_query(const struct http_call *call, const char *name);
/* Decoded value of a query argument; "" when it has none, NULL when absent. Borrowed from the call. */
const char *http_call_header(const struct http_call *call, const char *name);
/* Value of a request header, NULL when absent; borrowed from the call. */

struct http_response {
  unsigned status;
  const char *content_type; /* NULL without a body; must outlive the call alone, as all that follows */
  char *heap_body;          /* taken over and freed by the server; or else */
  const char *body;         /* borrowed for ever */
  size_t size;
  const char *const *headers; /* name, value, …, NULL; may be NULL */
};

void http_respond(struct http_call *call, const struct http_response *response);
/* Answers, exactly once for each request: within the callback, or after http_hold by any thread. */
void http_hold(struct http_call *call);
/* Within the callback and before another thread learns of the request: it is answered later. */

typedef void http_handle(void *context, struct http_call *call);

struct http_limits {
  unsigned threads;
  unsigned connections; /* at once; further ones wait in the listening queue */
  unsigned idle_s;      /* a connection that is silent for so long is closed; held requests are not */
};

struct http_server;

enum status http_server_start(int fd, const struct http_limits *limits, http_handle *handle, void *context,
                              struct http_server **out, struct errbuf *err);
/* fd listens (TCP or unix) and is borrowed until http_server_stop: it is neither shut down nor closed. */
void http_server_quiesce(struct http_server *server);
/* Accepts no more; what was accepted is served on. NULL is fine. */
void http_server_stop(struct http_server *server);
/* Quiesces, gives requests under way two seconds, and ends the threads. Every held request must have been answered, or
 * be answered by another thread while this waits. NULL is fine. */

#endif
