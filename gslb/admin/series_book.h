/* gslb/admin/series_book.h
 * Which series of which members have which place in the history, in memory as in the store, and their samples of the
 * minute at hand. Series get the lowest places that are free, so that rows are dense; when none is free, that of the
 * series that was seen longest ago, two days at least. Pure: time comes in. Belongs to one thread. */
#ifndef GSLB_ADMIN_SERIES_BOOK_H
#define GSLB_ADMIN_SERIES_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/history.h"
#include "gslb/model/store.h"

#define SERIES_BOOK_REFRESH_MOST 200u /* members a minute whose rows are written to say that they are still seen */

struct series_member {
  struct record_key key; /* of its row */
  struct history_series *series;
  size_t count, capacity;
  bool is_dirty;    /* differs from its row */
  int64_t asked_ms; /* the minute in which it was asked for last */

  uint32_t slot; /* of its answers on the board; FACTS_NO_SLOT: not known */
  uint64_t answers;
  int64_t answers_at_ms;
};

struct series_book;

struct series_book *series_book_new(uint32_t most);
/* Empty, for so many series at most. */
void series_book_free(struct series_book *book);
/* NULL is fine. */
enum status series_book_load(struct series_book *book, struct store *durable, struct errbuf *err);
/* Takes over the rows into an empty book. A damaged row is forgotten, and a place that two series have goes to the one
 * that began later. */

struct series_member *series_book_member(struct series_book *book, const char *service, const char *member);
/* The member, which is added where it was not there. Borrowed until series_book_begin or
 * series_book_stored. */

void series_book_begin(struct series_book *book, int64_t now_ms);
/* A new minute, without samples; series that were not seen for as long as anything is kept are forgotten. */
void series_book_put(struct series_book *book, struct series_member *member, const char *source, const char *metric,
                     double value);
/* A sample; the last one of a minute counts. Where there is no place left it is counted as refused. */
size_t series_book_refused(const struct series_book *book);
/* Samples of this minute. */

uint32_t series_book_chunks(const struct series_book *book);
/* Of minutes: every place that is taken lies in them. */
const struct history_cell *series_book_cells(const struct series_book *book, uint32_t chunk);
/* HISTORY_MINUTE_CHUNK samples of this minute. Borrowed until the next series_book_begin. */

typedef void series_book_visit(void *context, struct series_member *member);
void series_book_each_dirty(struct series_book *book, series_book_visit *visit, void *context);
void series_book_stored(struct series_book *book, struct series_member *member);
/* Its row is as the member is, or gone where it has no series; such a member is freed. */

#endif
