#include "tests/unit/model/store_fixture.h"

#include <math.h>

#include "gslb/model/history.h"

#define HOUR 498624u /* a slot of 2026-11-18 */
#define MINUTE (HOUR * 60)
#define NOW_MS ((int64_t)(HOUR + 1) * HISTORY_HOUR_MS + 20 * HISTORY_MINUTE_MS + 5000)

static struct history_cell cells[HISTORY_MINUTE_CHUNK];

static void set(uint32_t at, double value) {
  cells[at] = (struct history_cell){value, value, value, 1};
}

static void put_cells(struct fixture *fixture, enum history_resolution resolution, uint32_t slot, uint32_t chunk) {
  uint8_t row[HISTORY_ROW_SIZE];
  struct record_key key;
  struct history_place place = {resolution, slot, chunk};
  size_t size = history_encode(resolution, cells, row);
  assert_int_not_equal(size, 0);
  history_key(&place, &key);
  struct store_txn *txn = begin(fixture, true);
  assert_int_equal(store_put(txn, STORE_DB_HISTORY, (struct store_bytes){key.bytes, key.size},
                             (struct store_bytes){row, size}, &fixture->err),
                   STATUS_OK);
  commit(fixture, txn);
}

static void put_minute(struct fixture *fixture, uint32_t slot, uint32_t id, double value) {
  memset(cells, 0, sizeof cells);
  set(id % HISTORY_MINUTE_CHUNK, value);
  put_cells(fixture, HISTORY_MINUTE, slot, id / HISTORY_MINUTE_CHUNK);
}

static int setup_durable(void **state) {
  if (setup(state))
    return -1;
  return open_store(*state, STORE_DURABLE, STORE_CREATE) == STATUS_OK ? 0 : -1;
}

static void a_minute_keeps_its_values_exactly(void **state) {
  (void)state;
  static struct history_cell read[HISTORY_MINUTE_CHUNK];
  uint8_t row[HISTORY_ROW_SIZE];
  memset(cells, 0, sizeof cells);
  set(0, 0.1);
  set(7, -1e300);
  set(8, 123456789.125);
  set(HISTORY_MINUTE_CHUNK - 1, 3);
  size_t size = history_encode(HISTORY_MINUTE, cells, row);
  assert_int_equal(size, 1 + 63 + 4 * 8);
  assert_int_equal(history_decode(HISTORY_MINUTE, (struct store_bytes){row, size}, read), STATUS_OK);
  for (size_t i = 0; i < HISTORY_MINUTE_CHUNK; i++) {
    assert_int_equal(read[i].count, cells[i].count);
    assert_true(read[i].mean == cells[i].mean && read[i].min == cells[i].min && read[i].max == cells[i].max);
  }
}

static void an_hour_keeps_seven_digits_and_the_count(void **state) {
  (void)state;
  static struct history_cell read[HISTORY_HOUR_CHUNK];
  uint8_t row[HISTORY_ROW_SIZE];
  memset(cells, 0, sizeof cells);
  cells[3] = (struct history_cell){1.5, 2.123456789, 1e300, 60};
  size_t size = history_encode(HISTORY_HOUR, cells, row);
  assert_int_equal(history_decode(HISTORY_HOUR, (struct store_bytes){row, size}, read), STATUS_OK);
  assert_true(read[3].min == 1.5 && fabs(read[3].mean - 2.123456789) < 1e-6);
  assert_true(read[3].max > 1e38 && isfinite(read[3].max)); /* as far as it goes */
  assert_int_equal(read[3].count, 60);
  assert_int_equal(read[2].count, 0);
}

static void full_rows_fit_a_page_and_empty_ones_are_none(void **state) {
  (void)state;
  uint8_t row[HISTORY_ROW_SIZE];
  memset(cells, 0, sizeof cells);
  assert_int_equal(history_encode(HISTORY_MINUTE, cells, row), 0);
  for (uint32_t i = 0; i < HISTORY_MINUTE_CHUNK; i++)
    set(i, i);
  assert_in_range(history_encode(HISTORY_MINUTE, cells, row), 4000, HISTORY_ROW_SIZE);
  assert_in_range(history_encode(HISTORY_HOUR, cells, row), 3000, HISTORY_ROW_SIZE);
}

static void ten_thousand_series_are_well_below_half_a_megabyte_a_minute(void **state) {
  (void)state;
  uint8_t row[HISTORY_ROW_SIZE];
  size_t bytes = 0;
  for (uint32_t i = 0; i < HISTORY_MINUTE_CHUNK; i++)
    set(i, i);
  for (uint32_t id = 0; id < 10000; id += HISTORY_MINUTE_CHUNK)
    bytes += history_encode(HISTORY_MINUTE, cells, row);
  assert_true(bytes < 100000);
  assert_in_range(history_series_most((uint64_t)1 << 30), 20000, 25000);
}

static void damaged_rows_are_refused(void **state) {
  (void)state;
  static struct history_cell read[HISTORY_MINUTE_CHUNK];
  uint8_t row[HISTORY_ROW_SIZE];
  memset(cells, 0, sizeof cells);
  set(1, 1);
  size_t size = history_encode(HISTORY_MINUTE, cells, row);
  assert_int_equal(history_decode(HISTORY_MINUTE, (struct store_bytes){row, 0}, read), STATUS_INVALID);
  assert_int_equal(history_decode(HISTORY_MINUTE, (struct store_bytes){row, 20}, read), STATUS_INVALID);
  assert_int_equal(history_decode(HISTORY_MINUTE, (struct store_bytes){row, size - 1}, read), STATUS_INVALID);
  row[63] |= 0x80; /* beyond the last series */
  assert_int_equal(history_decode(HISTORY_MINUTE, (struct store_bytes){row, size}, read), STATUS_INVALID);
  row[0] = 9;
  assert_int_equal(history_decode(HISTORY_MINUTE, (struct store_bytes){row, size}, read), STATUS_VERSION);
}

static void series_of_a_member_come_back_as_they_were(void **state) {
  (void)state;
  struct history_series out[2] = {{.id = 7, .since_ms = 60000, .seen_ms = 120000, .source = "snmp", .metric = "cpu"},
                                  {.id = 500, .source = HISTORY_OWN, .metric = HISTORY_LOAD}};
  struct history_series *in;
  size_t size, count;
  uint8_t *row = history_encode_series(out, 2, &size);
  assert_int_equal(history_decode_series((struct store_bytes){row, size}, &in, &count), STATUS_OK);
  assert_int_equal(count, 2);
  assert_int_equal(in[0].id, 7);
  assert_int_equal(in[0].since_ms, 60000);
  assert_int_equal(in[0].seen_ms, 120000);
  assert_string_equal(in[0].source, "snmp");
  assert_string_equal(in[1].metric, HISTORY_LOAD);
  free(in);
  for (size_t cut = 0; cut < size; cut++)
    assert_int_not_equal(history_decode_series((struct store_bytes){row, cut}, &in, &count), STATUS_OK);
  free(row);
}

static void keys_put_the_slot_first(void **state) {
  (void)state;
  struct record_key early, late, hour;
  struct history_place place = {HISTORY_MINUTE, 255, 9}, read;
  history_key(&place, &early);
  history_key(&(struct history_place){HISTORY_MINUTE, 256, 0}, &late);
  history_key(&(struct history_place){HISTORY_HOUR, 1, 0}, &hour);
  assert_true(memcmp(early.bytes, late.bytes, late.size) < 0 && memcmp(late.bytes, hour.bytes, hour.size) < 0);
  assert_true(history_parse_key((struct store_bytes){early.bytes, early.size}, &read));
  assert_int_equal(read.slot, 255);
  assert_int_equal(read.chunk, 9);
  history_key_member("www.example.com", "one", &early);
  assert_true(history_is_member((struct store_bytes){early.bytes, early.size}));
  assert_false(history_parse_key((struct store_bytes){early.bytes, early.size}, &read));
}

static void a_fold_has_least_mean_greatest_and_count(void **state) {
  struct fixture *fixture = *state;
  static struct history_cell folded[HISTORY_MINUTE_CHUNK];
  put_minute(fixture, MINUTE, 501, 1);
  put_minute(fixture, MINUTE + 30, 501, 2);
  put_minute(fixture, MINUTE + 59, 501, 6);
  put_minute(fixture, MINUTE + 60, 501, 100);
  struct store_txn *txn = begin(fixture, false);
  assert_int_equal(history_fold(txn, HOUR, 1, folded), STATUS_OK);
  store_abort(txn);
  assert_int_equal(folded[1].count, 3);
  assert_true(folded[1].min == 1 && fabs(folded[1].mean - 3) < 1e-12 && folded[1].max == 6);
  assert_int_equal(folded[0].count, 0);
}

static void choose(struct history_range *range, int64_t from_ms, int64_t to_ms, int64_t step_ms, enum status wanted) {
  struct errbuf err;
  *range = (struct history_range){.from_ms = from_ms, .to_ms = to_ms, .step_ms = step_ms};
  assert_int_equal(history_choose(range, NOW_MS, &err), wanted);
}

static void a_range_is_by_minutes_within_a_day_and_else_by_hours(void **state) {
  (void)state;
  struct history_range range;
  choose(&range, NOW_MS - HISTORY_HOUR_MS, NOW_MS, 0, STATUS_OK);
  assert_int_equal(range.resolution, HISTORY_MINUTE);
  assert_int_equal(range.step_ms, 60000);
  assert_int_equal(range.from_ms % 60000, 0);
  assert_int_equal(history_points(&range), 61);
  choose(&range, NOW_MS - HISTORY_DAY_MS, NOW_MS, 90000, STATUS_OK);
  assert_int_equal(range.resolution, HISTORY_MINUTE);
  assert_int_equal(range.step_ms, 120000);
  choose(&range, NOW_MS - 2 * HISTORY_DAY_MS, NOW_MS, 0, STATUS_OK);
  assert_int_equal(range.resolution, HISTORY_HOUR);
  assert_int_equal(history_points(&range), 49);
  choose(&range, 0, NOW_MS, 0, STATUS_OK); /* what is longer ago than is kept is cut off */
  assert_int_equal(history_points(&range), 1441);
}

static void a_range_that_makes_no_sense_is_refused(void **state) {
  (void)state;
  struct history_range range;
  choose(&range, NOW_MS, NOW_MS, 0, STATUS_RANGE);
  choose(&range, NOW_MS + HISTORY_HOUR_MS, NOW_MS + 2 * HISTORY_HOUR_MS, 0, STATUS_RANGE);
  choose(&range, 0, 1000, 0, STATUS_RANGE);
  choose(&range, NOW_MS - HISTORY_HOUR_MS, NOW_MS, 59000, STATUS_RANGE);
  choose(&range, NOW_MS - 2 * HISTORY_DAY_MS, NOW_MS, 300000, STATUS_RANGE);
  choose(&range, NOW_MS - HISTORY_HOUR_MS, NOW_MS, INT64_C(5184000000), STATUS_OK);
  assert_int_equal(history_points(&range), 1);
}

static void reading_steps_through_the_minutes(void **state) {
  struct fixture *fixture = *state;
  struct history_series series = {.id = 42};
  struct history_range range = {(int64_t)MINUTE * 60000, (int64_t)(MINUTE + 10) * 60000, 300000, HISTORY_MINUTE};
  struct history_cell points[2];
  put_minute(fixture, MINUTE, 42, 1);
  put_minute(fixture, MINUTE + 4, 42, 3);
  put_minute(fixture, MINUTE + 5, 43, 9);
  assert_int_equal(history_read(fixture->store, &series, &range, points, &fixture->err), STATUS_OK);
  assert_int_equal(points[0].count, 2);
  assert_true(points[0].min == 1 && points[0].mean == 2 && points[0].max == 3);
  assert_int_equal(points[1].count, 0);
}

static void an_hour_that_is_not_folded_is_read_from_its_minutes(void **state) {
  struct fixture *fixture = *state;
  struct history_series series = {.id = 300};
  struct history_range range = {(int64_t)HOUR * HISTORY_HOUR_MS, (int64_t)(HOUR + 2) * HISTORY_HOUR_MS, HISTORY_HOUR_MS,
                                HISTORY_HOUR};
  struct history_cell points[2];
  put_minute(fixture, MINUTE + 1, 300, 77); /* the row of the hour stands before it */
  put_minute(fixture, MINUTE + 60, 300, 4);
  put_minute(fixture, MINUTE + 61, 300, 8);
  memset(cells, 0, sizeof cells);
  cells[50] = (struct history_cell){1, 2, 3, 60};
  put_cells(fixture, HISTORY_HOUR, HOUR, 1);
  assert_int_equal(history_read(fixture->store, &series, &range, points, &fixture->err), STATUS_OK);
  assert_true(points[0].count == 60 && points[0].mean == 2);
  assert_true(points[1].count == 2 && points[1].mean == 6);
}

static void samples_from_before_a_series_began_are_not_its_own(void **state) {
  struct fixture *fixture = *state;
  struct history_series series = {.id = 42, .since_ms = (int64_t)(MINUTE + 2) * 60000};
  struct history_range range = {(int64_t)MINUTE * 60000, (int64_t)(MINUTE + 4) * 60000, 60000, HISTORY_MINUTE};
  struct history_cell points[4];
  put_minute(fixture, MINUTE, 42, 1);
  put_minute(fixture, MINUTE + 3, 42, 2);
  assert_int_equal(history_read(fixture->store, &series, &range, points, &fixture->err), STATUS_OK);
  assert_int_equal(points[0].count, 0);
  assert_int_equal(points[3].count, 1);
}

static void a_member_without_a_row_has_no_series(void **state) {
  struct fixture *fixture = *state;
  struct history_series *series = NULL;
  size_t count = 1;
  assert_int_equal(history_list(fixture->store, "s.example", "m", &series, &count, &fixture->err), STATUS_OK);
  assert_int_equal(count, 0);
}

#define STORED_TEST(name) cmocka_unit_test_setup_teardown(name, setup_durable, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_minute_keeps_its_values_exactly),
      cmocka_unit_test(an_hour_keeps_seven_digits_and_the_count),
      cmocka_unit_test(full_rows_fit_a_page_and_empty_ones_are_none),
      cmocka_unit_test(ten_thousand_series_are_well_below_half_a_megabyte_a_minute),
      cmocka_unit_test(damaged_rows_are_refused),
      cmocka_unit_test(series_of_a_member_come_back_as_they_were),
      cmocka_unit_test(keys_put_the_slot_first),
      cmocka_unit_test(a_range_is_by_minutes_within_a_day_and_else_by_hours),
      cmocka_unit_test(a_range_that_makes_no_sense_is_refused),
      STORED_TEST(a_fold_has_least_mean_greatest_and_count),
      STORED_TEST(reading_steps_through_the_minutes),
      STORED_TEST(an_hour_that_is_not_folded_is_read_from_its_minutes),
      STORED_TEST(samples_from_before_a_series_began_are_not_its_own),
      STORED_TEST(a_member_without_a_row_has_no_series),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
