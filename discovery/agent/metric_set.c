#include "discovery/agent/metric_set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/base/value.h"

static const char *const orca_names[] =
    {"cpu_utilization", "mem_utilization", "application_utilization", "rps_fractional", "eps", NULL};
static const char name_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";

bool metric_set_put(struct metric_set *set, const char *name, double value) {
  size_t length = strlen(name);
  if (length == 0 || length >= sizeof set->values[0].name || strspn(name, name_characters) != length ||
      !isfinite(value))
    return false;
  size_t i = 0;
  while (i < set->count && strcmp(set->values[i].name, name) != 0)
    i++;
  if (i == METRICS_MOST)
    return false;
  if (i == set->count) {
    memcpy(set->values[i].name, name, length + 1);
    set->count++;
  }
  set->values[i].value = value;
  return true;
}

const double *metric_set_find(const struct metric_set *set, const char *name) {
  for (size_t i = 0; i < set->count; i++)
    if (strcmp(set->values[i].name, name) == 0)
      return &set->values[i].value;
  return NULL;
}

void metric_set_add(struct metric_set *set, const struct metric_set *others) {
  for (size_t i = 0; i < others->count; i++)
    metric_set_put(set, others->values[i].name, others->values[i].value);
}

static enum status take_object(const json_t *object, struct metric_set *set, bool is_inner, struct errbuf *err) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)object, name, value) {
    enum status status = STATUS_OK;
    if (json_is_number(value) && !metric_set_put(set, name, json_number_value(value)))
      status = errbuf_set(err, STATUS_INVALID, "\"%.80s\" is no name of a metric, or there are more than %u", name,
                          METRICS_MOST);
    else if (!is_inner && strcmp(name, "named_metrics") == 0 && json_is_object(value))
      status = take_object(value, set, true, err);
    else if (!json_is_number(value))
      status = errbuf_set(err, STATUS_INVALID, "\"%.80s\" is no number", name);
    if (status)
      return status;
  }
  return STATUS_OK;
}

static bool read_number(const char *text, double *out) {
  char *end;
  if (strspn(text, "0123456789+-.eE") != strlen(text))
    return false;
  *out = strtod(text, &end);
  return end != text && *end == '\0' && isfinite(*out);
}

/* Cuts blanks and line ends off both ends. */
static char *trim(char *text) {
  text += strspn(text, " \t\r\n");
  size_t length = strlen(text);
  while (length && strchr(" \t\r\n", text[length - 1]))
    length--;
  text[length] = '\0';
  return text;
}

static enum status take_lines(char *text, struct metric_set *set, struct errbuf *err) {
  char *rest = text;
  for (int number = 1; rest; number++) {
    char *line = strsep(&rest, "\n");
    line[strcspn(line, "#")] = '\0';
    line = trim(line);
    if (!*line)
      continue;
    size_t length = strcspn(line, "= \t");
    char *figure = line + length;
    bool has_value = *figure != '\0';
    double value;
    if (has_value) {
      *figure = '\0';
      figure = trim(figure + 1);
      if (*figure == '=')
        figure = trim(figure + 1);
    }
    if (!has_value || !read_number(figure, &value))
      return errbuf_set(err, STATUS_INVALID, "line %d is not \"name value\"", number);
    if (!metric_set_put(set, line, value))
      return errbuf_set(err, STATUS_INVALID, "line %d: \"%.80s\" is no name of a metric, or there are more than %u",
                        number, line, METRICS_MOST);
  }
  return STATUS_OK;
}

enum status metric_set_parse(const char *text, size_t size, const char *name, struct metric_set *out,
                             struct errbuf *err) {
  struct metric_set set = {0};
  enum status status = STATUS_OK;
  char *copy = mem_alloc(size + 1);
  memcpy(copy, text, size);
  char *start = trim(copy);
  double value;
  if (*start == '{') {
    json_error_t why;
    json_t *object = json_loads(start, JSON_REJECT_DUPLICATES, &why);
    status = object ? take_object(object, &set, false, err)
                    : errbuf_set(err, STATUS_INVALID, "line %d: %s", why.line, why.text);
    json_decref(object);
  } else if (read_number(start, &value)) {
    if (!name)
      status = errbuf_set(err, STATUS_INVALID, "it is a number alone, which needs a name");
    else if (!metric_set_put(&set, name, value))
      status = errbuf_set(err, STATUS_INVALID, "\"%.80s\" is no name of a metric", name);
  } else {
    status = take_lines(start, &set, err);
  }
  free(copy);
  if (status == STATUS_OK)
    *out = set;
  return status;
}

static bool is_orca(const char *name) {
  for (size_t i = 0; orca_names[i]; i++)
    if (strcmp(name, orca_names[i]) == 0)
      return true;
  return false;
}

void metric_set_write(const struct metric_set *set, json_t *status) {
  json_t *named = value_must(json_object());
  for (size_t i = 0; i < set->count; i++)
    json_object_set_new(is_orca(set->values[i].name) ? status : named, set->values[i].name,
                        value_must(json_real(set->values[i].value)));
  if (json_object_size(named))
    json_object_set(status, "named_metrics", named);
  json_decref(named);
}
