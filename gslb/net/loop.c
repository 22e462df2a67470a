#include "gslb/net/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <unistd.h>

#include <uv.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"

#define EVENTS_MOST 256 /* taken in one turn; what is left is told in the next */

/* Descriptors are watched by an epoll of our own, which libuv sees as one of its descriptors: its own way costs twice
 * as many system calls for one that lives as long as a probe. */
struct loop {
  uv_loop_t uv;
  uv_prepare_t before_waiting;
  uv_poll_t descriptors;
  int epoll;
  uint64_t turn;
  LIST_HEAD(, loop_poll) polls;
  struct epoll_event events[EVENTS_MOST]; /* at hand; those of a freed poll have none */
  int event_count;
};

struct loop_timer {
  uv_timer_t uv;
  loop_fired *fired;
  void *context;
};

struct loop_poll {
  struct loop *loop;
  int fd;
  uint32_t watched; /* of epoll's events */
  loop_ready *ready;
  void *context;
  LIST_ENTRY(loop_poll) entry;
};

static void must(int result) {
  /* these calls fail only for want of memory or descriptors at start, or when misused */
  if (result != 0)
    abort();
}

static void free_timer(uv_handle_t *handle) {
  free(handle->data);
}

static void close_left(uv_handle_t *handle, void *context) {
  (void)context;
  if (!uv_is_closing(handle))
    uv_close(handle, handle->type == UV_TIMER ? free_timer : NULL);
}

static void wait_is_next(uv_prepare_t *uv) {
  struct loop *loop = uv->loop->data;
  /* its time stood since the turn began, and how long it waits is counted from it */
  uv_update_time(&loop->uv);
  loop->turn++;
}

static void set_watched(struct loop_poll *poll, uint32_t watched) {
  /* by edge it is silent while nothing is watched, although errors are always told */
  struct epoll_event event = {.events = watched ? watched : EPOLLET, .data.ptr = poll};
  poll->watched = watched;
  must(epoll_ctl(poll->loop->epoll, EPOLL_CTL_MOD, poll->fd, &event));
}

static void tell(struct loop_poll *poll, uint32_t events) {
  int seen = (events & EPOLLIN ? LOOP_READABLE : 0) | (events & EPOLLOUT ? LOOP_WRITABLE : 0);
  if (!poll->watched)
    return;
  if (events & EPOLLERR) {
    set_watched(poll, 0);
    seen = LOOP_READABLE | LOOP_WRITABLE;
  } else if (events & EPOLLHUP) {
    seen |= (poll->watched & EPOLLIN ? LOOP_READABLE : 0) | (poll->watched & EPOLLOUT ? LOOP_WRITABLE : 0);
  }
  poll->ready(poll->context, seen);
}

static void descriptors_ready(uv_poll_t *uv, int status, int uv_events) {
  (void)status;
  (void)uv_events;
  struct loop *loop = uv->data;
  loop->event_count = epoll_wait(loop->epoll, loop->events, EVENTS_MOST, 0);
  for (int i = 0; i < loop->event_count; i++)
    if (loop->events[i].data.ptr)
      tell(loop->events[i].data.ptr, loop->events[i].events);
  loop->event_count = 0;
}

struct loop *loop_new(void) {
  struct loop *loop = mem_alloc(sizeof *loop);
  must(uv_loop_init(&loop->uv));
  loop->uv.data = loop;
  must(uv_prepare_init(&loop->uv, &loop->before_waiting));
  must(uv_prepare_start(&loop->before_waiting, wait_is_next));
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  must(loop->epoll < 0);
  must(uv_poll_init(&loop->uv, &loop->descriptors, loop->epoll));
  must(uv_poll_start(&loop->descriptors, UV_READABLE, descriptors_ready));
  loop->descriptors.data = loop;
  return loop;
}

void loop_free(struct loop *loop) {
  if (!loop)
    return;
  while (!LIST_EMPTY(&loop->polls))
    loop_poll_free(LIST_FIRST(&loop->polls));
  uv_walk(&loop->uv, close_left, NULL);
  while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) {
    /* again: a stop that was asked for after the last run ends this one early */
  }
  int closed = uv_loop_close(&loop->uv);
  assert(closed == 0);
  (void)closed;
  close(loop->epoll);
  free(loop);
}

void loop_run(struct loop *loop) {
  uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop) {
  uv_stop(&loop->uv);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fired *fired, void *context) {
  struct loop_timer *timer = mem_alloc(sizeof *timer);
  timer->fired = fired;
  timer->context = context;
  must(uv_timer_init(&loop->uv, &timer->uv));
  timer->uv.data = timer;
  return timer;
}

static void timer_fired(uv_timer_t *uv) {
  struct loop_timer *timer = uv->data;
  timer->fired(timer->context);
}

static void start_timer(struct loop_timer *timer, int64_t due_ms) {
  /* libuv's time stands until all timers have fired that were due: were it moved on here, those that come due meanwhile
   * would fire in the same turn, and with enough of them descriptors would never be looked at */
  int64_t delay_ms = due_ms - (int64_t)uv_now(timer->uv.loop);
  must(uv_timer_start(&timer->uv, timer_fired, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0));
}

void loop_timer_after(struct loop_timer *timer, int64_t delay_ms) {
  start_timer(timer, mono_now_ms() + (delay_ms > 0 ? delay_ms : 0));
}

void loop_timer_at(struct loop_timer *timer, int64_t due_us) {
  start_timer(timer, due_us / 1000);
}

void loop_timer_stop(struct loop_timer *timer) {
  uv_timer_stop(&timer->uv);
}

void loop_timer_free(struct loop_timer *timer) {
  if (timer)
    uv_close((uv_handle_t *)&timer->uv, free_timer);
}

struct loop_poll *loop_poll_new(struct loop *loop, int fd, loop_ready *ready, void *context) {
  struct loop_poll *poll = mem_alloc(sizeof *poll);
  struct epoll_event event = {.events = EPOLLET, .data.ptr = poll};
  int on = 1;
  poll->loop = loop;
  poll->fd = fd;
  poll->ready = ready;
  poll->context = context;
  if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    free(poll);
    return NULL;
  }
  ioctl(fd, FIONBIO, &on);
  LIST_INSERT_HEAD(&loop->polls, poll, entry);
  return poll;
}

void loop_poll_watch(struct loop_poll *poll, int events) {
  uint32_t watched = (events & LOOP_READABLE ? EPOLLIN : 0u) | (events & LOOP_WRITABLE ? EPOLLOUT : 0u);
  if (watched != poll->watched)
    set_watched(poll, watched);
}

void loop_poll_free(struct loop_poll *poll) {
  if (!poll)
    return;
  struct loop *loop = poll->loop;
  for (int i = 0; i < loop->event_count; i++)
    if (loop->events[i].data.ptr == poll)
      loop->events[i].data.ptr = NULL;
  epoll_ctl(loop->epoll, EPOLL_CTL_DEL, poll->fd, NULL);
  LIST_REMOVE(poll, entry);
  free(poll);
}

uint64_t loop_turn(const struct loop *loop) {
  return loop->turn;
}
