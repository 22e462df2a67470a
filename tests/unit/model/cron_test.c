#include "gslb/model/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int64_t at(int year, int month, int day, int hour, int minute) {
  struct tm time = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute};
  return (int64_t)timegm(&time);
}

static int64_t next(const char *text, int64_t after_s) {
  struct cron cron;
  assert_int_equal(cron_parse(text, &cron, NULL), STATUS_OK);
  return cron_next_s(&cron, after_s);
}

static void assert_wrong(const char *text, const char *why) {
  struct cron cron;
  struct errbuf err;
  assert_int_equal(cron_parse(text, &cron, &err), STATUS_INVALID);
  assert_non_null(strstr(err.text, why));
}

static void next_time_is_the_first_minute_behind(void **state) {
  (void)state;
  int64_t now = at(2025, 3, 14, 15, 9) + 26; /* a Friday */
  assert_true(next("* * * * *", now) == at(2025, 3, 14, 15, 10));
  assert_true(next("9 15 * * *", at(2025, 3, 14, 15, 9)) == at(2025, 3, 15, 15, 9));
  assert_true(next("*/15 * * * *", now) == at(2025, 3, 14, 15, 15));
  assert_true(next("5,50-55 8-10 * * *", now) == at(2025, 3, 15, 8, 5));
  assert_true(next("10/20 15 * * *", now) == at(2025, 3, 14, 15, 10));
  assert_true(next("0 0 1 1 *", now) == at(2026, 1, 1, 0, 0));
  assert_true(next("0 12 29 2 *", now) == at(2028, 2, 29, 12, 0));
}

static void sunday_is_0_and_7(void **state) {
  (void)state;
  int64_t now = at(2025, 3, 14, 0, 0);
  assert_true(next("0 6 * * 0", now) == at(2025, 3, 16, 6, 0));
  assert_true(next("0 6 * * 7", now) == at(2025, 3, 16, 6, 0));
  assert_true(next("0 6 * * 1-5", now + 7 * 3600) == at(2025, 3, 17, 6, 0));
}

static void one_of_day_and_weekday_is_enough_when_both_are_given(void **state) {
  (void)state;
  int64_t now = at(2025, 3, 14, 1, 0);
  assert_true(next("0 0 20 * 0", now) == at(2025, 3, 16, 0, 0));
  assert_true(next("0 0 15 * 0", now) == at(2025, 3, 15, 0, 0));
  assert_true(next("0 0 15 * *", now) == at(2025, 3, 15, 0, 0));
}

static void wrong_texts_are_refused_with_the_field(void **state) {
  (void)state;
  assert_wrong("", "has 0 fields");
  assert_wrong("* * * *", "has 4 fields");
  assert_wrong("* * * * * *", "has more than five fields");
  assert_wrong("60 * * * *", "has a wrong minute: numbers from 0 to 59");
  assert_wrong("* 24 * * *", "has a wrong hour");
  assert_wrong("* * 0 * *", "has a wrong day");
  assert_wrong("* * * 13 *", "has a wrong month");
  assert_wrong("* * * * 8", "has a wrong weekday");
  assert_wrong("*/0 * * * *", "has a wrong minute");
  assert_wrong("5-1 * * * *", "has a wrong minute");
  assert_wrong("1,, * * * *", "has a wrong minute");
  assert_wrong("1x * * * *", "has a wrong minute");
  assert_wrong("0 0 30 2 *", "never comes");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(next_time_is_the_first_minute_behind),
      cmocka_unit_test(sunday_is_0_and_7),
      cmocka_unit_test(one_of_day_and_weekday_is_enough_when_both_are_given),
      cmocka_unit_test(wrong_texts_are_refused_with_the_field),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
