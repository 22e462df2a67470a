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

/* IPv6 is at fra alone. */
static const char services_text[] = "sites: [{name: fra}, {name: nyc}]\n"
                                    "networks:\n"
                                    "  - {network: 10.1.0.0/16, sites: [fra, nyc]}\n"
                                    "  - {network: 10.2.0.0/16, sites: [nyc, fra]}\n"
                                    "  - {network: 10.3.0.0/16, sites: [fra]}\n"
                                    "  - {network: 10.4.0.0/16, sites: [nyc]}\n"
                                    "services:\n"
                                    "  - name: near.example.com\n"
                                    "    nearest: true\n"
                                    "    members:\n"
                                    "      - {name: f, site: fra, addresses: [127.0.0.1, \"::1\"]}\n"
                                    "      - {name: n, site: nyc, addresses: [127.0.0.2]}\n"
                                    "  - name: alike.example.com\n"
                                    "    nearest: true\n"
                                    "    members:\n"
                                    "      - {name: f, site: fra, addresses: [127.0.0.1]}\n"
                                    "      - {name: g, site: fra, addresses: [127.0.0.2]}\n";
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

/* What a client in 10.<network>.0.0/16 sees; 0: in no network. */
static const struct table_view *view_of(const struct table *table, uint8_t network) {
  const uint8_t bytes[16] = {10, network, 0, 1};
  uint32_t class = topology_find(table->tree, 4, bytes).class;
  return &table->views[table->view_of ? table->view_of[class] : 0];
}

static void classes_that_see_the_same_share_a_view(void **state) {
  const struct small_book *small = *state;
  const struct table *table = small->book->tables[0];
  assert_ptr_equal(view_of(table, 1), view_of(table, 3));
  assert_ptr_not_equal(view_of(table, 1), view_of(table, 2));
  assert_ptr_not_equal(view_of(table, 2), view_of(table, 4));
  assert_ptr_not_equal(view_of(table, 0), view_of(table, 1));
}

static void views_share_the_sets_in_which_they_agree(void **state) {
  const struct small_book *small = *state;
  const struct table *table = small->book->tables[0];
  const struct table_set *fra = view_of(table, 1)->sets, *mixed = view_of(table, 2)->sets;
  const struct table_set *nyc = view_of(table, 4)->sets, *all = view_of(table, 0)->sets;
  assert_ptr_equal(mixed[TABLE_AAAA].rows, fra[TABLE_AAAA].rows);
  assert_ptr_equal(mixed[TABLE_A].rows, nyc[TABLE_A].rows);
  assert_ptr_not_equal(mixed[TABLE_A].rows, fra[TABLE_A].rows);
  assert_ptr_equal(nyc[TABLE_AAAA].rows, all[TABLE_AAAA].rows);
  assert_int_equal(all[TABLE_A].row_count, 2);
  assert_int_equal(fra[TABLE_A].row_count, 1);
  assert_int_equal(fra[TABLE_A].rows[0].member, 0);
  assert_int_equal(nyc[TABLE_A].rows[0].member, 1);
  assert_int_equal(nyc[TABLE_AAAA].row_count, 1);
}

static void one_view_is_enough_where_all_clients_see_the_same(void **state) {
  const struct small_book *small = *state;
  struct table *const *tables = small->book->tables;
  for (uint8_t network = 0; network <= 4; network++)
    assert_int_equal(view_of(tables[1], network)->sets[TABLE_A].row_count, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(classes_that_see_the_same_share_a_view, setup, teardown),
      cmocka_unit_test_setup_teardown(views_share_the_sets_in_which_they_agree, setup, teardown),
      cmocka_unit_test_setup_teardown(one_view_is_enough_where_all_clients_see_the_same, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
