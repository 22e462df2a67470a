#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "probes/runner.h"
#include "probes/watch.h"
#include "tests/unit/net/peer.h"

#define MANY 400u

struct scene {
  struct loop *loop;
  struct probe_tools tools;
  struct random random;
  struct runner *runner;
  struct checks checks;
  struct check *made[MANY];
  struct watch watches[MANY];
  size_t count;
  struct config_monitor monitors[MANY];
  struct peer peer;
  _Atomic int64_t running;
  int64_t most;
  enum probe_reason reason; /* of the last result */
  struct check *told[MANY]; /* whose results came, in that order */
  size_t told_count;
  unsigned left;
  bool is_idle;
};

static void took(void *context, struct check *check, const struct probe_result *result) {
  struct scene *scene = context;
  scene->reason = result->reason;
  if (scene->told_count < MANY)
    scene->told[scene->told_count++] = check;
  if (scene->running > scene->most)
    scene->most = scene->running;
  if (scene->left > 0 && --scene->left == 0)
    loop_stop(scene->loop);
}

static bool is_idle(void *context, const struct check *check) {
  (void)check;
  return ((struct scene *)context)->is_idle;
}

static void runner_with(struct scene *scene, size_t room) {
  struct runner_links links = {.tools = &scene->tools,
                               .random = &scene->random,
                               .room = room,
                               .result = took,
                               .is_idle = is_idle,
                               .context = scene,
                               .running = &scene->running};
  scene->runner = runner_new(&links);
}

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->loop = loop_new();
  scene->tools.loop = scene->loop;
  scene->tools.http = http_client_new(scene->loop);
  random_seed(&scene->random, 1);
  peer_open(&scene->peer, scene->loop, SOCK_STREAM, "127.0.0.1");
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  for (size_t i = 0; i < scene->count; i++) {
    runner_stop(scene->runner, scene->made[i]);
    LIST_REMOVE(&scene->watches[i], entry);
    checks_drop(&scene->checks, scene->made[i]);
  }
  assert_int_equal(scene->running, 0);
  runner_free(scene->runner);
  peer_close(&scene->peer);
  http_client_free(scene->tools.http);
  loop_free(scene->loop);
  free(scene);
  return 0;
}

static struct check *plan(struct scene *scene, enum monitor_type type, struct addr address, int64_t interval_ms,
                          int64_t timeout_ms) {
  static struct status_range any = {100, 599};
  size_t at = scene->count++;
  scene->monitors[at] = (struct config_monitor){.type = type,
                                                .interval_ms = interval_ms,
                                                .timeout_ms = timeout_ms,
                                                .idle_factor = 10,
                                                .path = "/",
                                                .query_type = (uint16_t)at,
                                                .body_most = (uint32_t)at,
                                                .expect_status = &any,
                                                .expect_status_count = 1};
  struct probe_target target = {NULL, &scene->monitors[at], "www.example.com", address};
  scene->made[at] = checks_take(&scene->checks, &target);
  LIST_INSERT_HEAD(&scene->made[at]->watches, &scene->watches[at], entry);
  runner_plan(scene->runner, scene->made[at], mono_now_us());
  return scene->made[at];
}

static void no_more_run_at_one_target_than_may(void **state) {
  struct scene *scene = *state;
  runner_with(scene, 1000);
  scene->peer.keeps_open = true;
  for (size_t i = 0; i < 40; i++)
    plan(scene, MONITOR_HTTP, scene->peer.addr, 10000, 30);
  scene->left = 40;
  loop_run(scene->loop);
  assert_true(scene->most < RUNNER_PER_TARGET_MOST + 1);
}

static void what_hangs_leaves_room_for_the_rest(void **state) {
  struct scene *scene = *state;
  runner_with(scene, 4);
  /* a peer for each, since one target alone is bounded already: nobody answers on these ports of loopback */
  struct peer silent[8];
  for (size_t i = 0; i < 8; i++) {
    peer_open(&silent[i], scene->loop, SOCK_STREAM, "127.0.0.1");
    silent[i].keeps_open = true;
    plan(scene, MONITOR_HTTP, silent[i].addr, 80, 70);
  }
  scene->left = 8; /* each has timed out once, and is known to be slow */
  loop_run(scene->loop);
  struct check *quick = plan(scene, MONITOR_TCP, scene->peer.addr, 50, 40);
  scene->left = 24;
  loop_run(scene->loop);
  assert_true(quick->results >= 3);
  assert_false(quick->is_slow);
  for (size_t i = 0; i < 8; i++) {
    runner_stop(scene->runner, scene->made[i]);
    peer_close(&silent[i]);
  }
}

static void stand_still(void *context) {
  (void)context;
  for (int64_t until_us = mono_now_us() + 700000; mono_now_us() < until_us;)
    ;
}

static void time_out_of_a_machine_that_stood_still_is_excused_once(void **state) {
  struct scene *scene = *state;
  runner_with(scene, 4);
  scene->peer.keeps_open = true;
  struct check *check = plan(scene, MONITOR_HTTP, scene->peer.addr, 150, 100);
  struct loop_timer *timer = loop_timer_new(scene->loop, stand_still, scene);
  for (int i = 0; i < 2; i++) {
    loop_timer_after(timer, 50);
    scene->left = 1;
    loop_run(scene->loop);
    if (i == 0) {
      assert_int_equal(scene->reason, PROBE_NOT_MADE);
      assert_int_equal(check->results, 0);
      assert_false(check->is_slow);
    }
  }
  assert_int_equal(scene->reason, PROBE_TIMEOUT_ANSWER);
  assert_int_equal(check->results, 1);
  loop_timer_free(timer);
}

static void what_is_overdue_begins_in_order_while_results_come_in(void **state) {
  struct scene *scene = *state;
  runner_with(scene, 1000);
  struct addr nobody = scene->peer.addr;
  peer_close(&scene->peer); /* each is refused at once */
  for (size_t i = 0; i < MANY; i++) {
    nobody.bytes[2] = (uint8_t)(1 + i / 250);
    nobody.bytes[3] = (uint8_t)(1 + i % 250);
    plan(scene, MONITOR_TCP, nobody, 10000, 5000);
  }
  scene->left = MANY;
  loop_run(scene->loop);
  assert_int_equal(scene->told_count, MANY);
  for (size_t i = 0; i < MANY; i++)
    assert_ptr_equal(scene->told[i], scene->made[i]);
  assert_true(scene->most < (int64_t)MANY / 4);
  peer_open(&scene->peer, scene->loop, SOCK_STREAM, "127.0.0.1");
}

static void idle_check_is_made_less_often_until_somebody_asks(void **state) {
  struct scene *scene = *state;
  runner_with(scene, 10);
  scene->is_idle = true;
  struct check *check = plan(scene, MONITOR_TCP, scene->peer.addr, 1000, 500);
  scene->left = 1;
  loop_run(scene->loop);
  int64_t in_us = check->planned_us - mono_now_us();
  assert_in_range(in_us, 8500000, 10000000);
  runner_wake(scene->runner, check);
  in_us = check->planned_us - mono_now_us();
  assert_true(in_us <= 1000000);
  assert_false(check->is_idle);
}

static void equal_targets_share_a_check(void **state) {
  struct scene *scene = *state;
  runner_with(scene, 10);
  struct status_range ranges[] = {{200, 299}};
  struct config_monitor a = {.type = MONITOR_HTTP,
                             .name = "a",
                             .path = "/x",
                             .host = "h",
                             .interval_ms = 1000,
                             .rise = 1,
                             .expect_status = ranges,
                             .expect_status_count = 1};
  struct config_monitor b = a;
  char path[] = "/x";
  b.name = "b";
  b.rise = 5;
  b.weight = 7;
  b.path = path;
  struct probe_target first = {NULL, &a, "one.example.com", scene->peer.addr};
  struct probe_target second = {NULL, &b, "two.example.com", scene->peer.addr};
  assert_int_equal(probe_target_compare(&first, &second), 0);
  struct check *check = checks_take(&scene->checks, &first);
  assert_ptr_equal(checks_take(&scene->checks, &second), check);
  assert_ptr_equal(check->target.monitor, &b);
  checks_drop(&scene->checks, check);
  b.host = a.host = NULL; /* then the service's name is sent */
  assert_int_not_equal(probe_target_compare(&first, &second), 0);
  second.service = first.service;
  assert_int_equal(probe_target_compare(&first, &second), 0);
  b.interval_ms = 2000;
  assert_int_not_equal(probe_target_compare(&first, &second), 0);
  b.interval_ms = 1000;
  b.expect = (struct config_expectation){.text = "ok"};
  assert_int_not_equal(probe_target_compare(&first, &second), 0);
}

#define RUNNER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      RUNNER_TEST(no_more_run_at_one_target_than_may),
      RUNNER_TEST(what_hangs_leaves_room_for_the_rest),
      RUNNER_TEST(time_out_of_a_machine_that_stood_still_is_excused_once),
      RUNNER_TEST(what_is_overdue_begins_in_order_while_results_come_in),
      RUNNER_TEST(idle_check_is_made_less_often_until_somebody_asks),
      RUNNER_TEST(equal_targets_share_a_check),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
