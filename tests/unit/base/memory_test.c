#include "gslb/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_zero(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (bytes[i])
      return false;
  return true;
}

/* Over 30 MB in pieces of all sizes, the largest greater than any block. */
static void arenas_keep_what_was_allocated_however_large_they_grow(void **state) {
  (void)state;
  enum { PIECES = 600, LARGEST = 12 << 20 };
  struct arena arena = {0};
  uint8_t *pieces[PIECES];
  size_t sizes[PIECES];
  for (size_t i = 0; i < PIECES; i++) {
    sizes[i] = i == PIECES / 2 ? LARGEST : i * 113 + 1;
    pieces[i] = arena_alloc(&arena, sizes[i]);
    assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
    assert_true(is_zero(pieces[i], sizes[i]));
    memset(pieces[i], (int)(i % 255) + 1, sizes[i]);
  }
  for (size_t i = 0; i < PIECES; i++) {
    assert_int_equal(pieces[i][0], i % 255 + 1);
    assert_int_equal(pieces[i][sizes[i] - 1], i % 255 + 1);
  }
  arena_release(&arena);
  assert_null(arena.blocks);
  assert_true(is_zero(arena_alloc(&arena, 9), 9));
  arena_release(&arena);
}

static void arenas_place_things_side_by_side_as_they_want(void **state) {
  (void)state;
  struct arena arena = {0};
  for (size_t i = 0; i < 3000; i++) {
    size_t align = (size_t)1 << i % 5, size = i % 23 + 1;
    uint8_t *piece = arena_alloc_aligned(&arena, size, align);
    assert_int_equal((uintptr_t)piece % align, 0);
    assert_true(is_zero(piece, size));
    memset(piece, 1, size);
    void *any = i % 7 ? NULL : arena_alloc(&arena, size);
    assert_int_equal((uintptr_t)any % _Alignof(max_align_t), 0);
    assert_true(!any || is_zero(any, size));
  }
  uint8_t *one = arena_alloc_aligned(&arena, 3, 1);
  assert_ptr_equal(arena_alloc_aligned(&arena, 1, 1), one + 3);
  arena_release(&arena);
}

static void tables_are_zeroed_whatever_their_size(void **state) {
  (void)state;
  static const size_t counts[] = {0, 1, 100, (2 << 20) / 8, (9 << 20) / 8};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    uint64_t *table = mem_table(counts[i], sizeof *table);
    assert_true(is_zero((const uint8_t *)table, counts[i] * sizeof *table));
    if (counts[i])
      table[counts[i] - 1] = 1;
    free(table);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arenas_keep_what_was_allocated_however_large_they_grow),
      cmocka_unit_test(arenas_place_things_side_by_side_as_they_want),
      cmocka_unit_test(tables_are_zeroed_whatever_their_size),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
