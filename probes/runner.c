#include "probes/runner.h"

#include <assert.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"

#define STARTS_MOST 32u /* in one turn of the loop: what ended is seen to before more begin */

/* A time-out that is noticed so late says that this machine stood still: the answer may lie there unread. */
#define LATE_VERDICT_US 250000

#define CROWD_LEAST 1024u /* running at once: what they took is worth giving back */

TAILQ_HEAD(check_queue, check);

struct endpoint { /* a target: an address with its port */
  struct addr address;
  size_t checks; /* planned ones that go there */
  size_t running;
  struct check_queue line;
};

struct runner {
  struct runner_links links;
  void *endpoints; /* tree */
  struct check_queue line, slow_line;
  size_t running, slow_running;
  size_t most_running; /* since a crowd went, or the start */
  uint64_t turn;       /* of the loop, and how many were started in it */
  size_t started;
  struct loop_timer *later; /* when there may be more starts than a turn has */
  struct lateness lateness;
};

static void serve_lines(struct runner *runner);

static void later_is_now(void *context) {
  serve_lines(context);
}

struct runner *runner_new(const struct runner_links *links) {
  assert(links->room > 0);
  struct runner *runner = mem_alloc(sizeof *runner);
  runner->links = *links;
  TAILQ_INIT(&runner->line);
  TAILQ_INIT(&runner->slow_line);
  runner->later = loop_timer_new(links->tools->loop, later_is_now, runner);
  return runner;
}

void runner_free(struct runner *runner) {
  if (!runner)
    return;
  assert(!runner->endpoints && runner->running == 0);
  loop_timer_free(runner->later);
  free(runner);
}

static int compare_endpoints(const void *a, const void *b) {
  const struct endpoint *left = a, *right = b;
  if (left->address.family != right->address.family)
    return left->address.family < right->address.family ? -1 : 1;
  if (left->address.port != right->address.port)
    return left->address.port < right->address.port ? -1 : 1;
  return memcmp(left->address.bytes, right->address.bytes, sizeof left->address.bytes);
}

static struct endpoint *endpoint_take(struct runner *runner, const struct addr *address) {
  struct endpoint wanted = {.address = *address};
  struct endpoint *const *found = tfind(&wanted, &runner->endpoints, compare_endpoints);
  struct endpoint *endpoint = found ? *found : NULL;
  if (!endpoint) {
    endpoint = mem_alloc(sizeof *endpoint);
    endpoint->address = *address;
    TAILQ_INIT(&endpoint->line);
    if (!tsearch(endpoint, &runner->endpoints, compare_endpoints))
      abort();
  }
  endpoint->checks++;
  return endpoint;
}

static void endpoint_leave(struct runner *runner, struct endpoint *endpoint) {
  if (--endpoint->checks > 0)
    return;
  tdelete(endpoint, &runner->endpoints, compare_endpoints);
  free(endpoint);
}

static struct check_queue *queue_of(struct check *check) {
  switch (check->line) {
  case CHECK_IN_LINE:
    return &check->runner->line;
  case CHECK_IN_SLOW_LINE:
    return &check->runner->slow_line;
  case CHECK_IN_LINE_OF_TARGET:
    return &check->endpoint->line;
  case CHECK_IN_NO_LINE:
    break;
  }
  return NULL;
}

static void leave_line(struct check *check) {
  struct check_queue *queue = queue_of(check);
  if (queue)
    TAILQ_REMOVE(queue, check, entry);
  check->line = CHECK_IN_NO_LINE;
}

static void get_in_line(struct check *check) {
  if (check->endpoint->running >= RUNNER_PER_TARGET_MOST)
    check->line = CHECK_IN_LINE_OF_TARGET;
  else
    check->line = check->is_slow ? CHECK_IN_SLOW_LINE : CHECK_IN_LINE;
  TAILQ_INSERT_TAIL(queue_of(check), check, entry);
}

static void show_running(const struct runner *runner) {
  atomic_store_explicit(runner->links.running, (int64_t)runner->running, memory_order_relaxed);
}

/* The probe is over; one that waits for the same target may go. */
static void leave_room(struct check *check) {
  struct runner *runner = check->runner;
  check->run = NULL;
  runner->running--;
  runner->slow_running -= check->runs_slow;
  check->endpoint->running--;
  struct check *next = TAILQ_FIRST(&check->endpoint->line);
  if (next) {
    leave_line(next);
    get_in_line(next);
  }
}

static bool is_time_out(enum probe_reason reason) {
  return reason == PROBE_TIMEOUT_CONNECT || reason == PROBE_TIMEOUT_TLS || reason == PROBE_TIMEOUT_ANSWER ||
         reason == PROBE_TIMEOUT_BODY || reason == PROBE_KILLED;
}

static int64_t late_verdict_us(const struct check *check, enum probe_reason reason) {
  if (!is_time_out(reason) || reason == PROBE_KILLED) /* commands are watched by another process */
    return 0;
  return mono_now_us() - check->started_us - check->target.monitor->timeout_ms * 1000;
}

static void hand_out(struct check *check, const struct probe_result *result) {
  const struct runner_links *links = &check->runner->links;
  check->is_slow = is_time_out(result->reason);
  check->results++;
  links->result(links->context, check, result);
}

/* In place of a time-out that came of our own standing still; but only once, or a target that hangs would never be
 * found out by a machine that is always late. */
static void excuse(struct check *check, int64_t late_us) {
  struct probe_result result = {.reason = PROBE_NOT_MADE};
  snprintf(result.text, sizeof result.text, "this machine stood still: a time-out was noticed %lld ms late",
           (long long)(late_us / 1000));
  const struct runner_links *links = &check->runner->links;
  links->result(links->context, check, &result);
}

static void probe_finished(void *context, const struct probe_result *result) {
  struct check *check = context;
  struct runner *runner = check->runner;
  int64_t late_us = late_verdict_us(check, result->reason);
  leave_room(check);
  check->was_excused = !check->was_excused && late_us >= LATE_VERDICT_US;
  if (check->was_excused)
    excuse(check, late_us);
  else
    hand_out(check, result);
  if (check->stage == CHECK_WAITING)
    get_in_line(check);
  serve_lines(runner);
}

static int64_t interval_us(const struct check *check) {
  const struct config_monitor *monitor = check->target.monitor;
  double factor = check->is_idle && monitor->idle_factor > 1 ? monitor->idle_factor : 1;
  return (int64_t)((double)monitor->interval_ms * 1000 * factor);
}

static void start_probe(struct check *check) {
  struct runner *runner = check->runner;
  const struct config_monitor *monitor = check->target.monitor;
  int64_t now_us = mono_now_us();
  check->started_us = now_us;
  lateness_note(&runner->lateness, now_us - check->planned_us);
  check->stage = CHECK_RESTING;
  check->is_idle = monitor->idle_factor > 1 && runner->links.is_idle(runner->links.context, check);
  check->planned_us =
      pace_next_us(check->planned_us, now_us, interval_us(check), monitor->timeout_ms * 1000, runner->links.random);
  loop_timer_at(check->timer, check->planned_us);
  runner->running++;
  if (runner->most_running < runner->running)
    runner->most_running = runner->running;
  runner->started++;
  check->runs_slow = check->is_slow;
  runner->slow_running += check->runs_slow;
  check->endpoint->running++;
  struct probe_call call = {&check->target, probe_finished, check};
  check->run = probe_kind_of(monitor->type)->start(runner->links.tools, &call);
}

/* What waits for a target that filled up meanwhile waits there. */
static void serve_line(struct check_queue *line) {
  struct check *check = TAILQ_FIRST(line);
  leave_line(check);
  if (check->endpoint->running >= RUNNER_PER_TARGET_MOST)
    get_in_line(check);
  else
    start_probe(check);
}

static struct check_queue *line_to_serve(struct runner *runner) {
  size_t slow_most = runner->links.room - runner->links.room / 4;
  if (runner->running >= runner->links.room)
    return NULL;
  if (!TAILQ_EMPTY(&runner->line))
    return &runner->line;
  return runner->slow_running < slow_most && !TAILQ_EMPTY(&runner->slow_line) ? &runner->slow_line : NULL;
}

static void serve_lines(struct runner *runner) {
  uint64_t turn = loop_turn(runner->links.tools->loop);
  struct check_queue *line;
  if (runner->turn != turn)
    runner->started = 0;
  runner->turn = turn;
  while ((line = line_to_serve(runner)) && runner->started < STARTS_MOST)
    serve_line(line);
  if (line)
    loop_timer_after(runner->later, 1);
  show_running(runner);
}

static void start_is_due(void *context) {
  struct check *check = context;
  check->stage = CHECK_WAITING;
  /* a probe that itself started late may still have time; this one then follows as soon as it ends */
  if (!check->run)
    get_in_line(check);
  serve_lines(check->runner);
}

void runner_plan(struct runner *runner, struct check *check, int64_t first_us) {
  assert(!check->is_planned);
  check->is_planned = true;
  check->runner = runner;
  check->endpoint = endpoint_take(runner, &check->target.address);
  check->planned_us = first_us;
  check->timer = loop_timer_new(runner->links.tools->loop, start_is_due, check);
  loop_timer_at(check->timer, first_us);
}

void runner_stop(struct runner *runner, struct check *check) {
  if (!check->is_planned)
    return;
  leave_line(check);
  if (check->run) {
    probe_kind_of(check->target.monitor->type)->cancel(check->run);
    leave_room(check);
    show_running(runner);
  }
  loop_timer_free(check->timer);
  check->timer = NULL;
  endpoint_leave(runner, check->endpoint);
  check->endpoint = NULL;
  check->stage = CHECK_RESTING;
  check->planned_us = 0;
  check->is_planned = false;
}

void runner_wake(struct runner *runner, struct check *check) {
  int64_t now_us = mono_now_us(), most_us = check->target.monitor->interval_ms * 1000;
  if (!check->is_idle || !check->is_planned)
    return;
  check->is_idle = false;
  if (check->stage != CHECK_RESTING || check->planned_us <= now_us + most_us)
    return;
  uint32_t within = most_us < UINT32_MAX ? (uint32_t)most_us : UINT32_MAX;
  check->planned_us = now_us + random_below(runner->links.random, within);
  loop_timer_at(check->timer, check->planned_us);
}

int64_t runner_lateness_us(struct runner *runner) {
  int64_t most_us = lateness_most_us(&runner->lateness);
  lateness_tick(&runner->lateness);
  return most_us;
}

bool runner_crowd_went(struct runner *runner) {
  if (runner->most_running < CROWD_LEAST || runner->running > runner->most_running / 4)
    return false;
  runner->most_running = runner->running;
  return true;
}
