/* gslb/net/caller.h
 * A socket to one server, for a thread that waits: until the server moves, until a time, or until somebody gives up.
 * What exchanges of whole messages need, over datagrams or a stream. Belongs to the thread. */
#ifndef GSLB_NET_CALLER_H
#define GSLB_NET_CALLER_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"

struct caller {
  int fd;           /* -1: closed */
  int cancel;       /* readable: give up; -1: nobody does */
  int64_t end_ms;   /* mono: of everything */
  const char *peer; /* what messages call the server: "the primary" */
};

/* wait_ms: for one wait, within end_ms. STATUS_TIMEOUT: the time is over or it was given up; STATUS_IO: the socket
 * fails; err says which. */
enum status caller_open(struct caller *caller, const struct addr *server, int type, int64_t wait_ms,
                        struct errbuf *err);
/* type: SOCK_DGRAM or SOCK_STREAM. Connects. */
enum status caller_wait(const struct caller *caller, short events, int64_t wait_ms, struct errbuf *err);
/* events of poll. */
enum status caller_send(const struct caller *caller, const void *bytes, size_t size, int64_t wait_ms,
                        struct errbuf *err);
/* All of it. */
enum status caller_receive(const struct caller *caller, void *out, size_t size, int64_t wait_ms, struct errbuf *err);
/* All of it. STATUS_INVALID: the server closed the connection before. */
void caller_close(struct caller *caller);

#endif
