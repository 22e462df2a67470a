/* gslb/model/facts.h
 * The stored facts about configured services as structs that the decision reads, kept up to date by following the
 * stores' changes. A reader copies within a short transaction; nothing here refers to the store's memory. One thread
 * owns a struct facts. */
#ifndef GSLB_MODEL_FACTS_H
#define GSLB_MODEL_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "gslb/model/records.h"
#include "gslb/model/registration.h"
#include "gslb/model/store.h"

#define FACTS_NO_SLOT UINT32_MAX
#define FACTS_BALANCERS SIZE_MAX /* in place of a service's index: the balancers changed */

struct address_facts {
  struct health_record
      *probes; /* one a monitor of the service, in its order; HEALTH_UNKNOWN, all 0, when none stored */
  struct latch_record latch;
};

struct member_facts {
  const struct override_record *override; /* NULL: none is stored */
  enum resource_kind kind;                /* of a registered member */
  /* Likewise: NULL until its lease is known, and when it has gone. Allocated as far as its self_reason goes, so never
   * copied whole. */
  const struct lease_record *lease;
  /* By source: what the decision looks at (gslb/model/facts_figures), so only of a service with a load section or an
   * agent-check, and only those values; allocated as far as count, so never copied whole. NULL where nothing is. */
  const struct metrics_record *metrics[METRICS_SOURCES];
  uint64_t load_over;              /* bit i: the threshold of the load section's i-th metric was passed */
  uint32_t slot;                   /* FACTS_NO_SLOT until control gave one */
  struct address_facts *addresses; /* one an address of the member, in its order */
};

struct service_facts {
  const struct config_service *service; /* as it is now (gslb/model/roster); name "": a vacancy, without members */
  struct member_facts *members;         /* one a member of the service, in its order */
  /* one a monitor of the service, in its order: the facts of the service that a monitor of type MONITOR_SERVICE looks
   * at; NULL for other types and where that service is not there. NULL: none is of that type */
  const struct service_facts **watched;
  uint64_t revision; /* grows by one when the members change, so that indices mean others */
};

struct facts;

struct facts *facts_new(const struct config *config, struct store *durable, struct store *live);
/* Borrows all three until facts_free; either store may be NULL (then nothing is known from it). All unknown until the
 * first facts_refresh. */
void facts_free(struct facts *facts);

typedef void facts_changed(void *context, size_t service);
enum status facts_refresh(struct facts *facts, facts_changed *changed, void *context, struct errbuf *err);
/* Takes over what changed since the last call, and calls changed (may be NULL) once for each service touched; the first
 * call reads everything and calls it for every service. A service whose monitors look at a touched one
 * (MONITOR_SERVICE) counts as touched too. On a failure what was known stays, and the next call reads everything of the
 * failed store again. A record of an unknown version leaves the old facts of its store (STATUS_VERSION); a damaged one
 * counts as not stored. */

enum status facts_reread(struct facts *facts, size_t service, struct errbuf *err);
/* Reads one service afresh, streaks and response times too (marks are set only when a state changes). */

size_t facts_find_service(const struct facts *facts, const char *name);
/* The index of a service that is there now, configured or created by registration; SIZE_MAX. Case matters not. */
size_t facts_find_member(const struct facts *facts, size_t service, const char *name);
/* Index into the service's members as they are now, or SIZE_MAX. Case matters not. */

struct balancer_facts {
  char identity[256];
  struct balancer_record record;
};
const struct balancer_facts *facts_balancers(const struct facts *facts, size_t *count);
/* This balancer and its peers, in order of identity; borrowed likewise. A change of them calls changed with
 * FACTS_BALANCERS. */

const struct service_facts *facts_service(const struct facts *facts, size_t service);
/* Borrowed; valid until the next facts_refresh or facts_reread. */

#endif
