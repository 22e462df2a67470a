/* probes/journal.h
 * Writes health records and metrics to the live store in short batches: news in the next turn of the loop, with a
 * change mark and the bell; the rest at most every 100 ms, without. What cannot be written waits, the newest value of
 * each row, until it can; the store is opened whenever it appears. Belongs to the loop's thread. */
#ifndef GSLB_PROBES_JOURNAL_H
#define GSLB_PROBES_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/board.h"
#include "gslb/model/records.h"
#include "gslb/model/store.h"
#include "gslb/net/loop.h"

#define JOURNAL_BATCH_MOST 512u
#define JOURNAL_CALM_MS 100

enum journal_pending { JOURNAL_WRITTEN, JOURNAL_CALM, JOURNAL_NEWS };

struct journal_item;

typedef uint8_t *journal_encode(const struct journal_item *item, size_t *size);
/* What the item's row is to hold, as it stands now; the journal frees it. */

struct journal_item {    /* a row of the live store; part of what owns it, which fills the first three */
  struct record_key key; /* begins with a service's name and NUL: that is who is marked as changed by news */
  enum store_db db;
  journal_encode *encode;

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

struct store *journal_store(const struct journal *journal);
/* The live store, which the process has open once; NULL while it is not. It stays open until journal_free. */

typedef void journal_row(void *context, const struct record_key *key, struct store_bytes value);
enum status journal_read(struct journal *journal, enum store_db db, journal_row *row, void *context,
                         struct errbuf *err);
/* Calls row for each stored row of the database, in order of keys; value is borrowed until it returns. STATUS_NODATA:
 * the store is not open. row may call journal_delete. */

void journal_put(struct journal *journal, struct journal_item *item, bool is_news);
/* Has the item written as it stands at that time. */
void journal_withdraw(struct journal *journal, struct journal_item *item);
/* Before an item's memory goes: nothing of it is written any more. */
void journal_delete(struct journal *journal, enum store_db db, const struct record_key *key);
/* Has the row deleted, as news. Copies the key. */

bool journal_flush(struct journal *journal);
/* Writes what is pending now, and returns whether nothing is left. A failure is logged at most every 10 s. */
void journal_tidy(struct journal *journal);
/* Call each second: clears the slots of readers that died. */

#endif
