#include "gslb/model/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fill(char *text, size_t length) {
  memset(text, 'x', length);
  text[length] = '\0';
}

static void metrics_come_back_as_they_were(void **state) {
  (void)state;
  struct metrics_record record =
      {.at_ms = 9, .interval_ms = 10000, .read = 7, .failed = UINT64_MAX, .reason = "refused", .count = METRICS_MOST};
  static struct metrics_record back;
  for (size_t i = 0; i < METRICS_MOST; i++) {
    struct metric_value *value = &record.values[i];
    fill(value->name, i ? METRICS_NAME_SIZE - i : METRICS_NAME_SIZE - 1);
    value->value = -1.5 * (double)i;
    value->has_views = i % 2;
    if (value->has_views)
      value->mean = 1, value->peak = 2, value->p95 = 1.5, value->rate = 0.25;
  }
  size_t size;
  uint8_t *bytes = metrics_encode(&record, &size);
  assert_int_equal(bytes[0], 2);
  assert_int_equal(metrics_decode(bytes, size, &back), STATUS_OK);
  assert_int_equal(back.count, METRICS_MOST);
  assert_true(back.at_ms == 9 && back.interval_ms == 10000 && back.read == 7 && back.failed == UINT64_MAX);
  assert_string_equal(back.reason, "refused");
  assert_true(back.values[63].value == -94.5 && back.values[63].has_views && back.values[63].mean == 1);
  assert_true(back.values[63].peak == 2 && back.values[63].p95 == 1.5 && back.values[63].rate == 0.25);
  assert_false(back.values[62].has_views);
  assert_string_equal(back.values[0].name, record.values[0].name);
  free(bytes);
}

static void reports_of_version_1_are_read(void **state) {
  (void)state;
  static const uint8_t first[] = {1, 0, 0, 0, 0,   0,   0,   0,    9, /* at */
                                  0, 1, 0, 3, 'e', 'p', 's', 0x40, 0x08, 0, 0, 0, 0, 0, 0};
  struct metrics_record back = {.interval_ms = 5};
  assert_int_equal(metrics_decode(first, sizeof first, &back), STATUS_OK);
  assert_int_equal(back.count, 1);
  assert_true(back.at_ms == 9 && back.interval_ms == 0 && back.values[0].value == 3 && !back.values[0].has_views);
  assert_string_equal(back.values[0].name, "eps");
  assert_int_equal(metrics_decode(first, sizeof first - 1, &back), STATUS_INVALID);
}

static void metrics_that_are_cut_longer_or_of_another_version_are_refused(void **state) {
  (void)state;
  const struct metrics_record record = {.count = 2,
                                        .values = {{.name = "cpu_utilization", .value = 0.5, .has_views = true},
                                                   {.name = "eps", .value = 3}}};
  static struct metrics_record back;
  size_t size;
  uint8_t *bytes = metrics_encode(&record, &size);
  for (size_t cut = 0; cut < size; cut++) {
    uint8_t *part = malloc(cut ? cut : 1); /* exactly as large, so that a read beyond it is seen */
    memcpy(part, bytes, cut);
    assert_int_equal(metrics_decode(part, cut, &back), STATUS_INVALID);
    free(part);
  }
  uint8_t *longer = calloc(1, size + 1);
  memcpy(longer, bytes, size);
  assert_int_equal(metrics_decode(longer, size + 1, &back), STATUS_INVALID);
  static const uint8_t versions[] = {0, 3, 255};
  for (size_t i = 0; i < sizeof versions; i++) {
    longer[0] = versions[i];
    assert_int_equal(metrics_decode(longer, size, &back), STATUS_VERSION);
  }
  free(longer);
  free(bytes);
}

static void figures_that_are_not_finite_and_too_many_are_invalid(void **state) {
  (void)state;
  struct metrics_record record = {.count = 1, .values = {{.name = "a", .has_views = true, .rate = NAN}}};
  static struct metrics_record back;
  size_t size;
  uint8_t *bytes = metrics_encode(&record, &size);
  assert_int_equal(metrics_decode(bytes, size, &back), STATUS_INVALID);
  free(bytes);
  record.values[0] = (struct metric_value){.name = "a", .value = INFINITY};
  bytes = metrics_encode(&record, &size);
  assert_int_equal(metrics_decode(bytes, size, &back), STATUS_INVALID);
  free(bytes);
  record.count = 0;
  bytes = metrics_encode(&record, &size);
  bytes[size - 1] = METRICS_MOST + 1;
  assert_int_equal(metrics_decode(bytes, size, &back), STATUS_INVALID);
  free(bytes);
}

static void sources_have_names(void **state) {
  (void)state;
  for (int i = 0; i < METRICS_SOURCES; i++) {
    enum metric_source source = METRICS_SOURCES;
    assert_int_equal(metric_source_parse(metric_source_name((enum metric_source)i), &source), STATUS_OK);
    assert_int_equal(source, i);
  }
  enum metric_source source = METRICS_SNMP;
  assert_int_equal(metric_source_parse("any", &source), STATUS_INVALID);
  assert_int_equal(source, METRICS_SNMP);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(metrics_come_back_as_they_were),
      cmocka_unit_test(reports_of_version_1_are_read),
      cmocka_unit_test(metrics_that_are_cut_longer_or_of_another_version_are_refused),
      cmocka_unit_test(figures_that_are_not_finite_and_too_many_are_invalid),
      cmocka_unit_test(sources_have_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
