/* discovery/balancers/parent_report.h
 * What a balancer tells its parent: its registration, and how its services are. Reads facts and the durable store;
 * belongs to the thread that owns the facts. */
#ifndef GSLB_DISCOVERY_BALANCERS_PARENT_REPORT_H
#define GSLB_DISCOVERY_BALANCERS_PARENT_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/model/board.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"
#include "gslb/model/store.h"

#define PARENT_PATH_MOST 16u /* identities in "path" (docs/api.md) */

struct json_t;

struct parent_sources { /* all borrowed */
  const struct config *config;
  const struct facts *facts;
  struct store *durable;     /* NULL: capacities and paths of registered members are not known */
  const struct board *board; /* NULL: no rates */
};

struct json_t *parent_path(const struct parent_sources *sources);
/* A new array: this balancer's identity, then those that the balancers registered with it name in theirs, in order,
 * each once. */
struct json_t *parent_registration(const struct config_parent *parent, struct json_t *path);
/* What is registered with the parent; a new reference. path's reference is kept by its caller. */

struct parent_tally; /* answers counted up to the last report to one parent */
struct parent_tally *parent_tally_new(void);
void parent_tally_free(struct parent_tally *tally);
/* NULL is fine. */

struct json_t *parent_report(const struct parent_sources *sources, const struct config_parent *parent,
                             struct parent_tally *tally, int64_t now_ms);
/* A status without epoch and sequence: "state" (up, or maint while no service has a member that is up), the mean
 * utilization of the answered members that report one, and for each service members_up, capacity (sum of the told
 * capacities, a member's weight where it told none), utilization_mean, utilization_p95 and rate (answers a second since
 * the report before). What is not known is left out. now_ms: house time. */

#endif
