#include "gslb/model/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct health_record a_health = {
    .state = HEALTH_DOWN,
    .streak = 65535,
    .last_passed = true,
    .since_ms = 1,
    .last_ms = INT64_MAX,
    .last_good_ms = -1,
    .rtt_us = 1200,
    .rtt_mean_us = UINT32_MAX,
    .passed = UINT64_MAX,
    .failed = 3,
    .reason = "connection refused",
};

static const struct latch_record a_latch = {.last_good = true, .since_ms = 0x0102030405060708};

static void fill(char *text, size_t size) {
  memset(text, 'x', size - 1);
  text[size - 1] = '\0';
}

static void health_comes_back_as_it_was(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST];
  struct health_record back;
  memset(&back, 0xff, sizeof back);
  size_t size = health_encode(&a_health, bytes);
  assert_int_equal(health_decode(bytes, size, &back), STATUS_OK);
  assert_int_equal(back.state, a_health.state);
  assert_int_equal(back.streak, a_health.streak);
  assert_true(back.last_passed);
  assert_true(back.since_ms == 1 && back.last_ms == INT64_MAX && back.last_good_ms == -1);
  assert_true(back.rtt_us == 1200 && back.rtt_mean_us == UINT32_MAX);
  assert_true(back.passed == UINT64_MAX && back.failed == 3);
  assert_string_equal(back.reason, "connection refused");
}

static void load_latch_comes_back_as_it_was(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST];
  const struct load_latch_record latch = {.count = 2, .over = {{1}, {UINT64_C(0x8000000000000001)}}, .since_ms = -3};
  struct load_latch_record back = {0};
  size_t size = load_latch_encode(&latch, bytes);
  assert_int_equal(load_latch_decode(bytes, size, &back), STATUS_OK);
  assert_true(back.count == 2 && back.over[0].id == 1 && back.over[1].id == latch.over[1].id && back.since_ms == -3);
  assert_int_equal(load_latch_decode(bytes, size - 1, &back), STATUS_INVALID);
  bytes[0]++;
  assert_int_equal(load_latch_decode(bytes, size, &back), STATUS_VERSION);
}

static void a_load_latch_by_positions_says_nothing(void **state) {
  (void)state;
  static const uint8_t first[17] = {1, [8] = 3, [16] = 9}; /* version, bits of positions 0 and 1, since_ms */
  struct load_latch_record back = {.count = 5};
  assert_int_equal(load_latch_decode(first, sizeof first, &back), STATUS_OK);
  assert_int_equal(back.count, 0);
}

static void every_kind_fits_at_its_longest(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST];
  struct override_record override = {.kind = OVERRIDE_DRAIN, .set_ms = 5, .until_ms = 6}, override_back;
  fill(override.who, sizeof override.who);
  fill(override.why, sizeof override.why);
  assert_int_equal(override_decode(bytes, override_encode(&override, bytes), &override_back), STATUS_OK);
  assert_string_equal(override_back.why, override.why);
  assert_int_equal(override_back.kind, OVERRIDE_DRAIN);

  struct event_record event = {.at_ms = 7}, event_back;
  fill(event.service, sizeof event.service);
  fill(event.member, sizeof event.member);
  fill(event.kind, sizeof event.kind);
  fill(event.from, sizeof event.from);
  fill(event.to, sizeof event.to);
  fill(event.reason, sizeof event.reason);
  assert_int_equal(event_decode(bytes, event_encode(&event, bytes), &event_back), STATUS_OK);
  assert_string_equal(event_back.service, event.service);
  assert_string_equal(event_back.reason, event.reason);

  struct audit_record audit = {.at_ms = 8}, audit_back;
  fill(audit.who, sizeof audit.who);
  fill(audit.action, sizeof audit.action);
  fill(audit.subject, sizeof audit.subject);
  fill(audit.detail, sizeof audit.detail);
  assert_int_equal(audit_decode(bytes, audit_encode(&audit, bytes), &audit_back), STATUS_OK);
  assert_string_equal(audit_back.subject, audit.subject);
  assert_string_equal(audit_back.detail, audit.detail);

  struct slot_record slot = {.slot = UINT32_MAX}, slot_back;
  assert_int_equal(slot_decode(bytes, slot_encode(&slot, bytes), &slot_back), STATUS_OK);
  assert_true(slot_back.slot == UINT32_MAX);
}

static void layout_on_disk_stays_what_it_is(void **state) {
  (void)state;
  static const uint8_t wanted[] = {1, 1, 1, 2, 3, 4, 5, 6, 7, 8};
  uint8_t bytes[RECORD_SIZE_MOST];
  assert_int_equal(latch_encode(&a_latch, bytes), sizeof wanted);
  assert_memory_equal(bytes, wanted, sizeof wanted);
}

static void text_without_end_is_cut(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST];
  struct override_record record = {.kind = OVERRIDE_UP}, back;
  memset(record.who, 'w', sizeof record.who);
  assert_int_equal(override_decode(bytes, override_encode(&record, bytes), &back), STATUS_OK);
  assert_int_equal(strlen(back.who), sizeof record.who - 1);
}

static void record_cut_anywhere_is_invalid(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST];
  size_t size = health_encode(&a_health, bytes);
  struct health_record back = {.streak = 99};
  for (size_t cut = 0; cut < size; cut++) {
    assert_int_equal(health_decode(bytes, cut, &back), STATUS_INVALID);
    assert_int_equal(back.streak, 99);
  }
}

static void record_with_a_byte_too_many_is_invalid(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST] = {0};
  size_t size = latch_encode(&a_latch, bytes);
  struct latch_record back;
  assert_int_equal(latch_decode(bytes, size + 1, &back), STATUS_INVALID);
}

static void unknown_version_is_told_apart(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST];
  size_t size = latch_encode(&a_latch, bytes);
  struct latch_record back = {.since_ms = 42};
  bytes[0] = 2;
  assert_int_equal(latch_decode(bytes, size, &back), STATUS_VERSION);
  bytes[0] = 0;
  assert_int_equal(latch_decode(bytes, size, &back), STATUS_VERSION);
  assert_int_equal(back.since_ms, 42);
}

static void choice_outside_its_range_is_invalid(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST];
  struct health_record back;
  size_t size = health_encode(&a_health, bytes);
  bytes[1] = HEALTH_DOWN + 1;
  assert_int_equal(health_decode(bytes, size, &back), STATUS_INVALID);
  struct latch_record latch;
  size = latch_encode(&a_latch, bytes);
  bytes[1] = 2;
  assert_int_equal(latch_decode(bytes, size, &latch), STATUS_INVALID);
}

static void text_longer_than_its_field_is_invalid(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST] = {1, OVERRIDE_UP};
  struct override_record back;
  bytes[19] = 64; /* who holds 63 and the NUL */
  memset(bytes + 20, 'w', 64);
  assert_int_equal(override_decode(bytes, 20 + 64 + 2, &back), STATUS_INVALID);
  bytes[19] = 63;
  assert_int_equal(override_decode(bytes, 20 + 63 + 2, &back), STATUS_INVALID); /* length of why: 'w' << 8 */
  memset(bytes + 20 + 63, 0, 2);
  assert_int_equal(override_decode(bytes, 20 + 63 + 2, &back), STATUS_OK);
}

static void text_with_a_nul_inside_is_invalid(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST];
  struct override_record record = {.kind = OVERRIDE_UP, .who = "ann", .why = "test"}, back;
  size_t size = override_encode(&record, bytes);
  bytes[size - 2] = '\0';
  assert_int_equal(override_decode(bytes, size, &back), STATUS_INVALID);
}

static void keys_are_names_with_a_nul_between(void **state) {
  (void)state;
  struct record_key key;
  struct addr address = {.family = 6, .bytes = {[15] = 1}};
  record_key_probe("www.example.com", "fra-1", &address, "web", &key);
  static const char wanted[] = "www.example.com\0fra-1\0::1\0web";
  assert_int_equal(key.size, sizeof wanted - 1);
  assert_memory_equal(key.bytes, wanted, key.size);

  struct record_key prefix;
  record_key_service("www.example.com", &prefix);
  assert_int_equal(prefix.size, 16);
  assert_memory_equal(prefix.bytes, key.bytes, prefix.size);

  record_key_member("www.example.com", "fra-1", &key);
  assert_int_equal(key.size, 21);
  record_key_address("www.example.com", "fra-1", &address, &key);
  assert_int_equal(key.size, 25);
}

static void longest_names_fit_into_a_key(void **state) {
  (void)state;
  char service[256], member[64], monitor[64];
  fill(service, sizeof service);
  fill(member, sizeof member);
  fill(monitor, sizeof monitor);
  struct addr address = {.family = 6};
  memset(address.bytes, 0xfe, sizeof address.bytes);
  struct record_key key;
  record_key_probe(service, member, &address, monitor, &key);
  assert_true(key.size <= 511);
}

static void override_words_are_understood(void **state) {
  (void)state;
  enum override_kind kind = OVERRIDE_UP;
  assert_int_equal(override_parse("down", &kind), STATUS_OK);
  assert_int_equal(kind, OVERRIDE_DOWN);
  assert_int_equal(override_parse("clear", &kind), STATUS_OK);
  assert_int_equal(kind, OVERRIDE_NONE);
  assert_int_equal(override_parse("drain", &kind), STATUS_OK);
  assert_int_equal(override_parse("Down", &kind), STATUS_INVALID);
  assert_int_equal(kind, OVERRIDE_DRAIN);
  assert_string_equal(override_name(OVERRIDE_DRAIN), "drain");
  assert_string_equal(health_name(HEALTH_DRAINING), "draining");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(health_comes_back_as_it_was),
      cmocka_unit_test(load_latch_comes_back_as_it_was),
      cmocka_unit_test(a_load_latch_by_positions_says_nothing),
      cmocka_unit_test(every_kind_fits_at_its_longest),
      cmocka_unit_test(layout_on_disk_stays_what_it_is),
      cmocka_unit_test(text_without_end_is_cut),
      cmocka_unit_test(record_cut_anywhere_is_invalid),
      cmocka_unit_test(record_with_a_byte_too_many_is_invalid),
      cmocka_unit_test(unknown_version_is_told_apart),
      cmocka_unit_test(choice_outside_its_range_is_invalid),
      cmocka_unit_test(text_longer_than_its_field_is_invalid),
      cmocka_unit_test(text_with_a_nul_inside_is_invalid),
      cmocka_unit_test(keys_are_names_with_a_nul_between),
      cmocka_unit_test(longest_names_fit_into_a_key),
      cmocka_unit_test(override_words_are_understood),
  };
  return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
