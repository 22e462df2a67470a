#include "discovery/balancers/balancers_private.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

static enum status put_row(struct store_txn *txn, const char *identity, const struct balancer_record *record,
                           struct errbuf *err) {
  uint8_t value[RECORD_SIZE_MOST];
  size_t size = balancer_encode(record, value);
  return store_put(txn, STORE_DB_BALANCERS, (struct store_bytes){identity, strlen(identity)},
                   (struct store_bytes){value, size}, err);
}

struct strangers {
  const struct balancers *balancers;
  struct arena arena;
  struct store_bytes *keys;
  size_t count, capacity;
};

static bool is_known(const struct balancers *balancers, struct store_bytes key) {
  if (strlen(balancers->identity) == key.size && memcmp(balancers->identity, key.data, key.size) == 0)
    return balancers->own.address_count > 0;
  for (size_t i = 0; i < balancers->peers.count; i++) {
    const char *identity = balancers->peers.items[i]->identity;
    if (strlen(identity) == key.size && memcmp(identity, key.data, key.size) == 0)
      return true;
  }
  return false;
}

static bool note_stranger(void *context, struct store_bytes key, struct store_bytes value) {
  (void)value;
  struct strangers *strangers = context;
  if (is_known(strangers->balancers, key))
    return true;
  strangers->keys = mem_grow(strangers->keys, &strangers->capacity, strangers->count + 1, sizeof key);
  strangers->keys[strangers->count++] =
      (struct store_bytes){arena_copy(&strangers->arena, key.data, key.size), key.size};
  return true;
}

static enum status delete_strangers(const struct balancers *balancers, struct store_txn *txn, struct errbuf *err) {
  struct strangers strangers = {.balancers = balancers};
  enum status status = store_scan(txn, STORE_DB_BALANCERS, (struct store_bytes){0}, note_stranger, &strangers);
  for (size_t i = 0; i < strangers.count && status == STATUS_OK; i++)
    status = store_delete(txn, STORE_DB_BALANCERS, strangers.keys[i], err);
  free(strangers.keys);
  arena_release(&strangers.arena);
  return status;
}

static enum status write_all(const struct balancers *balancers, struct store_txn *txn, struct errbuf *err) {
  enum status status = STATUS_OK;
  if (balancers->is_own_dirty && balancers->own.address_count > 0)
    status = put_row(txn, balancers->identity, &balancers->own, err);
  for (size_t i = 0; i < balancers->peers.count && status == STATUS_OK; i++)
    if (balancers->peers.items[i]->is_dirty)
      status = put_row(txn, balancers->peers.items[i]->identity, &balancers->peers.items[i]->record, err);
  if (balancers->has_strangers && status == STATUS_OK)
    status = delete_strangers(balancers, txn, err);
  if (status == STATUS_OK)
    status = store_mark_changed(txn, STORE_BALANCERS, err);
  return status == STATUS_OK ? store_note_time(txn, house_now_ms(balancers->links.house)) : status;
}

static bool has_news(const struct balancers *balancers) {
  bool has = balancers->is_own_dirty || balancers->has_strangers;
  for (size_t i = 0; i < balancers->peers.count && !has; i++)
    has = balancers->peers.items[i]->is_dirty;
  return has;
}

bool balancers_write_rows(struct balancers *balancers, struct errbuf *err) {
  struct store_txn *txn;
  if (!balancers->links.live || !has_news(balancers))
    return true;
  enum status status = store_begin(balancers->links.live, true, &txn, err);
  if (status != STATUS_OK)
    return false;
  status = write_all(balancers, txn, err);
  if (status != STATUS_OK)
    store_abort(txn);
  else
    status = store_commit(txn, err);
  if (status != STATUS_OK)
    return false;
  balancers->is_own_dirty = balancers->has_strangers = false;
  for (size_t i = 0; i < balancers->peers.count; i++)
    balancers->peers.items[i]->is_dirty = false;
  if (balancers->links.ring)
    balancers->links.ring(balancers->links.context);
  return true;
}

void balancers_recall(struct balancers *balancers, struct peer_list *peers) {
  struct store_txn *txn;
  if (!balancers->links.live || store_begin(balancers->links.live, false, &txn, NULL) != STATUS_OK)
    return;
  for (size_t i = 0; i < peers->count; i++) {
    struct store_bytes value;
    struct balancer_record stored;
    struct store_bytes key = {peers->items[i]->identity, strlen(peers->items[i]->identity)};
    if (store_get(txn, STORE_DB_BALANCERS, key, &value) == STATUS_OK &&
        balancer_decode(value.data, value.size, &stored) == STATUS_OK)
      peer_recall(peers->items[i], &stored);
  }
  store_abort(txn);
}
