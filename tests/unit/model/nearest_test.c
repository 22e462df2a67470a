#include "gslb/model/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *nearest_of(const char *wanted, const char *a, const char *b) {
  struct nearest nearest;
  nearest_begin(&nearest, wanted);
  nearest_offer(&nearest, a);
  nearest_offer(&nearest, b);
  return nearest.best;
}

static void nearest_finds_slips_of_the_fingers(void **state) {
  (void)state;
  assert_string_equal(nearest_of("intervall", "timeout", "interval"), "interval");
  assert_string_equal(nearest_of("wieghted", "weighted", "first"), "weighted");
  assert_string_equal(nearest_of("wbe", "dns", "web"), "web");
  assert_string_equal(nearest_of("NAME", "file", "name"), "name");
  assert_string_equal(nearest_of("a", "b", "ab"), "b");
}

static void nearest_suggests_nothing_far_away(void **state) {
  (void)state;
  assert_null(nearest_of("colour", "workers", "state"));
  assert_null(nearest_of("icmp", "http", "dns"));
  assert_null(nearest_of("", "dns", "ab"));
}

static void nearest_leaves_long_words_alone(void **state) {
  (void)state;
  char word[65];
  memset(word, 'x', 64);
  word[64] = '\0';
  assert_null(nearest_of(word, word, "x"));
  word[63] = '\0';
  assert_ptr_equal(nearest_of(word, "x", word), word);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nearest_finds_slips_of_the_fingers),
      cmocka_unit_test(nearest_suggests_nothing_far_away),
      cmocka_unit_test(nearest_leaves_long_words_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
