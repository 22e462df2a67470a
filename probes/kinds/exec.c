/* Exec: an operator's command that ends with status 0, and whose last line is as expected when one is given. The exec
 * process runs it. */
#include "probes/kinds/probe.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "probes/kinds/commands.h"

struct probe_run {
  struct probe_call call;
  struct command_run *command; /* NULL: there is no channel to exec */
  struct loop_timer *timer;    /* then */
  int64_t started_us;
};

static enum probe_reason reason_of(enum status status) {
  switch (status) {
  case STATUS_OK:
    return PROBE_PASSED;
  case STATUS_INVALID:
    return PROBE_STATUS;
  case STATUS_TIMEOUT:
    return PROBE_KILLED;
  default:
    return PROBE_NOT_MADE;
  }
}

static void ran(void *context, enum status status, const char *text, const char *line) {
  struct probe_run *run = context;
  const struct config_expectation *expectation = &run->call.target->monitor->expect;
  struct probe_result result = {.rtt_us = (uint32_t)(mono_now_us() - run->started_us), .bytes = strlen(line)};
  if (status == STATUS_OK && !probe_expectation_met(expectation, line, strlen(line)))
    probe_result_mismatch(&result, expectation, "last line");
  else
    probe_result_set(&result, reason_of(status), "%s%s%s", text, line[0] ? ": " : "", line);
  run->call.done(run->call.context, &result);
  loop_timer_free(run->timer);
  free(run);
}

static void none_there(void *context) {
  ran(context, STATUS_IO, "no process runs commands", "");
}

static struct probe_run *start(const struct probe_tools *tools, const struct probe_call *call) {
  const struct config_monitor *monitor = call->target->monitor;
  struct probe_run *run = mem_alloc(sizeof *run);
  run->call = *call;
  run->started_us = mono_now_us();
  if (tools->commands) {
    run->command =
        commands_start(tools->commands, monitor->name, &call->target->address, monitor->timeout_ms, ran, run);
  } else {
    run->timer = loop_timer_new(tools->loop, none_there, run);
    loop_timer_after(run->timer, 0);
  }
  return run;
}

static void cancel(struct probe_run *run) {
  if (run->command)
    commands_forget(run->command);
  loop_timer_free(run->timer);
  free(run);
}

const struct probe_kind probe_exec = {.start = start, .cancel = cancel};
