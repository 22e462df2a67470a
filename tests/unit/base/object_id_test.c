#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/base/object_id.h"

static struct object_id parsed(const char *text) {
  struct object_id id;
  assert_int_equal(object_id_parse(text, &id), STATUS_OK);
  return id;
}

static void numbers_are_read_and_written(void **state) {
  (void)state;
  char text[OBJECT_ID_TEXT_SIZE];
  struct object_id id = parsed(".1.3.6.1.4.1.4294967295.0");
  assert_int_equal(id.count, 8);
  assert_int_equal(id.parts[6], UINT32_MAX);
  assert_string_equal(object_id_format(&id, text), "1.3.6.1.4.1.4294967295.0");
}

static void what_is_none_is_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {"",          ".",     "1",      "1.",     "1..3",           "1.3.",
                                      "..1.3",     "3.1",   "1.40",   "0.40.1", "1.3.4294967296", "1.3.x",
                                      "sysUpTime", "1.3 6", "-1.3.6", "1.3.+6"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct object_id id = {.count = 77};
    assert_int_equal(object_id_parse(wrong[i], &id), STATUS_INVALID);
    assert_int_equal(id.count, 77);
  }
}

static void as_many_parts_as_fit_and_no_more(void **state) {
  (void)state;
  char text[OBJECT_ID_TEXT_SIZE] = "2.999", again[OBJECT_ID_TEXT_SIZE];
  for (uint32_t i = 2; i < OBJECT_ID_PARTS; i++)
    strcat(text, ".4294967295");
  struct object_id id = parsed(text);
  assert_int_equal(id.count, OBJECT_ID_PARTS);
  assert_string_equal(object_id_format(&id, again), text);
  assert_false(object_id_append(&id, "1"));
  assert_int_equal(id.count, OBJECT_ID_PARTS);
}

static void order_is_that_of_a_walk(void **state) {
  (void)state;
  struct object_id a = parsed("1.3.6"), b = parsed("1.3.6.1"), c = parsed("1.3.10");
  assert_true(object_id_compare(&a, &b) < 0);
  assert_true(object_id_compare(&c, &b) > 0);
  assert_int_equal(object_id_compare(&b, &b), 0);
  assert_true(object_id_is_below(&b, &a));
  assert_true(object_id_is_below(&a, &a));
  assert_false(object_id_is_below(&a, &b));
  assert_false(object_id_is_below(&c, &a));
}

static void index_is_appended(void **state) {
  (void)state;
  char text[OBJECT_ID_TEXT_SIZE];
  struct object_id id = parsed("1.3.6.1");
  assert_true(object_id_append(&id, "4.101"));
  assert_false(object_id_append(&id, ""));
  assert_false(object_id_append(&id, "1.x"));
  assert_string_equal(object_id_format(&id, text), "1.3.6.1.4.101");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_are_read_and_written),
      cmocka_unit_test(what_is_none_is_refused),
      cmocka_unit_test(as_many_parts_as_fit_and_no_more),
      cmocka_unit_test(order_is_that_of_a_walk),
      cmocka_unit_test(index_is_appended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
