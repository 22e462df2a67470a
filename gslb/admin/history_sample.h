/* gslb/admin/history_sample.h
 * A look at everything that the history keeps: the figures of all sources as they are in the live store now, and what
 * the balancer itself knows of its members. Belongs to the thread of its book. */
#ifndef GSLB_ADMIN_HISTORY_SAMPLE_H
#define GSLB_ADMIN_HISTORY_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/admin/series_book.h"
#include "gslb/admin/view.h"
#include "gslb/base/status.h"
#include "gslb/model/metrics.h"

bool history_sample_is_fresh(const struct metrics_record *record, int64_t now_ms);
/* Whether the figures still say how the member is: they are at most 90 s or three of their intervals old. A source that
 * fell silent leaves a gap rather than a straight line. */

enum status history_sample_take(struct view *view, struct series_book *book, int64_t now_ms, struct errbuf *err);
/* Puts into the book, where series_book_begin was called, what the databases of figures hold, answers since the look
 * before this one (scaled to a minute) and the load of members that have one. Each database is copied in a short
 * transaction of its own, and understood after that. STATUS_IO: some of it may be there. */

#endif
