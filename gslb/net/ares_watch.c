#include "gslb/net/ares_watch.h"

#include <stdlib.h>

#include <ares.h>

#include "gslb/base/memory.h"

struct watched {
  struct ares_watch *watch;
  struct watched *next;
  struct loop_poll *poll;
  int fd;
};

struct ares_watch {
  struct loop *loop;
  ares_watch_ready *ready;
  void *context;
  struct watched *sockets;
};

struct ares_watch *ares_watch_new(struct loop *loop, ares_watch_ready *ready, void *context) {
  struct ares_watch *watch = mem_alloc(sizeof *watch);
  watch->loop = loop;
  watch->ready = ready;
  watch->context = context;
  return watch;
}

void ares_watch_free(struct ares_watch *watch) {
  if (!watch)
    return;
  while (watch->sockets)
    ares_watch_changed(watch, watch->sockets->fd, 0, 0);
  free(watch);
}

static void socket_ready(void *context, int events) {
  struct watched *at = context;
  struct ares_watch *watch = at->watch;
  int fd = at->fd; /* at may be gone when the channel has read */
  watch->ready(watch->context, events & LOOP_READABLE ? fd : ARES_SOCKET_BAD,
               events & LOOP_WRITABLE ? fd : ARES_SOCKET_BAD);
}

void ares_watch_changed(void *context, int fd, int is_readable, int is_writable) {
  struct ares_watch *watch = context;
  struct watched **link = &watch->sockets;
  while (*link && (*link)->fd != fd)
    link = &(*link)->next;
  struct watched *at = *link;
  if (!is_readable && !is_writable) {
    if (at) {
      *link = at->next;
      loop_poll_free(at->poll);
      free(at);
    }
    return;
  }
  if (!at) {
    at = mem_alloc(sizeof *at);
    *at = (struct watched){.watch = watch, .fd = fd};
    at->poll = loop_poll_new(watch->loop, fd, socket_ready, at);
    if (!at->poll) {
      free(at);
      return;
    }
    at->next = watch->sockets;
    watch->sockets = at;
  }
  loop_poll_watch(at->poll, (is_readable ? LOOP_READABLE : 0) | (is_writable ? LOOP_WRITABLE : 0));
}
