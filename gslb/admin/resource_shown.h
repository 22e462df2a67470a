/* gslb/admin/resource_shown.h
 * What the interface shows of a registered resource and tells it, as JSON, as docs/api.md describes it. Any thread.
 * Functions that return JSON return a new reference, never NULL. */
#ifndef GSLB_ADMIN_RESOURCE_SHOWN_H
#define GSLB_ADMIN_RESOURCE_SHOWN_H

#include <stdint.h>

#include "discovery/balancers/balancers.h"
#include "gslb/model/registration.h"

struct json_t;

struct json_t *resource_shown(const char *id, const struct resource_record *resource, const struct lease_record *lease);
/* The registration with its defaults, what the registry knows of it, and its lease; without notice_key. */

struct json_t *resource_removed(int64_t until_ms, const char *why);
/* What is told of a removal; until_ms 0: until it is allowed again. */

void resource_add_advice(struct json_t *document, struct balancers *balancers);
/* What to report, which other balancers take registrations, and what it should do: "report", "balancers",
 * "directive". balancers NULL: there are no others. */

struct json_t *resource_renewed(const struct lease_record *lease, int64_t lease_ms, struct balancers *balancers);
/* The answer to a status. lease_ms 0: unlimited. */

struct json_t *resource_metrics(const struct metrics_record *metrics);
/* {name: value}. */

#endif
