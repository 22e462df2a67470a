/* SNMP: an object that a device has, compared with a value. */
#include "probes/kinds/probe.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/net/snmp.h"
#include "probes/kinds/snmp_plan.h"

struct probe_run {
  struct probe_call call;
  struct snmp_query *query;
};

static const char *const wanted_words[] = {
    [SNMP_EQUAL] = "",         [SNMP_NOT_EQUAL] = "not ",     [SNMP_LESS] = "less than ", [SNMP_AT_MOST] = "at most ",
    [SNMP_GREATER] = "above ", [SNMP_AT_LEAST] = "at least ", [SNMP_MATCHES] = "a match",
};

static int order(double a, double b) {
  return (a > b) - (a < b);
}

/* Numbers where both are, else texts, byte by byte. */
static int compare(const struct snmp_value *value, const char *wanted) {
  char *end;
  double number = strtod(wanted, &end);
  if (value->is_number && end != wanted && !*end)
    return order(value->number, number);
  if (value->kind == SNMP_KIND_OBJECT_ID && *wanted == '.')
    wanted++;
  return strcmp(value->text, wanted);
}

static bool holds(enum snmp_comparison comparison, int difference) {
  switch (comparison) {
  case SNMP_EQUAL:
    return difference == 0;
  case SNMP_NOT_EQUAL:
    return difference != 0;
  case SNMP_LESS:
    return difference < 0;
  case SNMP_AT_MOST:
    return difference <= 0;
  case SNMP_GREATER:
    return difference > 0;
  case SNMP_AT_LEAST:
    return difference >= 0;
  case SNMP_MATCHES:
    break;
  }
  return false;
}

static void judge_value(const struct config_monitor *monitor, const struct snmp_value *value,
                        struct probe_result *result) {
  if (value->kind == SNMP_KIND_ABSENT)
    probe_result_set(result, PROBE_NO_MATCH, "the device has no object %s", monitor->oid);
  else if (monitor->comparison == SNMP_MATCHES &&
           !probe_expectation_met(&monitor->expect, value->text, value->text_size))
    probe_result_mismatch(result, &monitor->expect, "value");
  else if (monitor->comparison != SNMP_MATCHES &&
           !holds(monitor->comparison, compare(value, monitor->value ? monitor->value : "")))
    probe_result_set(result, PROBE_NO_MATCH, "%.40s, expected %s%.40s", value->text, wanted_words[monitor->comparison],
                     monitor->value ? monitor->value : "");
  else
    probe_result_set(result, PROBE_PASSED, "value %s", value->text);
}

static void answered(void *context, const struct snmp_answer *answer) {
  struct probe_run *run = context;
  struct probe_result result = {.rtt_us = answer->duration_us};
  if (answer->outcome == NET_ANSWERED)
    judge_value(run->call.target->monitor, answer->objects[0], &result);
  else
    probe_result_failed(&result, answer->outcome, answer->detail);
  run->call.done(run->call.context, &result);
  free(run);
}

static struct probe_run *start(const struct probe_tools *tools, const struct probe_call *call) {
  const struct config_monitor *monitor = call->target->monitor;
  struct probe_run *run = mem_alloc(sizeof *run);
  struct object_id object = {0};
  struct snmp_identity identity;
  run->call = *call;
  object_id_parse(monitor->oid, &object);
  snmp_identity_of(&call->target->config->snmp[monitor->access], &identity);
  struct snmp_request request = {.device = call->target->address,
                                 .access = &identity,
                                 .timeout_ms = monitor->timeout_ms,
                                 .objects = &object,
                                 .object_count = 1};
  run->query = snmp_ask(tools->snmp, &request, answered, run);
  return run;
}

static void cancel(struct probe_run *run) {
  snmp_cancel(run->query);
  free(run);
}

const struct probe_kind probe_snmp = {.start = start, .cancel = cancel};
