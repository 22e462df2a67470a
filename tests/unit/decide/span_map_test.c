#include "gslb/decide/span_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gslb/base/random.h"
#include "tests/unit/decide/drawn_spans.h"

#define SPANS_MOST 70000

/* Each span's first and last address are found in it. */
static void check_ends(const struct span *spans, size_t count) {
  struct arena arena = {0};
  struct span_map map;
  uint32_t *values = mem_array(count, sizeof *values);
  for (size_t i = 0; i < count; i++)
    values[i] = (uint32_t)i * 3;
  span_map_build(&map, &arena, spans, count, values);
  for (size_t i = 0; i < count; i++) {
    __uint128_t last = i + 1 < count ? spans[i + 1].first - 1 : ~(__uint128_t)0;
    assert_int_equal(span_map_find(&map, spans[i].first).value, i * 3);
    assert_int_equal(span_map_find(&map, last).value, i * 3);
  }
  free(values);
  arena_release(&arena);
}

static void ends_of_spans_are_found_at_every_size_of_tree(void **state) {
  (void)state;
  static const size_t counts[] = {1,   2,   3,   15,  16,  17,   18,   31,   32,   33,
                                  255, 256, 257, 258, 272, 4095, 4096, 4097, 4098, SPANS_MOST};
  struct span *spans = mem_array(SPANS_MOST, sizeof *spans);
  struct random random;
  random_seed(&random, 1);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    check_ends(spans, spans_draw(&random, spans, counts[i], ~(__uint128_t)0 << 96, 0));
    check_ends(spans, spans_draw(&random, spans, counts[i], ~(__uint128_t)0 << 64, 0));
    check_ends(spans, spans_draw(&random, spans, counts[i], ~(__uint128_t)0, 0));
  }
  free(spans);
}

static void spans_that_share_their_upper_half_are_found(void **state) {
  (void)state;
  struct span *spans = mem_array(SPANS_MOST, sizeof *spans);
  struct random random;
  random_seed(&random, 2);
  /* few upper halves, among them the lowest and the highest */
  const __uint128_t masks[] = {UINT64_MAX, (__uint128_t)3 << 100 | UINT64_MAX, (__uint128_t)0xff << 64 | UINT64_MAX};
  for (size_t i = 0; i < sizeof masks / sizeof *masks; i++)
    for (size_t count = 2; count <= 20000; count *= 10) {
      size_t kept = spans_draw(&random, spans, count, masks[i], 0);
      check_ends(spans, kept);
      for (size_t s = 1; s < kept; s++)
        spans[s].first |= (__uint128_t)UINT64_MAX << 64;
      check_ends(spans, spans_sort(spans, kept));
    }
  free(spans);
}

static void neighbours_of_equal_value_are_one_for_the_scope(void **state) {
  (void)state;
  struct arena arena = {0};
  struct span_map map;
  const struct span spans[] = {{0, 0}, {(__uint128_t)1 << 126, 1}, {(__uint128_t)1 << 127, 2}};
  span_map_build(&map, &arena, spans, 3, (uint32_t[]){5, 5, 6});
  struct span_hit hit = span_map_find(&map, 1);
  assert_int_equal(hit.value, 5);
  assert_int_equal(hit.scope_bits, 1);
  span_map_build(&map, &arena, spans, 3, (uint32_t[]){5, 6, 6});
  assert_int_equal(span_map_find(&map, 1).scope_bits, 2);
  assert_int_equal(span_map_find(&map, (__uint128_t)1 << 126).scope_bits, 2);
  assert_int_equal(span_map_find(&map, (__uint128_t)3 << 126).scope_bits, 1);
  span_map_build(&map, &arena, spans, 3, (uint32_t[]){5, 5, 5});
  assert_int_equal(span_map_find(&map, 1).scope_bits, 0);
  arena_release(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ends_of_spans_are_found_at_every_size_of_tree),
      cmocka_unit_test(spans_that_share_their_upper_half_are_found),
      cmocka_unit_test(neighbours_of_equal_value_are_one_for_the_scope),
  };
  return cmocka_run_group_tests_name("span_map", tests, NULL, NULL);
}
