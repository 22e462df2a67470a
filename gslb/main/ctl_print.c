#include "gslb/main/ctl_print.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/main/ctl_table.h"

static char *override_text(const json_t *override) {
  if (!json_is_object(override))
    return mem_strdup("-");
  char *until = ctl_time_text(override, "until_at");
  bool has_end = until[0] != '-';
  char *text = mem_format("%s by %s%s%s: %s", ctl_text(override, "state"), ctl_text(override, "who"),
                          has_end ? " until " : "", has_end ? until : "", ctl_text(override, "why"));
  free(until);
  return text;
}

static void print_head(const json_t *status) {
  char *uptime = ctl_age_text(status, "uptime_s");
  bool is_ready = json_is_true(json_object_get(status, "ready"));
  printf("%s  gslb %s  generation %lld  %s%s%s  up %s\n", ctl_text(status, "identity"), ctl_text(status, "version"),
         ctl_number(status, "generation"), is_ready ? "ready" : "NOT READY", is_ready ? "" : ": ",
         is_ready ? "" : ctl_text(status, "not_ready_because"), uptime);
  free(uptime);
  size_t index;
  json_t *process;
  const json_t *processes = json_object_get(status, "processes");
  if (json_array_size(processes) > 0)
    fputs("processes", stdout);
  json_array_foreach(processes, index, process) {
    if (ctl_number(process, "pid"))
      printf("  %s %lld", ctl_text(process, "name"), ctl_number(process, "pid"));
    else
      printf("  %s NOT RUNNING", ctl_text(process, "name"));
    if (ctl_number(process, "restarts"))
      printf(" (restarts %lld)", ctl_number(process, "restarts"));
  }
  if (json_array_size(processes) > 0)
    putchar('\n');
  const json_t *queries = json_object_get(status, "queries");
  static const char *const shown[] = {"udp", "tcp", "noerror", "nxdomain", "refused", "formerr", "servfail"};
  if (json_object_size(queries) > 0) {
    fputs("queries", stdout);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
      printf("  %s %lld", shown[i], ctl_number(queries, shown[i]));
    putchar('\n');
  }
}

/* Members of one service, or of all (NULL) with a column that says which. */
static void print_member_rows(const json_t *members, const char *service, const char *indent) {
  struct ctl_table table;
  if (service)
    ctl_table_begin(&table,
                    (const char *const[]){"MEMBER", "STATE", "AGE", "WEIGHT", "ANSWERED", "ANSWERS", "REASON", NULL});
  else
    ctl_table_begin(&table, (const char *const[]){"SERVICE", "MEMBER", "STATE", "AGE", "WEIGHT", "ANSWERED", "ANSWERS",
                                                  "REASON", NULL});
  size_t index;
  json_t *member;
  json_array_foreach(members, index, member) {
    if (service && strcmp(ctl_text(member, "service"), service) != 0)
      continue;
    if (!service)
      ctl_table_add(&table, mem_strdup(ctl_text(member, "service")));
    ctl_table_add(&table, mem_strdup(ctl_text(member, "name")));
    ctl_table_add(&table, mem_strdup(ctl_text(member, "state")));
    ctl_table_add(&table, ctl_age_text(member, "age_s"));
    ctl_table_add(&table, ctl_number_text(member, "weight"));
    ctl_table_add(&table, mem_strdup(json_is_true(json_object_get(member, "answered")) ? "yes" : "no"));
    ctl_table_add(&table, ctl_number_text(member, "answers_total"));
    ctl_table_add(&table, mem_strdup(ctl_text(member, "reason")));
  }
  ctl_table_end(&table, indent);
}

void ctl_print_status(const json_t *status, const json_t *services, const json_t *members) {
  print_head(status);
  const json_t *live = json_object_get(json_object_get(status, "stores"), "live");
  if (json_is_false(json_object_get(live, "in_memory")))
    puts("the live store is on a disk: server.run should be on a tmpfs");
  size_t index;
  json_t *service;
  json_array_foreach(json_object_get(services, "services"), index, service) {
    const char *name = ctl_text(service, "name");
    printf("\n%s  %s  %lld of %lld up  %s  ttl %llds  answers %lld\n", name, ctl_text(service, "mode"),
           ctl_number(service, "members_up"), ctl_number(service, "members_total"), ctl_text(service, "method"),
           ctl_number(service, "ttl_s"), ctl_number(service, "answers_total"));
    print_member_rows(json_object_get(members, "members"), name, "  ");
  }
}

void ctl_print_services(const json_t *services) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"SERVICE", "MODE", "UP", "MEMBERS", "METHOD", "TTL", "WHEN DOWN",
                                                "ANSWERS", NULL});
  size_t index;
  json_t *service;
  json_array_foreach(json_object_get(services, "services"), index, service) {
    ctl_table_add(&table, mem_strdup(ctl_text(service, "name")));
    ctl_table_add(&table, mem_strdup(ctl_text(service, "mode")));
    ctl_table_add(&table, ctl_number_text(service, "members_up"));
    ctl_table_add(&table, ctl_number_text(service, "members_total"));
    ctl_table_add(&table, mem_strdup(ctl_text(service, "method")));
    ctl_table_add(&table, ctl_number_text(service, "ttl_s"));
    ctl_table_add(&table, mem_strdup(ctl_text(service, "when_down")));
    ctl_table_add(&table, ctl_number_text(service, "answers_total"));
  }
  ctl_table_end(&table, "");
}

void ctl_print_members(const json_t *members) {
  print_member_rows(json_object_get(members, "members"), NULL, "");
}

static void print_probes(const json_t *address) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"MONITOR", "STATE", "LAST", "AGE", "STREAK", "TIME", "PASSED", "FAILED",
                                                "REASON", NULL});
  size_t index;
  json_t *probe;
  json_array_foreach(json_object_get(address, "probes"), index, probe) {
    const json_t *passed = json_object_get(probe, "last_passed"), *rtt = json_object_get(probe, "rtt_mean_us");
    ctl_table_add(&table, mem_strdup(ctl_text(probe, "monitor")));
    ctl_table_add(&table, mem_strdup(ctl_text(probe, "state")));
    ctl_table_add(&table, mem_strdup(json_is_true(passed) ? "passed" : json_is_false(passed) ? "failed" : "-"));
    ctl_table_add(&table, ctl_age_text(probe, "last_age_s"));
    ctl_table_add(&table, ctl_number_text(probe, "streak"));
    ctl_table_add(&table, json_is_integer(rtt) ? mem_format("%.1fms", (double)json_integer_value(rtt) / 1000.0)
                                               : mem_strdup("-"));
    ctl_table_add(&table, ctl_number_text(probe, "passed"));
    ctl_table_add(&table, ctl_number_text(probe, "failed"));
    ctl_table_add(&table, mem_strdup(ctl_text(probe, "reason")));
  }
  ctl_table_end(&table, "    ");
}

void ctl_print_member(const json_t *member) {
  char *age = ctl_age_text(member, "age_s"), *override = override_text(json_object_get(member, "override"));
  printf("%s  %s  for %s  %s\n", ctl_text(member, "id"), ctl_text(member, "state"), age, ctl_text(member, "reason"));
  printf("  site %s  weight %lld  answered %s  answers %lld  override %s\n", ctl_text(member, "site"),
         ctl_number(member, "weight"), json_is_true(json_object_get(member, "answered")) ? "yes" : "no",
         ctl_number(member, "answers_total"), override);
  free(age);
  free(override);
  size_t index;
  json_t *address;
  json_array_foreach(json_object_get(member, "addresses"), index, address) {
    char *address_age = ctl_age_text(address, "age_s");
    printf("  %s  %s  for %s  answered %s\n", ctl_text(address, "address"), ctl_text(address, "state"), address_age,
           json_is_true(json_object_get(address, "answered")) ? "yes" : "no");
    free(address_age);
    if (json_array_size(json_object_get(address, "probes")) > 0)
      print_probes(address);
  }
}

void ctl_print_events(const json_t *events) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"TIME", "KIND", "SUBJECT", "FROM", "TO", "REASON", NULL});
  size_t index;
  json_t *event;
  json_array_foreach(json_object_get(events, "events"), index, event) {
    bool has_member = json_is_string(json_object_get(event, "member"));
    ctl_table_add(&table, ctl_time_text(event, "at"));
    ctl_table_add(&table, mem_strdup(ctl_text(event, "kind")));
    ctl_table_add(&table, mem_format("%s%s%s", ctl_text(event, "service"), has_member ? "/" : "",
                                     has_member ? ctl_text(event, "member") : ""));
    ctl_table_add(&table, mem_strdup(ctl_text(event, "from")));
    ctl_table_add(&table, mem_strdup(ctl_text(event, "to")));
    ctl_table_add(&table, mem_strdup(ctl_text(event, "reason")));
  }
  ctl_table_end(&table, "");
}

void ctl_print_zones(const json_t *zones) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"ZONE", "KIND", "STATE", "SERIAL", "RECORDS", "REFRESHED", "EXPIRES",
                                                "ERROR", NULL});
  size_t index;
  json_t *zone;
  json_array_foreach(json_object_get(zones, "zones"), index, zone) {
    bool has_serial = json_is_integer(json_object_get(zone, "serial"));
    ctl_table_add(&table, mem_strdup(ctl_text(zone, "name")));
    ctl_table_add(&table, mem_strdup(ctl_text(zone, "kind")));
    ctl_table_add(&table, mem_strdup(ctl_text(zone, "state")));
    ctl_table_add(&table, has_serial ? ctl_number_text(zone, "serial") : mem_strdup("-"));
    ctl_table_add(&table, ctl_number_text(zone, "records"));
    ctl_table_add(&table, ctl_age_text(zone, "refreshed_age_s"));
    ctl_table_add(&table, ctl_age_text(zone, "expires_in_s"));
    ctl_table_add(&table, mem_strdup(ctl_text(zone, "error")));
  }
  ctl_table_end(&table, "");
}

void ctl_print_json(const json_t *document) {
  json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
  putchar('\n');
}
