#include "gslb/decide/balance.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DRAWS 200000

/* Exact probability of an index, from the cells alone. */
static double probability(const struct alias_cell *cells, uint32_t count, uint32_t index) {
  double sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    double keep = ((double)cells[i].keep + 1) / 4294967296.0;
    if (i == index)
      sum += keep;
    if (cells[i].other == index)
      sum += 1 - keep;
  }
  return sum / count;
}

static void alias_cells_hold_exactly_the_weights(void **state) {
  (void)state;
  static const uint32_t sets[][5] = {{3, 1, 1, 1, 1}, {1, 1, 1, 1, 1}, {65535, 1, 1, 7, 9}, {1, 2, 3, 4, 5}};
  for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
    struct alias_cell cells[5];
    double total = 0;
    alias_build(sets[s], 5, cells);
    for (int i = 0; i < 5; i++)
      total += sets[s][i];
    for (uint32_t i = 0; i < 5; i++)
      assert_true(fabs(probability(cells, 5, i) - sets[s][i] / total) < 1e-8);
  }
}

static void alias_of_one_always_draws_it(void **state) {
  (void)state;
  uint32_t weight = 7;
  struct alias_cell cell;
  alias_build(&weight, 1, &cell);
  assert_int_equal(alias_draw(&cell, 1, 0), 0);
  assert_int_equal(alias_draw(&cell, 1, UINT64_MAX), 0);
}

static void alias_cells_hold_many_random_weights(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 1);
  for (int round = 0; round < 200; round++) {
    uint32_t weights[64], count = 1 + random_below(&random, 64);
    struct alias_cell cells[64];
    double total = 0;
    for (uint32_t i = 0; i < count; i++)
      total += weights[i] = 1 + random_below(&random, round % 2 ? 10 : 65535);
    alias_build(weights, count, cells);
    for (uint32_t i = 0; i < count; i++)
      assert_true(fabs(probability(cells, count, i) - weights[i] / total) < 1e-7);
  }
}

static void distinct_draws_differ_and_take_all_when_asked(void **state) {
  (void)state;
  uint32_t weights[4] = {65535, 1, 1, 1}, drawn[64];
  struct alias_cell cells[4];
  struct random random;
  random_seed(&random, 2);
  alias_build(weights, 4, cells);
  for (int round = 0; round < 1000; round++) {
    assert_int_equal(alias_draw_distinct(cells, weights, 4, 64, &random, drawn), 4);
    uint32_t seen = 0;
    for (int i = 0; i < 4; i++)
      seen |= 1u << drawn[i];
    assert_int_equal(seen, 15);
  }
}

static void distinct_draws_follow_the_weights(void **state) {
  (void)state;
  /* weights 3, 2, 1: first 1/2, 1/3, 1/6; index 2 is among two drawn with 1/6 + 1/2 * 1/3 + 1/3 * 1/4 = 5/12 */
  uint32_t weights[3] = {3, 2, 1}, drawn[64], first[3] = {0}, with_last = 0;
  struct alias_cell cells[3];
  struct random random;
  random_seed(&random, 3);
  alias_build(weights, 3, cells);
  for (int i = 0; i < DRAWS; i++) {
    alias_draw_distinct(cells, weights, 3, 2, &random, drawn);
    first[drawn[0]]++;
    with_last += drawn[0] == 2 || drawn[1] == 2;
  }
  assert_true(fabs((double)first[0] / DRAWS - 1.0 / 2) < 0.01);
  assert_true(fabs((double)first[1] / DRAWS - 1.0 / 3) < 0.01);
  assert_true(fabs((double)with_last / DRAWS - 5.0 / 12) < 0.01);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(alias_cells_hold_exactly_the_weights),
      cmocka_unit_test(alias_of_one_always_draws_it),
      cmocka_unit_test(alias_cells_hold_many_random_weights),
      cmocka_unit_test(distinct_draws_differ_and_take_all_when_asked),
      cmocka_unit_test(distinct_draws_follow_the_weights),
  };
  return cmocka_run_group_tests_name("balance", tests, NULL, NULL);
}
