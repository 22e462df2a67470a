#include "gslb/model/config_bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add(struct bundle_writer *writer, enum bundle_kind kind, bool is_failed, const char *path,
                const char *bytes, size_t size) {
  bundle_add(writer,
             &(struct bundle_part){.kind = kind, .is_failed = is_failed, .path = path, .bytes = bytes, .size = size});
}

static struct bundle_writer written(void) {
  struct bundle_writer writer = {0};
  add(&writer, BUNDLE_FILE, false, "/a", "a: b\n", 5);
  add(&writer, BUNDLE_PATTERN, false, "/c/*", NULL, 0);
  add(&writer, BUNDLE_DIRECTORY, false, "/path with\nlines", "x.zone\0y.zone", 14);
  add(&writer, BUNDLE_SECRET, true, "/a", "cannot be opened", 16);
  return writer;
}

static void bundle_gives_back_what_was_put_in(void **state) {
  (void)state;
  struct bundle_writer writer = written();
  struct arena arena = {0};
  struct config_bundle bundle = {0};
  assert_true(bundle_is(writer.text, writer.length));
  assert_int_equal(bundle_open(writer.text, writer.length, &arena, &bundle), STATUS_OK);
  assert_int_equal(bundle.count, 4);
  const struct bundle_part *part = bundle_find(&bundle, BUNDLE_FILE, "/a");
  assert_non_null(part);
  assert_int_equal(part->size, 5);
  assert_memory_equal(part->bytes, "a: b\n", 5);
  assert_false(part->is_failed);
  assert_int_equal(bundle_find(&bundle, BUNDLE_PATTERN, "/c/*")->size, 0);
  part = bundle_find(&bundle, BUNDLE_DIRECTORY, "/path with\nlines");
  assert_non_null(part);
  assert_memory_equal(part->bytes, "x.zone\0y.zone", 14);
  assert_true(bundle_find(&bundle, BUNDLE_SECRET, "/a")->is_failed);
  assert_null(bundle_find(&bundle, BUNDLE_DIRECTORY, "/a"));
  arena_release(&arena);
  free(writer.text);
}

static void bundle_refuses_a_text_that_is_cut(void **state) {
  (void)state;
  struct bundle_writer writer = written();
  struct arena arena = {0};
  struct config_bundle bundle = {0};
  /* where the last part ends a whole bundle of fewer parts may be left */
  for (size_t cut = 0; cut < writer.length; cut++) {
    char *text = malloc(cut ? cut : 1); /* exactly as large, so that a read beyond it is seen */
    assert_non_null(text);
    memcpy(text, writer.text, cut);
    if (bundle_open(text, cut, &arena, &bundle) == STATUS_OK) {
      assert_true(bundle.count >= 1 && bundle.count < 4);
      assert_int_equal(bundle.parts[0].size, 5);
    }
    free(text);
  }
  arena_release(&arena);
  free(writer.text);
}

static void bundle_refuses_what_it_did_not_write(void **state) {
  (void)state;
#define MAGIC "%gslb-configuration 1\n"
  static const char *const wrong[] = {
      "",
      "a: b\n",
      "%YAML 1.1\n",
      MAGIC,
      MAGIC "x",
      MAGIC "0 0 2 1\n/aa extra",
      MAGIC "4 0 2 1\n/aa",
      MAGIC "0 2 2 1\n/aa",
      MAGIC "0 1 2 1\n/aa",
      MAGIC "1 0 2 1\n/aa",
      MAGIC "0 0 2 99999999999999999999\n/aa",
      MAGIC "0 0 99999999999999999999 2\n/aa",
      MAGIC "0 0 18446744073709551615 2\n/aa",
      MAGIC "0 0  2 1\n/aa",
      MAGIC "-1 0 2 1\n/aa",
      MAGIC "0 0 2\n1\n/aa",
  };
  struct arena arena = {0};
  struct config_bundle bundle = {0};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(bundle_open(wrong[i], strlen(wrong[i]), &arena, &bundle), STATUS_INVALID);
  static const char with_nul[] = MAGIC "0 0 2 1\n/\0a";
  assert_int_equal(bundle_open(with_nul, sizeof with_nul - 1, &arena, &bundle), STATUS_INVALID);
  assert_int_equal(bundle.count, 0);
  arena_release(&arena);
}

static void bundle_knows_itself_from_yaml(void **state) {
  (void)state;
  assert_false(bundle_is("%gslb-conf", 10));
  assert_false(bundle_is("server: {}\n", 11));
  assert_true(bundle_is(MAGIC, sizeof MAGIC - 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bundle_gives_back_what_was_put_in),
      cmocka_unit_test(bundle_refuses_a_text_that_is_cut),
      cmocka_unit_test(bundle_refuses_what_it_did_not_write),
      cmocka_unit_test(bundle_knows_itself_from_yaml),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
