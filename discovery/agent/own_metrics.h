/* discovery/agent/own_metrics.h
 * The operator's own figures: asks each source (a command, a file, a URL, a unix socket) at its interval, without ever
 * waiting for one, and keeps what it said last. Belongs to its loop's thread. */
#ifndef GSLB_DISCOVERY_AGENT_OWN_METRICS_H
#define GSLB_DISCOVERY_AGENT_OWN_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "discovery/agent/metric_set.h"
#include "discovery/agent/settings.h"
#include "gslb/net/loop.h"

#define OWN_METRICS_TEXT_MOST 65536u

struct own_metrics;
typedef void own_metrics_changed(void *context);

struct own_metrics *own_metrics_new(struct loop *loop, const struct settings_metric *sources, size_t count,
                                    own_metrics_changed *first, void *context);
/* Borrows the sources. first (NULL: nobody) is called when each source has been read or has failed once. */
void own_metrics_free(struct own_metrics *own);
/* Ends what still runs. NULL is fine. */
void own_metrics_read(const struct own_metrics *own, int64_t now_ms, struct metric_set *out);
/* Adds what is not older than three intervals of its source. now_ms: mono. */

#endif
