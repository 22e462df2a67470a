/* probes/sources/source.h
 * One reading of the figures of one member from one source, and what came of it. A kind of source is one file that
 * fills a struct source_kind. Belongs to the loop's thread. */
#ifndef GSLB_PROBES_SOURCES_SOURCE_H
#define GSLB_PROBES_SOURCES_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/model/config.h"
#include "gslb/model/metrics.h"
#include "gslb/model/records.h"
#include "gslb/model/store.h"
#include "probes/kinds/probe.h"
#include "probes/kinds/source_value.h"

struct source_target {
  const struct config *config;
  const struct config_source *source;
  const char *service, *member;
  struct addr address; /* with the source's port */
  const char *url;     /* utilization: where the member says it is read, in place of all that; NULL: it says nothing */
};

#define SOURCE_NO_WEIGHT (-1.0)

struct source_reading {     /* borrowed until done returns */
  enum probe_reason reason; /* PROBE_PASSED: values are there */
  char text[96];
  const struct source_value *values;
  size_t count;
  /* what a device says of itself beside its figures (agent-check) */
  bool has_self;
  enum health self; /* HEALTH_UP, HEALTH_DRAINING, HEALTH_DOWN */
  char self_reason[96];
  double weight_percent; /* of the configured weight; SOURCE_NO_WEIGHT (any number below 0): not told */
};

typedef void source_done(void *context, const struct source_reading *reading);

struct source_run; /* each kind has its own */

struct source_kind {
  struct source_run *(*start)(const struct probe_tools *tools, const struct source_target *target, source_done *done,
                              void *context);
  /* target is borrowed until the run ends. done is called once, from the loop and never within this call, at the latest
   * after the source's time-out; the run is then over and its handle void. */
  void (*cancel)(struct source_run *run);
  /* Ends the run; done is not called any more. */
};

extern const struct source_kind source_utilization, source_scrape, source_agent_check, source_snmp;

const struct source_kind *source_kind_of(enum source_type type);
enum metric_source source_metrics_of(enum source_type type);
/* Whose database its figures go to. */

bool source_alike(const struct config_source *a, const struct config_source *b);
/* Whether both read the same in the same way at the same pace, in one configuration or in two. */

void source_reading_failed(struct source_reading *reading, enum net_outcome outcome, const char *detail);
/* Fills reason and text from the way an exchange failed (not NET_ANSWERED), as probe_result_failed does. */
void source_reading_set(struct source_reading *reading, enum probe_reason reason, const char *text);

#endif
