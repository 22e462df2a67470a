#include "gslb/admin/news.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/model/chronicle.h"

struct event_record *news_add_event(struct news *news, const char *kind, const char *service, const char *member) {
  news->events = mem_grow(news->events, &news->event_capacity, news->event_count + 1, sizeof *news->events);
  struct event_record *event = &news->events[news->event_count++];
  *event = (struct event_record){.at_ms = news->now_ms};
  snprintf(event->kind, sizeof event->kind, "%s", kind);
  snprintf(event->service, sizeof event->service, "%s", service);
  snprintf(event->member, sizeof event->member, "%s", member);
  return event;
}

void news_add_row(struct news *news, const struct news_row *row) {
  news->rows = mem_grow(news->rows, &news->row_capacity, news->row_count + 1, sizeof *news->rows);
  struct news_row *copy = &news->rows[news->row_count++];
  *copy = *row;
  if (row->value)
    copy->value = arena_copy(&news->arena, row->value, row->size);
  if (row->service)
    copy->service = arena_strdup(&news->arena, row->service);
}

void news_add_empty(struct news *news, const char *service) {
  news->empties = mem_grow(news->empties, &news->empty_capacity, news->empty_count + 1, sizeof *news->empties);
  news->empties[news->empty_count++] = arena_strdup(&news->arena, service);
}

static bool has_ended(struct store_txn *txn, const struct news_row *row, int64_t now_ms) {
  struct store_bytes stored;
  struct override_record override;
  return store_get(txn, row->db, (struct store_bytes){row->key.bytes, row->key.size}, &stored) == STATUS_OK &&
         override_decode(stored.data, stored.size, &override) == STATUS_OK && override.until_ms != 0 &&
         override.until_ms <= now_ms;
}

static enum status apply_row(const struct news *news, const struct news_row *row, struct store_txn *txn,
                             struct errbuf *err) {
  struct store_bytes key = {row->key.bytes, row->key.size};
  enum status status;
  if (row->kind == NEWS_PUT) {
    status = store_put(txn, row->db, key, (struct store_bytes){row->value, row->size}, err);
  } else if (row->kind == NEWS_DELETE_BELOW) {
    struct record_key prefix = row->key;
    assert(prefix.size < sizeof prefix.bytes);
    prefix.bytes[prefix.size++] = '\0';
    status = store_delete_prefix(txn, row->db, (struct store_bytes){prefix.bytes, prefix.size}, NULL, err);
  } else {
    if (row->kind == NEWS_END_OVERRIDE && !has_ended(txn, row, news->now_ms))
      return STATUS_OK;
    status = store_delete(txn, row->db, key, err);
    if (status == STATUS_NODATA)
      return STATUS_OK;
  }
  return status;
}

enum status news_apply(void *context, struct store_txn *txn, struct errbuf *err) {
  const struct news *news = context;
  enum status status = STATUS_OK;
  const char *marked = NULL;
  for (size_t i = 0; i < news->row_count && status == STATUS_OK; i++) {
    const struct news_row *row = &news->rows[i];
    status = apply_row(news, row, txn, err);
    /* rows come service by service, so one mark each is enough */
    if (status == STATUS_OK && row->service && (!marked || strcmp(marked, row->service) != 0)) {
      marked = row->service;
      status = store_mark_changed(txn, row->service, err);
    }
  }
  for (size_t i = 0; i < news->event_count && status == STATUS_OK; i++)
    status = chronicle_write_event(txn, &news->events[i], err);
  return status;
}

void news_release(struct news *news) {
  arena_release(&news->arena);
  free(news->events);
  free(news->rows);
  free(news->empties);
  *news = (struct news){0};
}
