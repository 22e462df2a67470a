#include "gslb/model/registration.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct arena scratch;

static void fill(char *text, size_t size) {
  memset(text, 'x', size - 1);
  text[size - 1] = '\0';
}

static void fill_addresses(struct addr *addresses, uint32_t *count) {
  for (uint32_t i = 0; i < CONFIG_ADDRESSES_MOST; i++) {
    addresses[i] = (struct addr){.family = i % 2 ? 6 : 4, .port = (uint16_t)(i * 4000)};
    memset(addresses[i].bytes, (int)i + 1, i % 2 ? 16 : 4);
  }
  *count = CONFIG_ADDRESSES_MOST;
}

static struct resource_record a_resource(void) {
  struct resource_record record = {.revision = 1,
                                   .epoch = UINT64_MAX,
                                   .registered_ms = 2,
                                   .changed_ms = INT64_MAX,
                                   .lease_ms = 0,
                                   .is_removed = true,
                                   .removed_until_ms = -1,
                                   .document = "{\"kind\":\"server\"}",
                                   .document_size = 17};
  fill(record.owner, sizeof record.owner);
  fill(record.notice_key, sizeof record.notice_key);
  fill(record.removed_why, sizeof record.removed_why);
  return record;
}

static char long_label[256];
static const char *labels[REGISTRATION_LABELS_MOST + 1];

static struct member_record a_member(void) {
  struct member_record record = {.kind = RESOURCE_CLOUD,
                                 .weight = UINT32_MAX,
                                 .tier = 255,
                                 .port = 8080,
                                 .txt = labels};
  fill(long_label, sizeof long_label);
  for (size_t i = 0; i < REGISTRATION_LABELS_MOST; i++)
    labels[i] = i % 2 ? "rack=r7" : long_label;
  fill_addresses(record.addresses, &record.address_count);
  fill(record.site, sizeof record.site);
  fill(record.instance, sizeof record.instance);
  return record;
}

static struct lease_record a_lease(void) {
  struct lease_record record = {.state = LEASE_STALE,
                                .end_ms = 1,
                                .since_ms = 2,
                                .renewed_ms = 3,
                                .epoch = 4,
                                .sequence = UINT64_MAX,
                                .self = HEALTH_DRAINING,
                                .utilization = 0.41};
  fill(record.self_reason, sizeof record.self_reason);
  return record;
}

static void resource_comes_back_with_its_document(void **state) {
  (void)state;
  struct resource_record record = a_resource(), back;
  size_t size;
  uint8_t *bytes = resource_encode(&record, &size);
  assert_int_equal(resource_decode(bytes, size, &back), STATUS_OK);
  assert_true(back.revision == 1 && back.epoch == UINT64_MAX && back.registered_ms == 2);
  assert_true(back.changed_ms == INT64_MAX && back.lease_ms == 0 && back.is_removed && back.removed_until_ms == -1);
  assert_string_equal(back.owner, record.owner);
  assert_string_equal(back.notice_key, record.notice_key);
  assert_string_equal(back.removed_why, record.removed_why);
  assert_int_equal(back.document_size, record.document_size);
  assert_memory_equal(back.document, record.document, record.document_size);
  free(bytes);
  record.document_size = 0;
  bytes = resource_encode(&record, &size);
  assert_int_equal(resource_decode(bytes, size, &back), STATUS_OK);
  assert_int_equal(back.document_size, 0);
  free(bytes);
}

static void document_over_its_bound_is_invalid(void **state) {
  (void)state;
  struct resource_record record = a_resource(), back;
  char *document = calloc(1, REGISTRATION_DOCUMENT_MOST + 1);
  memset(document, 'd', REGISTRATION_DOCUMENT_MOST + 1);
  record.document = document;
  record.document_size = REGISTRATION_DOCUMENT_MOST;
  size_t size;
  uint8_t *bytes = resource_encode(&record, &size);
  assert_int_equal(resource_decode(bytes, size, &back), STATUS_OK);
  uint8_t *larger = malloc(size + 1);
  memcpy(larger, bytes, size);
  larger[size] = 'd';
  larger[size - REGISTRATION_DOCUMENT_MOST - 1]++; /* the last byte of the document's length */
  assert_int_equal(resource_decode(larger, size + 1, &back), STATUS_INVALID);
  free(larger);
  free(bytes);
  free(document);
}

static void member_comes_back_with_addresses_and_labels(void **state) {
  (void)state;
  struct member_record record = a_member(), back;
  size_t size;
  uint8_t *bytes = member_encode(&record, &size);
  assert_int_equal(member_decode(bytes, size, &scratch, &back), STATUS_OK);
  assert_int_equal(back.kind, RESOURCE_CLOUD);
  assert_true(back.weight == UINT32_MAX && back.tier == 255 && back.port == 8080);
  assert_string_equal(back.site, record.site);
  assert_string_equal(back.instance, record.instance);
  assert_int_equal(back.address_count, CONFIG_ADDRESSES_MOST);
  for (size_t i = 0; i < CONFIG_ADDRESSES_MOST; i++)
    assert_true(addr_equal(&back.addresses[i], &record.addresses[i]));
  for (size_t i = 0; i < REGISTRATION_LABELS_MOST; i++)
    assert_string_equal(back.txt[i], labels[i]);
  assert_null(back.txt[REGISTRATION_LABELS_MOST]);
  assert_null(back.utilization_url);
  free(bytes);
  record.txt = NULL;
  record.utilization_url = "http://192.0.2.1:9100/load";
  bytes = member_encode(&record, &size);
  assert_int_equal(member_decode(bytes, size, &scratch, &back), STATUS_OK);
  assert_null(back.txt);
  assert_string_equal(back.utilization_url, record.utilization_url);
  free(bytes);
}

static void member_of_version_1_has_no_url(void **state) {
  (void)state;
  struct member_record record = a_member(), back;
  size_t size;
  uint8_t *bytes = member_encode(&record, &size);
  bytes[0] = 1;
  assert_int_equal(member_decode(bytes, size, &scratch, &back), STATUS_INVALID);
  assert_int_equal(member_decode(bytes, size - 2, &scratch, &back), STATUS_OK); /* without the URL's length */
  assert_string_equal(back.site, record.site);
  assert_null(back.utilization_url);
  free(bytes);
}

static void member_without_a_proper_address_is_invalid(void **state) {
  (void)state;
  struct member_record record = {.weight = 1}, back;
  size_t size;
  uint8_t *bytes = member_encode(&record, &size);
  assert_int_equal(member_decode(bytes, size, &scratch, &back), STATUS_INVALID);
  free(bytes);
  static const uint8_t families[] = {0, 5};
  record.address_count = 1;
  for (size_t i = 0; i < sizeof families; i++) {
    record.addresses[0] = (struct addr){.family = families[i]};
    bytes = member_encode(&record, &size);
    assert_int_equal(member_decode(bytes, size, &scratch, &back), STATUS_INVALID);
    free(bytes);
  }
  record.addresses[0] = (struct addr){.family = 4, .bytes = {[4] = 1}};
  bytes = member_encode(&record, &size);
  assert_int_equal(member_decode(bytes, size, &scratch, &back), STATUS_INVALID);
  free(bytes);
}

static void lease_comes_back_as_it_was(void **state) {
  (void)state;
  struct lease_record record = a_lease(), back;
  uint8_t bytes[RECORD_SIZE_MOST];
  assert_int_equal(lease_decode(bytes, lease_encode(&record, bytes), &back), STATUS_OK);
  assert_int_equal(back.state, LEASE_STALE);
  assert_true(back.end_ms == 1 && back.since_ms == 2 && back.renewed_ms == 3 && back.epoch == 4);
  assert_true(back.sequence == UINT64_MAX && back.self == HEALTH_DRAINING && back.utilization == 0.41);
  assert_string_equal(back.self_reason, record.self_reason);
}

static void number_that_is_not_finite_is_invalid(void **state) {
  (void)state;
  struct lease_record record = a_lease(), back;
  uint8_t bytes[RECORD_SIZE_MOST];
  record.utilization = INFINITY;
  assert_int_equal(lease_decode(bytes, lease_encode(&record, bytes), &back), STATUS_INVALID);
  record.utilization = NAN;
  assert_int_equal(lease_decode(bytes, lease_encode(&record, bytes), &back), STATUS_INVALID);
}

static struct token_record *a_token(void) {
  struct token_record *record = calloc(1, sizeof *record);
  memset(record->hash, 0xab, sizeof record->hash);
  record->created_ms = 1;
  record->until_ms = 2;
  record->is_admin = record->may_read = true;
  fill(record->who, sizeof record->who);
  record->resource_count = record->service_count = REGISTRATION_PATTERNS_MOST;
  for (size_t i = 0; i < REGISTRATION_PATTERNS_MOST; i++) {
    fill(record->resources[i], sizeof record->resources[i]);
    fill(record->services[i], sizeof record->services[i]);
  }
  return record;
}

static void token_comes_back_as_it_was(void **state) {
  (void)state;
  struct token_record *record = a_token(), *back = calloc(1, sizeof *back);
  size_t size;
  uint8_t *bytes = token_encode(record, &size);
  assert_int_equal(token_decode(bytes, size, back), STATUS_OK);
  assert_memory_equal(back, record, sizeof *back);
  free(bytes);
  free(record);
  free(back);
}

static void balancer_and_leave_come_back_at_their_longest(void **state) {
  (void)state;
  uint8_t bytes[RECORD_SIZE_MOST];
  struct balancer_record balancer = {.is_alive = true, .is_own = true, .since_ms = 1, .leaves_ms = 2}, balancer_back;
  balancer.priority = 3;
  balancer.weight = UINT16_MAX;
  fill_addresses(balancer.addresses, &balancer.address_count);
  fill(balancer.name, sizeof balancer.name);
  fill(balancer.reason, sizeof balancer.reason);
  assert_int_equal(balancer_decode(bytes, balancer_encode(&balancer, bytes), &balancer_back), STATUS_OK);
  assert_true(balancer_back.is_alive && !balancer_back.is_accepting && balancer_back.is_own && !balancer_back.is_tls);
  assert_true(balancer_back.leaves_ms == 2 && balancer_back.priority == 3 && balancer_back.weight == UINT16_MAX);
  assert_int_equal(balancer_back.address_count, CONFIG_ADDRESSES_MOST);
  assert_int_equal(balancer_back.addresses[15].port, 60000);
  assert_string_equal(balancer_back.reason, balancer.reason);

  struct leave_record leave = {.at_ms = 5, .until_ms = 6}, leave_back;
  fill(leave.who, sizeof leave.who);
  fill(leave.why, sizeof leave.why);
  assert_int_equal(leave_decode(bytes, leave_encode(&leave, bytes), &leave_back), STATUS_OK);
  assert_true(leave_back.at_ms == 5 && leave_back.until_ms == 6);
  assert_string_equal(leave_back.why, leave.why);
}

typedef enum status decode_any(const uint8_t *data, size_t size);

static enum status decode_resource(const uint8_t *data, size_t size) {
  struct resource_record out;
  return resource_decode(data, size, &out);
}
static enum status decode_member(const uint8_t *data, size_t size) {
  struct member_record out;
  enum status status = member_decode(data, size, &scratch, &out);
  arena_release(&scratch);
  return status;
}
static enum status decode_lease(const uint8_t *data, size_t size) {
  struct lease_record out;
  return lease_decode(data, size, &out);
}
static enum status decode_token(const uint8_t *data, size_t size) {
  struct token_record out;
  return token_decode(data, size, &out);
}
static enum status decode_balancer(const uint8_t *data, size_t size) {
  struct balancer_record out;
  return balancer_decode(data, size, &out);
}
static enum status decode_leave(const uint8_t *data, size_t size) {
  struct leave_record out;
  return leave_decode(data, size, &out);
}

/* Each cut is its own block, so that a read beyond it is seen by the sanitizer. */
static void expect_strict(const uint8_t *bytes, size_t size, decode_any *decode) {
  uint8_t *copy = malloc(size + 1);
  memcpy(copy, bytes, size);
  assert_int_equal(decode(copy, size), STATUS_OK);
  copy[0]++;
  assert_int_equal(decode(copy, size), STATUS_VERSION);
  copy[0] = 0;
  assert_int_equal(decode(copy, size), STATUS_VERSION);
  copy[0] = bytes[0];
  copy[size] = 0;
  assert_int_equal(decode(copy, size + 1), STATUS_INVALID);
  free(copy);
  for (size_t cut = 0; cut < size; cut++) {
    copy = malloc(cut ? cut : 1);
    memcpy(copy, bytes, cut);
    assert_int_equal(decode(copy, cut), STATUS_INVALID);
    free(copy);
  }
  /* any one byte changed gives some status and nothing worse */
  copy = malloc(size);
  memcpy(copy, bytes, size);
  for (size_t at = 1; at < size; at++) {
    copy[at] ^= 0xff;
    (void)decode(copy, size);
    copy[at] ^= 0xff;
  }
  free(copy);
}

static void truncated_longer_and_unknown_records_are_refused(void **state) {
  (void)state;
  uint8_t fixed[RECORD_SIZE_MOST];
  size_t size;
  struct resource_record resource = a_resource();
  uint8_t *bytes = resource_encode(&resource, &size);
  expect_strict(bytes, size, decode_resource);
  free(bytes);
  struct member_record member = a_member();
  labels[3] = NULL;
  bytes = member_encode(&member, &size);
  expect_strict(bytes, size, decode_member);
  free(bytes);
  struct token_record *token = a_token();
  token->resource_count = token->service_count = 2;
  bytes = token_encode(token, &size);
  expect_strict(bytes, size, decode_token);
  free(bytes);
  free(token);
  struct lease_record lease = a_lease();
  expect_strict(fixed, lease_encode(&lease, fixed), decode_lease);
  struct balancer_record balancer = {.address_count = 1, .addresses = {{.family = 4}}, .name = "lb"};
  expect_strict(fixed, balancer_encode(&balancer, fixed), decode_balancer);
  struct leave_record leave = {.who = "ann", .why = "disk"};
  expect_strict(fixed, leave_encode(&leave, fixed), decode_leave);
}

static void failed_decoding_leaves_what_was_there(void **state) {
  (void)state;
  struct lease_record lease = a_lease(), kept = {.sequence = 77};
  uint8_t bytes[RECORD_SIZE_MOST];
  size_t size = lease_encode(&lease, bytes);
  assert_int_equal(lease_decode(bytes, size - 1, &kept), STATUS_INVALID);
  assert_true(kept.sequence == 77);
}

static void names_of_kinds_and_states(void **state) {
  (void)state;
  enum resource_kind kind = RESOURCE_SERVER;
  assert_int_equal(resource_kind_parse("balancer", &kind), STATUS_OK);
  assert_int_equal(kind, RESOURCE_BALANCER);
  assert_int_equal(resource_kind_parse("Cloud", &kind), STATUS_INVALID);
  assert_int_equal(kind, RESOURCE_BALANCER);
  assert_string_equal(resource_kind_name(RESOURCE_CLOUD), "cloud");
  assert_string_equal(lease_state_name(LEASE_ENDED), "ended");
}

static void star_stands_for_any_run_of_characters(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *text;
    bool matches;
  } cases[] = {
      {"web", "web", true},
      {"web", "web1", false},
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
      {"*", "anything", true},
      {"**", "x", true},
      {"web-*", "web-1", true},
      {"web-*", "web-", true},
      {"web-*", "web", false},
      {"*-1", "web-1", true},
      {"*-1", "web-11", false},
      {"a*b*c", "aXbYc", true},
      {"a*b*c", "abc", true},
      {"a*b*c", "acb", false},
      {"ab*ba", "aba", false},
      {"ab*ba", "abba", true},
      {"*a*a*", "a", false},
      {"*a*a*", "xaxax", true},
      {"a*", "A", false},
      {"*.example.com", "app.example.com", true},
      {"*.example.com", "example.com", false},
      {"*b*", "aaa", false},
      {"x*y", "x", false},
      {"*ab*abc", "ababc", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (pattern_matches(cases[i].pattern, cases[i].text) != cases[i].matches)
      fail_msg("%s and %s", cases[i].pattern, cases[i].text);
}

static void many_stars_cost_no_more_than_the_text_is_long(void **state) {
  (void)state;
  size_t size = 1 << 20;
  char *text = malloc(size + 1), *pattern = malloc(size + 1);
  memset(text, 'a', size);
  text[size] = '\0';
  for (size_t i = 0; i < size; i++)
    pattern[i] = i % 2 ? 'a' : '*';
  memcpy(pattern + size - 2, "*b", 2);
  pattern[size] = '\0';
  clock_t start = clock();
  assert_false(pattern_matches(pattern, text));
  pattern[size - 1] = '*';
  assert_true(pattern_matches(pattern, text));
  assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5.0); /* quadratic would be hours */
  free(text);
  free(pattern);
}

static int tear_down(void **state) {
  (void)state;
  arena_release(&scratch);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(resource_comes_back_with_its_document),
      cmocka_unit_test(document_over_its_bound_is_invalid),
      cmocka_unit_test(member_comes_back_with_addresses_and_labels),
      cmocka_unit_test(member_of_version_1_has_no_url),
      cmocka_unit_test(member_without_a_proper_address_is_invalid),
      cmocka_unit_test(lease_comes_back_as_it_was),
      cmocka_unit_test(number_that_is_not_finite_is_invalid),
      cmocka_unit_test(token_comes_back_as_it_was),
      cmocka_unit_test(balancer_and_leave_come_back_at_their_longest),
      cmocka_unit_test(truncated_longer_and_unknown_records_are_refused),
      cmocka_unit_test(failed_decoding_leaves_what_was_there),
      cmocka_unit_test(names_of_kinds_and_states),
      cmocka_unit_test(star_stands_for_any_run_of_characters),
      cmocka_unit_test(many_stars_cost_no_more_than_the_text_is_long),
  };
  return cmocka_run_group_tests_name("registration", tests, NULL, tear_down);
}
