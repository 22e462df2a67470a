#include "probes/sources/source.h"

#include <assert.h>
#include <string.h>

const struct source_kind *source_kind_of(enum source_type type) {
  switch (type) {
  case SOURCE_UTILIZATION:
    return &source_utilization;
  case SOURCE_SCRAPE:
    return &source_scrape;
  case SOURCE_AGENT_CHECK:
    return &source_agent_check;
  case SOURCE_SNMP:
    return &source_snmp;
  }
  assert(!"a type of source without a kind");
  return NULL;
}

enum metric_source source_metrics_of(enum source_type type) {
  switch (type) {
  case SOURCE_UTILIZATION:
    return METRICS_UTILIZATION;
  case SOURCE_SCRAPE:
    return METRICS_SCRAPE;
  case SOURCE_AGENT_CHECK:
    return METRICS_CHECK;
  case SOURCE_SNMP:
    return METRICS_SNMP;
  }
  assert(!"a type of source without a place for its figures");
  return METRICS_PROBE;
}

static bool same_text(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_texts(const char *const *a, const char *const *b) {
  if (!a || !b)
    return a == b;
  for (; *a && *b; a++, b++)
    if (strcmp(*a, *b) != 0)
      return false;
  return *a == *b;
}

static bool same_tls(const struct config_client_tls *a, const struct config_client_tls *b) {
  return same_text(a->server_name, b->server_name) && a->is_unverified == b->is_unverified && same_text(a->ca, b->ca) &&
         same_text(a->certificate, b->certificate) && same_text(a->key, b->key);
}

static bool same_metric(const struct config_source_metric *a, const struct config_source_metric *b) {
  return same_text(a->name, b->name) && same_text(a->series, b->series) && same_texts(a->labels, b->labels) &&
         same_text(a->oid, b->oid) && same_text(a->where_oid, b->where_oid) &&
         same_text(a->where_value, b->where_value) && a->is_rate == b->is_rate && a->scale == b->scale;
}

bool source_alike(const struct config_source *a, const struct config_source *b) {
  if (a->type != b->type || a->port != b->port || !addr_equal(&a->address, &b->address) ||
      a->interval_ms != b->interval_ms || a->timeout_ms != b->timeout_ms || !same_text(a->schedule, b->schedule) ||
      a->every_answers != b->every_answers || a->is_tls != b->is_tls || !same_text(a->path, b->path) ||
      !same_text(a->host, b->host) || !same_tls(&a->tls, &b->tls) || !same_text(a->send, b->send) ||
      !same_text(a->table, b->table) || a->access != b->access || a->metric_count != b->metric_count)
    return false;
  for (size_t i = 0; i < a->metric_count; i++)
    if (!same_metric(&a->metrics[i], &b->metrics[i]))
      return false;
  return true;
}

static void take_result(struct source_reading *reading, const struct probe_result *result) {
  _Static_assert(sizeof reading->text == sizeof result->text, "the text of a reading is that of a result");
  reading->reason = result->reason;
  memcpy(reading->text, result->text, sizeof reading->text);
}

void source_reading_failed(struct source_reading *reading, enum net_outcome outcome, const char *detail) {
  struct probe_result result = {0};
  probe_result_failed(&result, outcome, detail);
  take_result(reading, &result);
}

void source_reading_set(struct source_reading *reading, enum probe_reason reason, const char *text) {
  struct probe_result result = {0};
  probe_result_set(&result, reason, "%s", text);
  take_result(reading, &result);
}
