#include "gslb/admin/load_shown.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/decide/overload.h"
#include "gslb/model/facts_figures.h"

/* null where it is not known. */
static json_t *number(bool is_known, double value) {
  json_t *made = is_known ? json_real(value) : NULL;
  return made ? made : json_null(); /* what is not finite cannot be written either */
}

static json_t *seconds(bool is_known, int64_t ms) {
  return is_known ? json_real((double)ms / 1000.0) : json_null();
}

static json_t *term_document(const struct load_term *term) {
  const struct config_load_metric *metric = term->metric;
  bool is_told = overload_is_told(term);
  json_t *limits =
      value_must(json_pack("{s:o, s:o, s:b}", "threshold", number(metric->has_threshold, metric->threshold), "release",
                           number(metric->has_threshold, metric->release), "over", (int)term->is_over));
  json_t *document = value_must(
      json_pack("{s:o, s:o, s:s, s:o, s:o, s:f, s:b, s:o, s:o, s:o, s:o, s:o}", "metric", value_text(metric->name),
                "source", is_told ? json_string(metric_source_name(term->source)) : json_null(), "view",
                metric_view_name(metric->view), "value", number(is_told, term->value), "ceiling",
                number(is_told, term->ceiling), "weight", metric->weight, "more_is_better", (int)metric->is_more_better,
                "age_s", seconds(is_told, term->age_ms), "freshness", number(is_told, term->freshness), "ratio",
                number(is_told, term->ratio), "counted", number(term->has_value, term->counted), "share",
                number(term->has_value, term->share)));
  json_object_update(document, limits);
  json_decref(limits);
  return document;
}

/* A section that stands in a service is called as the service, or as its pattern; a shared one by a label. */
static json_t *section(const char *name, const struct config_service *service) {
  bool is_own = name && (strpbrk(name, ".*") || strcmp(name, service->name) == 0);
  return is_own ? json_null() : value_text_or_null(name);
}

json_t *load_shown_figure(const struct shown *shown, size_t member) {
  static const char *const rules[] = {[THRESHOLD_ANY] = "any", [THRESHOLD_ALL] = "all", [THRESHOLD_PREFER] = "prefer"};
  const struct config_load *load = evaluate_load(shown->config, shown->facts->service);
  const struct member_state *state = &shown->evaluation->members[member];
  if (!load || !shown->evaluation->figures)
    return json_null();
  const struct load_figure *figure = &shown->evaluation->figures[member];
  json_t *terms = value_must(json_array());
  for (size_t i = 0; i < figure->term_count; i++)
    json_array_append_new(terms, term_document(&figure->terms[i]));
  const char *name = shown->config->loads[shown->facts->service->load].name;
  return value_must(json_pack("{s:o, s:o, s:s, s:o, s:b, s:b, s:o}", "load", number(state->has_load, state->load),
                              "section", section(name, shown->facts->service), "rule", rules[load->rule], "window_s",
                              seconds(load->window_ms > 0, load->window_ms), "over", (int)figure->is_over,
                              "less_preferred", (int)state->is_less_preferred, "terms", terms));
}

/* Stored figures */

static json_t *value_document(const struct metric_value *value) {
  return value_must(json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "name", value_text(value->name), "value",
                              number(true, value->value), "mean", number(value->has_views, value->mean), "peak",
                              number(value->has_views, value->peak), "p95", number(value->has_views, value->p95),
                              "rate", number(value->has_views, value->rate)));
}

static json_t *source_document(enum metric_source source, const struct metrics_record *record, int64_t now_ms) {
  json_t *values = value_must(json_array());
  for (uint32_t i = 0; i < record->count; i++)
    json_array_append_new(values, value_document(&record->values[i]));
  return value_must(json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "source",
                              metric_source_name(source), "at", value_time(record->at_ms), "age_s",
                              value_age(record->at_ms, now_ms), "interval_s",
                              seconds(record->interval_ms > 0, record->interval_ms), "read", (json_int_t)record->read,
                              "failed", (json_int_t)record->failed, "reason", value_text_or_null(record->reason),
                              "self", record->has_self ? json_string(health_name(record->self)) : json_null(),
                              "self_reason", value_text_or_null(record->self_reason), "values", values));
}

/* The record in the transaction; false where there is none that can be understood. */
static bool find_record(struct store_txn *txn, enum metric_source source, const struct config_service *service,
                        const struct config_member *member, struct metrics_record *out) {
  struct record_key key;
  record_key_member(service->name, member->name, &key);
  struct store_bytes at = {key.bytes, key.size}, value;
  if (source == METRICS_AGENT) {
    if (!member->is_registered)
      return false;
    at = (struct store_bytes){member->name, strlen(member->name)};
  }
  return store_get(txn, metrics_db(source), at, &value) == STATUS_OK &&
         metrics_decode(value.data, value.size, out) == STATUS_OK;
}

json_t *load_shown_sources(const struct shown *shown, size_t member, struct store *live) {
  const struct config_service *service = shown->facts->service;
  json_t *sources = value_must(json_array());
  struct metrics_record *records = mem_array(METRICS_SOURCES, sizeof *records);
  bool is_there[METRICS_SOURCES] = {false};
  struct store_txn *txn;
  if (live && store_begin(live, false, &txn, NULL) == STATUS_OK) {
    for (int source = 0; source < METRICS_SOURCES; source++)
      is_there[source] =
          find_record(txn, (enum metric_source)source, service, &service->members[member], &records[source]);
    store_abort(txn);
  }
  for (int source = 0; source < METRICS_SOURCES; source++)
    if (is_there[source])
      json_array_append_new(sources, source_document((enum metric_source)source, &records[source], shown->now_ms));
  free(records);
  return sources;
}

json_t *load_shown(const struct shown *shown, size_t member, struct store *live) {
  const struct config_service *service = shown->facts->service;
  const struct member_state *state = &shown->evaluation->members[member];
  char *id = mem_format("%s/%s", service->name, service->members[member].name);
  json_t *document = value_must(json_pack("{s:o, s:o, s:o, s:s, s:b, s:f, s:o, s:o}", "id", value_text(id), "service",
                                          value_text(service->name), "name", value_text(service->members[member].name),
                                          "state", health_name(state->state), "answered", (int)state->is_answered,
                                          "headroom", state->headroom, "load", load_shown_figure(shown, member),
                                          "sources", load_shown_sources(shown, member, live)));
  free(id);
  return document;
}
