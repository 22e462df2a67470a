#include "probes/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define LOG_EVERY_MS 10000

TAILQ_HEAD(journal_queue, journal_item);

struct journal {
  char *run_directory;
  const struct house *house;
  struct board *board;
  const struct board_bell *bell;
  struct store *store; /* NULL: not open */
  struct loop_timer *timer;
  enum journal_pending timer_is_for; /* JOURNAL_WRITTEN: it is idle */
  struct journal_queue news, calm;
  int64_t logged_ms; /* mono; 0: no failure since the last success */
};

static void set_timer(struct journal *journal, enum journal_pending pending) {
  if (!journal->store || journal->timer_is_for >= pending)
    return;
  journal->timer_is_for = pending;
  loop_timer_after(journal->timer, pending == JOURNAL_NEWS ? 0 : JOURNAL_CALM_MS);
}

static void timer_fired(void *context) {
  struct journal *journal = context;
  journal->timer_is_for = JOURNAL_WRITTEN;
  /* what failed is tried again at the pace of the calm */
  if (!journal_flush(journal))
    set_timer(journal, JOURNAL_CALM);
}

struct journal *journal_new(const char *run_directory, struct loop *loop, const struct house *house,
                            struct board *board, const struct board_bell *bell) {
  struct journal *journal = mem_alloc(sizeof *journal);
  journal->run_directory = mem_strdup(run_directory);
  journal->house = house;
  journal->board = board;
  journal->bell = bell;
  journal->timer = loop_timer_new(loop, timer_fired, journal);
  TAILQ_INIT(&journal->news);
  TAILQ_INIT(&journal->calm);
  return journal;
}

static void unlink_item(struct journal *journal, struct journal_item *item) {
  if (item->pending != JOURNAL_WRITTEN)
    TAILQ_REMOVE(item->pending == JOURNAL_NEWS ? &journal->news : &journal->calm, item, entry);
  item->pending = JOURNAL_WRITTEN;
  if (item->is_deletion)
    free(item);
}

void journal_free(struct journal *journal) {
  if (!journal)
    return;
  while (!TAILQ_EMPTY(&journal->news))
    unlink_item(journal, TAILQ_FIRST(&journal->news));
  while (!TAILQ_EMPTY(&journal->calm))
    unlink_item(journal, TAILQ_FIRST(&journal->calm));
  loop_timer_free(journal->timer);
  if (journal->store)
    store_close(journal->store);
  free(journal->run_directory);
  free(journal);
}

enum status journal_open(struct journal *journal, struct errbuf *err) {
  if (journal->store)
    return STATUS_OK;
  enum status status = store_open(journal->run_directory, STORE_LIVE, STORE_WRITE, &journal->store, err);
  if (status != STATUS_OK)
    return status;
  if (!TAILQ_EMPTY(&journal->news) || !TAILQ_EMPTY(&journal->calm))
    set_timer(journal, JOURNAL_NEWS);
  return STATUS_OK;
}

struct store *journal_store(const struct journal *journal) {
  return journal->store;
}

struct reading {
  journal_row *row;
  void *context;
};

static bool read_row(void *context, struct store_bytes key, struct store_bytes value) {
  struct reading *reading = context;
  struct record_key row_key = {.size = key.size};
  if (key.size > sizeof row_key.bytes)
    return true;
  memcpy(row_key.bytes, key.data, key.size);
  reading->row(reading->context, &row_key, value);
  return true;
}

enum status journal_read(struct journal *journal, enum store_db db, journal_row *row, void *context,
                         struct errbuf *err) {
  if (!journal->store)
    return errbuf_set(err, STATUS_NODATA, "live store: not open");
  struct store_txn *txn;
  enum status status = store_begin(journal->store, false, &txn, err);
  if (status != STATUS_OK)
    return status;
  struct reading reading = {.row = row, .context = context};
  store_scan(txn, db, (struct store_bytes){NULL, 0}, read_row, &reading);
  store_abort(txn);
  return STATUS_OK;
}

void journal_put(struct journal *journal, struct journal_item *item, bool is_news) {
  enum journal_pending wanted = is_news ? JOURNAL_NEWS : JOURNAL_CALM;
  if (item->pending < wanted) {
    unlink_item(journal, item);
    TAILQ_INSERT_TAIL(is_news ? &journal->news : &journal->calm, item, entry);
    item->pending = wanted;
  }
  set_timer(journal, wanted);
}

void journal_withdraw(struct journal *journal, struct journal_item *item) {
  assert(!item->is_deletion);
  unlink_item(journal, item);
}

void journal_delete(struct journal *journal, enum store_db db, const struct record_key *key) {
  struct journal_item *item = mem_alloc(sizeof *item);
  item->key = *key;
  item->db = db;
  item->is_deletion = true;
  item->pending = JOURNAL_NEWS;
  TAILQ_INSERT_TAIL(&journal->news, item, entry);
  set_timer(journal, JOURNAL_NEWS);
}

static enum status write_item(struct store_txn *txn, const struct journal_item *item, struct errbuf *err) {
  struct store_bytes key = {item->key.bytes, item->key.size};
  if (item->is_deletion) {
    enum status status = store_delete(txn, item->db, key, err);
    return status == STATUS_NODATA ? STATUS_OK : status;
  }
  size_t size;
  uint8_t *bytes = item->encode(item, &size);
  enum status status = store_put(txn, item->db, key, (struct store_bytes){bytes, size}, err);
  free(bytes);
  return status;
}

static enum status write_items(struct journal *journal, struct store_txn *txn, struct journal_item **items,
                               size_t count, bool *is_marked, struct errbuf *err) {
  const char *marked = NULL;
  for (size_t i = 0; i < count; i++) {
    enum status status = write_item(txn, items[i], err);
    if (status != STATUS_OK)
      return status;
    /* a key begins with the service's name and a NUL */
    const char *service = (const char *)items[i]->key.bytes;
    if (items[i]->pending != JOURNAL_NEWS || (marked && strcmp(marked, service) == 0))
      continue;
    status = store_mark_changed(txn, service, err);
    if (status != STATUS_OK)
      return status;
    marked = service;
  }
  *is_marked = marked;
  enum status status = store_note_time(txn, house_now_ms(journal->house));
  return status == STATUS_OK ? status : errbuf_set(err, status, "time of the store");
}

static size_t collect(struct journal *journal, struct journal_item *items[JOURNAL_BATCH_MOST]) {
  size_t count = 0;
  struct journal_item *item = NULL;
  TAILQ_FOREACH(item, &journal->news, entry) {
    if (count == JOURNAL_BATCH_MOST)
      return count;
    items[count++] = item;
  }
  TAILQ_FOREACH(item, &journal->calm, entry) {
    if (count == JOURNAL_BATCH_MOST)
      return count;
    items[count++] = item;
  }
  return count;
}

static enum status write_batch(struct journal *journal, struct journal_item **items, size_t count, struct errbuf *err) {
  struct store_txn *txn;
  bool is_marked = false;
  enum status status = store_begin(journal->store, true, &txn, err);
  if (status != STATUS_OK)
    return status;
  status = write_items(journal, txn, items, count, &is_marked, err);
  if (status != STATUS_OK) {
    store_abort(txn);
    return status;
  }
  status = store_commit(txn, err);
  if (status != STATUS_OK)
    return status;
  for (size_t i = 0; i < count; i++)
    unlink_item(journal, items[i]);
  if (is_marked)
    board_ring(journal->board, journal->bell);
  return STATUS_OK;
}

static void log_failure(struct journal *journal, const struct errbuf *err) {
  int64_t now_ms = mono_now_ms();
  if (journal->logged_ms && now_ms - journal->logged_ms < LOG_EVERY_MS)
    return;
  journal->logged_ms = now_ms;
  log_error("probe results are not stored, and wait: %s", err->text);
}

bool journal_flush(struct journal *journal) {
  struct journal_item *items[JOURNAL_BATCH_MOST];
  struct errbuf err = {0};
  size_t count;
  while ((count = collect(journal, items)) > 0) {
    if (!journal->store)
      return false;
    if (write_batch(journal, items, count, &err) != STATUS_OK) {
      log_failure(journal, &err);
      return false;
    }
    if (journal->logged_ms)
      log_info("probe results are stored again");
    journal->logged_ms = 0;
  }
  return true;
}

void journal_tidy(struct journal *journal) {
  unsigned cleared = 0;
  if (journal->store)
    store_check_readers(journal->store, &cleared);
}
