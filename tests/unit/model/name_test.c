#include "gslb/model/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void names_are_lowered_and_keep_their_escapes(void **state) {
  (void)state;
  static const struct {
    const char *in, *out;
    unsigned size;
  } rows[] = {
      {"WWW.Example.COM.", "www.example.com", 17}, {"a", "a", 3},     {".", ".", 1}, {"a\\.b.c", "a\\.b.c", 7},
      {"\\000\\255.x", "\\000\\255.x", 6},         {"*.x", "*.x", 5},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct name name;
    char text[NAME_TEXT_SIZE];
    assert_int_equal(name_from_text(rows[i].in, &name), STATUS_OK);
    assert_int_equal(name.size, rows[i].size);
    assert_int_equal(name_size(name.wire), rows[i].size);
    assert_string_equal(name_to_text(name.wire, text), rows[i].out);
  }
}

static void malformed_names_are_refused(void **state) {
  (void)state;
  static const char *const rows[] = {"", "..", "a..b", ".a", "a\\", "a\\25", "a\\256", "a\\2x4"};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct name name = {.size = 77};
    assert_int_equal(name_from_text(rows[i], &name), STATUS_INVALID);
    assert_int_equal(name.size, 77);
  }
}

static void label_and_name_lengths_end_at_63_and_255(void **state) {
  (void)state;
  char text[600] = "";
  struct name name;
  memset(text, 'a', 63);
  assert_int_equal(name_from_text(text, &name), STATUS_OK);
  text[63] = 'a';
  assert_int_equal(name_from_text(text, &name), STATUS_INVALID);
  /* 3 labels of 63 and one of 61: 3 * 64 + 62 + 1 = 255 */
  int used = 0;
  for (int i = 0; i < 4; i++) {
    int length = i < 3 ? 63 : 61;
    memset(text + used, 'b', (size_t)length);
    used += length;
    text[used++] = i < 3 ? '.' : '\0';
  }
  assert_int_equal(name_from_text(text, &name), STATUS_OK);
  assert_int_equal(name.size, 255);
  strcat(text, ".");
  assert_int_equal(name_from_text(text, &name), STATUS_OK);
  text[strlen(text) - 1] = 'b';
  assert_int_equal(name_from_text(text, &name), STATUS_INVALID);
}

static void below_holds_on_label_boundaries_only(void **state) {
  (void)state;
  struct name apex, in, out, root;
  name_from_text("example.com", &apex);
  name_from_text("a.b.example.com", &in);
  name_from_text("badexample.com", &out);
  name_from_text(".", &root);
  assert_true(name_is_below(in.wire, in.size, apex.wire, apex.size));
  assert_true(name_is_below(apex.wire, apex.size, apex.wire, apex.size));
  assert_true(name_is_below(out.wire, out.size, root.wire, root.size));
  assert_false(name_is_below(out.wire, out.size, apex.wire, apex.size));
  assert_false(name_is_below(apex.wire, apex.size, in.wire, in.size));
  assert_int_equal(name_label_count(in.wire), 4);
}

static void hashes_of_many_names_differ(void **state) {
  (void)state;
  static uint64_t seen[4096];
  for (int i = 0; i < 4096; i++) {
    char text[40];
    struct name name;
    snprintf(text, sizeof text, "host-%d.example.com", i);
    name_from_text(text, &name);
    seen[i] = name_hash(name.wire, name.size);
    for (int j = 0; j < i; j++)
      assert_true(seen[i] != seen[j]);
  }
}

/* Exactly size bytes each, so that the sanitizers see one too many. */
static void check_lower_copy(size_t size, unsigned seed) {
  uint8_t *wire = malloc(size ? size : 1), *out = malloc(size ? size : 1), *expected = malloc(size ? size : 1);
  for (size_t i = 0; i < size; i++) {
    seed = seed * 1103515245 + 12345;
    wire[i] = (uint8_t)(seed >> 16);
    expected[i] = name_lower(wire[i]);
  }
  uint64_t hash = name_hash(expected, size);
  assert_true(name_lower_copy(out, wire, size) == hash);
  assert_memory_equal(out, expected, size);
  assert_true(name_lower_copy(wire, wire, size) == hash);
  assert_memory_equal(wire, expected, size);
  free(wire);
  free(out);
  free(expected);
}

static void lower_copy_agrees_with_lowering_and_hashing_each_byte(void **state) {
  (void)state;
  for (size_t size = 0; size <= 600; size++)
    for (unsigned round = 0; round < 8; round++)
      check_lower_copy(size, (unsigned)size * 8 + round);
  uint8_t all[256], out[256];
  for (size_t i = 0; i < sizeof all; i++)
    all[i] = (uint8_t)i;
  name_lower_copy(out, all, sizeof all);
  for (size_t i = 0; i < sizeof all; i++)
    assert_int_equal(out[i], name_lower((uint8_t)i));
}

static void names_differ_when_any_byte_does(void **state) {
  (void)state;
  for (size_t size = 1; size <= 40; size++) {
    uint8_t *one = calloc(size, 1), *other = calloc(size, 1);
    assert_true(name_equals(one, other, size));
    for (size_t i = 0; i < size; i++) {
      other[i] = 0x80;
      assert_false(name_equals(one, other, size));
      other[i] = 0;
    }
    free(one);
    free(other);
  }
}

static void hashes_depend_on_every_byte_and_the_size(void **state) {
  (void)state;
  uint8_t bytes[80] = {0};
  for (size_t size = 0; size < sizeof bytes; size++) {
    uint64_t hash = name_hash(bytes, size);
    assert_true(hash != name_hash(bytes, size + 1));
    for (size_t i = 0; i < size; i++) {
      bytes[i] = 1;
      assert_true(hash != name_hash(bytes, size));
      bytes[i] = 0;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_are_lowered_and_keep_their_escapes),
      cmocka_unit_test(malformed_names_are_refused),
      cmocka_unit_test(label_and_name_lengths_end_at_63_and_255),
      cmocka_unit_test(below_holds_on_label_boundaries_only),
      cmocka_unit_test(hashes_of_many_names_differ),
      cmocka_unit_test(lower_copy_agrees_with_lowering_and_hashing_each_byte),
      cmocka_unit_test(names_differ_when_any_byte_does),
      cmocka_unit_test(hashes_depend_on_every_byte_and_the_size),
  };
  return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
