/* probes/sources/series.h
 * The figures that one source brings of one member, over time: checked, counters turned into rates, and kept within a
 * window where the service's load section looks at them over time. Pure: time comes in. One thread. */
#ifndef GSLB_PROBES_SOURCES_SERIES_H
#define GSLB_PROBES_SOURCES_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "gslb/model/metrics.h"
#include "gslb/model/window.h"
#include "probes/sources/source.h"

#define SERIES_VALUE_MOST 1e300 /* values keep within plus and minus this */

struct series { /* one figure */
  char *name;
  bool has_value;
  double value;
  bool has_counter;
  double counter; /* as it was last, at counter_us */
  int64_t counter_us;
  struct window *window; /* NULL: only its last value counts */
  uint64_t round;        /* of the set, in which it came last */
};

struct series_set { /* zero-initialised is empty */
  struct series *items;
  size_t count, capacity;
  int64_t at_ms; /* house time of the values; 0: there are none yet */
  uint64_t round;
};

struct series_view {              /* who looks at the figures over time */
  const struct config_load *load; /* NULL: nobody */
  enum metric_source source;
};

bool series_is_viewed(const struct series_view *view, const char *name);
/* Whether the load section looks at this figure otherwise than at its last value. */

size_t series_take(struct series_set *set, const struct source_value *values, size_t count,
                   const struct series_view *view, int64_t now_ms, int64_t now_us, struct errbuf *refused);
/* A reading at house time now_ms and mono time now_us replaces what was there; what it does not bring is gone. Returns
 * how many values were refused, and why the first of them was:
 *  - no name of 1 to 303 bytes without control characters, or one more than METRICS_MOST;
 *  - not finite, or outside plus and minus SERIES_VALUE_MOST;
 *  - a counter below 0, or one that fell, and not as one that began anew: to half of what it was or more.
 * A counter that falls lower began anew, and its growth is its new value; the first value of a counter has no rate. */

void series_remember(struct series_set *set, const struct metrics_record *record, const struct series_view *view);
/* Into an empty set: figures that were stored before this process began, as last values. */

void series_add(const struct series_set *set, struct metrics_record *record);
/* Appends the figures to the record's, up to METRICS_MOST. */

void series_release(struct series_set *set);

#endif
