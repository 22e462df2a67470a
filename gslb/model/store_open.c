#include "gslb/model/store.h"

#include <assert.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/model/store_private.h"

#define MAP_BYTES ((size_t)1 << 30)
#define MAP_BYTES_LEAST ((size_t)16 << 20)
#define READERS_MOST 256u
#define BOOT_DIGITS 16u
#define LIVE_PREFIX "live."

const struct store_database store_databases[STORE_DB_COUNT] = {
    [STORE_DB_ADMIN] = {"admin", STORE_DURABLE, false},
    [STORE_DB_LATCHES] = {"latches", STORE_DURABLE, false},
    [STORE_DB_SLOTS] = {"slots", STORE_DURABLE, false},
    [STORE_DB_EVENTS] = {"events", STORE_DURABLE, false},
    [STORE_DB_AUDIT] = {"audit", STORE_DURABLE, false},
    [STORE_DB_RESOURCES] = {"resources", STORE_DURABLE, false},
    [STORE_DB_MEMBERS] = {"members", STORE_DURABLE, false},
    [STORE_DB_TOKENS] = {"tokens", STORE_DURABLE, false},
    [STORE_DB_LEAVES] = {"leaves", STORE_DURABLE, false},
    [STORE_DB_LOAD_LATCHES] = {"load_latches", STORE_DURABLE, false},
    [STORE_DB_HISTORY] = {"history", STORE_DURABLE, false},
    [STORE_DB_HEALTH] = {"health", STORE_LIVE, true},
    [STORE_DB_LEASES] = {"leases", STORE_LIVE, true},
    [STORE_DB_METRICS_AGENT] = {"metrics.agent", STORE_LIVE, true},
    [STORE_DB_METRICS_PROBE] = {"metrics.probe", STORE_LIVE, true},
    [STORE_DB_METRICS_SNMP] = {"metrics.snmp", STORE_LIVE, true},
    [STORE_DB_METRICS_SCRAPE] = {"metrics.scrape", STORE_LIVE, true},
    [STORE_DB_METRICS_CHECK] = {"metrics.check", STORE_LIVE, true},
    [STORE_DB_METRICS_UTILIZATION] = {"metrics.utilization", STORE_LIVE, true},
    [STORE_DB_BALANCERS] = {"balancers", STORE_LIVE, false},
};

enum status store_failed(int code, struct errbuf *err, const char *path, const char *doing) {
  enum status status = STATUS_IO;
  if (code == ENOENT)
    status = STATUS_NOTFOUND;
  else if (code == MDB_MAP_FULL || code == MDB_READERS_FULL)
    status = STATUS_LIMIT;
  else if (code == MDB_VERSION_MISMATCH)
    status = STATUS_VERSION;
  else if (code == MDB_BAD_VALSIZE)
    status = STATUS_INVALID;
  return errbuf_set(err, status, "%s: %s: %s", path, doing, mdb_strerror(code));
}

int store_environment(const char *path, unsigned flags, MDB_env **out) {
  int code = ENOMEM;
  /* the map is address space, not memory or disk, and where that is limited a smaller one serves as well */
  for (size_t size = MAP_BYTES; size >= MAP_BYTES_LEAST; size /= 2) {
    MDB_env *env;
    code = mdb_env_create(&env);
    if (code)
      return code;
    mdb_env_set_mapsize(env, size);
    mdb_env_set_maxreaders(env, READERS_MOST);
    mdb_env_set_maxdbs(env, STORE_DB_COUNT + 2);
    code = mdb_env_open(env, path, flags | MDB_NOTLS, 0600);
    if (code == 0) {
      *out = env;
      return 0;
    }
    mdb_env_close(env);
    if (code != ENOMEM)
      break;
  }
  return code;
}

static enum status read_boot(char digits[BOOT_DIGITS + 1], struct errbuf *err) {
  static const char path[] = "/proc/sys/kernel/random/boot_id";
  FILE *file = fopen(path, "re");
  if (!file)
    return errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
  size_t count = 0;
  for (int c; count < BOOT_DIGITS && (c = fgetc(file)) != EOF;)
    if (strchr("0123456789abcdef", c))
      digits[count++] = (char)c;
  fclose(file);
  digits[count] = '\0';
  if (count < BOOT_DIGITS)
    return errbuf_set(err, STATUS_IO, "%s: not a boot id", path);
  return STATUS_OK;
}

static enum status environment_path(const char *directory, enum store_kind kind, char **out, struct errbuf *err) {
  if (kind == STORE_DURABLE) {
    *out = mem_format("%s/store", directory);
    return STATUS_OK;
  }
  char boot[BOOT_DIGITS + 1];
  enum status status = read_boot(boot, err);
  if (status == STATUS_OK)
    *out = mem_format("%s/" LIVE_PREFIX "%s", directory, boot);
  return status;
}

static enum status make_directories(const char *path, struct errbuf *err) {
  char *part = mem_strdup(path);
  enum status status = STATUS_OK;
  for (char *end = part; end && status == STATUS_OK;) {
    end = strchr(end + 1, '/');
    if (end)
      *end = '\0';
    if (mkdir(part, 0700) != 0 && errno != EEXIST)
      status = errbuf_set(err, STATUS_IO, "%s: %s", part, strerror(errno));
    if (end)
      *end = '/';
  }
  free(part);
  return status;
}

enum status store_sync_directory(const char *path, struct errbuf *err) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
  enum status status = STATUS_OK;
  if (fsync(fd) != 0)
    status = errbuf_set(err, STATUS_IO, "%s: sync: %s", path, strerror(errno));
  close(fd);
  return status;
}

static bool is_leftover(const char *name, const char *current) {
  size_t prefix = strlen(LIVE_PREFIX);
  return strncmp(name, LIVE_PREFIX, prefix) == 0 && strlen(name) == prefix + BOOT_DIGITS &&
         strspn(name + prefix, "0123456789abcdef") == BOOT_DIGITS && strcmp(name, current) != 0;
}

static void remove_leftovers(const char *directory, const char *current) {
  DIR *entries = opendir(directory);
  if (!entries)
    return;
  for (struct dirent *entry; (entry = readdir(entries));) {
    if (!is_leftover(entry->d_name, current))
      continue;
    int fd = openat(dirfd(entries), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
      unlinkat(fd, "data.mdb", 0);
      unlinkat(fd, "lock.mdb", 0);
      close(fd);
    }
    if (unlinkat(dirfd(entries), entry->d_name, AT_REMOVEDIR) != 0)
      log_warning("%s/%s: left by an earlier boot, and cannot be removed: %s", directory, entry->d_name,
                  strerror(errno));
  }
  closedir(entries);
}

enum status store_check_format(MDB_txn *txn, MDB_dbi meta, const char *path, struct errbuf *err) {
  MDB_val key = store_text("format"), value;
  int code = mdb_get(txn, meta, &key, &value);
  if (code == MDB_NOTFOUND)
    return errbuf_set(err, STATUS_NOTFOUND, "%s: not a store yet", path);
  if (code)
    return store_failed(code, err, path, "format");
  uint32_t format = 0;
  if (value.mv_size == sizeof format)
    memcpy(&format, value.mv_data, sizeof format);
  format = be32toh(format);
  if (format != STORE_FORMAT)
    return errbuf_set(err, STATUS_VERSION, "%s: has format %u, and this gslb knows %u", path, format, STORE_FORMAT);
  return STATUS_OK;
}

static enum status mark_format(MDB_txn *txn, MDB_dbi meta, const char *path, struct errbuf *err) {
  uint32_t format = htobe32(STORE_FORMAT);
  MDB_val key = store_text("format"), value = {sizeof format, &format};
  int code = mdb_put(txn, meta, &key, &value, 0);
  return code ? store_failed(code, err, path, "format") : STATUS_OK;
}

static enum status open_databases(struct store *store, MDB_txn *txn, struct errbuf *err) {
  bool creates = store->mode == STORE_CREATE;
  unsigned flags = creates ? MDB_CREATE : 0;
  int code = mdb_dbi_open(txn, "meta", flags, &store->meta);
  if (code == MDB_NOTFOUND)
    return errbuf_set(err, STATUS_NOTFOUND, "%s: not a store yet", store->path);
  if (code)
    return store_failed(code, err, store->path, "meta");
  enum status status = store_check_format(txn, store->meta, store->path, err);
  if (status == STATUS_NOTFOUND && creates)
    status = mark_format(txn, store->meta, store->path, err);
  if (status != STATUS_OK)
    return status;
  code = mdb_dbi_open(txn, "changes", flags, &store->changes);
  for (size_t i = 0; i < STORE_DB_COUNT && code == 0; i++)
    if (store_databases[i].kind == store->kind)
      code = mdb_dbi_open(txn, store_databases[i].name, flags, &store->databases[i]);
  return code ? store_failed(code, err, store->path, "databases") : STATUS_OK;
}

enum status store_open_environment(struct store *store, struct errbuf *err) {
  bool creates = store->mode == STORE_CREATE;
  unsigned flags = (store->kind == STORE_LIVE ? MDB_NOSYNC : 0) | (store->mode == STORE_READ ? MDB_RDONLY : 0);
  int code = store_environment(store->path, flags, &store->env);
  if (code)
    return store_failed(code, err, store->path, "open");
  MDB_txn *txn;
  enum status status = STATUS_OK;
  code = mdb_txn_begin(store->env, NULL, creates ? 0 : MDB_RDONLY, &txn);
  if (code) {
    status = store_failed(code, err, store->path, "open");
  } else {
    status = open_databases(store, txn, err);
    if (status != STATUS_OK)
      mdb_txn_abort(txn);
    else if ((code = mdb_txn_commit(txn)) != 0)
      status = store_failed(code, err, store->path, "open");
  }
  if (status != STATUS_OK) {
    mdb_env_close(store->env);
    store->env = NULL;
  }
  return status;
}

static enum status prepare_directory(const char *directory, const struct store *store, struct errbuf *err) {
  enum status status = make_directories(store->path, err);
  if (status == STATUS_OK && store->kind == STORE_LIVE)
    remove_leftovers(directory, strrchr(store->path, '/') + 1);
  return status;
}

enum status store_open(const char *directory, enum store_kind kind, enum store_mode mode, struct store **out,
                       struct errbuf *err) {
  struct store *store = mem_alloc(sizeof *store);
  store->kind = kind;
  store->mode = mode;
  pthread_mutex_init(&store->guard, NULL);
  enum status status = environment_path(directory, kind, &store->path, err);
  if (status == STATUS_OK && mode == STORE_CREATE)
    status = prepare_directory(directory, store, err);
  if (status == STATUS_OK)
    status = store_open_environment(store, err);
  if (status == STATUS_OK && mode == STORE_CREATE && kind == STORE_DURABLE) {
    /* a synced commit into a file whose name was never synced would not outlive a power cut */
    status = store_sync_directory(store->path, err);
    if (status == STATUS_OK)
      status = store_sync_directory(directory, err);
  }
  if (status != STATUS_OK) {
    store_close(store);
    return status;
  }
  *out = store;
  return STATUS_OK;
}

void store_close(struct store *store) {
  if (!store)
    return;
  assert(store->active == 0);
  if (store->env)
    mdb_env_close(store->env);
  pthread_mutex_destroy(&store->guard);
  free(store->path);
  free(store);
}
