#include "discovery/registry/lease_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "discovery/registry/registry.h"

#define PERIOD 9000

static int setup(void **state) {
  *state = lease_table_new();
  return 0;
}

static int teardown(void **state) {
  lease_table_free(*state);
  return 0;
}

static struct lease *grant(struct lease_table *table, const char *id, int64_t period_ms, uint64_t epoch,
                           int64_t now_ms) {
  static const char *const services[] = {"app.example.com", "www.example.com"};
  struct lease_terms terms = {.owner = "app",
                              .site = "fra",
                              .revision = 1,
                              .epoch = epoch,
                              .period_ms = period_ms,
                              .services = services,
                              .service_count = 2};
  return lease_table_grant(table, id, &terms, now_ms);
}

/* What becomes of the one that is due; asserts that there is one. */
static enum lease_verdict end_one(struct lease_table *table, int64_t now_ms, bool passes) {
  struct lease_case found;
  assert_int_equal(lease_table_due(table, now_ms, &found, 1), 1);
  return lease_table_judge(table, &found, now_ms, passes);
}

static void lease_ends_at_its_end_and_not_a_millisecond_before(void **state) {
  struct lease_table *table = *state;
  struct lease *lease = grant(table, "a", PERIOD, 1, 1000);
  struct lease_case found;
  assert_int_equal(lease->record.end_ms, 10000);
  assert_int_equal(lease_table_next_ms(table), 10000);
  assert_int_equal(lease_table_due(table, 9999, &found, 1), 0);
  assert_int_equal(end_one(table, 10000, true), LEASE_NOW_ENDED);
  assert_int_equal(lease->record.state, LEASE_ENDED);
  assert_int_equal(lease->record.since_ms, 10000);
  assert_int_equal(lease->write, LEASE_WRITE_NOW);
  assert_int_equal(lease_table_count(table, LEASE_ENDED), 1);
}

static void ended_lease_is_removable_until_postponed(void **state) {
  struct lease_table *table = *state;
  struct lease *lease = grant(table, "a", PERIOD, 1, 0);
  assert_int_equal(end_one(table, PERIOD, false), LEASE_NOW_ENDED);
  assert_int_equal(end_one(table, PERIOD, false), LEASE_IS_REMOVABLE);
  assert_true(lease_table_next_ms(table) == INT64_MAX);
  lease_table_postpone(table, lease, PERIOD + 50);
  assert_int_equal(lease_table_next_ms(table), PERIOD + 50);
  assert_int_equal(end_one(table, PERIOD + 50, false), LEASE_IS_REMOVABLE);
  lease_table_drop(table, lease);
  assert_null(lease_table_find(table, "a"));
  assert_int_equal(lease_table_count(table, LEASE_ENDED), 0);
}

static void unlimited_lease_is_never_due(void **state) {
  struct lease *lease = grant(*state, "a", 0, 1, 1000);
  assert_int_equal(lease->record.end_ms, 0);
  assert_true(lease_table_next_ms(*state) == INT64_MAX);
}

static void renewal_moves_the_end(void **state) {
  struct lease_table *table = *state;
  struct lease *lease = grant(table, "a", PERIOD, 1, 0);
  assert_false(lease_table_renew(table, lease, 3000));
  assert_int_equal(lease->record.end_ms, 12000);
  assert_int_equal(lease_table_next_ms(table), 12000);
}

static void renewal_between_due_and_judgement_keeps_the_lease(void **state) {
  struct lease_table *table = *state;
  struct lease *lease = grant(table, "a", PERIOD, 1, 0);
  struct lease_case found;
  assert_int_equal(lease_table_due(table, PERIOD, &found, 1), 1);
  lease_table_renew(table, lease, PERIOD);
  assert_int_equal(lease_table_judge(table, &found, PERIOD, false), LEASE_KEPT);
  assert_int_equal(lease->record.state, LEASE_LIVE);
  assert_int_equal(lease_table_next_ms(table), 2 * PERIOD);
}

static void another_epoch_begins_anew_and_the_same_goes_on(void **state) {
  struct lease_table *table = *state;
  struct lease *lease = grant(table, "a", PERIOD, 1, 0);
  lease->record.sequence = 7;
  lease->record.self = HEALTH_DRAINING;
  assert_ptr_equal(grant(table, "a", PERIOD, 1, 10), lease);
  assert_int_equal(lease->record.sequence, 7);
  assert_int_equal(lease->record.self, HEALTH_DRAINING);
  grant(table, "a", PERIOD, 2, 20);
  assert_int_equal(lease->record.sequence, 0);
  assert_int_equal(lease->record.self, HEALTH_UNKNOWN);
  assert_int_equal(lease->record.since_ms, 20);
}

/* Four leases, of which the first three were last renewed at 0, 10 and 20. */
static void grant_four(struct lease_table *table, struct lease *leases[4]) {
  static const char *const ids[] = {"a", "b", "c", "d"};
  for (size_t i = 0; i < 4; i++)
    leases[i] = grant(table, ids[i], PERIOD, 1, (int64_t)i * 10);
  lease_table_renew(table, leases[3], PERIOD - PERIOD / 3 + 1);
}

static void lease_that_ends_with_most_others_becomes_stale_while_probes_pass(void **state) {
  struct lease_table *table = *state;
  struct lease *leases[4];
  grant_four(table, leases);
  assert_int_equal(end_one(table, PERIOD, true), LEASE_NOW_STALE);
  assert_int_equal(leases[0]->record.state, LEASE_STALE);
  assert_int_equal(leases[0]->record.since_ms, PERIOD);
  assert_int_equal(lease_table_next_ms(table), PERIOD + 10);
  assert_int_equal(end_one(table, PERIOD + 10, false), LEASE_NOW_ENDED);
}

static void two_silent_leases_are_too_few_for_doubt(void **state) {
  struct lease_table *table = *state;
  grant(table, "a", PERIOD, 1, 0);
  grant(table, "b", PERIOD, 1, 0);
  assert_int_equal(end_one(table, PERIOD, true), LEASE_NOW_ENDED);
}

static void half_of_the_leases_is_not_most(void **state) {
  struct lease_table *table = *state;
  char id[16];
  for (int i = 0; i < 6; i++) {
    snprintf(id, sizeof id, "a%d", i);
    struct lease *lease = grant(table, id, PERIOD, 1, 0);
    if (i >= 3)
      lease_table_renew(table, lease, PERIOD - 1);
  }
  assert_int_equal(end_one(table, PERIOD, true), LEASE_NOW_ENDED);
}

static void lease_with_more_than_a_third_left_is_not_silent(void **state) {
  struct lease_table *table = *state;
  grant(table, "a", PERIOD, 1, 0);
  struct lease *second = grant(table, "b", PERIOD, 1, 0), *third = grant(table, "c", PERIOD, 1, 0);
  lease_table_renew(table, second, PERIOD / 3 + 1);
  lease_table_renew(table, third, PERIOD / 3);
  struct lease_case found;
  assert_int_equal(lease_table_due(table, PERIOD, &found, 1), 1);
  assert_int_equal(found.doubts, 0);
  lease_table_judge(table, &found, PERIOD, true);

  /* one millisecond of silence more: all three, in both services */
  grant(table, "a", PERIOD, 2, 0);
  lease_table_renew(table, second, PERIOD / 3);
  assert_int_equal(lease_table_due(table, PERIOD, &found, 1), 1);
  assert_int_equal(found.doubts, 3);
  assert_int_equal(lease_table_judge(table, &found, PERIOD, true), LEASE_NOW_STALE);
}

static struct lease *make_stale(struct lease_table *table, struct lease *leases[4]) {
  grant_four(table, leases);
  assert_int_equal(end_one(table, PERIOD, true), LEASE_NOW_STALE);
  assert_int_equal(end_one(table, PERIOD + 10, true), LEASE_NOW_STALE);
  assert_int_equal(end_one(table, PERIOD + 20, true), LEASE_NOW_STALE);
  return leases[0];
}

static void stale_lease_is_live_again_when_renewed(void **state) {
  struct lease_table *table = *state;
  struct lease *leases[4], *lease = make_stale(table, leases);
  assert_true(lease_table_renew(table, lease, PERIOD + 500));
  assert_int_equal(lease->record.state, LEASE_LIVE);
  assert_int_equal(lease->record.end_ms, 2 * PERIOD + 500);
  assert_int_equal(lease_table_count(table, LEASE_STALE), 2);
}

static void stale_lease_ends_when_its_probes_fail_at_a_look(void **state) {
  struct lease_table *table = *state;
  struct lease *leases[4], *lease = make_stale(table, leases);
  assert_int_equal(lease_table_next_ms(table), PERIOD + LEASE_LOOK_MS);
  assert_int_equal(end_one(table, PERIOD + LEASE_LOOK_MS, false), LEASE_NOW_ENDED);
  assert_int_equal(lease->record.state, LEASE_ENDED);
}

static void stale_lease_ends_one_period_after_the_others_came_back(void **state) {
  struct lease_table *table = *state;
  struct lease *leases[4], *lease = make_stale(table, leases);
  lease_table_drop(table, leases[3]);
  int64_t now_ms = PERIOD + LEASE_LOOK_MS;
  assert_int_equal(end_one(table, now_ms, true), LEASE_KEPT); /* last seen in doubt */
  leases[1]->period_ms = leases[2]->period_ms = 0;
  lease_table_renew(table, leases[1], now_ms);
  lease_table_renew(table, leases[2], now_ms);
  int64_t over_ms = now_ms + PERIOD;
  for (now_ms += LEASE_LOOK_MS; now_ms < over_ms; now_ms += LEASE_LOOK_MS)
    assert_int_equal(end_one(table, now_ms, true), LEASE_KEPT);
  assert_int_equal(now_ms, over_ms);
  assert_int_equal(end_one(table, now_ms, true), LEASE_NOW_ENDED);
  assert_int_equal(lease->record.state, LEASE_ENDED);
}

static void stale_lease_ends_after_half_an_hour_at_the_latest(void **state) {
  struct lease_table *table = *state;
  struct lease *leases[4], *lease = make_stale(table, leases);
  lease_table_drop(table, leases[3]);
  leases[3] = NULL;
  int64_t last_ms = PERIOD + REGISTRY_STALE_MOST_MS;
  struct lease_case found;
  while (lease->record.state == LEASE_STALE) {
    int64_t now_ms = lease_table_next_ms(table);
    assert_true(now_ms <= last_ms);
    assert_int_equal(lease_table_due(table, now_ms, &found, 1), 1);
    lease_table_judge(table, &found, now_ms, true);
    if (found.lease == lease && now_ms < last_ms)
      assert_int_equal(lease->record.state, LEASE_STALE);
  }
  assert_int_equal(lease->record.since_ms, last_ms);
}

static void moved_lease_stays_while_its_probes_pass_and_ends_when_they_fail(void **state) {
  struct lease_table *table = *state;
  struct lease *lease = grant(table, "a", PERIOD, 1, 0);
  lease_table_move(table, lease);
  assert_int_equal(lease_table_moved(table), 1);
  assert_int_equal(end_one(table, PERIOD, true), LEASE_NOW_STALE);
  assert_int_equal(end_one(table, PERIOD + LEASE_LOOK_MS, true), LEASE_KEPT);
  assert_int_equal(end_one(table, PERIOD + 2 * LEASE_LOOK_MS, false), LEASE_NOW_ENDED);
  assert_int_equal(lease_table_moved(table), 0);
}

static void moved_lease_that_is_renewed_has_not_moved(void **state) {
  struct lease_table *table = *state;
  struct lease *lease = grant(table, "a", PERIOD, 1, 0);
  lease_table_move(table, lease);
  lease_table_renew(table, lease, 1);
  assert_int_equal(lease_table_moved(table), 0);
  assert_int_equal(end_one(table, PERIOD + 1, true), LEASE_NOW_ENDED);
  lease = grant(table, "b", PERIOD, 1, 0);
  lease_table_move(table, lease);
  lease_table_drop(table, lease);
  assert_int_equal(lease_table_moved(table), 0);
}

static void many_leases_come_in_the_order_of_their_ends(void **state) {
  struct lease_table *table = *state;
  char id[16];
  for (int i = 0; i < 2000; i++) {
    snprintf(id, sizeof id, "r%d", i);
    grant(table, id, 5000 + (i * 7919) % 3000, 1, 0);
  }
  for (int i = 0; i < 2000; i += 3) {
    snprintf(id, sizeof id, "r%d", i);
    lease_table_drop(table, lease_table_find(table, id));
  }
  for (int i = 1; i < 2000; i += 3) {
    snprintf(id, sizeof id, "r%d", i);
    lease_table_renew(table, lease_table_find(table, id), (i * 31) % 1000);
  }
  int64_t last_ms = 0;
  struct lease_case found;
  size_t count = 0;
  while (lease_table_due(table, INT64_MAX - 1, &found, 1) == 1) {
    assert_true(found.lease->record.end_ms >= last_ms);
    last_ms = found.lease->record.end_ms;
    count++;
  }
  assert_int_equal(count, 1333);
}

static void queue_keeps_order_and_the_more_urgent_wins(void **state) {
  struct lease_table *table = *state;
  struct lease *a = grant(table, "a", PERIOD, 1, 0), *b = grant(table, "b", PERIOD, 1, 0),
               *c = grant(table, "c", PERIOD, 1, 0);
  lease_table_queue(table, a, LEASE_WRITE_LATER);
  lease_table_queue(table, b, LEASE_WRITE_LATER);
  lease_table_queue(table, c, LEASE_WRITE_LATER);
  lease_table_queue(table, b, LEASE_WRITE_NOW);
  lease_table_queue(table, b, LEASE_WRITE_SOON);
  assert_int_equal(lease_table_queued(table, LEASE_WRITE_LATER), 2);
  assert_ptr_equal(lease_table_take(table, LEASE_WRITE_NOW), b);
  assert_null(lease_table_take(table, LEASE_WRITE_SOON));
  lease_table_drop(table, a);
  assert_ptr_equal(lease_table_take(table, LEASE_WRITE_LATER), c);
  assert_null(lease_table_take(table, LEASE_WRITE_LATER));
  lease_table_queue(table, c, LEASE_WRITE_LATER);
  assert_ptr_equal(lease_table_take(table, LEASE_WRITE_LATER), c);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(lease_ends_at_its_end_and_not_a_millisecond_before),
      T(ended_lease_is_removable_until_postponed),
      T(unlimited_lease_is_never_due),
      T(renewal_moves_the_end),
      T(renewal_between_due_and_judgement_keeps_the_lease),
      T(another_epoch_begins_anew_and_the_same_goes_on),
      T(lease_that_ends_with_most_others_becomes_stale_while_probes_pass),
      T(two_silent_leases_are_too_few_for_doubt),
      T(half_of_the_leases_is_not_most),
      T(lease_with_more_than_a_third_left_is_not_silent),
      T(stale_lease_is_live_again_when_renewed),
      T(stale_lease_ends_when_its_probes_fail_at_a_look),
      T(stale_lease_ends_one_period_after_the_others_came_back),
      T(stale_lease_ends_after_half_an_hour_at_the_latest),
      T(moved_lease_stays_while_its_probes_pass_and_ends_when_they_fail),
      T(moved_lease_that_is_renewed_has_not_moved),
      T(many_leases_come_in_the_order_of_their_ends),
      T(queue_keeps_order_and_the_more_urgent_wins),
  };
#undef T
  return cmocka_run_group_tests(tests, NULL, NULL);
}
