#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "discovery/registry/report.h"

static struct config_load_metric metrics[] = {{.name = "cpu_utilization", .source = METRICS_SOURCES, .view = VIEW_MEAN},
                                              {.name = "eps", .source = METRICS_AGENT, .view = VIEW_LAST},
                                              {.name = "mem_utilization", .source = METRICS_SNMP, .view = VIEW_PEAK}};
static struct config_load loads[] = {{.window_ms = 10000, .metrics = metrics, .metric_count = 3}};
static struct config_service services[] = {
    {.name = "app.example.com", .pattern = CONFIG_NO_PATTERN},
    {.name = "*.apps.example.com", .pattern = CONFIG_NO_PATTERN},
    {.name = "own.apps.example.com", .pattern = CONFIG_NO_PATTERN, .load = CONFIG_NO_LOAD},
    {.name = "", .pattern = 1},
};
static const struct config config = {.services = services, .service_count = 4, .loads = loads, .load_count = 1};
static const char *const names[] = {"www.example.com", "app.example.com"};

static struct metrics_record back;

static void take(struct reports *reports, const struct report_wishes *wishes, double value, int64_t at_ms) {
  struct metrics_record told = {.count = 3,
                                .values = {{"cpu_utilization", value}, {"eps", value}, {"mem_utilization", value}}};
  size_t size;
  uint8_t *row = reports_take(reports, &told, wishes, names, 2, at_ms, 5000, &size);
  assert_int_equal(metrics_decode(row, size, &back), STATUS_OK);
  free(row);
}

static void services_and_patterns_have_their_load_section(void **state) {
  (void)state;
  struct report_wishes *wishes = report_wishes_new(&config);
  assert_true(report_wishes_load(wishes, "app.example.com"));
  assert_true(report_wishes_load(wishes, "a.apps.example.com"));
  assert_false(report_wishes_load(wishes, "own.apps.example.com"));
  assert_false(report_wishes_load(wishes, "www.example.com"));
  report_wishes_free(wishes);
  wishes = report_wishes_new(&(struct config){.services = services, .service_count = 3});
  assert_false(report_wishes_load(wishes, "own.apps.example.com"));
  report_wishes_free(wishes);
}

static void figures_that_are_looked_at_over_time_have_views(void **state) {
  (void)state;
  struct report_wishes *wishes = report_wishes_new(&config);
  struct reports reports = {0};
  take(&reports, wishes, 1, 1000);
  take(&reports, wishes, 3, 2000);
  take(&reports, wishes, 5, 3000);
  assert_int_equal(back.count, 3);
  assert_int_equal(back.at_ms, 3000);
  assert_int_equal(back.interval_ms, 5000);
  assert_int_equal(back.read, 3);
  assert_true(back.values[0].has_views && back.values[0].value == 5);
  assert_true(back.values[0].mean == 2 && back.values[0].peak == 5 && back.values[0].rate == 2);
  assert_false(back.values[1].has_views || back.values[2].has_views);
  /* what is older than the window is gone */
  take(&reports, wishes, 7, 30000);
  assert_true(back.values[0].mean == 7 && back.values[0].peak == 7);
  reports_release(&reports);
  report_wishes_free(wishes);
}

static void what_nobody_looks_at_any_more_is_forgotten(void **state) {
  (void)state;
  struct report_wishes *wishes = report_wishes_new(&config), *none = report_wishes_new(&(struct config){0});
  struct reports reports = {0};
  take(&reports, wishes, 1, 1000);
  assert_int_equal(reports.count, 1);
  take(&reports, none, 3, 2000);
  assert_int_equal(reports.count, 0);
  assert_false(back.values[0].has_views);
  take(&reports, wishes, 5, 3000);
  assert_true(back.values[0].mean == 5);
  reports_release(&reports);
  report_wishes_free(wishes);
  report_wishes_free(none);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(services_and_patterns_have_their_load_section),
      cmocka_unit_test(figures_that_are_looked_at_over_time_have_views),
      cmocka_unit_test(what_nobody_looks_at_any_more_is_forgotten),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
