#include "discovery/registry/report.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/model/domain.h"
#include "gslb/model/name_index.h"
#include "gslb/model/registration.h"

#define NO_LOAD (NAME_INDEX_NONE - 1)

struct wish { /* a load section */
  int64_t window_ms;
  const char *const *names; /* of figures that are looked at over time, NULL-terminated */
};

struct report_wishes {
  struct arena arena;
  struct wish *loads;         /* in the configuration's order */
  struct name_index services; /* and patterns, by their name -> index of the load section, or NO_LOAD */
};

static const char *const *copy_names(struct arena *arena, const struct config_load *load) {
  const char **names = arena_array(arena, load->metric_count + 1, sizeof *names);
  size_t count = 0;
  for (size_t i = 0; i < load->metric_count; i++) {
    const struct config_load_metric *metric = &load->metrics[i];
    bool is_told = metric->source == METRICS_AGENT || metric->source == METRICS_SOURCES;
    if (is_told && metric->view != VIEW_LAST)
      names[count++] = arena_strdup(arena, metric->name);
  }
  return names;
}

struct report_wishes *report_wishes_new(const struct config *config) {
  struct report_wishes *wishes = mem_alloc(sizeof *wishes);
  wishes->loads = arena_array(&wishes->arena, config->load_count + 1, sizeof *wishes->loads);
  for (size_t i = 0; i < config->load_count; i++)
    wishes->loads[i] = (struct wish){config->loads[i].window_ms, copy_names(&wishes->arena, &config->loads[i])};
  for (size_t i = 0; i < config->service_count && config->load_count > 0; i++) {
    const struct config_service *service = &config->services[i];
    if (!config_service_is_vacancy(service))
      name_index_add(&wishes->services, &wishes->arena, arena_strdup(&wishes->arena, service->name),
                     service->load == CONFIG_NO_LOAD ? NO_LOAD : service->load);
  }
  return wishes;
}

void report_wishes_free(struct report_wishes *wishes) {
  if (!wishes)
    return;
  arena_release(&wishes->arena);
  free(wishes);
}

static const struct wish *find_wish(const struct report_wishes *wishes, const char *service) {
  char pattern[DOMAIN_TEXT_SIZE + 2];
  if (wishes->services.count == 0)
    return NULL;
  const char *parent = domain_parent(service);
  uint32_t load = name_index_find(&wishes->services, service);
  if (load == NAME_INDEX_NONE && parent) {
    snprintf(pattern, sizeof pattern, "*.%s", parent);
    load = name_index_find(&wishes->services, pattern);
  }
  return load == NAME_INDEX_NONE || load == NO_LOAD ? NULL : &wishes->loads[load];
}

bool report_wishes_load(const struct report_wishes *wishes, const char *service) {
  return find_wish(wishes, service) != NULL;
}

static int64_t window_of(const struct wish *wish, const char *metric) {
  for (const char *const *name = wish->names; *name; name++)
    if (strcmp(*name, metric) == 0)
      return wish->window_ms;
  return 0;
}

static struct report_figure *find_figure(const struct reports *reports, const char *name) {
  for (size_t i = 0; i < reports->count; i++)
    if (strcmp(reports->figures[i].name, name) == 0)
      return &reports->figures[i];
  return NULL;
}

static struct report_figure *add_figure(struct reports *reports, const char *name) {
  reports->figures = mem_grow(reports->figures, &reports->capacity, reports->count + 1, sizeof *reports->figures);
  struct report_figure *figure = &reports->figures[reports->count++];
  *figure = (struct report_figure){.name = mem_strdup(name)};
  return figure;
}

static void add_views(struct reports *reports, struct metric_value *value, int64_t at_ms, int64_t window_ms) {
  struct report_figure *figure = find_figure(reports, value->name);
  struct window_views views;
  if (!figure)
    figure = add_figure(reports, value->name);
  window_add(&figure->window, at_ms, value->value, window_ms);
  window_views(&figure->window, &views);
  if (!isfinite(views.mean) || !isfinite(views.rate))
    return;
  value->has_views = true;
  value->mean = views.mean;
  value->peak = views.peak;
  value->p95 = views.p95;
  value->rate = views.rate;
}

/* Figures that nobody looks at any more, or that the resource does not tell any more. */
static void drop_left(struct reports *reports, const struct metrics_record *record) {
  size_t kept = 0;
  for (size_t i = 0; i < reports->count; i++) {
    bool is_viewed = false;
    for (uint32_t j = 0; j < record->count && !is_viewed; j++)
      is_viewed = record->values[j].has_views && strcmp(record->values[j].name, reports->figures[i].name) == 0;
    if (is_viewed)
      reports->figures[kept++] = reports->figures[i];
    else
      free(reports->figures[i].name);
  }
  reports->count = kept;
}

uint8_t *reports_take(struct reports *reports, const struct metrics_record *told, const struct report_wishes *wishes,
                      const char *const *services, size_t service_count, int64_t at_ms, int64_t interval_ms,
                      size_t *size) {
  const struct wish *found[REGISTRATION_SERVICES_MOST];
  struct metrics_record *record = mem_alloc(sizeof *record);
  assert(service_count <= REGISTRATION_SERVICES_MOST);
  for (size_t i = 0; i < service_count; i++)
    found[i] = find_wish(wishes, services[i]);
  record->at_ms = at_ms;
  record->interval_ms = interval_ms;
  record->read = ++reports->taken;
  record->count = told->count;
  for (uint32_t i = 0; i < told->count; i++) {
    struct metric_value *value = &record->values[i];
    int64_t window_ms = 0;
    memcpy(value->name, told->values[i].name, sizeof value->name);
    value->value = told->values[i].value;
    for (size_t j = 0; j < service_count; j++) {
      int64_t wanted_ms = found[j] ? window_of(found[j], value->name) : 0;
      window_ms = wanted_ms > window_ms ? wanted_ms : window_ms;
    }
    if (window_ms > 0)
      add_views(reports, value, at_ms, window_ms);
  }
  drop_left(reports, record);
  uint8_t *row = metrics_encode(record, size);
  free(record);
  return row;
}

void reports_release(struct reports *reports) {
  for (size_t i = 0; i < reports->count; i++)
    free(reports->figures[i].name);
  free(reports->figures);
  *reports = (struct reports){0};
}
