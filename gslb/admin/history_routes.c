#include "gslb/admin/history_routes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/model/history.h"
#include "gslb/model/scalar.h"
#include "gslb/net/reply.h"

#define FROM_MS (-HISTORY_HOUR_MS) /* unless it is told */
#define SECONDS_MOST (10 * 365 * 86400.0)

enum status history_routes_parse_time(const char *text, int64_t now_ms, int64_t *out) {
  double seconds;
  if (scalar_decimal(text, &seconds) == STATUS_OK) {
    if (fabs(seconds) > SECONDS_MOST)
      return STATUS_INVALID;
    *out = now_ms + (int64_t)(seconds * 1000.0);
    return STATUS_OK;
  }
  int64_t at_ms = clock_parse_utc(text);
  if (at_ms <= 0)
    return STATUS_INVALID;
  *out = at_ms;
  return STATUS_OK;
}

static bool read_time(struct visit *visit, const char *argument, int64_t now_ms, int64_t *out) {
  const char *text = http_call_query(visit->call, argument);
  if (!text || history_routes_parse_time(text, now_ms, out) == STATUS_OK)
    return true;
  reply_problem(visit->call, 400, "%s is a time as RFC 3339 writes it in UTC, or seconds from now such as -3600",
                argument);
  return false;
}

static bool read_range(struct visit *visit, struct history_range *range) {
  int64_t now_ms = house_now_ms(&view_sources(visit->view)->house), step_s = 0;
  struct errbuf err;
  *range = (struct history_range){.from_ms = now_ms + FROM_MS, .to_ms = now_ms};
  if (!read_time(visit, "from", now_ms, &range->from_ms) || !read_time(visit, "to", now_ms, &range->to_ms) ||
      !visit_number(visit, "step", 1, HISTORY_SLOTS_KEPT * HISTORY_HOUR_MS / 1000, &step_s))
    return false;
  range->step_ms = step_s * 1000;
  if (history_choose(range, now_ms, &err) == STATUS_OK)
    return true;
  reply_problem(visit->call, 400, "%s", err.text);
  return false;
}

static json_t *id_of(const struct view_name *name) {
  char *id = mem_format("%s/%s", name->service, name->member);
  json_t *value = value_text(id);
  free(id);
  return value;
}

static json_t *list_shown(const struct view_name *name, const struct history_series *series, size_t count) {
  json_t *rows = json_array();
  for (size_t i = 0; i < count; i++)
    json_array_append_new(rows,
                          value_must(json_pack("{s:o, s:s, s:o}", "metric", value_text(series[i].metric), "source",
                                               series[i].source, "since_at", value_time(series[i].since_ms))));
  return value_must(json_pack("{s:o, s:o}", "id", id_of(name), "series", rows));
}

static json_t *points_shown(const struct history_range *range, const struct history_cell *cells) {
  json_t *points = json_array();
  for (size_t i = 0; i < history_points(range); i++) {
    const struct history_cell *cell = &cells[i];
    if (cell->count == 0)
      continue;
    int64_t at_ms = range->from_ms + (int64_t)i * range->step_ms;
    json_array_append_new(points, value_must(json_pack("{s:o, s:f, s:f, s:f, s:I}", "at", value_time(at_ms), "min",
                                                       cell->min, "mean", cell->mean, "max", cell->max, "count",
                                                       (json_int_t)cell->count)));
  }
  return points;
}

static json_t *series_shown(const struct view_name *name, const struct history_series *series,
                            const struct history_range *range, const struct history_cell *cells) {
  return value_must(
      json_pack("{s:o, s:o, s:s, s:o, s:o, s:I, s:I, s:o}", "id", id_of(name), "metric", value_text(series->metric),
                "source", series->source, "from_at", value_time(range->from_ms), "to_at", value_time(range->to_ms),
                "step_s", (json_int_t)(range->step_ms / 1000), "resolution_s",
                (json_int_t)(history_slot_ms(range->resolution) / 1000), "points", points_shown(range, cells)));
}

/* The one series that is meant; answers the call itself where there is not exactly one. */
static const struct history_series *choose_series(struct visit *visit, const struct history_series *series,
                                                  size_t count) {
  const char *metric = http_call_query(visit->call, "metric"), *source = http_call_query(visit->call, "source");
  const struct history_series *found = NULL;
  json_t *candidates = json_array();
  for (size_t i = 0; i < count; i++) {
    if (strcmp(series[i].metric, metric) != 0 || (source && strcmp(series[i].source, source) != 0))
      continue;
    found = &series[i];
    json_array_append_new(candidates, value_text(series[i].source));
  }
  if (json_array_size(candidates) == 1) {
    json_decref(candidates);
    return found;
  }
  if (found) {
    reply_problem_with(visit->call, 409, "several sources have this metric", "candidates", candidates, NULL);
    return NULL;
  }
  json_decref(candidates);
  reply_problem(visit->call, 404, "nothing is kept of this metric%s",
                view_config(visit->view)->has_history ? "" : ", and the configuration keeps none (server.history)");
  return NULL;
}

static void reply_series(struct visit *visit, const struct view_name *name, const struct history_series *series,
                         const struct history_range *range) {
  struct errbuf err;
  struct history_cell *cells = mem_array(history_points(range), sizeof *cells);
  if (history_read(view_sources(visit->view)->durable, series, range, cells, &err) == STATUS_OK)
    reply_json(visit->call, 200, series_shown(name, series, range, cells));
  else
    reply_problem(visit->call, 503, "%s", err.text);
  free(cells);
}

void history_routes_get(struct visit *visit, const struct view_name *name) {
  struct history_series *series = NULL;
  size_t count = 0;
  struct history_range range;
  struct errbuf err;
  if (!read_range(visit, &range) || !visit_has(visit, view_sources(visit->view)->durable, "the history"))
    return;
  if (history_list(view_sources(visit->view)->durable, name->service, name->member, &series, &count, &err) !=
      STATUS_OK) {
    reply_problem(visit->call, 503, "%s", err.text);
    return;
  }
  if (http_call_query(visit->call, "metric")) {
    const struct history_series *one = choose_series(visit, series, count);
    if (one)
      reply_series(visit, name, one, &range);
  } else {
    reply_json(visit->call, 200, list_shown(name, series, count));
  }
  free(series);
}
