#include "gslb/main/ctl_history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/main/ctl_http.h"
#include "gslb/main/ctl_table.h"
#include "gslb/model/scalar.h"

#define PATH_SIZE 4096

static void print_list(const json_t *document) {
  struct ctl_table table;
  size_t index;
  json_t *series;
  ctl_table_begin(&table, (const char *const[]){"METRIC", "SOURCE", "SINCE", NULL});
  json_array_foreach(json_object_get(document, "series"), index, series) {
    ctl_table_add(&table, mem_strdup(ctl_text(series, "metric")));
    ctl_table_add(&table, mem_strdup(ctl_text(series, "source")));
    ctl_table_add(&table, ctl_time_text(series, "since_at"));
  }
  ctl_table_end(&table, "");
}

static void print_points(const json_t *document) {
  static const char *const figures[] = {"min", "mean", "max"};
  struct ctl_table table;
  size_t index;
  json_t *point;
  ctl_table_begin(&table, (const char *const[]){"AT", "MIN", "MEAN", "MAX", "SAMPLES", NULL});
  json_array_foreach(json_object_get(document, "points"), index, point) {
    ctl_table_add(&table, ctl_time_text(point, "at"));
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
      ctl_table_add(&table, mem_format("%.7g", json_number_value(json_object_get(point, figures[i]))));
    ctl_table_add(&table, ctl_number_text(point, "count"));
  }
  ctl_table_end(&table, "");
}

/* "-6h" as "-21600"; a time as it is. -1: well; else the exit status. */
static int add_time(char *path, const char *name, const char *text) {
  char seconds[32];
  int64_t ago_ms;
  if (text && text[0] == '-') {
    if (scalar_duration(text + 1, &ago_ms, NULL) != STATUS_OK)
      return ctl_misuse("--%s is a time such as -6h or 2026-11-21T13:30:00Z, not %s", name, text);
    snprintf(seconds, sizeof seconds, "-%lld", (long long)(ago_ms / 1000));
    text = seconds;
  }
  ctl_http_argument(path, PATH_SIZE, name, text);
  return -1;
}

static int add_step(char *path, const char *text) {
  char seconds[32];
  int64_t step_ms;
  if (!text)
    return -1;
  if (scalar_duration(text, &step_ms, NULL) != STATUS_OK || step_ms < 1000)
    return ctl_misuse("--step is a duration such as 5m, 1h, not %s", text);
  snprintf(seconds, sizeof seconds, "%lld", (long long)(step_ms / 1000));
  ctl_http_argument(path, PATH_SIZE, "step", seconds);
  return -1;
}

/* "service/member" of a member that was named alone; free() it. NULL: *exit_status tells. */
static char *find_id(struct ctl_source *source, const struct ctl_question *question, int *exit_status) {
  char path[PATH_SIZE];
  json_t *member = NULL;
  struct errbuf err;
  if (question->service)
    return mem_format("%s/%s", question->service, question->member);
  ctl_member_path("/v1/members", question, path, sizeof path);
  if (ctl_write(source, "GET", path, NULL, &member, &err) != STATUS_OK) {
    *exit_status = ctl_fail(source, &err);
    return NULL;
  }
  char *id = mem_format("%s/%s", ctl_text(member, "service"), ctl_text(member, "name"));
  json_decref(member);
  return id;
}

int ctl_history(const struct ctl_line *line, struct ctl_source *source, const struct ctl_question *question) {
  const char *metric = line->count > 2 ? line->words[2] : NULL;
  char path[PATH_SIZE];
  int exit_status = -1;
  char *id = find_id(source, question, &exit_status);
  if (!id)
    return exit_status;
  char *slash = strrchr(id, '/');
  *slash = '\0';
  struct ctl_question found = {.subject = CTL_MEMBER, .service = id, .member = slash + 1};
  ctl_member_path("/v1/members", &found, path, sizeof path - sizeof "/history");
  strcat(path, "/history");
  free(id);
  ctl_http_argument(path, sizeof path, "metric", metric);
  ctl_http_argument(path, sizeof path, "source", line->source);
  exit_status = add_time(path, "from", line->from);
  if (exit_status < 0)
    exit_status = add_time(path, "to", line->to);
  if (exit_status < 0)
    exit_status = add_step(path, line->step);
  return exit_status < 0 ? ctl_send(line, source, "GET", path, NULL, metric ? print_points : print_list) : exit_status;
}
