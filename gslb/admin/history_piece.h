/* gslb/admin/history_piece.h
 * One small transaction of the history: some rows to be written, or the removal of some that are no longer kept. Made
 * by one thread, written on the committer's; its maker reads it again when it is done. */
#ifndef GSLB_ADMIN_HISTORY_PIECE_H
#define GSLB_ADMIN_HISTORY_PIECE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/commit.h"
#include "gslb/model/history.h"
#include "gslb/model/records.h"

struct series_member;

struct history_row {
  uint8_t *bytes;               /* key, then value */
  size_t key_size, value_size;  /* value_size 0: the row goes */
  struct series_member *member; /* whose row it is; NULL: samples */
};

struct history_piece {
  struct history_row *rows;
  size_t count, capacity;
  bool is_samples; /* its maker's: of a minute's samples and their members */
  bool is_fold;    /* likewise: of hours, from these on */
  uint32_t fold_hour, fold_chunk;
  bool is_expiry;
  enum history_resolution expiring;
  uint32_t before; /* slots before this one go */

  /* when it is done */
  enum status status;
  struct errbuf err;
  bool has_more; /* there may be more rows to remove */

  pthread_mutex_t lock; /* of is_done */
  pthread_cond_t done;
  bool is_done;
  void (*moved)(void *context);
  void *context;
};

struct history_piece *history_piece_new(void (*moved)(void *context), void *context);
/* moved (may be NULL) is called on the committer's thread when it is done. */
void history_piece_free(struct history_piece *piece);
/* Not while it is queued. NULL is fine. */
void history_piece_put(struct history_piece *piece, const struct record_key *key, const void *value, size_t size);
/* Copies both; size 0 deletes the row. */
void history_piece_expire(struct history_piece *piece, enum history_resolution resolution, uint32_t before);

enum status history_piece_queue(struct history_piece *piece, struct committer *committer, struct errbuf *err);
/* Does not wait. On a failure it is not queued. A piece without anything to write is done at once, and moved is
 * called. */
bool history_piece_is_done(struct history_piece *piece);
void history_piece_wait(struct history_piece *piece);
/* Until it is done. */

#endif
