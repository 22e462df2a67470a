#include "gslb/admin/slots.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/board.h"
#include "gslb/model/facts.h"

struct slots {
  uint8_t is_taken[BOARD_SLOTS];
  uint32_t next; /* no place from here on was used yet, until this comes round to 0 */
};

struct slots *slots_new(void) {
  return mem_alloc(sizeof(struct slots));
}

void slots_free(struct slots *slots) {
  free(slots);
}

struct row {
  struct record_key key;
  uint32_t slot;
  bool is_registered;
};

struct rows {
  struct row *items;
  size_t count, capacity;
};

static bool copy_row(void *context, struct store_bytes key, struct store_bytes value) {
  struct rows *rows = context;
  struct slot_record record;
  if (key.size > sizeof rows->items->key.bytes)
    return true;
  if (slot_decode(value.data, value.size, &record) != STATUS_OK)
    record.slot = FACTS_NO_SLOT;
  rows->items = mem_grow(rows->items, &rows->capacity, rows->count + 1, sizeof *rows->items);
  struct row *row = &rows->items[rows->count++];
  row->slot = record.slot;
  row->key.size = key.size;
  memcpy(row->key.bytes, key.data, key.size);
  return true;
}

static bool is_configured(const struct config *config, const struct record_key *key) {
  char names[sizeof key->bytes + 1];
  memcpy(names, key->bytes, key->size);
  names[key->size] = '\0';
  size_t length = strlen(names);
  if (length >= key->size)
    return false;
  size_t service = config_find_service(config, names);
  return service != SIZE_MAX && config_find_member(&config->services[service], names + length + 1) != SIZE_MAX;
}

/* Rows of registered members have the same keys. */
static void find_registered(struct store_txn *txn, struct rows *rows) {
  for (size_t i = 0; i < rows->count; i++) {
    const struct record_key *key = &rows->items[i].key;
    struct store_bytes member;
    rows->items[i].is_registered =
        store_get(txn, STORE_DB_MEMBERS, (struct store_bytes){key->bytes, key->size}, &member) == STATUS_OK;
  }
}

enum status slots_load(struct slots *slots, struct store *durable, const struct config *config, slots_gone *gone,
                       void *context, struct errbuf *err) {
  struct store_txn *txn;
  enum status status = store_begin(durable, false, &txn, err);
  if (status)
    return status;
  struct rows rows = {0};
  status = store_scan(txn, STORE_DB_SLOTS, (struct store_bytes){0}, copy_row, &rows);
  if (status == STATUS_OK)
    find_registered(txn, &rows);
  store_abort(txn);
  if (status) {
    free(rows.items);
    return errbuf_set(err, status, "the slots cannot be read");
  }
  memset(slots->is_taken, 0, sizeof slots->is_taken);
  for (size_t i = 0; i < rows.count; i++) {
    const struct row *row = &rows.items[i];
    bool is_valid = row->slot < BOARD_SLOTS && !slots->is_taken[row->slot] &&
                    (row->is_registered || is_configured(config, &row->key));
    if (row->slot < BOARD_SLOTS && row->slot >= slots->next)
      slots->next = (row->slot + 1) % BOARD_SLOTS;
    if (is_valid)
      slots->is_taken[row->slot] = 1;
    else
      gone(context, &row->key);
  }
  free(rows.items);
  return STATUS_OK;
}

void slots_give(struct slots *slots, uint32_t slot) {
  assert(slot < BOARD_SLOTS);
  slots->is_taken[slot] = 0;
}

uint32_t slots_take(struct slots *slots) {
  for (uint32_t tried = 0; tried < BOARD_SLOTS; tried++) {
    uint32_t slot = slots->next;
    slots->next = (slots->next + 1) % BOARD_SLOTS;
    if (!slots->is_taken[slot]) {
      slots->is_taken[slot] = 1;
      return slot;
    }
  }
  return FACTS_NO_SLOT;
}
