#include "zones/secondary/refresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW 1000000000000

static const struct soa soa = {.serial = 1, .refresh_s = 60, .retry_s = 10, .expire_s = 600};

static struct refresh loaded(int64_t refreshed_ms) {
  struct refresh refresh;
  refresh_init(&refresh);
  refresh_load(&refresh, &soa, refreshed_ms, NOW);
  refresh_begin(&refresh, NOW);
  return refresh;
}

static void zone_without_copy_is_checked_at_once_then_more_rarely(void **state) {
  (void)state;
  struct refresh refresh;
  refresh_init(&refresh);
  assert_int_equal(refresh.next_ms, 0);
  static const int64_t waits[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
  for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
    refresh_begin(&refresh, NOW);
    refresh_fail(&refresh, NOW);
    assert_int_equal(refresh.next_ms, NOW + waits[i]);
  }
  assert_false(refresh_has_expired(&refresh, INT64_MAX - 1));
}

static void success_plans_the_refresh(void **state) {
  (void)state;
  struct refresh refresh = loaded(NOW);
  refresh_succeed(&refresh, &soa, NOW + 5, 0);
  assert_int_equal(refresh.next_ms, NOW + 5 + 60000);
  refresh_begin(&refresh, NOW);
  refresh_succeed(&refresh, &soa, NOW, UINT32_MAX);
  assert_in_range(refresh.next_ms, NOW + 52500, NOW + 52501);
}

static void failure_plans_the_retry(void **state) {
  (void)state;
  struct refresh refresh = loaded(NOW);
  refresh_fail(&refresh, NOW + 5);
  assert_int_equal(refresh.next_ms, NOW + 5 + 10000);
}

static void small_and_unset_periods_are_bounded(void **state) {
  (void)state;
  struct soa small = {.refresh_s = 1, .retry_s = 0};
  struct refresh refresh = loaded(NOW);
  refresh_succeed(&refresh, &small, NOW, 0);
  assert_int_equal(refresh.next_ms, NOW + 1000);
  refresh_begin(&refresh, NOW);
  refresh_fail(&refresh, NOW);
  assert_int_equal(refresh.next_ms, NOW + REFRESH_UNSET_MS);
  assert_int_equal(refresh.expire_ms, NOW + 1000 + REFRESH_UNSET_MS); /* not before a retry */
}

static void expiry_counts_from_the_last_success(void **state) {
  (void)state;
  struct refresh refresh = loaded(NOW - 599000);
  refresh_fail(&refresh, NOW);
  assert_false(refresh_has_expired(&refresh, NOW + 999));
  assert_true(refresh_has_expired(&refresh, NOW + 1000));
  refresh_succeed(&refresh, &soa, NOW, 0);
  assert_false(refresh_has_expired(&refresh, NOW + 599999));
  assert_true(refresh_has_expired(&refresh, NOW + 600000));
  refresh_expire(&refresh);
  assert_false(refresh_has_expired(&refresh, NOW + 600000));
}

static void copy_from_the_future_expires_as_if_fresh(void **state) {
  (void)state;
  struct refresh refresh = loaded(NOW + 86400000);
  assert_true(refresh_has_expired(&refresh, NOW + 600000));
}

static void notify_hurries_but_not_within_a_second(void **state) {
  (void)state;
  struct refresh refresh = loaded(NOW);
  refresh_succeed(&refresh, &soa, NOW, 0);
  refresh_hurry(&refresh, NOW + 100);
  assert_int_equal(refresh.next_ms, NOW + REFRESH_LEAST_MS);
  refresh_begin(&refresh, NOW + 1000);
  refresh_succeed(&refresh, &soa, NOW + 1000, 0);
  refresh_hurry(&refresh, NOW + 5000);
  assert_int_equal(refresh.next_ms, NOW + 5000);
}

static void notify_during_a_check_makes_another_follow(void **state) {
  (void)state;
  struct refresh refresh = loaded(NOW);
  refresh_hurry(&refresh, NOW + 3000);
  refresh_succeed(&refresh, &soa, NOW + 4000, 0);
  assert_int_equal(refresh.next_ms, NOW + 3000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zone_without_copy_is_checked_at_once_then_more_rarely),
      cmocka_unit_test(success_plans_the_refresh),
      cmocka_unit_test(failure_plans_the_retry),
      cmocka_unit_test(small_and_unset_periods_are_bounded),
      cmocka_unit_test(expiry_counts_from_the_last_success),
      cmocka_unit_test(copy_from_the_future_expires_as_if_fresh),
      cmocka_unit_test(notify_hurries_but_not_within_a_second),
      cmocka_unit_test(notify_during_a_check_makes_another_follow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
