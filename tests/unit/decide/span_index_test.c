#include "gslb/decide/span_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gslb/decide/span_map.h"
#include "tests/unit/decide/drawn_spans.h"

#define SPANS_MOST 70000
#define DRAWS 3000
#define IPV4_MASK (~(__uint128_t)0 << 96)

static void check(const struct span_index *index, const struct span_map *map, uint32_t address) {
  struct span_hit hit = span_index_find(index, address);
  struct span_hit wanted = span_map_find(map, (__uint128_t)address << 96);
  assert_int_equal(hit.value, wanted.value);
  assert_int_equal(hit.scope_bits, wanted.scope_bits);
}

/* values: how many different ones; with few, neighbours become one. */
static void check_spans(const struct span *spans, size_t count, uint32_t values, struct random *random) {
  struct arena arena = {0};
  struct span_index index;
  struct span_map map;
  uint32_t *value_of = mem_array(count, sizeof *value_of);
  for (size_t i = 0; i < count; i++)
    value_of[i] = values > count ? (uint32_t)i : random_below(random, values);
  span_index_build(&index, &arena, spans, count, value_of);
  span_map_build(&map, &arena, spans, count, value_of);
  check(&index, &map, 0);
  check(&index, &map, UINT32_MAX);
  size_t step = count / DRAWS + 1;
  for (size_t i = step; i < count; i += step) {
    uint32_t first = (uint32_t)(spans[i].first >> 96);
    check(&index, &map, first);
    check(&index, &map, first - 1);
  }
  for (int i = 0; i < DRAWS; i++)
    check(&index, &map, (uint32_t)random_next(random));
  free(value_of);
  arena_release(&arena);
}

static void addresses_are_found_as_in_the_tree_at_every_size(void **state) {
  (void)state;
  static const size_t counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 100, 4096, SPANS_MOST};
  struct span *spans = mem_array(SPANS_MOST, sizeof *spans);
  struct random random;
  random_seed(&random, 1);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    size_t count = spans_draw(&random, spans, counts[i], IPV4_MASK, 0);
    check_spans(spans, count, UINT32_MAX, &random);
    check_spans(spans, count, 2, &random);
  }
  free(spans);
}

static void networks_that_lie_close_together_are_told_apart(void **state) {
  (void)state;
  struct span *spans = mem_array(SPANS_MOST, sizeof *spans);
  struct random random;
  random_seed(&random, 2);
  static const uint32_t bases[] = {0, 0x0a010000, 0xffff0000};
  for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
    check_spans(spans, spans_draw(&random, spans, 5000, (__uint128_t)0xffff << 96, (__uint128_t)bases[i] << 96),
                UINT32_MAX, &random);
  free(spans);
}

static void one_value_for_all_has_no_scope(void **state) {
  (void)state;
  struct arena arena = {0};
  struct span_index index;
  const struct span spans[] = {{0, 0}, {(__uint128_t)1 << 126, 1}};
  span_index_build(&index, &arena, spans, 2, (uint32_t[]){5, 5});
  struct span_hit hit = span_index_find(&index, UINT32_MAX);
  assert_int_equal(hit.value, 5);
  assert_int_equal(hit.scope_bits, 0);
  arena_release(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_are_found_as_in_the_tree_at_every_size),
      cmocka_unit_test(networks_that_lie_close_together_are_told_apart),
      cmocka_unit_test(one_value_for_all_has_no_scope),
  };
  return cmocka_run_group_tests_name("span_index", tests, NULL, NULL);
}
