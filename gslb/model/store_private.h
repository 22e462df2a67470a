/* gslb/model/store_private.h
 * What store.c, store_open.c and store_checkpoint.c share, and the only place that includes LMDB's header. Nobody else
 * includes this one. */
#ifndef GSLB_MODEL_STORE_PRIVATE_H
#define GSLB_MODEL_STORE_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <lmdb.h>

#include "gslb/base/status.h"
#include "gslb/model/store.h"

struct store_database {
  const char *name;
  enum store_kind kind;
  bool is_restored; /* a checkpoint brings it to the next boot; what else is live is found out anew */
};
extern const struct store_database store_databases[STORE_DB_COUNT];

struct store {
  MDB_env *env; /* NULL after a failed attempt to open it again */
  MDB_dbi databases[STORE_DB_COUNT];
  MDB_dbi meta;
  MDB_dbi changes;
  enum store_kind kind;
  enum store_mode mode;
  char *path;

  pthread_mutex_t guard; /* of what follows, and of replacing the map or env */
  unsigned active;       /* transactions that run or are about to begin */
  bool is_broken;        /* LMDB wants the environment opened again before the next transaction */
};

struct store_txn {
  struct store *store;
  MDB_txn *mdb;
  bool is_write;
};

int store_environment(const char *path, unsigned flags, MDB_env **out);
/* Opens an LMDB environment with as much of the usual map as the address space allows. 0 or LMDB's code. */
enum status store_open_environment(struct store *store, struct errbuf *err);
/* Opens what store->path names, and its databases, into store; store->env is NULL after a failure. */
enum status store_failed(int code, struct errbuf *err, const char *path, const char *doing);
/* The status and text for an LMDB code. */
enum status store_check_format(MDB_txn *txn, MDB_dbi meta, const char *path, struct errbuf *err);
/* STATUS_NOTFOUND: no mark yet. STATUS_VERSION. */
enum status store_sync_directory(const char *path, struct errbuf *err);

static inline MDB_val store_text(const char *text) {
  return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

#endif
