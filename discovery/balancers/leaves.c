#include "discovery/balancers/leaves.h"

#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>

#include "gslb/base/memory.h"

struct reading {
  struct leave_record *leaves;
  size_t count, capacity;
};

static bool read_row(void *context, struct store_bytes key, struct store_bytes value) {
  (void)key;
  struct reading *reading = context;
  struct leave_record leave;
  if (leave_decode(value.data, value.size, &leave) != STATUS_OK)
    return true;
  reading->leaves = mem_grow(reading->leaves, &reading->capacity, reading->count + 1, sizeof leave);
  reading->leaves[reading->count++] = leave;
  return true;
}

enum status leaves_read(struct store *durable, struct leave_record **leaves, size_t *count, struct errbuf *err) {
  struct store_txn *txn;
  struct reading reading = {0};
  enum status status = store_begin(durable, false, &txn, err);
  if (status != STATUS_OK)
    return status;
  status = store_scan(txn, STORE_DB_LEAVES, (struct store_bytes){0}, read_row, &reading);
  store_abort(txn);
  if (status != STATUS_OK) {
    free(reading.leaves);
    return errbuf_set(err, status, "planned absences cannot be read");
  }
  *leaves = reading.leaves;
  *count = reading.count;
  return STATUS_OK;
}

enum status leaves_add(struct store_txn *txn, const struct leave_record *leave, struct errbuf *err) {
  if (leave->until_ms <= leave->at_ms)
    return errbuf_set(err, STATUS_RANGE, "the absence ends before it begins");
  struct reading reading = {0};
  enum status status = store_scan(txn, STORE_DB_LEAVES, (struct store_bytes){0}, read_row, &reading);
  bool overlaps = false;
  for (size_t i = 0; i < reading.count && !overlaps; i++)
    overlaps = leave->at_ms < reading.leaves[i].until_ms && reading.leaves[i].at_ms < leave->until_ms;
  free(reading.leaves);
  if (status != STATUS_OK)
    return errbuf_set(err, status, "planned absences cannot be read");
  if (overlaps)
    return errbuf_set(err, STATUS_CONFLICT, "another absence is planned for that time");
  uint8_t value[RECORD_SIZE_MOST];
  size_t size = leave_encode(leave, value);
  uint64_t key = htobe64((uint64_t)leave->at_ms);
  return store_put(txn, STORE_DB_LEAVES, (struct store_bytes){&key, sizeof key}, (struct store_bytes){value, size},
                   err);
}

enum status leaves_delete(struct store_txn *txn, int64_t at_ms, struct errbuf *err) {
  uint64_t key = htobe64((uint64_t)at_ms);
  enum status status = store_delete(txn, STORE_DB_LEAVES, (struct store_bytes){&key, sizeof key}, err);
  return status == STATUS_NODATA ? errbuf_set(err, STATUS_NOTFOUND, "no absence is planned for that time") : status;
}

const struct leave_record *leaves_find_current(const struct leave_record *leaves, size_t count, int64_t now_ms) {
  for (size_t i = 0; i < count; i++)
    if (leaves[i].at_ms <= now_ms && now_ms < leaves[i].until_ms)
      return &leaves[i];
  return NULL;
}

int64_t leaves_next_ms(const struct leave_record *leaves, size_t count, int64_t now_ms) {
  int64_t next_ms = INT64_MAX;
  for (size_t i = 0; i < count; i++) {
    if (leaves[i].at_ms > now_ms && leaves[i].at_ms < next_ms)
      next_ms = leaves[i].at_ms;
    if (leaves[i].until_ms > now_ms && leaves[i].until_ms < next_ms)
      next_ms = leaves[i].until_ms;
  }
  return next_ms;
}
