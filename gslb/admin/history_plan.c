#include "gslb/admin/history_plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/admin/history_piece.h"
#include "gslb/admin/history_sample.h"
#include "gslb/admin/series_book.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/model/chronicle.h"
#include "gslb/model/history.h"

#define GAP_LEAST_MS 20
#define GAP_MOST_MS 1000
#define FOLD_CHUNKS 4u    /* of minutes in one piece */
#define MINUTES_MARGIN 60 /* kept longer, so that each hour's are whole when it is folded */
#define EVENT_KIND "history"

struct history_plan {
  struct history_plan_links links;
  struct history_piece *piece; /* on its way; NULL: none */
  struct series_book *book;    /* NULL: not read yet */
  uint32_t series_most;
  uint32_t minute; /* the open one; 0: none was seen yet */
  int64_t next_piece_ms;

  struct series_member **dirty; /* whose rows are to be written before the samples */
  size_t dirty_count, dirty_capacity, dirty_next;
  uint32_t slot; /* of the samples */
  uint32_t chunk_next, chunk_end;

  uint32_t fold_hour, fold_chunk; /* the next to be folded */
  bool is_expiring[2];            /* by resolution: there may be rows to remove */

  uint32_t skipped;      /* minutes in a row */
  uint32_t skipped_last; /* the last of them */
  bool is_full;          /* figures were refused, and that was told */
};

struct history_plan *history_plan_new(const struct history_plan_links *links) {
  struct history_plan *plan = mem_alloc(sizeof *plan);
  plan->links = *links;
  return plan;
}

/* Telling */

static enum status write_event(void *context, struct store_txn *txn, struct errbuf *err) {
  return chronicle_write_event(txn, context, err);
}

static void forget_event(void *context, enum status status, const struct errbuf *err) {
  if (status)
    log_error("an event of the history is not stored: %s", err->text);
  free(context);
}

static void tell(struct history_plan *plan, int64_t now_ms, const char *to, const char *reason) {
  struct event_record *event = mem_alloc(sizeof *event);
  struct errbuf err;
  *event = (struct event_record){.at_ms = now_ms, .kind = EVENT_KIND};
  snprintf(event->to, sizeof event->to, "%s", to);
  snprintf(event->reason, sizeof event->reason, "%s", reason);
  log_write(strcmp(to, "written") == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "history %s: %s", to, reason);
  enum status status = commit_queue(plan->links.committer, write_event, forget_event, event, &err);
  if (status)
    forget_event(event, status, &err);
}

/* What waits is dropped; only the first of several minutes is told of. */
static void skip(struct history_plan *plan, int64_t now_ms, const char *reason) {
  plan->dirty_next = plan->dirty_count = 0;
  plan->chunk_next = plan->chunk_end = 0;
  if (plan->skipped == 0)
    tell(plan, now_ms, "skipped", reason);
  if (plan->skipped == 0 || plan->skipped_last != plan->minute)
    plan->skipped++;
  plan->skipped_last = plan->minute;
}

static void note_whole(struct history_plan *plan, int64_t now_ms) {
  char reason[64];
  if (plan->skipped == 0)
    return;
  snprintf(reason, sizeof reason, "minutes that were skipped: %u", plan->skipped);
  plan->skipped = 0;
  tell(plan, now_ms, "written", reason);
}

static void tell_refused(struct history_plan *plan, int64_t now_ms) {
  size_t refused = series_book_refused(plan->book);
  char reason[128];
  snprintf(reason, sizeof reason, "%zu figures are not kept: there is room for %u series", refused, plan->series_most);
  if (refused > 0 && !plan->is_full)
    tell(plan, now_ms, "full", reason);
  plan->is_full = refused > 0;
}

/* Where to begin */

struct ends { /* of the rows of samples */
  bool has_hour, has_minute;
  uint32_t newest_hour, oldest_minute;
};

static bool note_newest(void *context, struct store_bytes key, struct store_bytes value) {
  struct ends *ends = context;
  struct history_place place;
  (void)value;
  ends->has_hour = history_parse_key(key, &place) && place.resolution == HISTORY_HOUR;
  if (ends->has_hour)
    ends->newest_hour = place.slot;
  return false;
}

static bool note_oldest(void *context, struct store_bytes key, struct store_bytes value) {
  struct ends *ends = context;
  struct history_place place;
  (void)value;
  ends->has_minute = history_parse_key(key, &place);
  if (ends->has_minute)
    ends->oldest_minute = place.slot;
  return false;
}

/* The newest hour may have been folded in part, so it is folded again, unless some of its minutes are gone. */
static enum status find_fold(struct history_plan *plan, struct store *durable, int64_t now_ms, struct errbuf *err) {
  struct ends ends = {0};
  struct store_txn *txn;
  enum status status = store_begin(durable, false, &txn, err);
  if (status)
    return status;
  status = store_scan_back(txn, STORE_DB_HISTORY, note_newest, &ends);
  if (status == STATUS_OK)
    status = store_scan(txn, STORE_DB_HISTORY, history_rows(HISTORY_MINUTE), note_oldest, &ends);
  store_abort(txn);
  if (status)
    return errbuf_set(err, status, "the history cannot be read");
  uint32_t minutes = HISTORY_HOUR_MS / HISTORY_MINUTE_MS, oldest = ends.oldest_minute / minutes;
  plan->fold_hour = ends.has_minute ? oldest : history_slot(HISTORY_HOUR, now_ms);
  if (ends.has_hour && ends.has_minute && ends.newest_hour >= plan->fold_hour) {
    bool is_whole = ends.newest_hour > oldest || ends.oldest_minute % minutes == 0;
    plan->fold_hour = is_whole ? ends.newest_hour : ends.newest_hour + 1;
  }
  return STATUS_OK;
}

static enum status prepare(struct history_plan *plan, struct store *durable, int64_t now_ms, struct errbuf *err) {
  struct store_info info;
  if (plan->book)
    return STATUS_OK;
  enum status status = store_info(durable, &info);
  if (status)
    return errbuf_set(err, status, "the durable store does not answer");
  plan->series_most = history_series_most(info.map_bytes);
  struct series_book *book = series_book_new(plan->series_most);
  status = series_book_load(book, durable, err);
  if (status == STATUS_OK)
    status = find_fold(plan, durable, now_ms, err);
  if (status) {
    series_book_free(book);
    return status;
  }
  plan->book = book;
  return STATUS_OK;
}

/* Sampling */

static void note_dirty(void *context, struct series_member *member) {
  struct history_plan *plan = context;
  plan->dirty = mem_grow(plan->dirty, &plan->dirty_capacity, plan->dirty_count + 1, sizeof(struct series_member *));
  plan->dirty[plan->dirty_count++] = member;
}

static bool has_samples(const struct history_plan *plan) {
  return plan->dirty_next < plan->dirty_count || plan->chunk_next < plan->chunk_end;
}

static enum status sample(struct history_plan *plan, struct view *view, uint32_t slot, int64_t now_ms,
                          struct errbuf *err) {
  enum status status = prepare(plan, view_sources(view)->durable, now_ms, err);
  if (status)
    return status;
  series_book_begin(plan->book, (int64_t)slot * HISTORY_MINUTE_MS);
  status = history_sample_take(view, plan->book, now_ms, err);
  if (status)
    return status;
  tell_refused(plan, now_ms);
  plan->dirty_next = plan->dirty_count = 0;
  series_book_each_dirty(plan->book, note_dirty, plan);
  plan->slot = slot;
  plan->chunk_next = 0;
  plan->chunk_end = series_book_chunks(plan->book);
  plan->is_expiring[HISTORY_MINUTE] = plan->is_expiring[HISTORY_HOUR] = true;
  return STATUS_OK;
}

static void end_minute(struct history_plan *plan, struct view *view, uint32_t minute, int64_t now_ms) {
  const struct view_sources *sources = view_sources(view);
  struct errbuf err;
  plan->minute = minute;
  if (plan->piece) {
    skip(plan, now_ms, "the disk takes longer than a minute");
    return;
  }
  if (has_samples(plan))
    skip(plan, now_ms, "the disk did not keep up within the minute");
  if (!sources->durable || !sources->live || sample(plan, view, minute - 1, now_ms, &err) != STATUS_OK)
    skip(plan, now_ms, sources->durable && sources->live ? err.text : "a store is not open");
  else if (!has_samples(plan))
    note_whole(plan, now_ms);
}

/* Pieces */

static void add_member_row(struct history_piece *piece, struct series_member *member) {
  uint8_t *value = NULL;
  size_t size = 0;
  if (member->count > 0)
    value = history_encode_series(member->series, member->count, &size);
  history_piece_put(piece, &member->key, value, size);
  piece->rows[piece->count - 1].member = member;
  free(value);
}

static void add_cells(struct history_piece *piece, const struct history_place *place,
                      const struct history_cell *cells) {
  uint8_t value[HISTORY_ROW_SIZE];
  struct record_key key;
  size_t size = history_encode(place->resolution, cells, value);
  history_key(place, &key);
  if (size > 0)
    history_piece_put(piece, &key, value, size);
}

static void add_samples(struct history_plan *plan, struct history_piece *piece) {
  while (plan->dirty_next < plan->dirty_count && piece->count < HISTORY_PIECE_ROWS)
    add_member_row(piece, plan->dirty[plan->dirty_next++]);
  if (piece->count > 0)
    return;
  while (plan->chunk_next < plan->chunk_end && piece->count < HISTORY_PIECE_CHUNKS) {
    struct history_place place = {HISTORY_MINUTE, plan->slot, plan->chunk_next};
    add_cells(piece, &place, series_book_cells(plan->book, plan->chunk_next));
    plan->chunk_next++;
  }
}

static bool has_fold(const struct history_plan *plan) {
  return plan->fold_hour < plan->minute / (HISTORY_HOUR_MS / HISTORY_MINUTE_MS);
}

static enum status add_fold(struct history_plan *plan, struct store *durable, struct history_piece *piece,
                            struct errbuf *err) {
  const uint32_t parts = HISTORY_MINUTE_CHUNK / HISTORY_HOUR_CHUNK;
  struct store_txn *txn;
  enum status status = store_begin(durable, false, &txn, err);
  if (status)
    return status;
  uint32_t chunks = series_book_chunks(plan->book);
  piece->is_fold = true;
  piece->fold_hour = plan->fold_hour;
  piece->fold_chunk = plan->fold_chunk;
  struct history_cell *cells = mem_array(HISTORY_MINUTE_CHUNK, sizeof *cells);
  for (uint32_t i = 0; i < FOLD_CHUNKS && plan->fold_chunk < chunks && status == STATUS_OK; i++, plan->fold_chunk++) {
    status = history_fold(txn, plan->fold_hour, plan->fold_chunk, cells);
    for (uint32_t part = 0; part < parts && status == STATUS_OK; part++) {
      struct history_place place = {HISTORY_HOUR, plan->fold_hour, plan->fold_chunk * parts + part};
      add_cells(piece, &place, cells + (size_t)part * HISTORY_HOUR_CHUNK);
    }
  }
  free(cells);
  store_abort(txn);
  if (status)
    return errbuf_set(err, status, "minutes cannot be read");
  if (plan->fold_chunk >= chunks) {
    plan->fold_hour++;
    plan->fold_chunk = 0;
  }
  return STATUS_OK;
}

/* A piece of what is due next; one without rows where there was nothing to write of it. NULL: nothing is due. */
static struct history_piece *next_piece(struct history_plan *plan, struct store *durable, int64_t now_ms) {
  struct history_piece *piece = history_piece_new(plan->links.moved, plan->links.context);
  struct errbuf err;
  if (has_samples(plan)) {
    add_samples(plan, piece);
    return piece;
  }
  for (int resolution = HISTORY_MINUTE; resolution <= HISTORY_HOUR; resolution++) {
    if (!plan->is_expiring[resolution])
      continue;
    int kept = HISTORY_SLOTS_KEPT + (resolution == HISTORY_MINUTE ? MINUTES_MARGIN : 0);
    history_piece_expire(piece, (enum history_resolution)resolution,
                         history_slot((enum history_resolution)resolution, now_ms) - (uint32_t)kept);
    plan->is_expiring[resolution] = false;
    return piece;
  }
  if (has_fold(plan)) {
    if (add_fold(plan, durable, piece, &err) != STATUS_OK)
      skip(plan, now_ms, err.text);
    return piece;
  }
  history_piece_free(piece);
  return NULL;
}

/* Takes the piece back where it is done. */
static void take_piece(struct history_plan *plan, int64_t now_ms) {
  struct history_piece *piece = plan->piece;
  if (!piece || !history_piece_is_done(piece))
    return;
  plan->piece = NULL;
  if (piece->status != STATUS_OK) {
    skip(plan, now_ms, piece->err.text);
    plan->next_piece_ms = now_ms - now_ms % HISTORY_MINUTE_MS + HISTORY_MINUTE_MS;
    if (piece->is_fold) {
      plan->fold_hour = piece->fold_hour;
      plan->fold_chunk = piece->fold_chunk;
    }
  } else {
    for (size_t i = 0; i < piece->count; i++)
      if (piece->rows[i].member)
        series_book_stored(plan->book, piece->rows[i].member);
    if (piece->has_more)
      plan->is_expiring[piece->expiring] = true;
    if (piece->is_samples && !has_samples(plan))
      note_whole(plan, now_ms);
  }
  history_piece_free(piece);
}

static void send_piece(struct history_plan *plan, struct store *durable, int64_t now_ms) {
  bool is_samples = has_samples(plan);
  struct history_piece *piece = next_piece(plan, durable, now_ms);
  struct errbuf err;
  if (!piece)
    return;
  piece->is_samples = is_samples;
  plan->piece = piece;
  if (history_piece_queue(piece, plan->links.committer, &err) == STATUS_OK)
    return;
  plan->piece = NULL;
  history_piece_free(piece);
  skip(plan, now_ms, err.text);
}

static bool has_work(const struct history_plan *plan) {
  return plan->book &&
         (has_samples(plan) || has_fold(plan) || plan->is_expiring[HISTORY_MINUTE] || plan->is_expiring[HISTORY_HOUR]);
}

/* What is left of the minute, divided among the pieces. */
static int64_t gap_ms(const struct history_plan *plan, int64_t left_ms) {
  int64_t pieces = (int64_t)((plan->dirty_count - plan->dirty_next) / HISTORY_PIECE_ROWS +
                             (plan->chunk_end - plan->chunk_next) / HISTORY_PIECE_CHUNKS + 4);
  int64_t gap = left_ms / pieces;
  return gap < GAP_LEAST_MS ? GAP_LEAST_MS : gap > GAP_MOST_MS ? GAP_MOST_MS : gap;
}

static int64_t turn_with(struct history_plan *plan, struct view *view, int64_t now_ms) {
  uint32_t minute = history_slot(HISTORY_MINUTE, now_ms);
  int64_t end_ms = ((int64_t)minute + 1) * HISTORY_MINUTE_MS;
  take_piece(plan, now_ms);
  if (!view_config(view)->has_history) {
    plan->dirty_next = plan->dirty_count = 0;
    plan->chunk_next = plan->chunk_end = 0;
    plan->minute = minute;
    return end_ms;
  }
  if (plan->minute == 0)
    plan->minute = minute;
  if (minute > plan->minute)
    end_minute(plan, view, minute, now_ms);
  if (!plan->piece && has_work(plan) && now_ms >= plan->next_piece_ms) {
    send_piece(plan, view_sources(view)->durable, now_ms);
    plan->next_piece_ms = now_ms + gap_ms(plan, end_ms - now_ms);
  }
  return !plan->piece && has_work(plan) && plan->next_piece_ms < end_ms ? plan->next_piece_ms : end_ms;
}

int64_t history_plan_turn(struct history_plan *plan, int64_t now_ms) {
  struct view *view = views_take(plan->links.views);
  int64_t next_ms = turn_with(plan, view, now_ms);
  view_release(view);
  return next_ms;
}

void history_plan_finish(struct history_plan *plan) {
  int64_t now_ms = (int64_t)plan->minute * HISTORY_MINUTE_MS;
  for (;;) {
    if (plan->piece)
      history_piece_wait(plan->piece);
    take_piece(plan, now_ms);
    if (!has_samples(plan))
      break;
    send_piece(plan, NULL, now_ms);
  }
}

void history_plan_free(struct history_plan *plan) {
  if (!plan)
    return;
  if (plan->piece)
    history_piece_wait(plan->piece);
  history_piece_free(plan->piece);
  series_book_free(plan->book);
  free(plan->dirty);
  free(plan);
}
