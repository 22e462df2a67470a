#include "gslb/model/domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void domain_keeps_lower_case_without_the_last_dot(void **state) {
  (void)state;
  char out[DOMAIN_TEXT_SIZE];
  assert_int_equal(domain_read("WWW.Example.com.", 0, out, NULL), STATUS_OK);
  assert_string_equal(out, "www.example.com");
  assert_int_equal(domain_read(".", DOMAIN_ROOT, out, NULL), STATUS_OK);
  assert_string_equal(out, ".");
  assert_int_equal(domain_read("*.a", DOMAIN_WILDCARD, out, NULL), STATUS_OK);
  assert_string_equal(out, "*.a");
  assert_int_equal(domain_read("_https._tcp.a*b.0/25.arpa", 0, out, NULL), STATUS_OK);
}

static void domain_refuses_what_is_no_name(void **state) {
  (void)state;
  char out[DOMAIN_TEXT_SIZE] = "kept";
  static const char *const wrong[] = {"",    ".",     "..",   ".a",   "a..b",    "a..",      "a b",
                                      "*.a", "a.*.b", "a\\b", "a\tb", "a\x7f.b", "\xc3\xa9", "a.*"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(domain_read(wrong[i], 0, out, NULL), STATUS_INVALID);
  assert_int_equal(domain_read("a.*.b", DOMAIN_WILDCARD, out, NULL), STATUS_INVALID);
  assert_string_equal(out, "kept");
}

static void domain_bounds_labels_and_names(void **state) {
  (void)state;
  char out[DOMAIN_TEXT_SIZE], text[300];
  memset(text, 'x', sizeof text);
  text[63] = '\0';
  assert_int_equal(domain_read(text, 0, out, NULL), STATUS_OK);
  text[63] = 'x';
  text[64] = '\0';
  assert_int_equal(domain_read(text, 0, out, NULL), STATUS_INVALID);
  text[64] = 'x';
  for (size_t i = 49; i < sizeof text; i += 50)
    text[i] = '.';
  text[253] = '\0';
  assert_int_equal(domain_read(text, 0, out, NULL), STATUS_OK);
  assert_int_equal(strlen(out), 253);
  strcpy(text + 253, ".");
  assert_int_equal(domain_read(text, 0, out, NULL), STATUS_OK);
  strcpy(text + 253, "x");
  assert_int_equal(domain_read(text, 0, out, NULL), STATUS_INVALID);
}

static void domain_host_labels_are_letters_digits_and_inner_hyphens(void **state) {
  (void)state;
  char out[DOMAIN_LABEL_MOST + 1];
  assert_int_equal(domain_read_host_label("Fra-1_b", out, NULL), STATUS_OK);
  assert_string_equal(out, "fra-1_b");
  static const char *const wrong[] = {"", "-a", "a-", "a.b", "a b", "*"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(domain_read_host_label(wrong[i], out, NULL), STATUS_INVALID);
}

static void domain_service_types_are_two_labels_with_underscores(void **state) {
  (void)state;
  assert_true(domain_is_service_type("_https._tcp"));
  assert_true(domain_is_service_type("_a-b-c-d-e-f-g-h._udp"));
  static const char *const wrong[] = {"",
                                      "https",
                                      "_https",
                                      "_https.tcp",
                                      "https._tcp",
                                      "_._tcp",
                                      "_a._",
                                      "_a._tcp.com",
                                      "_a._tcp.",
                                      "_-a._tcp",
                                      "_a-._tcp",
                                      "_a_b._tcp",
                                      "_abcdefghijklmnop._tcp"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_false(domain_is_service_type(wrong[i]));
}

static void domain_parent_ends_at_the_root(void **state) {
  (void)state;
  assert_string_equal(domain_parent("a.b"), "b");
  assert_string_equal(domain_parent("b"), ".");
  assert_null(domain_parent("."));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(domain_keeps_lower_case_without_the_last_dot),
      cmocka_unit_test(domain_refuses_what_is_no_name),
      cmocka_unit_test(domain_bounds_labels_and_names),
      cmocka_unit_test(domain_host_labels_are_letters_digits_and_inner_hyphens),
      cmocka_unit_test(domain_service_types_are_two_labels_with_underscores),
      cmocka_unit_test(domain_parent_ends_at_the_root),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
