/* probes/measure.h
 * What the probes measure of one member: response times, loss, errors by reason, bytes, over all its monitors and
 * addresses, as a row of metrics. Times and loss are over the last MEASURE_RESULTS results. Belongs to the probe
 * process's thread. */
#ifndef GSLB_PROBES_MEASURE_H
#define GSLB_PROBES_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/model/config.h"
#include "gslb/model/live_rows.h"
#include "gslb/model/metrics.h"
#include "probes/kinds/probe.h"

#define MEASURE_RESULTS 128u
#define MEASURE_WRITE_MS 1000 /* a row is written at most that often */

struct measure_view;

struct measure {
  struct live_row row;              /* service \0 member */
  uint32_t rtt_us[MEASURE_RESULTS]; /* a ring; 0: the probe failed */
  uint32_t first, count;
  double mean_us; /* EWMA over passing results, 1/8 a result; 0 none */
  uint64_t passed, bytes;
  uint64_t errors[PROBE_REASONS];
  uint32_t last_us; /* of the last passing result; 0 none */
  char reason[96];  /* of the last result when it failed; else "" */
  int64_t at_ms;    /* house time of the last result; 0 none */
  int64_t interval_ms;
  int64_t put_ms;                 /* house time when it was last given to the journal */
  const void *counted;            /* the check of the last result, and its number: one result counts once, */
  uint64_t number;                /* for however many addresses of the member it stands */
  const struct config_load *load; /* of the service, which wants views of figures; NULL */
  struct measure_view *views;     /* one a metric of load */
};

struct measure *measure_new(const char *service, const char *member);
void measure_free(struct measure *measure);
/* After live_row_withdraw of its row. NULL is fine. */

const char *measure_member(const struct measure *measure);
/* The member's name; borrowed. */

void measure_configure(struct measure *measure, const struct config_load *load, int64_t interval_ms);
/* load: the service's, borrowed until the next call, NULL for none; its metrics that these are get views over its
 * window. interval_ms: how often figures are to come, the shortest interval of the member's monitors. */

void measure_restore(struct measure *measure, const struct metrics_record *record);
/* Counters and mean go on from what a process before this one wrote. Before the first result. */

bool measure_take(struct measure *measure, const struct probe_result *result, const void *check, uint64_t number,
                  int64_t now_ms);
/* Counts a result (not PROBE_NOT_MADE), the number-th of that check, at house time now_ms. Returns whether the row is
 * due to be written: MEASURE_WRITE_MS have passed since it last was. */

void measure_read(struct measure *measure, struct metrics_record *out);
/* The figures as they are; what is not known yet is left out. Names: response_time_ms (the last), response_time_mean_ms
 * (EWMA), response_time_p50_ms, _p95_ms, _p99_ms (nearest rank), loss (0 to 1), bytes (so far), errors.<reason> (so
 * far; those that came). */

#endif
