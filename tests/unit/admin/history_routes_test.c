#include "tests/unit/admin/served.h"

#include "gslb/admin/history_routes.h"
#include "gslb/model/history.h"

#define PLACE "/v1/members/www.example.com/one/history"

static int setup(void **state) {
  struct served *served = mem_alloc(sizeof *served);
  served_init(served);
  served_start(served, served_view(served, house_text));
  served_listen(served);
  *state = served;
  return 0;
}

static int teardown(void **state) {
  struct served *served = *state;
  served_quiesce(served);
  int failed = served_stop(served);
  free(served);
  return failed;
}

static void put_row(struct served *served, const struct record_key *key, const void *value, size_t size) {
  house_put(served->house->durable, STORE_DB_HISTORY, key, value, size, "www.example.com");
}

/* response_time_ms from probes at place 3, cpu from two sources, and so many minutes of the first up to now. */
static void put_history(struct served *served, unsigned minutes) {
  struct history_series series[] = {{.id = 3, .source = "probe", .metric = "response_time_ms"},
                                    {.id = 4, .source = "snmp", .metric = "cpu"},
                                    {.id = 5, .source = "agent", .metric = "cpu"}};
  static struct history_cell cells[HISTORY_MINUTE_CHUNK];
  uint8_t row[HISTORY_ROW_SIZE];
  struct record_key key;
  size_t size;
  uint8_t *bytes = history_encode_series(series, 3, &size);
  history_key_member("www.example.com", "one", &key);
  put_row(served, &key, bytes, size);
  free(bytes);
  uint32_t now = history_slot(HISTORY_MINUTE, house_now_ms(&served->time));
  for (unsigned i = 0; i < minutes; i++) {
    struct history_place place = {HISTORY_MINUTE, now - i, 0};
    cells[3] = (struct history_cell){2.5, 2.5, 2.5, 1};
    size = history_encode(HISTORY_MINUTE, cells, row);
    history_key(&place, &key);
    put_row(served, &key, row, size);
  }
}

static char *get(struct served *served, const char *path) {
  return served_ask(served, true, "GET", path, "", "");
}

static void a_time_is_a_date_or_seconds_from_now(void **state) {
  (void)state;
  int64_t at_ms = 7;
  assert_int_equal(history_routes_parse_time("-3600", 10000000, &at_ms), STATUS_OK);
  assert_int_equal(at_ms, 10000000 - 3600000);
  assert_int_equal(history_routes_parse_time("2026-11-21T13:30:00.250Z", 0, &at_ms), STATUS_OK);
  assert_int_equal(at_ms, 1795267800250);
  assert_int_equal(history_routes_parse_time("2026-11-21T13:30:00Z", 0, &at_ms), STATUS_OK);
  assert_int_equal(history_routes_parse_time("", 0, &at_ms), STATUS_INVALID);
  assert_int_equal(history_routes_parse_time("yesterday", 0, &at_ms), STATUS_INVALID);
  assert_int_equal(history_routes_parse_time("-99999999999999", 0, &at_ms), STATUS_INVALID);
}

static void without_a_metric_the_series_are_listed(void **state) {
  struct served *served = *state;
  json_t *document = expect_json(get(served, PLACE), 200);
  assert_int_equal(json_array_size(json_object_get(document, "series")), 0);
  json_decref(document);
  put_history(served, 1);
  document = expect_json(get(served, PLACE), 200);
  json_t *series = json_object_get(document, "series");
  assert_int_equal(json_array_size(series), 3);
  assert_string_equal(json_string_value(json_object_get(json_array_get(series, 1), "metric")), "cpu");
  assert_string_equal(json_string_value(json_object_get(document, "id")), "www.example.com/one");
  json_decref(document);
}

static void a_metric_has_its_points(void **state) {
  struct served *served = *state;
  put_history(served, 10);
  json_t *document = expect_json(get(served, PLACE "?metric=response_time_ms"), 200);
  json_t *points = json_object_get(document, "points"), *point = json_array_get(points, 0);
  assert_in_range(json_array_size(points), 9, 10); /* a minute may begin meanwhile */
  assert_true(json_real_value(json_object_get(point, "mean")) == 2.5);
  assert_int_equal(json_integer_value(json_object_get(point, "count")), 1);
  assert_int_equal(json_integer_value(json_object_get(document, "step_s")), 60);
  json_decref(document);
  document = expect_json(get(served, PLACE "?metric=response_time_ms&from=-7200&step=3600"), 200);
  assert_in_range(json_array_size(json_object_get(document, "points")), 1, 2);
  json_decref(document);
  document = expect_json(get(served, PLACE "?metric=response_time_ms&from=-172800"), 200);
  assert_int_equal(json_integer_value(json_object_get(document, "resolution_s")), 3600);
  json_decref(document);
}

static void a_metric_of_several_sources_needs_one(void **state) {
  struct served *served = *state;
  put_history(served, 1);
  expect_in(get(served, PLACE "?metric=cpu"), 409, "\"candidates\":[\"snmp\",\"agent\"]");
  expect_in(get(served, PLACE "?metric=cpu&source=agent"), 200, "\"source\":\"agent\"");
}

static void what_is_not_kept_is_not_found(void **state) {
  struct served *served = *state;
  put_history(served, 1);
  expect_in(get(served, PLACE "?metric=none"), 404, "server.history");
  expect_in(get(served, PLACE "?metric=cpu&source=scrape"), 404, "nothing is kept");
  expect_in(get(served, "/v1/members/www.example.com/nobody/history"), 404, "no member");
}

static void a_range_that_makes_no_sense_is_refused(void **state) {
  struct served *served = *state;
  put_history(served, 1);
  expect_in(get(served, PLACE "?metric=response_time_ms&from=x"), 400, "from is a time");
  expect_in(get(served, PLACE "?metric=none&from=x"), 400, "from is a time");
  expect_in(get(served, PLACE "?from=x"), 400, "from is a time");
  expect_in(get(served, PLACE "?metric=response_time_ms&step=30"), 400, "step is at least 60 s");
  expect_in(get(served, PLACE "?metric=response_time_ms&step=0"), 400, "step is a number");
  expect_in(get(served, PLACE "?metric=response_time_ms&from=-60&to=-120"), 400, "from is before to");
}

#define ROUTES_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_time_is_a_date_or_seconds_from_now),
      ROUTES_TEST(without_a_metric_the_series_are_listed),
      ROUTES_TEST(a_metric_has_its_points),
      ROUTES_TEST(a_metric_of_several_sources_needs_one),
      ROUTES_TEST(what_is_not_kept_is_not_found),
      ROUTES_TEST(a_range_that_makes_no_sense_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
