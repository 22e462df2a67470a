/* discovery/registry/registry.h
 * The registry: resources with leases. Registrations are durable before they are acknowledged (the committer); leases
 * and reports live in memory and are written to the live store by the registry's own thread, which also ends leases,
 * so that the one who receives renewals is the one who judges them. Readers in other processes see rows of members
 * (durable) and leases (live), and are woken by the bell.
 * Threads: any may call; answers come on the committer's or the registry's thread. */
#ifndef GSLB_DISCOVERY_REGISTRY_REGISTRY_H
#define GSLB_DISCOVERY_REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "discovery/documents/document.h"
#include "discovery/registry/feed.h"
#include "discovery/registry/principal.h"
#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/commit.h"
#include "gslb/model/config.h"
#include "gslb/model/store.h"

#define REGISTRY_STALE_MOST_MS (30 * 60 * 1000)

struct registry;

typedef void registry_ring(void *context);
typedef void registry_probed(void *context, const char *service, const char *id, bool *passes);
/* Whether the probes of a registered member pass now; not when it has none, so that nothing speaks for it. Any thread.
 */

struct registry_links { /* borrowed until registry_stop */
  struct committer *committer;
  struct store *durable, *live; /* either may be NULL: then registering fails with STATUS_IO */
  const struct house *house;
  struct feed *feed;
  registry_ring *ring; /* after a commit to the live store */
  registry_probed *probed;
  void *context;
};

/* A lease ends as lease_table says: at its end, or later when most of a service went silent at once. */
enum status registry_start(const struct registry_links *links, const struct config *config, struct registry **out,
                           struct errbuf *err);
/* Reads all resources and gives each one period of its lease from now, before anything is judged. config is copied as
 * far as needed. */
void registry_configure(struct registry *registry, const struct config *config);
/* Takes over what services accept now. Registrations that no longer fit stay until their lease ends, and cannot be
 * renewed. */
void registry_stop(struct registry *registry);
/* Ends the thread after what is under way; the committer must still run. Calls are refused with STATUS_IO from then on.
 * NULL is fine. */
void registry_free(struct registry *registry);
/* After registry_stop, and after the committer has ended. NULL is fine. */

struct registry_outcome { /* of a call; borrowed until the callback returns */
  enum status status;
  /* STATUS_OK; otherwise:
   * STATUS_RANGE      errors has what is wrong (422)
   * STATUS_FORBIDDEN  text says why: scope, another's resource, a site or network that the service does not take (403)
   * STATUS_NOTFOUND   no such resource; for a status: unknown-lease (404)
   * STATUS_CONFLICT   If-Match does not fit (412), or is_replay, or is_loop (409)
   * STATUS_LIMIT      a bound is reached (429, retry_after_s)
   * STATUS_NODATA     removed by an operator (410)
   * STATUS_IO         cannot be stored (503) */
  bool is_created; /* register: 201 */
  bool is_replay;  /* a status whose sequence was taken already */
  bool is_loop;    /* a balancer whose path names this one */
  struct json_t *errors;
  const char *text; /* why, for people; "" when there is nothing to say */
  unsigned retry_after_s;
  struct resource_record resource; /* as it is now; document borrowed */
  struct lease_record lease;
  int64_t until_ms; /* deregister: when caches may still send clients, at the latest */
  char reason[256]; /* registry_status: what text points to */
};
typedef void registry_done(void *context, const struct registry_outcome *outcome);

struct registry_call { /* all borrowed for the call */
  const char *id;
  const struct principal *principal;
  const char *identity; /* of this balancer, for loops */
  uint64_t if_revision; /* If-Match; 0: none */
  bool if_absent;       /* If-None-Match: * */
  bool is_dry_run;      /* everything but the writing */
};

void registry_register(struct registry *registry, const struct registry_call *call, const struct json_t *document,
                       bool is_patch, registry_done *done, void *context);
/* PUT and PATCH. done is called exactly once, at once or later, when it is durable, its lease is in the live store and
 * the bell was rung. */

enum status registry_status(struct registry *registry, const struct registry_call *call,
                            const struct document_status *report, struct registry_outcome *outcome);
/* Renews and takes the report over; at once, without a store (but for one reading after registry_configure).
 * outcome->resource has revision, epoch and lease_ms only. A report without any number leaves the last one. */

enum status registry_move(struct registry *registry, const struct registry_call *call,
                          struct registry_outcome *outcome);
/* The resource is with another balancer now, since this one told it to go: it renews here no more, and clients are
 * still sent to it until its lease ends, and after that for as long as its probes pass
 * (discovery/registry/lease_table). At once, in memory. STATUS_NOTFOUND: there is no lease. STATUS_RANGE: it has no
 * end, so deregister it. */

void registry_deregister(struct registry *registry, const struct registry_call *call, registry_done *done,
                         void *context);
/* DELETE by the resource's owner. Not there: STATUS_NODATA in the outcome (204). */
void registry_remove(struct registry *registry, const struct registry_call *call, int64_t until_ms, const char *why,
                     registry_done *done, void *context);
/* By an operator: the resource goes, and registering it again is refused until then (0: until allowed). */
void registry_allow(struct registry *registry, const struct registry_call *call, registry_done *done, void *context);
/* Takes a removal back. */

struct registry_filter { /* NULL: any */
  const char *service;
  const char *site;
  const char *owner;
  const char *kind;
  const char *state; /* live, stale, ended, removed */
  const char *after; /* ids greater than this one, for pages */
  size_t limit;
};
typedef bool registry_visit(void *context, const char *id, const struct resource_record *resource,
                            const struct lease_record *lease);
enum status registry_each(struct registry *registry, const struct registry_filter *filter, registry_visit *visit,
                          void *context, struct errbuf *err);
/* In order of ids, from the store, leases from memory (zeroes for a removed one). */
enum status registry_get(struct registry *registry, const char *id, struct arena *arena,
                         struct resource_record *resource, struct lease_record *lease, struct metrics_record *metrics,
                         struct errbuf *err);
/* STATUS_NOTFOUND. metrics may be NULL; count 0 where nothing was reported. */

struct registry_totals {
  uint64_t live, stale, removed;
  uint64_t moved; /* of the live and stale ones: with another balancer now */
  uint64_t registered, renewed, expired, deregistered, refused; /* since the start */
};
void registry_totals(struct registry *registry, struct registry_totals *out);

#endif
