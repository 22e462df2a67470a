/* gslb/model/metrics.h
 * Figures as they are stored, by where they come from, and the one place where they are encoded and decoded (as
 * gslb/model/registration does for the rest). No I/O. Any thread. */
#ifndef GSLB_MODEL_METRICS_H
#define GSLB_MODEL_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/store.h"
#include "gslb/model/records.h"

#define METRICS_MOST 64u

/* live, STORE_DB_METRICS_…: figures of a member by where they come from. The agent's stand under the id of the
 * resource, the others under service \0 member. */
enum metric_source {
  METRICS_PROBE, /* measured by the probes: response_time_ms, loss, … */
  METRICS_SNMP,
  METRICS_SCRAPE,
  METRICS_CHECK,       /* HAProxy agent-check */
  METRICS_UTILIZATION, /* read from the resource's URL */
  METRICS_AGENT,       /* told by the resource */
  METRICS_SOURCES
};
const char *metric_source_name(enum metric_source source);
/* "probe", "snmp", "scrape", "check", "utilization", "agent". */
enum status metric_source_parse(const char *word, enum metric_source *out);
/* One of these names. STATUS_INVALID leaves *out untouched. */

#define METRICS_NAME_SIZE 304u /* "services.<a name of 253>.utilization_mean" and the end */

struct metric_value {
  char name[METRICS_NAME_SIZE];
  double value;
  bool has_views; /* the figure is one that a load section looks at over time */
  double mean, peak, p95, rate;
};
struct metrics_record {
  int64_t at_ms;
  int64_t interval_ms;   /* how often it is to come; 0: not told */
  uint64_t read, failed; /* so far */
  char reason[96];       /* of the last failure; "" when the last went well */
  bool has_self;         /* METRICS_CHECK: the member said how it is; this stays until it says otherwise */
  enum health self;      /* HEALTH_UP, HEALTH_DRAINING, HEALTH_DOWN */
  char self_reason[96];
  uint32_t count;
  struct metric_value values[METRICS_MOST];
};
uint8_t *metrics_encode(const struct metrics_record *record, size_t *size);
/* Version 2; all numbers finite. free() it. */
enum status metrics_decode(const void *data, size_t size, struct metrics_record *out);
/* Version 1, of the agent's reports before there were others, is read too: without views, interval and counts. */

enum store_db metrics_db(enum metric_source source);
/* Where the source's rows stand in the live store. */
enum metric_source metrics_source_of(enum store_db db);
/* The other way; METRICS_SOURCES: the database holds no figures. */

#endif
