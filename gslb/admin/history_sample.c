#include "gslb/admin/history_sample.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/facts_figures.h"
#include "gslb/model/facts_rows.h"

#define FRESH_LEAST_MS 90000
#define FRESH_INTERVALS 3

bool history_sample_is_fresh(const struct metrics_record *record, int64_t now_ms) {
  int64_t age_ms = now_ms - record->at_ms;
  return age_ms <= FRESH_LEAST_MS || age_ms / FRESH_INTERVALS < record->interval_ms;
}

static enum status copy_rows(struct store *store, enum store_db db, struct facts_rows *rows, struct errbuf *err) {
  struct store_txn *txn;
  enum status status = store_begin(store, false, &txn, err);
  if (status)
    return status;
  status = facts_rows_scan(rows, txn, db, (struct store_bytes){0});
  store_abort(txn);
  return status ? errbuf_set(err, status, "figures cannot be read") : STATUS_OK;
}

/* Registered members by the id of their resource */

struct registered {
  const char *id, *service;
};

struct roll {
  struct registered *items; /* in order of ids */
  size_t count;
  struct arena arena;
};

static int compare_registered(const void *a, const void *b) {
  const struct registered *one = a, *other = b;
  return strcmp(one->id, other->id);
}

static enum status read_roll(struct store *durable, struct roll *roll, struct errbuf *err) {
  struct facts_rows rows = {0};
  enum status status = copy_rows(durable, STORE_DB_MEMBERS, &rows, err);
  roll->items = mem_array(rows.count ? rows.count : 1, sizeof *roll->items);
  for (size_t i = 0; i < rows.count; i++) {
    struct facts_key key;
    facts_key_split(facts_row_key(&rows, &rows.items[i]), &key);
    if (key.count == 2)
      roll->items[roll->count++] =
          (struct registered){arena_strdup(&roll->arena, key.parts[1]), arena_strdup(&roll->arena, key.parts[0])};
  }
  qsort(roll->items, roll->count, sizeof *roll->items, compare_registered);
  facts_rows_release(&rows);
  return status;
}

static void release_roll(struct roll *roll) {
  free(roll->items);
  arena_release(&roll->arena);
}

/* Index of the first with this id or a later one. */
static size_t find_registered(const struct roll *roll, const char *id) {
  size_t low = 0, high = roll->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(roll->items[middle].id, id) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Figures */

static void put_record(struct series_book *book, const char *service, const char *member, enum metric_source source,
                       const struct metrics_record *record) {
  struct series_member *place = series_book_member(book, service, member);
  for (uint32_t i = 0; i < record->count; i++)
    series_book_put(book, place, metric_source_name(source), record->values[i].name, record->values[i].value);
}

static void put_row(struct series_book *book, const struct roll *roll, enum metric_source source,
                    const struct facts_key *key, const struct metrics_record *record) {
  if (source != METRICS_AGENT && key->count == 2)
    put_record(book, key->parts[0], key->parts[1], source, record);
  if (source != METRICS_AGENT || key->count != 1)
    return;
  for (size_t i = find_registered(roll, key->parts[0]);
       i < roll->count && strcmp(roll->items[i].id, key->parts[0]) == 0; i++)
    put_record(book, roll->items[i].service, roll->items[i].id, source, record);
}

static enum status put_source(const struct view_sources *sources, struct series_book *book, enum metric_source source,
                              int64_t now_ms, struct errbuf *err) {
  struct facts_rows rows = {0};
  struct roll roll = {0};
  enum status status = copy_rows(sources->live, metrics_db(source), &rows, err);
  if (status == STATUS_OK && source == METRICS_AGENT && rows.count > 0)
    status = read_roll(sources->durable, &roll, err);
  struct metrics_record *record = mem_alloc(sizeof *record);
  for (size_t i = 0; i < rows.count && status == STATUS_OK; i++) {
    struct store_bytes value = facts_row_value(&rows, &rows.items[i]);
    struct facts_key key;
    facts_key_split(facts_row_key(&rows, &rows.items[i]), &key);
    if (metrics_decode(value.data, value.size, record) == STATUS_OK && history_sample_is_fresh(record, now_ms))
      put_row(book, &roll, source, &key, record);
  }
  free(record);
  release_roll(&roll);
  facts_rows_release(&rows);
  return status;
}

/* What the balancer itself knows */

static void put_answers(struct series_book *book, struct series_member *member, uint32_t slot, uint64_t answers,
                        int64_t now_ms) {
  int64_t elapsed_ms = now_ms - member->answers_at_ms;
  /* counters begin anew with the daemon, and another slot counted for another member */
  if (member->slot == slot && elapsed_ms > 0 && answers >= member->answers)
    series_book_put(book, member, HISTORY_OWN, HISTORY_ANSWERS,
                    (double)(answers - member->answers) * (double)HISTORY_MINUTE_MS / (double)elapsed_ms);
  member->slot = slot;
  member->answers = answers;
  member->answers_at_ms = now_ms;
}

struct own {
  struct series_book *book;
  int64_t now_ms;
};

static void put_service(void *context, const struct shown *shown) {
  const struct own *own = context;
  const struct config_service *service = shown->facts->service;
  for (size_t i = 0; i < service->member_count; i++) {
    const struct member_facts *facts = &shown->facts->members[i];
    const struct member_state *state = &shown->evaluation->members[i];
    bool is_counted = shown->board && facts->slot != FACTS_NO_SLOT;
    if (!is_counted && !state->has_load)
      continue;
    struct series_member *member = series_book_member(own->book, service->name, service->members[i].name);
    if (is_counted)
      put_answers(own->book, member, facts->slot, shown_answers(shown->board, facts), own->now_ms);
    if (state->has_load)
      series_book_put(own->book, member, HISTORY_OWN, HISTORY_LOAD, state->load);
  }
}

enum status history_sample_take(struct view *view, struct series_book *book, int64_t now_ms, struct errbuf *err) {
  const struct view_sources *sources = view_sources(view);
  if (!sources->live || !sources->durable)
    return errbuf_set(err, STATUS_IO, "the stores are not open");
  enum status status = STATUS_OK;
  for (int source = 0; source < METRICS_SOURCES && status == STATUS_OK; source++)
    status = put_source(sources, book, (enum metric_source)source, now_ms, err);
  struct own own = {book, now_ms};
  if (status == STATUS_OK)
    view_each(view, put_service, &own);
  return status;
}
