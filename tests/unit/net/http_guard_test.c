#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/net/http_guard.h"

#define VISITORS 12

struct scene {
  struct http_guard *guard;
  struct guard_visitor visitors[VISITORS];
  int fds[VISITORS], others[VISITORS];
  int entered;
};

static struct addr addr_of(const char *text) {
  struct addr addr;
  assert_int_equal(addr_parse(text, &addr), STATUS_OK);
  return addr;
}

static void start(struct scene *scene, unsigned most, unsigned per_client) {
  struct guard_rules rules = {.most = most, .per_client = per_client};
  rules.step_most_ms[GUARD_FRESH] = 10000;
  rules.step_most_ms[GUARD_RECEIVING] = 20000;
  rules.step_most_ms[GUARD_RESTING] = 40000;
  *scene = (struct scene){.guard = http_guard_new(&rules)};
}

static struct guard_visitor *enter(struct scene *scene, const char *client, int64_t now_ms) {
  int pair[2], at = scene->entered++;
  struct addr addr = client ? addr_of(client) : (struct addr){0};
  assert_true(at < VISITORS);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  scene->fds[at] = pair[0];
  scene->others[at] = pair[1];
  http_guard_enter(scene->guard, &scene->visitors[at], pair[0], &addr, now_ms);
  return &scene->visitors[at];
}

/* As its owner sees it: the descriptor has ended. */
static bool is_out(const struct guard_visitor *visitor) {
  char byte;
  return recv(visitor->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void end(struct scene *scene) {
  for (int i = 0; i < scene->entered; i++) {
    http_guard_leave(scene->guard, &scene->visitors[i]);
    close(scene->fds[i]);
    close(scene->others[i]);
  }
  http_guard_free(scene->guard);
}

static void each_step_has_its_time(void **state) {
  (void)state;
  struct scene scene;
  start(&scene, 10, 0);
  struct guard_visitor *silent = enter(&scene, "192.0.2.1", 1000);
  struct guard_visitor *slow = enter(&scene, "192.0.2.1", 1000);
  struct guard_visitor *asked = enter(&scene, "192.0.2.1", 1000);
  struct guard_visitor *resting = enter(&scene, "192.0.2.1", 1000);
  http_guard_step(scene.guard, slow, GUARD_RECEIVING, 2000);
  http_guard_step(scene.guard, asked, GUARD_HANDLED, 2000);
  http_guard_step(scene.guard, resting, GUARD_RESTING, 2000);
  http_guard_tick(scene.guard, 10999);
  assert_false(is_out(silent));
  http_guard_tick(scene.guard, 11000);
  assert_true(is_out(silent));
  http_guard_tick(scene.guard, 21999);
  assert_false(is_out(slow));
  http_guard_tick(scene.guard, 22000);
  assert_true(is_out(slow));
  http_guard_tick(scene.guard, 42000);
  assert_true(is_out(resting));
  http_guard_tick(scene.guard, INT64_MAX / 2);
  assert_false(is_out(asked));
  end(&scene);
}

static void one_that_asked_nothing_goes_for_a_newcomer(void **state) {
  (void)state;
  struct scene scene;
  start(&scene, 3, 0);
  struct guard_visitor *resting = enter(&scene, "192.0.2.1", 0);
  http_guard_step(scene.guard, resting, GUARD_RESTING, 1);
  struct guard_visitor *older = enter(&scene, "192.0.2.2", 2);
  struct guard_visitor *newer = enter(&scene, "192.0.2.3", 3);
  struct guard_visitor *newest = enter(&scene, "192.0.2.4", 4);
  assert_true(is_out(older));
  assert_false(is_out(newer) || is_out(newest) || is_out(resting));
  http_guard_step(scene.guard, newer, GUARD_HANDLED, 5);
  http_guard_step(scene.guard, newest, GUARD_HANDLED, 5);
  enter(&scene, NULL, 6);
  assert_true(is_out(resting));
  end(&scene);
}

static void crowd_pays_for_itself(void **state) {
  static const enum guard_step crowds[] = {GUARD_RECEIVING, GUARD_ANSWERING, GUARD_RESTING};
  (void)state;
  for (size_t i = 0; i < sizeof crowds / sizeof *crowds; i++) {
    struct scene scene;
    start(&scene, 5, 0);
    struct guard_visitor *handled = enter(&scene, "192.0.2.1", 0);
    http_guard_step(scene.guard, handled, GUARD_HANDLED, 0);
    for (int number = 0; number < 3; number++)
      http_guard_step(scene.guard, enter(&scene, "192.0.2.2", 0), crowds[i], 1 + number);
    struct guard_visitor *fresh = enter(&scene, "192.0.2.3", 5);
    struct guard_visitor *newcomer = enter(&scene, "192.0.2.4", 6);
    assert_true(is_out(&scene.visitors[1]));
    assert_false(is_out(handled) || is_out(fresh) || is_out(newcomer));
    assert_false(is_out(&scene.visitors[2]) || is_out(&scene.visitors[3]));
    end(&scene);
  }
}

static void nobody_goes_while_all_are_busy(void **state) {
  (void)state;
  struct scene scene;
  start(&scene, 2, 0);
  for (int i = 0; i < 4; i++)
    http_guard_step(scene.guard, enter(&scene, "192.0.2.1", 0), GUARD_HANDLED, 0);
  for (int i = 0; i < 4; i++)
    assert_false(is_out(&scene.visitors[i]));
  end(&scene);
}

static void client_above_its_limit_pays_with_its_own(void **state) {
  (void)state;
  struct scene scene;
  start(&scene, 10, 2);
  struct guard_visitor *other = enter(&scene, "192.0.2.9", 0);
  struct guard_visitor *resting = enter(&scene, "192.0.2.1", 0);
  http_guard_step(scene.guard, resting, GUARD_RESTING, 1);
  struct guard_visitor *silent = enter(&scene, "192.0.2.1", 1);
  struct guard_visitor *third = enter(&scene, "192.0.2.1", 2);
  assert_true(is_out(silent));
  assert_false(is_out(resting) || is_out(third) || is_out(other));
  http_guard_step(scene.guard, third, GUARD_HANDLED, 2000);
  struct guard_visitor *fourth = enter(&scene, "192.0.2.1", 2000);
  assert_true(is_out(resting));
  http_guard_step(scene.guard, fourth, GUARD_HANDLED, 2000);
  assert_true(is_out(enter(&scene, "192.0.2.1", 9000)));
  assert_false(is_out(third) || is_out(fourth) || is_out(other));
  end(&scene);
}

static void burst_of_one_client_leaves_its_newest(void **state) {
  (void)state;
  struct scene scene;
  start(&scene, 10, 2);
  struct guard_visitor *first = enter(&scene, "192.0.2.1", 0);
  struct guard_visitor *second = enter(&scene, "192.0.2.1", 0);
  assert_false(is_out(enter(&scene, "192.0.2.1", 0)));
  assert_true(is_out(first));
  assert_false(is_out(second));
  end(&scene);
}

static void ipv6_network_is_one_client(void **state) {
  (void)state;
  struct scene scene;
  start(&scene, 10, 1);
  http_guard_step(scene.guard, enter(&scene, "2001:db8:0:1::1", 0), GUARD_HANDLED, 0);
  assert_true(is_out(enter(&scene, "2001:db8:0:1::2", 0)));
  assert_false(is_out(enter(&scene, "2001:db8:0:2::1", 0)));
  end(&scene);
}

static void sockets_without_address_are_not_counted_together(void **state) {
  (void)state;
  struct scene scene;
  start(&scene, 10, 1);
  enter(&scene, NULL, 0);
  assert_false(is_out(enter(&scene, NULL, 0)));
  end(&scene);
}

static void who_left_makes_room(void **state) {
  (void)state;
  struct scene scene;
  start(&scene, 2, 1);
  for (int i = 0; i < 5; i++) {
    struct guard_visitor *visitor = enter(&scene, "192.0.2.1", 0);
    http_guard_step(scene.guard, visitor, GUARD_HANDLED, 0);
    assert_false(is_out(visitor));
    http_guard_leave(scene.guard, visitor);
    visitor->is_cut = true; /* as far as end() is concerned */
  }
  end(&scene);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_step_has_its_time),
      cmocka_unit_test(one_that_asked_nothing_goes_for_a_newcomer),
      cmocka_unit_test(crowd_pays_for_itself),
      cmocka_unit_test(nobody_goes_while_all_are_busy),
      cmocka_unit_test(client_above_its_limit_pays_with_its_own),
      cmocka_unit_test(burst_of_one_client_leaves_its_newest),
      cmocka_unit_test(ipv6_network_is_one_client),
      cmocka_unit_test(sockets_without_address_are_not_counted_together),
      cmocka_unit_test(who_left_makes_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
