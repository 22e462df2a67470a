#include "zones/tables/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/model/facts.h"
#include "tests/unit/zones/small_book.h"

enum { ONE, TWO, FAR };

static const char services_text[] =
    "sites: [{name: fra}, {name: nyc}]\n"
    "services:\n"
    "  - name: www.example.com\n"
    "    srv: _http._tcp\n"
    "    load: {metrics: [{name: cpu, threshold: 0.9}]}\n"
    "    members:\n"
    "      - {name: one, addresses: [127.0.0.1, \"::1\"]}\n"
    "      - {name: two, addresses: [127.0.0.2], srv_port: 80}\n"
    "      - {name: far, addresses: [127.0.0.3], srv_port: 80, tier: 1}\n"
    "  - name: pre.example.com\n"
    "    srv: _http._tcp\n"
    "    load: {rule: prefer, metrics: [{name: cpu, threshold: 0.9}]}\n"
    "    members:\n"
    "      - {name: one, addresses: [127.0.0.1, \"::1\"]}\n"
    "      - {name: two, addresses: [127.0.0.2], srv_port: 80}\n"
    "      - {name: far, addresses: [127.0.0.3], srv_port: 80, tier: 1}\n"
    "  - name: all.example.com\n"
    "    method: all\n"
    "    load: {rule: prefer, metrics: [{name: cpu, threshold: 0.9}]}\n"
    "    members: [{name: one, addresses: [127.0.0.1]}, {name: two, addresses: [127.0.0.2]}]\n";
static const char zone_text[] = "@ 300 SOA ns1 host 1 2 3 4 300\n@ 300 NS ns1\nns1 300 A 127.0.0.9\n";

static int setup(void **state) {
  struct small_book *small = mem_alloc(sizeof *small);
  small_book_make(small, services_text, zone_text);
  *state = small;
  return 0;
}

static int teardown(void **state) {
  small_book_release(*state);
  free(*state);
  return 0;
}

/* The table while these members (bit by bit) are over. */
static struct table *build(struct small_book *small, size_t service, unsigned over) {
  struct arena arena = {0};
  struct evaluation evaluation;
  struct metrics_record record = {.at_ms = 1000, .count = 1, .values = {{.name = "cpu", .value = 0.95}}};
  const struct service_facts *facts = facts_service(small->facts, service);
  for (size_t i = 0; i < facts->service->member_count; i++)
    facts->members[i].metrics[METRICS_SCRAPE] = over >> i & 1u ? &record : NULL;
  evaluate_service(small->config, facts, 1000, &arena, &evaluation);
  struct table *table = table_build(facts->service, facts, &evaluation, NULL);
  arena_release(&arena);
  return table;
}

/* Which members may be drawn, bit by bit. */
static unsigned drawn_from(const struct table *table, enum table_type type) {
  const struct table_set *set = &table->views[0].sets[type];
  unsigned members = 0;
  for (uint32_t i = 0; i < set->row_count; i++)
    members |= 1u << set->rows[i].member;
  return members;
}

static void expect(struct small_book *small, size_t service, unsigned over, unsigned a, unsigned aaaa, unsigned srv) {
  struct table *table = build(small, service, over);
  assert_int_equal(drawn_from(table, TABLE_A), a);
  assert_int_equal(drawn_from(table, TABLE_AAAA), aaaa);
  assert_int_equal(drawn_from(table, TABLE_SRV), srv);
  table_free(table);
}

#define BIT(member) (1u << (member))

static void members_over_leave_each_type_to_who_else_has_it(void **state) {
  expect(*state, 0, 0, BIT(ONE) | BIT(TWO), BIT(ONE), BIT(TWO) | BIT(FAR));
  expect(*state, 0, BIT(ONE), BIT(TWO), BIT(ONE), BIT(TWO) | BIT(FAR)); /* nobody else has an IPv6 address */
  expect(*state, 0, BIT(TWO), BIT(ONE), BIT(ONE), BIT(FAR));
  expect(*state, 0, BIT(ONE) | BIT(TWO), BIT(FAR), BIT(ONE), BIT(FAR)); /* the next tier takes over */
  expect(*state, 0, BIT(TWO) | BIT(FAR), BIT(ONE), BIT(ONE), BIT(TWO) | BIT(FAR));
  expect(*state, 0, 7, BIT(ONE) | BIT(TWO), BIT(ONE), BIT(TWO) | BIT(FAR)); /* as if none were */
}

static void less_preferred_members_wait_within_their_tier(void **state) {
  expect(*state, 1, BIT(ONE), BIT(TWO), BIT(ONE), BIT(TWO) | BIT(FAR));
  expect(*state, 1, BIT(ONE) | BIT(TWO), BIT(ONE) | BIT(TWO), BIT(ONE), BIT(TWO) | BIT(FAR));
}

static void method_all_names_less_preferred_members_too(void **state) {
  struct table *table = build(*state, 2, BIT(ONE));
  assert_int_equal(drawn_from(table, TABLE_A), BIT(ONE) | BIT(TWO));
  table_free(table);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(members_over_leave_each_type_to_who_else_has_it, setup, teardown),
      cmocka_unit_test_setup_teardown(less_preferred_members_wait_within_their_tier, setup, teardown),
      cmocka_unit_test_setup_teardown(method_all_names_less_preferred_members_too, setup, teardown),
  };
  return cmocka_run_group_tests_name("preference by load", tests, NULL, NULL);
}
