#include "gslb/model/metrics.h"

#include <assert.h>
#include <string.h>

#include "gslb/model/record_layout.h"

#define METRICS_VERSION 2u

static const struct record_layout_field metric_value_fields[] = {
    {TEXT(metric_value, name)},
    {REAL(metric_value, value)},
    {CHOICE(metric_value, has_views, 2)},
};
LAYOUT(metric_value);

static const struct record_layout_field metric_views_fields[] = {
    {REAL(metric_value, mean)},
    {REAL(metric_value, peak)},
    {REAL(metric_value, p95)},
    {REAL(metric_value, rate)},
};
static const struct record_layout metric_views_layout = {metric_views_fields,
                                                         sizeof metric_views_fields / sizeof metric_views_fields[0]};

static const struct record_layout_field metrics_record_fields[] = {
    {NUMBER(metrics_record, at_ms)},
    {NUMBER(metrics_record, interval_ms)},
    {NUMBER(metrics_record, read)},
    {NUMBER(metrics_record, failed)},
    {TEXT(metrics_record, reason)},
    {CHOICE(metrics_record, has_self, 2)},
    {CHOICE(metrics_record, self, HEALTH_DOWN + 1)},
    {TEXT(metrics_record, self_reason)},
};
LAYOUT(metrics_record);

/* Version 1, which the agent's reports had alone: no views, and nothing of how they came. */
static const struct record_layout_field first_value_fields[] = {
    {TEXT(metric_value, name)},
    {REAL(metric_value, value)},
};
static const struct record_layout first_value_layout = {first_value_fields,
                                                        sizeof first_value_fields / sizeof first_value_fields[0]};
static const struct record_layout_field first_record_fields[] = {
    {NUMBER(metrics_record, at_ms)},
    {LIST(metrics_record, values, count, &first_value_layout)},
};
static const struct record_layout first_record_layout = {first_record_fields,
                                                         sizeof first_record_fields / sizeof first_record_fields[0]};

uint8_t *metrics_encode(const struct metrics_record *record, size_t *size) {
  assert(record->count <= METRICS_MOST);
  struct record_layout_writer writer = {.grows = true};
  record_layout_begin_as(&writer, METRICS_VERSION);
  record_layout_write(&writer, &metrics_record_layout, record);
  record_layout_write_number(&writer, record->count, 2);
  for (uint32_t i = 0; i < record->count; i++) {
    record_layout_write(&writer, &metric_value_layout, &record->values[i]);
    if (record->values[i].has_views)
      record_layout_write(&writer, &metric_views_layout, &record->values[i]);
  }
  *size = writer.used;
  return writer.out;
}

static void read_record(struct record_layout_reader *reader, struct metrics_record *record) {
  record_layout_read(reader, &metrics_record_layout, record);
  uint32_t count = (uint32_t)record_layout_read_number(reader, 2);
  if (count > METRICS_MOST)
    reader->has_failed = true;
  for (; record->count < count && !reader->has_failed; record->count++) {
    struct metric_value *value = &record->values[record->count];
    record_layout_read(reader, &metric_value_layout, value);
    if (value->has_views)
      record_layout_read(reader, &metric_views_layout, value);
  }
}

enum status metrics_decode(const void *data, size_t size, struct metrics_record *out) {
  struct metrics_record record;
  memset(&record, 0, sizeof record);
  struct record_layout_reader reader;
  unsigned version;
  enum status status = record_layout_open_any(&reader, data, size, METRICS_VERSION, &version);
  if (status != STATUS_OK)
    return status;
  if (version == METRICS_VERSION)
    read_record(&reader, &record);
  else
    record_layout_read(&reader, &first_record_layout, &record);
  status = record_layout_end(&reader);
  if (status == STATUS_OK)
    *out = record;
  return status;
}

static const char *const source_names[METRICS_SOURCES] = {
    [METRICS_PROBE] = "probe",
    [METRICS_SNMP] = "snmp",
    [METRICS_SCRAPE] = "scrape",
    [METRICS_CHECK] = "check",
    [METRICS_UTILIZATION] = "utilization",
    [METRICS_AGENT] = "agent",
};

const char *metric_source_name(enum metric_source source) {
  assert((size_t)source < METRICS_SOURCES);
  return source_names[source];
}

enum status metric_source_parse(const char *word, enum metric_source *out) {
  for (size_t i = 0; i < METRICS_SOURCES; i++)
    if (strcmp(word, source_names[i]) == 0) {
      *out = (enum metric_source)i;
      return STATUS_OK;
    }
  return STATUS_INVALID;
}

static const enum store_db databases[METRICS_SOURCES] = {
    [METRICS_PROBE] = STORE_DB_METRICS_PROBE,   [METRICS_SNMP] = STORE_DB_METRICS_SNMP,
    [METRICS_SCRAPE] = STORE_DB_METRICS_SCRAPE, [METRICS_CHECK] = STORE_DB_METRICS_CHECK,
    [METRICS_AGENT] = STORE_DB_METRICS_AGENT,   [METRICS_UTILIZATION] = STORE_DB_METRICS_UTILIZATION,
};

enum store_db metrics_db(enum metric_source source) {
  assert((size_t)source < METRICS_SOURCES);
  return databases[source];
}

enum metric_source metrics_source_of(enum store_db db) {
  for (int source = 0; source < METRICS_SOURCES; source++)
    if (databases[source] == db)
      return (enum metric_source)source;
  return METRICS_SOURCES;
}
