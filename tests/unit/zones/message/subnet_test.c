#include "zones/message/subnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define READ(text, out) subnet_read((const uint8_t *)(text), sizeof(text) - 1, out)

/* The data must be refused, and *out left alone. */
static void assert_refused(const char *data, size_t size) {
  struct subnet subnet, before;
  memset(&subnet, 0x5a, sizeof subnet);
  before = subnet;
  assert_false(subnet_read((const uint8_t *)data, size, &subnet));
  assert_memory_equal(&subnet, &before, sizeof subnet);
}
#define assert_text_refused(text) assert_refused(text, sizeof(text) - 1)

static void assert_written(const struct subnet *subnet, uint8_t scope_bits, const char *data, size_t size) {
  uint8_t written[32];
  memset(written, 0xee, sizeof written);
  assert_int_equal(subnet_size(subnet), size);
  subnet_write(subnet, scope_bits, written);
  assert_memory_equal(written, data, size);
  assert_int_equal(written[size], 0xee);
}
#define assert_text_written(subnet, scope_bits, text) assert_written(subnet, scope_bits, text, sizeof(text) - 1)

static void subnet_reads_ipv4(void **state) {
  (void)state;
  struct subnet subnet;
  assert_true(READ("\0\1\30\0\300\0\2", &subnet));
  assert_int_equal(subnet.family, 4);
  assert_int_equal(subnet.source_bits, 24);
  assert_memory_equal(subnet.bytes, "\300\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
  assert_text_written(&subnet, 16, "\0\1\30\20\300\0\2");
}

static void subnet_reads_ipv6(void **state) {
  (void)state;
  struct subnet subnet;
  assert_true(READ("\0\2\70\0\40\1\r\270\0\1\2", &subnet));
  assert_int_equal(subnet.family, 6);
  assert_int_equal(subnet.source_bits, 56);
  assert_memory_equal(subnet.bytes, "\40\1\r\270\0\1\2\0\0\0\0\0\0\0\0\0", 16);
  assert_text_written(&subnet, 48, "\0\2\70\60\40\1\r\270\0\1\2");
}

static void subnet_reads_whole_addresses(void **state) {
  (void)state;
  struct subnet subnet;
  assert_true(READ("\0\1\40\0\300\0\2\1", &subnet));
  assert_int_equal(subnet.source_bits, 32);
  assert_text_written(&subnet, 32, "\0\1\40\40\300\0\2\1");
  assert_true(READ("\0\2\200\0\40\1\r\270\0\0\0\0\0\0\0\0\0\0\0\1", &subnet));
  assert_int_equal(subnet.source_bits, 128);
  assert_text_written(&subnet, 128, "\0\2\200\200\40\1\r\270\0\0\0\0\0\0\0\0\0\0\0\1");
}

static void subnet_reads_prefixes_that_end_within_a_byte(void **state) {
  (void)state;
  struct subnet subnet;
  assert_true(READ("\0\1\25\0\300\0\370", &subnet)); /* 21 bits */
  assert_text_written(&subnet, 0, "\0\1\25\0\300\0\370");
  assert_true(READ("\0\1\1\0\200", &subnet));
  assert_text_written(&subnet, 1, "\0\1\1\1\200");
}

static void subnet_reads_source_0_of_each_family_and_of_none(void **state) {
  (void)state;
  struct subnet subnet;
  assert_true(READ("\0\0\0\0", &subnet));
  assert_int_equal(subnet.family, 0);
  assert_int_equal(subnet.source_bits, 0);
  assert_text_written(&subnet, 0, "\0\0\0\0");
  assert_true(READ("\0\1\0\0", &subnet));
  assert_int_equal(subnet.family, 4);
  assert_text_written(&subnet, 0, "\0\1\0\0");
  assert_true(READ("\0\2\0\0", &subnet));
  assert_int_equal(subnet.family, 6);
  assert_text_written(&subnet, 0, "\0\2\0\0");
}

static void subnet_refuses_what_is_too_short(void **state) {
  (void)state;
  for (size_t size = 0; size < 4; size++)
    assert_refused("\0\1\0\0", size);
}

static void subnet_refuses_unknown_families(void **state) {
  (void)state;
  assert_text_refused("\0\3\0\0");
  assert_text_refused("\0\3\10\0\1");
  assert_text_refused("\1\1\30\0\300\0\2");
  assert_text_refused("\377\377\0\0");
}

static void subnet_refuses_no_family_with_a_prefix(void **state) {
  (void)state;
  assert_text_refused("\0\0\10\0\12");
  assert_text_refused("\0\0\10\0");
  assert_text_refused("\0\0\0\0\0");
}

static void subnet_refuses_prefixes_longer_than_addresses(void **state) {
  (void)state;
  assert_text_refused("\0\1\41\0\300\0\2\1\0");
  assert_text_refused("\0\1\41\0\300\0\2\1");
  assert_text_refused("\0\2\201\0\40\1\r\270\0\0\0\0\0\0\0\0\0\0\0\1\0");
  assert_text_refused("\0\2\377\0\40\1\r\270\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
}

static void subnet_refuses_a_scope_in_a_query(void **state) {
  (void)state;
  assert_text_refused("\0\1\30\1\300\0\2");
  assert_text_refused("\0\1\0\30");
  assert_text_refused("\0\0\0\1");
}

static void subnet_refuses_address_bytes_too_many_or_too_few(void **state) {
  (void)state;
  assert_text_refused("\0\1\30\0\300\0");
  assert_text_refused("\0\1\30\0\300\0\2\0");
  assert_text_refused("\0\1\25\0\300\0");
  assert_text_refused("\0\1\0\0\0");
  assert_text_refused("\0\2\70\0\40\1\r\270\0\1");
  assert_text_refused("\0\2\70\0\40\1\r\270\0\1\2\0\0\0\0\0\0\0\0\0");
}

static void subnet_refuses_bits_beyond_the_prefix(void **state) {
  (void)state;
  assert_text_refused("\0\1\25\0\300\0\374");
  assert_text_refused("\0\1\25\0\300\0\371");
  assert_text_refused("\0\1\1\0\300");
  assert_text_refused("\0\2\57\0\40\1\r\270\0\1"); /* 47 bits */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(subnet_reads_ipv4),
      cmocka_unit_test(subnet_reads_ipv6),
      cmocka_unit_test(subnet_reads_whole_addresses),
      cmocka_unit_test(subnet_reads_prefixes_that_end_within_a_byte),
      cmocka_unit_test(subnet_reads_source_0_of_each_family_and_of_none),
      cmocka_unit_test(subnet_refuses_what_is_too_short),
      cmocka_unit_test(subnet_refuses_unknown_families),
      cmocka_unit_test(subnet_refuses_no_family_with_a_prefix),
      cmocka_unit_test(subnet_refuses_prefixes_longer_than_addresses),
      cmocka_unit_test(subnet_refuses_a_scope_in_a_query),
      cmocka_unit_test(subnet_refuses_address_bytes_too_many_or_too_few),
      cmocka_unit_test(subnet_refuses_bits_beyond_the_prefix),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
