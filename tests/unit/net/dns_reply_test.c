#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/net/dns_reply.h"

/* one question for a.b, then one answer whose owner points at it; the data follows */
static const uint8_t front[] = {0x12, 0x34, 0x81, 0x80, 0,    1,    0, 1, 0, 0, 0, 0, 1, 'a', 1, 'b', 0,
                                0,    1,    0,    1,    0xc0, 0x0c, 0, 0, 0, 1, 0, 0, 0, 60,  0, 0};
#define AT_TYPE 23
#define AT_SIZE 31

static bool has(uint16_t type, const void *data, size_t size, const char *expected) {
  /* exactly as large as the message, so that a read beyond it is seen */
  uint8_t *message = malloc(sizeof front + size);
  memcpy(message, front, sizeof front);
  memcpy(message + sizeof front, data, size);
  message[AT_TYPE + 1] = (uint8_t)type;
  message[AT_TYPE] = (uint8_t)(type >> 8);
  message[AT_SIZE + 1] = (uint8_t)size;
  bool found = dns_reply_has(message, sizeof front + size, type, expected);
  for (size_t cut = 0; cut < sizeof front + size; cut++) {
    uint8_t *part = malloc(cut ? cut : 1);
    memcpy(part, message, cut);
    assert_false(dns_reply_has(part, cut, type, expected));
    free(part);
  }
  free(message);
  return found;
}

static void addresses_are_compared_as_addresses(void **state) {
  (void)state;
  static const uint8_t v4[] = {192, 0, 2, 53};
  static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x35};
  assert_true(has(1, v4, 4, "192.0.2.53"));
  assert_false(has(1, v4, 4, "192.0.2.5"));
  assert_false(has(1, v4, 4, "2001:db8::35"));
  assert_false(has(1, v4, 3, "192.0.2.53"));
  assert_true(has(28, v6, 16, "2001:DB8:0:0::35"));
  assert_false(has(28, v6, 16, "2001:db8::36"));
}

static void names_are_compared_without_case_or_last_dot(void **state) {
  (void)state;
  static const uint8_t name[] = {2, 'N', 's', 0xc0, 0x0c};
  assert_true(has(2, name, sizeof name, "ns.a.b."));
  assert_true(has(5, name, sizeof name, "NS.A.B"));
  assert_false(has(12, name, sizeof name, "ns.a.bc"));
  assert_false(has(2, name, sizeof name, "ns.a.b. more"));
}

static void fields_are_compared_word_by_word(void **state) {
  (void)state;
  static const uint8_t mx[] = {0, 10, 0xc0, 0x0c};
  static const uint8_t srv[] = {0, 1, 0, 2, 0x20, 0xfb, 0xc0, 0x0c};
  static const uint8_t soa[] = {0xc0, 0x0c, 0xc0, 0x0e, 0, 0, 0, 1, 0,   0,   0,   2,
                                0,    0,    0,    3,    0, 0, 0, 4, 255, 255, 255, 255};
  assert_true(has(15, mx, sizeof mx, "10  a.b."));
  assert_false(has(15, mx, sizeof mx, "1 a.b."));
  assert_false(has(15, mx, sizeof mx, "10"));
  assert_true(has(33, srv, sizeof srv, "1 2 8443 a.b"));
  assert_true(has(6, soa, sizeof soa, "a.b. b. 1 2 3 4 4294967295"));
  assert_false(has(6, soa, sizeof soa - 1, "a.b. b. 1 2 3 4 4294967295"));
}

static void text_is_compared_by_its_bytes(void **state) {
  (void)state;
  static const uint8_t one[] = {5, 'o', 'k', ' ', '"', '1'};
  static const uint8_t two[] = {2, 'a', 'b', 1, 'c'};
  assert_true(has(16, one, sizeof one, "\"ok \\\"1\""));
  assert_true(has(16, one, sizeof one, "ok \\\"\\049"));
  assert_false(has(16, one, sizeof one, "ok"));
  assert_true(has(16, two, sizeof two, "\"ab\" \"c\""));
  assert_true(has(16, two, sizeof two, "abc"));
  assert_false(has(16, two, sizeof two, "abcd"));
  assert_false(has(16, two, sizeof two - 1, "ab"));
}

static void other_types_are_compared_as_hexadecimal(void **state) {
  (void)state;
  static const uint8_t data[] = {0xc0, 0x00, 0x02, 0x35};
  assert_true(has(257, data, sizeof data, "\\# 4 C000 0235"));
  assert_false(has(257, data, sizeof data, "\\# 4 c0000236"));
  assert_false(has(257, data, sizeof data, "\\# 5 c0000235"));
  assert_false(has(257, data, sizeof data, "\\# 4 c00002"));
  assert_false(has(257, data, sizeof data, "c0000235"));
}

/* a.b with two A records, a SOA and two RRSIG, one of which covers A */
static const uint8_t several[] = {0,    0,   0x81, 0x80, 0,    1,    0, 5,    0,    0,  0,  0,   1,    'a',
                                  1,    'b', 0,    0,    1,    0,    1, /* question */
                                  0xc0, 12,  0,    1,    0,    1,    0, 0,    0,    60, 0,  4,   192,  0,
                                  2,    1, /* A */
                                  0xc0, 12,  0,    1,    0,    1,    0, 0,    0,    60, 0,  4,   192,  0,
                                  2,    2, /* A */
                                  0xc0, 12,  0,    6,    0,    1,    0, 0,    0,    60, 0,  24,  0xc0, 12,
                                  0xc0, 14,  0xff, 0xff, 0xff, 0xf0, /* SOA */
                                  0,    0,   0,    1,    0,    0,    0, 1,    0,    0,  0,  1,   0,    0,
                                  0,    1,   0xc0, 12,   0,    46,   0, 1,    0,    0,  0,  60,  0,    19,
                                  0,    1,   13,   2,    0,    0,    0, 60,   0x6a, 0,  0,  100, /* RRSIG A */
                                  0x69, 0,   0,    0,    0,    7,    0, 0xc0, 12,   0,  46, 0,   1,    0,
                                  0,    0,   60,   0,    19,   0,    6, 13,   2,    0,  0,  0,   60,   0x60,
                                  0,    0,   0, /* RRSIG SOA */
                                  0x50, 0,   0,    0,    0,    7,    0};

static void whole_answer_has_all_and_no_other(void **state) {
  (void)state;
  static const char *const both[] = {"192.0.2.2", "192.0.2.1", NULL}, *const one[] = {"192.0.2.1", NULL};
  static const char *const more[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", NULL};
  assert_true(dns_reply_has_whole(several, sizeof several, 1, both));
  assert_false(dns_reply_has_whole(several, sizeof several, 1, one));
  assert_false(dns_reply_has_whole(several, sizeof several, 1, more));
  for (size_t cut = 0; cut < sizeof several; cut++)
    assert_false(dns_reply_has_whole(several, cut, 1, both));
}

static void serials_compare_around_their_end(void **state) {
  (void)state;
  uint32_t serial = 0;
  assert_int_equal(dns_reply_serial(several, sizeof several, &serial), STATUS_OK);
  assert_int_equal(serial, 0xfffffff0u);
  assert_true(dns_serial_is_older(serial, 5));
  assert_false(dns_serial_is_older(5, serial));
  assert_false(dns_serial_is_older(5, 5));
  assert_int_equal(dns_reply_serial(several, 53, &serial), STATUS_NODATA);
}

static void signatures_end_around_now(void **state) {
  (void)state;
  int64_t until_s = 0;
  assert_int_equal(dns_reply_signed_until(several, sizeof several, 1, 0x6a000000, &until_s), STATUS_OK);
  assert_int_equal(until_s, 0x6a000064);
  assert_int_equal(dns_reply_signed_until(several, sizeof several, 6, 0x6a000000, &until_s), STATUS_OK);
  assert_int_equal(until_s, 0x60000000);
  /* after 2106 */
  assert_int_equal(dns_reply_signed_until(several, sizeof several, 1, 0x16a000000, &until_s), STATUS_OK);
  assert_int_equal(until_s, 0x16a000064);
  assert_int_equal(dns_reply_signed_until(several, sizeof several, 16, 0x6a000000, &until_s), STATUS_NODATA);
}

static void pointer_loop_is_no_record(void **state) {
  (void)state;
  static const uint8_t loop[] = {0xc0, 33};
  assert_false(has(2, loop, sizeof loop, "a.b."));
}

static void counts_that_lie_end_at_the_message(void **state) {
  (void)state;
  uint8_t message[sizeof front];
  memcpy(message, front, sizeof front);
  memset(message + 4, 0xff, 4);
  assert_false(dns_reply_has(message, sizeof message, 1, "192.0.2.1"));
}

static void rcode_is_read_from_responses_alone(void **state) {
  (void)state;
  int rcode = -1;
  uint8_t header[12] = {0, 0, 0x01, 0x02};
  assert_int_equal(dns_reply_rcode(header, 12, &rcode), STATUS_INVALID);
  header[2] = 0x81;
  assert_int_equal(dns_reply_rcode(header, 11, &rcode), STATUS_INVALID);
  assert_int_equal(rcode, -1);
  assert_int_equal(dns_reply_rcode(header, 12, &rcode), STATUS_OK);
  assert_int_equal(rcode, 2);
  char text[16];
  assert_string_equal(dns_reply_rcode_text(rcode, text), "SERVFAIL");
  assert_string_equal(dns_reply_rcode_text(11, text), "RCODE11");
}

static void addresses_of_a_name_come_from_any_section(void **state) {
  (void)state;
  /* a.b SRV 1 2 80 c.b in the answer; c.b A, C.B AAAA, c.b TXT and b A in the additional section */
  static const uint8_t message[] = {0,    0,   0x81, 0x80, 0,    1,  0,  1, 0,  0,  0, 4, /* header */
                                    1,    'a', 1,    'b',  0,    0,  33, 0, 1,            /* question */
                                    0xc0, 12,  0,    33,   0,    1,  0,  0, 0,  60, 0, 10, 0,   1,   0,   2,
                                    0,    80,  1,    'c',  0xc0, 14,                                         /* SRV */
                                    0xc0, 39,  0,    1,    0,    1,  0,  0, 0,  60, 0, 4,  192, 0,   2,   1, /* A */
                                    1,    'C', 1,    'B',  0,    0,  28, 0, 1,  0,  0, 0,  60,  0,   16,  0x20,
                                    1,    0xd, 0xb8, 0,    0,    0,  0,  0, 0,  0,  0, 0,  0,   0,   1,   0xc0,
                                    39,   0,   16,   0,    1,    0,  0,  0, 60, 0,  4, 3,  'x', 'y', 'z', /* TXT */
                                    0xc0, 14,  0,    1,    0,    1,  0,  0, 0,  60, 0, 4,  192, 0,   2,   9};
  struct addr found[4];
  char text[ADDR_TEXT_SIZE];
  assert_int_equal(dns_reply_addresses(message, sizeof message, "c.b", found, 4), 2);
  assert_string_equal(addr_format(&found[0], text), "192.0.2.1");
  assert_string_equal(addr_format(&found[1], text), "2001:db8::1");
  assert_int_equal(dns_reply_addresses(message, sizeof message, "c.b", found, 1), 1);
  assert_int_equal(dns_reply_addresses(message, sizeof message, "a.b", found, 4), 0);
  for (size_t cut = 0; cut < sizeof message; cut++) {
    uint8_t *part = malloc(cut ? cut : 1);
    memcpy(part, message, cut);
    assert_true(dns_reply_addresses(part, cut, "b", found, 4) == 0);
    free(part);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_are_compared_as_addresses),
      cmocka_unit_test(names_are_compared_without_case_or_last_dot),
      cmocka_unit_test(fields_are_compared_word_by_word),
      cmocka_unit_test(text_is_compared_by_its_bytes),
      cmocka_unit_test(other_types_are_compared_as_hexadecimal),
      cmocka_unit_test(pointer_loop_is_no_record),
      cmocka_unit_test(whole_answer_has_all_and_no_other),
      cmocka_unit_test(serials_compare_around_their_end),
      cmocka_unit_test(signatures_end_around_now),
      cmocka_unit_test(counts_that_lie_end_at_the_message),
      cmocka_unit_test(rcode_is_read_from_responses_alone),
      cmocka_unit_test(addresses_of_a_name_come_from_any_section),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
