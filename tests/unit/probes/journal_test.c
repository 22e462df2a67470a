#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/model/store.h"
#include "probes/journal.h"
#include "tests/unit/base/directory.h"

struct row {
  struct live_row item;
  struct health_record record;
};

struct scene {
  char directory[64];
  struct loop *loop;
  struct house house;
  struct journal *journal;
  struct row row;
  uint64_t sequence;
  int marks, rows;
  char marked[64];
  struct health_record seen;
};

static struct board *board;
static struct board_bell bell;

static int make_board(void **state) {
  (void)state;
  int fd;
  return board_create(&board, &bell, &fd, NULL) != STATUS_OK;
}

static uint8_t *encode(const struct live_row *item, size_t *size) {
  const struct row *row = (const struct row *)(const void *)item;
  uint8_t *bytes = calloc(1, RECORD_SIZE_MOST);
  *size = health_encode(&row->record, bytes);
  return bytes;
}

static void name_row(struct row *row, const char *service, const char *member) {
  struct addr addr;
  addr_parse("127.0.0.11", &addr);
  *row = (struct row){.item = {.db = STORE_DB_HEALTH, .encode = encode}};
  record_key_probe(service, member, &addr, "web", &row->item.key);
  row->record.state = HEALTH_UP;
  row->record.last_ms = 7;
}

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  snprintf(scene->directory, sizeof scene->directory, "/tmp/gslb-journal-XXXXXX");
  assert_non_null(mkdtemp(scene->directory));
  scene->loop = loop_new();
  scene->house = house_start(0);
  scene->journal = journal_new(scene->directory, scene->loop, &scene->house, board, &bell);
  name_row(&scene->row, "www.example.com", "fra-1");
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  journal_free(scene->journal);
  loop_free(scene->loop);
  int result = directory_remove(scene->directory);
  free(scene);
  return result;
}

static void create_store(struct scene *scene) {
  struct store *store;
  struct errbuf err = {0};
  if (store_open(scene->directory, STORE_LIVE, STORE_CREATE, &store, &err) != STATUS_OK)
    fail_msg("%s", err.text);
  store_close(store);
}

static void open_journal(struct scene *scene) {
  create_store(scene);
  struct errbuf err = {0};
  if (journal_open(scene->journal, &err) != STATUS_OK)
    fail_msg("%s", err.text);
}

static void take_row(void *context, const struct record_key *key, struct store_bytes value) {
  (void)key;
  struct scene *scene = context;
  scene->rows++;
  assert_int_equal(health_decode(value.data, value.size, &scene->seen), STATUS_OK);
}

static int count_rows(struct scene *scene) {
  scene->rows = 0;
  assert_int_equal(live_rows_read(journal_store(scene->journal), STORE_DB_HEALTH, take_row, scene, NULL), STATUS_OK);
  return scene->rows;
}

static void take_mark(void *context, const char *service) {
  struct scene *scene = context;
  scene->marks++;
  snprintf(scene->marked, sizeof scene->marked, "%s", service);
}

/* Closes the journal's store for a look from another handle, since one process must not open it twice. */
static int count_marks(struct scene *scene) {
  live_row_withdraw(&scene->row.item);
  journal_free(scene->journal);
  struct store *store;
  struct store_txn *txn;
  assert_int_equal(store_open(scene->directory, STORE_LIVE, STORE_READ, &store, NULL), STATUS_OK);
  assert_int_equal(store_begin(store, false, &txn, NULL), STATUS_OK);
  scene->marks = 0;
  store_changes_since(txn, &scene->sequence, take_mark, scene);
  store_abort(txn);
  store_close(store);
  scene->journal = journal_new(scene->directory, scene->loop, &scene->house, board, &bell);
  assert_int_equal(journal_open(scene->journal, NULL), STATUS_OK);
  return scene->marks;
}

static bool bell_rang(void) {
  struct pollfd ear = {.fd = bell.ears[BOARD_EAR_DNS], .events = POLLIN};
  bool rang = poll(&ear, 1, 0) == 1;
  board_hear(&bell, BOARD_EAR_DNS);
  return rang;
}

static void news_is_marked_and_rings_the_bell(void **state) {
  struct scene *scene = *state;
  open_journal(scene);
  bell_rang();
  journal_put(scene->journal, &scene->row.item, true);
  assert_true(journal_flush(scene->journal));
  assert_null(scene->row.item.queue);
  assert_true(bell_rang());
  assert_int_equal(count_rows(scene), 1);
  assert_int_equal(scene->seen.state, HEALTH_UP);
  assert_int_equal(count_marks(scene), 1);
  assert_string_equal(scene->marked, "www.example.com");
}

static void routine_is_written_without_mark_or_bell(void **state) {
  struct scene *scene = *state;
  open_journal(scene);
  bell_rang();
  journal_put(scene->journal, &scene->row.item, false);
  assert_true(journal_flush(scene->journal));
  assert_false(bell_rang());
  assert_int_equal(count_rows(scene), 1);
  assert_int_equal(count_marks(scene), 0);
}

static void routine_after_news_keeps_the_mark_and_the_newest_value(void **state) {
  struct scene *scene = *state;
  open_journal(scene);
  journal_put(scene->journal, &scene->row.item, false);
  journal_put(scene->journal, &scene->row.item, true);
  scene->row.record.last_ms = 9;
  journal_put(scene->journal, &scene->row.item, false);
  assert_true(journal_flush(scene->journal));
  assert_int_equal(count_rows(scene), 1);
  assert_int_equal(scene->seen.last_ms, 9);
  assert_int_equal(count_marks(scene), 1);
}

static void one_service_is_marked_once_a_batch(void **state) {
  struct scene *scene = *state;
  struct row items[3];
  open_journal(scene);
  name_row(&items[0], "a.example.com", "m1");
  name_row(&items[1], "a.example.com", "m2");
  name_row(&items[2], "b.example.com", "m1");
  for (int i = 0; i < 3; i++)
    journal_put(scene->journal, &items[i].item, true);
  assert_true(journal_flush(scene->journal));
  assert_int_equal(count_marks(scene), 2);
}

static void results_wait_for_the_store(void **state) {
  struct scene *scene = *state;
  assert_int_not_equal(journal_open(scene->journal, NULL), STATUS_OK);
  journal_put(scene->journal, &scene->row.item, true);
  assert_false(journal_flush(scene->journal));
  assert_true(scene->row.item.is_news);
  open_journal(scene);
  assert_true(journal_flush(scene->journal));
  assert_int_equal(count_rows(scene), 1);
}

static void deleted_row_is_gone_and_marked(void **state) {
  struct scene *scene = *state;
  open_journal(scene);
  journal_put(scene->journal, &scene->row.item, false);
  assert_true(journal_flush(scene->journal));
  journal_delete(scene->journal, STORE_DB_HEALTH, &scene->row.item.key);
  journal_delete(scene->journal, STORE_DB_HEALTH, &scene->row.item.key);
  assert_true(journal_flush(scene->journal));
  assert_int_equal(count_rows(scene), 0);
  assert_int_equal(count_marks(scene), 1);
}

static void withdrawn_item_is_not_written(void **state) {
  struct scene *scene = *state;
  open_journal(scene);
  journal_put(scene->journal, &scene->row.item, true);
  live_row_withdraw(&scene->row.item);
  assert_true(journal_flush(scene->journal));
  assert_int_equal(count_rows(scene), 0);
}

static void more_than_a_batch_is_written(void **state) {
  struct scene *scene = *state;
  enum { MANY = 3 * LIVE_ROWS_BATCH_MOST / 2 };
  struct row *items = calloc(MANY, sizeof *items);
  open_journal(scene);
  for (int i = 0; i < MANY; i++) {
    char member[16];
    snprintf(member, sizeof member, "m%d", i);
    name_row(&items[i], "www.example.com", member);
    journal_put(scene->journal, &items[i].item, i % 2 == 0);
  }
  assert_true(journal_flush(scene->journal));
  assert_int_equal(count_rows(scene), MANY);
  free(items);
}

static void stop_loop(void *context) {
  loop_stop(context);
}

static void loop_writes_news_in_its_next_turn(void **state) {
  struct scene *scene = *state;
  open_journal(scene);
  struct row calm;
  name_row(&calm, "www.example.com", "fra-2");
  struct loop_timer *timer = loop_timer_new(scene->loop, stop_loop, scene->loop);
  journal_put(scene->journal, &calm.item, false);
  assert_non_null(calm.item.queue);
  journal_put(scene->journal, &scene->row.item, true);
  loop_timer_after(timer, 1);
  loop_run(scene->loop);
  assert_null(scene->row.item.queue);
  assert_null(calm.item.queue);
  loop_timer_free(timer);
}

#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      JOURNAL_TEST(news_is_marked_and_rings_the_bell),
      JOURNAL_TEST(routine_is_written_without_mark_or_bell),
      JOURNAL_TEST(routine_after_news_keeps_the_mark_and_the_newest_value),
      JOURNAL_TEST(one_service_is_marked_once_a_batch),
      JOURNAL_TEST(results_wait_for_the_store),
      JOURNAL_TEST(deleted_row_is_gone_and_marked),
      JOURNAL_TEST(withdrawn_item_is_not_written),
      JOURNAL_TEST(more_than_a_batch_is_written),
      JOURNAL_TEST(loop_writes_news_in_its_next_turn),
  };
  return cmocka_run_group_tests(tests, make_board, NULL);
}
