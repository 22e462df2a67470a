#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "discovery/registry/registry_private.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define ROWS_MOST 250u /* in one transaction, which is to take less than 5 ms */
#define CASES_MOST 256u
#define REMOVING_MOST 1000u /* so that a mass expiry leaves room in the committer's queue */
#define LATER_MS 1000
#define SOON_MS 100
#define RETRY_MS 1000

/* Rows encoded under the lock, to be written without it. */
struct live_batch {
  struct live_row {
    char id[REGISTRATION_ID_MOST + 1];
    enum lease_write write;
    uint8_t lease[RECORD_SIZE_MOST];
    size_t lease_size;
    uint8_t *metrics; /* NULL: as before */
    size_t metrics_size;
  } rows[ROWS_MOST];
  size_t count;
  uint64_t number;
  struct arena arena;
  const char **services; /* to be marked; in arena */
  size_t service_count;
};

static bool is_empty(const struct registry *registry, enum lease_write write) {
  return lease_table_queued(registry->table, write) == 0;
}

/* Under the lock. */
static void gather_row(struct live_batch *batch, struct lease *lease, enum lease_write write) {
  struct live_row *row = &batch->rows[batch->count++];
  *row = (struct live_row){.write = write};
  strcpy(row->id, lease->id);
  row->lease_size = lease_encode(&lease->record, row->lease);
  if (lease->metrics) {
    row->metrics = mem_alloc(lease->metrics_size);
    row->metrics_size = lease->metrics_size;
    memcpy(row->metrics, lease->metrics, lease->metrics_size);
  }
  for (size_t i = 0; i < lease->service_count && write != LEASE_WRITE_LATER; i++) {
    struct lease_service *service = lease->services[i].service;
    if (service->batch == batch->number)
      continue;
    service->batch = batch->number;
    batch->services[batch->service_count++] = arena_strdup(&batch->arena, service->name);
  }
}

static size_t gather(struct registry *registry, enum lease_write write, size_t most) {
  struct live_batch *batch = registry->batch;
  batch->count = batch->service_count = 0;
  batch->number++;
  batch->services = arena_array(&batch->arena, (size_t)ROWS_MOST * REGISTRATION_SERVICES_MOST, sizeof(char *));
  pthread_mutex_lock(&registry->lock);
  while (batch->count < most && batch->count < ROWS_MOST) {
    struct lease *lease = lease_table_take(registry->table, write);
    if (!lease)
      break;
    gather_row(batch, lease, write);
  }
  pthread_mutex_unlock(&registry->lock);
  return batch->count;
}

static enum status put_rows(struct store_txn *txn, const struct live_batch *batch, struct errbuf *err) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < batch->count && status == STATUS_OK; i++) {
    const struct live_row *row = &batch->rows[i];
    struct store_bytes key = {row->id, strlen(row->id)};
    status = store_put(txn, STORE_DB_LEASES, key, (struct store_bytes){row->lease, row->lease_size}, err);
    if (status == STATUS_OK && row->metrics)
      status = store_put(txn, STORE_DB_METRICS_AGENT, key, (struct store_bytes){row->metrics, row->metrics_size}, err);
  }
  for (size_t i = 0; i < batch->service_count && status == STATUS_OK; i++)
    status = store_mark_changed(txn, batch->services[i], err);
  return status;
}

static void fail_live(struct registry *registry, const struct errbuf *err) {
  log_error("leases cannot be written, and are tried again in a second: %s", err->text);
  registry->retry_ms = mono_now_ms() + RETRY_MS;
}

static void give_back(struct registry *registry) {
  pthread_mutex_lock(&registry->lock);
  for (size_t i = 0; i < registry->batch->count; i++) {
    struct lease *lease = lease_table_find(registry->table, registry->batch->rows[i].id);
    if (lease)
      lease_table_queue(registry->table, lease, registry->batch->rows[i].write);
  }
  pthread_mutex_unlock(&registry->lock);
}

static void release_batch(struct live_batch *batch) {
  for (size_t i = 0; i < batch->count; i++)
    free(batch->rows[i].metrics);
  arena_release(&batch->arena);
  batch->count = 0;
}

/* One transaction; how many rows it wrote in *written. */
static enum status write_some(struct registry *registry, enum lease_write write, size_t most, size_t *written) {
  struct live_batch *batch = registry->batch;
  struct errbuf err;
  struct store_txn *txn;
  *written = gather(registry, write, most);
  enum status status = STATUS_OK;
  if (*written > 0) {
    status = store_begin(registry->links.live, true, &txn, &err);
    if (status == STATUS_OK) {
      status = put_rows(txn, batch, &err);
      if (status)
        store_abort(txn);
      else
        status = store_commit(txn, &err);
    }
    if (status) {
      give_back(registry);
      fail_live(registry, &err);
    } else if (batch->service_count > 0) {
      registry->links.ring(registry->links.context);
    }
  }
  release_batch(batch);
  return status;
}

static size_t count_queued(struct registry *registry, enum lease_write write) {
  pthread_mutex_lock(&registry->lock);
  size_t count = lease_table_queued(registry->table, write);
  pthread_mutex_unlock(&registry->lock);
  return count;
}

/* Those that were queued at the beginning, so that it ends. */
static enum status write_all(struct registry *registry, enum lease_write write) {
  enum status status = STATUS_OK;
  for (size_t left = count_queued(registry, write), written = 1; left > 0 && written > 0 && status == STATUS_OK;
       left -= written < left ? written : left)
    status = write_some(registry, write, left, &written);
  return status;
}

static void write_in_turn(struct registry *registry, int64_t now_ms) {
  if (count_queued(registry, LEASE_WRITE_SOON) > 0 && now_ms >= registry->soon_ms) {
    registry->soon_ms = now_ms + SOON_MS;
    if (write_all(registry, LEASE_WRITE_SOON) != STATUS_OK)
      return;
  }
  if (registry->later_left == 0 && now_ms >= registry->later_ms) {
    registry->later_left = count_queued(registry, LEASE_WRITE_LATER);
    if (registry->later_left)
      registry->later_ms = now_ms + LATER_MS;
  }
  if (registry->later_left > 0) {
    size_t written;
    if (write_some(registry, LEASE_WRITE_LATER, registry->later_left, &written) == STATUS_OK)
      registry->later_left -= written && written < registry->later_left ? written : registry->later_left;
  }
}

/* Landing. */

static enum status purge_live(struct store_txn *txn, const struct operation *operation, struct errbuf *err) {
  struct store_bytes key = {operation->id, strlen(operation->id)};
  enum status status = store_delete(txn, STORE_DB_LEASES, key, err);
  if (status == STATUS_OK || status == STATUS_NODATA)
    status = store_delete(txn, STORE_DB_METRICS_AGENT, key, err);
  for (size_t i = 0; i < operation->before_count && (status == STATUS_OK || status == STATUS_NODATA); i++) {
    struct record_key prefix;
    record_key_member(operation->before[i], operation->id, &prefix);
    prefix.bytes[prefix.size] = '\0';
    status = store_delete_prefix(txn, STORE_DB_HEALTH, (struct store_bytes){prefix.bytes, prefix.size + 1}, NULL, err);
    if (status == STATUS_OK)
      status = store_mark_changed(txn, operation->before[i], err);
  }
  return status == STATUS_NODATA ? STATUS_OK : status;
}

static bool has_gone(const struct operation *operation) {
  return operation->status == STATUS_OK && (operation->kind == OPERATION_DEREGISTER ||
                                            operation->kind == OPERATION_REMOVE || operation->kind == OPERATION_EXPIRE);
}

/* Rows of those that have gone. Left-overs of a failure are taken away at the next start. */
static void purge_gone(struct registry *registry, const struct operation *landed) {
  struct errbuf err;
  struct store_txn *txn = NULL;
  enum status status = STATUS_OK;
  size_t count = 0;
  for (; landed && status == STATUS_OK; landed = landed->next) {
    if (!has_gone(landed))
      continue;
    if (!txn)
      status = store_begin(registry->links.live, true, &txn, &err);
    if (status == STATUS_OK)
      status = purge_live(txn, landed, &err);
    if (status == STATUS_OK && ++count % ROWS_MOST == 0) {
      status = store_commit(txn, &err);
      txn = NULL;
    }
  }
  if (status == STATUS_OK && txn) {
    status = store_commit(txn, &err);
    txn = NULL;
  }
  store_abort(txn);
  if (status)
    log_error("rows of resources that have gone cannot be deleted: %s", err.text);
  else if (count > 0)
    registry->links.ring(registry->links.context);
}

/* Under the lock. */
static void settle_registered(struct registry *registry, struct operation *operation, int64_t now_ms) {
  struct lease_terms terms = {.owner = operation->resource.owner,
                              .site = operation->document.site,
                              .kind = operation->document.kind,
                              .revision = operation->resource.revision,
                              .epoch = operation->resource.epoch,
                              .period_ms = operation->resource.lease_ms,
                              .services = operation->after,
                              .service_count = operation->after_count};
  struct lease *lease = lease_table_grant(registry->table, operation->id, &terms, now_ms);
  lease->checked = 0; /* another may have asked, and renewals are judged by who asks */
  lease_table_queue(registry->table, lease, LEASE_WRITE_NOW);
  operation->lease = lease->record;
  json_object_del(registry->removed, operation->id);
  if (operation->is_created)
    registry->totals.registered++;
  else
    registry->totals.renewed++;
}

/* Under the lock. */
static void settle_expired(struct registry *registry, const struct operation *operation, int64_t now_ms) {
  registry->removing--;
  struct lease *lease = lease_table_find(registry->table, operation->id);
  bool is_same = lease && lease->record.state == LEASE_ENDED && lease->record.epoch == operation->epoch &&
                 lease->revision == operation->revision;
  if (!is_same)
    return;
  if (operation->status == STATUS_OK)
    lease_table_drop(registry->table, lease);
  else if (operation->status == STATUS_IO)
    lease_table_postpone(registry->table, lease, now_ms + RETRY_MS);
}

/* Under the lock. */
static void settle(struct registry *registry, struct operation *operation, int64_t now_ms) {
  if (operation->kind == OPERATION_REGISTER) {
    settle_registered(registry, operation, now_ms);
    return;
  }
  if (operation->kind == OPERATION_EXPIRE) {
    settle_expired(registry, operation, now_ms);
    return;
  }
  struct lease *lease = lease_table_find(registry->table, operation->id);
  if (lease)
    lease_table_drop(registry->table, lease);
  if (operation->kind == OPERATION_REMOVE)
    json_object_set_new(registry->removed, operation->id, json_integer(operation->until_ms));
  else
    json_object_del(registry->removed, operation->id);
  if (operation->kind == OPERATION_DEREGISTER)
    registry->totals.deregistered++;
}

static void publish_landed(struct registry *registry, const struct operation *operation) {
  static const char *const words[] =
      {[OPERATION_DEREGISTER] = "deregistered", [OPERATION_REMOVE] = "removed", [OPERATION_ALLOW] = "allowed"};
  const char *const *services = operation->after_count ? operation->after : operation->before;
  size_t count = operation->after_count ? operation->after_count : operation->before_count;
  if (operation->kind == OPERATION_REGISTER && operation->is_written)
    registry_publish(registry, operation->is_created ? "registered" : "changed", operation->id, services, count);
  else if (operation->kind == OPERATION_REGISTER && operation->was_stale)
    registry_publish(registry, "live", operation->id, services, count);
  else if (operation->kind != OPERATION_REGISTER && operation->kind != OPERATION_EXPIRE)
    registry_publish(registry, words[operation->kind], operation->id, services, count);
}

static void tell_landed(struct registry *registry, struct operation *landed, enum status written) {
  for (struct operation *operation = landed, *next; operation; operation = next) {
    next = operation->next;
    publish_landed(registry, operation);
    if (written && operation->kind == OPERATION_REGISTER)
      operation->status = errbuf_set(&operation->err, STATUS_IO, "it is stored, but not in the answers yet");
    operation_tell(operation);
  }
}

/* The end of leases. */

static bool passes_somewhere(const struct registry *registry, const struct lease_case *lease_case) {
  const struct lease *lease = lease_case->lease;
  for (size_t i = 0; i < lease->service_count; i++) {
    bool passes = false;
    if (!(lease_case->doubts & 1u << i))
      continue;
    registry->links.probed(registry->links.context, lease->services[i].service->name, lease->id, &passes);
    if (passes)
      return true;
  }
  return false;
}

static void tell_end(struct registry *registry, const struct lease *lease, bool is_stale) {
  const char *names[REGISTRATION_SERVICES_MOST];
  for (size_t i = 0; i < lease->service_count; i++)
    names[i] = lease->services[i].service->name;
  registry_publish(registry, is_stale ? "stale" : "expired", lease->id, names, lease->service_count);
  if (is_stale)
    registry_note(registry, lease, "live", "stale", "its lease ended with most others of the service, its probes pass");
}

static void expire(struct registry *registry, const struct lease *lease) {
  struct operation *operation = operation_new(registry, OPERATION_EXPIRE, lease->id);
  operation->epoch = lease->record.epoch;
  operation->revision = lease->revision;
  registry->removing++;
  operation_queue(operation);
}

struct judged {
  struct lease_case cases[CASES_MOST];
  enum lease_verdict verdicts[CASES_MOST];
  size_t count;
};

/* Without the lock while probes are asked after. */
static void judge(struct registry *registry, struct judged *judged, int64_t now_ms) {
  bool passes[CASES_MOST];
  for (size_t i = 0; i < judged->count; i++)
    passes[i] = judged->cases[i].doubts && passes_somewhere(registry, &judged->cases[i]);
  pthread_mutex_lock(&registry->lock);
  for (size_t i = 0; i < judged->count; i++) {
    judged->verdicts[i] = lease_table_judge(registry->table, &judged->cases[i], now_ms, passes[i]);
    registry->totals.expired += judged->verdicts[i] == LEASE_NOW_ENDED;
  }
  pthread_mutex_unlock(&registry->lock);
}

static void follow_judgement(struct registry *registry, const struct judged *judged, int64_t now_ms) {
  for (size_t i = 0; i < judged->count; i++) {
    struct lease *lease = judged->cases[i].lease;
    if (judged->verdicts[i] == LEASE_NOW_STALE || judged->verdicts[i] == LEASE_NOW_ENDED) {
      tell_end(registry, lease, judged->verdicts[i] == LEASE_NOW_STALE);
    } else if (judged->verdicts[i] == LEASE_IS_REMOVABLE && registry->removing < REMOVING_MOST) {
      expire(registry, lease);
    } else if (judged->verdicts[i] == LEASE_IS_REMOVABLE) {
      pthread_mutex_lock(&registry->lock);
      lease_table_postpone(registry->table, lease, now_ms + SOON_MS);
      pthread_mutex_unlock(&registry->lock);
    }
  }
}

/* The thread. */

/* Under the lock: how long there is nothing to do. */
static int64_t idle_ms(const struct registry *registry, int64_t house_ms, int64_t mono_ms) {
  int64_t idle = INT64_MAX, next_ms = lease_table_next_ms(registry->table);
  if (next_ms != INT64_MAX)
    idle = next_ms - house_ms;
  int64_t write_ms = INT64_MAX;
  if (!is_empty(registry, LEASE_WRITE_NOW) || registry->later_left > 0)
    write_ms = mono_ms;
  else if (!is_empty(registry, LEASE_WRITE_SOON))
    write_ms = registry->soon_ms;
  if (!is_empty(registry, LEASE_WRITE_LATER) && registry->later_ms < write_ms)
    write_ms = registry->later_ms;
  if (write_ms != INT64_MAX && write_ms < registry->retry_ms)
    write_ms = registry->retry_ms;
  if (write_ms != INT64_MAX && write_ms - mono_ms < idle)
    idle = write_ms - mono_ms;
  return idle;
}

/* Under the lock. */
static void wait_for_work(struct registry *registry) {
  while (!registry->landed && !registry->is_stopping) {
    int64_t mono_ms = mono_now_ms(), idle = idle_ms(registry, house_now_ms(registry->links.house), mono_ms);
    if (idle <= 0)
      return;
    if (idle == INT64_MAX) {
      pthread_cond_wait(&registry->wake, &registry->lock);
      continue;
    }
    struct timespec until;
    int64_t at_ms = mono_ms + (idle < INT64_C(86400000) ? idle : INT64_C(86400000));
    until = (struct timespec){at_ms / 1000, (at_ms % 1000) * 1000000};
    pthread_cond_timedwait(&registry->wake, &registry->lock, &until);
  }
  while (!registry->landed && registry->in_flight > 0)
    pthread_cond_wait(&registry->wake, &registry->lock);
}

static void go_round(struct registry *registry, struct operation *landed, struct judged *judged) {
  int64_t now_ms = house_now_ms(registry->links.house);
  judge(registry, judged, now_ms);
  purge_gone(registry, landed);
  enum status written = STATUS_IO;
  if (mono_now_ms() >= registry->retry_ms)
    written = write_all(registry, LEASE_WRITE_NOW);
  if (written == STATUS_OK)
    write_in_turn(registry, mono_now_ms());
  tell_landed(registry, landed, written);
  follow_judgement(registry, judged, now_ms);
}

void *registry_run(void *context) {
  struct registry *registry = context;
  struct judged *judged = mem_alloc(sizeof *judged);
  registry->batch = mem_alloc(sizeof *registry->batch);
  for (bool is_last = false; !is_last;) {
    pthread_mutex_lock(&registry->lock);
    wait_for_work(registry);
    struct operation *landed = registry->landed;
    registry->landed = NULL;
    registry->landed_last = &registry->landed;
    is_last = registry->is_stopping && !landed && registry->in_flight == 0;
    int64_t now_ms = house_now_ms(registry->links.house);
    for (struct operation *operation = landed; operation; operation = operation->next)
      settle(registry, operation, now_ms);
    judged->count = registry->is_stopping ? 0 : lease_table_due(registry->table, now_ms, judged->cases, CASES_MOST);
    pthread_mutex_unlock(&registry->lock);
    go_round(registry, landed, judged);
  }
  write_all(registry, LEASE_WRITE_NOW);
  write_all(registry, LEASE_WRITE_SOON);
  write_all(registry, LEASE_WRITE_LATER);
  free(registry->batch);
  free(judged);
  return NULL;
}
