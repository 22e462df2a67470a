/* discovery/agent/metric_set.h
 * Named figures on their way to a balancer: collected, read from the text of the operator's own sources, written as the
 * ORCA members of a status (docs/api.md). Values; any thread. */
#ifndef GSLB_DISCOVERY_AGENT_METRIC_SET_H
#define GSLB_DISCOVERY_AGENT_METRIC_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/status.h"
#include "gslb/model/registration.h"

struct json_t;

struct metric_set {
  size_t count;
  struct metric_value values[METRICS_MOST];
};

bool metric_set_put(struct metric_set *set, const char *name, double value);
/* Replaces one of the same name. False: the name is none (1 to 63 of letters, digits, "_", "-", "."), the value is not
 * finite, or there are too many. */
const double *metric_set_find(const struct metric_set *set, const char *name);
void metric_set_add(struct metric_set *set, const struct metric_set *others);

enum status metric_set_parse(const char *text, size_t size, const char *name, struct metric_set *out,
                             struct errbuf *err);
/* Either a JSON object of numbers (one named "named_metrics" may hold further ones), or lines "name value" or
 * "name=value" where "#" begins a comment, or one number alone, which is called name (NULL: then it needs a name of its
 * own). STATUS_INVALID, out untouched. */

void metric_set_write(const struct metric_set *set, struct json_t *status);
/* cpu_utilization, mem_utilization, application_utilization, rps_fractional and eps as members of status, all others
 * below named_metrics. */

#endif
