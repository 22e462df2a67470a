/* gslb/model/live_rows.h
 * Rows of the live store that wait to be written: what writes many of them, and often, keeps them in queues and has
 * these written in batches of one transaction each. Services whose rows are news are marked as changed, and the bell is
 * rung. What cannot be written goes on waiting. A row is part of what owns it, a writer belongs to its owner; one
 * thread. */
#ifndef GSLB_MODEL_LIVE_ROWS_H
#define GSLB_MODEL_LIVE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/board.h"
#include "gslb/model/records.h"
#include "gslb/model/store.h"

#define LIVE_ROWS_BATCH_MOST 256u /* rows of a transaction */

struct live_row;
TAILQ_HEAD(live_row_queue, live_row);

typedef uint8_t *live_row_encode(const struct live_row *row, size_t *size);
/* What the row is to hold, as it stands now; the writer frees it. */
typedef void live_row_written(struct live_row *row);
/* The row is stored and waits no more. */

struct live_row {        /* its owner fills the first four */
  struct record_key key; /* begins with a service's name and NUL: that is who is marked as changed by news */
  enum store_db db;
  live_row_encode *encode;
  live_row_written *written; /* NULL: nobody asks */

  struct live_row_queue *queue; /* these are live_row_'s; zero at first. NULL: it does not wait */
  bool is_news, is_deletion;
  TAILQ_ENTRY(live_row) entry;
};

void live_row_wait(struct live_row *row, struct live_row_queue *queue, bool is_news);
/* Has the row written as it stands at that time: puts it at the end of the queue unless it stands there already. What
 * was news stays so until it is written. */
void live_row_withdraw(struct live_row *row);
/* Takes the row out of its queue, if it waits: before its memory goes, so that nothing of it is written any more. */
void live_row_delete(enum store_db db, const struct record_key *key, struct live_row_queue *queue, bool is_news);
/* Has the stored row deleted. Copies the key. */
void live_rows_drop(struct live_row_queue *queue);
/* Nothing of what waits there is written any more. */

struct live_rows_writer {
  const struct house *house;
  struct board *board;
  const struct board_bell *bell;
  const char *what; /* for the log: "probe results" */

  int64_t logged_ms; /* mono, its own; 0: no failure since the last success */
};

bool live_rows_write(struct live_rows_writer *writer, struct store *store, struct live_row_queue *const *queues,
                     size_t queue_count);
/* Writes what waits, the first queue first, and returns whether nothing is left. Without a store (NULL) all of it waits
 * on. A failure is logged at most every 10 s, and its end once. */

typedef void live_rows_visit(void *context, const struct record_key *key, struct store_bytes value);
enum status live_rows_read(struct store *store, enum store_db db, live_rows_visit *visit, void *context,
                           struct errbuf *err);
/* Calls visit for each stored row of the database, in order of keys; value is borrowed until it returns. Keys too long
 * for any of ours are left out. STATUS_NODATA: the store is not open (NULL). visit may call live_row_delete. */

#endif
