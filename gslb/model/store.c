#include "gslb/model/store.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "gslb/base/memory.h"
#include "gslb/model/store_private.h"

#define CHANGES_MOST 65536u
#define ROWS_MOST 131072u /* of events, and of audit */

static MDB_val mdb_value(struct store_bytes bytes) {
  return (MDB_val){bytes.size, (void *)(uintptr_t)bytes.data};
}

static enum status enter(struct store *store, struct errbuf *err) {
  enum status status = STATUS_OK;
  pthread_mutex_lock(&store->guard);
  if (store->is_broken && store->active > 0) {
    status = errbuf_set(err, STATUS_IO, "%s: waits to be opened again", store->path);
  } else if (store->is_broken) {
    if (store->env)
      mdb_env_close(store->env);
    store->env = NULL;
    status = store_open_environment(store, err);
    store->is_broken = status != STATUS_OK;
  }
  if (status == STATUS_OK)
    store->active++;
  pthread_mutex_unlock(&store->guard);
  return status;
}

static void leave(struct store *store, int code) {
  pthread_mutex_lock(&store->guard);
  store->active--;
  if (code == MDB_PANIC)
    store->is_broken = true;
  pthread_mutex_unlock(&store->guard);
}

/* Another process enlarged the map. LMDB moves the map then, which no transaction of this process may see. */
static int take_over_map(struct store *store) {
  int code = MDB_MAP_RESIZED;
  pthread_mutex_lock(&store->guard);
  if (store->active == 1) {
    code = mdb_env_set_mapsize(store->env, 0);
    if (code)
      store->is_broken = true;
  }
  pthread_mutex_unlock(&store->guard);
  return code;
}

static int begin(struct store *store, bool write, MDB_txn **txn) {
  unsigned flags = write ? 0 : MDB_RDONLY;
  int code = mdb_txn_begin(store->env, NULL, flags, txn);
  if (code == MDB_MAP_RESIZED) {
    code = take_over_map(store);
    if (code == 0)
      code = mdb_txn_begin(store->env, NULL, flags, txn);
  } else if (code == MDB_READERS_FULL) {
    mdb_reader_check(store->env, NULL);
    code = mdb_txn_begin(store->env, NULL, flags, txn);
  }
  return code;
}

enum status store_begin(struct store *store, bool write, struct store_txn **out, struct errbuf *err) {
  assert(!write || store->mode != STORE_READ);
  enum status status = enter(store, err);
  if (status != STATUS_OK)
    return status;
  MDB_txn *mdb;
  int code = begin(store, write, &mdb);
  if (code) {
    status = store_failed(code, err, store->path, "transaction");
    leave(store, code);
    return status;
  }
  struct store_txn *txn = mem_alloc(sizeof *txn);
  *txn = (struct store_txn){store, mdb, write};
  *out = txn;
  return STATUS_OK;
}

enum status store_commit(struct store_txn *txn, struct errbuf *err) {
  int code = mdb_txn_commit(txn->mdb);
  enum status status = code ? store_failed(code, err, txn->store->path, "commit") : STATUS_OK;
  leave(txn->store, code);
  free(txn);
  return status;
}

void store_abort(struct store_txn *txn) {
  if (!txn)
    return;
  mdb_txn_abort(txn->mdb);
  leave(txn->store, 0);
  free(txn);
}

static MDB_dbi database(const struct store_txn *txn, enum store_db db) {
  assert(db < STORE_DB_COUNT && store_databases[db].kind == txn->store->kind);
  return txn->store->databases[db];
}

enum status store_get(struct store_txn *txn, enum store_db db, struct store_bytes key, struct store_bytes *value) {
  MDB_val from = mdb_value(key), found;
  int code = mdb_get(txn->mdb, database(txn, db), &from, &found);
  if (code == MDB_NOTFOUND)
    return STATUS_NODATA;
  if (code)
    return store_failed(code, NULL, txn->store->path, "get");
  *value = (struct store_bytes){found.mv_data, found.mv_size};
  return STATUS_OK;
}

enum status store_put(struct store_txn *txn, enum store_db db, struct store_bytes key, struct store_bytes value,
                      struct errbuf *err) {
  assert(txn->is_write);
  MDB_val to = mdb_value(key), data = mdb_value(value);
  int code = mdb_put(txn->mdb, database(txn, db), &to, &data, 0);
  return code ? store_failed(code, err, txn->store->path, store_databases[db].name) : STATUS_OK;
}

enum status store_delete(struct store_txn *txn, enum store_db db, struct store_bytes key, struct errbuf *err) {
  assert(txn->is_write);
  MDB_val from = mdb_value(key);
  int code = mdb_del(txn->mdb, database(txn, db), &from, NULL);
  if (code == MDB_NOTFOUND)
    return STATUS_NODATA;
  return code ? store_failed(code, err, txn->store->path, store_databases[db].name) : STATUS_OK;
}

static uint64_t sequence_of(const MDB_val *key) {
  uint64_t sequence = 0;
  if (key->mv_size == sizeof sequence)
    memcpy(&sequence, key->mv_data, sizeof sequence);
  return be64toh(sequence);
}

/* Adds a row after the last one, and takes away the oldest ones over most (two at most, so that a bound that became
 * smaller does not make one transaction long). */
static int append_row(MDB_txn *txn, MDB_dbi dbi, size_t most, MDB_val *value, uint64_t *sequence) {
  MDB_cursor *cursor;
  int code = mdb_cursor_open(txn, dbi, &cursor);
  if (code)
    return code;
  MDB_val key, row;
  uint64_t last = 0;
  code = mdb_cursor_get(cursor, &key, &row, MDB_LAST);
  if (code == 0)
    last = sequence_of(&key);
  uint64_t next = htobe64(last + 1);
  if (code == 0 || code == MDB_NOTFOUND) {
    key = (MDB_val){sizeof next, &next};
    code = mdb_cursor_put(cursor, &key, value, MDB_APPEND);
  }
  MDB_stat stat;
  for (int i = 0; i < 2 && code == 0; i++) {
    code = mdb_stat(txn, dbi, &stat);
    if (code || stat.ms_entries <= most)
      break;
    code = mdb_cursor_get(cursor, &key, &row, MDB_FIRST);
    if (code == 0)
      code = mdb_cursor_del(cursor, 0);
  }
  mdb_cursor_close(cursor);
  if (code == 0 && sequence)
    *sequence = last + 1;
  return code;
}

enum status store_append(struct store_txn *txn, enum store_db db, struct store_bytes value, uint64_t *sequence,
                         struct errbuf *err) {
  assert(txn->is_write && (db == STORE_DB_EVENTS || db == STORE_DB_AUDIT));
  MDB_val row = mdb_value(value);
  int code = append_row(txn->mdb, database(txn, db), ROWS_MOST, &row, sequence);
  return code ? store_failed(code, err, txn->store->path, store_databases[db].name) : STATUS_OK;
}

static bool has_prefix(const MDB_val *key, struct store_bytes prefix) {
  return key->mv_size >= prefix.size && (prefix.size == 0 || memcmp(key->mv_data, prefix.data, prefix.size) == 0);
}

enum status store_scan(struct store_txn *txn, enum store_db db, struct store_bytes prefix, store_visit *visit,
                       void *context) {
  MDB_cursor *cursor;
  int code = mdb_cursor_open(txn->mdb, database(txn, db), &cursor);
  if (code)
    return store_failed(code, NULL, txn->store->path, "scan");
  MDB_val key = mdb_value(prefix), value;
  code = mdb_cursor_get(cursor, &key, &value, prefix.size ? MDB_SET_RANGE : MDB_FIRST);
  while (code == 0 && has_prefix(&key, prefix) &&
         visit(context, (struct store_bytes){key.mv_data, key.mv_size},
               (struct store_bytes){value.mv_data, value.mv_size}))
    code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  mdb_cursor_close(cursor);
  return code && code != MDB_NOTFOUND ? store_failed(code, NULL, txn->store->path, "scan") : STATUS_OK;
}

enum status store_scan_back(struct store_txn *txn, enum store_db db, store_visit *visit, void *context) {
  MDB_cursor *cursor;
  int code = mdb_cursor_open(txn->mdb, database(txn, db), &cursor);
  if (code)
    return store_failed(code, NULL, txn->store->path, "scan");
  MDB_val key, value;
  code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  while (code == 0 && visit(context, (struct store_bytes){key.mv_data, key.mv_size},
                            (struct store_bytes){value.mv_data, value.mv_size}))
    code = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
  mdb_cursor_close(cursor);
  return code && code != MDB_NOTFOUND ? store_failed(code, NULL, txn->store->path, "scan") : STATUS_OK;
}

enum status store_delete_prefix(struct store_txn *txn, enum store_db db, struct store_bytes prefix, size_t *deleted,
                                struct errbuf *err) {
  assert(txn->is_write);
  MDB_cursor *cursor;
  int code = mdb_cursor_open(txn->mdb, database(txn, db), &cursor);
  if (code)
    return store_failed(code, err, txn->store->path, store_databases[db].name);
  size_t count = 0;
  MDB_val key = mdb_value(prefix), value;
  code = mdb_cursor_get(cursor, &key, &value, prefix.size ? MDB_SET_RANGE : MDB_FIRST);
  while (code == 0 && has_prefix(&key, prefix)) {
    code = mdb_cursor_del(cursor, 0);
    if (code)
      break;
    count++;
    code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  mdb_cursor_close(cursor);
  if (code && code != MDB_NOTFOUND)
    return store_failed(code, err, txn->store->path, store_databases[db].name);
  if (deleted)
    *deleted = count;
  return STATUS_OK;
}

enum status store_mark_changed(struct store_txn *txn, const char *service, struct errbuf *err) {
  assert(txn->is_write);
  MDB_val name = {strlen(service) + 1, (void *)(uintptr_t)service};
  int code = append_row(txn->mdb, txn->store->changes, CHANGES_MOST, &name, NULL);
  return code ? store_failed(code, err, txn->store->path, "changes") : STATUS_OK;
}

static int visit_changes(MDB_cursor *cursor, uint64_t after, store_changed *changed, void *context) {
  uint64_t from = htobe64(after + 1);
  MDB_val key = {sizeof from, &from}, name;
  int code = mdb_cursor_get(cursor, &key, &name, MDB_SET_RANGE);
  while (code == 0) {
    const char *text = name.mv_data;
    /* a name that is damaged may have been any */
    changed(context, name.mv_size > 0 && text[name.mv_size - 1] == '\0' ? text : "");
    code = mdb_cursor_get(cursor, &key, &name, MDB_NEXT);
  }
  return code;
}

enum status store_changes_since(struct store_txn *txn, uint64_t *sequence, store_changed *changed, void *context) {
  MDB_cursor *cursor;
  int code = mdb_cursor_open(txn->mdb, txn->store->changes, &cursor);
  if (code)
    return store_failed(code, NULL, txn->store->path, "changes");
  uint64_t oldest = 1, newest = 0, after = *sequence;
  MDB_val key, name;
  code = mdb_cursor_get(cursor, &key, &name, MDB_FIRST);
  if (code == 0) {
    oldest = sequence_of(&key);
    code = mdb_cursor_get(cursor, &key, &name, MDB_LAST);
    newest = sequence_of(&key);
  }
  bool is_lost = after > newest || oldest > after + 1;
  if (code == 0 && changed && !is_lost && after < newest)
    code = visit_changes(cursor, after, changed, context);
  mdb_cursor_close(cursor);
  if (code && code != MDB_NOTFOUND)
    return store_failed(code, NULL, txn->store->path, "changes");
  *sequence = newest;
  return changed && is_lost ? STATUS_RANGE : STATUS_OK;
}

struct readers {
  unsigned count;
  uint64_t oldest_txn;
  int oldest_pid;
};

static int note_reader(const char *line, void *context) {
  struct readers *readers = context;
  int pid;
  unsigned long long txn;
  unsigned long thread;
  /* LMDB tells its readers as text only: pid, thread in hexadecimal, transaction or "-"; the heading does not scan */
  int got = sscanf(line, "%d %lx %llu", &pid, &thread, &txn);
  if (got >= 2)
    readers->count++;
  if (got == 3 && (readers->oldest_pid == 0 || txn < readers->oldest_txn)) {
    readers->oldest_txn = txn;
    readers->oldest_pid = pid;
  }
  return 0;
}

static enum status count_entries(struct store *store, uint64_t *entries) {
  struct store_txn *txn;
  enum status status = store_begin(store, false, &txn, NULL);
  if (status != STATUS_OK)
    return status;
  int code = 0;
  uint64_t sum = 0;
  for (size_t i = 0; i < STORE_DB_COUNT && code == 0; i++) {
    if (store_databases[i].kind != store->kind)
      continue;
    MDB_stat stat;
    code = mdb_stat(txn->mdb, store->databases[i], &stat);
    if (code == 0)
      sum += stat.ms_entries;
  }
  store_abort(txn);
  if (code)
    return store_failed(code, NULL, store->path, "entries");
  *entries = sum;
  return STATUS_OK;
}

static bool is_in_memory(MDB_env *env) {
  struct statfs found;
  int fd = -1;
  if (mdb_env_get_fd(env, &fd) != 0 || fstatfs(fd, &found) != 0)
    return false;
  return found.f_type == TMPFS_MAGIC || found.f_type == RAMFS_MAGIC;
}

enum status store_info(struct store *store, struct store_info *out) {
  struct store_info info = {0};
  enum status status = count_entries(store, &info.entries);
  if (status == STATUS_OK)
    status = enter(store, NULL);
  if (status != STATUS_OK)
    return status;
  MDB_envinfo env;
  MDB_stat stat;
  struct readers readers = {0};
  int code = mdb_env_info(store->env, &env);
  if (code == 0)
    code = mdb_env_stat(store->env, &stat);
  if (code == 0 && mdb_reader_list(store->env, note_reader, &readers) < 0)
    code = EIO;
  info.is_in_memory = is_in_memory(store->env);
  leave(store, 0);
  if (code)
    return store_failed(code, NULL, store->path, "state");
  info.map_bytes = env.me_mapsize;
  info.used_bytes = ((uint64_t)env.me_last_pgno + 1) * stat.ms_psize;
  info.last_txn = env.me_last_txnid;
  info.readers = readers.count;
  info.oldest_reader_pid = readers.oldest_pid;
  if (readers.oldest_pid && env.me_last_txnid > readers.oldest_txn)
    info.oldest_reader_txns = env.me_last_txnid - readers.oldest_txn;
  *out = info;
  return STATUS_OK;
}

enum status store_check_readers(struct store *store, unsigned *cleared) {
  enum status status = enter(store, NULL);
  if (status != STATUS_OK)
    return status;
  int dead = 0;
  int code = mdb_reader_check(store->env, &dead);
  leave(store, code);
  if (code)
    return store_failed(code, NULL, store->path, "readers");
  if (cleared)
    *cleared = (unsigned)dead;
  return STATUS_OK;
}

static int get_time(MDB_txn *txn, MDB_dbi meta, int64_t *time_ms) {
  MDB_val key = store_text("time"), value;
  int code = mdb_get(txn, meta, &key, &value);
  uint64_t stored = 0;
  if (code == 0 && value.mv_size == sizeof stored)
    memcpy(&stored, value.mv_data, sizeof stored);
  if (code == 0 || code == MDB_NOTFOUND)
    *time_ms = (int64_t)be64toh(stored);
  return code == MDB_NOTFOUND ? 0 : code;
}

enum status store_newest_time(struct store *store, int64_t *newest_ms) {
  struct store_txn *txn;
  enum status status = store_begin(store, false, &txn, NULL);
  if (status != STATUS_OK)
    return status;
  int code = get_time(txn->mdb, store->meta, newest_ms);
  store_abort(txn);
  return code ? store_failed(code, NULL, store->path, "time") : STATUS_OK;
}

enum status store_note_time(struct store_txn *txn, int64_t now_ms) {
  assert(txn->is_write);
  int64_t stored_ms = 0;
  int code = get_time(txn->mdb, txn->store->meta, &stored_ms);
  if (code == 0 && now_ms > stored_ms) {
    uint64_t time = htobe64((uint64_t)now_ms);
    MDB_val key = store_text("time"), value = {sizeof time, &time};
    code = mdb_put(txn->mdb, txn->store->meta, &key, &value, 0);
  }
  return code ? store_failed(code, NULL, txn->store->path, "time") : STATUS_OK;
}
