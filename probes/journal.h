/* probes/journal.h
 * Writes health records and metrics to the live store (gslb/model/live_rows): news in the next turn of the loop, with a
 * change mark and the bell; the rest at most every 100 ms, without. What cannot be written waits, the newest value of
 * each row, until it can; the store is opened whenever it appears. Belongs to the loop's thread. */
#ifndef GSLB_PROBES_JOURNAL_H
#define GSLB_PROBES_JOURNAL_H

#include <stdbool.h>

#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/board.h"
#include "gslb/model/live_rows.h"
#include "gslb/model/records.h"
#include "gslb/model/store.h"
#include "gslb/net/loop.h"

#define JOURNAL_CALM_MS 100

struct journal;

struct journal *journal_new(const char *run_directory, struct loop *loop, const struct house *house,
                            struct board *board, const struct board_bell *bell);
/* Copies the directory's name, borrows the rest. Touches no file yet. */
void journal_free(struct journal *journal);
/* Drops what was not written: journal_flush first. Rows stay their owners'. NULL is fine. */

enum status journal_open(struct journal *journal, struct errbuf *err);
/* Opens the live store unless it is open. */

struct store *journal_store(const struct journal *journal);
/* The live store, which the process has open once; NULL while it is not. It stays open until journal_free. */

void journal_put(struct journal *journal, struct live_row *row, bool is_news);
/* Has the row written as it stands at that time. live_row_withdraw takes it back. */
void journal_delete(struct journal *journal, enum store_db db, const struct record_key *key);
/* Has the row deleted, as news. Copies the key. */

bool journal_flush(struct journal *journal);
/* Writes what waits now, and returns whether nothing is left. A failure is logged at most every 10 s. */
void journal_tidy(struct journal *journal);
/* Call each second: clears the slots of readers that died. */

#endif
