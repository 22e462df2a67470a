#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gslb/model/live_rows.h"
#include "tests/unit/model/store_fixture.h"

struct told { /* a row that holds one number */
  struct live_row row;
  uint8_t number;
  unsigned written;
};

static struct fixture *fixture;
static struct house house;
static struct board *board;
static struct board_bell bell;
static struct live_row_queue first, second;
static struct live_row_queue *const queues[] = {&first, &second};
static struct live_rows_writer writer;

static int make_board(void **state) {
  (void)state;
  int fd;
  return board_create(&board, &bell, &fd, NULL) != STATUS_OK;
}

static int set_up(void **state) {
  if (setup(state) != 0)
    return -1;
  fixture = *state;
  house = house_start(0);
  TAILQ_INIT(&first);
  TAILQ_INIT(&second);
  writer = (struct live_rows_writer){.house = &house, .board = board, .bell = &bell, .what = "numbers"};
  return open_store(fixture, STORE_LIVE, STORE_CREATE) != STATUS_OK;
}

static int tear_down(void **state) {
  live_rows_drop(&first);
  live_rows_drop(&second);
  return teardown(state);
}

static uint8_t *encode(const struct live_row *row, size_t *size) {
  uint8_t *bytes = malloc(1);
  *bytes = ((const struct told *)(const void *)row)->number;
  *size = 1;
  return bytes;
}

static void count_written(struct live_row *row) {
  ((struct told *)(void *)row)->written++;
}

static void name(struct told *told, const char *service, const char *member, uint8_t number) {
  *told = (struct told){.row = {.db = STORE_DB_HEALTH, .encode = encode, .written = count_written}, .number = number};
  record_key_member(service, member, &told->row.key);
}

static bool write_all(void) {
  return live_rows_write(&writer, fixture->store, queues, 2);
}

static void add_number(void *context, const struct record_key *key, struct store_bytes value) {
  (void)key;
  assert_int_equal(value.size, 1);
  *(unsigned *)context += *(const uint8_t *)value.data;
}

static unsigned sum_stored(void) {
  unsigned sum = 0;
  assert_int_equal(live_rows_read(fixture->store, STORE_DB_HEALTH, add_number, &sum, NULL), STATUS_OK);
  return sum;
}

static bool bell_rang(void) {
  struct pollfd ear = {.fd = bell.ears[BOARD_EAR_DNS], .events = POLLIN};
  bool rang = poll(&ear, 1, 0) == 1;
  board_hear(&bell, BOARD_EAR_DNS);
  return rang;
}

static void service_is_marked_once_a_batch_whoever_comes_between(void **state) {
  (void)state;
  struct told rows[3];
  char marked[64] = "";
  uint64_t sequence = 0;
  name(&rows[0], "a.example.com", "m1", 1);
  name(&rows[1], "b.example.com", "m1", 2);
  name(&rows[2], "a.example.com", "m2", 4);
  for (int i = 0; i < 3; i++)
    live_row_wait(&rows[i].row, &first, true);
  assert_true(write_all());
  struct store_txn *txn = begin(fixture, false);
  store_changes_since(txn, &sequence, note_service, marked);
  store_abort(txn);
  assert_string_equal(marked, "a.example.com b.example.com ");
  assert_int_equal(sum_stored(), 7);
}

static void only_news_rings_the_bell(void **state) {
  (void)state;
  struct told row;
  name(&row, "a.example.com", "m1", 1);
  bell_rang();
  live_row_wait(&row.row, &second, false);
  assert_true(write_all());
  assert_false(bell_rang());
  live_row_wait(&row.row, &second, false);
  live_row_wait(&row.row, &first, true);
  live_row_wait(&row.row, &first, false);
  assert_true(write_all());
  assert_true(bell_rang());
  assert_int_equal(row.written, 2);
}

static void row_is_written_as_it_stands_then(void **state) {
  (void)state;
  struct told row;
  name(&row, "a.example.com", "m1", 1);
  live_row_wait(&row.row, &first, false);
  row.number = 5;
  live_row_wait(&row.row, &first, false);
  assert_true(write_all());
  assert_int_equal(sum_stored(), 5);
  assert_int_equal(row.written, 1);
  assert_null(row.row.queue);
}

static void of_one_queue_the_last_word_stands(void **state) {
  (void)state;
  struct told row;
  name(&row, "a.example.com", "m1", 3);
  live_row_delete(STORE_DB_HEALTH, &row.row.key, &first, false);
  live_row_wait(&row.row, &first, true);
  assert_true(write_all());
  assert_int_equal(sum_stored(), 3);
  live_row_wait(&row.row, &first, true);
  live_row_delete(STORE_DB_HEALTH, &row.row.key, &first, false);
  assert_true(write_all());
  assert_int_equal(sum_stored(), 0);
}

static void rows_of_a_batch_that_fails_wait_and_stay_news(void **state) {
  (void)state;
  struct told row, impossible;
  name(&row, "a.example.com", "m1", 3);
  name(&impossible, "a.example.com", "m2", 4);
  impossible.row.key.size = 0; /* the store takes no empty key */
  live_row_wait(&row.row, &first, true);
  live_row_wait(&impossible.row, &second, false);
  bell_rang();
  assert_false(write_all());
  assert_int_equal(sum_stored(), 0);
  assert_false(bell_rang());
  assert_int_equal(row.written, 0);
  live_row_withdraw(&impossible.row);
  assert_true(write_all());
  assert_int_equal(sum_stored(), 3);
  assert_true(bell_rang());
}

static void without_a_store_all_wait(void **state) {
  (void)state;
  struct told row;
  unsigned sum = 0;
  name(&row, "a.example.com", "m1", 3);
  live_row_wait(&row.row, &first, true);
  assert_false(live_rows_write(&writer, NULL, queues, 2));
  assert_int_equal(live_rows_read(NULL, STORE_DB_HEALTH, add_number, &sum, NULL), STATUS_NODATA);
  assert_true(write_all());
  assert_int_equal(sum_stored(), 3);
}

static void more_than_a_batch_is_written_in_one_call(void **state) {
  (void)state;
  enum { MANY = 2 * LIVE_ROWS_BATCH_MOST + 3 };
  struct told *rows = calloc(MANY, sizeof *rows);
  for (int i = 0; i < MANY; i++) {
    char member[16];
    snprintf(member, sizeof member, "m%d", i);
    name(&rows[i], "a.example.com", member, 1);
    live_row_wait(&rows[i].row, queues[i % 2], i % 3 == 0);
  }
  assert_true(write_all());
  assert_int_equal(sum_stored(), MANY);
  free(rows);
}

static void dropped_rows_are_not_written(void **state) {
  (void)state;
  struct told row;
  name(&row, "a.example.com", "m1", 3);
  live_row_wait(&row.row, &first, true);
  live_row_delete(STORE_DB_HEALTH, &row.row.key, &first, true);
  live_rows_drop(&first);
  assert_null(row.row.queue);
  assert_true(write_all());
  assert_int_equal(sum_stored(), 0);
}

#define ROWS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      ROWS_TEST(service_is_marked_once_a_batch_whoever_comes_between),
      ROWS_TEST(only_news_rings_the_bell),
      ROWS_TEST(row_is_written_as_it_stands_then),
      ROWS_TEST(of_one_queue_the_last_word_stands),
      ROWS_TEST(rows_of_a_batch_that_fails_wait_and_stay_news),
      ROWS_TEST(without_a_store_all_wait),
      ROWS_TEST(more_than_a_batch_is_written_in_one_call),
      ROWS_TEST(dropped_rows_are_not_written),
  };
  return cmocka_run_group_tests(tests, make_board, NULL);
}
