#include "zones/message/cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOON 1559731985u

static const struct cookie_secrets secrets = {.count = 1,
                                              .secrets = {{0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f, 0x48, 0xe7,
                                                           0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf}}};

static struct addr address(const char *text) {
  struct addr addr;
  assert_int_equal(addr_parse(text, &addr), STATUS_OK);
  return addr;
}

static size_t from_hex(const char *text, uint8_t *out) {
  size_t size = strlen(text) / 2;
  for (size_t i = 0; i < size; i++) {
    unsigned byte;
    assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
    out[i] = (uint8_t)byte;
  }
  return size;
}

static struct cookie_secrets secrets_of(const char *current, const char *previous) {
  struct cookie_secrets made = {.count = previous ? 2 : 1};
  from_hex(current, made.secrets[0]);
  if (previous)
    from_hex(previous, made.secrets[1]);
  return made;
}

static void assert_made(const struct cookie_secrets *with, const char *client, const char *from, uint32_t now_s,
                        const char *wanted) {
  uint8_t client_bytes[COOKIE_CLIENT_SIZE], cookie[COOKIE_SIZE], wanted_bytes[COOKIE_SIZE];
  struct addr addr = address(from);
  from_hex(client, client_bytes);
  assert_int_equal(from_hex(wanted, wanted_bytes), COOKIE_SIZE);
  cookie_make(with, client_bytes, &addr, now_s, cookie);
  assert_memory_equal(cookie, wanted_bytes, COOKIE_SIZE);
}

static bool is_valid(const struct cookie_secrets *with, const char *cookie, const char *from, uint32_t now_s) {
  uint8_t bytes[64];
  struct addr addr = address(from);
  size_t size = from_hex(cookie, bytes);
  return cookie_is_valid(with, bytes, size, &addr, now_s);
}

static bool is_valid_at(uint32_t made_s, uint32_t now_s) {
  uint8_t cookie[COOKIE_SIZE];
  struct addr addr = address("192.0.2.1");
  cookie_make(&secrets, (const uint8_t *)"resolver", &addr, made_s, cookie);
  return cookie_is_valid(&secrets, cookie, sizeof cookie, &addr, now_s);
}

/* RFC 9018 appendix A.1 and A.2 */
static void cookie_is_as_the_standard_shows_it(void **state) {
  (void)state;
  static const char first[] = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
  assert_made(&secrets, "2464c4abcf10c957", "198.51.100.100", NOON, first);
  assert_true(is_valid(&secrets, first, "198.51.100.100", NOON + 2400));
  assert_made(&secrets, "2464c4abcf10c957", "198.51.100.100", NOON + 2400,
              "2464c4abcf10c957010000005cf7a871d4a564a1442aca77");
}

/* Appendix A.3; there the cookie is accepted when it is 1 h 52 min old, which section 4.3 does not ask for. */
static void cookie_with_reserved_bytes_set_is_valid_and_renewed_without(void **state) {
  (void)state;
  static const char reserved[] = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
  assert_true(is_valid(&secrets, reserved, "203.0.113.203", 1559727985));
  assert_true(is_valid(&secrets, reserved, "203.0.113.203", 1559727985 + 3600));
  assert_false(is_valid(&secrets, "fc93fc62807ddb86010000005cf78f71a314227b6679ebf5", "203.0.113.203", 1559727985));
  assert_made(&secrets, "fc93fc62807ddb86", "203.0.113.203", 1559734700,
              "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e");
}

/* Appendix A.4 */
static void cookie_by_a_previous_secret_is_valid_and_renewed_by_the_current(void **state) {
  (void)state;
  static const char current[] = "445536bcd2513298075a5d379663c962", previous[] = "dd3bdf9344b678b185a6f5cb60fca715";
  static const char client[] = "2001:db8:220:1:59de:d0f4:8769:82b8";
  static const char by_previous[] = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
  struct cookie_secrets both = secrets_of(current, previous), one = secrets_of(current, NULL);
  assert_true(is_valid(&both, by_previous, client, 1559741961));
  assert_false(is_valid(&one, by_previous, client, 1559741961));
  assert_made(&both, "22681ab97d52c298", client, 1559741961, "22681ab97d52c298010000005cf7c609a6bb79d16625507a");
}

static void cookie_is_valid_for_an_hour(void **state) {
  (void)state;
  assert_true(is_valid_at(NOON, NOON));
  assert_true(is_valid_at(NOON, NOON + 3600));
  assert_false(is_valid_at(NOON, NOON + 3601));
  assert_false(is_valid_at(NOON, NOON + 0x7fffffff));
  assert_false(is_valid_at(NOON, NOON + 0x80000000));
}

static void cookie_of_a_clock_five_minutes_ahead_is_valid(void **state) {
  (void)state;
  assert_true(is_valid_at(NOON + 300, NOON));
  assert_false(is_valid_at(NOON + 301, NOON));
}

static void cookie_outlives_the_end_of_32_bits(void **state) {
  (void)state;
  assert_true(is_valid_at(UINT32_MAX - 9, 3590));
  assert_false(is_valid_at(UINT32_MAX - 9, 3591));
  assert_true(is_valid_at(100, UINT32_MAX - 199));
  assert_false(is_valid_at(101, UINT32_MAX - 199));
}

static void cookie_of_another_address_is_not_valid(void **state) {
  (void)state;
  static const char cookie[] = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
  assert_true(is_valid(&secrets, cookie, "198.51.100.100", NOON));
  assert_false(is_valid(&secrets, cookie, "198.51.100.101", NOON));
  assert_false(is_valid(&secrets, cookie, "::ffff:198.51.100.100", NOON));
}

static void cookie_does_not_depend_on_the_port(void **state) {
  (void)state;
  uint8_t cookie[COOKIE_SIZE];
  struct addr addr = address("192.0.2.1");
  addr.port = 1024;
  cookie_make(&secrets, (const uint8_t *)"resolver", &addr, NOON, cookie);
  addr.port = 1025;
  assert_true(cookie_is_valid(&secrets, cookie, sizeof cookie, &addr, NOON));
}

static void cookie_with_any_bit_changed_is_not_valid(void **state) {
  (void)state;
  uint8_t cookie[COOKIE_SIZE];
  struct addr addr = address("192.0.2.1");
  cookie_make(&secrets, (const uint8_t *)"resolver", &addr, NOON, cookie);
  for (size_t bit = 0; bit < 8 * sizeof cookie; bit++) {
    cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_false(cookie_is_valid(&secrets, cookie, sizeof cookie, &addr, NOON));
    cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  assert_true(cookie_is_valid(&secrets, cookie, sizeof cookie, &addr, NOON));
}

static void cookie_of_another_size_is_not_valid(void **state) {
  (void)state;
  uint8_t cookie[64] = {0};
  struct addr addr = address("192.0.2.1");
  cookie_make(&secrets, (const uint8_t *)"resolver", &addr, NOON, cookie);
  for (size_t size = 0; size <= sizeof cookie; size++)
    assert_int_equal(cookie_is_valid(&secrets, cookie, size, &addr, NOON), size == COOKIE_SIZE);
}

static void cookie_is_not_valid_without_secrets(void **state) {
  (void)state;
  struct cookie_secrets none = secrets;
  none.count = 0;
  assert_false(is_valid(&none, "2464c4abcf10c957010000005cf79f111f8130c3eee29480", "198.51.100.100", NOON));
}

/* Reads text as a file of secrets; its name in the message becomes FILE. */
static enum status read_text(const char *text, struct cookie_secrets *out, struct errbuf *err) {
  char path[] = "/tmp/gslb-cookie-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
  struct errbuf told = {0};
  enum status status = cookie_read_secrets(path, out, &told);
  unlink(path);
  size_t length = strlen(path);
  if (status != STATUS_OK) {
    assert_memory_equal(told.text, path, length);
    snprintf(err->text, sizeof err->text, "FILE%s", told.text + length);
  }
  return status;
}

static void assert_file_refused(const char *text, const char *message) {
  struct cookie_secrets out = secrets;
  struct errbuf err = {0};
  assert_int_equal(read_text(text, &out, &err), STATUS_INVALID);
  assert_string_equal(err.text, message);
  assert_memory_equal(&out, &secrets, sizeof out);
}

static void cookie_secrets_are_read_in_their_order(void **state) {
  (void)state;
  struct cookie_secrets out;
  struct errbuf err;
  assert_int_equal(read_text("# current\n445536bcd2513298075a5d379663c962\n\n  \n# before\r\n"
                             "DD3BDF9344B678B185A6F5CB60FCA715 \r\n00000000000000000000000000000000\n"
                             "ffffffffffffffffffffffffffffffff",
                             &out, &err),
                   STATUS_OK);
  struct cookie_secrets wanted = secrets_of("445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715");
  wanted.count = 4;
  memset(wanted.secrets[3], 0xff, COOKIE_SECRET_SIZE);
  assert_memory_equal(&out, &wanted, sizeof out);
}

static void cookie_secrets_that_are_wrong_are_told_by_line(void **state) {
  (void)state;
  static const char digits[] = "FILE: line 2: not 32 hexadecimal digits";
  assert_file_refused("#\n445536bcd2513298075a5d379663c9\n", digits);
  assert_file_refused("#\n445536bcd2513298075a5d379663c96200\n", digits);
  assert_file_refused("#\n445536bcd2513298075a5d379663c96g\n", digits);
  assert_file_refused("#\n445536bc d2513298 075a5d37 9663c9\n", digits);
  assert_file_refused("#\n 445536bcd2513298075a5d379663c962\n", digits);
  assert_file_refused("", "FILE: no secret in it");
  assert_file_refused("# nothing\n\n", "FILE: no secret in it");
  assert_file_refused("00000000000000000000000000000000\n11111111111111111111111111111111\n"
                      "22222222222222222222222222222222\n33333333333333333333333333333333\n"
                      "44444444444444444444444444444444\n",
                      "FILE: line 5: more than 4 secrets");
}

static void cookie_secrets_that_cannot_be_read_are_told(void **state) {
  (void)state;
  struct cookie_secrets out = secrets;
  struct errbuf err;
  assert_int_equal(cookie_read_secrets("/nonexistent/secrets", &out, &err), STATUS_IO);
  assert_string_equal(err.text, "/nonexistent/secrets: No such file or directory");
  assert_int_equal(cookie_read_secrets("/", &out, &err), STATUS_IO);
  assert_string_equal(err.text, "/: Is a directory");
  assert_memory_equal(&out, &secrets, sizeof out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cookie_is_as_the_standard_shows_it),
      cmocka_unit_test(cookie_with_reserved_bytes_set_is_valid_and_renewed_without),
      cmocka_unit_test(cookie_by_a_previous_secret_is_valid_and_renewed_by_the_current),
      cmocka_unit_test(cookie_is_valid_for_an_hour),
      cmocka_unit_test(cookie_of_a_clock_five_minutes_ahead_is_valid),
      cmocka_unit_test(cookie_outlives_the_end_of_32_bits),
      cmocka_unit_test(cookie_of_another_address_is_not_valid),
      cmocka_unit_test(cookie_does_not_depend_on_the_port),
      cmocka_unit_test(cookie_with_any_bit_changed_is_not_valid),
      cmocka_unit_test(cookie_of_another_size_is_not_valid),
      cmocka_unit_test(cookie_is_not_valid_without_secrets),
      cmocka_unit_test(cookie_secrets_are_read_in_their_order),
      cmocka_unit_test(cookie_secrets_that_are_wrong_are_told_by_line),
      cmocka_unit_test(cookie_secrets_that_cannot_be_read_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
