/* gslb/model/commit.h
 * The committer: the one thread that writes the durable store. It takes all writes that wait, applies them in one
 * transaction, syncs once, and tells each writer how it went, so that many writers cost one sync.
 * Any thread may queue; apply and done run on the committer's thread. */
#ifndef GSLB_MODEL_COMMIT_H
#define GSLB_MODEL_COMMIT_H

#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/store.h"

#define COMMIT_BATCH_MOST 1000u
#define COMMIT_QUEUE_MOST 8192u

typedef enum status commit_apply(void *context, struct store_txn *txn, struct errbuf *err);
/* Checks first and writes last. STATUS_NODATA, NOTFOUND, INVALID, RANGE, CONFLICT and FORBIDDEN refuse this write alone
 * and must have written nothing; any other failure gives the transaction up, and its writes are tried one by one. So it
 * may be called a second time. */
typedef void commit_done(void *context, enum status status, const struct errbuf *err);
/* The write is on the disk (STATUS_OK) or nothing of it is; err is borrowed and holds the reason. */
typedef void commit_noted(void *context);
/* A transaction was committed; called before the writes' done. */

struct committer;

enum status commit_start(struct store *durable, const struct house *house, commit_noted *noted, void *context,
                         struct committer **out, struct errbuf *err);
/* Borrows durable and house until commit_stop. durable may be NULL: then every write fails with STATUS_IO. */

enum status commit_queue(struct committer *committer, commit_apply *apply, commit_done *done, void *context,
                         struct errbuf *err);
/* STATUS_LIMIT: COMMIT_QUEUE_MOST writes wait; STATUS_IO: it is stopping. On a failure done is not called. */

enum status commit_and_wait(struct committer *committer, commit_apply *apply, void *context, struct errbuf *err);
/* The same for a thread that waits for the outcome. Never from apply or done. */

void commit_stop(struct committer *committer);
/* Writes what is queued, tells everyone, ends the thread; from then on commit_queue refuses. NULL is fine. */
void commit_free(struct committer *committer);
/* After commit_stop, when nobody can queue any more. NULL is fine. */

#endif
