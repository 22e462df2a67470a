#include "gslb/model/facts_figures.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const struct config_load *facts_figures_load(const struct config *config, const struct config_service *service) {
  static struct config_load_metric reported[] = {
      {.name = "cpu_utilization", .source = METRICS_SOURCES, .weight = 1.0, .ceiling = 1.0},
      {.name = "mem_utilization", .source = METRICS_SOURCES, .weight = 1.0, .ceiling = 1.0},
      {.name = "application_utilization", .source = METRICS_SOURCES, .weight = 1.0, .ceiling = 1.0},
  };
  static const struct config_load standard = {.metrics = reported, .metric_count = sizeof reported / sizeof *reported};
  if (service->load >= config->load_count) /* CONFIG_NO_LOAD is */
    return NULL;
  const struct config_load *load = &config->loads[service->load];
  return load->metric_count > 0 ? load : &standard;
}

uint32_t facts_figures_wanted(const struct config *config, const struct config_service *service) {
  const uint32_t all = (UINT32_C(1) << METRICS_SOURCES) - 1;
  const struct config_load *load = facts_figures_load(config, service);
  uint32_t wanted = 0;
  for (size_t i = 0; load && i < load->metric_count; i++)
    wanted |= load->metrics[i].source == METRICS_SOURCES ? all : UINT32_C(1) << load->metrics[i].source;
  for (size_t i = 0; i < service->source_count; i++)
    if (config->sources[service->sources[i]].type == SOURCE_AGENT_CHECK)
      wanted |= UINT32_C(1) << METRICS_CHECK;
  return wanted;
}

enum status facts_figures_read(const struct config *config, const struct config_service *service, struct store_txn *txn,
                               struct facts_rows *rows) {
  uint32_t wanted = facts_figures_wanted(config, service);
  enum status status = STATUS_OK;
  if (!service->name[0])
    return STATUS_OK;
  for (int source = 0; source < METRICS_SOURCES && status == STATUS_OK; source++) {
    if (!(wanted >> source & 1u))
      continue;
    struct record_key prefix;
    record_key_service(service->name, &prefix);
    status = source == METRICS_AGENT ? facts_rows_by_id(rows, txn, STORE_DB_METRICS_AGENT, service)
                                     : facts_rows_scan(rows, txn, metrics_db((enum metric_source)source),
                                                       (struct store_bytes){prefix.bytes, prefix.size});
  }
  return status;
}

static bool is_looked_at(const struct config_load *load, enum metric_source source, const char *name) {
  static const char ceiling[] = "_ceiling";
  for (size_t i = 0; load && i < load->metric_count; i++) {
    const struct config_load_metric *metric = &load->metrics[i];
    size_t length = strlen(metric->name);
    if (metric->source != METRICS_SOURCES && metric->source != source)
      continue;
    if (strncmp(name, metric->name, length) == 0 && (name[length] == '\0' || strcmp(name + length, ceiling) == 0))
      return true;
  }
  return source == METRICS_CHECK && strcmp(name, FACTS_WEIGHT_PERCENT) == 0;
}

static size_t size_of(const struct metrics_record *record) {
  return offsetof(struct metrics_record, values) + record->count * sizeof *record->values;
}

const struct metrics_record *facts_figures_copy(struct arena *arena, const struct metrics_record *record) {
  return arena_copy(arena, record, size_of(record));
}

enum status facts_figures_decode(const struct config_load *load, enum metric_source source, struct store_bytes value,
                                 struct arena *arena, const struct metrics_record **out) {
  struct metrics_record *record = mem_alloc(sizeof *record);
  enum status status = metrics_decode(value.data, value.size, record);
  if (status == STATUS_OK) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < record->count; i++) {
      if (!is_looked_at(load, source, record->values[i].name))
        continue;
      if (kept < i)
        record->values[kept] = record->values[i];
      kept++;
    }
    record->count = kept;
    *out = facts_figures_copy(arena, record);
  }
  free(record);
  return status;
}
