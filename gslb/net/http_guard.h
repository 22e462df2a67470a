/* gslb/net/http_guard.h
 * Which connections of an HTTP server have to go: those that take too long over a step, and, when there are too many,
 * one that waits for its client, for each that comes: the oldest in the step that most are in. One whose request is
 * handled is never put out for another. So whoever holds thousands of connections, silent, slow or resting, holds them
 * against himself, and a newcomer has time to ask. Going means shutdown(): the owner meets the end at its next read or
 * write, and closes. Knows descriptors and addresses alone. Any thread; now_ms is mono time. */
#ifndef GSLB_NET_HTTP_GUARD_H
#define GSLB_NET_HTTP_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/addr.h"

enum guard_step {
  GUARD_FRESH,     /* connected; no head of a request is complete */
  GUARD_RECEIVING, /* a head came, and the body is on its way */
  GUARD_HANDLED,   /* asked; no answer yet, or a stream */
  GUARD_ANSWERING, /* the answer is being sent */
  GUARD_RESTING,   /* answered; what comes next is another request */
  GUARD_STEPS,
};

struct guard_rules {
  unsigned most;                     /* connections; above it one that waits for its client is put out */
  unsigned per_client;               /* of one IPv4 address or one IPv6 /64; 0: no limit */
  int64_t step_most_ms[GUARD_STEPS]; /* longest time in a step; 0: no limit */
};

struct guard_link {
  struct guard_visitor *next, *previous;
};

struct guard_visitor { /* a connection; memory of its owner, who touches nothing in it */
  int fd;
  struct addr client; /* family 0: none, as on a unix socket; not counted per client */
  enum guard_step step;
  int64_t since_ms;
  bool is_cut;
  struct guard_link by_step, by_client;
};

struct http_guard;

struct http_guard *http_guard_new(const struct guard_rules *rules);
void http_guard_free(struct http_guard *guard);
/* After all visitors left. NULL is fine. */

void http_guard_enter(struct http_guard *guard, struct guard_visitor *visitor, int fd, const struct addr *client,
                      int64_t now_ms);
/* The visitor is FRESH. fd is borrowed until http_guard_leave. It, or another, may be cut at once. */
void http_guard_step(struct http_guard *guard, struct guard_visitor *visitor, enum guard_step step, int64_t now_ms);
void http_guard_cut(struct http_guard *guard, struct guard_visitor *visitor);
void http_guard_leave(struct http_guard *guard, struct guard_visitor *visitor);
/* Before its descriptor is closed. */
void http_guard_tick(struct http_guard *guard, int64_t now_ms);
/* Cuts those that are over their time. */

#endif
