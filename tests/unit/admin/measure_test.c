#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/admin/measure.h"

static struct channel_message message;

static enum status read_refusal(const char *text, size_t length, struct event_record *event) {
  message.kind = CHANNEL_REFUSED;
  message.length = length;
  memcpy(message.text, text, length);
  message.text[length] = '\0';
  return measure_refusal(&message, 7, event);
}

static void a_refusal_becomes_an_event(void **state) {
  (void)state;
  static const char text[] = "www.example.com\0fra-1\0\"cpu\" is nan,\nno figure";
  struct event_record event;
  assert_int_equal(read_refusal(text, sizeof text - 1, &event), STATUS_OK);
  assert_int_equal(event.at_ms, 7);
  assert_string_equal(event.kind, "metrics");
  assert_string_equal(event.to, "refused");
  assert_string_equal(event.service, "www.example.com");
  assert_string_equal(event.member, "fra-1");
  assert_string_equal(event.reason, "\"cpu\" is nan, no figure");
}

static void a_refusal_without_its_parts_is_none(void **state) {
  (void)state;
  struct event_record event;
  assert_int_equal(read_refusal("", 0, &event), STATUS_INVALID);
  assert_int_equal(read_refusal("a", 1, &event), STATUS_INVALID);
  assert_int_equal(read_refusal("a\0b", 3, &event), STATUS_INVALID);
  assert_int_equal(read_refusal("\0b\0c", 4, &event), STATUS_INVALID);
  static char longest[2000];
  memset(longest, 'x', sizeof longest);
  longest[900] = longest[1200] = '\0';
  assert_int_equal(read_refusal(longest, sizeof longest, &event), STATUS_OK);
  assert_int_equal(strlen(event.service), sizeof event.service - 1);
  assert_int_equal(strlen(event.reason), sizeof event.reason - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_refusal_becomes_an_event),
      cmocka_unit_test(a_refusal_without_its_parts_is_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
