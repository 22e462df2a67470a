/* Ping: an echo request that is answered. */
#include "probes/kinds/probe.h"

#include <stdlib.h>

#include "gslb/base/memory.h"
#include "probes/kinds/pinger.h"

struct probe_run {
  struct probe_call call;
  struct ping *ping;        /* NULL: there is no pinger */
  struct loop_timer *timer; /* then */
};

static void answered(void *context, enum net_outcome outcome, const char *detail, uint32_t duration_us) {
  struct probe_run *run = context;
  struct probe_result result = {.rtt_us = duration_us};
  if (outcome == NET_ANSWERED)
    probe_result_set(&result, PROBE_PASSED, "echo reply");
  else
    probe_result_failed(&result, outcome, detail);
  run->call.done(run->call.context, &result);
  loop_timer_free(run->timer);
  free(run);
}

static void none_there(void *context) {
  answered(context, NET_LOCAL, "no socket for it", 0);
}

static struct probe_run *start(const struct probe_tools *tools, const struct probe_call *call) {
  struct probe_run *run = mem_alloc(sizeof *run);
  run->call = *call;
  if (tools->pinger) {
    run->ping = pinger_start(tools->pinger, &call->target->address, call->target->monitor->timeout_ms, answered, run);
  } else {
    run->timer = loop_timer_new(tools->loop, none_there, run);
    loop_timer_after(run->timer, 0);
  }
  return run;
}

static void cancel(struct probe_run *run) {
  if (run->ping)
    pinger_cancel(run->ping);
  loop_timer_free(run->timer);
  free(run);
}

const struct probe_kind probe_ping = {.start = start, .cancel = cancel};
