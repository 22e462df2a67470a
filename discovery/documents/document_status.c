#include "discovery/documents/document.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "discovery/documents/complaint.h"
#include "discovery/documents/reading.h"

#define NUMBER_MOST 1e300
#define EPOCH_MOST ((INT64_C(1) << 53) - 1)

static const char *const utilizations[] =
    {"cpu_utilization", "mem_utilization", "application_utilization", "rps_fractional", "eps", NULL};

/* Keeps the number under its name, or complains. */
static void keep(struct document_status *out, const struct reading *reading, const char *key, const char *name,
                 double number) {
  if (strlen(name) >= sizeof out->metrics.values[0].name) {
    reading_complain(reading, key, "has too long a name: 303 bytes with what stands above it");
  } else if (out->metrics.count >= METRICS_MOST) {
    reading_complain(reading, key, "is one number too many: at most 64 are taken");
  } else {
    struct metric_value *value = &out->metrics.values[out->metrics.count++];
    strcpy(value->name, name);
    value->value = number;
  }
}

static void parse_state(const struct reading *reading, struct document_status *out) {
  const json_t *value = reading_member(reading, "state");
  const char *word = json_string_value(value);
  if (!value)
    return;
  if (word && strcmp(word, "up") == 0)
    out->self = HEALTH_UP;
  else if (word && strcmp(word, "drain") == 0)
    out->self = HEALTH_DRAINING;
  else if (word && strcmp(word, "maint") == 0)
    out->self = HEALTH_DOWN;
  else
    reading_complain(reading, "state", "must be \"up\", \"drain\" or \"maint\"");
}

static void parse_utilizations(const struct reading *reading, struct document_status *out) {
  for (size_t i = 0; utilizations[i]; i++) {
    double number;
    if (reading_number(reading, utilizations[i], 0, NUMBER_MOST, &number))
      keep(out, reading, utilizations[i], utilizations[i], number);
  }
}

static void parse_named(const struct reading *reading, struct document_status *out) {
  json_t *object = reading_member(reading, "named_metrics");
  struct reading named = {object, "/named_metrics", reading->errors};
  if (object && !json_is_object(object))
    reading_complain(reading, "named_metrics", "must be an object of numbers");
  const char *key;
  json_t *value;
  json_object_foreach(object, key, value) {
    char name[sizeof out->metrics.values[0].name + 1];
    double number;
    size_t length = strlen(key);
    if (length < 1 || !reading_is_plain(key, length)) {
      reading_complain(&named, key, "must have a name without control characters");
    } else if (json_is_null(value)) {
      reading_complain(&named, key, "must be a number");
    } else if (reading_number(&named, key, -NUMBER_MOST, NUMBER_MOST, &number)) {
      snprintf(name, sizeof name, "named_metrics.%s", key);
      keep(out, &named, key, name, number);
    }
  }
}

static bool read_fixed(const char *text, size_t digits, int *out) {
  int value = 0;
  for (size_t i = 0; i < digits; i++) {
    if (text[i] < '0' || text[i] > '9')
      return false;
    value = value * 10 + (text[i] - '0');
  }
  *out = value;
  return true;
}

/* RFC 3339 section 5.6, in seconds since 1970; text is NUL-terminated, so no test reads beyond its end. */
static bool read_time(const char *text, double *out) {
  struct tm tm = {0};
  int offset_hour = 0, offset_minute = 0;
  double fraction = 0, place = 0.1;
  if (strlen(text) < 20 || !read_fixed(text, 4, &tm.tm_year) || text[4] != '-' ||
      !read_fixed(text + 5, 2, &tm.tm_mon) || text[7] != '-' || !read_fixed(text + 8, 2, &tm.tm_mday) ||
      (text[10] != 'T' && text[10] != 't') || !read_fixed(text + 11, 2, &tm.tm_hour) || text[13] != ':' ||
      !read_fixed(text + 14, 2, &tm.tm_min) || text[16] != ':' || !read_fixed(text + 17, 2, &tm.tm_sec))
    return false;
  if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
      tm.tm_sec > 60)
    return false;
  text += 19;
  if (*text == '.') {
    for (text++; *text >= '0' && *text <= '9'; text++, place /= 10)
      fraction += (*text - '0') * place;
  }
  bool is_utc = (*text == 'Z' || *text == 'z') && text[1] == '\0';
  if (!is_utc && ((*text != '+' && *text != '-') || strlen(text) != 6 || !read_fixed(text + 1, 2, &offset_hour) ||
                  text[3] != ':' || !read_fixed(text + 4, 2, &offset_minute)))
    return false;
  int offset_s = (offset_hour * 60 + offset_minute) * 60;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  *out = (double)(timegm(&tm) - (*text == '-' ? -offset_s : offset_s)) + fraction;
  return true;
}

static void parse_jobs(const struct reading *reading, struct document_status *out) {
  static const char *const known[] = {"done", "busy_s", "last_ended_at", NULL};
  json_t *object = reading_member(reading, "jobs");
  struct reading jobs = {object, "/jobs", reading->errors};
  if (!object)
    return;
  if (!json_is_object(object)) {
    reading_complain(reading, "jobs", "must be an object with done, busy_s and last_ended_at");
    return;
  }
  reading_refuse_others(&jobs, known);
  double number;
  if (reading_number(&jobs, "done", 0, NUMBER_MOST, &number))
    keep(out, &jobs, "done", "jobs.done", number);
  if (reading_number(&jobs, "busy_s", 0, NUMBER_MOST, &number))
    keep(out, &jobs, "busy_s", "jobs.busy_s", number);
  const json_t *time = reading_member(&jobs, "last_ended_at");
  if (time && json_is_string(time) && read_time(json_string_value(time), &number))
    keep(out, &jobs, "last_ended_at", "jobs.last_ended_at", number);
  else if (time)
    reading_complain(&jobs, "last_ended_at", "must be a time as RFC 3339 writes it");
}

static void parse_service(const struct reading *reading, const char *service, struct document_status *out) {
  static const char *const known[] = {"members_up", "capacity", "utilization_mean", "utilization_p95", "rate", NULL};
  reading_refuse_others(reading, known);
  for (size_t i = 0; known[i]; i++) {
    double number;
    char name[sizeof out->metrics.values[0].name + 1];
    if (!reading_number(reading, known[i], 0, NUMBER_MOST, &number))
      continue;
    snprintf(name, sizeof name, "services.%s.%s", service, known[i]);
    keep(out, reading, known[i], name, number);
  }
}

static void parse_services(const struct reading *reading, struct document_status *out) {
  json_t *object = reading_member(reading, "services");
  struct reading services = {object, "/services", reading->errors};
  if (object && !json_is_object(object))
    reading_complain(reading, "services", "must be an object, one member for each service");
  const char *key;
  json_t *value;
  json_object_foreach(object, key, value) {
    char pointer[COMPLAINT_POINTER_SIZE];
    struct reading service = {value, complaint_pointer(pointer, "/services", key), reading->errors};
    if (!json_is_object(value) || !key[0] || !reading_is_plain(key, strlen(key)))
      reading_complain(&services, key, "must be an object of numbers");
    else
      parse_service(&service, key, out);
  }
}

static double find_metric(const struct metrics_record *metrics, const char *name, double otherwise) {
  for (uint32_t i = 0; i < metrics->count; i++)
    if (strcmp(metrics->values[i].name, name) == 0)
      return metrics->values[i].value;
  return otherwise;
}

enum status document_parse_status(const json_t *json, struct document_status *out, json_t **errors) {
  static const char *const known[] = {"epoch",
                                      "sequence",
                                      "state",
                                      "reason",
                                      "cpu_utilization",
                                      "mem_utilization",
                                      "rps_fractional",
                                      "application_utilization",
                                      "eps",
                                      "named_metrics",
                                      "jobs",
                                      "services",
                                      NULL};
  json_t *found = NULL;
  struct reading reading = {json, "", &found};
  reading_refuse_others(&reading, known);
  *out = (struct document_status){.self = HEALTH_UNKNOWN};
  int64_t epoch = 0, sequence = 0;
  if (!reading_whole(&reading, "epoch", 1, EPOCH_MOST, &epoch) && !reading_member(&reading, "epoch"))
    reading_complain(&reading, "epoch", "is missing: the one that the registration was answered with");
  if (!reading_whole(&reading, "sequence", 1, INT64_MAX, &sequence) && !reading_member(&reading, "sequence"))
    reading_complain(&reading, "sequence", "is missing: a number that grows with each report");
  out->epoch = (uint64_t)epoch;
  out->sequence = (uint64_t)sequence;
  parse_state(&reading, out);
  const char *reason = reading_text(&reading, "reason", sizeof out->self_reason - 1);
  snprintf(out->self_reason, sizeof out->self_reason, "%s", reason ? reason : "");
  parse_utilizations(&reading, out);
  parse_named(&reading, out);
  parse_jobs(&reading, out);
  parse_services(&reading, out);
  double cpu = find_metric(&out->metrics, "cpu_utilization", LEASE_NO_UTILIZATION);
  out->utilization = find_metric(&out->metrics, "application_utilization", cpu);
  if (!found)
    return STATUS_OK;
  *errors = found;
  return STATUS_RANGE;
}
