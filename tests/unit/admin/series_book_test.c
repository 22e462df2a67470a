#include "tests/unit/admin/house.h"

#include "gslb/admin/series_book.h"

#define MINUTE_MS INT64_C(60000)
#define NOW_MS (HOUSE_NOW_MS / HISTORY_DAY_MS * HISTORY_DAY_MS)

static void put(struct series_book *book, const char *member, const char *metric, double value) {
  series_book_put(book, series_book_member(book, "www.example.com", member), "probe", metric, value);
}

struct dirty {
  struct series_member *members[8];
  size_t count;
};

static void note(void *context, struct series_member *member) {
  struct dirty *dirty = context;
  assert_true(dirty->count < 8);
  dirty->members[dirty->count++] = member;
}

/* Writes all rows that differ, as the plan does, and returns how many. */
static size_t store(struct series_book *book, struct store *durable) {
  struct dirty dirty = {0};
  series_book_each_dirty(book, note, &dirty);
  for (size_t i = 0; i < dirty.count; i++) {
    struct series_member *member = dirty.members[i];
    struct store_txn *txn;
    struct errbuf err;
    size_t size;
    assert_int_equal(store_begin(durable, true, &txn, &err), STATUS_OK);
    struct store_bytes key = {member->key.bytes, member->key.size};
    uint8_t *value = history_encode_series(member->series, member->count, &size);
    if (member->count > 0)
      assert_int_equal(store_put(txn, STORE_DB_HISTORY, key, (struct store_bytes){value, size}, &err), STATUS_OK);
    else
      assert_int_equal(store_delete(txn, STORE_DB_HISTORY, key, &err), STATUS_OK);
    assert_int_equal(store_commit(txn, &err), STATUS_OK);
    free(value);
    series_book_stored(book, member);
  }
  return dirty.count;
}

static void series_keep_their_places(void **state) {
  struct test_house *house = *state;
  struct series_book *book = series_book_new(1000);
  series_book_begin(book, NOW_MS);
  put(book, "two", "loss", 0.5);
  put(book, "one", "loss", 0.25);
  put(book, "two", "response_time_ms", 7);
  assert_int_equal(series_book_chunks(book), 1);
  const struct history_cell *cells = series_book_cells(book, 0);
  assert_true(cells[0].mean == 0.5 && cells[1].mean == 0.25 && cells[2].mean == 7 && cells[3].count == 0);
  assert_int_equal(store(book, house->durable), 2);
  series_book_begin(book, NOW_MS + MINUTE_MS);
  put(book, "two", "response_time_ms", 8);
  cells = series_book_cells(book, 0);
  assert_true(cells[0].count == 0 && cells[2].mean == 8);
  assert_int_equal(store(book, house->durable), 0);
  series_book_free(book);
}

static void a_book_goes_on_where_the_one_before_stopped(void **state) {
  struct test_house *house = *state;
  struct errbuf err;
  struct series_book *book = series_book_new(1000);
  series_book_begin(book, NOW_MS);
  put(book, "one", "a", 1);
  put(book, "one", "b", 2);
  store(book, house->durable);
  series_book_free(book);
  book = series_book_new(1000);
  assert_int_equal(series_book_load(book, house->durable, &err), STATUS_OK);
  series_book_begin(book, NOW_MS + MINUTE_MS);
  put(book, "new", "c", 3);
  put(book, "one", "b", 4);
  const struct history_cell *cells = series_book_cells(book, 0);
  assert_true(cells[1].mean == 4 && cells[2].mean == 3);
  assert_int_equal(store(book, house->durable), 1);
  series_book_free(book);
}

static void without_a_place_left_figures_are_refused(void **state) {
  (void)state;
  struct series_book *book = series_book_new(2);
  series_book_begin(book, NOW_MS);
  put(book, "one", "a", 1);
  put(book, "one", "b", 2);
  put(book, "one", "c", 3);
  put(book, "two", "a", 4);
  assert_int_equal(series_book_refused(book), 2);
  put(book, "one", "b", 5);
  assert_true(series_book_cells(book, 0)[1].mean == 5);
  series_book_begin(book, NOW_MS + MINUTE_MS);
  assert_int_equal(series_book_refused(book), 0);
  series_book_free(book);
}

static void the_series_seen_longest_ago_gives_its_place_after_two_days(void **state) {
  struct test_house *house = *state;
  struct series_book *book = series_book_new(2);
  series_book_begin(book, NOW_MS);
  put(book, "old", "a", 1);
  series_book_begin(book, NOW_MS + HISTORY_DAY_MS);
  put(book, "young", "a", 1);
  store(book, house->durable);
  series_book_begin(book, NOW_MS + 2 * HISTORY_DAY_MS - MINUTE_MS);
  put(book, "new", "a", 2);
  assert_int_equal(series_book_refused(book), 1);
  series_book_begin(book, NOW_MS + 2 * HISTORY_DAY_MS + MINUTE_MS);
  put(book, "new", "a", 2);
  assert_int_equal(series_book_refused(book), 0);
  assert_true(series_book_cells(book, 0)[0].mean == 2);
  struct history_series *series;
  struct errbuf err;
  size_t count;
  store(book, house->durable);
  assert_int_equal(history_list(house->durable, "www.example.com", "old", &series, &count, &err), STATUS_OK);
  assert_int_equal(count, 0);
  assert_int_equal(history_list(house->durable, "www.example.com", "new", &series, &count, &err), STATUS_OK);
  assert_int_equal(count, 1);
  assert_int_equal(series->since_ms, NOW_MS + 2 * HISTORY_DAY_MS + MINUTE_MS);
  free(series);
  series_book_free(book);
}

static void what_is_no_longer_kept_is_forgotten(void **state) {
  struct test_house *house = *state;
  struct series_book *book = series_book_new(1000);
  series_book_begin(book, NOW_MS);
  put(book, "one", "a", 1);
  store(book, house->durable);
  series_book_begin(book, NOW_MS + 63 * HISTORY_DAY_MS);
  assert_int_equal(store(book, house->durable), 1);
  series_book_begin(book, NOW_MS + 63 * HISTORY_DAY_MS + MINUTE_MS);
  assert_int_equal(series_book_chunks(book), 0);
  put(book, "two", "a", 1);
  assert_true(series_book_cells(book, 0)[0].count == 1);
  series_book_free(book);
}

static void that_a_series_is_still_seen_is_written_once_a_day(void **state) {
  struct test_house *house = *state;
  struct series_book *book = series_book_new(1000);
  for (int minute = 0; minute < 4; minute++) {
    series_book_begin(book, NOW_MS + HISTORY_DAY_MS + (minute - 2) * MINUTE_MS);
    put(book, "one", "a", minute);
    assert_int_equal(store(book, house->durable), minute == 0 || minute == 2);
  }
  series_book_free(book);
}

#define BOOK_TEST(name) cmocka_unit_test_setup_teardown(name, house_setup, house_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      BOOK_TEST(series_keep_their_places),
      BOOK_TEST(a_book_goes_on_where_the_one_before_stopped),
      BOOK_TEST(without_a_place_left_figures_are_refused),
      BOOK_TEST(the_series_seen_longest_ago_gives_its_place_after_two_days),
      BOOK_TEST(what_is_no_longer_kept_is_forgotten),
      BOOK_TEST(that_a_series_is_still_seen_is_written_once_a_day),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
