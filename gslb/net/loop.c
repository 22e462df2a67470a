#include "gslb/net/loop.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <unistd.h>

#include <uv.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"

#define EVENTS_MOST 256 /* taken in one turn; what is left is told in the next */

/* Timers are libuv's. Descriptors are watched by an epoll of our own: libuv's way costs twice as many system calls for
 * one that lives as long as a probe. */
struct loop {
  uv_loop_t uv;
  int epoll;
  bool is_stopped;
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
    uv_close(handle, free_timer);
}

static struct epoll_event event_of(struct loop_poll *poll) {
  /* by edge it is silent while nothing is watched, although errors are always told */
  return (struct epoll_event){.events = poll->watched ? poll->watched : EPOLLET, .data.ptr = poll};
}

static void set_watched(struct loop_poll *poll, uint32_t watched) {
  poll->watched = watched;
  struct epoll_event event = event_of(poll);
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

struct loop *loop_new(void) {
  struct loop *loop = mem_alloc(sizeof *loop);
  must(uv_loop_init(&loop->uv));
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  must(loop->epoll < 0);
  return loop;
}

void loop_free(struct loop *loop) {
  if (!loop)
    return;
  while (!LIST_EMPTY(&loop->polls))
    loop_poll_free(LIST_FIRST(&loop->polls));
  uv_walk(&loop->uv, close_left, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  int closed = uv_loop_close(&loop->uv);
  assert(closed == 0);
  (void)closed;
  close(loop->epoll);
  free(loop);
}

static void look_at_descriptors(struct loop *loop, int timeout_ms) {
  loop->event_count = epoll_wait(loop->epoll, loop->events, EVENTS_MOST, timeout_ms);
  for (int i = 0; i < loop->event_count; i++)
    if (loop->events[i].data.ptr)
      tell(loop->events[i].data.ptr, loop->events[i].events);
  loop->event_count = 0;
}

void loop_run(struct loop *loop) {
  while (!loop->is_stopped) {
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    bool has_timers = uv_loop_alive(&loop->uv);
    if (loop->is_stopped || (!has_timers && LIST_EMPTY(&loop->polls)))
      break;
    loop->turn++;
    uv_update_time(&loop->uv); /* it stood while timers fired, and how long to wait is counted from it */
    look_at_descriptors(loop, has_timers ? uv_backend_timeout(&loop->uv) : -1);
  }
  loop->is_stopped = false;
}

void loop_stop(struct loop *loop) {
  loop->is_stopped = true;
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

static uint32_t epoll_events(int events) {
  return (events & LOOP_READABLE ? EPOLLIN : 0u) | (events & LOOP_WRITABLE ? EPOLLOUT : 0u);
}

struct loop_poll *loop_poll_start(struct loop *loop, int fd, int events, loop_ready *ready, void *context) {
  struct loop_poll *poll = mem_alloc(sizeof *poll);
  *poll =
      (struct loop_poll){.loop = loop, .fd = fd, .watched = epoll_events(events), .ready = ready, .context = context};
  struct epoll_event event = event_of(poll);
  if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    free(poll);
    return NULL;
  }
  LIST_INSERT_HEAD(&loop->polls, poll, entry);
  return poll;
}

struct loop_poll *loop_poll_new(struct loop *loop, int fd, loop_ready *ready, void *context) {
  struct loop_poll *poll = loop_poll_start(loop, fd, 0, ready, context);
  int on = 1;
  if (poll)
    ioctl(fd, FIONBIO, &on);
  return poll;
}

void loop_poll_watch(struct loop_poll *poll, int events) {
  uint32_t watched = epoll_events(events);
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
