#include "gslb/model/commit.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "gslb/base/memory.h"

struct write {
  struct write *next;
  commit_apply *apply;
  commit_done *done;
  void *context;
  enum status status;
  struct errbuf err;
};

struct committer {
  struct store *durable;
  const struct house *house;
  commit_noted *noted;
  void *context;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t work;
  struct write *first, **last;
  size_t waiting;
  bool is_stopping;
};

/* Whether a write was turned down after a look; anything else leaves the transaction in doubt. */
static bool is_refusal(enum status status) {
  return status == STATUS_NODATA || status == STATUS_NOTFOUND || status == STATUS_INVALID || status == STATUS_RANGE ||
         status == STATUS_CONFLICT || status == STATUS_FORBIDDEN;
}

static enum status commit_batch(struct committer *committer, struct write **writes, size_t count, struct errbuf *err) {
  for (size_t i = 0; i < count; i++)
    writes[i]->status = STATUS_OK;
  if (!committer->durable)
    return errbuf_set(err, STATUS_IO, "the durable store is not open");
  struct store_txn *txn;
  enum status status = store_begin(committer->durable, true, &txn, err);
  if (status)
    return status;
  bool is_any = false;
  for (size_t i = 0; i < count; i++) {
    writes[i]->err.text[0] = '\0';
    writes[i]->status = writes[i]->apply(writes[i]->context, txn, &writes[i]->err);
    if (writes[i]->status == STATUS_OK) {
      is_any = true;
    } else if (!is_refusal(writes[i]->status)) {
      store_abort(txn);
      *err = writes[i]->err;
      return writes[i]->status;
    }
  }
  if (!is_any) {
    store_abort(txn);
    return STATUS_OK;
  }
  status = store_note_time(txn, house_now_ms(committer->house));
  if (status) {
    store_abort(txn);
    return errbuf_set(err, STATUS_IO, "the time cannot be noted: %s", status_name(status));
  }
  status = store_commit(txn, err);
  if (status == STATUS_OK && committer->noted)
    committer->noted(committer->context);
  return status;
}

static void write_batch(struct committer *committer, struct write **writes, size_t count) {
  struct errbuf err = {{0}};
  enum status status = commit_batch(committer, writes, count, &err);
  if (status && count > 1) {
    /* one bad write must not take its neighbours along */
    for (size_t i = 0; i < count; i++)
      write_batch(committer, &writes[i], 1);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (status && writes[i]->status == STATUS_OK) {
      writes[i]->status = status;
      writes[i]->err = err;
    }
    writes[i]->done(writes[i]->context, writes[i]->status, &writes[i]->err);
    free(writes[i]);
  }
}

static size_t take_batch(struct committer *committer, struct write **writes) {
  size_t count = 0;
  pthread_mutex_lock(&committer->lock);
  while (!committer->first && !committer->is_stopping)
    pthread_cond_wait(&committer->work, &committer->lock);
  while (committer->first && count < COMMIT_BATCH_MOST) {
    writes[count++] = committer->first;
    committer->first = committer->first->next;
  }
  if (!committer->first)
    committer->last = &committer->first;
  committer->waiting -= count;
  pthread_mutex_unlock(&committer->lock);
  return count;
}

static void *run(void *context) {
  struct committer *committer = context;
  struct write **writes = mem_array(COMMIT_BATCH_MOST, sizeof *writes);
  for (size_t count; (count = take_batch(committer, writes)) > 0;)
    write_batch(committer, writes, count);
  free(writes);
  return NULL;
}

void commit_free(struct committer *committer) {
  if (!committer)
    return;
  pthread_cond_destroy(&committer->work);
  pthread_mutex_destroy(&committer->lock);
  free(committer);
}

enum status commit_start(struct store *durable, const struct house *house, commit_noted *noted, void *context,
                         struct committer **out, struct errbuf *err) {
  struct committer *committer = mem_alloc(sizeof *committer);
  committer->durable = durable;
  committer->house = house;
  committer->noted = noted;
  committer->context = context;
  committer->last = &committer->first;
  pthread_mutex_init(&committer->lock, NULL);
  pthread_cond_init(&committer->work, NULL);
  if (pthread_create(&committer->thread, NULL, run, committer) != 0) {
    commit_free(committer);
    return errbuf_set(err, STATUS_IO, "no thread for the committer");
  }
  *out = committer;
  return STATUS_OK;
}

enum status commit_queue(struct committer *committer, commit_apply *apply, commit_done *done, void *context,
                         struct errbuf *err) {
  struct write *write = mem_alloc(sizeof *write);
  write->apply = apply;
  write->done = done;
  write->context = context;
  enum status status = STATUS_OK;
  pthread_mutex_lock(&committer->lock);
  if (committer->is_stopping) {
    status = errbuf_set(err, STATUS_IO, "the process is stopping");
  } else if (committer->waiting >= COMMIT_QUEUE_MOST) {
    status = errbuf_set(err, STATUS_LIMIT, "%u writes wait already", COMMIT_QUEUE_MOST);
  } else {
    *committer->last = write;
    committer->last = &write->next;
    committer->waiting++;
    pthread_cond_signal(&committer->work);
  }
  pthread_mutex_unlock(&committer->lock);
  if (status)
    free(write);
  return status;
}

struct outcome {
  pthread_mutex_t lock;
  pthread_cond_t known;
  bool is_known;
  commit_apply *apply;
  void *context;
  enum status status;
  struct errbuf *err;
};

static enum status apply_awaited(void *context, struct store_txn *txn, struct errbuf *err) {
  struct outcome *outcome = context;
  return outcome->apply(outcome->context, txn, err);
}

static void tell_awaited(void *context, enum status status, const struct errbuf *err) {
  struct outcome *outcome = context;
  pthread_mutex_lock(&outcome->lock);
  outcome->status = status;
  if (outcome->err)
    *outcome->err = *err;
  outcome->is_known = true;
  pthread_cond_signal(&outcome->known);
  pthread_mutex_unlock(&outcome->lock);
}

enum status commit_and_wait(struct committer *committer, commit_apply *apply, void *context, struct errbuf *err) {
  struct outcome outcome = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .known = PTHREAD_COND_INITIALIZER,
                            .apply = apply,
                            .context = context,
                            .err = err};
  enum status status = commit_queue(committer, apply_awaited, tell_awaited, &outcome, err);
  if (status)
    return status;
  pthread_mutex_lock(&outcome.lock);
  while (!outcome.is_known)
    pthread_cond_wait(&outcome.known, &outcome.lock);
  pthread_mutex_unlock(&outcome.lock);
  pthread_cond_destroy(&outcome.known);
  pthread_mutex_destroy(&outcome.lock);
  return outcome.status;
}

void commit_stop(struct committer *committer) {
  if (!committer)
    return;
  pthread_mutex_lock(&committer->lock);
  committer->is_stopping = true;
  pthread_cond_signal(&committer->work);
  pthread_mutex_unlock(&committer->lock);
  pthread_join(committer->thread, NULL);
}
