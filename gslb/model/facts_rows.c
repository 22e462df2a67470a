#include "gslb/model/facts_rows.h"

#include <stdlib.h>
#include <string.h>

void facts_rows_add(struct facts_rows *rows, enum store_db db, struct store_bytes key, struct store_bytes value) {
  rows->items = mem_grow(rows->items, &rows->capacity, rows->count + 1, sizeof *rows->items);
  rows->bytes = mem_grow(rows->bytes, &rows->room, rows->used + key.size + value.size, 1);
  rows->items[rows->count++] =
      (struct facts_row){.db = db, .key_size = key.size, .value_size = value.size, .bytes = rows->used};
  memcpy(rows->bytes + rows->used, key.data, key.size);
  if (value.size > 0)
    memcpy(rows->bytes + rows->used + key.size, value.data, value.size);
  rows->used += key.size + value.size;
}

struct scan {
  struct facts_rows *rows;
  enum store_db db;
};

static bool copy_row(void *context, struct store_bytes key, struct store_bytes value) {
  const struct scan *scan = context;
  facts_rows_add(scan->rows, scan->db, key, value);
  return true;
}

enum status facts_rows_scan(struct facts_rows *rows, struct store_txn *txn, enum store_db db,
                            struct store_bytes prefix) {
  struct scan scan = {rows, db};
  return store_scan(txn, db, prefix, copy_row, &scan);
}

enum status facts_rows_by_id(struct facts_rows *rows, struct store_txn *txn, enum store_db db,
                             const struct config_service *service) {
  for (size_t i = 0; i < service->member_count; i++) {
    const char *id = service->members[i].name;
    struct store_bytes value;
    if (!service->members[i].is_registered)
      continue;
    enum status status = store_get(txn, db, (struct store_bytes){id, strlen(id)}, &value);
    if (status == STATUS_NODATA)
      continue;
    if (status != STATUS_OK)
      return status;
    struct record_key key;
    record_key_member(service->name, id, &key);
    facts_rows_add(rows, db, (struct store_bytes){key.bytes, key.size}, value);
  }
  return STATUS_OK;
}

struct store_bytes facts_row_key(const struct facts_rows *rows, const struct facts_row *row) {
  return (struct store_bytes){rows->bytes + row->bytes, row->key_size};
}

struct store_bytes facts_row_value(const struct facts_rows *rows, const struct facts_row *row) {
  return (struct store_bytes){rows->bytes + row->bytes + row->key_size, row->value_size};
}

void facts_rows_release(struct facts_rows *rows) {
  free(rows->items);
  free(rows->bytes);
  arena_release(&rows->arena);
  *rows = (struct facts_rows){0};
}

void facts_key_split(struct store_bytes key, struct facts_key *out) {
  out->count = 0;
  if (key.size > STORE_KEY_MOST)
    return;
  memcpy(out->copy, key.data, key.size);
  out->copy[key.size] = '\0';
  size_t count = 0;
  for (size_t at = 0; at <= key.size; at += strlen(out->copy + at) + 1) {
    if (count == FACTS_KEY_PARTS_MOST)
      return;
    out->parts[count++] = out->copy + at;
  }
  out->count = count;
}
