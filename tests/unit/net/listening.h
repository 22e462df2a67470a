/* tests/unit/net/listening.h
 * An HTTP server on a free port of 127.0.0.1 whose handler tells what it was asked, for tests of server and client. */
#ifndef GSLB_TESTS_UNIT_NET_LISTENING_H
#define GSLB_TESTS_UNIT_NET_LISTENING_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/net/http_server.h"

struct listening {
  int fd;
  struct addr addr;
  struct http_server *server;
};

static inline const char *method_name(enum http_method method) {
  static const char *const names[] = {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OTHER"};
  return names[method];
}

/* "PUT /path tls certificate body" */
static inline void tell_request(void *context, struct http_call *call) {
  (void)context;
  static const char *const headers[] = {"ETag", "\"7\"", "Retry-After", "12", NULL};
  char *text = NULL;
  int size = asprintf(&text, "%s %s %s <%s> %s", method_name(call->method), call->path,
                      call->peer.is_tls ? "tls" : "plain", call->peer.certificate, call->body);
  assert(size > 0);
  http_respond(call, &(struct http_response){.status = 200,
                                             .content_type = "text/plain",
                                             .heap_body = text,
                                             .size = (size_t)size,
                                             .headers = headers});
}

static inline void listening_open(struct listening *listening) {
  struct sockaddr_storage sockaddr;
  *listening = (struct listening){0};
  int result = addr_parse("127.0.0.1", &listening->addr);
  socklen_t length = addr_to_sockaddr(&listening->addr, &sockaddr);
  listening->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  result |= bind(listening->fd, (struct sockaddr *)&sockaddr, length);
  result |= listen(listening->fd, 1024);
  result |= getsockname(listening->fd, (struct sockaddr *)&sockaddr, &length);
  assert(result == 0);
  addr_from_sockaddr((struct sockaddr *)&sockaddr, &listening->addr);
}

static inline void listening_close(struct listening *listening) {
  http_server_stop(listening->server);
  close(listening->fd);
}

#endif
