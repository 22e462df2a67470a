/* probes/check.h
 * What is probed: a check is one thing that probes look at (a kind, a target, parameters, a pace), on behalf of one or
 * more watches; watches that want the same share it, whichever members and services they are of. Belongs to the probe
 * process's thread. */
#ifndef GSLB_PROBES_CHECK_H
#define GSLB_PROBES_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "probes/kinds/probe.h"

struct endpoint;
struct runner;
struct watch;

enum check_stage {
  CHECK_RESTING, /* its timer runs */
  CHECK_WAITING, /* its time has come, and there is no room yet, or the probe before still runs */
};

enum check_line { CHECK_IN_NO_LINE, CHECK_IN_LINE, CHECK_IN_SLOW_LINE, CHECK_IN_LINE_OF_TARGET };

struct check {
  struct probe_target target; /* borrows configuration and monitor of one of its watches; the service is its own */
  LIST_HEAD(, watch) watches; /* whom results go to; never empty between calls */
  uint64_t results;           /* so far */
  struct probe_result last;   /* the schedule's: the newest that tells anything of the target, */
  int64_t last_ms;            /* and its house time; 0: none yet */
  bool is_planned;            /* the runner has it */
  struct runner *runner;      /* the rest is the runner's; zero at first */
  struct endpoint *endpoint;
  struct loop_timer *timer; /* for the next start */
  struct probe_run *run;    /* NULL: none */
  bool runs_slow;           /* counted among the slow ones that run */
  enum check_stage stage;
  int64_t started_us; /* mono: of the last probe */
  bool was_excused;   /* its time-out was not counted */
  int64_t planned_us; /* mono: the start that the timer or the wait is for; 0: not planned */
  bool is_slow;       /* the last probe ended by its time-out */
  bool is_idle;       /* probed less often, since nobody asks */
  enum check_line line;
  TAILQ_ENTRY(check) entry; /* in that line */
};

struct checks { /* zero-initialised is empty */
  void *root;
  size_t count;
};

struct check *checks_take(struct checks *checks, const struct probe_target *target);
/* The check of that target, made if there is none; the caller gives it a watch. Service and all is copied but for
 * configuration and monitor, which a found one borrows from the target from now on. */
void checks_drop(struct checks *checks, struct check *check);
/* Frees a check without watches that the runner does not have. */

int probe_target_compare(const struct probe_target *a, const struct probe_target *b);
/* An order in which those are equal that probe in the same way at the same pace. What only judges results (rise, fall,
 * weight, starts_as) does not count; the service's name counts where it is sent. */

#endif
