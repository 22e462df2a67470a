#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probes/measure.h"

struct scene {
  struct measure *measure;
  struct metrics_record record;
  int check;
  uint64_t number;
  int64_t now_ms;
};

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->measure = measure_new("api.example.com", "fra-1");
  measure_configure(scene->measure, NULL, 5000);
  scene->now_ms = 1000000;
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  measure_free(scene->measure);
  free(scene);
  return 0;
}

static bool take(struct scene *scene, enum probe_reason reason, uint32_t rtt_us) {
  struct probe_result result = {.reason = reason, .rtt_us = rtt_us, .bytes = 10, .text = "told"};
  scene->now_ms += 100;
  return measure_take(scene->measure, &result, &scene->check, ++scene->number, scene->now_ms);
}

static const struct metric_value *find(struct scene *scene, const char *name) {
  measure_read(scene->measure, &scene->record);
  for (uint32_t i = 0; i < scene->record.count; i++)
    if (strcmp(scene->record.values[i].name, name) == 0)
      return &scene->record.values[i];
  return NULL;
}

static void expect(struct scene *scene, const char *name, double value) {
  const struct metric_value *found = find(scene, name);
  assert_non_null(found);
  assert_float_equal(found->value, value, 1e-9);
}

static void key_is_service_and_member(void **state) {
  struct scene *scene = *state;
  assert_memory_equal(scene->measure->row.key.bytes, "api.example.com\0fra-1", 21);
  assert_int_equal(scene->measure->row.key.size, 21);
  assert_string_equal(measure_member(scene->measure), "fra-1");
}

static void percentiles_are_of_the_nearest_rank(void **state) {
  struct scene *scene = *state;
  for (uint32_t i = 1; i <= 100; i++)
    take(scene, PROBE_PASSED, i * 1000);
  expect(scene, "response_time_ms", 100);
  expect(scene, "response_time_p50_ms", 50);
  expect(scene, "response_time_p95_ms", 95);
  expect(scene, "response_time_p99_ms", 99);
  expect(scene, "loss", 0);
  expect(scene, "bytes", 1000);
  assert_int_equal(scene->record.read, 100);
  assert_int_equal(scene->record.interval_ms, 5000);
}

static void only_the_last_results_count(void **state) {
  struct scene *scene = *state;
  for (uint32_t i = 0; i < 50; i++)
    take(scene, PROBE_REFUSED, 1);
  for (uint32_t i = 0; i < MEASURE_RESULTS; i++)
    take(scene, PROBE_PASSED, 2000);
  expect(scene, "loss", 0);
  expect(scene, "response_time_p99_ms", 2);
  expect(scene, "errors.refused", 50);
  assert_int_equal(scene->record.failed, 50);
}

static void mean_moves_by_an_eighth(void **state) {
  struct scene *scene = *state;
  take(scene, PROBE_PASSED, 8000);
  take(scene, PROBE_PASSED, 16000);
  expect(scene, "response_time_mean_ms", 9);
}

static void errors_count_by_reason_and_loss_is_their_share(void **state) {
  struct scene *scene = *state;
  take(scene, PROBE_PASSED, 1000);
  take(scene, PROBE_TIMEOUT_BODY, 1);
  take(scene, PROBE_STATUS, 1);
  take(scene, PROBE_STATUS, 1);
  expect(scene, "loss", 0.75);
  expect(scene, "errors.timeout_body", 1);
  expect(scene, "errors.status", 2);
  assert_null(find(scene, "errors.refused"));
  assert_string_equal(scene->record.reason, "told");
  take(scene, PROBE_PASSED, 1000);
  expect(scene, "loss", 0.6);
  assert_string_equal(scene->record.reason, "");
}

static void without_a_passing_result_there_is_no_response_time(void **state) {
  struct scene *scene = *state;
  take(scene, PROBE_REFUSED, 1);
  assert_null(find(scene, "response_time_ms"));
  assert_null(find(scene, "response_time_p50_ms"));
  expect(scene, "loss", 1);
}

static void one_result_counts_once_for_all_addresses(void **state) {
  struct scene *scene = *state;
  struct probe_result result = {.reason = PROBE_REFUSED};
  int other;
  measure_take(scene->measure, &result, &scene->check, 1, 5000);
  measure_take(scene->measure, &result, &scene->check, 1, 5000);
  measure_take(scene->measure, &result, &other, 1, 5000);
  expect(scene, "errors.refused", 2);
}

static void row_is_due_once_a_second(void **state) {
  struct scene *scene = *state;
  int due = 0;
  for (int i = 0; i < 30; i++)
    due += take(scene, PROBE_PASSED, 1000);
  assert_int_equal(due, 3);
}

static void counters_go_on_after_a_restart(void **state) {
  struct scene *scene = *state;
  take(scene, PROBE_PASSED, 8000);
  take(scene, PROBE_CLOSED, 1);
  measure_read(scene->measure, &scene->record);
  struct measure *next = measure_new("api.example.com", "fra-1");
  measure_restore(next, &scene->record);
  measure_free(scene->measure);
  scene->measure = next;
  take(scene, PROBE_CLOSED, 1);
  expect(scene, "errors.closed", 2);
  expect(scene, "bytes", 30);
  expect(scene, "response_time_mean_ms", 8);
}

static void figures_of_the_load_section_get_views(void **state) {
  struct scene *scene = *state;
  struct config_load_metric metric = {.name = "response_time_ms",
                                      .source = METRICS_PROBE,
                                      .weight = 1,
                                      .view = VIEW_PEAK};
  struct config_load load = {.window_ms = 60000, .metrics = &metric, .metric_count = 1};
  measure_configure(scene->measure, &load, 1000);
  take(scene, PROBE_PASSED, 9000);
  assert_true(find(scene, "response_time_ms")->has_views);
  take(scene, PROBE_PASSED, 3000);
  const struct metric_value *value = find(scene, "response_time_ms");
  assert_float_equal(value->value, 3, 1e-9);
  assert_float_equal(value->peak, 9, 1e-9);
  assert_false(find(scene, "loss")->has_views);
}

#define MEASURE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      MEASURE_TEST(key_is_service_and_member),
      MEASURE_TEST(percentiles_are_of_the_nearest_rank),
      MEASURE_TEST(only_the_last_results_count),
      MEASURE_TEST(mean_moves_by_an_eighth),
      MEASURE_TEST(errors_count_by_reason_and_loss_is_their_share),
      MEASURE_TEST(without_a_passing_result_there_is_no_response_time),
      MEASURE_TEST(one_result_counts_once_for_all_addresses),
      MEASURE_TEST(row_is_due_once_a_second),
      MEASURE_TEST(counters_go_on_after_a_restart),
      MEASURE_TEST(figures_of_the_load_section_get_views),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
