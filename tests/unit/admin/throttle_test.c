#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gslb/admin/throttle.h"

static struct addr address(const char *text) {
  struct addr out;
  assert_int_equal(addr_parse(text, &out), STATUS_OK);
  return out;
}

static unsigned count_allowed(struct throttle *throttle, const char *client, unsigned tries, int64_t now_ms) {
  struct addr addr = address(client);
  unsigned allowed = 0;
  for (unsigned i = 0; i < tries; i++)
    allowed += throttle_take(throttle, &addr, 5, now_ms);
  return allowed;
}

static void a_second_holds_as_many_as_the_limit(void **state) {
  (void)state;
  struct throttle *throttle = throttle_new();
  assert_int_equal(count_allowed(throttle, "192.0.2.1", 20, 1000), 5);
  assert_int_equal(count_allowed(throttle, "192.0.2.1", 20, 1199), 0);
  assert_int_equal(count_allowed(throttle, "192.0.2.1", 20, 1200), 1);
  assert_int_equal(count_allowed(throttle, "192.0.2.1", 20, 900000), 5);
  throttle_free(throttle);
}

static void clients_are_counted_apart_and_networks_of_ipv6_together(void **state) {
  (void)state;
  struct throttle *throttle = throttle_new();
  assert_int_equal(count_allowed(throttle, "192.0.2.1", 5, 1000), 5);
  assert_int_equal(count_allowed(throttle, "192.0.2.2", 5, 1000), 5);
  assert_int_equal(count_allowed(throttle, "2001:db8::1", 5, 1000), 5);
  assert_int_equal(count_allowed(throttle, "2001:db8::2", 5, 1000), 0);
  assert_int_equal(count_allowed(throttle, "2001:db8:0:1::2", 5, 1000), 5);
  throttle_free(throttle);
}

static void without_a_limit_everything_is_allowed(void **state) {
  (void)state;
  struct throttle *throttle = throttle_new();
  struct addr addr = address("192.0.2.1"), none = {0};
  for (int i = 0; i < 100; i++) {
    assert_true(throttle_take(throttle, &addr, 0, 1000));
    assert_true(throttle_take(throttle, &none, 1, 1000));
    assert_true(throttle_take(NULL, &addr, 1, 1000));
  }
  throttle_free(throttle);
}

static void more_clients_than_buckets_are_still_served(void **state) {
  (void)state;
  struct throttle *throttle = throttle_new();
  for (unsigned i = 0; i < 4 * THROTTLE_WAYS * THROTTLE_PLACES; i++) {
    struct addr addr = {.family = 4, .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
    assert_true(throttle_take(throttle, &addr, 1, 1000 + i / 100));
  }
  throttle_free(throttle);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_second_holds_as_many_as_the_limit),
      cmocka_unit_test(clients_are_counted_apart_and_networks_of_ipv6_together),
      cmocka_unit_test(without_a_limit_everything_is_allowed),
      cmocka_unit_test(more_clients_than_buckets_are_still_served),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
