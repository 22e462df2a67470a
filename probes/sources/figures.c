#include "probes/sources/figures.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

struct figures {
  struct live_rows_writer writer;
  struct store *store; /* NULL: none */
  struct loop_timer *timer;
  bool is_timed;
  struct live_row_queue queue;
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
  figures->writer = (struct live_rows_writer){.house = house, .board = board, .bell = bell, .what = "figures"};
  figures->timer = loop_timer_new(loop, timer_fired, figures);
  TAILQ_INIT(&figures->queue);
  return figures;
}

void figures_free(struct figures *figures) {
  if (!figures)
    return;
  live_rows_drop(&figures->queue);
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

static void read_row(void *context, const struct record_key *key, struct store_bytes value) {
  const struct reading *reading = context;
  struct metrics_record record;
  bool is_understood = metrics_decode(value.data, value.size, &record) == STATUS_OK;
  reading->row(reading->context, key, is_understood ? &record : NULL);
}

enum status figures_read(struct figures *figures, enum store_db db, figures_row *row, void *context,
                         struct errbuf *err) {
  struct reading reading = {row, context};
  return live_rows_read(figures->store, db, read_row, &reading, err);
}

static struct figures_item *item_of(const struct live_row *row) {
  return (struct figures_item *)(uintptr_t)((const char *)row - offsetof(struct figures_item, row));
}

static uint8_t *encode(const struct live_row *row, size_t *size) {
  const struct figures_item *item = item_of(row);
  uint8_t *bytes = mem_resize(NULL, item->size, 1);
  memcpy(bytes, item->bytes, item->size);
  *size = item->size;
  return bytes;
}

static void forget_bytes(struct live_row *row) {
  struct figures_item *item = item_of(row);
  free(item->bytes);
  item->bytes = NULL;
}

void figures_put(struct figures *figures, struct figures_item *item, const struct metrics_record *record,
                 bool is_news) {
  free(item->bytes);
  item->bytes = metrics_encode(record, &item->size);
  item->row.encode = encode;
  item->row.written = forget_bytes;
  live_row_wait(&item->row, &figures->queue, is_news);
  set_timer(figures);
}

void figures_withdraw(struct figures_item *item) {
  live_row_withdraw(&item->row);
  forget_bytes(&item->row);
}

void figures_delete(struct figures *figures, enum store_db db, const struct record_key *key, bool is_news) {
  live_row_delete(db, key, &figures->queue, is_news);
  set_timer(figures);
}

bool figures_flush(struct figures *figures) {
  struct live_row_queue *const queue = &figures->queue;
  return live_rows_write(&figures->writer, figures->store, &queue, 1);
}
