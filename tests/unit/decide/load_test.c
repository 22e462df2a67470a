#include "gslb/decide/load.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 3u

struct group { /* three members that report cpu and memory each 10 s */
  struct config_load_metric metrics[2];
  struct config_load load;
  struct config_member configured[MEMBERS];
  struct config_service service;
  struct metrics_record records[MEMBERS];
  struct member_facts members[MEMBERS];
  struct service_facts facts;
  struct arena arena;
  struct load_figure *figures;
};

static void tell(struct group *group, size_t member, int64_t at_ms, double cpu, double mem) {
  struct metrics_record *record = &group->records[member];
  *record = (struct metrics_record){.at_ms = at_ms, .interval_ms = 10000, .count = 2};
  strcpy(record->values[0].name, "cpu");
  record->values[0].value = cpu;
  strcpy(record->values[1].name, "mem");
  record->values[1].value = mem;
  group->members[member].metrics[METRICS_AGENT] = record;
}

static int set_up(void **state) {
  struct group *group = calloc(1, sizeof *group);
  *state = group;
  group->metrics[0] = (struct config_load_metric){.name = "cpu", .source = METRICS_SOURCES, .weight = 3, .ceiling = 1};
  group->metrics[1] = (struct config_load_metric){.name = "mem", .source = METRICS_SOURCES, .weight = 1, .ceiling = 8};
  group->load = (struct config_load){.metrics = group->metrics, .metric_count = 2};
  group->service = (struct config_service){.members = group->configured, .member_count = MEMBERS};
  group->facts = (struct service_facts){.service = &group->service, .members = group->members};
  return 0;
}

static int tear_down(void **state) {
  struct group *group = *state;
  arena_release(&group->arena);
  free(group);
  return 0;
}

static void evaluate(struct group *group, int64_t now_ms) {
  load_evaluate(&group->load, &group->facts, now_ms, &group->arena, &group->figures);
}

static void near(double value, double expected) {
  if (fabs(value - expected) > 1e-12)
    fail_msg("%.15g, not %.15g", value, expected);
}

static void freshness_follows_the_table(void **state) {
  (void)state;
  static const struct {
    int64_t age_ms;
    double freshness;
  } rows[] = {{0, 1},       {15000, 1},   {18000, 0.8}, {22500, 0.5}, {27000, 0.2},
              {30000, 0.0}, {99999, 0.0}, {100000, -1}, {1000000, -1}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    near(load_freshness(rows[i].age_ms, 10000), rows[i].freshness);
  near(load_freshness(15000, 0), 1); /* an interval that was not told counts as 10 s */
}

/* (3 * 0.8 / 1 + 1 * 2 / 8) / 4 = (2.4 + 0.25) / 4 = 0.6625 */
static void load_is_the_weighted_mean_of_shares_of_ceilings(void **state) {
  struct group *group = *state;
  tell(group, 0, 1000, 0.8, 2);
  tell(group, 1, 1000, 0.4, 8);
  tell(group, 2, 1000, 1.2, 4);
  evaluate(group, 1000);
  near(group->figures[0].load, 0.6625);
  near(group->figures[1].load, (3 * 0.4 + 1.0) / 4);
  near(group->figures[2].load, (3 * 1.2 + 0.5) / 4); /* above its ceiling: above 1 */
  near(group->figures[0].terms[0].share, 3 * 0.8 / 4);
  near(group->figures[0].terms[1].share, 0.25 / 4);
  near(group->figures[0].terms[0].share + group->figures[0].terms[1].share, group->figures[0].load);
}

static void silence_never_looks_idle(void **state) {
  struct group *group = *state;
  tell(group, 0, 1000, 0.8, 2);
  tell(group, 1, 1000, 0.4, 8);
  evaluate(group, 1000);
  /* the third counts as the mean of the two: cpu 0.6, mem (0.25 + 1) / 2 */
  assert_true(group->figures[2].has_load);
  near(group->figures[2].load, (3 * 0.6 + 0.625) / 4);
  near(group->figures[2].terms[0].counted, 0.6);
}

static void a_figure_fades_to_the_mean_of_the_group(void **state) {
  struct group *group = *state;
  tell(group, 0, 0, 0.0, 0); /* 22.5 s old: counts half */
  tell(group, 1, 22500, 0.9, 0);
  evaluate(group, 22500);
  /* mean of cpu: (0.5 * 0 + 1 * 0.9) / 1.5 = 0.6; counted: 0.5 * 0 + 0.5 * 0.6 = 0.3 */
  near(group->figures[0].terms[0].freshness, 0.5);
  near(group->figures[0].terms[0].counted, 0.3);
  near(group->figures[0].load, 3 * 0.3 / 4);
}

static void what_is_ten_intervals_old_is_ignored(void **state) {
  struct group *group = *state;
  tell(group, 0, 0, 0.1, 0);
  evaluate(group, 99999);
  assert_true(group->figures[0].has_load); /* alone, its last word is all there is */
  near(group->figures[0].terms[0].counted, 0.1);
  evaluate(group, 100000);
  assert_false(group->figures[0].has_load);
}

static void an_absent_metric_leaves_both_sums(void **state) {
  struct group *group = *state;
  tell(group, 0, 1000, 0.8, 2);
  group->records[0].count = 1;
  evaluate(group, 1000);
  near(group->figures[0].load, 0.8);
  near(group->figures[1].load, 0.8);
}

static void more_may_be_better(void **state) {
  struct group *group = *state;
  group->metrics[1].is_more_better = true; /* free memory of 8 */
  tell(group, 0, 1000, 0.0, 2);
  evaluate(group, 1000);
  near(group->figures[0].terms[1].ratio, 0.75);
  near(group->figures[0].load, 0.75 / 4);
}

static void the_device_may_tell_its_ceiling(void **state) {
  struct group *group = *state;
  group->metrics[0].ceiling = 0;
  tell(group, 0, 1000, 50, 0);
  strcpy(group->records[0].values[1].name, "cpu_ceiling");
  group->records[0].values[1].value = 200;
  evaluate(group, 1000);
  near(group->figures[0].terms[0].ceiling, 200);
  near(group->figures[0].terms[0].ratio, 0.25);
}

static void views_are_taken_where_they_are_kept(void **state) {
  struct group *group = *state;
  tell(group, 0, 1000, 0.5, 0);
  struct metric_value *cpu = &group->records[0].values[0];
  *cpu = (struct metric_value){.name = "cpu",
                               .value = 0.5,
                               .has_views = true,
                               .mean = 0.4,
                               .peak = 0.9,
                               .p95 = 0.8,
                               .rate = 0.01};
  static const struct {
    enum metric_view view;
    double value;
  } rows[] = {{VIEW_LAST, 0.5}, {VIEW_MEAN, 0.4}, {VIEW_PEAK, 0.9}, {VIEW_P95, 0.8}, {VIEW_RATE, 0.01}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    group->metrics[0].view = rows[i].view;
    evaluate(group, 1000);
    near(group->figures[0].terms[0].value, rows[i].value);
  }
}

static void the_freshest_source_is_taken_unless_one_is_named(void **state) {
  struct group *group = *state;
  tell(group, 0, 1000, 0.5, 0);
  struct metrics_record snmp = {.at_ms = 2000, .interval_ms = 10000, .count = 1};
  strcpy(snmp.values[0].name, "cpu");
  snmp.values[0].value = 0.7;
  group->members[0].metrics[METRICS_SNMP] = &snmp;
  evaluate(group, 2000);
  near(group->figures[0].terms[0].value, 0.7);
  assert_int_equal(group->figures[0].terms[0].source, METRICS_SNMP);
  group->metrics[0].source = METRICS_AGENT;
  evaluate(group, 2000);
  near(group->figures[0].terms[0].value, 0.5);
}

static void thresholds_have_hysteresis(void **state) {
  struct group *group = *state;
  group->metrics[0].has_threshold = true;
  group->metrics[0].threshold = 0.9;
  group->metrics[0].release = 0.7;
  static const struct {
    double cpu;
    bool is_over;
  } rows[] = {{0.9, false}, {0.91, true}, {0.8, true}, {0.7, true}, {0.69, false}, {0.8, false}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    tell(group, 0, 1000, rows[i].cpu, 0);
    evaluate(group, 1000);
    assert_int_equal(group->figures[0].is_over, rows[i].is_over);
    group->members[0].load_over = group->figures[0].over;
  }
}

static void any_or_all_thresholds_decide(void **state) {
  struct group *group = *state;
  for (size_t i = 0; i < 2; i++) {
    group->metrics[i].has_threshold = true;
    group->metrics[i].threshold = group->metrics[i].release = i ? 4 : 0.5;
  }
  tell(group, 0, 1000, 0.6, 3);
  tell(group, 1, 1000, 0.6, 5);
  group->load.rule = THRESHOLD_ANY;
  evaluate(group, 1000);
  assert_true(group->figures[0].is_over);
  assert_true(group->figures[1].is_over);
  assert_false(group->figures[2].is_over); /* nothing is known of it */
  group->load.rule = THRESHOLD_ALL;
  evaluate(group, 1000);
  assert_false(group->figures[0].is_over);
  assert_true(group->figures[1].is_over);
  assert_int_equal(group->figures[1].over, 3);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(freshness_follows_the_table),
      TEST(load_is_the_weighted_mean_of_shares_of_ceilings),
      TEST(silence_never_looks_idle),
      TEST(a_figure_fades_to_the_mean_of_the_group),
      TEST(what_is_ten_intervals_old_is_ignored),
      TEST(an_absent_metric_leaves_both_sums),
      TEST(more_may_be_better),
      TEST(the_device_may_tell_its_ceiling),
      TEST(views_are_taken_where_they_are_kept),
      TEST(the_freshest_source_is_taken_unless_one_is_named),
      TEST(thresholds_have_hysteresis),
      TEST(any_or_all_thresholds_decide),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
