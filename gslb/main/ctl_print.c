#include "gslb/main/ctl_print.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"

#define COLUMNS_MOST 10

struct table {
  size_t columns;
  char **cells; /* row by row */
  size_t count, capacity;
};

/* titles: ends with NULL. */
static void table_begin(struct table *table, const char *const *titles) {
  *table = (struct table){0};
  for (; titles[table->columns]; table->columns++) {
    table->cells = mem_grow(table->cells, &table->capacity, table->count + 1, sizeof *table->cells);
    table->cells[table->count++] = mem_strdup(titles[table->columns]);
  }
}

/* Takes over text. */
static void table_add(struct table *table, char *text) {
  /* what came from the network must not move the terminal's cursor */
  for (char *at = text; *at; at++)
    if ((unsigned char)*at < 0x20 || *at == 0x7f)
      *at = '?';
  table->cells = mem_grow(table->cells, &table->capacity, table->count + 1, sizeof *table->cells);
  table->cells[table->count++] = text;
}

static size_t width_of(const char *text) {
  size_t width = 0;
  for (; *text; text++)
    width += ((unsigned char)*text & 0xc0) != 0x80; /* characters, not bytes */
  return width;
}

static void table_end(struct table *table, const char *indent) {
  size_t widths[COLUMNS_MOST] = {0};
  for (size_t i = 0; i < table->count; i++) {
    size_t width = width_of(table->cells[i]);
    if (width > widths[i % table->columns])
      widths[i % table->columns] = width;
  }
  for (size_t i = 0; i < table->count; i++) {
    size_t column = i % table->columns;
    if (column == 0)
      fputs(indent, stdout);
    fputs(table->cells[i], stdout);
    if (column + 1 == table->columns)
      putchar('\n');
    else
      printf("%*s", (int)(widths[column] - width_of(table->cells[i]) + 2), "");
    free(table->cells[i]);
  }
  free(table->cells);
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "-";
}

static json_int_t number_of(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

static char *number_text(const json_t *object, const char *key) {
  return mem_format("%lld", (long long)number_of(object, key));
}

static char *age_text(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_number(value))
    return mem_strdup("-");
  long long seconds = (long long)json_number_value(value);
  if (seconds < 60)
    return mem_format("%llds", seconds);
  if (seconds < 3600)
    return mem_format("%lldm%02llds", seconds / 60, seconds % 60);
  if (seconds < 86400)
    return mem_format("%lldh%02lldm", seconds / 3600, seconds / 60 % 60);
  return mem_format("%lldd%02lldh", seconds / 86400, seconds / 3600 % 24);
}

static char *time_text(const json_t *object, const char *key) {
  char *text = mem_strdup(text_of(object, key));
  if (strlen(text) >= 19) { /* to the second; it is UTC and says so */
    text[10] = ' ';
    strcpy(text + 19, "Z");
  }
  return text;
}

static char *override_text(const json_t *override) {
  if (!json_is_object(override))
    return mem_strdup("-");
  char *until = time_text(override, "until_at");
  bool has_end = until[0] != '-';
  char *text = mem_format("%s by %s%s%s: %s", text_of(override, "state"), text_of(override, "who"),
                          has_end ? " until " : "", has_end ? until : "", text_of(override, "why"));
  free(until);
  return text;
}

static void print_head(const json_t *status) {
  char *uptime = age_text(status, "uptime_s");
  bool is_ready = json_is_true(json_object_get(status, "ready"));
  printf("%s  gslb %s  generation %lld  %s%s%s  up %s\n", text_of(status, "identity"), text_of(status, "version"),
         (long long)number_of(status, "generation"), is_ready ? "ready" : "NOT READY", is_ready ? "" : ": ",
         is_ready ? "" : text_of(status, "not_ready_because"), uptime);
  free(uptime);
  size_t index;
  json_t *process;
  const json_t *processes = json_object_get(status, "processes");
  if (json_array_size(processes) > 0)
    fputs("processes", stdout);
  json_array_foreach(processes, index, process) {
    if (number_of(process, "pid"))
      printf("  %s %lld", text_of(process, "name"), (long long)number_of(process, "pid"));
    else
      printf("  %s NOT RUNNING", text_of(process, "name"));
    if (number_of(process, "restarts"))
      printf(" (restarts %lld)", (long long)number_of(process, "restarts"));
  }
  if (json_array_size(processes) > 0)
    putchar('\n');
  const json_t *queries = json_object_get(status, "queries");
  static const char *const shown[] = {"udp", "tcp", "noerror", "nxdomain", "refused", "formerr", "servfail"};
  if (json_object_size(queries) > 0) {
    fputs("queries", stdout);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
      printf("  %s %lld", shown[i], (long long)number_of(queries, shown[i]));
    putchar('\n');
  }
}

/* Members of one service, or of all (NULL) with a column that says which. */
static void print_member_rows(const json_t *members, const char *service, const char *indent) {
  struct table table;
  if (service)
    table_begin(&table,
                (const char *const[]){"MEMBER", "STATE", "AGE", "WEIGHT", "ANSWERED", "ANSWERS", "REASON", NULL});
  else
    table_begin(&table, (const char *const[]){"SERVICE", "MEMBER", "STATE", "AGE", "WEIGHT", "ANSWERED", "ANSWERS",
                                              "REASON", NULL});
  size_t index;
  json_t *member;
  json_array_foreach(members, index, member) {
    if (service && strcmp(text_of(member, "service"), service) != 0)
      continue;
    if (!service)
      table_add(&table, mem_strdup(text_of(member, "service")));
    table_add(&table, mem_strdup(text_of(member, "name")));
    table_add(&table, mem_strdup(text_of(member, "state")));
    table_add(&table, age_text(member, "age_s"));
    table_add(&table, number_text(member, "weight"));
    table_add(&table, mem_strdup(json_is_true(json_object_get(member, "answered")) ? "yes" : "no"));
    table_add(&table, number_text(member, "answers_total"));
    table_add(&table, mem_strdup(text_of(member, "reason")));
  }
  table_end(&table, indent);
}

void ctl_print_status(const json_t *status, const json_t *services, const json_t *members) {
  print_head(status);
  size_t index;
  json_t *service;
  json_array_foreach(json_object_get(services, "services"), index, service) {
    const char *name = text_of(service, "name");
    printf("\n%s  %s  %lld of %lld up  %s  ttl %llds  answers %lld\n", name, text_of(service, "mode"),
           (long long)number_of(service, "members_up"), (long long)number_of(service, "members_total"),
           text_of(service, "method"), (long long)number_of(service, "ttl_s"),
           (long long)number_of(service, "answers_total"));
    print_member_rows(json_object_get(members, "members"), name, "  ");
  }
}

void ctl_print_services(const json_t *services) {
  struct table table;
  table_begin(&table,
              (const char *const[]){"SERVICE", "MODE", "UP", "MEMBERS", "METHOD", "TTL", "WHEN DOWN", "ANSWERS", NULL});
  size_t index;
  json_t *service;
  json_array_foreach(json_object_get(services, "services"), index, service) {
    table_add(&table, mem_strdup(text_of(service, "name")));
    table_add(&table, mem_strdup(text_of(service, "mode")));
    table_add(&table, number_text(service, "members_up"));
    table_add(&table, number_text(service, "members_total"));
    table_add(&table, mem_strdup(text_of(service, "method")));
    table_add(&table, number_text(service, "ttl_s"));
    table_add(&table, mem_strdup(text_of(service, "when_down")));
    table_add(&table, number_text(service, "answers_total"));
  }
  table_end(&table, "");
}

void ctl_print_members(const json_t *members) {
  print_member_rows(json_object_get(members, "members"), NULL, "");
}

static void print_probes(const json_t *address) {
  struct table table;
  table_begin(&table, (const char *const[]){"MONITOR", "STATE", "LAST", "AGE", "STREAK", "TIME", "PASSED", "FAILED",
                                            "REASON", NULL});
  size_t index;
  json_t *probe;
  json_array_foreach(json_object_get(address, "probes"), index, probe) {
    const json_t *passed = json_object_get(probe, "last_passed"), *rtt = json_object_get(probe, "rtt_mean_us");
    table_add(&table, mem_strdup(text_of(probe, "monitor")));
    table_add(&table, mem_strdup(text_of(probe, "state")));
    table_add(&table, mem_strdup(json_is_true(passed) ? "passed" : json_is_false(passed) ? "failed" : "-"));
    table_add(&table, age_text(probe, "last_age_s"));
    table_add(&table, number_text(probe, "streak"));
    table_add(&table,
              json_is_integer(rtt) ? mem_format("%.1fms", (double)json_integer_value(rtt) / 1000.0) : mem_strdup("-"));
    table_add(&table, number_text(probe, "passed"));
    table_add(&table, number_text(probe, "failed"));
    table_add(&table, mem_strdup(text_of(probe, "reason")));
  }
  table_end(&table, "    ");
}

void ctl_print_member(const json_t *member) {
  char *age = age_text(member, "age_s"), *override = override_text(json_object_get(member, "override"));
  printf("%s  %s  for %s  %s\n", text_of(member, "id"), text_of(member, "state"), age, text_of(member, "reason"));
  printf("  site %s  weight %lld  answered %s  answers %lld  override %s\n", text_of(member, "site"),
         (long long)number_of(member, "weight"), json_is_true(json_object_get(member, "answered")) ? "yes" : "no",
         (long long)number_of(member, "answers_total"), override);
  free(age);
  free(override);
  size_t index;
  json_t *address;
  json_array_foreach(json_object_get(member, "addresses"), index, address) {
    char *address_age = age_text(address, "age_s");
    printf("  %s  %s  for %s  answered %s\n", text_of(address, "address"), text_of(address, "state"), address_age,
           json_is_true(json_object_get(address, "answered")) ? "yes" : "no");
    free(address_age);
    if (json_array_size(json_object_get(address, "probes")) > 0)
      print_probes(address);
  }
}

void ctl_print_events(const json_t *events) {
  struct table table;
  table_begin(&table, (const char *const[]){"TIME", "KIND", "SUBJECT", "FROM", "TO", "REASON", NULL});
  size_t index;
  json_t *event;
  json_array_foreach(json_object_get(events, "events"), index, event) {
    bool has_member = json_is_string(json_object_get(event, "member"));
    table_add(&table, time_text(event, "at"));
    table_add(&table, mem_strdup(text_of(event, "kind")));
    table_add(&table, mem_format("%s%s%s", text_of(event, "service"), has_member ? "/" : "",
                                 has_member ? text_of(event, "member") : ""));
    table_add(&table, mem_strdup(text_of(event, "from")));
    table_add(&table, mem_strdup(text_of(event, "to")));
    table_add(&table, mem_strdup(text_of(event, "reason")));
  }
  table_end(&table, "");
}

void ctl_print_zones(const json_t *zones) {
  struct table table;
  table_begin(&table, (const char *const[]){"ZONE", "KIND", "STATE", "SERIAL", "RECORDS", "REFRESHED", "EXPIRES",
                                            "ERROR", NULL});
  size_t index;
  json_t *zone;
  json_array_foreach(json_object_get(zones, "zones"), index, zone) {
    bool has_serial = json_is_integer(json_object_get(zone, "serial"));
    table_add(&table, mem_strdup(text_of(zone, "name")));
    table_add(&table, mem_strdup(text_of(zone, "kind")));
    table_add(&table, mem_strdup(text_of(zone, "state")));
    table_add(&table, has_serial ? number_text(zone, "serial") : mem_strdup("-"));
    table_add(&table, number_text(zone, "records"));
    table_add(&table, age_text(zone, "refreshed_age_s"));
    table_add(&table, age_text(zone, "expires_in_s"));
    table_add(&table, mem_strdup(text_of(zone, "error")));
  }
  table_end(&table, "");
}

void ctl_print_json(const json_t *document) {
  json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
  putchar('\n');
}
