#include "gslb/admin/history_piece.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/store.h"

#define EXPIRE_ROWS 64u

struct history_piece *history_piece_new(void (*moved)(void *context), void *context) {
  struct history_piece *piece = mem_alloc(sizeof *piece);
  pthread_mutex_init(&piece->lock, NULL);
  pthread_cond_init(&piece->done, NULL);
  piece->moved = moved;
  piece->context = context;
  return piece;
}

void history_piece_free(struct history_piece *piece) {
  if (!piece)
    return;
  for (size_t i = 0; i < piece->count; i++)
    free(piece->rows[i].bytes);
  free(piece->rows);
  pthread_cond_destroy(&piece->done);
  pthread_mutex_destroy(&piece->lock);
  free(piece);
}

void history_piece_put(struct history_piece *piece, const struct record_key *key, const void *value, size_t size) {
  piece->rows = mem_grow(piece->rows, &piece->capacity, piece->count + 1, sizeof *piece->rows);
  struct history_row *row = &piece->rows[piece->count++];
  *row = (struct history_row){.bytes = mem_alloc(key->size + size), .key_size = key->size, .value_size = size};
  memcpy(row->bytes, key->bytes, key->size);
  if (size > 0)
    memcpy(row->bytes + key->size, value, size);
}

void history_piece_expire(struct history_piece *piece, enum history_resolution resolution, uint32_t before) {
  piece->is_expiry = true;
  piece->expiring = resolution;
  piece->before = before;
}

static enum status write_rows(const struct history_piece *piece, struct store_txn *txn, struct errbuf *err) {
  for (size_t i = 0; i < piece->count; i++) {
    const struct history_row *row = &piece->rows[i];
    struct store_bytes key = {row->bytes, row->key_size}, value = {row->bytes + row->key_size, row->value_size};
    enum status status = row->value_size > 0 ? store_put(txn, STORE_DB_HISTORY, key, value, err)
                                             : store_delete(txn, STORE_DB_HISTORY, key, err);
    if (status != STATUS_OK && (status != STATUS_NODATA || row->value_size > 0))
      return status;
  }
  return STATUS_OK;
}

struct oldest {
  uint32_t before;
  struct record_key keys[EXPIRE_ROWS];
  size_t count;
};

static bool note_old(void *context, struct store_bytes key, struct store_bytes value) {
  struct oldest *oldest = context;
  struct history_place place;
  (void)value;
  /* a key that is none of ours stands in the way of all that follow, so it goes too */
  if (history_parse_key(key, &place) && place.slot >= oldest->before)
    return false;
  struct record_key *copy = &oldest->keys[oldest->count++];
  copy->size = key.size;
  memcpy(copy->bytes, key.data, key.size);
  return oldest->count < EXPIRE_ROWS;
}

static enum status remove_rows(struct history_piece *piece, struct store_txn *txn, struct errbuf *err) {
  struct oldest *oldest = mem_alloc(sizeof *oldest);
  oldest->before = piece->before;
  enum status status = store_scan(txn, STORE_DB_HISTORY, history_rows(piece->expiring), note_old, oldest);
  if (status)
    errbuf_set(err, status, "the history cannot be read");
  for (size_t i = 0; i < oldest->count && status == STATUS_OK; i++)
    status =
        store_delete(txn, STORE_DB_HISTORY, (struct store_bytes){oldest->keys[i].bytes, oldest->keys[i].size}, err);
  piece->has_more = oldest->count == EXPIRE_ROWS;
  bool is_any = oldest->count > 0;
  free(oldest);
  /* nothing was written, so nothing has to be synced */
  return status == STATUS_OK && !is_any ? STATUS_NODATA : status;
}

static enum status apply(void *context, struct store_txn *txn, struct errbuf *err) {
  struct history_piece *piece = context;
  return piece->is_expiry ? remove_rows(piece, txn, err) : write_rows(piece, txn, err);
}

static void finish(void *context, enum status status, const struct errbuf *err) {
  struct history_piece *piece = context;
  pthread_mutex_lock(&piece->lock);
  piece->status = status == STATUS_NODATA ? STATUS_OK : status;
  if (piece->status && err)
    piece->err = *err;
  piece->is_done = true;
  /* under the lock, since whoever waits for the piece may end its maker next */
  if (piece->moved)
    piece->moved(piece->context);
  pthread_cond_signal(&piece->done);
  pthread_mutex_unlock(&piece->lock);
}

enum status history_piece_queue(struct history_piece *piece, struct committer *committer, struct errbuf *err) {
  if (piece->is_expiry || piece->count > 0)
    return commit_queue(committer, apply, finish, piece, err);
  finish(piece, STATUS_OK, NULL);
  return STATUS_OK;
}

bool history_piece_is_done(struct history_piece *piece) {
  pthread_mutex_lock(&piece->lock);
  bool is_done = piece->is_done;
  pthread_mutex_unlock(&piece->lock);
  return is_done;
}

void history_piece_wait(struct history_piece *piece) {
  pthread_mutex_lock(&piece->lock);
  while (!piece->is_done)
    pthread_cond_wait(&piece->done, &piece->lock);
  pthread_mutex_unlock(&piece->lock);
}
