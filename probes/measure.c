#include "probes/measure.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/window.h"

#define ERRORS "errors."

struct measure_view { /* over time, of one metric of the load section */
  struct window window;
};

static uint8_t *encode(const struct live_row *row, size_t *size) {
  struct measure *measure = (struct measure *)(uintptr_t)((const char *)row - offsetof(struct measure, row));
  struct metrics_record *record = mem_resize(NULL, 1, sizeof *record);
  measure_read(measure, record);
  uint8_t *bytes = metrics_encode(record, size);
  free(record);
  return bytes;
}

struct measure *measure_new(const char *service, const char *member) {
  struct measure *measure = mem_alloc(sizeof *measure);
  record_key_member(service, member, &measure->row.key);
  measure->row.db = STORE_DB_METRICS_PROBE;
  measure->row.encode = encode;
  return measure;
}

void measure_free(struct measure *measure) {
  if (!measure)
    return;
  free(measure->views);
  free(measure);
}

const char *measure_member(const struct measure *measure) {
  const char *service = (const char *)measure->row.key.bytes;
  /* the key ends without a NUL, but its memory was zeroed, and a key never fills it */
  return service + strlen(service) + 1;
}

static bool is_wanted(const struct config_load_metric *metric) {
  return metric->view != VIEW_LAST && (metric->source == METRICS_PROBE || metric->source == METRICS_SOURCES);
}

void measure_configure(struct measure *measure, const struct config_load *load, int64_t interval_ms) {
  measure->interval_ms = interval_ms;
  const struct config_load *before = measure->load;
  measure->load = load;
  bool stays = before && load && before->metric_count == load->metric_count;
  for (size_t i = 0; stays && i < load->metric_count; i++)
    stays = strcmp(before->metrics[i].name, load->metrics[i].name) == 0;
  if (stays)
    return;
  free(measure->views);
  measure->views = load && load->metric_count > 0 ? mem_array(load->metric_count, sizeof *measure->views) : NULL;
}

static double find_value(const struct metrics_record *record, const char *name) {
  for (uint32_t i = 0; i < record->count; i++)
    if (strcmp(record->values[i].name, name) == 0)
      return record->values[i].value;
  return 0;
}

void measure_restore(struct measure *measure, const struct metrics_record *record) {
  if (measure->at_ms)
    return;
  char name[48];
  measure->bytes = (uint64_t)find_value(record, "bytes");
  measure->mean_us = find_value(record, "response_time_mean_ms") * 1000;
  measure->passed = record->read;
  for (int reason = PROBE_PASSED + 1; reason < PROBE_NOT_MADE; reason++) {
    snprintf(name, sizeof name, ERRORS "%s", probe_reason_name((enum probe_reason)reason));
    measure->errors[reason] = (uint64_t)find_value(record, name);
  }
}

static void remember(struct measure *measure, uint32_t rtt_us) {
  uint32_t at = (measure->first + measure->count) % MEASURE_RESULTS;
  measure->rtt_us[at] = rtt_us;
  if (measure->count < MEASURE_RESULTS)
    measure->count++;
  else
    measure->first = (measure->first + 1) % MEASURE_RESULTS;
}

bool measure_take(struct measure *measure, const struct probe_result *result, const void *check, uint64_t number,
                  int64_t now_ms) {
  assert(result->reason != PROBE_NOT_MADE);
  if (measure->counted == check && measure->number == number)
    return false;
  measure->counted = check;
  measure->number = number;
  measure->at_ms = now_ms;
  measure->bytes += result->bytes;
  if (result->reason == PROBE_PASSED) {
    measure->last_us = result->rtt_us ? result->rtt_us : 1;
    measure->passed++;
    measure->mean_us += measure->mean_us > 0 ? (measure->last_us - measure->mean_us) / 8 : measure->last_us;
    measure->reason[0] = '\0';
    remember(measure, measure->last_us);
  } else {
    measure->errors[result->reason]++;
    snprintf(measure->reason, sizeof measure->reason, "%s", result->text);
    remember(measure, 0);
  }
  if (measure->put_ms && now_ms - measure->put_ms < MEASURE_WRITE_MS)
    return false;
  measure->put_ms = now_ms;
  return true;
}

static int compare_times(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return (left > right) - (left < right);
}

static void add(struct metrics_record *record, const char *name, double value) {
  if (record->count == METRICS_MOST)
    return;
  struct metric_value *added = &record->values[record->count++];
  *added = (struct metric_value){.value = value};
  snprintf(added->name, sizeof added->name, "%s", name);
}

static double rank_ms(const uint32_t *sorted, uint32_t count, uint32_t percent) {
  uint32_t rank = (count * percent + 99) / 100;
  return sorted[rank > 0 ? rank - 1 : 0] / 1000.0;
}

static void add_times(const struct measure *measure, struct metrics_record *out) {
  uint32_t sorted[MEASURE_RESULTS], passed = 0;
  for (uint32_t i = 0; i < measure->count; i++)
    if (measure->rtt_us[i])
      sorted[passed++] = measure->rtt_us[i];
  if (measure->last_us)
    add(out, "response_time_ms", measure->last_us / 1000.0);
  if (measure->mean_us > 0)
    add(out, "response_time_mean_ms", measure->mean_us / 1000.0);
  if (passed > 0) {
    qsort(sorted, passed, sizeof sorted[0], compare_times);
    add(out, "response_time_p50_ms", rank_ms(sorted, passed, 50));
    add(out, "response_time_p95_ms", rank_ms(sorted, passed, 95));
    add(out, "response_time_p99_ms", rank_ms(sorted, passed, 99));
  }
  if (measure->count > 0)
    add(out, "loss", (double)(measure->count - passed) / measure->count);
}

static void add_views(struct measure *measure, struct metrics_record *out) {
  for (size_t m = 0; measure->load && m < measure->load->metric_count; m++) {
    const struct config_load_metric *metric = &measure->load->metrics[m];
    struct window_views views;
    for (uint32_t i = 0; is_wanted(metric) && i < out->count; i++) {
      struct metric_value *value = &out->values[i];
      if (strcmp(value->name, metric->name) != 0)
        continue;
      window_add(&measure->views[m].window, measure->at_ms, value->value, measure->load->window_ms);
      window_views(&measure->views[m].window, &views);
      value->has_views = true;
      value->mean = views.mean;
      value->peak = views.peak;
      value->p95 = views.p95;
      value->rate = views.rate;
    }
  }
}

void measure_read(struct measure *measure, struct metrics_record *out) {
  uint64_t failed = 0;
  char name[48];
  memset(out, 0, offsetof(struct metrics_record, values));
  out->at_ms = measure->at_ms;
  /* rows come at most so often, however short the interval */
  out->interval_ms = measure->interval_ms > MEASURE_WRITE_MS ? measure->interval_ms : MEASURE_WRITE_MS;
  add_times(measure, out);
  add(out, "bytes", (double)measure->bytes);
  for (int reason = PROBE_PASSED + 1; reason < PROBE_NOT_MADE; reason++) {
    failed += measure->errors[reason];
    if (!measure->errors[reason])
      continue;
    snprintf(name, sizeof name, ERRORS "%s", probe_reason_name((enum probe_reason)reason));
    add(out, name, (double)measure->errors[reason]);
  }
  out->read = measure->passed;
  out->failed = failed;
  snprintf(out->reason, sizeof out->reason, "%s", measure->reason);
  add_views(measure, out);
}
