/* probes/journal.h
 * Writes health records to the live store in short batches: news in the next turn of the loop, with a change mark and
 * the bell; the rest at most every 100 ms, without. What cannot be written waits, the newest value of each row, until
 * it can; the store is opened whenever it appears. Belongs to the loop's thread. */
#ifndef GSLB_PROBES_JOURNAL_H
#define GSLB_PROBES_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/board.h"
#include "gslb/model/records.h"
#include "gslb/net/loop.h"

#define JOURNAL_BATCH_MOST 512u
#define JOURNAL_CALM_MS 100

enum journal_pending { JOURNAL_WRITTEN, JOURNAL_CALM, JOURNAL_NEWS };

struct journal_item { /* a row of the health database; part of what owns it, which fills key and record */
  struct record_key key;
  struct health_record record;

  enum journal_pending pending; /* these are the journal's; zero at first */
  bool is_deletion;
  TAILQ_ENTRY(journal_item) entry;
};

struct journal;

struct journal *journal_new(const char *run_directory, struct loop *loop, const struct house *house,
                            struct board *board, const struct board_bell *bell);
/* Copies the directory's name, borrows the rest. Touches no file yet. */
void journal_free(struct journal *journal);
/* Drops what was not written: journal_flush first. Items stay their owners'. NULL is fine. */

enum status journal_open(struct journal *journal, struct errbuf *err);
/* Opens the live store unless it is open. */

typedef void journal_row(void *context, const struct record_key *key, const struct health_record *record);
enum status journal_read(struct journal *journal, journal_row *row, void *context, struct errbuf *err);
/* Calls row for each stored row, in order of keys; record is NULL when it cannot be understood. STATUS_NODATA: the
 * store is not open. row may call journal_delete. */

void journal_put(struct journal *journal, struct journal_item *item, bool is_news);
/* Has the item's record written as it stands at that time. */
void journal_withdraw(struct journal *journal, struct journal_item *item);
/* Before an item's memory goes: nothing of it is written any more. */
void journal_delete(struct journal *journal, const struct record_key *key);
/* Has the row deleted, as news. Copies the key. */

bool journal_flush(struct journal *journal);
/* Writes what is pending now, and returns whether nothing is left. A failure is logged at most every 10 s. */
void journal_tidy(struct journal *journal);
/* Call each second: clears the slots of readers that died. */

#endif
