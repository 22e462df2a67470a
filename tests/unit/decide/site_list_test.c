#include "gslb/decide/site_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void lists_begin_with_the_empty_one(void **state) {
  (void)state;
  struct site_lists lists;
  site_lists_init(&lists);
  size_t count = 7;
  assert_int_equal(lists.count, 1);
  assert_int_equal(site_lists_add(&lists, NULL, 0), 0);
  assert_null(site_lists_get(&lists, 0, &count));
  assert_int_equal(count, 0);
  site_lists_release(&lists);
}

static void equal_lists_share_a_number_and_order_matters(void **state) {
  (void)state;
  struct site_lists lists;
  site_lists_init(&lists);
  assert_int_equal(site_lists_add(&lists, (uint32_t[]){3, 5}, 2), 1);
  assert_int_equal(site_lists_add(&lists, (uint32_t[]){5, 3}, 2), 2);
  assert_int_equal(site_lists_add(&lists, (uint32_t[]){3}, 1), 3);
  assert_int_equal(site_lists_add(&lists, (uint32_t[]){3, 5}, 2), 1);
  site_lists_release(&lists);
}

static void many_lists_are_found_again(void **state) {
  (void)state;
  struct site_lists lists;
  site_lists_init(&lists);
  for (int round = 0; round < 2; round++)
    for (uint32_t i = 0; i < 5000; i++)
      assert_int_equal(site_lists_add(&lists, (uint32_t[]){i % 70, i / 70, 9}, 2 + i % 2), i + 1);
  for (uint32_t i = 0; i < 5000; i++) {
    size_t count;
    const uint32_t *sites = site_lists_get(&lists, i + 1, &count);
    assert_int_equal(count, 2 + i % 2);
    assert_int_equal(sites[0], i % 70);
    assert_int_equal(sites[1], i / 70);
  }
  site_lists_release(&lists);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lists_begin_with_the_empty_one),
      cmocka_unit_test(equal_lists_share_a_number_and_order_matters),
      cmocka_unit_test(many_lists_are_found_again),
  };
  return cmocka_run_group_tests_name("site_list", tests, NULL, NULL);
}
