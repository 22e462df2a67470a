#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probes/pace.h"

static void first_starts_lie_one_in_each_slot(void **state) {
  (void)state;
  assert_int_equal(pace_first_us(5000, 1000000, 0, 4, 0), 5000);
  assert_int_equal(pace_first_us(5000, 1000000, 1, 4, 0), 255000);
  assert_int_equal(pace_first_us(5000, 1000000, 3, 4, 0), 755000);
  assert_int_equal(pace_first_us(5000, 1000000, 3, 4, UINT32_C(1) << 31), 880000);
  assert_true(pace_first_us(5000, 1000000, 3, 4, UINT32_MAX) < 1005000);
}

static void next_start_is_up_to_a_tenth_early_and_never_late(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 7);
  int64_t least = INT64_MAX, most = 0;
  for (int i = 0; i < 20000; i++) {
    int64_t gap = pace_next_us(1000, 1500, 1000000, 500000, &random) - 1000;
    assert_in_range(gap, 900000, 1000000);
    least = gap < least ? gap : least;
    most = gap > most ? gap : most;
  }
  assert_true(least < 901000 && most > 999000);
}

static void next_start_leaves_room_for_the_time_out(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 7);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(pace_next_us(0, 0, 1000000, 1000000, &random), 1000000);
    assert_in_range(pace_next_us(0, 0, 1000000, 950000, &random), 952000, 1000000);
  }
}

static void late_start_does_not_move_the_next(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 7);
  assert_int_equal(pace_next_us(1000000, 1400000, 1000000, 1000000, &random), 2000000);
}

static void start_missed_by_far_is_now(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 7);
  assert_int_equal(pace_next_us(1000000, 9000000, 1000000, 1000000, &random), 9000000);
}

static void lateness_is_forgotten_after_a_minute(void **state) {
  (void)state;
  struct lateness lateness = {0};
  lateness_note(&lateness, 700);
  lateness_note(&lateness, -5);
  lateness_tick(&lateness);
  lateness_note(&lateness, 300);
  assert_int_equal(lateness_most_us(&lateness), 700);
  for (unsigned i = 1; i < PACE_LATENESS_SECONDS; i++)
    lateness_tick(&lateness);
  assert_int_equal(lateness_most_us(&lateness), 300);
  lateness_tick(&lateness);
  assert_int_equal(lateness_most_us(&lateness), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_starts_lie_one_in_each_slot),
      cmocka_unit_test(next_start_is_up_to_a_tenth_early_and_never_late),
      cmocka_unit_test(next_start_leaves_room_for_the_time_out),
      cmocka_unit_test(late_start_does_not_move_the_next),
      cmocka_unit_test(start_missed_by_far_is_now),
      cmocka_unit_test(lateness_is_forgotten_after_a_minute),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
