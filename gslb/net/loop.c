#include "gslb/net/loop.h"

#include <assert.h>
#include <stdlib.h>

#include <uv.h>

#include "gslb/base/memory.h"

struct loop {
  uv_loop_t uv;
};

struct loop_timer {
  uv_timer_t uv;
  loop_fired *fired;
  void *context;
};

struct loop_poll {
  uv_poll_t uv;
  loop_ready *ready;
  void *context;
};

static void must(int result) {
  /* these calls fail only for want of memory or descriptors at start, or when misused */
  if (result != 0)
    abort();
}

static void free_closed(uv_handle_t *handle) {
  free(handle->data);
}

static void close_left(uv_handle_t *handle, void *context) {
  (void)context;
  if (!uv_is_closing(handle))
    uv_close(handle, free_closed);
}

struct loop *loop_new(void) {
  struct loop *loop = mem_alloc(sizeof *loop);
  must(uv_loop_init(&loop->uv));
  return loop;
}

void loop_free(struct loop *loop) {
  if (!loop)
    return;
  uv_walk(&loop->uv, close_left, NULL);
  while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) {
    /* again: a stop that was asked for after the last run ends this one early */
  }
  int closed = uv_loop_close(&loop->uv);
  assert(closed == 0);
  (void)closed;
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

void loop_timer_after(struct loop_timer *timer, int64_t delay_ms) {
  /* libuv counts from its cached time, which is old after a long turn */
  uv_update_time(timer->uv.loop);
  must(uv_timer_start(&timer->uv, timer_fired, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0));
}

void loop_timer_at(struct loop_timer *timer, int64_t due_us) {
  uv_update_time(timer->uv.loop);
  int64_t delay_ms = due_us / 1000 - (int64_t)uv_now(timer->uv.loop);
  must(uv_timer_start(&timer->uv, timer_fired, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0));
}

void loop_timer_stop(struct loop_timer *timer) {
  uv_timer_stop(&timer->uv);
}

void loop_timer_free(struct loop_timer *timer) {
  if (timer)
    uv_close((uv_handle_t *)&timer->uv, free_closed);
}

struct loop_poll *loop_poll_new(struct loop *loop, int fd, loop_ready *ready, void *context) {
  struct loop_poll *poll = mem_alloc(sizeof *poll);
  poll->ready = ready;
  poll->context = context;
  if (uv_poll_init(&loop->uv, &poll->uv, fd) != 0) {
    free(poll);
    return NULL;
  }
  poll->uv.data = poll;
  return poll;
}

static void poll_ready(uv_poll_t *uv, int status, int events) {
  struct loop_poll *poll = uv->data;
  int seen = (events & UV_READABLE ? LOOP_READABLE : 0) | (events & UV_WRITABLE ? LOOP_WRITABLE : 0);
  if (status < 0)
    seen = LOOP_READABLE | LOOP_WRITABLE;
  poll->ready(poll->context, seen);
}

void loop_poll_watch(struct loop_poll *poll, int events) {
  int wanted = (events & LOOP_READABLE ? UV_READABLE : 0) | (events & LOOP_WRITABLE ? UV_WRITABLE : 0);
  if (wanted)
    must(uv_poll_start(&poll->uv, wanted, poll_ready));
  else
    must(uv_poll_stop(&poll->uv));
}

void loop_poll_free(struct loop_poll *poll) {
  if (poll)
    uv_close((uv_handle_t *)&poll->uv, free_closed);
}
