#include "zones/transfer/presentation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "zones/message/query.h"

static const uint8_t owner[] = {3, 'w', 'w', 'w', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0};

static struct transfer_record record_of(uint16_t type, const void *data, uint16_t size) {
  return (struct transfer_record){.owner = owner,
                                  .owner_size = sizeof owner,
                                  .ttl_s = 300,
                                  .type = type,
                                  .data = data,
                                  .size = size};
}

/* What a copy has and what a person is shown, behind "www.example. 300 IN ". */
static void expect(uint16_t type, const void *data, uint16_t size, const char *copied, const char *shown) {
  const struct transfer_record record = record_of(type, data, size);
  char *text = NULL;
  size_t length;
  FILE *out = open_memstream(&text, &length);
  presentation_print(out, &record);
  fclose(out);
  assert_memory_equal(text, "www.example. 300 IN ", 20);
  assert_string_equal(text + 20, copied);
  free(text);
  text = presentation_text(&record);
  assert_string_equal(text + 20, shown);
  free(text);
}

static void common_types_have_their_own_form_everywhere(void **state) {
  (void)state;
  expect(TYPE_A, "\xc0\x00\x02\x01", 4, "A 192.0.2.1", "A 192.0.2.1");
  expect(TYPE_MX, "\x00\x0a\x01m\x00", 5, "MX 10 m.", "MX 10 m.");
  expect(TYPE_TXT,
         "\x03"
         "a\"\n"
         "\x00",
         5, "TXT \"a\\034\\010\" \"\"", "TXT \"a\\034\\010\" \"\"");
}

static void other_types_are_bytes_in_copies_and_readable_for_persons(void **state) {
  (void)state;
  expect(TYPE_DS, "\x00\x01\x08\x02\xab\xcd", 6, "DS \\# 6 00010802abcd", "DS 1 8 2 abcd");
  expect(257, "\x00\x05issueca.x", 11,
         "CAA \\# 11 000569737375656361"
         "2e78",
         "CAA 0 issue \"ca.x\"");
  expect(TYPE_HTTPS, "\x00\x01\x00\x00\x03\x00\x02\x1f\x90", 9, "HTTPS \\# 9 000100000300021f90",
         "HTTPS 1 . port=8080");
}

static void unknown_and_unsound_data_are_bytes(void **state) {
  (void)state;
  expect(65280, "\xc0\x0c", 2, "TYPE65280 \\# 2 c00c", "TYPE65280 \\# 2 c00c");
  expect(65280, "", 0, "TYPE65280 \\# 0", "TYPE65280 \\# 0");
  expect(TYPE_A, "\xc0\x00", 2, "A \\# 2 c000", "A \\# 2 c000");
  expect(TYPE_DS, "\x00", 1, "DS \\# 1 00", "DS \\# 1 00");
  expect(TYPE_MX, "\x00\x0a\x05m", 4, "MX \\# 4 000a056d", "MX \\# 4 000a056d");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(common_types_have_their_own_form_everywhere),
      cmocka_unit_test(other_types_are_bytes_in_copies_and_readable_for_persons),
      cmocka_unit_test(unknown_and_unsound_data_are_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
