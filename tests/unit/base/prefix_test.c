#include "gslb/base/prefix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct addr addr_of(const char *text) {
  struct addr addr = {0};
  assert_int_equal(addr_parse(text, &addr), STATUS_OK);
  return addr;
}

static struct prefix prefix_of(const char *text) {
  struct prefix prefix = {0};
  assert_int_equal(prefix_parse(text, &prefix), STATUS_OK);
  return prefix;
}

static void prefix_reads_and_prints_networks(void **state) {
  (void)state;
  static const char *const same[] = {"0.0.0.0/0", "192.0.2.0/24",  "192.0.2.128/25",     "192.0.2.1/32",
                                     "::/0",      "2001:db8::/32", "2001:db8:8000::/33", "::1/128"};
  char text[PREFIX_TEXT_SIZE];
  for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
    struct prefix prefix = prefix_of(same[i]);
    assert_string_equal(prefix_format(&prefix, text), same[i]);
  }
}

static void prefix_takes_an_address_alone_for_all_its_bits(void **state) {
  (void)state;
  struct prefix four = prefix_of("192.0.2.1"), six = prefix_of("2001:db8::1");
  assert_int_equal(four.family, 4);
  assert_int_equal(four.bits, 32);
  assert_int_equal(six.family, 6);
  assert_int_equal(six.bits, 128);
}

static void prefix_refuses_what_is_no_network(void **state) {
  (void)state;
  static const char *const wrong[] = {"",
                                      "/",
                                      "/24",
                                      "192.0.2.0/",
                                      "192.0.2.0/x",
                                      "192.0.2/24",
                                      "192.0.2.0/-1",
                                      "192.0.2.0/+8",
                                      "192.0.2.0/ 8",
                                      "192.0.2.0/0024",
                                      "example/8",
                                      "192.0.2.0@53/24",
                                      "192.0.2.0/24/24",
                                      "2001:db8::/32x"};
  struct prefix prefix = {.family = 9};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(prefix_parse(wrong[i], &prefix), STATUS_INVALID);
  char endless[400];
  memset(endless, ':', sizeof endless - 1);
  endless[sizeof endless - 1] = '\0';
  assert_int_equal(prefix_parse(endless, &prefix), STATUS_INVALID);
  assert_int_equal(prefix.family, 9);
}

static void prefix_refuses_bits_beyond_the_length(void **state) {
  (void)state;
  static const char *const wrong[] = {"192.0.2.1/24",  "192.0.2.128/24",  "128.0.0.0/0",   "192.0.2.0/33",
                                      "192.0.2.0/999", "2001:db8::1/127", "2001:db8::/28", "::/129"};
  struct prefix prefix = {.family = 9};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(prefix_parse(wrong[i], &prefix), STATUS_RANGE);
  assert_int_equal(prefix.family, 9);
}

static void prefix_contains_what_shares_its_bits(void **state) {
  (void)state;
  static const struct {
    const char *prefix, *addr;
    bool is_inside;
  } cases[] = {
      {"192.0.2.0/24", "192.0.2.0", true},
      {"192.0.2.0/24", "192.0.2.255", true},
      {"192.0.2.0/24", "192.0.3.0", false},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.128/25", "192.0.2.128", true},
      {"0.0.0.0/0", "255.255.255.255", true},
      {"0.0.0.0/0", "::", false},
      {"::/0", "0.0.0.0", false},
      {"::/0", "2001:db8::1", true},
      {"::1", "::1", true},
      {"::1", "::2", false},
      {"2001:db8:8000::/33", "2001:db8:7fff::1", false},
      {"2001:db8:8000::/33", "2001:db8:8000::1", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct prefix prefix = prefix_of(cases[i].prefix);
    struct addr addr = addr_of(cases[i].addr);
    assert_int_equal(prefix_contains(&prefix, &addr), cases[i].is_inside);
  }
}

static void prefix_takes_no_notice_of_ports(void **state) {
  (void)state;
  struct prefix prefix = prefix_of("192.0.2.0/24");
  struct addr addr = addr_of("192.0.2.7");
  addr.port = 53;
  assert_true(prefix_contains(&prefix, &addr));
}

static void prefix_lists_contain_what_one_of_them_does(void **state) {
  (void)state;
  struct prefix list[] = {prefix_of("127.0.0.0/8"), prefix_of("::1")};
  struct addr four = addr_of("127.1.2.3"), six = addr_of("::1"), other = addr_of("192.0.2.1");
  assert_true(prefix_list_contains(list, 2, &four));
  assert_true(prefix_list_contains(list, 2, &six));
  assert_false(prefix_list_contains(list, 2, &other));
  assert_false(prefix_list_contains(list, 1, &six));
  assert_false(prefix_list_contains(NULL, 0, &four));
}

static void prefix_mask_keeps_the_first_bits(void **state) {
  (void)state;
  for (unsigned bits = 0; bits <= 128; bits++) {
    uint8_t bytes[16];
    memset(bytes, 0xff, sizeof bytes);
    prefix_mask(bytes, (uint8_t)bits);
    for (unsigned i = 0; i < 128; i++)
      assert_int_equal(bytes[i / 8] >> (7 - i % 8) & 1, i < bits);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(prefix_reads_and_prints_networks),
      cmocka_unit_test(prefix_takes_an_address_alone_for_all_its_bits),
      cmocka_unit_test(prefix_refuses_what_is_no_network),
      cmocka_unit_test(prefix_refuses_bits_beyond_the_length),
      cmocka_unit_test(prefix_contains_what_shares_its_bits),
      cmocka_unit_test(prefix_takes_no_notice_of_ports),
      cmocka_unit_test(prefix_lists_contain_what_one_of_them_does),
      cmocka_unit_test(prefix_mask_keeps_the_first_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
