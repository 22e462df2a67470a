/* probes/sources/figures.h
 * Writes the figures of members, one row for each member and source of figures, to the databases of the live store that
 * the sources have (gslb/model/live_rows), at most every 100 ms. What cannot be written waits, the newest value of each
 * row, until it can. Belongs to the loop's thread. */
#ifndef GSLB_PROBES_SOURCES_FIGURES_H
#define GSLB_PROBES_SOURCES_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/board.h"
#include "gslb/model/live_rows.h"
#include "gslb/model/metrics.h"
#include "gslb/model/records.h"
#include "gslb/model/store.h"
#include "gslb/net/loop.h"

#define FIGURES_EVERY_MS 100

struct figures_item {  /* a row; part of what owns it */
  struct live_row row; /* the owner fills db and key (service \0 member) */

  uint8_t *bytes; /* what follows is figures' own; zero at first. NULL: nothing waits */
  size_t size;
};

struct figures;

struct figures *figures_new(struct loop *loop, const struct house *house, struct board *board,
                            const struct board_bell *bell);
/* Borrows all. It has no store yet. */
void figures_free(struct figures *figures);
/* Drops what was not written: figures_flush first. Items stay their owners'. NULL is fine. */

void figures_attach(struct figures *figures, struct store *live);
/* Borrows the live store, which the process has opened for writing; NULL: it is about to close it. */
bool figures_is_attached(const struct figures *figures);

typedef void figures_row(void *context, const struct record_key *key, const struct metrics_record *record);
enum status figures_read(struct figures *figures, enum store_db db, figures_row *row, void *context,
                         struct errbuf *err);
/* Calls row for each stored row of the database, in order of keys; record is NULL when it cannot be understood.
 * STATUS_NODATA: there is no store. row may call figures_delete. */

void figures_put(struct figures *figures, struct figures_item *item, const struct metrics_record *record, bool is_news);
/* Has the record written, which is copied. is_news: the service is marked as changed with it. */
void figures_withdraw(struct figures_item *item);
/* Before an item's memory goes: nothing of it is written any more. */
void figures_delete(struct figures *figures, enum store_db db, const struct record_key *key, bool is_news);
/* Has the row deleted. Copies the key. */

bool figures_flush(struct figures *figures);
/* Writes what waits now, and returns whether nothing is left. A failure is logged at most every 10 s. */

#endif
