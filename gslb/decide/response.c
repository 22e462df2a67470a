#include "gslb/decide/response.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "gslb/decide/ballot.h"

static bool is_named(const struct config_load *load) {
  for (size_t i = 0; i < load->metric_count; i++)
    if (strcmp(load->metrics[i].name, RESPONSE_METRIC) == 0 &&
        (load->metrics[i].source == METRICS_SOURCES || load->metrics[i].source == METRICS_PROBE))
      return true;
  return false;
}

struct response {
  double sum, weights; /* microseconds times weight */
  int64_t newest_ms;
  int64_t interval_ms; /* the longest of the monitors that count */
};

static void add_monitor(const struct config_monitor *monitor, const struct config_member *member,
                        const struct member_facts *known, size_t at, struct response *out) {
  double sum = 0.0;
  size_t count = 0;
  for (size_t i = 0; i < member->address_count; i++) {
    const struct health_record *record = &known->addresses[i].probes[at];
    if (record->last_good_ms == 0)
      continue;
    sum += record->rtt_mean_us;
    count++;
    if (record->last_good_ms > out->newest_ms)
      out->newest_ms = record->last_good_ms;
  }
  if (count == 0 || monitor->weight == 0)
    return;
  out->sum += monitor->weight * sum / (double)count;
  out->weights += monitor->weight;
  if (monitor->interval_ms > out->interval_ms)
    out->interval_ms = monitor->interval_ms;
}

/* What the probes told with the metric behind it; its values are the more. */
static const struct metrics_record *extend(const struct metrics_record *told, const struct response *response,
                                           struct arena *arena) {
  uint32_t count = told ? told->count : 0;
  if (count == METRICS_MOST)
    return told;
  struct metrics_record *record =
      arena_alloc(arena, offsetof(struct metrics_record, values) + (count + 1) * sizeof record->values[0]);
  if (told) {
    memcpy(record, told, offsetof(struct metrics_record, values) + count * sizeof record->values[0]);
  } else {
    record->at_ms = response->newest_ms;
    record->interval_ms = response->interval_ms;
  }
  struct metric_value *value = &record->values[count];
  snprintf(value->name, sizeof value->name, "%s", RESPONSE_METRIC);
  value->value = response->sum / response->weights / 1000.0;
  record->count = count + 1;
  return record;
}

const struct service_facts *response_add(const struct config *config, const struct config_load *load,
                                         const struct service_facts *facts, struct arena *arena) {
  const struct config_service *service = facts->service;
  if (!is_named(load))
    return facts;
  struct service_facts *extended = arena_copy(arena, facts, sizeof *facts);
  extended->members = arena_array(arena, service->member_count, sizeof *extended->members);
  for (size_t m = 0; m < service->member_count; m++) {
    struct member_facts *member = &extended->members[m];
    struct response response = {0};
    *member = facts->members[m];
    for (size_t i = 0; i < service->monitor_count; i++)
      if (ballot_is_watched(&service->members[m], i))
        add_monitor(&config->monitors[service->monitors[i]], &service->members[m], member, i, &response);
    if (response.weights > 0.0)
      member->metrics[METRICS_PROBE] = extend(member->metrics[METRICS_PROBE], &response, arena);
  }
  return extended;
}
