#include "probes/sources/figures.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define LOG_EVERY_MS 10000

struct figures {
  const struct house *house;
  struct board *board;
  const struct board_bell *bell;
  struct store *store; /* NULL: none */
  struct loop_timer *timer;
  bool is_timed;
  TAILQ_HEAD(figures_queue, figures_item) queue;
  int64_t logged_ms; /* mono; 0: no failure since the last success */
};

static void set_timer(struct figures *figures) {
  if (!figures->store || figures->is_timed || TAILQ_EMPTY(&figures->queue))
    return;
  figures->is_timed = true;
  loop_timer_after(figures->timer, FIGURES_EVERY_MS);
}

static void timer_fired(void *context) {
  struct figures *figures = context;
  figures->is_timed = false;
  figures_flush(figures);
  set_timer(figures); /* what failed is tried again at the same pace */
}

struct figures *figures_new(struct loop *loop, const struct house *house, struct board *board,
                            const struct board_bell *bell) {
  struct figures *figures = mem_alloc(sizeof *figures);
  figures->house = house;
  figures->board = board;
  figures->bell = bell;
  figures->timer = loop_timer_new(loop, timer_fired, figures);
  TAILQ_INIT(&figures->queue);
  return figures;
}

static void unlink_item(struct figures *figures, struct figures_item *item) {
  if (item->is_waiting)
    TAILQ_REMOVE(&figures->queue, item, entry);
  item->is_waiting = item->is_news = false;
  free(item->bytes);
  item->bytes = NULL;
  if (item->is_deletion)
    free(item);
}

void figures_free(struct figures *figures) {
  if (!figures)
    return;
  while (!TAILQ_EMPTY(&figures->queue))
    unlink_item(figures, TAILQ_FIRST(&figures->queue));
  loop_timer_free(figures->timer);
  free(figures);
}

void figures_attach(struct figures *figures, struct store *live) {
  figures->store = live;
  set_timer(figures);
}

bool figures_is_attached(const struct figures *figures) {
  return figures->store != NULL;
}

struct reading {
  figures_row *row;
  void *context;
};

static bool read_row(void *context, struct store_bytes key, struct store_bytes value) {
  struct reading *reading = context;
  struct record_key row_key = {.size = key.size};
  struct metrics_record record;
  if (key.size > sizeof row_key.bytes)
    return true;
  memcpy(row_key.bytes, key.data, key.size);
  bool is_understood = metrics_decode(value.data, value.size, &record) == STATUS_OK;
  reading->row(reading->context, &row_key, is_understood ? &record : NULL);
  return true;
}

enum status figures_read(struct figures *figures, enum store_db db, figures_row *row, void *context,
                         struct errbuf *err) {
  struct store_txn *txn;
  if (!figures->store)
    return errbuf_set(err, STATUS_NODATA, "live store: not open");
  enum status status = store_begin(figures->store, false, &txn, err);
  if (status != STATUS_OK)
    return status;
  struct reading reading = {.row = row, .context = context};
  status = store_scan(txn, db, (struct store_bytes){NULL, 0}, read_row, &reading);
  store_abort(txn);
  return status == STATUS_OK ? status : errbuf_set(err, status, "live store: figures cannot be read");
}

static void enqueue(struct figures *figures, struct figures_item *item, bool is_news) {
  if (!item->is_waiting)
    TAILQ_INSERT_TAIL(&figures->queue, item, entry);
  item->is_waiting = true;
  item->is_news = item->is_news || is_news;
  set_timer(figures);
}

void figures_put(struct figures *figures, struct figures_item *item, const struct metrics_record *record,
                 bool is_news) {
  assert(!item->is_deletion);
  free(item->bytes);
  item->bytes = metrics_encode(record, &item->size);
  enqueue(figures, item, is_news);
}

void figures_withdraw(struct figures *figures, struct figures_item *item) {
  assert(!item->is_deletion);
  unlink_item(figures, item);
}

void figures_delete(struct figures *figures, enum store_db db, const struct record_key *key, bool is_news) {
  struct figures_item *item = mem_alloc(sizeof *item);
  item->db = db;
  item->key = *key;
  item->is_deletion = true;
  enqueue(figures, item, is_news);
}

static enum status write_item(struct store_txn *txn, const struct figures_item *item, struct errbuf *err) {
  struct store_bytes key = {item->key.bytes, item->key.size};
  if (!item->is_deletion)
    return store_put(txn, item->db, key, (struct store_bytes){item->bytes, item->size}, err);
  enum status status = store_delete(txn, item->db, key, err);
  return status == STATUS_NODATA ? STATUS_OK : status;
}

static bool is_marked(const char *const *marked, size_t count, const char *service) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(marked[i], service) == 0)
      return true;
  return false;
}

/* *marks: how many services were marked. */
static enum status write_items(struct figures *figures, struct store_txn *txn, struct figures_item **items,
                               size_t count, size_t *marks, struct errbuf *err) {
  const char *marked[FIGURES_BATCH_MOST];
  *marks = 0;
  for (size_t i = 0; i < count; i++) {
    enum status status = write_item(txn, items[i], err);
    if (status != STATUS_OK)
      return status;
    /* a key begins with the service's name and a NUL */
    const char *service = (const char *)items[i]->key.bytes;
    if (!items[i]->is_news || is_marked(marked, *marks, service))
      continue;
    status = store_mark_changed(txn, service, err);
    if (status != STATUS_OK)
      return status;
    marked[(*marks)++] = service;
  }
  enum status status = store_note_time(txn, house_now_ms(figures->house));
  return status == STATUS_OK ? status : errbuf_set(err, status, "time of the store");
}

static enum status write_batch(struct figures *figures, struct figures_item **items, size_t count, struct errbuf *err) {
  struct store_txn *txn;
  size_t marks = 0;
  enum status status = store_begin(figures->store, true, &txn, err);
  if (status != STATUS_OK)
    return status;
  status = write_items(figures, txn, items, count, &marks, err);
  if (status != STATUS_OK) {
    store_abort(txn);
    return status;
  }
  status = store_commit(txn, err);
  if (status != STATUS_OK)
    return status;
  for (size_t i = 0; i < count; i++)
    unlink_item(figures, items[i]);
  if (marks > 0)
    board_ring(figures->board, figures->bell);
  return STATUS_OK;
}

static size_t collect(struct figures *figures, struct figures_item *items[FIGURES_BATCH_MOST]) {
  size_t count = 0;
  struct figures_item *item = NULL;
  TAILQ_FOREACH(item, &figures->queue, entry) {
    if (count == FIGURES_BATCH_MOST)
      break;
    items[count++] = item;
  }
  return count;
}

static void log_failure(struct figures *figures, const struct errbuf *err) {
  int64_t now_ms = mono_now_ms();
  if (figures->logged_ms && now_ms - figures->logged_ms < LOG_EVERY_MS)
    return;
  figures->logged_ms = now_ms;
  log_error("figures are not stored, and wait: %s", err->text);
}

bool figures_flush(struct figures *figures) {
  struct figures_item *items[FIGURES_BATCH_MOST];
  struct errbuf err = {0};
  size_t count;
  while ((count = collect(figures, items)) > 0) {
    if (!figures->store)
      return false;
    if (write_batch(figures, items, count, &err) != STATUS_OK) {
      log_failure(figures, &err);
      return false;
    }
    if (figures->logged_ms)
      log_info("figures are stored again");
    figures->logged_ms = 0;
  }
  return true;
}
