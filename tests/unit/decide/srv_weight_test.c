#include "gslb/decide/srv_weight.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void plain_weights_are_kept_without_reports(void **state) {
  (void)state;
  assert_int_equal(balance_srv_weight(10, 1.0, 0), 10);
  assert_int_equal(balance_srv_weight(10, 0.2, 0), 10);
  assert_int_equal(balance_srv_weight(65535, 1.0, 0), 65535);
}

static void headroom_shows_for_weight_one(void **state) {
  (void)state;
  assert_int_equal(balance_srv_weight(1, 1.0, 1), 100);
  assert_int_equal(balance_srv_weight(1, 0.5, 1), 50);
  assert_int_equal(balance_srv_weight(1, 0.25, 3), 25);
  assert_int_equal(balance_srv_weight(3, 0.25, 3), 75);
}

static void heavy_weights_are_scaled_to_fit(void **state) {
  (void)state;
  assert_int_equal(balance_srv_weight(655, 1.0, 655), 65500);
  assert_int_equal(balance_srv_weight(656, 1.0, 656), 65535);
  assert_int_equal(balance_srv_weight(65535, 1.0, 65535), 65535);
  assert_int_equal(balance_srv_weight(65535, 0.5, 65535), 32768);
  assert_int_equal(balance_srv_weight(1000, 0.5, 10000), 3277);
}

static void a_live_target_never_has_weight_zero(void **state) {
  (void)state;
  assert_int_equal(balance_srv_weight(0, 1.0, 0), 1);
  assert_int_equal(balance_srv_weight(0, 1.0, 10), 1);
  assert_int_equal(balance_srv_weight(10, 0.0, 10), 1);
  assert_int_equal(balance_srv_weight(1, 0.001, 1), 1);
  assert_int_equal(balance_srv_weight(10, NAN, 10), 1);
}

static void the_heaviest_counts_only_when_one_reports(void **state) {
  (void)state;
  struct config_member configured[] = {{.weight = 5}, {.weight = 9}, {.weight = 100}};
  struct config_service service = {.members = configured, .member_count = 3};
  struct member_state members[] = {{.is_answered = true, .headroom = 1.0, .weight = 5},
                                   {.is_answered = true, .headroom = 1.0, .weight = 9},
                                   {.is_answered = false, .headroom = 0.2, .weight = 100}};
  struct evaluation evaluation = {.members = members};
  assert_int_equal(balance_srv_heaviest(&service, &evaluation), 0);
  members[0].headroom = 0.9;
  assert_int_equal(balance_srv_heaviest(&service, &evaluation), 9);
}

static void percentages_of_agent_checks_count_without_reports_too(void **state) {
  (void)state;
  struct config_member configured[] = {{.weight = 10}, {.weight = 20}};
  struct config_service service = {.members = configured, .member_count = 2};
  struct member_state members[] = {{.is_answered = true, .headroom = 1.0, .weight = 750},
                                   {.is_answered = true, .headroom = 1.0, .weight = 2000}};
  struct evaluation evaluation = {.members = members};
  uint32_t heaviest = balance_srv_heaviest(&service, &evaluation);
  assert_int_equal(heaviest, 2000);
  assert_int_equal(balance_srv_weight(750, 1.0, heaviest), 24576); /* 750 * 65535 / 2000 */
  assert_int_equal(balance_srv_weight(2000, 1.0, heaviest), 65535);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_weights_are_kept_without_reports),
      cmocka_unit_test(headroom_shows_for_weight_one),
      cmocka_unit_test(heavy_weights_are_scaled_to_fit),
      cmocka_unit_test(a_live_target_never_has_weight_zero),
      cmocka_unit_test(the_heaviest_counts_only_when_one_reports),
      cmocka_unit_test(percentages_of_agent_checks_count_without_reports_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
