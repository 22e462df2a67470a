#include "gslb/admin/series_book.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/facts.h"
#include "gslb/model/facts_rows.h"

#define KEPT_MS                                                                                                        \
  (HISTORY_SLOTS_KEPT * HISTORY_HOUR_MS + 2 * HISTORY_DAY_MS) /* when a series was seen is known to a day */
#define UNSEEN_LEAST_MS (2 * HISTORY_DAY_MS)

struct series_book {
  struct series_member **members; /* in order of their keys */
  size_t count, capacity;
  uint32_t most;                  /* places */
  struct series_member **holders; /* of each place; NULL: free */
  struct history_cell *cells;     /* of each place, and up to the end of a chunk */
  uint32_t lowest_free;           /* none below is free */
  uint32_t end;                   /* none from here on is taken */
  int64_t now_ms;
  size_t refused, refresh_left;
  bool is_exhausted; /* nothing can be taken from others in this minute */
};

static uint32_t chunks_of(uint32_t places) {
  return (places + HISTORY_MINUTE_CHUNK - 1) / HISTORY_MINUTE_CHUNK;
}

struct series_book *series_book_new(uint32_t most) {
  struct series_book *book = mem_alloc(sizeof *book);
  book->most = most;
  book->holders = mem_array(most + 1, sizeof(struct series_member *));
  book->cells = mem_array((size_t)chunks_of(most) * HISTORY_MINUTE_CHUNK + 1, sizeof *book->cells);
  return book;
}

static void free_member(struct series_member *member) {
  free(member->series);
  free(member);
}

void series_book_free(struct series_book *book) {
  if (!book)
    return;
  for (size_t i = 0; i < book->count; i++)
    free_member(book->members[i]);
  free(book->members);
  free(book->holders);
  free(book->cells);
  free(book);
}

static int compare_keys(const struct record_key *key, struct store_bytes other) {
  size_t size = key->size < other.size ? key->size : other.size;
  int order = memcmp(key->bytes, other.data, size);
  return order ? order : (key->size > other.size) - (key->size < other.size);
}

/* Where a member with the key is, or belongs. */
static size_t find_place(const struct series_book *book, struct store_bytes key, bool *is_there) {
  size_t low = 0, high = book->count;
  *is_there = false;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = compare_keys(&book->members[middle]->key, key);
    if (order == 0) {
      *is_there = true;
      return middle;
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static struct series_member *take_member(struct series_book *book, struct store_bytes key) {
  bool is_there;
  size_t at = find_place(book, key, &is_there);
  if (is_there)
    return book->members[at];
  struct series_member *member = mem_alloc(sizeof *member);
  member->slot = FACTS_NO_SLOT;
  member->key.size = key.size;
  memcpy(member->key.bytes, key.data, key.size);
  book->members = mem_grow(book->members, &book->capacity, book->count + 1, sizeof(struct series_member *));
  memmove(book->members + at + 1, book->members + at, (book->count - at) * sizeof(struct series_member *));
  book->members[at] = member;
  book->count++;
  return member;
}

struct series_member *series_book_member(struct series_book *book, const char *service, const char *member) {
  struct record_key key;
  history_key_member(service, member, &key);
  struct series_member *found = take_member(book, (struct store_bytes){key.bytes, key.size});
  found->asked_ms = book->now_ms;
  return found;
}

static struct history_series *find_id(struct series_member *member, uint32_t id) {
  for (size_t i = 0; i < member->count; i++)
    if (member->series[i].id == id)
      return &member->series[i];
  return NULL;
}

/* The member has no such series any more; its place stays the holder's who calls. */
static void drop(struct series_member *member, uint32_t id) {
  struct history_series *series = find_id(member, id);
  assert(series);
  *series = member->series[--member->count];
  member->is_dirty = true;
}

static void hold(struct series_book *book, uint32_t id, struct series_member *member) {
  book->holders[id] = member;
  if (id >= book->end)
    book->end = id + 1;
}

static void take_over(struct series_book *book, struct store_bytes key, struct history_series *series, size_t count) {
  struct series_member *member = take_member(book, key);
  member->series = mem_array(count ? count : 1, sizeof *series);
  member->capacity = count ? count : 1;
  for (size_t i = 0; i < count; i++) {
    uint32_t id = series[i].id;
    struct series_member *other = id < book->most ? book->holders[id] : NULL;
    if (id >= book->most || (other && find_id(other, id)->since_ms >= series[i].since_ms)) {
      member->is_dirty = true;
      continue;
    }
    if (other)
      drop(other, id);
    member->series[member->count++] = series[i];
    hold(book, id, member);
  }
}

enum status series_book_load(struct series_book *book, struct store *durable, struct errbuf *err) {
  struct store_txn *txn;
  enum status status = store_begin(durable, false, &txn, err);
  if (status)
    return status;
  assert(book->count == 0);
  struct facts_rows rows = {0};
  status = facts_rows_scan(&rows, txn, STORE_DB_HISTORY, history_members());
  store_abort(txn);
  for (size_t i = 0; i < rows.count && status == STATUS_OK; i++) {
    struct history_series *series;
    size_t count;
    if (history_decode_series(facts_row_value(&rows, &rows.items[i]), &series, &count) != STATUS_OK)
      continue;
    take_over(book, facts_row_key(&rows, &rows.items[i]), series, count);
    free(series);
  }
  facts_rows_release(&rows);
  return status ? errbuf_set(err, status, "the series of the history cannot be read") : STATUS_OK;
}

static void release_place(struct series_book *book, uint32_t id) {
  book->holders[id] = NULL;
  if (id < book->lowest_free)
    book->lowest_free = id;
}

static void forget_old(struct series_book *book) {
  for (size_t i = 0; i < book->count; i++) {
    struct series_member *member = book->members[i];
    for (size_t s = member->count; s-- > 0;) {
      if (book->now_ms - member->series[s].seen_ms < KEPT_MS)
        continue;
      release_place(book, member->series[s].id);
      drop(member, member->series[s].id);
    }
  }
}

/* Of members without a series nothing is stored; they wait for their first as long as they are asked for. */
static void forget_empty(struct series_book *book) {
  size_t kept = 0;
  for (size_t i = 0; i < book->count; i++) {
    struct series_member *member = book->members[i];
    if (member->count == 0 && !member->is_dirty && member->asked_ms != book->now_ms)
      free_member(member);
    else
      book->members[kept++] = member;
  }
  book->count = kept;
}

void series_book_begin(struct series_book *book, int64_t now_ms) {
  forget_empty(book);
  memset(book->cells, 0, (size_t)chunks_of(book->end) * HISTORY_MINUTE_CHUNK * sizeof *book->cells);
  book->now_ms = now_ms;
  book->refused = 0;
  book->refresh_left = SERIES_BOOK_REFRESH_MOST;
  book->is_exhausted = false;
  forget_old(book);
  while (book->end > 0 && !book->holders[book->end - 1])
    book->end--;
}

/* The place of the series that was seen longest ago, which loses it. */
static uint32_t take_from_another(struct series_book *book) {
  struct series_member *holder = NULL;
  uint32_t place = UINT32_MAX;
  int64_t seen_ms = book->now_ms - UNSEEN_LEAST_MS;
  for (uint32_t id = 0; id < book->end && !book->is_exhausted; id++) {
    const struct history_series *series = find_id(book->holders[id], id);
    if (series->seen_ms > seen_ms)
      continue;
    holder = book->holders[id];
    place = id;
    seen_ms = series->seen_ms - 1;
  }
  book->is_exhausted = place == UINT32_MAX;
  if (holder)
    drop(holder, place);
  return place;
}

/* UINT32_MAX: there is none. */
static uint32_t take_place(struct series_book *book) {
  while (book->lowest_free < book->end && book->holders[book->lowest_free])
    book->lowest_free++;
  return book->lowest_free < book->most ? book->lowest_free : take_from_another(book);
}

static struct history_series *add_series(struct series_book *book, struct series_member *member, const char *source,
                                         const char *metric) {
  uint32_t id = member->count < HISTORY_OF_MEMBER_MOST ? take_place(book) : UINT32_MAX;
  if (id == UINT32_MAX)
    return NULL;
  hold(book, id, member);
  member->series = mem_grow(member->series, &member->capacity, member->count + 1, sizeof *member->series);
  struct history_series *series = &member->series[member->count++];
  *series = (struct history_series){.id = id, .since_ms = book->now_ms, .seen_ms = book->now_ms};
  snprintf(series->source, sizeof series->source, "%s", source);
  snprintf(series->metric, sizeof series->metric, "%s", metric);
  member->is_dirty = true;
  return series;
}

static struct history_series *find_series(struct series_member *member, const char *source, const char *metric) {
  for (size_t i = 0; i < member->count; i++)
    if (strcmp(member->series[i].metric, metric) == 0 && strcmp(member->series[i].source, source) == 0)
      return &member->series[i];
  return NULL;
}

void series_book_put(struct series_book *book, struct series_member *member, const char *source, const char *metric,
                     double value) {
  struct history_series *series = find_series(member, source, metric);
  if (!series)
    series = add_series(book, member, source, metric);
  if (!series) {
    book->refused++;
    return;
  }
  if (series->seen_ms / HISTORY_DAY_MS != book->now_ms / HISTORY_DAY_MS &&
      (member->is_dirty || book->refresh_left > 0)) {
    if (!member->is_dirty)
      book->refresh_left--;
    series->seen_ms = book->now_ms;
    member->is_dirty = true;
  }
  book->cells[series->id] = (struct history_cell){value, value, value, 1};
}

size_t series_book_refused(const struct series_book *book) {
  return book->refused;
}

uint32_t series_book_chunks(const struct series_book *book) {
  return chunks_of(book->end);
}

const struct history_cell *series_book_cells(const struct series_book *book, uint32_t chunk) {
  assert(chunk < chunks_of(book->end));
  return book->cells + (size_t)chunk * HISTORY_MINUTE_CHUNK;
}

void series_book_each_dirty(struct series_book *book, series_book_visit *visit, void *context) {
  for (size_t i = 0; i < book->count; i++)
    if (book->members[i]->is_dirty)
      visit(context, book->members[i]);
}

void series_book_stored(struct series_book *book, struct series_member *member) {
  member->is_dirty = false;
  if (member->count > 0)
    return;
  bool is_there;
  size_t at = find_place(book, (struct store_bytes){member->key.bytes, member->key.size}, &is_there);
  assert(is_there);
  memmove(book->members + at, book->members + at + 1, (--book->count - at) * sizeof(struct series_member *));
  free_member(member);
}
