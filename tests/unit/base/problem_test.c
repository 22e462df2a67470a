#include "gslb/base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "gslb/base/status.h"

static void problems_are_listed_by_file_and_place(void **state) {
  (void)state;
  struct problems problems = {0};
  problem_add(&problems, "b", 9, 1, "late");
  problem_add(&problems, "a", 1, 2, "other file");
  problem_add(&problems, "b", 2, 0, "no column");
  problem_add(&problems, "b", 0, 0, "whole file");
  problems_sort(&problems);
  char *text = problems_format(&problems);
  assert_string_equal(text, "b: whole file\nb:2: no column\nb:9:1: late\na:1:2: other file\n");
  free(text);
  problems_release(&problems);
}

static void endless_problems_are_cut_with_a_word(void **state) {
  (void)state;
  struct problems problems = {0};
  for (int i = 0; i < 2000; i++)
    problem_add(&problems, "f", i + 1, 1, "wrong");
  assert_int_equal(problems.count, 1000);
  assert_non_null(strstr(problems.items[999].text, "too many"));
  problems_release(&problems);
}

static void prefixes_go_before_the_text(void **state) {
  (void)state;
  struct errbuf err;
  assert_int_equal(errbuf_set(&err, STATUS_RANGE, "%d is too much", 7), STATUS_RANGE);
  assert_int_equal(errbuf_prefix(&err, STATUS_RANGE, "line %d: ", 3), STATUS_RANGE);
  assert_string_equal(err.text, "line 3: 7 is too much");
}

static void prefix_of_a_full_buffer_cuts_the_end(void **state) {
  (void)state;
  struct errbuf err;
  memset(err.text, 'x', sizeof err.text - 1);
  err.text[sizeof err.text - 1] = '\0';
  errbuf_prefix(&err, STATUS_IO, "here: ");
  assert_int_equal(strlen(err.text), sizeof err.text - 1);
  assert_int_equal(strncmp(err.text, "here: xxx", 9), 0);
}

static void house_time_never_starts_before_what_is_stored(void **state) {
  (void)state;
  struct house plain = house_start(0);
  int64_t now_ms = house_now_ms(&plain);
  struct house later = house_start(now_ms + 3600000);
  assert_true(house_now_ms(&later) >= now_ms + 3600000);
  char text[32];
  clock_format_utc(1700000000123, text, sizeof text);
  assert_string_equal(text, "2023-11-14T22:13:20.123Z");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(problems_are_listed_by_file_and_place),
      cmocka_unit_test(endless_problems_are_cut_with_a_word),
      cmocka_unit_test(prefixes_go_before_the_text),
      cmocka_unit_test(prefix_of_a_full_buffer_cuts_the_end),
      cmocka_unit_test(house_time_never_starts_before_what_is_stored),
  };
  return cmocka_run_group_tests_name("problem", tests, NULL, NULL);
}
