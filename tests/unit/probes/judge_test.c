#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "probes/judge.h"

static const struct probe_result good = {PROBE_PASSED, 800, 0, "status 200"};
static const struct probe_result bad = {PROBE_REFUSED, 50, 0, "connection refused"};

static void first_passing_result_makes_unknown_up(void **state) {
  (void)state;
  struct health_record record = {0};
  assert_int_equal(judge_result(&record, &good, 1000, 3, 2), JUDGE_STATE);
  assert_int_equal(record.state, HEALTH_UP);
  assert_int_equal(record.streak, 0);
  assert_int_equal(record.since_ms, 1000);
  assert_int_equal(record.last_good_ms, 1000);
  assert_int_equal(record.passed, 1);
  assert_true(record.last_passed);
  assert_string_equal(record.reason, "status 200");
}

static void unknown_goes_down_at_fall_count(void **state) {
  (void)state;
  struct health_record record = {0};
  assert_int_equal(judge_result(&record, &bad, 1000, 1, 3), JUDGE_NEARNESS);
  assert_int_equal(judge_result(&record, &bad, 2000, 1, 3), JUDGE_ROUTINE);
  assert_int_equal(record.state, HEALTH_UNKNOWN);
  assert_int_equal(record.streak, 2);
  assert_int_equal(record.since_ms, 0);
  assert_int_equal(judge_result(&record, &bad, 3000, 1, 3), JUDGE_STATE);
  assert_int_equal(record.state, HEALTH_DOWN);
  assert_int_equal(record.since_ms, 3000);
  assert_int_equal(record.last_good_ms, 0);
  assert_int_equal(record.failed, 3);
}

static void health_stays_up_below_fall_count(void **state) {
  (void)state;
  struct health_record record = {.state = HEALTH_UP, .since_ms = 5};
  assert_int_equal(judge_result(&record, &bad, 1000, 2, 2), JUDGE_NEARNESS);
  assert_int_equal(record.state, HEALTH_UP);
  assert_int_equal(record.streak, 1);
  assert_int_equal(judge_result(&record, &good, 2000, 2, 2), JUDGE_NEARNESS);
  assert_int_equal(record.streak, 0);
  assert_int_equal(judge_result(&record, &good, 3000, 2, 2), JUDGE_ROUTINE);
  assert_int_equal(record.since_ms, 5);
}

static void health_falls_at_fall_count(void **state) {
  (void)state;
  struct health_record record = {.state = HEALTH_UP};
  judge_result(&record, &bad, 1000, 2, 2);
  assert_int_equal(judge_result(&record, &bad, 2000, 2, 2), JUDGE_STATE);
  assert_int_equal(record.state, HEALTH_DOWN);
  assert_int_equal(record.streak, 0);
  assert_int_equal(record.since_ms, 2000);
  assert_string_equal(record.reason, "connection refused");
}

static void health_rises_only_after_rise_passes_in_a_row(void **state) {
  (void)state;
  struct health_record record = {.state = HEALTH_DOWN, .last_ms = 1};
  assert_int_equal(judge_result(&record, &good, 1000, 2, 2), JUDGE_NEARNESS);
  assert_int_equal(judge_result(&record, &bad, 2000, 2, 2), JUDGE_NEARNESS);
  assert_int_equal(record.streak, 0);
  assert_int_equal(judge_result(&record, &good, 3000, 2, 2), JUDGE_NEARNESS);
  assert_int_equal(judge_result(&record, &good, 4000, 2, 2), JUDGE_STATE);
  assert_int_equal(record.state, HEALTH_UP);
  assert_int_equal(record.since_ms, 4000);
}

static void fall_of_one_is_down_at_once(void **state) {
  (void)state;
  struct health_record record = {.state = HEALTH_UP};
  assert_int_equal(judge_result(&record, &bad, 1000, 1, 1), JUDGE_STATE);
  assert_int_equal(record.state, HEALTH_DOWN);
}

static void lowered_fall_count_takes_effect_at_next_failure(void **state) {
  (void)state;
  struct health_record record = {.state = HEALTH_UP, .streak = 4};
  assert_int_equal(judge_result(&record, &bad, 1000, 1, 2), JUDGE_STATE);
}

static void mean_round_trip_moves_by_an_eighth(void **state) {
  (void)state;
  struct health_record record = {0};
  struct probe_result result = good;
  judge_result(&record, &result, 1, 1, 1);
  assert_int_equal(record.rtt_mean_us, 800);
  result.rtt_us = 1600;
  judge_result(&record, &result, 2, 1, 1);
  assert_int_equal(record.rtt_us, 1600);
  assert_int_equal(record.rtt_mean_us, 900);
  result.rtt_us = 100;
  judge_result(&record, &result, 3, 1, 1);
  assert_int_equal(record.rtt_mean_us, 800);
  judge_result(&record, &bad, 4, 1, 9);
  assert_int_equal(record.rtt_us, 100);
  assert_int_equal(record.rtt_mean_us, 800);
}

static void state_to_start_with_gives_way_to_the_first_passing_result(void **state) {
  (void)state;
  struct health_record down = {.state = HEALTH_DOWN}, up = {.state = HEALTH_UP};
  assert_int_equal(judge_result(&down, &good, 1000, 3, 2), JUDGE_STATE);
  assert_int_equal(down.state, HEALTH_UP);
  assert_int_equal(judge_result(&up, &bad, 1000, 3, 2), JUDGE_NEARNESS);
  assert_int_equal(judge_result(&up, &bad, 2000, 3, 2), JUDGE_STATE);
  assert_int_equal(up.state, HEALTH_DOWN);
}

static void round_trip_of_zero_counts_as_one(void **state) {
  (void)state;
  struct health_record record = {0};
  struct probe_result result = {PROBE_PASSED, 0, 0, "connected"};
  judge_result(&record, &result, 1, 1, 1);
  assert_int_equal(record.rtt_us, 1);
  assert_int_equal(record.rtt_mean_us, 1);
}

static void long_text_is_cut_between_characters(void **state) {
  (void)state;
  struct probe_result result;
  char wide[120];
  memset(wide, 'x', 94);
  memcpy(wide + 94, "\xc3\xa9\xc3\xa9", 5);
  probe_result_set(&result, PROBE_NO_MATCH, "%s", wide);
  assert_int_equal(strlen(result.text), 94);
  wide[93] = '\xc3';
  memcpy(wide + 94, "\xa9", 2);
  probe_result_set(&result, PROBE_NO_MATCH, "%s", wide);
  assert_int_equal(strlen(result.text), 95);
}

static void unreachable_tells_the_detail_and_refusal_does_not(void **state) {
  (void)state;
  struct probe_result result;
  probe_result_failed(&result, NET_UNREACHABLE, "No route to host");
  assert_int_equal(result.reason, PROBE_UNREACHABLE);
  assert_string_equal(result.text, "unreachable: No route to host");
  probe_result_failed(&result, NET_REFUSED, "Connection refused");
  assert_string_equal(result.text, "connection refused");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_passing_result_makes_unknown_up),
      cmocka_unit_test(unknown_goes_down_at_fall_count),
      cmocka_unit_test(health_stays_up_below_fall_count),
      cmocka_unit_test(health_falls_at_fall_count),
      cmocka_unit_test(health_rises_only_after_rise_passes_in_a_row),
      cmocka_unit_test(fall_of_one_is_down_at_once),
      cmocka_unit_test(lowered_fall_count_takes_effect_at_next_failure),
      cmocka_unit_test(mean_round_trip_moves_by_an_eighth),
      cmocka_unit_test(round_trip_of_zero_counts_as_one),
      cmocka_unit_test(state_to_start_with_gives_way_to_the_first_passing_result),
      cmocka_unit_test(long_text_is_cut_between_characters),
      cmocka_unit_test(unreachable_tells_the_detail_and_refusal_does_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
