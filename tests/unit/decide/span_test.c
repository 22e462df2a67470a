#include "gslb/decide/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gslb/base/prefix.h"

#define NETWORKS_MOST 200

struct expected_span {
  const char *first;
  uint32_t value;
};

static __uint128_t address(const char *text) {
  struct addr addr;
  assert_int_equal(addr_parse(text, &addr), STATUS_OK);
  return span_address_of(addr.family, addr.bytes);
}

/* The networks have the values 1, 2, 3… in the order given; outside is 0. */
static void expect(const char *const *texts, size_t count, const struct expected_span *expected, size_t span_count) {
  struct span_network networks[NETWORKS_MOST];
  struct span spans[2 * NETWORKS_MOST + 1];
  for (size_t i = 0; i < count; i++) {
    struct prefix prefix;
    assert_int_equal(prefix_parse(texts[i], &prefix), STATUS_OK);
    networks[i] = (struct span_network){.first = span_address_of(prefix.family, prefix.bytes),
                                        .value = (uint32_t)i + 1,
                                        .bits = prefix.bits};
  }
  assert_int_equal(span_flatten(networks, count, 0, spans), span_count);
  for (size_t i = 0; i < span_count; i++) {
    assert_true(spans[i].first == address(expected[i].first));
    assert_int_equal(spans[i].value, expected[i].value);
  }
}

#define EXPECT(networks, spans)                                                                                        \
  expect(networks, sizeof networks / sizeof *networks, spans, sizeof spans / sizeof *spans)

static void no_network_leaves_one_span(void **state) {
  (void)state;
  struct span span;
  assert_int_equal(span_flatten(NULL, 0, 9, &span), 1);
  assert_true(span.first == 0);
  assert_int_equal(span.value, 9);
}

static void a_network_is_a_span_between_two(void **state) {
  (void)state;
  static const char *const networks[] = {"10.0.0.0/8"};
  static const struct expected_span spans[] = {{"0.0.0.0", 0}, {"10.0.0.0", 1}, {"11.0.0.0", 0}};
  EXPECT(networks, spans);
}

static void longer_networks_cut_shorter_ones_in_any_order(void **state) {
  (void)state;
  static const char *const networks[] = {"10.1.0.0/16", "10.0.0.0/8", "10.1.1.0/24"};
  static const struct expected_span spans[] = {{"0.0.0.0", 0},  {"10.0.0.0", 2}, {"10.1.0.0", 1}, {"10.1.1.0", 3},
                                               {"10.1.2.0", 1}, {"10.2.0.0", 2}, {"11.0.0.0", 0}};
  EXPECT(networks, spans);
}

static void networks_that_end_together_close_together(void **state) {
  (void)state;
  static const char *const networks[] = {"10.0.0.0/8", "10.255.0.0/16", "10.255.255.255/32"};
  static const struct expected_span spans[] = {{"0.0.0.0", 0},
                                               {"10.0.0.0", 1},
                                               {"10.255.0.0", 2},
                                               {"10.255.255.255", 3},
                                               {"11.0.0.0", 0}};
  EXPECT(networks, spans);
}

static void networks_at_both_ends_of_the_space_are_kept(void **state) {
  (void)state;
  static const char *const four[] = {"0.0.0.0/32", "255.255.255.255/32"};
  static const struct expected_span four_spans[] = {{"0.0.0.0", 1}, {"0.0.0.1", 0}, {"255.255.255.255", 2}};
  EXPECT(four, four_spans);
  static const char *const six[] = {"::/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"};
  static const struct expected_span six_spans[] = {{"::", 1},
                                                   {"::1", 0},
                                                   {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 2}};
  EXPECT(six, six_spans);
}

static void a_network_of_all_addresses_replaces_outside(void **state) {
  (void)state;
  static const char *const networks[] = {"::/0", "8000::/1"};
  static const struct expected_span spans[] = {{"::", 1}, {"8000::", 2}};
  EXPECT(networks, spans);
}

static void the_last_of_equal_networks_counts(void **state) {
  (void)state;
  static const char *const networks[] = {"10.0.0.0/8", "9.0.0.0/8", "10.0.0.0/8"};
  static const struct expected_span spans[] = {{"0.0.0.0", 0}, {"9.0.0.0", 2}, {"10.0.0.0", 3}, {"11.0.0.0", 0}};
  EXPECT(networks, spans);
}

static void any_number_of_equal_networks_is_one(void **state) {
  (void)state;
  struct span_network networks[NETWORKS_MOST];
  struct span spans[2 * NETWORKS_MOST + 1];
  for (uint32_t i = 0; i < NETWORKS_MOST; i++)
    networks[i] = (struct span_network){.first = address("10.0.0.0"), .value = i + 1, .bits = 8};
  assert_int_equal(span_flatten(networks, NETWORKS_MOST, 0, spans), 3);
  assert_int_equal(spans[1].value, NETWORKS_MOST);
}

static void neighbours_of_equal_value_become_one_span(void **state) {
  (void)state;
  struct span_network networks[] = {{.first = address("10.0.0.0"), .value = 7, .bits = 8},
                                    {.first = address("11.0.0.0"), .value = 7, .bits = 8},
                                    {.first = address("11.1.0.0"), .value = 7, .bits = 16},
                                    {.first = address("20.0.0.0"), .value = 0, .bits = 8}};
  struct span spans[9];
  assert_int_equal(span_flatten(networks, 4, 0, spans), 3);
  assert_true(spans[1].first == address("10.0.0.0") && spans[2].first == address("12.0.0.0"));
}

static void networks_of_every_length_may_nest(void **state) {
  (void)state;
  struct span_network networks[129];
  struct span spans[2 * 129 + 1];
  for (int bits = 0; bits <= 128; bits++)
    networks[bits] = (struct span_network){.value = (uint32_t)bits + 1, .bits = (uint8_t)bits};
  assert_int_equal(span_flatten(networks, 129, 0, spans), 129);
  assert_int_equal(spans[0].value, 129);
  for (int i = 1; i <= 128; i++) {
    assert_true(spans[i].first == (__uint128_t)1 << (i - 1));
    assert_int_equal(spans[i].value, 129 - i);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_network_leaves_one_span),
      cmocka_unit_test(a_network_is_a_span_between_two),
      cmocka_unit_test(longer_networks_cut_shorter_ones_in_any_order),
      cmocka_unit_test(networks_that_end_together_close_together),
      cmocka_unit_test(networks_at_both_ends_of_the_space_are_kept),
      cmocka_unit_test(a_network_of_all_addresses_replaces_outside),
      cmocka_unit_test(the_last_of_equal_networks_counts),
      cmocka_unit_test(any_number_of_equal_networks_is_one),
      cmocka_unit_test(neighbours_of_equal_value_become_one_span),
      cmocka_unit_test(networks_of_every_length_may_nest),
  };
  return cmocka_run_group_tests_name("span", tests, NULL, NULL);
}
