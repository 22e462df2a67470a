/* gslb/model/chronicle.h
 * The durable record of what happened: events for people and programs, and the audit of who changed what. Both keep
 * their newest rows only. Writers are inside the committer's transaction; readers bring one of their own. */
#ifndef GSLB_MODEL_CHRONICLE_H
#define GSLB_MODEL_CHRONICLE_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/commit.h"
#include "gslb/model/records.h"
#include "gslb/model/store.h"

#define CHRONICLE_EVENTS_MOST 10000u
#define CHRONICLE_AUDIT_MOST 10000u

enum status chronicle_write_event(struct store_txn *txn, const struct event_record *event, struct errbuf *err);
/* Appends it; the row that falls out of the newest CHRONICLE_EVENTS_MOST goes. */
enum status chronicle_write_audit(struct store_txn *txn, const struct audit_record *audit, struct errbuf *err);
void chronicle_queue_audit(struct committer *committer, const struct audit_record *audit);
/* For what is done already: copies it and does not wait; a row that cannot be stored is logged. */

typedef bool chronicle_visit(void *context, uint64_t id, const struct event_record *event);
/* Returns whether to go on. */
enum status chronicle_read_events(struct store *durable, chronicle_visit *visit, void *context, struct errbuf *err);
/* Newest first, inside a read transaction: the visitor copies and returns soon. Rows that cannot be decoded are left
 * out. */

#endif
