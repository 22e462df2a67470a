/* probes/runner.h
 * Starts checks when they are due, within bounds: so many probes at once in all, so many at one target, and not all of
 * the room for those that lately ended by their time-out, so that nothing is late because something else hangs. What is
 * overdue begins a few at a time, in order, while results are taken. Belongs to the loop's thread. */
#ifndef GSLB_PROBES_RUNNER_H
#define GSLB_PROBES_RUNNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/random.h"
#include "probes/check.h"
#include "probes/kinds/probe.h"
#include "probes/pace.h"

#define RUNNER_PER_TARGET_MOST 16u /* an address with its port */

struct runner;

typedef void runner_result(void *context, struct check *check, const struct probe_result *result);
/* May not stop the check. */
typedef bool runner_is_idle(void *context, const struct check *check);
/* Whether the check may be made less often, by its monitor's idle_factor. Asked at each start. */

struct runner_links {
  const struct probe_tools *tools;
  struct random *random;
  size_t room; /* probes at once in all */
  runner_result *result;
  runner_is_idle *is_idle;
  void *context;
  _Atomic int64_t *running; /* how many run is shown there */
};

struct runner *runner_new(const struct runner_links *links);
/* Copies the links and borrows what they refer to. */
void runner_free(struct runner *runner);
/* After all checks were stopped. NULL is fine. */

void runner_plan(struct runner *runner, struct check *check, int64_t first_us);
/* It is probed from then on (mono). */
void runner_stop(struct runner *runner, struct check *check);
/* It is not probed any more; its result is not handed out. One that is not planned may be stopped too. */

void runner_wake(struct runner *runner, struct check *check);
/* Somebody asks again: an idle check's next start comes within its interval. */

int64_t runner_lateness_us(struct runner *runner);
/* The largest lateness of a start in the last minute; call each second. */
bool runner_crowd_went(struct runner *runner);
/* Whether very many ran at once, as after a stall, and do no more; true once for each such crowd. */

#endif
