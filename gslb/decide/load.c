#include "gslb/decide/load.h"

#include <math.h>
#include <string.h>

#define INTERVAL_STANDARD_MS 10000
#define FRESH_INTERVALS 1.5
#define FADED_INTERVALS 3.0
#define IGNORED_INTERVALS 10.0

static int64_t told_ms(int64_t interval_ms) {
  return interval_ms > 0 ? interval_ms : INTERVAL_STANDARD_MS;
}

double load_freshness(int64_t age_ms, int64_t interval_ms) {
  double intervals = (double)age_ms / (double)told_ms(interval_ms);
  if (intervals <= FRESH_INTERVALS)
    return 1.0;
  if (intervals >= IGNORED_INTERVALS)
    return -1.0;
  if (intervals >= FADED_INTERVALS)
    return 0.0;
  return (FADED_INTERVALS - intervals) / (FADED_INTERVALS - FRESH_INTERVALS);
}

int64_t load_fades_ms(int64_t at_ms, int64_t interval_ms, int64_t now_ms) {
  static const double steps[] = {FRESH_INTERVALS, FADED_INTERVALS, IGNORED_INTERVALS};
  double freshness = load_freshness(now_ms > at_ms ? now_ms - at_ms : 0, interval_ms);
  if (freshness > 0.0 && freshness < 1.0)
    return now_ms;
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    int64_t step_ms = at_ms + (int64_t)(steps[i] * (double)told_ms(interval_ms) + 0.5);
    if (step_ms > now_ms)
      return step_ms;
  }
  return INT64_MAX;
}

enum status load_compute(const struct load_term *terms, size_t count, double *load) {
  double sum = 0.0, weights = 0.0;
  for (size_t i = 0; i < count; i++) {
    if (!terms[i].has_value)
      continue;
    sum += terms[i].metric->weight * terms[i].counted;
    weights += terms[i].metric->weight;
  }
  if (!(weights > 0.0))
    return STATUS_NODATA;
  *load = sum / weights;
  return STATUS_OK;
}

static const struct metric_value *find_value(const struct metrics_record *record, const char *name) {
  for (uint32_t i = 0; record && i < record->count; i++)
    if (strcmp(record->values[i].name, name) == 0)
      return &record->values[i];
  return NULL;
}

static double in_view(const struct metric_value *value, enum metric_view view) {
  if (!value->has_views)
    return value->value;
  switch (view) {
  case VIEW_MEAN:
    return value->mean;
  case VIEW_RATE:
    return value->rate;
  case VIEW_PEAK:
    return value->peak;
  case VIEW_P95:
    return value->p95;
  case VIEW_LAST:
    break;
  }
  return value->value;
}

/* The metric's value of one source; of several sources that have it the freshest. */
static const struct metric_value *choose_value(const struct config_load_metric *metric,
                                               const struct member_facts *member, enum metric_source *source) {
  const struct metric_value *chosen = NULL;
  for (int i = 0; i < METRICS_SOURCES; i++) {
    const struct metrics_record *record = member->metrics[i];
    if (metric->source != METRICS_SOURCES && (int)metric->source != i)
      continue;
    const struct metric_value *value = find_value(record, metric->name);
    if (!value || (chosen && record->at_ms <= member->metrics[*source]->at_ms))
      continue;
    chosen = value;
    *source = (enum metric_source)i;
  }
  return chosen;
}

static double told_ceiling(const struct config_load_metric *metric, const struct member_facts *member,
                           enum metric_source source) {
  char name[METRICS_NAME_SIZE];
  size_t length = strlen(metric->name);
  static const char suffix[] = "_ceiling";
  if (length + sizeof suffix > sizeof name)
    return 0.0;
  memcpy(name, metric->name, length);
  memcpy(name + length, suffix, sizeof suffix);
  const struct metric_value *value = find_value(member->metrics[source], name);
  return value ? value->value : 0.0;
}

static double ceiling_of(const struct config_load_metric *metric, const struct member_facts *member,
                         enum metric_source source) {
  if (metric->ceiling > 0.0)
    return metric->ceiling;
  double told = told_ceiling(metric, member, source);
  return told > 0.0 ? told : 1.0;
}

/* With hysteresis: passed above the threshold, passed no more below the release; in between as it was. */
static bool is_over(const struct config_load_metric *metric, double value, bool was_over) {
  if (!metric->has_threshold)
    return false;
  if (metric->is_more_better)
    return was_over ? value <= metric->release : value < metric->threshold;
  return was_over ? value >= metric->release : value > metric->threshold;
}

static void read_term(const struct config_load_metric *metric, const struct member_facts *member, bool was_over,
                      int64_t now_ms, struct load_term *out) {
  out->metric = metric;
  const struct metric_value *value = choose_value(metric, member, &out->source);
  if (!value)
    return;
  const struct metrics_record *record = member->metrics[out->source];
  out->age_ms = now_ms > record->at_ms ? now_ms - record->at_ms : 0;
  out->freshness = load_freshness(out->age_ms, record->interval_ms);
  out->value = in_view(value, metric->view);
  out->ceiling = ceiling_of(metric, member, out->source);
  if (out->freshness < 0.0 || !isfinite(out->value)) {
    out->freshness = 0.0;
    return;
  }
  out->has_value = true;
  out->ratio = out->value / out->ceiling;
  if (metric->is_more_better)
    out->ratio = (out->ceiling - out->value) / out->ceiling;
  out->is_over = is_over(metric, out->value, was_over);
}

/* Of one metric over the group, each member's figure counting as far as it is fresh; NAN: nobody has a fresh one. */
static double group_mean(const struct load_figure *figures, size_t count, size_t term) {
  double sum = 0.0, weights = 0.0;
  for (size_t i = 0; i < count; i++) {
    const struct load_term *one = &figures[i].terms[term];
    if (!one->has_value)
      continue;
    sum += one->freshness * one->ratio;
    weights += one->freshness;
  }
  return weights > 0.0 ? sum / weights : NAN;
}

/* A figure that has faded, or is not there, counts as the group's mean; where the group has none, as what it was last.
 */
static void count_terms(struct load_figure *figures, size_t count, size_t term) {
  double mean = group_mean(figures, count, term);
  for (size_t i = 0; i < count; i++) {
    struct load_term *one = &figures[i].terms[term];
    if (isnan(mean)) {
      one->counted = one->ratio;
      continue;
    }
    one->counted = one->has_value ? one->freshness * one->ratio + (1.0 - one->freshness) * mean : mean;
    one->has_value = true;
  }
}

static void finish(const struct config_load *load, struct load_figure *figure) {
  double weights = 0.0;
  size_t over = 0, with_threshold = 0;
  figure->has_load = load_compute(figure->terms, figure->term_count, &figure->load) == STATUS_OK;
  for (size_t i = 0; i < figure->term_count; i++)
    weights += figure->terms[i].has_value ? figure->terms[i].metric->weight : 0.0;
  for (size_t i = 0; i < figure->term_count; i++) {
    struct load_term *term = &figure->terms[i];
    if (term->has_value)
      term->share = term->metric->weight * term->counted / weights;
    with_threshold += term->metric->has_threshold;
    over += term->is_over;
    if (term->is_over)
      figure->over |= UINT64_C(1) << i;
  }
  figure->is_over = load->rule == THRESHOLD_ALL ? with_threshold > 0 && over == with_threshold : over > 0;
}

void load_evaluate(const struct config_load *load, const struct service_facts *facts, int64_t now_ms,
                   struct arena *arena, struct load_figure **out) {
  size_t count = facts->service->member_count;
  struct load_figure *figures = arena_array(arena, count, sizeof *figures);
  for (size_t i = 0; i < count; i++) {
    figures[i].term_count = load->metric_count;
    figures[i].terms = arena_array(arena, load->metric_count, sizeof *figures[i].terms);
    uint64_t was = facts->members[i].load_over;
    for (size_t t = 0; t < load->metric_count; t++)
      read_term(&load->metrics[t], &facts->members[i], t < 64 && (was >> t & 1), now_ms, &figures[i].terms[t]);
  }
  for (size_t t = 0; t < load->metric_count; t++)
    count_terms(figures, count, t);
  for (size_t i = 0; i < count; i++)
    finish(load, &figures[i]);
  *out = figures;
}
