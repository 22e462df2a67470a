#include "gslb/main/ctl_balancer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/main/ctl_http.h"
#include "gslb/main/ctl_table.h"
#include "gslb/model/scalar.h"

static const char *yes_or_no(const json_t *object, const char *key) {
  return json_is_true(json_object_get(object, key)) ? "yes" : "no";
}

static void print_peers(const json_t *document) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"BALANCER", "OWN", "ALIVE", "ACCEPTS", "SINCE", "LEAVES", "ADDRESS",
                                                "REASON", NULL});
  size_t index;
  json_t *balancer;
  json_array_foreach(json_object_get(document, "balancers"), index, balancer) {
    const char *address = json_string_value(json_array_get(json_object_get(balancer, "addresses"), 0));
    ctl_table_add(&table, mem_strdup(ctl_text(balancer, "identity")));
    ctl_table_add(&table, mem_strdup(yes_or_no(balancer, "own")));
    ctl_table_add(&table, mem_strdup(yes_or_no(balancer, "alive")));
    ctl_table_add(&table, mem_strdup(yes_or_no(balancer, "accepting")));
    ctl_table_add(&table, ctl_time_text(balancer, "since_at"));
    ctl_table_add(&table, ctl_time_text(balancer, "leaves_at"));
    ctl_table_add(&table, mem_strdup(address ? address : "-"));
    ctl_table_add(&table, mem_strdup(ctl_text(balancer, "reason")));
  }
  ctl_table_end(&table, "");
}

int ctl_peers(const struct ctl_line *line, struct ctl_source *source) {
  return ctl_send(line, source, "GET", "/v1/peers", NULL, print_peers);
}

/* Planned absences */

#define SECOND_SIZE 19u /* of "2026-11-21T02:00:00" */

enum status ctl_leave_start(const char *text, time_t now, int64_t *in_ms) {
  if (text[0] == '+')
    return scalar_duration(text + 1, in_ms, NULL);
  struct tm at;
  int hour, minute, used = 0;
  if (sscanf(text, "%2d:%2d%n", &hour, &minute, &used) != 2 || text[used] || text[0] < '0' || hour > 23 || minute < 0 ||
      minute > 59 || !localtime_r(&now, &at))
    return STATUS_INVALID;
  at.tm_hour = hour;
  at.tm_min = minute;
  at.tm_sec = 0;
  at.tm_isdst = -1; /* of that time, not of now */
  struct tm tomorrow = at;
  tomorrow.tm_mday++;
  time_t start = mktime(&at);
  if (start < now)
    start = mktime(&tomorrow);
  *in_ms = (int64_t)(start - now) * 1000;
  return STATUS_OK;
}

static void print_leaves(const json_t *document) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"AT", "UNTIL", "WHO", "WHY", NULL});
  size_t index;
  json_t *leave;
  json_array_foreach(json_object_get(document, "leaves"), index, leave) {
    ctl_table_add(&table, ctl_time_text(leave, "at"));
    ctl_table_add(&table, ctl_time_text(leave, "until"));
    ctl_table_add(&table, mem_strdup(ctl_text(leave, "who")));
    ctl_table_add(&table, mem_strdup(ctl_text(leave, "why")));
  }
  ctl_table_end(&table, "");
}

static void print_leave(const json_t *leave) {
  char *at = ctl_time_text(leave, "at"), *until = ctl_time_text(leave, "until");
  printf("away from %s until %s\n", at, until);
  free(at);
  free(until);
}

static int plan(const struct ctl_line *line, struct ctl_source *source) {
  int64_t at_ms = 0, for_ms = 0;
  int exit_status = ctl_read_duration(line, &for_ms);
  if (exit_status >= 0)
    return exit_status;
  if (!for_ms)
    return ctl_misuse("leave needs --for DURATION: how long is it away?");
  if (line->at && ctl_leave_start(line->at, time(NULL), &at_ms) != STATUS_OK)
    return ctl_misuse("--at is a time such as 02:00, or +10m, not %s", line->at);
  json_t *body = json_pack("{s:f, s:f, s:s?}", "at_s", (double)at_ms / 1000.0, "for_s", (double)for_ms / 1000.0,
                           "reason", line->reason);
  if (!body)
    return ctl_misuse("--reason is not UTF-8");
  return ctl_send(line, source, "PUT", "/v1/admin/leave", body, print_leave);
}

/* Whether the plan begins at the time as JSON has it, or as the list shows it, or at a part of that from its start. */
static bool begins_at(const char *at, const char *text) {
  size_t length = strlen(text);
  if (length == SECOND_SIZE + 1 && text[SECOND_SIZE] == 'Z')
    length = SECOND_SIZE;
  for (size_t i = 0; i < length; i++)
    if (!at[i] || (at[i] != text[i] && !(at[i] == 'T' && text[i] == ' ')))
      return false;
  return true;
}

static bool to_unix_ms(const char *at, int64_t *unix_ms) {
  struct tm parts = {0};
  const char *rest = strptime(at, "%Y-%m-%dT%H:%M:%S", &parts);
  int milliseconds = 0;
  if (!rest || (rest[0] == '.' && sscanf(rest, ".%3d", &milliseconds) != 1))
    return false;
  *unix_ms = (int64_t)timegm(&parts) * 1000 + milliseconds;
  return true;
}

static int cancel(const struct ctl_line *line, struct ctl_source *source) {
  const char *wanted = line->count > 2 ? line->words[2] : "";
  json_t *document = NULL, *leave, *found = NULL;
  struct errbuf err;
  size_t index, count = 0;
  if (ctl_write(source, "GET", "/v1/peers", NULL, &document, &err) != STATUS_OK)
    return ctl_fail(source, &err);
  json_array_foreach(json_object_get(document, "leaves"), index, leave) {
    if (!begins_at(ctl_text(leave, "at"), wanted))
      continue;
    found = leave;
    count++;
  }
  int64_t unix_ms = 0;
  bool is_one = count == 1 && to_unix_ms(ctl_text(found, "at"), &unix_ms);
  json_decref(document);
  if (!is_one) {
    fprintf(stderr, "gslbctl: %s absences are planned%s%s; see gslbctl leave list\n", count ? "several" : "no",
            wanted[0] ? " at " : "", wanted);
    return EXIT_FAILURE;
  }
  char path[64];
  snprintf(path, sizeof path, "/v1/admin/leave/%lld", (long long)unix_ms);
  return ctl_send(line, source, "DELETE", path, NULL, NULL);
}

int ctl_leave(const struct ctl_line *line, struct ctl_source *source) {
  const char *word = line->count > 1 ? line->words[1] : NULL;
  if (!word)
    return plan(line, source);
  if (strcmp(word, "cancel") == 0)
    return cancel(line, source);
  if (strcmp(word, "list") != 0)
    return ctl_misuse("leave --for DURATION, leave list or leave cancel, not leave %s", word);
  return line->count > 2 ? ctl_misuse("%s is one argument too many", line->words[2])
                         : ctl_send(line, source, "GET", "/v1/peers", NULL, print_leaves);
}
