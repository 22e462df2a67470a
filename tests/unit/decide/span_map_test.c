#include "gslb/decide/span_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gslb/base/random.h"

#define SPANS_MOST 70000

static __uint128_t random_address(struct random *random) {
  return (__uint128_t)random_next(random) << 64 | random_next(random);
}

static int compare(const void *left, const void *right) {
  const struct span *a = left, *b = right;
  return (a->first > b->first) - (a->first < b->first);
}

/* Strictly ascending spans from 0 with values that alternate; returns how many. shift: bits cut off at the end. */
static size_t make_spans(struct random *random, struct span *spans, size_t count, unsigned shift, __uint128_t mask) {
  spans[0] = (struct span){0};
  for (size_t i = 1; i < count; i++)
    spans[i] = (struct span){.first = random_address(random) >> shift << shift & mask};
  qsort(spans, count, sizeof *spans, compare);
  size_t kept = 1;
  for (size_t i = 1; i < count; i++)
    if (spans[i].first != spans[kept - 1].first)
      spans[kept++] = spans[i];
  for (size_t i = 0; i < kept; i++)
    spans[i].value = (uint32_t)i;
  return kept;
}

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
    check_ends(spans, make_spans(&random, spans, counts[i], 96, ~(__uint128_t)0));
    check_ends(spans, make_spans(&random, spans, counts[i], 64, ~(__uint128_t)0));
    check_ends(spans, make_spans(&random, spans, counts[i], 0, ~(__uint128_t)0));
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
      size_t kept = make_spans(&random, spans, count, 0, masks[i]);
      check_ends(spans, kept);
      for (size_t s = 1; s < kept; s++)
        spans[s].first |= (__uint128_t)UINT64_MAX << 64;
      qsort(spans, kept, sizeof *spans, compare);
      size_t distinct = 1;
      for (size_t s = 1; s < kept; s++)
        if (spans[s].first != spans[distinct - 1].first)
          spans[distinct++] = spans[s];
      for (size_t s = 0; s < distinct; s++)
        spans[s].value = (uint32_t)s;
      check_ends(spans, distinct);
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
