#include "gslb/model/live_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define LOG_EVERY_MS 10000

static void leave_queue(struct live_row *row) {
  if (row->queue)
    TAILQ_REMOVE(row->queue, row, entry);
  row->queue = NULL;
  row->is_news = false;
  if (row->is_deletion)
    free(row);
}

void live_row_withdraw(struct live_row *row) {
  assert(!row->is_deletion);
  leave_queue(row);
}

void live_row_wait(struct live_row *row, struct live_row_queue *queue, bool is_news) {
  row->is_news = row->is_news || is_news;
  if (row->queue == queue)
    return;
  if (row->queue)
    TAILQ_REMOVE(row->queue, row, entry);
  TAILQ_INSERT_TAIL(queue, row, entry);
  row->queue = queue;
}

void live_row_delete(enum store_db db, const struct record_key *key, struct live_row_queue *queue, bool is_news) {
  struct live_row *row = mem_alloc(sizeof *row);
  row->key = *key;
  row->db = db;
  row->is_deletion = true;
  live_row_wait(row, queue, is_news);
}

void live_rows_drop(struct live_row_queue *queue) {
  while (!TAILQ_EMPTY(queue))
    leave_queue(TAILQ_FIRST(queue));
}

static enum status write_row(struct store_txn *txn, const struct live_row *row, struct errbuf *err) {
  struct store_bytes key = {row->key.bytes, row->key.size};
  if (row->is_deletion) {
    enum status status = store_delete(txn, row->db, key, err);
    return status == STATUS_NODATA ? STATUS_OK : status;
  }
  size_t size;
  uint8_t *bytes = row->encode(row, &size);
  enum status status = store_put(txn, row->db, key, (struct store_bytes){bytes, size}, err);
  free(bytes);
  return status;
}

/* The newest mark first: rows of one service are mostly neighbours. */
static bool is_marked(const char *const *marked, size_t count, const char *service) {
  for (size_t i = count; i > 0; i--)
    if (strcmp(marked[i - 1], service) == 0)
      return true;
  return false;
}

/* *marks: how many services were marked. */
static enum status write_rows(const struct live_rows_writer *writer, struct store_txn *txn, struct live_row **rows,
                              size_t count, size_t *marks, struct errbuf *err) {
  const char *marked[LIVE_ROWS_BATCH_MOST];
  *marks = 0;
  for (size_t i = 0; i < count; i++) {
    enum status status = write_row(txn, rows[i], err);
    if (status != STATUS_OK)
      return status;
    const char *service = (const char *)rows[i]->key.bytes;
    if (!rows[i]->is_news || is_marked(marked, *marks, service))
      continue;
    status = store_mark_changed(txn, service, err);
    if (status != STATUS_OK)
      return status;
    marked[(*marks)++] = service;
  }
  enum status status = store_note_time(txn, house_now_ms(writer->house));
  return status == STATUS_OK ? status : errbuf_set(err, status, "time of the store");
}

static enum status write_batch(const struct live_rows_writer *writer, struct store *store, struct live_row **rows,
                               size_t count, struct errbuf *err) {
  struct store_txn *txn;
  size_t marks = 0;
  enum status status = store_begin(store, true, &txn, err);
  if (status != STATUS_OK)
    return status;
  status = write_rows(writer, txn, rows, count, &marks, err);
  if (status != STATUS_OK) {
    store_abort(txn);
    return status;
  }
  status = store_commit(txn, err);
  if (status != STATUS_OK)
    return status;
  for (size_t i = 0; i < count; i++) {
    live_row_written *written = rows[i]->written;
    leave_queue(rows[i]); /* deletions are gone then, and have nobody to tell */
    if (written)
      written(rows[i]);
  }
  if (marks > 0)
    board_ring(writer->board, writer->bell);
  return STATUS_OK;
}

static size_t collect(struct live_row_queue *const *queues, size_t queue_count,
                      struct live_row *rows[LIVE_ROWS_BATCH_MOST]) {
  size_t count = 0;
  struct live_row *row = NULL;
  for (size_t i = 0; i < queue_count; i++)
    TAILQ_FOREACH(row, queues[i], entry) {
      if (count == LIVE_ROWS_BATCH_MOST)
        return count;
      rows[count++] = row;
    }
  return count;
}

static void log_failure(struct live_rows_writer *writer, const struct errbuf *err) {
  int64_t now_ms = mono_now_ms();
  if (writer->logged_ms && now_ms - writer->logged_ms < LOG_EVERY_MS)
    return;
  writer->logged_ms = now_ms;
  log_error("%s are not stored, and wait: %s", writer->what, err->text);
}

bool live_rows_write(struct live_rows_writer *writer, struct store *store, struct live_row_queue *const *queues,
                     size_t queue_count) {
  struct live_row *rows[LIVE_ROWS_BATCH_MOST];
  struct errbuf err = {0};
  size_t count;
  while ((count = collect(queues, queue_count, rows)) > 0) {
    if (!store)
      return false;
    if (write_batch(writer, store, rows, count, &err) != STATUS_OK) {
      log_failure(writer, &err);
      return false;
    }
    if (writer->logged_ms)
      log_info("%s are stored again", writer->what);
    writer->logged_ms = 0;
  }
  return true;
}

struct reading {
  live_rows_visit *visit;
  void *context;
};

static bool read_row(void *context, struct store_bytes key, struct store_bytes value) {
  const struct reading *reading = context;
  struct record_key row_key = {.size = key.size};
  if (key.size > sizeof row_key.bytes)
    return true;
  memcpy(row_key.bytes, key.data, key.size);
  reading->visit(reading->context, &row_key, value);
  return true;
}

enum status live_rows_read(struct store *store, enum store_db db, live_rows_visit *visit, void *context,
                           struct errbuf *err) {
  if (!store)
    return errbuf_set(err, STATUS_NODATA, "live store: not open");
  struct store_txn *txn;
  enum status status = store_begin(store, false, &txn, err);
  if (status != STATUS_OK)
    return status;
  struct reading reading = {visit, context};
  status = store_scan(txn, db, (struct store_bytes){NULL, 0}, read_row, &reading);
  store_abort(txn);
  return status == STATUS_OK ? status : errbuf_set(err, status, "live store: rows cannot be read");
}
