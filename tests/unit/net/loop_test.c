#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "gslb/net/loop.h"

struct scene {
  struct loop *loop;
  struct loop_timer *timer, *other;
  struct loop_poll *poll;
  int fds[2];
  int fired, events;
};

static void stop(void *context) {
  struct scene *scene = context;
  scene->fired++;
  loop_stop(scene->loop);
}

static void timer_fires_once_and_not_before_its_millisecond(void **state) {
  (void)state;
  struct scene scene = {.loop = loop_new()};
  scene.timer = loop_timer_new(scene.loop, stop, &scene);
  int64_t due_us = mono_now_us() + 20000;
  loop_timer_at(scene.timer, due_us);
  loop_run(scene.loop);
  assert_true(mono_now_us() / 1000 >= due_us / 1000);
  assert_int_equal(scene.fired, 1);
  loop_free(scene.loop);
}

static void start_past_its_time_fires_in_the_next_turn(void **state) {
  (void)state;
  struct scene scene = {.loop = loop_new()};
  scene.timer = loop_timer_new(scene.loop, stop, &scene);
  loop_timer_at(scene.timer, 1);
  assert_int_equal(scene.fired, 0);
  loop_run(scene.loop);
  assert_int_equal(scene.fired, 1);
  loop_timer_free(scene.timer);
  loop_free(scene.loop);
}

static void free_both(void *context) {
  struct scene *scene = context;
  scene->fired++;
  loop_timer_free(scene->other);
  loop_timer_free(scene->timer);
  struct loop_timer *end = loop_timer_new(scene->loop, stop, scene);
  loop_timer_after(end, 5);
}

static void freed_timer_is_silent_and_may_free_itself(void **state) {
  (void)state;
  struct scene scene = {.loop = loop_new()};
  scene.timer = loop_timer_new(scene.loop, free_both, &scene);
  scene.other = loop_timer_new(scene.loop, free_both, &scene);
  loop_timer_after(scene.timer, 0);
  loop_timer_after(scene.other, 1);
  loop_run(scene.loop);
  assert_int_equal(scene.fired, 2);
  loop_free(scene.loop);
}

static void ready(void *context, int events) {
  struct scene *scene = context;
  scene->events |= events;
  loop_poll_free(scene->poll);
  close(scene->fds[0]);
  loop_stop(scene->loop);
}

static void poll_tells_what_is_ready(void **state) {
  (void)state;
  struct scene scene = {.loop = loop_new()};
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, scene.fds), 0);
  scene.poll = loop_poll_new(scene.loop, scene.fds[0], ready, &scene);
  loop_poll_watch(scene.poll, LOOP_READABLE);
  assert_int_equal(write(scene.fds[1], "x", 1), 1);
  loop_run(scene.loop);
  assert_int_equal(scene.events, LOOP_READABLE);
  close(scene.fds[1]);
  loop_free(scene.loop);
}

static void file_cannot_be_polled(void **state) {
  (void)state;
  struct scene scene = {.loop = loop_new()};
  char name[] = "/tmp/gslb-loop-XXXXXX";
  int fd = mkstemp(name);
  assert_true(fd >= 0);
  assert_null(loop_poll_new(scene.loop, fd, ready, &scene));
  close(fd);
  unlink(name);
  loop_free(scene.loop);
}

static void again(void *context) {
  struct scene *scene = context;
  loop_timer_after(scene->timer, 0);
}

static void timers_that_are_always_due_do_not_keep_descriptors_waiting(void **state) {
  (void)state;
  struct scene scene = {.loop = loop_new()};
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, scene.fds), 0);
  scene.timer = loop_timer_new(scene.loop, again, &scene);
  loop_timer_after(scene.timer, 0);
  scene.poll = loop_poll_new(scene.loop, scene.fds[0], ready, &scene);
  loop_poll_watch(scene.poll, LOOP_READABLE);
  assert_int_equal(write(scene.fds[1], "x", 1), 1);
  uint64_t turn = loop_turn(scene.loop);
  loop_run(scene.loop);
  assert_int_equal(scene.events, LOOP_READABLE);
  assert_true(loop_turn(scene.loop) > turn);
  close(scene.fds[1]);
  loop_free(scene.loop);
}

struct pair {
  struct loop *loop;
  struct loop_poll *polls[2];
  int fds[2], told;
};

static void free_the_other_too(void *context, int events) {
  struct pair *pair = context;
  (void)events;
  pair->told++;
  for (int i = 0; i < 2; i++) {
    loop_poll_free(pair->polls[i]);
    close(pair->fds[i]);
  }
  loop_stop(pair->loop);
}

static void freed_poll_is_silent_although_it_was_ready(void **state) {
  (void)state;
  struct pair pair = {.loop = loop_new()};
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.fds), 0);
  for (int i = 0; i < 2; i++) {
    pair.polls[i] = loop_poll_new(pair.loop, pair.fds[i], free_the_other_too, &pair);
    loop_poll_watch(pair.polls[i], LOOP_WRITABLE);
  }
  loop_run(pair.loop);
  assert_int_equal(pair.told, 1);
  loop_free(pair.loop);
}

static void see(void *context, int events) {
  struct scene *scene = context;
  scene->fired++;
  scene->events |= events;
}

static void error_is_told_once_until_watched_again(void **state) {
  (void)state;
  struct scene scene = {.loop = loop_new()};
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  close(ends[0]); /* nobody reads: the end to write to is in error */
  scene.poll = loop_poll_new(scene.loop, ends[1], see, &scene);
  scene.timer = loop_timer_new(scene.loop, stop, &scene);
  for (int round = 1; round <= 2; round++) {
    loop_poll_watch(scene.poll, LOOP_READABLE);
    loop_timer_after(scene.timer, 5);
    loop_run(scene.loop);
    assert_int_equal(scene.events, LOOP_READABLE | LOOP_WRITABLE);
    assert_int_equal(scene.fired, 2 * round); /* the poll and the timer */
  }
  loop_poll_free(scene.poll);
  close(ends[1]);
  loop_free(scene.loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(timer_fires_once_and_not_before_its_millisecond),
      cmocka_unit_test(start_past_its_time_fires_in_the_next_turn),
      cmocka_unit_test(freed_timer_is_silent_and_may_free_itself),
      cmocka_unit_test(poll_tells_what_is_ready),
      cmocka_unit_test(file_cannot_be_polled),
      cmocka_unit_test(timers_that_are_always_due_do_not_keep_descriptors_waiting),
      cmocka_unit_test(freed_poll_is_silent_although_it_was_ready),
      cmocka_unit_test(error_is_told_once_until_watched_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
