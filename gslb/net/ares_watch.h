/* gslb/net/ares_watch.h
 * Puts the sockets of one c-ares channel on a loop: for gslb/net/resolver and gslb/net/lookup. Belongs to the loop's
 * thread. */
#ifndef GSLB_NET_ARES_WATCH_H
#define GSLB_NET_ARES_WATCH_H

#include "gslb/net/loop.h"

struct ares_watch;

typedef void ares_watch_ready(void *context, int read_fd, int write_fd);
/* For ares_process_fd; ARES_SOCKET_BAD where there is nothing. */

struct ares_watch *ares_watch_new(struct loop *loop, ares_watch_ready *ready, void *context);
void ares_watch_free(struct ares_watch *watch);
/* After the channel was destroyed, and never within ready. NULL is fine. */
void ares_watch_changed(void *watch, int fd, int is_readable, int is_writable);
/* The channel's ares_options.sock_state_cb, with the watch as its data. A socket that cannot be polled is left to the
 * channel's time-out. */

#endif
