#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gslb/main/ctl_balancer.h"

#define NOON 1795176000 /* 2026-11-20 12:00:00 UTC */

static void expect_start(const char *text, time_t now, int64_t expected_s) {
  int64_t in_ms = -1;
  assert_int_equal(ctl_leave_start(text, now, &in_ms), STATUS_OK);
  assert_int_equal(in_ms, expected_s * 1000);
}

static void a_time_of_day_is_its_next_one(void **state) {
  (void)state;
  setenv("TZ", "UTC", 1);
  tzset();
  expect_start("12:30", NOON, 1800);
  expect_start("02:00", NOON, 14 * 3600);
  expect_start("12:00", NOON, 0);
  expect_start("11:59", NOON, 86400 - 60);
  expect_start("2:00", NOON, 14 * 3600);
  setenv("TZ", "Europe/Berlin", 1);
  tzset();
  expect_start("13:30", NOON, 1800);
}

static void a_plus_counts_from_now(void **state) {
  (void)state;
  expect_start("+10m", NOON, 600);
  expect_start("+0s", NOON, 0);
}

static void what_is_neither_is_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {"", "25:00", "12:60", "12", "12:5x", "-1:00", "+x", "10m", "12:00:00", " 1:00"};
  int64_t in_ms = 0;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    if (ctl_leave_start(wrong[i], NOON, &in_ms) == STATUS_OK)
      fail_msg("\"%s\" is taken", wrong[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_time_of_day_is_its_next_one),
      cmocka_unit_test(a_plus_counts_from_now),
      cmocka_unit_test(what_is_neither_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
