#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probes/sources/figures.h"
#include "tests/unit/model/store_fixture.h"

static struct fixture *fixture;
static struct loop *loop;
static struct house house;
static struct board *board;
static struct board_bell bell;
static struct figures *figures;
static struct figures_item item;
static struct metrics_record record;

static int make_board(void **state) {
  (void)state;
  int fd;
  return board_create(&board, &bell, &fd, NULL) != STATUS_OK;
}

static int set_up(void **state) {
  if (setup(state) != 0)
    return -1;
  fixture = *state;
  loop = loop_new();
  house = house_start(0);
  figures = figures_new(loop, &house, board, &bell);
  item = (struct figures_item){.row = {.db = STORE_DB_METRICS_SCRAPE}};
  record_key_member("www.example.com", "fra-1", &item.row.key);
  memset(&record, 0, sizeof record);
  record.at_ms = 7;
  record.count = 1;
  strcpy(record.values[0].name, "cpu");
  record.values[0].value = 0.5;
  return open_store(fixture, STORE_LIVE, STORE_CREATE) != STATUS_OK;
}

static int tear_down(void **state) {
  figures_withdraw(&item);
  figures_free(figures);
  loop_free(loop);
  return teardown(state);
}

static int rows;
static struct metrics_record seen;

static void take_row(void *context, const struct record_key *key, const struct metrics_record *row) {
  (void)context;
  assert_string_equal((const char *)key->bytes, "www.example.com");
  rows++;
  if (row)
    seen = *row;
}

static int count_rows(enum store_db db) {
  rows = 0;
  assert_int_equal(figures_read(figures, db, take_row, NULL, NULL), STATUS_OK);
  return rows;
}

static int count_marks(uint64_t *sequence) {
  char names[512] = "";
  struct store_txn *txn = begin(fixture, false);
  store_changes_since(txn, sequence, note_service, names);
  store_abort(txn);
  int count = 0;
  for (const char *at = names; (at = strchr(at, ' ')); at++)
    count++;
  return count;
}

static bool bell_rang(void) {
  struct pollfd ear = {.fd = bell.ears[BOARD_EAR_DNS], .events = POLLIN};
  bool rang = poll(&ear, 1, 0) == 1;
  board_hear(&bell, BOARD_EAR_DNS);
  return rang;
}

static void news_is_marked_once_a_service_and_rings_the_bell(void **state) {
  (void)state;
  uint64_t sequence = 0;
  struct figures_item other = {.row = {.db = STORE_DB_METRICS_CHECK, .key = item.row.key}};
  figures_attach(figures, fixture->store);
  bell_rang();
  figures_put(figures, &item, &record, true);
  figures_put(figures, &other, &record, true);
  assert_true(figures_flush(figures));
  assert_true(bell_rang());
  assert_int_equal(count_marks(&sequence), 1);
  assert_int_equal(count_rows(STORE_DB_METRICS_SCRAPE), 1);
  assert_int_equal(count_rows(STORE_DB_METRICS_CHECK), 1);
  assert_int_equal(seen.at_ms, 7);
  assert_string_equal(seen.values[0].name, "cpu");
}

static void what_nobody_looks_at_is_written_without_mark_or_bell(void **state) {
  (void)state;
  uint64_t sequence = 0;
  figures_attach(figures, fixture->store);
  bell_rang();
  figures_put(figures, &item, &record, false);
  record.at_ms = 9;
  figures_put(figures, &item, &record, false);
  assert_true(figures_flush(figures));
  assert_false(bell_rang());
  assert_int_equal(count_marks(&sequence), 0);
  assert_int_equal(count_rows(STORE_DB_METRICS_SCRAPE), 1);
  assert_int_equal(seen.at_ms, 9);
}

static void rows_wait_for_the_store_and_keep_the_mark(void **state) {
  (void)state;
  uint64_t sequence = 0;
  assert_int_equal(figures_read(figures, STORE_DB_METRICS_SCRAPE, take_row, NULL, NULL), STATUS_NODATA);
  figures_put(figures, &item, &record, true);
  figures_put(figures, &item, &record, false);
  assert_false(figures_flush(figures));
  figures_attach(figures, fixture->store);
  assert_true(figures_flush(figures));
  assert_int_equal(count_marks(&sequence), 1);
}

static void withdrawn_rows_are_not_written_and_deleted_ones_go(void **state) {
  (void)state;
  figures_attach(figures, fixture->store);
  figures_put(figures, &item, &record, false);
  figures_withdraw(&item);
  assert_true(figures_flush(figures));
  assert_int_equal(count_rows(STORE_DB_METRICS_SCRAPE), 0);
  figures_put(figures, &item, &record, false);
  figures_delete(figures, STORE_DB_METRICS_SNMP, &item.row.key, true);
  assert_true(figures_flush(figures));
  figures_delete(figures, STORE_DB_METRICS_SCRAPE, &item.row.key, true);
  assert_true(figures_flush(figures));
  assert_int_equal(count_rows(STORE_DB_METRICS_SCRAPE), 0);
}

static void stop(void *context) {
  if (count_rows(STORE_DB_METRICS_SCRAPE) == 0)
    loop_timer_after(*(struct loop_timer **)context, 5);
  else
    loop_stop(loop);
}

static void more_than_a_batch_is_written_by_itself(void **state) {
  (void)state;
  struct figures_item *items = calloc(2 * LIVE_ROWS_BATCH_MOST + 3, sizeof *items);
  for (unsigned i = 0; i < 2 * LIVE_ROWS_BATCH_MOST + 3; i++) {
    char member[16];
    snprintf(member, sizeof member, "m%u", i);
    items[i].row.db = STORE_DB_METRICS_SCRAPE;
    record_key_member("www.example.com", member, &items[i].row.key);
    figures_put(figures, &items[i], &record, true);
  }
  figures_attach(figures, fixture->store);
  struct loop_timer *timer = loop_timer_new(loop, stop, &timer);
  loop_timer_after(timer, 1);
  loop_run(loop);
  assert_int_equal(count_rows(STORE_DB_METRICS_SCRAPE), 2 * LIVE_ROWS_BATCH_MOST + 3);
  loop_timer_free(timer);
  free(items);
}

#define FIGURES_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      FIGURES_TEST(news_is_marked_once_a_service_and_rings_the_bell),
      FIGURES_TEST(what_nobody_looks_at_is_written_without_mark_or_bell),
      FIGURES_TEST(rows_wait_for_the_store_and_keep_the_mark),
      FIGURES_TEST(withdrawn_rows_are_not_written_and_deleted_ones_go),
      FIGURES_TEST(more_than_a_batch_is_written_by_itself),
  };
  return cmocka_run_group_tests(tests, make_board, NULL);
}
