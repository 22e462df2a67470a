/* SNMP: the objects of a ready table, or a source's own, read together. Sources of one device that start in one turn of
 * the loop share their messages, and the same table asked for while it is being read is read once (gslb/net/snmp). */
#include "probes/sources/source.h"

#include <stdio.h>
#include <stdlib.h>

#include "gslb/base/memory.h"
#include "gslb/net/snmp.h"
#include "probes/kinds/snmp_plan.h"

struct source_run {
  struct snmp_plan *plan;
  struct snmp_query *query;
  source_done *done;
  void *context;
};

static void release(struct source_run *run) {
  snmp_plan_free(run->plan);
  free(run);
}

static void answered(void *context, const struct snmp_answer *answer) {
  struct source_run *run = context;
  struct source_reading reading = {.weight_percent = SOURCE_NO_WEIGHT};
  if (answer->outcome != NET_ANSWERED) {
    source_reading_failed(&reading, answer->outcome, answer->detail);
  } else if ((reading.count = snmp_plan_values(run->plan, answer, &reading.values)) == 0) {
    source_reading_set(&reading, PROBE_NO_MATCH, "the device has none of these objects");
  } else {
    char text[48];
    snprintf(text, sizeof text, "%zu figures", reading.count);
    source_reading_set(&reading, PROBE_PASSED, text);
  }
  run->done(run->context, &reading);
  release(run);
}

static struct source_run *start(const struct probe_tools *tools, const struct source_target *target, source_done *done,
                                void *context) {
  struct source_run *run = mem_alloc(sizeof *run);
  struct snmp_identity identity;
  run->done = done;
  run->context = context;
  run->plan = snmp_plan_of_source(target->source);
  snmp_identity_of(&target->config->snmp[target->source->access], &identity);
  struct snmp_request request = {.device = target->address,
                                 .access = &identity,
                                 .timeout_ms = target->source->timeout_ms};
  snmp_plan_request(run->plan, &request);
  run->query = snmp_ask(tools->snmp, &request, answered, run);
  return run;
}

static void cancel(struct source_run *run) {
  snmp_cancel(run->query);
  release(run);
}

const struct source_kind source_snmp = {.start = start, .cancel = cancel};
