/* gslb/model/store.h
 * LMDB, and the only file that knows it: environments, transactions, named databases, cursors as callbacks.
 * Two environments live apart (docs/architecture.md, Stores): `durable` is synced at each commit and written by control
 * alone, `live` is not synced and written by probe and control. Open after fork. A handle may be used by any thread;
 * a transaction by the one that began it. Keys and values given to callbacks are borrowed until the callback returns;
 * copy, end the transaction, then compute. A process opens an environment once at a time (LMDB's rule). */
#ifndef GSLB_MODEL_STORE_H
#define GSLB_MODEL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"

#define STORE_FORMAT 1u /* version of the layout; another version is refused with STATUS_VERSION */
#define STORE_KEY_MOST 511u

enum store_kind { STORE_DURABLE, STORE_LIVE };
enum store_mode { STORE_CREATE, STORE_WRITE, STORE_READ };

enum store_db {                        /* durable: */
                STORE_DB_ADMIN,        /* service \0 member -> override */
                STORE_DB_LATCHES,      /* service \0 member \0 address -> latch */
                STORE_DB_SLOTS,        /* service \0 member -> slot */
                STORE_DB_EVENTS,       /* sequence (big-endian) -> event */
                STORE_DB_AUDIT,        /* sequence (big-endian) -> audit */
                STORE_DB_RESOURCES,    /* id -> resource (gslb/model/registration) */
                STORE_DB_MEMBERS,      /* service \0 id -> member */
                STORE_DB_TOKENS,       /* name -> token */
                STORE_DB_LEAVES,       /* start (big-endian) -> leave */
                STORE_DB_LOAD_LATCHES, /* service \0 member -> load latch */
                STORE_DB_HISTORY,      /* gslb/model/history */
                /* live: */
                STORE_DB_HEALTH,        /* service \0 member \0 address \0 monitor -> health */
                STORE_DB_LEASES,        /* id -> lease */
                STORE_DB_METRICS_AGENT, /* id -> metrics */
                STORE_DB_METRICS_PROBE, /* service \0 member -> metrics, as the four that follow */
                STORE_DB_METRICS_SNMP,
                STORE_DB_METRICS_SCRAPE,
                STORE_DB_METRICS_CHECK,
                STORE_DB_METRICS_UTILIZATION,
                STORE_DB_BALANCERS, /* identity -> balancer */
                STORE_DB_COUNT
};

#define STORE_BALANCERS "." /* in place of a service's name where changes are marked */

struct store;
struct store_txn;

struct store_bytes {
  const void *data;
  size_t size;
};

enum status store_open(const char *directory, enum store_kind kind, enum store_mode mode, struct store **out,
                       struct errbuf *err);
/* STORE_CREATE makes the directory, the databases and the format mark; the other modes want them there. For
 * STORE_DURABLE directory is the state directory, and the environment stands in its `store`. For STORE_LIVE it is the
 * run directory, and the environment inside it, `live.` and 16 digits, carries this boot's id in its name, so one of
 * another boot is never opened (STORE_CREATE removes such leftovers). STATUS_NOTFOUND, STATUS_VERSION, STATUS_IO. */
void store_close(struct store *store);

enum status store_begin(struct store *store, bool write, struct store_txn **out, struct errbuf *err);
/* A map that another process enlarged is taken over here, and an environment that broke is opened again, both when no
 * other transaction of this process runs (else STATUS_IO; the next attempt may do). A write transaction waits for the
 * other writers. STATUS_LIMIT: too many readers. */
enum status store_commit(struct store_txn *txn, struct errbuf *err);
/* Ends txn in any case. STATUS_IO when the disk is full or broken: nothing of it is stored. */
void store_abort(struct store_txn *txn);
/* NULL is fine. */

enum status store_get(struct store_txn *txn, enum store_db db, struct store_bytes key, struct store_bytes *value);
/* STATUS_NODATA when absent. *value is borrowed until the transaction ends. */
enum status store_put(struct store_txn *txn, enum store_db db, struct store_bytes key, struct store_bytes value,
                      struct errbuf *err);
/* STATUS_LIMIT: the map is full. */
enum status store_append(struct store_txn *txn, enum store_db db, struct store_bytes value, uint64_t *sequence,
                         struct errbuf *err);
/* For events and audit: stores under the next sequence number (from 1), big-endian; sequence may be NULL. Each keeps
 * its last 131,072 rows. */
enum status store_delete(struct store_txn *txn, enum store_db db, struct store_bytes key, struct errbuf *err);
/* STATUS_NODATA when absent. */

typedef bool store_visit(void *context, struct store_bytes key, struct store_bytes value);
/* Returns whether to go on. It does not write. */
enum status store_scan(struct store_txn *txn, enum store_db db, struct store_bytes prefix, store_visit *visit,
                       void *context);
/* In key order, all keys that begin with prefix (size 0: all). STATUS_IO: it ended early. */
enum status store_scan_back(struct store_txn *txn, enum store_db db, store_visit *visit, void *context);
/* All, newest (largest key) first. STATUS_IO: it ended early. */
enum status store_delete_prefix(struct store_txn *txn, enum store_db db, struct store_bytes prefix, size_t *deleted,
                                struct errbuf *err);
/* deleted, how many, may be NULL. */

enum status store_mark_changed(struct store_txn *txn, const char *service, struct errbuf *err);
/* Notes in the fact's own transaction that something about the service changed ("" for all services, STORE_BALANCERS
 * for the balancers). */

typedef void store_changed(void *context, const char *service);
enum status store_changes_since(struct store_txn *txn, uint64_t *sequence, store_changed *changed, void *context);
/* Calls changed for each mark after *sequence and moves it on. STATUS_RANGE: marks after *sequence were already
 * trimmed, so read everything again; *sequence is then the newest. The store keeps the last 65,536 marks. With changed
 * NULL *sequence becomes the newest: where to follow on from after reading everything in the same transaction. */

struct store_info {
  uint64_t map_bytes, used_bytes;
  uint64_t last_txn, entries;
  unsigned readers;
  uint64_t oldest_reader_txns; /* how many transactions the oldest reader lags; 0 when none */
  int oldest_reader_pid;       /* 0 when none */
  bool is_in_memory;           /* on a tmpfs, so that no write waits for a disk */
};
enum status store_info(struct store *store, struct store_info *out);
enum status store_check_readers(struct store *store, unsigned *cleared);
/* Clears the slots of readers that died. */

enum status store_checkpoint(struct store *live, const char *directory, int64_t now_ms, bool is_synced,
                             struct errbuf *err);
/* A copy of live with its time, put into directory by rename, so a reader sees the old or the new one whole; after a
 * power cut only when it was synced, otherwise perhaps one that store_restore refuses. One at a time. */
enum status store_restore(const char *directory, struct store *live, int64_t *taken_ms, struct errbuf *err);
/* Fills an empty live store from the newest checkpoint: health, leases and metrics; who is alive is found out anew.
 * STATUS_NODATA: there is none, or live is not empty, so newer.
 * STATUS_VERSION, STATUS_IO: it cannot be used and is left alone; live stays empty. */

enum status store_newest_time(struct store *store, int64_t *newest_ms);
enum status store_note_time(struct store_txn *txn, int64_t now_ms);
/* The newest house time that a writer saw (0: none yet), kept in the store, so that house time never runs backwards
 * over a start. Noting an earlier one changes nothing. */

#endif
