#include "gslb/model/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct window_views views_of(const struct window *window) {
  struct window_views views;
  window_views(window, &views);
  return views;
}

static void single_sample_is_all_views_but_the_rate(void **state) {
  (void)state;
  struct window window = {0};
  window_add(&window, 1000, -4, 60000);
  struct window_views views = views_of(&window);
  assert_true(views.last == -4 && views.mean == -4 && views.peak == -4 && views.p95 == -4 && views.rate == 0);
}

static void mean_weighs_each_sample_by_how_long_it_held(void **state) {
  (void)state;
  struct window window = {0};
  window_add(&window, 0, 10, 60000);
  window_add(&window, 1000, 40, 60000);
  window_add(&window, 4000, 7, 60000);
  struct window_views views = views_of(&window);
  assert_true(views.mean == (10 * 1 + 40 * 3) / 4.0);
  assert_true(views.last == 7 && views.peak == 40 && views.p95 == 40);
}

static void percentile_is_the_nearest_rank(void **state) {
  (void)state;
  struct window window = {0};
  for (int i = 1; i <= 20; i++)
    window_add(&window, i * 1000, 21 - i, 60000);
  assert_true(views_of(&window).p95 == 19);
  window_add(&window, 21000, 100, 60000);
  assert_true(views_of(&window).p95 == 20); /* the 20th of 21 */
}

static void rate_takes_a_fall_for_a_restart_of_the_counter(void **state) {
  (void)state;
  struct window window = {0};
  window_add(&window, 0, 100, 60000);
  window_add(&window, 1000, 150, 60000);
  assert_true(views_of(&window).rate == 50);
  window_add(&window, 2000, 30, 60000);
  window_add(&window, 4000, 40, 60000);
  assert_true(views_of(&window).rate == (50 + 30 + 10) / 4.0);
}

static void samples_beyond_the_span_are_dropped(void **state) {
  (void)state;
  struct window window = {0};
  window_add(&window, 0, 1000, 5000);
  window_add(&window, 5000, 2, 5000);
  assert_int_equal(window.count, 2);
  window_add(&window, 5001, 3, 5000);
  assert_int_equal(window.count, 2);
  assert_true(views_of(&window).peak == 3);
  window_add(&window, 100000, 4, 5000);
  assert_int_equal(window.count, 1);
}

static void sample_of_the_same_time_replaces_and_an_older_one_is_left_out(void **state) {
  (void)state;
  struct window window = {0};
  window_add(&window, 1000, 1, 5000);
  window_add(&window, 1000, 2, 5000);
  window_add(&window, 999, 3, 5000);
  assert_int_equal(window.count, 1);
  assert_true(views_of(&window).last == 2);
}

static void too_many_samples_are_thinned_out_evenly(void **state) {
  (void)state;
  struct window window = {0};
  for (int64_t i = 0; i < 1000; i++)
    window_add(&window, i * 100, (double)i, 1000000);
  assert_int_equal(window.count, WINDOW_SAMPLES);
  int64_t widest = 0, before = window.at_ms[window.first];
  assert_true(before == 0);
  for (uint32_t i = 1; i < window.count; i++) {
    int64_t at = window.at_ms[(window.first + i) % WINDOW_SAMPLES];
    widest = at - before > widest ? at - before : widest;
    before = at;
  }
  assert_true(before == 99900);
  assert_true(widest <= 2 * 2 * 99900 / (int64_t)WINDOW_SAMPLES);
  struct window_views views = views_of(&window);
  assert_true(views.rate == 10 && views.last == 999 && views.peak == 999);
  assert_true(views.mean > 450 && views.mean < 510);
}

static void span_of_more_samples_than_the_ring_holds_stays_covered(void **state) {
  (void)state;
  struct window window = {0};
  for (int64_t i = 0; i < 5000; i++) {
    window_add(&window, i * 1000, 1, 60000);
    if (i < 100)
      continue;
    assert_true(window.count >= 30);
    assert_true(i * 1000 - window.at_ms[window.first] >= 56000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(single_sample_is_all_views_but_the_rate),
      cmocka_unit_test(mean_weighs_each_sample_by_how_long_it_held),
      cmocka_unit_test(percentile_is_the_nearest_rank),
      cmocka_unit_test(rate_takes_a_fall_for_a_restart_of_the_counter),
      cmocka_unit_test(samples_beyond_the_span_are_dropped),
      cmocka_unit_test(sample_of_the_same_time_replaces_and_an_older_one_is_left_out),
      cmocka_unit_test(too_many_samples_are_thinned_out_evenly),
      cmocka_unit_test(span_of_more_samples_than_the_ring_holds_stays_covered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
