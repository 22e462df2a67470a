#include "gslb/decide/votes.h"

#include "tests/unit/decide/decided.h"

#define CALM INT64_MAX

static void weights_of_passing_votes_reach_the_threshold(void **state) {
  (void)state;
  static const struct {
    enum health states[3];
    uint64_t threshold;
    enum health result;
  } rows[] = {
      /* weights 3, 2, 1 */
      {{HEALTH_UP, HEALTH_UP, HEALTH_UP}, 6, HEALTH_UP},
      {{HEALTH_UP, HEALTH_UP, HEALTH_DOWN}, 6, HEALTH_DOWN},
      {{HEALTH_UP, HEALTH_DOWN, HEALTH_DOWN}, 3, HEALTH_UP},
      {{HEALTH_DOWN, HEALTH_UP, HEALTH_UP}, 3, HEALTH_UP},
      {{HEALTH_DOWN, HEALTH_UP, HEALTH_DOWN}, 3, HEALTH_DOWN},
      {{HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN}, 3, HEALTH_UNKNOWN},
      {{HEALTH_DOWN, HEALTH_UP, HEALTH_UNKNOWN}, 4, HEALTH_DOWN}, /* 2 + 1 cannot reach it any more */
      {{HEALTH_UP, HEALTH_UNKNOWN, HEALTH_UNKNOWN}, 3, HEALTH_UP},
      {{HEALTH_DRAINING, HEALTH_UP, HEALTH_UP}, 4, HEALTH_DOWN},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct vote votes[3];
    for (uint32_t v = 0; v < 3; v++)
      votes[v] = (struct vote){rows[i].states[v], 3 - v, CALM};
    assert_int_equal(votes_state(votes, 3, rows[i].threshold), rows[i].result);
  }
  assert_int_equal(votes_state(NULL, 0, 1), HEALTH_DOWN);
}

static void change_is_near_only_when_enough_could_turn(void **state) {
  (void)state;
  struct vote votes[] = {{HEALTH_UP, 1, 9000}, {HEALTH_UP, 1, 2000}, {HEALTH_UP, 1, CALM}};
  assert_true(votes_change_in_ms(votes, 3, 3) == 2000); /* one failing is enough */
  assert_true(votes_change_in_ms(votes, 3, 2) == 9000); /* two must */
  assert_true(votes_change_in_ms(votes, 3, 1) == CALM);
  struct vote down[] = {{HEALTH_DOWN, 1, 4000}, {HEALTH_DOWN, 1, CALM}, {HEALTH_UP, 1, 1000}};
  assert_true(votes_change_in_ms(down, 3, 2) == 4000);
  assert_true(votes_change_in_ms(down, 3, 3) == CALM);
  struct vote unknown[] = {{HEALTH_UNKNOWN, 1, 5000}, {HEALTH_UP, 0, 1000}};
  assert_true(votes_change_in_ms(unknown, 2, 1) == 5000);
}

static const char weighted_text[] =
    "monitors:\n"
    "  - {name: big, type: tcp, port: 1, interval: 2s, timeout: 1s, weight: 3, rise: 2, fall: 3}\n"
    "  - {name: mid, type: tcp, port: 2, interval: 2s, timeout: 1s, weight: 2, rise: 2, fall: 3}\n"
    "  - {name: low, type: tcp, port: 3, interval: 2s, timeout: 1s, rise: 2, fall: 3, starts_as: up}\n"
    "services:\n"
    "  - name: www.example.com\n"
    "    monitors: [big, mid, low]\n"
    "    threshold: 3\n"
    "    members:\n"
    "      - {name: one, addresses: [127.0.0.1]}\n"
    "      - {name: two, addresses: [127.0.0.2], threshold: 5}\n";

static void each_member_has_its_threshold_or_the_services(void **state) {
  (void)state;
  struct decided *decided = decided_new(weighted_text);
  for (size_t m = 0; m < 2; m++) {
    decided_probe(decided, 0, m, 0, HEALTH_DOWN, 0);
    decided_probe(decided, 0, m, 1, HEALTH_UP, 0);
    decided_probe(decided, 0, m, 2, HEALTH_UP, 0);
  }
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_int_equal(result->members[0].state, HEALTH_UP); /* 2 + 1 = 3 */
  assert_int_equal(result->members[0].addresses[0].cause_monitor, 1);
  assert_int_equal(result->members[1].state, HEALTH_DOWN);
  assert_int_equal(result->members[1].addresses[0].cause_monitor, 0);
  decided_free(decided);
}

static void monitor_without_results_says_what_it_starts_as(void **state) {
  (void)state;
  struct decided *decided = decided_new(weighted_text);
  decided_probe(decided, 0, 0, 1, HEALTH_UP, 0);
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_int_equal(result->members[0].state, HEALTH_UP); /* low counts as passing */
  assert_int_equal(result->members[1].state, HEALTH_UNKNOWN);
  decided_free(decided);
}

static void ttl_follows_the_votes_that_matter(void **state) {
  (void)state;
  struct decided *decided = decided_new(weighted_text);
  for (size_t m = 0; m < 2; m++)
    for (size_t i = 0; i < 3; i++)
      decided_probe(decided, 0, m, i, HEALTH_UP, 0);
  decided_probe(decided, 0, 0, 2, HEALTH_UP, 1); /* low may fail in 4 s, which leaves 3 + 2 */
  assert_int_equal(decided_evaluate(decided, 0)->members[0].change_in_ms, INT64_MAX);
  decided_probe(decided, 0, 1, 1, HEALTH_UP, 2); /* mid may fail in 2 s, which leaves 3 + 1 of 5 */
  assert_int_equal(decided_evaluate(decided, 0)->members[1].change_in_ms, 2000);
  decided_free(decided);
}

static const char decided_text[] = "monitors:\n"
                                   "  - {name: a, type: tcp, port: 1, weight: 0}\n"
                                   "  - {name: b, type: tcp, port: 2, weight: 0}\n"
                                   "  - {name: c, type: tcp, port: 3, weight: 0}\n"
                                   "  - {name: two-of, type: calculated, of: [a, b, c], least: 2}\n"
                                   "  - {name: base, type: service, service: db.example.com, least: 2}\n"
                                   "services:\n"
                                   "  - name: www.example.com\n"
                                   "    monitors: [a, b, c, two-of, base]\n"
                                   "    members: [{name: one, addresses: [127.0.0.1]}]\n"
                                   "  - name: db.example.com\n"
                                   "    members:\n"
                                   "      - {name: x, addresses: [127.0.0.3]}\n"
                                   "      - {name: y, addresses: [127.0.0.4]}\n";

static void calculated_monitor_counts_those_it_names(void **state) {
  (void)state;
  struct decided *decided = decided_new(decided_text);
  decided_probe(decided, 0, 0, 0, HEALTH_UP, 0);
  decided_probe(decided, 0, 0, 1, HEALTH_DOWN, 0);
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_int_equal(result->members[0].state, HEALTH_UNKNOWN);
  decided_probe(decided, 0, 0, 2, HEALTH_UP, 0);
  assert_int_equal(decided_evaluate(decided, 0)->members[0].state, HEALTH_UP);
  decided_probe(decided, 0, 0, 0, HEALTH_DOWN, 0);
  result = decided_evaluate(decided, 0);
  assert_int_equal(result->members[0].state, HEALTH_DOWN);
  const struct health_record *record = evaluate_record(facts_service(decided->facts, 0), result, 0, 0, 3);
  assert_string_equal(record->reason, "1 of 3 monitors pass, 2 are needed");
  assert_ptr_equal(record, result->members[0].addresses[0].cause);
  decided_free(decided);
}

static void service_monitor_follows_the_members_of_the_other(void **state) {
  (void)state;
  struct decided *decided = decided_new(decided_text);
  for (size_t i = 0; i < 3; i++)
    decided_probe(decided, 0, 0, i, HEALTH_UP, 0);
  assert_int_equal(decided_evaluate(decided, 0)->members[0].state, HEALTH_UP);
  const struct override_record override = {.kind = OVERRIDE_DOWN, .until_ms = NOW_MS + 7000};
  decided_member(decided, 1, 1)->override = &override;
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_int_equal(result->members[0].state, HEALTH_DOWN);
  assert_string_equal(result->members[0].addresses[0].cause->reason, "1 of 2 members are up, 2 are needed");
  assert_true(result->valid_until_ms == NOW_MS + 7000); /* the other's override ends then */
  decided_free(decided);
}

static void monitors_that_only_measure_decide_nothing(void **state) {
  (void)state;
  struct decided *decided = decided_new("monitors: [{name: a, type: tcp, port: 1, weight: 0}]\n"
                                        "services:\n"
                                        "  - {name: www.example.com, monitors: [a],\n"
                                        "     members: [{name: one, addresses: [127.0.0.1]}]}\n");
  decided_probe(decided, 0, 0, 0, HEALTH_DOWN, 0);
  const struct evaluation *result = decided_evaluate(decided, 0);
  assert_int_equal(result->members[0].state, HEALTH_UP);
  assert_int_equal(result->members[0].decided_by, INPUT_NONE);
  decided_free(decided);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weights_of_passing_votes_reach_the_threshold),
      cmocka_unit_test(change_is_near_only_when_enough_could_turn),
      cmocka_unit_test(each_member_has_its_threshold_or_the_services),
      cmocka_unit_test(monitor_without_results_says_what_it_starts_as),
      cmocka_unit_test(ttl_follows_the_votes_that_matter),
      cmocka_unit_test(calculated_monitor_counts_those_it_names),
      cmocka_unit_test(service_monitor_follows_the_members_of_the_other),
      cmocka_unit_test(monitors_that_only_measure_decide_nothing),
  };
  return cmocka_run_group_tests_name("votes of monitors", tests, NULL, NULL);
}
