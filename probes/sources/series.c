#include "probes/sources/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

#define RATE_LEAST_US 1000 /* what was read twice in less tells no rate */

bool series_is_viewed(const struct series_view *view, const char *name) {
  const struct config_load *load = view->load;
  for (size_t i = 0; load && i < load->metric_count; i++) {
    const struct config_load_metric *metric = &load->metrics[i];
    bool is_ours = metric->source == METRICS_SOURCES || metric->source == view->source;
    if (is_ours && metric->view != VIEW_LAST && strcmp(metric->name, name) == 0)
      return true;
  }
  return false;
}

static struct series *find(struct series_set *set, const char *name) {
  for (size_t i = 0; i < set->count; i++)
    if (strcmp(set->items[i].name, name) == 0)
      return &set->items[i];
  return NULL;
}

static struct series *add(struct series_set *set, const char *name) {
  set->items = mem_grow(set->items, &set->capacity, set->count + 1, sizeof *set->items);
  struct series *series = &set->items[set->count++];
  *series = (struct series){.name = mem_strdup(name)};
  return series;
}

static void release(struct series *series) {
  free(series->name);
  free(series->window);
}

static bool is_name(const char *name) {
  size_t length = 0;
  for (; name[length]; length++)
    if (length == METRICS_NAME_SIZE - 1 || (unsigned char)name[length] < ' ' || name[length] == 0x7f)
      return false;
  return length > 0;
}

/* The growth of a counter since it was read last. STATUS_NODATA: it was not, or just now. */
static enum status work_out_rate(struct series *series, double counter, int64_t now_us, double *rate,
                                 struct errbuf *err) {
  double before = series->counter;
  int64_t passed_us = now_us - series->counter_us;
  bool had_counter = series->has_counter;
  if (had_counter && passed_us < RATE_LEAST_US)
    return STATUS_NODATA;
  series->has_counter = true;
  series->counter = counter;
  series->counter_us = now_us;
  if (!had_counter)
    return STATUS_NODATA;
  if (counter < before && counter >= before / 2)
    return errbuf_set(err, STATUS_RANGE, "\"%.80s\" is a counter and fell from %.15g to %.15g", series->name, before,
                      counter);
  double growth = counter >= before ? counter - before : counter;
  *rate = growth * 1e6 / (double)passed_us;
  return STATUS_OK;
}

static enum status check(const struct source_value *value, struct errbuf *err) {
  if (!is_name(value->name))
    return errbuf_set(err, STATUS_INVALID, "a figure has no name of 1 to %u bytes without control characters",
                      METRICS_NAME_SIZE - 1);
  if (!isfinite(value->value) || fabs(value->value) > SERIES_VALUE_MOST)
    return errbuf_set(err, STATUS_RANGE, "\"%.80s\" is %.6g, which is outside plus and minus 1e300", value->name,
                      value->value);
  if (value->is_counter && value->value < 0)
    return errbuf_set(err, STATUS_RANGE, "\"%.80s\" is a counter and below 0: %.15g", value->name, value->value);
  return STATUS_OK;
}

static void keep(struct series *series, double value, const struct series_view *view, int64_t now_ms) {
  series->has_value = true;
  series->value = value;
  if (!series_is_viewed(view, series->name)) {
    free(series->window);
    series->window = NULL;
    return;
  }
  if (!series->window)
    series->window = mem_alloc(sizeof *series->window);
  window_add(series->window, now_ms, value, view->load->window_ms);
}

/* STATUS_NODATA: a counter that has no rate yet. */
static enum status take_value(struct series_set *set, const struct source_value *value, const struct series_view *view,
                              int64_t now_ms, int64_t now_us, struct errbuf *err) {
  enum status status = check(value, err);
  if (status != STATUS_OK)
    return status;
  struct series *series = find(set, value->name);
  if (!series && set->count >= 2 * METRICS_MOST) /* those that are about to go count too */
    return errbuf_set(err, STATUS_LIMIT, "there are more than %u figures", METRICS_MOST);
  if (!series)
    series = add(set, value->name);
  series->round = set->round;
  double kept = value->value;
  if (value->is_counter)
    status = work_out_rate(series, value->value, now_us, &kept, err);
  if (status == STATUS_OK && fabs(kept) > SERIES_VALUE_MOST)
    status = errbuf_set(err, STATUS_RANGE, "\"%.80s\" grows by %.6g a second, which is above 1e300", value->name, kept);
  if (status == STATUS_OK)
    keep(series, kept, view, now_ms);
  else if (status != STATUS_NODATA)
    series->has_value = false;
  return status;
}

static void drop_left(struct series_set *set) {
  size_t kept = 0;
  for (size_t i = 0; i < set->count; i++) {
    if (set->items[i].round == set->round)
      set->items[kept++] = set->items[i];
    else
      release(&set->items[i]);
  }
  set->count = kept;
}

size_t series_take(struct series_set *set, const struct source_value *values, size_t count,
                   const struct series_view *view, int64_t now_ms, int64_t now_us, struct errbuf *refused) {
  size_t refusals = 0;
  set->round++;
  set->at_ms = now_ms;
  for (size_t i = 0; i < count; i++) {
    struct errbuf err = {0};
    enum status status = i < METRICS_MOST
                             ? take_value(set, &values[i], view, now_ms, now_us, &err)
                             : errbuf_set(&err, STATUS_LIMIT, "there are more than %u figures", METRICS_MOST);
    if (status == STATUS_OK || status == STATUS_NODATA)
      continue;
    if (refusals++ == 0 && refused)
      *refused = err;
  }
  drop_left(set);
  return refusals;
}

void series_remember(struct series_set *set, const struct metrics_record *record, const struct series_view *view) {
  set->at_ms = record->at_ms;
  for (uint32_t i = 0; i < record->count; i++)
    keep(add(set, record->values[i].name), record->values[i].value, view, record->at_ms);
}

static void add_views(const struct series *series, struct metric_value *value) {
  struct window_views views;
  window_views(series->window, &views);
  if (!isfinite(views.mean) || !isfinite(views.rate))
    return;
  value->has_views = true;
  value->mean = views.mean;
  value->peak = views.peak;
  value->p95 = views.p95;
  value->rate = views.rate;
}

void series_add(const struct series_set *set, struct metrics_record *record) {
  for (size_t i = 0; i < set->count && record->count < METRICS_MOST; i++) {
    const struct series *series = &set->items[i];
    if (!series->has_value)
      continue;
    struct metric_value *value = &record->values[record->count++];
    memset(value, 0, sizeof *value);
    strcpy(value->name, series->name);
    value->value = series->value;
    if (series->window)
      add_views(series, value);
  }
}

void series_release(struct series_set *set) {
  for (size_t i = 0; i < set->count; i++)
    release(&set->items[i]);
  free(set->items);
  *set = (struct series_set){0};
}
