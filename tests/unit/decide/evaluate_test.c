#include "gslb/decide/evaluate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1000000)
#define MEMBERS 3

/* A service of three members with an IPv4 and an IPv6 address each, watched by one monitor (every second, rise 2,
 * fall 3); a test changes what it is about. */
struct house_of_three {
  struct arena arena;
  struct config config;
  struct config_monitor monitors[2];
  uint32_t watched[2];
  struct config_service service;
  struct config_member members[MEMBERS];
  struct addr addresses[MEMBERS][2];
  struct service_facts facts;
  struct member_facts member_facts[MEMBERS];
  struct lease_record leases[MEMBERS];
  struct address_facts address_facts[MEMBERS][2];
  struct health_record probes[MEMBERS][2][2];
  struct evaluation evaluation;
};

static void set_probe(struct house_of_three *house, int member, int address, enum health state, uint16_t streak) {
  house->probes[member][address][0].state = state;
  house->probes[member][address][0].streak = streak;
}

static void set_member(struct house_of_three *house, int member, enum health state) {
  set_probe(house, member, 0, state, 0);
  set_probe(house, member, 1, state, 0);
}

static int set_up(void **state) {
  struct house_of_three *house = mem_alloc(sizeof *house);
  house->monitors[0] = (struct config_monitor){.name = "m", .interval_ms = 1000, .rise = 2, .fall = 3, .weight = 1};
  house->monitors[1] = (struct config_monitor){.name = "n", .interval_ms = 1000, .rise = 2, .fall = 3, .weight = 1};
  house->watched[1] = 1;
  house->config.monitors = house->monitors;
  house->config.monitor_count = 2;
  house->service = (struct config_service){.name = "www.example.com",
                                           .ttl_min_s = 5,
                                           .ttl_max_s = 60,
                                           .answers = 1,
                                           .monitors = house->watched,
                                           .monitor_count = 1,
                                           .members = house->members,
                                           .member_count = MEMBERS};
  house->facts = (struct service_facts){.service = &house->service, .members = house->member_facts};
  for (int i = 0; i < MEMBERS; i++) {
    addr_parse("127.0.0.1", &house->addresses[i][0]);
    addr_parse("::1", &house->addresses[i][1]);
    house->members[i] =
        (struct config_member){.addresses = house->addresses[i], .address_count = 2, .weight = 10, .monitors = 3};
    house->member_facts[i].addresses = house->address_facts[i];
    for (int j = 0; j < 2; j++)
      house->address_facts[i][j].probes = house->probes[i][j];
    set_member(house, i, HEALTH_UP);
  }
  *state = house;
  return 0;
}

static int tear_down(void **state) {
  struct house_of_three *house = *state;
  arena_release(&house->arena);
  free(house);
  return 0;
}

static struct evaluation *evaluate(struct house_of_three *house) {
  evaluate_service(&house->config, &house->facts, NOW_MS, &house->arena, &house->evaluation);
  return &house->evaluation;
}

static void healthy_members_are_answered_with_the_longest_ttl(void **state) {
  struct evaluation *result = evaluate(*state);
  assert_int_equal(result->mode, SERVICE_NORMAL);
  assert_int_equal(result->answered_members, 3);
  assert_int_equal(result->ttl_s, 60);
  assert_true(result->valid_until_ms == INT64_MAX);
}

static void failing_address_leaves_its_family_only(void **state) {
  struct house_of_three *house = *state;
  set_probe(house, 0, 1, HEALTH_DOWN, 0);
  struct member_state *member = &evaluate(house)->members[0];
  assert_int_equal(member->state, HEALTH_DEGRADED);
  assert_true(member->addresses[0].is_answered);
  assert_false(member->addresses[1].is_answered);
}

static void member_is_down_when_all_its_addresses_are(void **state) {
  struct house_of_three *house = *state;
  set_member(house, 1, HEALTH_DOWN);
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->members[1].state, HEALTH_DOWN);
  assert_false(result->members[1].is_answered);
  assert_int_equal(result->answered_members, 2);
}

static void every_monitor_must_pass(void **state) {
  struct house_of_three *house = *state;
  house->service.monitor_count = 2;
  for (int i = 0; i < MEMBERS; i++)
    house->probes[i][0][1].state = house->probes[i][1][1].state = HEALTH_UP;
  house->probes[0][0][1].state = house->probes[0][1][1].state = HEALTH_DOWN;
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->members[0].state, HEALTH_DOWN);
  assert_int_equal(result->members[0].addresses[0].cause_monitor, 1);
  assert_int_equal(result->members[1].state, HEALTH_UP);
}

static void service_without_monitors_counts_as_up(void **state) {
  struct house_of_three *house = *state;
  house->service.monitor_count = 0;
  set_member(house, 0, HEALTH_DOWN);
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->members[0].state, HEALTH_UP);
  assert_int_equal(result->members[0].decided_by, INPUT_NONE);
  assert_int_equal(result->ttl_s, 60);
}

static void unknown_members_wait_while_one_is_up(void **state) {
  struct house_of_three *house = *state;
  set_member(house, 0, HEALTH_UNKNOWN);
  set_member(house, 1, HEALTH_UNKNOWN);
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->answered_members, 1);
  assert_true(result->members[2].is_answered);
  assert_int_equal(result->ttl_s, 5);
}

static void unknown_members_are_used_when_none_is_up(void **state) {
  struct house_of_three *house = *state;
  set_member(house, 0, HEALTH_UNKNOWN);
  set_member(house, 1, HEALTH_UNKNOWN);
  set_member(house, 2, HEALTH_DOWN);
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->mode, SERVICE_USES_UNKNOWN);
  assert_int_equal(result->answered_members, 2);
  assert_int_equal(result->ttl_s, 5);
}

static void all_down(struct house_of_three *house) {
  for (int i = 0; i < MEMBERS; i++)
    set_member(house, i, HEALTH_DOWN);
}

static void when_down_all_answers_all_but_those_an_operator_took(void **state) {
  struct house_of_three *house = *state;
  all_down(house);
  house->service.when_down = WHEN_DOWN_ALL;
  house->member_facts[1].override = &(const struct override_record){.kind = OVERRIDE_DOWN};
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->mode, SERVICE_DOWN_ALL);
  assert_int_equal(result->answered_members, 2);
  assert_false(result->members[1].is_answered);
  assert_int_equal(result->ttl_s, 5);
}

static void when_down_empty_answers_nothing(void **state) {
  struct house_of_three *house = *state;
  all_down(house);
  house->service.when_down = WHEN_DOWN_EMPTY;
  assert_int_equal(evaluate(house)->mode, SERVICE_DOWN_EMPTY);
  assert_int_equal(house->evaluation.answered_members, 0);
}

static void when_down_last_answers_the_last_good_addresses(void **state) {
  struct house_of_three *house = *state;
  all_down(house);
  house->service.when_down = WHEN_DOWN_LAST;
  house->address_facts[2][0].latch.last_good = true;
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->mode, SERVICE_DOWN_LAST);
  assert_int_equal(result->answered_members, 1);
  assert_true(result->members[2].addresses[0].is_answered);
  assert_false(result->members[2].addresses[1].is_answered);
}

static void when_down_last_without_a_last_set_answers_all(void **state) {
  struct house_of_three *house = *state;
  all_down(house);
  house->service.when_down = WHEN_DOWN_LAST;
  assert_int_equal(evaluate(house)->mode, SERVICE_DOWN_ALL);
}

static void operators_down_is_never_answered(void **state) {
  struct house_of_three *house = *state;
  const struct override_record down = {.kind = OVERRIDE_DOWN};
  for (int i = 0; i < MEMBERS; i++)
    house->member_facts[i].override = &down;
  house->service.when_down = WHEN_DOWN_ALL;
  assert_int_equal(evaluate(house)->mode, SERVICE_DOWN_EMPTY);
}

static void override_up_stands_in_for_failing_probes(void **state) {
  struct house_of_three *house = *state;
  set_member(house, 0, HEALTH_DOWN);
  house->member_facts[0].override = &(const struct override_record){.kind = OVERRIDE_UP};
  struct member_state *member = &evaluate(house)->members[0];
  assert_int_equal(member->state, HEALTH_UP);
  assert_int_equal(member->probe_state, HEALTH_DOWN);
  assert_int_equal(member->decided_by, INPUT_ADMIN);
  assert_true(member->addresses[1].is_answered);
}

static void draining_members_serve_only_when_no_other_is_left(void **state) {
  struct house_of_three *house = *state;
  house->member_facts[0].override = &(const struct override_record){.kind = OVERRIDE_DRAIN};
  assert_int_equal(evaluate(house)->answered_members, 2);
  set_member(house, 1, HEALTH_DOWN);
  set_member(house, 2, HEALTH_DOWN);
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->mode, SERVICE_USES_DRAINING);
  assert_true(result->members[0].is_answered);
  set_member(house, 0, HEALTH_DOWN);
  assert_int_equal(evaluate(house)->members[0].state, HEALTH_DOWN);
  assert_int_equal(house->evaluation.members[0].decided_by, INPUT_PROBE);
}

static void override_ends_at_its_time_and_says_when(void **state) {
  struct house_of_three *house = *state;
  struct override_record override = {.kind = OVERRIDE_DOWN, .until_ms = NOW_MS + 20000};
  house->member_facts[0].override = &override;
  struct evaluation *result = evaluate(house);
  assert_false(result->members[0].is_answered);
  assert_true(result->valid_until_ms == NOW_MS + 20000);
  assert_int_equal(result->ttl_s, 20);
  override.until_ms = NOW_MS;
  assert_true(evaluate(house)->members[0].is_answered);
  assert_true(house->evaluation.valid_until_ms == INT64_MAX);
}

static void ttl_follows_how_near_a_change_is(void **state) {
  struct house_of_three *house = *state;
  house->monitors[0].interval_ms = 10000;
  set_probe(house, 0, 0, HEALTH_UP, 1); /* two more failures, 20 s */
  assert_int_equal(evaluate(house)->ttl_s, 20);
  set_probe(house, 0, 0, HEALTH_UP, 2);
  assert_int_equal(evaluate(house)->ttl_s, 10);
  house->monitors[0].interval_ms = 1000;
  assert_int_equal(evaluate(house)->ttl_s, 5);
}

static void weight_zero_is_answered_only_when_nothing_else_is_left(void **state) {
  struct house_of_three *house = *state;
  house->members[0].weight = 0;
  assert_false(evaluate(house)->members[0].is_answered);
  set_member(house, 1, HEALTH_DOWN);
  set_member(house, 2, HEALTH_DOWN);
  struct evaluation *result = evaluate(house);
  assert_true(result->members[0].is_answered);
  assert_int_equal(result->members[0].weight, 1);
}

static void latch_follows_the_answers_while_healthy_and_keeps_while_down(void **state) {
  struct house_of_three *house = *state;
  set_probe(house, 0, 1, HEALTH_DOWN, 0);
  evaluate(house);
  assert_true(evaluate_next_latch(&house->evaluation, 0, 0, false));
  assert_false(evaluate_next_latch(&house->evaluation, 0, 1, true));
  all_down(house);
  evaluate(house);
  assert_true(evaluate_next_latch(&house->evaluation, 0, 0, true));
  assert_false(evaluate_next_latch(&house->evaluation, 0, 1, false));
}

static void register_member(struct house_of_three *house, int member, enum health self) {
  house->members[member].is_registered = true;
  house->leases[member] = (struct lease_record){.state = LEASE_LIVE, .self = self, .utilization = LEASE_NO_UTILIZATION};
  house->member_facts[member].lease = &house->leases[member];
}

static void monitor_that_does_not_apply_to_a_member_says_nothing_of_it(void **state) {
  struct house_of_three *house = *state;
  house->service.monitor_count = 2;
  house->members[0].monitors = 2; /* the second alone, which knows it as up */
  house->probes[0][0][1].state = house->probes[0][1][1].state = HEALTH_UP;
  house->members[1].monitors = 0;
  set_member(house, 0, HEALTH_DOWN);
  set_member(house, 1, HEALTH_DOWN);
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->members[0].state, HEALTH_UP);
  assert_int_equal(result->members[0].decided_by, INPUT_PROBE);
  assert_int_equal(result->members[0].addresses[0].cause_monitor, 1);
  assert_int_equal(result->members[1].state, HEALTH_UP);
  assert_int_equal(result->members[1].decided_by, INPUT_NONE);
}

static void registered_member_with_a_lease_is_as_its_probes_find_it(void **state) {
  struct house_of_three *house = *state;
  register_member(house, 0, HEALTH_UNKNOWN);
  register_member(house, 1, HEALTH_UP);
  set_member(house, 1, HEALTH_DOWN);
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->members[0].state, HEALTH_UP);
  assert_int_equal(result->members[0].decided_by, INPUT_PROBE);
  assert_true(result->members[0].has_lease);
  assert_int_equal(result->members[1].state, HEALTH_DOWN); /* whatever it says */
  assert_int_equal(result->members[1].decided_by, INPUT_PROBE);
  assert_true(result->members[2].has_lease);
  assert_true(result->members[2].headroom == 1.0);
}

static void registered_member_without_monitors_is_up_by_its_lease_or_its_word(void **state) {
  struct house_of_three *house = *state;
  register_member(house, 0, HEALTH_UNKNOWN);
  register_member(house, 1, HEALTH_UP);
  house->members[0].monitors = house->members[1].monitors = 0;
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->members[0].state, HEALTH_UP);
  assert_int_equal(result->members[0].decided_by, INPUT_LEASE);
  assert_int_equal(result->members[1].state, HEALTH_UP);
  assert_int_equal(result->members[1].decided_by, INPUT_SELF);
}

static void member_without_a_lease_is_down_and_never_answered(void **state) {
  static const enum when_down policies[] = {WHEN_DOWN_ALL, WHEN_DOWN_EMPTY, WHEN_DOWN_LAST};
  struct house_of_three *house = *state;
  for (int i = 0; i < MEMBERS; i++) {
    register_member(house, i, HEALTH_UP);
    house->address_facts[i][0].latch.last_good = true;
  }
  house->member_facts[0].lease = NULL;
  house->leases[1].state = LEASE_ENDED;
  house->leases[2].state = LEASE_ENDED;
  static const struct override_record up = {.kind = OVERRIDE_UP};
  house->member_facts[2].override = &up;
  for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
    house->service.when_down = policies[i];
    struct evaluation *result = evaluate(house);
    assert_int_equal(result->mode, SERVICE_DOWN_EMPTY);
    assert_int_equal(result->answered_members, 0);
    for (int m = 0; m < MEMBERS; m++) {
      assert_int_equal(result->members[m].state, HEALTH_DOWN);
      assert_int_equal(result->members[m].decided_by, INPUT_LEASE);
      assert_false(result->members[m].has_lease);
    }
    assert_int_equal(result->members[2].admin_state, HEALTH_UP);
  }
}

static void stale_lease_serves_and_is_told(void **state) {
  struct house_of_three *house = *state;
  register_member(house, 0, HEALTH_UNKNOWN);
  house->leases[0].state = LEASE_STALE;
  struct evaluation *result = evaluate(house);
  assert_true(result->members[0].is_stale);
  assert_true(result->members[0].is_answered);
  assert_false(result->members[1].is_stale);
}

static void member_that_drains_itself_serves_only_when_no_other_is_left(void **state) {
  struct house_of_three *house = *state;
  register_member(house, 0, HEALTH_DRAINING);
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->members[0].state, HEALTH_DRAINING);
  assert_int_equal(result->members[0].decided_by, INPUT_SELF);
  assert_false(result->members[0].is_answered);
  set_member(house, 1, HEALTH_DOWN);
  set_member(house, 2, HEALTH_DOWN);
  assert_int_equal(evaluate(house)->mode, SERVICE_USES_DRAINING);
  set_member(house, 0, HEALTH_DOWN);
  assert_int_equal(evaluate(house)->members[0].decided_by, INPUT_PROBE);
}

static void maintenance_is_kept_whatever_when_down_says(void **state) {
  struct house_of_three *house = *state;
  register_member(house, 0, HEALTH_DOWN);
  set_member(house, 1, HEALTH_DOWN);
  set_member(house, 2, HEALTH_DOWN);
  house->service.when_down = WHEN_DOWN_ALL;
  house->member_facts[0].override =
      &(const struct override_record){.kind = OVERRIDE_DRAIN}; /* does not make it better */
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->members[0].state, HEALTH_DOWN);
  assert_int_equal(result->members[0].decided_by, INPUT_SELF);
  assert_int_equal(result->mode, SERVICE_DOWN_ALL);
  assert_false(result->members[0].is_answered);
  assert_int_equal(result->answered_members, 2);
}

static void operators_up_stands_in_for_what_a_member_says(void **state) {
  struct house_of_three *house = *state;
  register_member(house, 0, HEALTH_DOWN);
  house->member_facts[0].override = &(const struct override_record){.kind = OVERRIDE_UP};
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->members[0].state, HEALTH_UP);
  assert_int_equal(result->members[0].self_state, HEALTH_DOWN);
  assert_true(result->members[0].is_answered);
}

static void headroom_is_what_a_report_leaves(void **state) {
  static const struct {
    double utilization, headroom;
  } cases[] = {{0.25, 0.75}, {0.0, 1.0}, {1.0, 0.0}, {1.7, 0.0}, {LEASE_NO_UTILIZATION, 1.0}};
  struct house_of_three *house = *state;
  register_member(house, 0, HEALTH_UNKNOWN);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    house->leases[0].utilization = cases[i].utilization;
    assert_true(evaluate(house)->members[0].headroom == cases[i].headroom);
  }
}

static void service_without_members_is_empty(void **state) {
  struct house_of_three *house = *state;
  house->service.member_count = 0;
  house->service.when_down = WHEN_DOWN_ALL;
  struct evaluation *result = evaluate(house);
  assert_int_equal(result->mode, SERVICE_DOWN_EMPTY);
  assert_int_equal(result->ttl_s, 5);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(healthy_members_are_answered_with_the_longest_ttl),
      CASE(failing_address_leaves_its_family_only),
      CASE(member_is_down_when_all_its_addresses_are),
      CASE(every_monitor_must_pass),
      CASE(service_without_monitors_counts_as_up),
      CASE(unknown_members_wait_while_one_is_up),
      CASE(unknown_members_are_used_when_none_is_up),
      CASE(when_down_all_answers_all_but_those_an_operator_took),
      CASE(when_down_empty_answers_nothing),
      CASE(when_down_last_answers_the_last_good_addresses),
      CASE(when_down_last_without_a_last_set_answers_all),
      CASE(operators_down_is_never_answered),
      CASE(override_up_stands_in_for_failing_probes),
      CASE(draining_members_serve_only_when_no_other_is_left),
      CASE(override_ends_at_its_time_and_says_when),
      CASE(ttl_follows_how_near_a_change_is),
      CASE(weight_zero_is_answered_only_when_nothing_else_is_left),
      CASE(latch_follows_the_answers_while_healthy_and_keeps_while_down),
      CASE(monitor_that_does_not_apply_to_a_member_says_nothing_of_it),
      CASE(registered_member_with_a_lease_is_as_its_probes_find_it),
      CASE(registered_member_without_monitors_is_up_by_its_lease_or_its_word),
      CASE(member_without_a_lease_is_down_and_never_answered),
      CASE(stale_lease_serves_and_is_told),
      CASE(member_that_drains_itself_serves_only_when_no_other_is_left),
      CASE(maintenance_is_kept_whatever_when_down_says),
      CASE(operators_up_stands_in_for_what_a_member_says),
      CASE(headroom_is_what_a_report_leaves),
      CASE(service_without_members_is_empty),
  };
  return cmocka_run_group_tests_name("evaluate", tests, NULL, NULL);
}
