#include "gslb/base/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void addresses_of_both_families_are_read_and_printed(void **state) {
  (void)state;
  static const char *const texts[] = {"127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1:2"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct addr addr;
    char text[ADDR_TEXT_SIZE];
    assert_int_equal(addr_parse(texts[i], &addr), STATUS_OK);
    assert_string_equal(addr_format(&addr, text), texts[i]);
  }
}

static void what_is_no_address_is_refused_and_leaves_the_output(void **state) {
  (void)state;
  static const char *const texts[] = {"", "127.0.0", "127.0.0.256", "1.2.3.4 ", "::g", "localhost", "1.2.3.4@53"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct addr addr = {.family = 9};
    assert_int_equal(addr_parse(texts[i], &addr), STATUS_INVALID);
    assert_int_equal(addr.family, 9);
  }
}

static void port_follows_the_at_sign_within_its_range(void **state) {
  (void)state;
  struct addr addr;
  char text[ADDR_TEXT_SIZE];
  assert_int_equal(addr_parse_port("::1@5300", &addr), STATUS_OK);
  assert_int_equal(addr.port, 5300);
  assert_string_equal(addr_format_port(&addr, text), "::1@5300");
  assert_int_equal(addr_parse_port("127.0.0.1@65535", &addr), STATUS_OK);
  assert_int_equal(addr_parse_port("127.0.0.1@65536", &addr), STATUS_RANGE);
  assert_int_equal(addr_parse_port("127.0.0.1@0", &addr), STATUS_RANGE);
  assert_int_equal(addr_parse_port("127.0.0.1@", &addr), STATUS_INVALID);
  assert_int_equal(addr_parse_port("127.0.0.1@-1", &addr), STATUS_INVALID);
  assert_int_equal(addr_parse_port("127.0.0.1@100000", &addr), STATUS_INVALID);
  assert_int_equal(addr_parse_port("127.0.0.1", &addr), STATUS_INVALID);
}

static void socket_addresses_go_both_ways(void **state) {
  (void)state;
  static const char *const texts[] = {"127.0.0.9@53", "2001:db8::7@8080"};
  for (size_t i = 0; i < 2; i++) {
    struct addr addr, back;
    struct sockaddr_storage storage;
    assert_int_equal(addr_parse_port(texts[i], &addr), STATUS_OK);
    assert_int_equal(addr_to_sockaddr(&addr, &storage), i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    assert_int_equal(addr_from_sockaddr((struct sockaddr *)&storage, &back), STATUS_OK);
    assert_true(addr_equal(&addr, &back));
  }
}

static void loopback_is_told_from_the_rest(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int is_loopback;
  } rows[] = {{"127.0.0.1", 1}, {"127.255.0.1", 1}, {"::1", 1}, {"::", 0}, {"192.0.2.1", 0}, {"::2", 0}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct addr addr;
    addr_parse(rows[i].text, &addr);
    assert_int_equal(addr_is_loopback(&addr), rows[i].is_loopback);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_of_both_families_are_read_and_printed),
      cmocka_unit_test(what_is_no_address_is_refused_and_leaves_the_output),
      cmocka_unit_test(port_follows_the_at_sign_within_its_range),
      cmocka_unit_test(socket_addresses_go_both_ways),
      cmocka_unit_test(loopback_is_told_from_the_rest),
  };
  return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
