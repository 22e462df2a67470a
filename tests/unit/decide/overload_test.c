#include "gslb/decide/overload.h"

#include "tests/unit/decide/decided.h"

static struct decided *new_service(const char *load) {
  char *text = mem_format("services:\n"
                          "  - name: www.example.com\n"
                          "    load: %s\n"
                          "    members:\n"
                          "      - {name: one, addresses: [127.0.0.1, \"::1\"], weight: 10}\n"
                          "      - {name: two, addresses: [127.0.0.2], weight: 10}\n"
                          "      - {name: three, addresses: [127.0.0.3], weight: 10}\n",
                          load);
  struct decided *decided = decided_new(text);
  free(text);
  return decided;
}

static const char any_text[] = "{metrics: [{name: cpu, threshold: 0.9, release: 0.8}]}";
static const char prefer_text[] = "{rule: prefer, metrics: [{name: cpu, threshold: 0.9}]}";

static void tell_cpu(struct decided *decided, size_t member, double value) {
  decided_tell(decided, member, METRICS_SCRAPE, "cpu", value, 0);
}

static void load_leaves_headroom(void **state) {
  (void)state;
  struct decided *decided = new_service(any_text);
  tell_cpu(decided, 0, 0.25);
  tell_cpu(decided, 1, 1.5);
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_true(result->members[0].has_load && result->members[0].load == 0.25);
  assert_true(result->members[0].headroom == 0.75);
  assert_true(result->members[1].headroom == 0.0);
  assert_true(result->members[2].load == 0.875); /* the group's mean, since it is silent */
  assert_true(result->members[2].headroom == 0.125);
  decided_free(decided);
}

static void without_any_figure_there_is_no_load(void **state) {
  (void)state;
  struct decided *decided = new_service("{metrics: []}");
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_false(result->members[0].has_load);
  assert_true(result->members[0].headroom == 1.0);
  decided_tell(decided, 0, METRICS_AGENT, "cpu_utilization", 0.5, 0); /* a section without metrics looks at reports */
  assert_true(decided_evaluate(decided, 0)->members[0].load == 0.5);
  decided_free(decided);
}

static void member_over_its_threshold_is_left_out_while_others_are_there(void **state) {
  (void)state;
  struct decided *decided = new_service(any_text);
  tell_cpu(decided, 1, 0.95);
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_true(result->members[1].is_over);
  assert_false(result->members[1].is_answered);
  assert_int_equal(result->members[1].state, HEALTH_UP);
  assert_int_equal(result->answered_members, 2);
  assert_true(evaluate_next_latch(result, 1, 0, true)); /* it is as good as it was */
  assert_int_equal(evaluate_next_load_latch(result, 1), 1);
  tell_cpu(decided, 0, 0.95);
  tell_cpu(decided, 2, 0.95);
  result = decided_evaluate(decided, 0);
  assert_int_equal(result->answered_members, 3); /* all are over, so all are answered */
  decided_free(decided);
}

static void thresholds_have_memory(void **state) {
  (void)state;
  struct decided *decided = new_service(any_text);
  tell_cpu(decided, 1, 0.85);
  assert_false(decided_evaluate(decided, 0)->members[1].is_over);
  decided_member(decided, 0, 1)->load_over = 1;
  assert_true(decided_evaluate(decided, 0)->members[1].is_over);
  tell_cpu(decided, 1, 0.75);
  assert_false(decided_evaluate(decided, 0)->members[1].is_over);
  decided_free(decided);
}

static void only_source_of_a_family_stays_for_that(void **state) {
  (void)state;
  struct decided *decided = new_service(any_text);
  tell_cpu(decided, 0, 0.95);
  const struct member_state *member = &decided_evaluate(decided, 0)->members[0];
  assert_true(member->is_answered);
  assert_false(member->addresses[0].is_answered);
  assert_true(member->addresses[1].is_answered); /* nobody else has an IPv6 address */
  decided_free(decided);
}

static void draining_member_is_no_substitute(void **state) {
  (void)state;
  struct decided *decided = new_service(any_text);
  tell_cpu(decided, 0, 0.95);
  tell_cpu(decided, 1, 0.95);
  decided_member(decided, 0, 2)->override = &(const struct override_record){.kind = OVERRIDE_DRAIN};
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_true(result->members[0].is_answered && result->members[1].is_answered);
  assert_false(result->members[2].is_answered);
  decided_free(decided);
}

static void rule_prefer_only_ranks_behind(void **state) {
  (void)state;
  struct decided *decided = new_service(prefer_text);
  tell_cpu(decided, 1, 0.95);
  const struct member_state *member = &decided_evaluate(decided, 0)->members[1];
  assert_true(member->is_less_preferred && member->is_answered);
  assert_false(member->is_over);
  assert_true(member->headroom == 0.0);
  decided_free(decided);
}

static void evaluation_holds_until_a_figure_fades(void **state) {
  static const struct {
    int64_t age_ms, valid_for_ms;
  } rows[] = {{0, 15000},    {14500, 1000},  {15000, 15000}, {15001, 1000},       {25000, 1000},
              {29900, 1000}, {30000, 70000}, {99500, 1000},  {100000, INT64_MAX}, {5000000, INT64_MAX}};
  (void)state;
  struct decided *decided = new_service(any_text);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    decided_tell(decided, 0, METRICS_SCRAPE, "cpu", 0.5, rows[i].age_ms);
    int64_t valid_until_ms = decided_evaluate(decided, 0)->valid_until_ms;
    int64_t expected_ms = rows[i].valid_for_ms == INT64_MAX ? INT64_MAX : NOW_MS + rows[i].valid_for_ms;
    if (valid_until_ms != expected_ms)
      fail_msg("age %lld: %lld", (long long)rows[i].age_ms, (long long)(valid_until_ms - NOW_MS));
  }
  decided_free(decided);
}

static void agent_check_weighs_in_hundredths(void **state) {
  (void)state;
  struct decided *decided = new_service(any_text);
  decided_tell(decided, 0, METRICS_CHECK, "weight_percent", 25, 0);
  decided_tell(decided, 1, METRICS_CHECK, "weight_percent", 0, 0);
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_int_equal(result->members[0].weight, 250);
  assert_false(result->members[1].is_answered); /* as with weight 0: only when nothing else is left */
  assert_int_equal(result->members[2].weight, 1000);
  decided_free(decided);
}

static void agent_check_makes_a_state_worse(void **state) {
  (void)state;
  struct decided *decided = new_service(any_text);
  decided_tell(decided, 0, METRICS_CHECK, "weight_percent", 100, 0);
  struct metrics_record *record = arena_alloc(&decided->arena, sizeof *record);
  *record = (struct metrics_record){.at_ms = NOW_MS, .has_self = true, .self = HEALTH_DRAINING};
  decided_member(decided, 0, 1)->metrics[METRICS_CHECK] = record;
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_int_equal(result->members[0].state, HEALTH_UP);
  assert_int_equal(result->members[1].state, HEALTH_DRAINING);
  assert_int_equal(result->members[1].decided_by, INPUT_SELF);
  assert_true(result->members[1].is_self_checked);
  decided_member(decided, 0, 1)->override = &(const struct override_record){.kind = OVERRIDE_UP};
  assert_int_equal(decided_evaluate(decided, 0)->members[1].state, HEALTH_UP);
  decided_free(decided);
}

static void response_times_of_several_monitors_count_by_their_weights(void **state) {
  (void)state;
  struct decided *decided =
      decided_new("monitors:\n"
                  "  - {name: a, type: tcp, port: 1, weight: 3}\n"
                  "  - {name: b, type: tcp, port: 2}\n"
                  "  - {name: c, type: tcp, port: 3, weight: 0}\n"
                  "services:\n"
                  "  - name: www.example.com\n"
                  "    monitors: [a, b, c]\n"
                  "    load: {metrics: [{name: response_time_weighted_ms, source: probe, ceiling: 100}]}\n"
                  "    members: [{name: one, addresses: [127.0.0.1, 127.0.0.2]}]\n");
  static const uint32_t times_us[2][3] = {{20000, 80000, 1}, {40000, 0, 1}};
  for (size_t a = 0; a < 2; a++)
    for (size_t m = 0; m < 3; m++) {
      struct health_record *record = &decided_member(decided, 0, 0)->addresses[a].probes[m];
      record->state = HEALTH_UP;
      record->last_good_ms = times_us[a][m] ? NOW_MS : 0;
      record->rtt_mean_us = times_us[a][m];
    }
  /* (3 * (20 + 40) / 2 + 1 * 80) / 4 = 42.5 ms, of 100 */
  const struct member_state *member = &decided_evaluate(decided, 0)->members[0];
  assert_true(member->has_load && member->load > 0.425 - 1e-9 && member->load < 0.425 + 1e-9);
  decided_free(decided);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(load_leaves_headroom),
      cmocka_unit_test(without_any_figure_there_is_no_load),
      cmocka_unit_test(member_over_its_threshold_is_left_out_while_others_are_there),
      cmocka_unit_test(thresholds_have_memory),
      cmocka_unit_test(only_source_of_a_family_stays_for_that),
      cmocka_unit_test(draining_member_is_no_substitute),
      cmocka_unit_test(rule_prefer_only_ranks_behind),
      cmocka_unit_test(evaluation_holds_until_a_figure_fades),
      cmocka_unit_test(agent_check_weighs_in_hundredths),
      cmocka_unit_test(agent_check_makes_a_state_worse),
      cmocka_unit_test(response_times_of_several_monitors_count_by_their_weights),
  };
  return cmocka_run_group_tests_name("overload", tests, NULL, NULL);
}
