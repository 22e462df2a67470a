#include "gslb/model/chronicle.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"

static enum status append(struct store_txn *txn, enum store_db db, const void *row, size_t size, uint64_t most,
                          struct errbuf *err) {
  uint64_t sequence;
  enum status status = store_append(txn, db, (struct store_bytes){row, size}, &sequence, err);
  if (status || sequence <= most)
    return status;
  /* numbers have no gaps, so one in and one out keeps the newest */
  uint64_t oldest = htobe64(sequence - most);
  status = store_delete(txn, db, (struct store_bytes){&oldest, sizeof oldest}, err);
  return status == STATUS_NODATA ? STATUS_OK : status;
}

enum status chronicle_write_event(struct store_txn *txn, const struct event_record *event, struct errbuf *err) {
  uint8_t row[RECORD_SIZE_MOST];
  return append(txn, STORE_DB_EVENTS, row, event_encode(event, row), CHRONICLE_EVENTS_MOST, err);
}

enum status chronicle_write_audit(struct store_txn *txn, const struct audit_record *audit, struct errbuf *err) {
  uint8_t row[RECORD_SIZE_MOST];
  return append(txn, STORE_DB_AUDIT, row, audit_encode(audit, row), CHRONICLE_AUDIT_MOST, err);
}

struct reading {
  chronicle_visit *visit;
  void *context;
};

static bool read_row(void *context, struct store_bytes key, struct store_bytes value) {
  const struct reading *reading = context;
  struct event_record event;
  uint64_t id;
  if (key.size != sizeof id || event_decode(value.data, value.size, &event) != STATUS_OK)
    return true;
  memcpy(&id, key.data, sizeof id);
  return reading->visit(reading->context, be64toh(id), &event);
}

enum status chronicle_read_events(struct store *durable, chronicle_visit *visit, void *context, struct errbuf *err) {
  if (!durable)
    return errbuf_set(err, STATUS_IO, "the durable store is not open");
  struct store_txn *txn;
  enum status status = store_begin(durable, false, &txn, err);
  if (status)
    return status;
  struct reading reading = {visit, context};
  status = store_scan_back(txn, STORE_DB_EVENTS, read_row, &reading);
  store_abort(txn);
  return status ? errbuf_set(err, status, "the events cannot be read") : STATUS_OK;
}

static enum status write_queued(void *context, struct store_txn *txn, struct errbuf *err) {
  return chronicle_write_audit(txn, context, err);
}

static void forget_queued(void *context, enum status status, const struct errbuf *err) {
  const struct audit_record *audit = context;
  if (status)
    log_error("the audit of a %s is not stored: %s", audit->action, err->text);
  free(context);
}

void chronicle_queue_audit(struct committer *committer, const struct audit_record *audit) {
  struct audit_record *queued = mem_alloc(sizeof *queued);
  struct errbuf err;
  *queued = *audit;
  enum status status = commit_queue(committer, write_queued, forget_queued, queued, &err);
  if (status)
    forget_queued(queued, status, &err);
}
