/* discovery/registry/registry_private.h
 * What the files of the registry share: registry.c (its life, and reports), registry_list.c (what is read),
 * registry_call.c (calls that go through the committer), registry_write.c (what they do inside its transaction),
 * registry_live.c (the thread).
 *
 * A write is an operation. The caller's thread makes it; the committer's applies it; then it lands with the registry's
 * thread, which takes it over into the table and the live store and tells the caller. Operations land in the order of
 * their transactions. Leases are granted and dropped by the registry's thread alone, so there a pointer to one stays
 * good without the lock. The lock is never held over a transaction, a callback, or a call of the feed. */
#ifndef GSLB_DISCOVERY_REGISTRY_REGISTRY_PRIVATE_H
#define GSLB_DISCOVERY_REGISTRY_REGISTRY_PRIVATE_H

#include <pthread.h>

#include "discovery/registry/accept.h"
#include "discovery/registry/lease_table.h"
#include "discovery/registry/registry.h"
#include "discovery/registry/tally.h"

enum operation_kind { OPERATION_REGISTER, OPERATION_DEREGISTER, OPERATION_REMOVE, OPERATION_ALLOW, OPERATION_EXPIRE };

struct operation {
  struct operation *next;
  struct registry *registry;
  enum operation_kind kind;
  char id[REGISTRATION_ID_MOST + 1];
  struct principal principal;
  char identity[256];
  uint64_t if_revision;
  bool if_absent, is_dry_run, is_patch;
  struct json_t *json;   /* register: what came in */
  struct document given; /* register, not a patch: in arena */
  struct arena arena;
  struct accept_rules *rules;
  int64_t until_ms;         /* remove */
  char why[128];            /* remove */
  uint64_t epoch, revision; /* expire: what has ended */
  registry_done *done;      /* NULL: nobody waits */
  void *context;

  /* what the last attempt to apply it came to */
  struct arena work; /* what the following refers to */
  bool is_judged, is_written, is_created, is_loop;
  bool was_stale; /* its lease, which is renewed already */
  enum status status;
  struct errbuf err;
  struct json_t *errors;
  struct resource_record resource;
  struct document document;     /* register: as it is stored */
  const char **before, **after; /* its services; in work */
  size_t before_count, after_count;
  struct tally_change tally;
  struct lease_record lease; /* filled when it lands */
};

struct live_batch;

struct registry {
  struct registry_links links;
  struct tally *tally; /* the committer's */
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  /* under the lock: */
  bool is_stopping, has_thread;
  size_t in_flight; /* operations that are not told yet */
  struct operation *landed, **landed_last;
  struct accept_rules *rules;
  uint64_t generation;          /* of rules, from 1 */
  struct report_wishes *wishes; /* never used without the lock once the thread runs */
  struct lease_table *table;
  struct json_t *removed;        /* id -> house time of its end, 0 for none */
  struct registry_totals totals; /* those since the start */
  /* the thread's own: */
  struct live_batch *batch;
  size_t removing;
  int64_t later_ms, soon_ms; /* when rows of that kind may be written next */
  size_t later_left;         /* of the batch that is being written */
  int64_t retry_ms;          /* no writing before: the live store failed */
};

bool registry_read_id(const char *text, char id[REGISTRATION_ID_MOST + 1]);
/* Lower-cased; false: no label of a host name. */
bool registry_may_touch(const struct principal *principal, const char *id, const char *owner);
bool registry_is_removed(const struct resource_record *record, int64_t now_ms);
void registry_publish(struct registry *registry, const char *change, const char *id, const char *const *services,
                      size_t count);

/* registry_call.c */
struct operation *operation_new(struct registry *registry, enum operation_kind kind, const char *id);
void operation_queue(struct operation *operation);
/* Counts it among those in flight; what cannot be queued is told or lands at once. */
void operation_tell(struct operation *operation);
/* Calls done and frees it. */
void registry_note(struct registry *registry, const struct lease *lease, const char *from, const char *to,
                   const char *reason);
/* Queues an event. */

/* registry_write.c */
enum status operation_apply(void *operation, struct store_txn *txn, struct errbuf *err);
/* A commit_apply: fills what the attempt came to. */
enum status resource_read(struct store_txn *txn, const char *id, struct arena *arena, struct resource_record *out);
/* With its document copied into arena. STATUS_NODATA. */

/* registry_live.c */
void *registry_run(void *registry);

#endif
