#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probes/sources/series.h"

static struct metrics_record record;
static struct errbuf refused;

static const struct series_view nobody = {.source = METRICS_SCRAPE};

static const struct metric_value *figure(const struct series_set *set, const char *name) {
  record.count = 0;
  series_add(set, &record);
  for (uint32_t i = 0; i < record.count; i++)
    if (strcmp(record.values[i].name, name) == 0)
      return &record.values[i];
  return NULL;
}

static double value_of(const struct series_set *set, const char *name) {
  const struct metric_value *found = figure(set, name);
  if (!found)
    fail_msg("%s has no value", name);
  return found->value;
}

static size_t take(struct series_set *set, const char *name, double value, bool is_counter, int64_t at_ms) {
  struct source_value values = {name, value, is_counter};
  refused.text[0] = '\0';
  return series_take(set, &values, 1, &nobody, at_ms, at_ms * 1000, &refused);
}

static void a_reading_replaces_what_was_there(void **state) {
  (void)state;
  struct series_set set = {0};
  struct source_value first[] = {{"a", 1, false}, {"b", 2, false}}, second[] = {{"b", 3, false}, {"c", 4, false}};
  assert_int_equal(series_take(&set, first, 2, &nobody, 1000, 1000000, NULL), 0);
  assert_int_equal(series_take(&set, second, 2, &nobody, 2000, 2000000, NULL), 0);
  assert_null(figure(&set, "a"));
  assert_true(value_of(&set, "b") == 3 && value_of(&set, "c") == 4);
  assert_int_equal(set.at_ms, 2000);
  assert_int_equal(record.count, 2);
  series_release(&set);
}

static void a_counter_gives_its_growth_a_second(void **state) {
  (void)state;
  struct series_set set = {0};
  assert_int_equal(take(&set, "bytes", 1000, true, 10000), 0);
  assert_null(figure(&set, "bytes"));
  assert_int_equal(take(&set, "bytes", 6000, true, 15000), 0);
  assert_true(value_of(&set, "bytes") == 1000);
  assert_int_equal(take(&set, "bytes", 6000, true, 20000), 0);
  assert_true(value_of(&set, "bytes") == 0);
  series_release(&set);
}

static void a_counter_that_began_anew_grew_by_its_new_value(void **state) {
  (void)state;
  struct series_set set = {0};
  take(&set, "bytes", 1000000, true, 10000);
  assert_int_equal(take(&set, "bytes", 500, true, 15000), 0);
  assert_true(value_of(&set, "bytes") == 100);
  series_release(&set);
}

static void a_counter_that_only_fell_is_refused_and_goes_on_from_there(void **state) {
  (void)state;
  struct series_set set = {0};
  take(&set, "bytes", 1000, true, 10000);
  take(&set, "bytes", 2000, true, 15000);
  assert_int_equal(take(&set, "bytes", 1999, true, 20000), 1);
  assert_string_equal(refused.text, "\"bytes\" is a counter and fell from 2000 to 1999");
  assert_null(figure(&set, "bytes"));
  assert_int_equal(take(&set, "bytes", 2499, true, 25000), 0);
  assert_true(value_of(&set, "bytes") == 100);
  assert_int_equal(take(&set, "bytes", -1, true, 30000), 1);
  series_release(&set);
}

static void a_counter_read_twice_at_once_keeps_its_rate(void **state) {
  (void)state;
  struct series_set set = {0};
  take(&set, "bytes", 1000, true, 10000);
  take(&set, "bytes", 2000, true, 15000);
  assert_int_equal(take(&set, "bytes", 2300, true, 15000), 0);
  assert_true(value_of(&set, "bytes") == 200);
  assert_int_equal(take(&set, "bytes", 3000, true, 20000), 0);
  assert_true(value_of(&set, "bytes") == 200);
  series_release(&set);
}

static void what_is_no_figure_is_refused_alone(void **state) {
  (void)state;
  struct series_set set = {0};
  char longest[METRICS_NAME_SIZE + 1];
  memset(longest, 'x', sizeof longest);
  longest[METRICS_NAME_SIZE] = '\0';
  struct source_value values[] = {{"good", -1e300, false},   {"", 1, false},      {"a\nb", 1, false},
                                  {longest, 1, false},       {"nan", NAN, false}, {"inf", INFINITY, false},
                                  {"huge", -1.1e300, false}, {"fine", 7, false}};
  assert_int_equal(series_take(&set, values, 8, &nobody, 1000, 1000000, &refused), 6);
  assert_string_equal(refused.text, "a figure has no name of 1 to 303 bytes without control characters");
  assert_true(value_of(&set, "good") == -1e300 && value_of(&set, "fine") == 7);
  assert_int_equal(record.count, 2);
  longest[METRICS_NAME_SIZE - 1] = '\0';
  assert_int_equal(take(&set, longest, 1, false, 2000), 0);
  assert_int_equal(take(&set, longest, NAN, false, 3000), 1);
  assert_null(figure(&set, longest));
  series_release(&set);
}

static void at_most_64_figures_are_taken(void **state) {
  (void)state;
  struct series_set set = {0};
  struct source_value values[METRICS_MOST + 1];
  char names[METRICS_MOST + 1][8];
  for (int round = 0; round < 3; round++) {
    for (unsigned i = 0; i <= METRICS_MOST; i++) {
      snprintf(names[i], sizeof names[i], "m%d.%u", round % 2, i);
      values[i] = (struct source_value){names[i], i, false};
    }
    assert_int_equal(series_take(&set, values, METRICS_MOST + 1, &nobody, 1000, 1000000, &refused), 1);
    assert_string_equal(refused.text, "there are more than 64 figures");
    figure(&set, "");
    assert_int_equal(record.count, METRICS_MOST);
  }
  series_release(&set);
}

static void views_are_worked_out_where_a_load_section_looks(void **state) {
  (void)state;
  struct config_load_metric metrics[] = {{.name = "a", .source = METRICS_SCRAPE, .view = VIEW_MEAN},
                                         {.name = "b", .source = METRICS_SCRAPE, .view = VIEW_LAST},
                                         {.name = "c", .source = METRICS_SNMP, .view = VIEW_PEAK},
                                         {.name = "d", .source = METRICS_SOURCES, .view = VIEW_RATE}};
  struct config_load load = {.window_ms = 60000, .metrics = metrics, .metric_count = 4};
  struct series_view view = {&load, METRICS_SCRAPE};
  struct series_set set = {0};
  for (int i = 0; i < 3; i++) {
    double value = 10 * i;
    struct source_value values[] = {{"a", value, false}, {"b", value, false}, {"c", value, false}, {"d", value, false}};
    series_take(&set, values, 4, &view, 1000 + 1000 * i, 0, NULL);
  }
  assert_false(figure(&set, "b")->has_views);
  assert_false(figure(&set, "c")->has_views);
  assert_true(figure(&set, "d")->has_views && figure(&set, "d")->rate == 10);
  const struct metric_value *a = figure(&set, "a");
  assert_true(a->has_views && a->mean == 5 && a->peak == 20 && a->p95 == 20);
  struct source_value one = {"a", 1, false};
  series_take(&set, &one, 1, &nobody, 5000, 0, NULL);
  assert_false(figure(&set, "a")->has_views);
  series_release(&set);
}

static void stored_figures_are_remembered(void **state) {
  (void)state;
  struct series_set set = {0};
  struct metrics_record stored = {.at_ms = 5, .count = 1, .values = {{.name = "a", .value = 3}}};
  series_remember(&set, &stored, &nobody);
  assert_int_equal(set.at_ms, 5);
  assert_true(value_of(&set, "a") == 3);
  take(&set, "b", 1, false, 10);
  assert_null(figure(&set, "a"));
  series_release(&set);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_reading_replaces_what_was_there),
      cmocka_unit_test(a_counter_gives_its_growth_a_second),
      cmocka_unit_test(a_counter_that_began_anew_grew_by_its_new_value),
      cmocka_unit_test(a_counter_that_only_fell_is_refused_and_goes_on_from_there),
      cmocka_unit_test(a_counter_read_twice_at_once_keeps_its_rate),
      cmocka_unit_test(what_is_no_figure_is_refused_alone),
      cmocka_unit_test(at_most_64_figures_are_taken),
      cmocka_unit_test(views_are_worked_out_where_a_load_section_looks),
      cmocka_unit_test(stored_figures_are_remembered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
