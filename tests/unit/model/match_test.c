#include "gslb/model/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool finds(const char *pattern, bool is_regex, const char *bytes, size_t size) {
  struct match *match = NULL;
  assert_int_equal(match_new(pattern, is_regex, &match, NULL), STATUS_OK);
  bool found = match_finds(match, bytes, size);
  match_free(match);
  return found;
}

static void assert_refused(const char *pattern, const char *why) {
  struct match *match = NULL;
  struct errbuf err;
  assert_int_equal(match_new(pattern, true, &match, &err), STATUS_INVALID);
  assert_non_null(strstr(err.text, why));
  assert_null(match);
}

static void substring_is_found_behind_a_nul(void **state) {
  (void)state;
  assert_true(finds("b.d", false, "a\0b.d", 5));
  assert_false(finds("b.d", false, "a\0bxd", 5));
  assert_false(finds("b.d", false, "a\0b.d", 4));
  assert_false(finds("long", false, "", 0));
}

static void regular_expression_is_extended_and_ends_at_a_nul(void **state) {
  (void)state;
  assert_true(finds("^(ready|ok) [0-9]+$", true, "ready 12", 8));
  assert_false(finds("^(ready|ok) [0-9]+$", true, "ready 12x", 9));
  assert_true(finds("b", true, "ab\0", 3));
  assert_false(finds("b", true, "a\0b", 3));
  assert_true(finds("a.b", true, "a\nb", 3));
  assert_true(finds("[]a]+[^]{]", true, "]]x", 3));
  assert_true(finds("x{2,3}\\{", true, "xx{", 3));
}

static void wrong_pattern_is_refused_with_the_reason(void **state) {
  (void)state;
  assert_refused("a(b", "is no POSIX extended regular expression: ");
  assert_refused("[a", "is no POSIX extended regular expression: ");
  assert_refused("a{2,1}", "is no POSIX extended regular expression: ");
  assert_refused("(a)\\1", "back-reference");
}

static void pattern_that_would_take_all_memory_is_refused(void **state) {
  (void)state;
  assert_refused("((a{100}){100}){100}", "repeats too much");
  assert_refused("(((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+", "repeats too much");
  assert_refused("a{5000}", "repeats too much");
  assert_true(finds("(a{1,3}b){10}[{]{2}", true, "abababababababababab{{", 22));
  char pattern[MATCH_PATTERN_MOST + 2];
  memset(pattern, 'a', sizeof pattern - 1);
  pattern[sizeof pattern - 1] = '\0';
  assert_refused(pattern, "has 513 bytes; at most 512 are allowed");
  assert_true(finds(pattern, false, pattern, strlen(pattern)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(substring_is_found_behind_a_nul),
      cmocka_unit_test(regular_expression_is_extended_and_ends_at_a_nul),
      cmocka_unit_test(wrong_pattern_is_refused_with_the_reason),
      cmocka_unit_test(pattern_that_would_take_all_memory_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
