#include "discovery/registry/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static void publish(struct feed *feed, const char *kind, const char *resource, const char *service) {
  struct feed_change change = {.kind = kind, .resource = resource, .service = service};
  feed_publish(feed, &change);
}

static size_t count_since(struct feed *feed, struct feed_position since, const struct feed_filter *filter) {
  bool is_lost;
  json_t *changes = feed_read(feed, &since, filter, &is_lost);
  size_t count = json_array_size(changes);
  json_decref(changes);
  assert_false(is_lost);
  return count;
}

static void changes_are_numbered_and_read_once(void **state) {
  (void)state;
  struct feed *feed = feed_new();
  struct feed_position since = feed_now(feed);
  assert_int_equal(since.revision, 0);
  publish(feed, "resource", "a", "s");
  publish(feed, "member", "", "s");
  bool is_lost;
  json_t *changes = feed_read(feed, &since, NULL, &is_lost);
  assert_int_equal(json_array_size(changes), 2);
  const json_t *second = json_array_get(changes, 1);
  assert_int_equal(json_integer_value(json_object_get(second, "rev")), 2);
  assert_string_equal(json_string_value(json_object_get(second, "kind")), "member");
  assert_non_null(json_object_get(second, "at"));
  json_decref(changes);
  assert_int_equal(since.revision, 2);
  assert_int_equal(count_since(feed, since, NULL), 0);
  feed_free(feed);
}

static void filters_look_at_kind_resource_and_every_service(void **state) {
  (void)state;
  struct feed *feed = feed_new();
  struct feed_position start = feed_now(feed);
  struct feed_change change = {.kind = "resource",
                               .resource = "a",
                               .service = "first",
                               .detail =
                                   json_pack("{s:s,s:[s,s]}", "change", "registered", "services", "first", "second")};
  feed_publish(feed, &change);
  publish(feed, "member", "", "second");
  struct feed_filter by_kind = {.kind = "member"}, by_resource = {.resource = "a"}, by_service = {.service = "second"},
                     none = {.kind = "member", .resource = "a"};
  assert_int_equal(count_since(feed, start, &by_kind), 1);
  assert_int_equal(count_since(feed, start, &by_resource), 1);
  assert_int_equal(count_since(feed, start, &by_service), 2);
  assert_int_equal(count_since(feed, start, &none), 0);
  feed_free(feed);
}

static void position_of_another_epoch_or_too_old_is_lost(void **state) {
  (void)state;
  struct feed *feed = feed_new();
  struct feed_position start = feed_now(feed), other = {start.epoch + 1, 0};
  bool is_lost;
  json_decref(feed_read(feed, &other, NULL, &is_lost));
  assert_true(is_lost);
  assert_int_equal(other.epoch, start.epoch);
  for (unsigned i = 0; i < FEED_KEPT; i++)
    publish(feed, "member", "", "s");
  assert_int_equal(count_since(feed, start, NULL), FEED_KEPT);
  publish(feed, "member", "", "s");
  json_decref(feed_read(feed, &start, NULL, &is_lost));
  assert_true(is_lost);
  feed_free(feed);
}

static void positions_are_read_as_they_are_written(void **state) {
  (void)state;
  char text[FEED_POSITION_SIZE];
  struct feed_position position = {UINT64_MAX, UINT64_MAX}, out;
  assert_true(feed_position_parse(feed_position_format(position, text), &out));
  assert_true(out.epoch == UINT64_MAX && out.revision == UINT64_MAX);
  const char *wrong[] = {"", ".", "1.", ".1", "1.2x", "1 .2", "-1.2", "18446744073709551616.1", "1.2.3"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_false(feed_position_parse(wrong[i], &out));
}

static void count_call(void *context) {
  ++*(unsigned *)context;
}

static void waiter_is_woken_once_by_what_passes_its_filter(void **state) {
  (void)state;
  struct feed *feed = feed_new();
  unsigned calls = 0, others = 0;
  struct feed_filter filter = {.service = "s"};
  struct feed_waiter *waiter = feed_wait(feed, feed_now(feed), &filter, count_call, &calls);
  struct feed_waiter *other = feed_wait(feed, feed_now(feed), NULL, count_call, &others);
  struct feed_waiter *forgotten = feed_wait(feed, feed_now(feed), NULL, count_call, &calls);
  feed_forget(feed, forgotten);
  publish(feed, "member", "", "t");
  assert_int_equal(calls, 0);
  assert_int_equal(others, 1);
  publish(feed, "member", "", "s");
  publish(feed, "member", "", "s");
  assert_int_equal(calls, 1);
  assert_int_equal(others, 1);
  feed_forget(feed, waiter);
  feed_forget(feed, other);
  feed_free(feed);
}

static void waiter_with_news_already_is_woken_at_once(void **state) {
  (void)state;
  struct feed *feed = feed_new();
  struct feed_position start = feed_now(feed);
  unsigned calls = 0;
  publish(feed, "member", "", "s");
  struct feed_waiter *waiter = feed_wait(feed, start, NULL, count_call, &calls);
  assert_int_equal(calls, 1);
  feed_forget(feed, waiter);
  feed_free(feed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(changes_are_numbered_and_read_once),
      cmocka_unit_test(filters_look_at_kind_resource_and_every_service),
      cmocka_unit_test(position_of_another_epoch_or_too_old_is_lost),
      cmocka_unit_test(positions_are_read_as_they_are_written),
      cmocka_unit_test(waiter_is_woken_once_by_what_passes_its_filter),
      cmocka_unit_test(waiter_with_news_already_is_woken_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
