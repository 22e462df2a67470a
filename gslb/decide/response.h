/* gslb/decide/response.h
 * The response time of members over several monitors, as a metric that load sections can name: the sum of the monitors'
 * weights times their mean response times (moving averages, over the member's addresses), by the sum of these weights.
 * Monitors without a passing result, and those of weight 0, leave both sums. Pure; results live in the caller's arena.
 * Any thread. */
#ifndef GSLB_DECIDE_RESPONSE_H
#define GSLB_DECIDE_RESPONSE_H

#include "gslb/base/memory.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"

#define RESPONSE_METRIC "response_time_weighted_ms"

const struct service_facts *response_add(const struct config *config, const struct config_load *load,
                                         const struct service_facts *facts, struct arena *arena);
/* The facts with the metric among what the probes told, where the section names it; else the facts as they are. */

#endif
