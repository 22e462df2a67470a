#include "gslb/model/scalar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void scalar_number_takes_plain_decimal_digits(void **state) {
  (void)state;
  int64_t value = 7;
  assert_int_equal(scalar_number("0", &value), STATUS_OK);
  assert_int_equal(value, 0);
  assert_int_equal(scalar_number("-12", &value), STATUS_OK);
  assert_int_equal(value, -12);
  static const char *const wrong[] = {"", "-", "+1", "010", "1 ", "0x1", "1e3", "1_000", "1.0"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(scalar_number(wrong[i], &value), STATUS_INVALID);
  assert_int_equal(value, -12);
}

static void scalar_number_stops_at_the_largest(void **state) {
  (void)state;
  int64_t value;
  assert_int_equal(scalar_number("9223372036854775808", &value), STATUS_OK);
  assert_true(value == INT64_MAX);
  assert_int_equal(scalar_number("-99999999999999999999", &value), STATUS_OK);
  assert_true(value == -INT64_MAX);
}

static void scalar_decimal_takes_no_other_notation(void **state) {
  (void)state;
  double value;
  assert_int_equal(scalar_decimal("-74.01", &value), STATUS_OK);
  assert_true(value == -74.01);
  assert_int_equal(scalar_decimal(".5", &value), STATUS_OK);
  assert_true(value == 0.5);
  static const char *const wrong[] = {"", ".", "-", "nan", "inf", "1e5", "0x10", "1.2.3", " 1"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(scalar_decimal(wrong[i], &value), STATUS_INVALID);
}

static void scalar_duration_knows_its_units(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t milliseconds;
  } cases[] = {{"500ms", 500}, {"2s", 2000}, {"30m", 1800000}, {"1h", 3600000}, {"1d", 86400000}, {"0s", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t value = -1;
    assert_int_equal(scalar_duration(cases[i].text, &value, NULL), STATUS_OK);
    assert_int_equal(value, cases[i].milliseconds);
  }
  int64_t value;
  assert_int_equal(scalar_duration("106751991168d", &value, NULL), STATUS_OK);
  assert_true(value == INT64_MAX);
}

static void scalar_duration_wants_a_unit(void **state) {
  (void)state;
  int64_t value = 7;
  struct errbuf err;
  assert_int_equal(scalar_duration("5", &value, &err), STATUS_INVALID);
  assert_string_equal(err.text, "has no unit; write 5ms, 5s, 5m, 5h or 5d");
  static const char *const wrong[] = {"", "s", "-1s", "1 s", "1S", "1us", "1.5s", "1s2"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(scalar_duration(wrong[i], &value, &err), STATUS_INVALID);
  assert_int_equal(value, 7);
}

static void scalar_format_duration_uses_the_largest_exact_unit(void **state) {
  (void)state;
  char text[SCALAR_DURATION_SIZE];
  assert_string_equal(scalar_format_duration(0, text), "0ms");
  assert_string_equal(scalar_format_duration(1500, text), "1500ms");
  assert_string_equal(scalar_format_duration(90000, text), "90s");
  assert_string_equal(scalar_format_duration(7200000, text), "2h");
  assert_string_equal(scalar_format_duration(86400000, text), "1d");
}

static void scalar_quote_cuts_and_cleans(void **state) {
  (void)state;
  char text[SCALAR_QUOTED_SIZE], value[200];
  assert_string_equal(scalar_quote("a\nb\x7f", text), "a?b?");
  memset(value, 'x', sizeof value - 1);
  value[sizeof value - 1] = '\0';
  assert_int_equal(strlen(scalar_quote(value, text)), SCALAR_QUOTED_SIZE - 1);
  assert_string_equal(text + SCALAR_QUOTED_SIZE - 4, "...");
  value[SCALAR_QUOTED_SIZE - 1] = '\0';
  assert_string_equal(scalar_quote(value, text), value);
  for (size_t i = 0; i + 1 < sizeof value; i += 2)
    memcpy(value + i, "\xc3\xa9", 2); /* two bytes each */
  value[198] = '\0';
  scalar_quote(value, text);
  assert_int_equal(strcspn(text, ".") % 2, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scalar_number_takes_plain_decimal_digits),
      cmocka_unit_test(scalar_number_stops_at_the_largest),
      cmocka_unit_test(scalar_decimal_takes_no_other_notation),
      cmocka_unit_test(scalar_duration_knows_its_units),
      cmocka_unit_test(scalar_duration_wants_a_unit),
      cmocka_unit_test(scalar_format_duration_uses_the_largest_exact_unit),
      cmocka_unit_test(scalar_quote_cuts_and_cleans),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
