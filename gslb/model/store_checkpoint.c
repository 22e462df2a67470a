#include "gslb/model/store.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/memory.h"
#include "gslb/model/store_private.h"

#define CHECKPOINT_MAGIC "gslbcp01"
#define CHUNK 65536u

/* Stands after LMDB's last page, which LMDB does not mind. The sum is there because LMDB aborts on damaged pages. */
struct trailer {
  char magic[8];
  uint64_t size;     /* of what precedes */
  uint64_t sum;      /* over it */
  uint64_t taken_ms; /* house time; all three big-endian */
};

static enum status file_failed(struct errbuf *err, const char *path, const char *doing) {
  return errbuf_set(err, STATUS_IO, "%s: %s: %s", path, doing, strerror(errno));
}

/* FNV-1a (Fowler, Noll, Vo) with 64 bits over the file's first size bytes. */
static int sum_file(int fd, uint64_t size, uint64_t *sum) {
  uint8_t *chunk = mem_alloc(CHUNK);
  uint64_t hash = 0xcbf29ce484222325u;
  for (uint64_t at = 0; at < size;) {
    size_t wanted = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
    ssize_t got = pread(fd, chunk, wanted, (off_t)at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      free(chunk);
      errno = got < 0 ? errno : EIO;
      return -1;
    }
    for (ssize_t i = 0; i < got; i++)
      hash = (hash ^ chunk[i]) * 0x100000001b3u;
    at += (uint64_t)got;
  }
  free(chunk);
  *sum = hash;
  return 0;
}

static enum status copy_environment(struct store *live, int fd, const char *path, struct errbuf *err) {
  struct store_txn *txn;
  /* keeps the environment from being opened again meanwhile; LMDB reads in a transaction of its own */
  enum status status = store_begin(live, false, &txn, err);
  if (status != STATUS_OK)
    return status;
  int code = mdb_env_copyfd2(live->env, fd, MDB_CP_COMPACT);
  if (code == MDB_INCOMPATIBLE) {
    /* pages that a killed writer leaked make the compacting copy give up, and a plain one does not mind them */
    code = ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0 ? errno : mdb_env_copyfd2(live->env, fd, 0);
  }
  store_abort(txn);
  return code ? store_failed(code, err, path, "copy") : STATUS_OK;
}

static enum status write_trailer(int fd, const char *path, int64_t taken_ms, struct errbuf *err) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return file_failed(err, path, "size");
  uint64_t sum;
  if (sum_file(fd, (uint64_t)info.st_size, &sum) != 0)
    return file_failed(err, path, "sum");
  struct trailer trailer = {
      .size = htobe64((uint64_t)info.st_size),
      .sum = htobe64(sum),
      .taken_ms = htobe64((uint64_t)taken_ms),
  };
  memcpy(trailer.magic, CHECKPOINT_MAGIC, sizeof trailer.magic);
  ssize_t written = pwrite(fd, &trailer, sizeof trailer, info.st_size);
  if (written != (ssize_t)sizeof trailer) {
    errno = written < 0 ? errno : ENOSPC;
    return file_failed(err, path, "write");
  }
  return STATUS_OK;
}

enum status store_checkpoint(struct store *live, const char *directory, int64_t now_ms, bool is_synced,
                             struct errbuf *err) {
  assert(live->kind == STORE_LIVE);
  char *path = mem_format("%s/checkpoint", directory);
  char *fresh = mem_format("%s/checkpoint.new", directory);
  enum status status;
  int fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    status = file_failed(err, fresh, "create");
    goto out;
  }
  status = copy_environment(live, fd, fresh, err);
  if (status == STATUS_OK)
    status = write_trailer(fd, fresh, now_ms, err);
  if (status == STATUS_OK && is_synced && fsync(fd) != 0)
    status = file_failed(err, fresh, "sync");
  close(fd);
  if (status == STATUS_OK && rename(fresh, path) != 0)
    status = file_failed(err, path, "rename");
  if (status != STATUS_OK)
    unlink(fresh);
  else if (is_synced)
    status = store_sync_directory(directory, err);
out:
  free(fresh);
  free(path);
  return status;
}

static enum status check_file(const char *path, int64_t *taken_ms, struct errbuf *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? STATUS_NODATA : file_failed(err, path, "open");
  enum status status = STATUS_OK;
  struct stat info;
  struct trailer trailer;
  uint64_t sum;
  if (fstat(fd, &info) != 0) {
    status = file_failed(err, path, "size");
  } else if (info.st_size < (off_t)sizeof trailer ||
             pread(fd, &trailer, sizeof trailer, info.st_size - (off_t)sizeof trailer) != (ssize_t)sizeof trailer ||
             memcmp(trailer.magic, CHECKPOINT_MAGIC, sizeof trailer.magic) != 0 ||
             be64toh(trailer.size) != (uint64_t)info.st_size - sizeof trailer) {
    status = errbuf_set(err, STATUS_IO, "%s: not a whole checkpoint", path);
  } else if (sum_file(fd, be64toh(trailer.size), &sum) != 0) {
    status = file_failed(err, path, "read");
  } else if (sum != be64toh(trailer.sum)) {
    status = errbuf_set(err, STATUS_IO, "%s: damaged", path);
  } else {
    *taken_ms = (int64_t)be64toh(trailer.taken_ms);
  }
  close(fd);
  return status;
}

struct restored { /* what a checkpoint holds of what is restored */
  MDB_dbi databases[STORE_DB_COUNT];
  bool is_there[STORE_DB_COUNT];
};

static int copy_rows(MDB_txn *from, MDB_dbi from_db, MDB_txn *to, MDB_dbi to_db) {
  MDB_cursor *cursor;
  int code = mdb_cursor_open(from, from_db, &cursor);
  if (code)
    return code;
  MDB_val key, value;
  code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  while (code == 0) {
    code = mdb_put(to, to_db, &key, &value, MDB_APPEND);
    if (code == 0)
      code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  mdb_cursor_close(cursor);
  return code == MDB_NOTFOUND ? 0 : code;
}

static bool is_restored(size_t db) {
  return store_databases[db].kind == STORE_LIVE && store_databases[db].is_restored;
}

static int count_restored(const struct store *live, MDB_txn *txn, size_t *count) {
  int code = 0;
  *count = 0;
  for (size_t i = 0; i < STORE_DB_COUNT && code == 0; i++) {
    MDB_stat stat = {0};
    if (is_restored(i) && (code = mdb_stat(txn, live->databases[i], &stat)) == 0)
      *count += stat.ms_entries;
  }
  return code;
}

static enum status fill(struct store *live, MDB_txn *from, const struct restored *restored, int64_t taken_ms,
                        struct errbuf *err) {
  struct store_txn *txn;
  enum status status = store_begin(live, true, &txn, err);
  if (status != STATUS_OK)
    return status;
  size_t count = 0;
  int code = count_restored(live, txn->mdb, &count);
  if (code == 0 && count > 0) {
    store_abort(txn);
    return STATUS_NODATA;
  }
  for (size_t i = 0; i < STORE_DB_COUNT && code == 0; i++)
    if (restored->is_there[i])
      code = copy_rows(from, restored->databases[i], txn->mdb, live->databases[i]);
  if (code)
    status = store_failed(code, err, live->path, "restore");
  if (status == STATUS_OK)
    status = store_mark_changed(txn, "", err);
  if (status == STATUS_OK)
    status = store_note_time(txn, taken_ms);
  if (status == STATUS_OK)
    return store_commit(txn, err);
  store_abort(txn);
  return status;
}

/* A checkpoint of an earlier build may lack some. */
static int open_restored(MDB_txn *txn, struct restored *out) {
  int code = 0;
  for (size_t i = 0; i < STORE_DB_COUNT && (code == 0 || code == MDB_NOTFOUND); i++) {
    if (!is_restored(i))
      continue;
    code = mdb_dbi_open(txn, store_databases[i].name, 0, &out->databases[i]);
    out->is_there[i] = code == 0;
  }
  return code == MDB_NOTFOUND ? 0 : code;
}

enum status store_restore(const char *directory, struct store *live, int64_t *taken_ms, struct errbuf *err) {
  assert(live->kind == STORE_LIVE);
  char *path = mem_format("%s/checkpoint", directory);
  MDB_env *env = NULL;
  MDB_txn *txn = NULL;
  int64_t taken = 0;
  enum status status = check_file(path, &taken, err);
  if (status != STATUS_OK)
    goto out;
  /* nobody writes to it: it is only ever replaced */
  int code = store_environment(path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, &env);
  if (code == 0)
    code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
  struct restored restored = {0};
  MDB_dbi meta;
  if (code == 0)
    code = mdb_dbi_open(txn, "meta", 0, &meta);
  if (code == 0)
    status = store_check_format(txn, meta, path, err);
  if (code == 0 && status == STATUS_OK)
    code = open_restored(txn, &restored);
  if (code)
    status = store_failed(code, err, path, "open");
  else if (status == STATUS_OK)
    status = fill(live, txn, &restored, taken, err);
  if (status == STATUS_OK)
    *taken_ms = taken;
  else if (status == STATUS_NOTFOUND)
    status = STATUS_IO;
out:
  if (txn)
    mdb_txn_abort(txn);
  if (env)
    mdb_env_close(env);
  free(path);
  return status;
}
