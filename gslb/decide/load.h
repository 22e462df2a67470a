/* gslb/decide/load.h
 * The load of members: from the stored figures of all sources to one figure for each, with every term shown, so that an
 * operator can read it down (REQUIREMENTS A7, A8). Pure: no I/O, no clock; results live in the caller's arena. Any
 * thread. */
#ifndef GSLB_DECIDE_LOAD_H
#define GSLB_DECIDE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"

double load_freshness(int64_t age_ms, int64_t interval_ms);
/* How far a figure counts as itself: 1 up to 1.5 intervals of age, falling in a line to 0 at 3; what is missing counts
 * as the group's mean. -1 from 10 intervals on: the figure is ignored. interval_ms 0 counts as 10,000. */

int64_t load_fades_ms(int64_t at_ms, int64_t interval_ms, int64_t now_ms);
/* House time at which the freshness of a figure of at_ms next changes: now while it fades; INT64_MAX: never again. */

struct load_term { /* one metric of one member */
  const struct config_load_metric *metric;
  bool has_value;
  enum metric_source source; /* where the value is from */
  double value;              /* in the metric's view, as the source told it */
  double ceiling;
  int64_t age_ms;
  double freshness; /* as above, within 0 to 1 */
  double ratio;     /* value / ceiling, or (ceiling - value) / ceiling where more is better */
  double counted;   /* freshness * ratio + (1 - freshness) * the group's mean of ratio */
  double share;     /* weight * counted / sum of weights: what it adds to the load */
  bool is_over;     /* its threshold is passed, after hysteresis */
};

struct load_figure { /* one member */
  bool has_load;     /* some metric has a value in its group */
  double load;       /* sum(weight * counted) / sum(weight) over the metrics that have a value or a group's mean */
  struct load_term *terms; /* in the section's order */
  size_t term_count;
  uint64_t over; /* bit i: term i is over; the next latch */
  bool is_over;  /* by the section's rule: any, or all of those that have a threshold */
};

void load_evaluate(const struct config_load *load, const struct service_facts *facts, int64_t now_ms,
                   struct arena *arena, struct load_figure **out);
/* One figure a member of the service, in its order. A member without data counts as its group's mean; without anybody's
 * data there is no load. The group is the members of the service. */

enum status load_compute(const struct load_term *terms, size_t count, double *load);
/* sum(weight * counted) / sum(weight) over the terms that have a value. STATUS_NODATA: none has; *load untouched. */

#endif
