#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "discovery/session/finder.h"

struct told {
  struct loop *loop;
  unsigned times;
  enum status status;
  size_t count;
  struct finder_target first;
};

static void done(void *context, enum status status, const struct finder_target *targets, size_t count,
                 const char *detail) {
  struct told *told = context;
  assert_non_null(detail);
  told->times++;
  told->status = status;
  told->count = count;
  if (count)
    told->first = targets[0];
  loop_stop(told->loop);
}

static struct told find(const char *url) {
  struct told told = {.loop = loop_new()};
  struct random random;
  random_seed(&random, 1);
  finder_start(told.loop, &(struct session_place){.url = url}, &random, 2000, done, &told);
  assert_int_equal(told.times, 0);
  loop_run(told.loop);
  loop_free(told.loop);
  return told;
}

static struct finder_target target(const char *host, uint16_t priority, uint16_t weight) {
  struct finder_target out = {.priority = priority, .weight = weight};
  snprintf(out.host, sizeof out.host, "%s", host);
  return out;
}

static void lower_priorities_come_first(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 7);
  for (int i = 0; i < 100; i++) {
    struct finder_target targets[] = {target("c", 30, 60000), target("a", 0, 0), target("b", 10, 5)};
    finder_order(targets, 3, &random);
    assert_string_equal(targets[0].host, "a");
    assert_string_equal(targets[1].host, "b");
    assert_string_equal(targets[2].host, "c");
  }
}

static void equals_are_drawn_by_weight(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 7);
  int heavy_first = 0;
  for (int i = 0; i < 10000; i++) {
    struct finder_target targets[] = {target("light", 0, 10), target("heavy", 0, 30)};
    finder_order(targets, 2, &random);
    heavy_first += strcmp(targets[0].host, "heavy") == 0;
  }
  assert_in_range(heavy_first, 7300, 7700);
}

static void small_weights_are_as_fair_as_large_ones(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 7);
  unsigned first[3] = {0};
  for (int i = 0; i < 9000; i++) {
    struct finder_target targets[] = {target("0", 0, 1), target("1", 0, 1), target("2", 0, 1)};
    finder_order(targets, 3, &random);
    first[targets[0].host[0] - '0']++;
  }
  for (size_t i = 0; i < 3; i++)
    assert_in_range(first[i], 2800, 3200);
}

static void targets_without_weight_have_a_small_chance(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 7);
  int first = 0;
  for (int i = 0; i < 10000; i++) {
    struct finder_target targets[] = {target("heavy", 0, 99), target("none", 0, 0)};
    finder_order(targets, 2, &random);
    first += strcmp(targets[0].host, "none") == 0;
  }
  assert_in_range(first, 50, 160);
}

static void every_target_stays_in_the_order(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 3);
  struct finder_target targets[16];
  for (unsigned i = 0; i < 16; i++) {
    char host[8];
    snprintf(host, sizeof host, "%u", i);
    targets[i] = target(host, (uint16_t)(i % 3), (uint16_t)(i * 100));
  }
  finder_order(targets, 16, &random);
  unsigned seen = 0;
  for (unsigned i = 0; i < 16; i++) {
    seen |= 1u << atoi(targets[i].host);
    assert_true(i == 0 || targets[i - 1].priority <= targets[i].priority);
  }
  assert_int_equal(seen, 0xffff);
  finder_order(targets, 0, &random);
}

static void urls_are_taken_apart(void **state) {
  (void)state;
  struct finder_url url;
  assert_int_equal(finder_parse_url("https://lb1.example.net:8300/x/v1?y=1", &url, NULL), STATUS_OK);
  assert_true(url.is_tls);
  assert_string_equal(url.host, "lb1.example.net");
  assert_int_equal(url.address.family, 0);
  assert_int_equal(url.address.port, 8300);
  assert_string_equal(url.target, "/x/v1?y=1");
  assert_int_equal(finder_parse_url("http://[::1]:81", &url, NULL), STATUS_OK);
  assert_string_equal(url.host, "[::1]");
  assert_int_equal(url.address.family, 6);
  assert_int_equal(url.address.port, 81);
  assert_string_equal(url.target, "");
  assert_int_equal(finder_parse_url("HTTP://127.0.0.1", &url, NULL), STATUS_OK);
  assert_int_equal(url.address.port, 80);
  assert_int_equal(finder_parse_url("https://127.0.0.1", &url, NULL), STATUS_OK);
  assert_int_equal(url.address.port, 443);
}

static void wrong_urls_are_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {"",
                                      "lb1.example.net",
                                      "ftp://127.0.0.1",
                                      "http://",
                                      "http:///x",
                                      "http://:80",
                                      "http://a:0",
                                      "http://a:65536",
                                      "http://a:123456789",
                                      "http://a:",
                                      "http://a:x",
                                      "http://user@a",
                                      "http://[::1",
                                      "http://[::1]x",
                                      "http://[a]",
                                      "http://a b",
                                      "http://a/#f",
                                      "http://a\r\nX: y"};
  struct finder_url url;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal(finder_parse_url(wrong[i], &url, NULL), STATUS_INVALID);
}

static void an_address_in_a_url_needs_no_look_up(void **state) {
  (void)state;
  struct told told = find("https://127.0.0.9:8300");
  assert_int_equal(told.times, 1);
  assert_int_equal(told.status, STATUS_OK);
  assert_int_equal(told.count, 1);
  assert_true(told.first.is_tls);
  assert_string_equal(told.first.path, "/v1");
  assert_int_equal(told.first.address.port, 8300);
  assert_string_equal(find("http://127.0.0.9:8300/").first.path, "/v1");
  assert_string_equal(find("http://127.0.0.9:8300/gslb/v1/").first.path, "/gslb/v1");
}

static void a_url_that_is_none_is_told(void **state) {
  (void)state;
  assert_int_equal(find("gopher://x").status, STATUS_INVALID);
}

static void a_cancelled_finder_tells_nothing(void **state) {
  (void)state;
  struct told told = {.loop = loop_new()};
  struct random random;
  random_seed(&random, 1);
  finder_cancel(
      finder_start(told.loop, &(struct session_place){.url = "http://127.0.0.1"}, &random, 2000, done, &told));
  loop_run(told.loop); /* has nothing left to do */
  assert_int_equal(told.times, 0);
  loop_free(told.loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lower_priorities_come_first),
      cmocka_unit_test(equals_are_drawn_by_weight),
      cmocka_unit_test(small_weights_are_as_fair_as_large_ones),
      cmocka_unit_test(targets_without_weight_have_a_small_chance),
      cmocka_unit_test(every_target_stays_in_the_order),
      cmocka_unit_test(urls_are_taken_apart),
      cmocka_unit_test(wrong_urls_are_refused),
      cmocka_unit_test(an_address_in_a_url_needs_no_look_up),
      cmocka_unit_test(a_url_that_is_none_is_told),
      cmocka_unit_test(a_cancelled_finder_tells_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
