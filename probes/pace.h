/* probes/pace.h
 * When probes start: even spread at first, then one interval after another with a little jitter; and how late they
 * were. Times are mono, in microseconds. Pure; any thread. */
#ifndef GSLB_PROBES_PACE_H
#define GSLB_PROBES_PACE_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/random.h"

#define PACE_LATENESS_SECONDS 60u

int64_t pace_first_us(int64_t now_us, int64_t interval_us, size_t index, size_t count, uint32_t phase);
/* The first start of the index-th of count probes that share an interval: each has a slot of interval / count of its
 * own, and phase (the same for all of them, 0 to UINT32_MAX for the start to the end of the slot) keeps probes with
 * other intervals out of step. In [now, now + interval). */

int64_t pace_next_us(int64_t planned_us, int64_t now_us, int64_t interval_us, int64_t timeout_us,
                     struct random *random);
/* The start after the one planned for planned_us: an interval later, less a jitter of 0 to 10 % and never so early that
 * the one before may still run. Counted from the plan, so a late start does not move those that follow; only when that
 * time has passed already (the machine stood still) is it now. */

struct lateness { /* the largest lateness in the last minute; zero-initialised is empty */
  int64_t most_us[PACE_LATENESS_SECONDS];
  size_t second;
};

void lateness_note(struct lateness *lateness, int64_t late_us);
void lateness_tick(struct lateness *lateness);
/* Call each second. */
int64_t lateness_most_us(const struct lateness *lateness);

#endif
