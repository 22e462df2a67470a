/* discovery/registry/lease_table.h
 * Leases in memory: by id, in order of what is due next, and which of their rows are to be written. Pure: time comes
 * in, no store, no lock. Belongs to whoever holds the registry's lock.
 *
 * When a lease ends. A lease of a period P that was last renewed at t ends at t + P, to the millisecond; one of period
 * 0 never ends. At its end it is LEASE_ENDED, unless most others of a service went silent with it, which speaks for a
 * fault between them and us:
 *  - A lease is silent at a time when it is stale, or live with no more than a third of its period left. Resources are
 *    asked to renew when a third has passed, so such a one missed two renewals, and ends within that third.
 *  - A service is in doubt at a time when at least LEASE_DOUBT_LEAST and more than half of its leases (live and stale,
 *    those without end too) are silent.
 *  - A lease that ends while a service of its is in doubt, and whose probes there pass, becomes LEASE_STALE.
 *  - A stale lease is looked at every LEASE_LOOK_MS. It ends when its probes fail; when no service of its was in doubt
 *    for one period P, since the others came back and so it could have, too; and at the latest
 *    REGISTRY_STALE_MOST_MS after it became stale. Renewing makes it live again.
 *  - A lease whose resource moved to another balancer counts as in doubt at all its services: it is silent because we
 *    sent it away, so its probes decide how long clients are still sent to it from here.
 */
#ifndef GSLB_DISCOVERY_REGISTRY_LEASE_TABLE_H
#define GSLB_DISCOVERY_REGISTRY_LEASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "discovery/registry/report.h"
#include "gslb/model/registration.h"

#define LEASE_DOUBT_LEAST 3u
#define LEASE_LOOK_MS 1000
#define LEASE_RENEW_MOST_MS 60000 /* a report of load that is older says little */

struct lease_service { /* of one or more leases */
  char *name;
  uint64_t batch; /* for whoever gathers services */
  struct lease **leases;
  size_t count, capacity;
  int64_t counted_ms; /* when the silent ones were counted; -1: never */
  bool is_in_doubt;   /* then */
};

enum lease_write { LEASE_WRITE_NONE, LEASE_WRITE_LATER, LEASE_WRITE_SOON, LEASE_WRITE_NOW };
#define LEASE_WRITES 4u

struct lease { /* read by all; what is below the line is the table's own */
  char id[REGISTRATION_ID_MOST + 1];
  char owner[64];
  char site[64];
  enum resource_kind kind;
  uint64_t revision; /* of the resource */
  int64_t period_ms; /* 0: no end */
  struct lease_record record;
  double told_utilization; /* the one that readers were last woken for */
  uint64_t checked;        /* generation of the rules that it was found to fit; the registry's */
  uint8_t *metrics;        /* the last report as metrics_encode writes it; NULL: none */
  size_t metrics_size;
  struct reports reports; /* what stands behind it */
  struct lease_link {
    struct lease_service *service;
    size_t place; /* in its leases */
  } * services;
  size_t service_count;
  /* -- */
  int64_t due_ms; /* INT64_MAX: nothing */
  size_t heap_place;
  int64_t doubt_ms;    /* when a service of it was last seen in doubt */
  uint32_t doubt_mask; /* which ones: bit i for services[i] */
  enum lease_write write;
  struct lease *next, **at; /* in the queue of write */
};

struct lease_table;

struct lease_table *lease_table_new(void);
void lease_table_free(struct lease_table *table);

struct lease_terms { /* borrowed */
  const char *owner, *site;
  enum resource_kind kind;
  uint64_t revision, epoch;
  int64_t period_ms;
  const char *const *services; /* at most REGISTRATION_SERVICES_MOST */
  size_t service_count;
};
struct lease *lease_table_grant(struct lease_table *table, const char *id, const struct lease_terms *terms,
                                int64_t now_ms);
/* Makes it, or replaces its terms; live for one period from now. With another epoch it begins anew: no sequence, no
 * self state, no report. */
struct lease *lease_table_find(struct lease_table *table, const char *id);
void lease_table_drop(struct lease_table *table, struct lease *lease);
/* Frees it, queued or not. */
int64_t lease_table_renew_ms(int64_t period_ms);
/* How long after a renewal the next one should come, and so a report: a third of the period, so that two may be lost,
 * and at most LEASE_RENEW_MOST_MS. */
size_t lease_table_count(const struct lease_table *table, enum lease_state state);

bool lease_table_renew(struct lease_table *table, struct lease *lease, int64_t now_ms);
/* Live or stale: live for one period from now. Whether its state changed. */

void lease_table_move(struct lease_table *table, struct lease *lease);
/* Its resource is with another balancer now and renews no more here; renewing takes that back. */
void lease_table_resume_moved(struct lease_table *table, struct lease *lease, int64_t end_ms);
/* Likewise after a restart: it had moved before, and ended or ends then, without a period of grace. */
size_t lease_table_moved(const struct lease_table *table);

struct lease_case { /* a lease whose time has come */
  struct lease *lease;
  uint32_t doubts; /* bit i: services[i] is in doubt, so it counts whether its probes pass there */
};
size_t lease_table_due(struct lease_table *table, int64_t now_ms, struct lease_case *out, size_t most);
/* Takes out what is due, judged by the counts before any of them has ended. Each must be given to lease_table_judge;
 * it may be renewed in between. */
int64_t lease_table_next_ms(const struct lease_table *table);
/* When something is due; INT64_MAX: nothing is. */

enum lease_verdict {
  LEASE_KEPT,        /* renewed meanwhile, or stale as before */
  LEASE_NOW_STALE,   /* queued to be written now, as is */
  LEASE_NOW_ENDED,   /* this, which is due again at once: */
  LEASE_IS_REMOVABLE /* it has ended; nothing is due for it until lease_table_postpone */
};
enum lease_verdict lease_table_judge(struct lease_table *table, const struct lease_case *lease_case, int64_t now_ms,
                                     bool passes);
/* passes: its probes at one of the services in doubt do. */
void lease_table_postpone(struct lease_table *table, struct lease *lease, int64_t due_ms);

void lease_table_queue(struct lease_table *table, struct lease *lease, enum lease_write write);
/* Its row is to be written; what is more urgent stays so. */
struct lease *lease_table_take(struct lease_table *table, enum lease_write write);
/* The first of the queue, out of it; NULL when it is empty. */
size_t lease_table_queued(const struct lease_table *table, enum lease_write write);

typedef void lease_table_visit(void *context, struct lease *lease);
void lease_table_each(struct lease_table *table, lease_table_visit *visit, void *context);
/* In order of ids. visit neither grants nor drops. */

#endif
