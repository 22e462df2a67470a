#include "gslb/main/ctl_resource.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/main/ctl_http.h"
#include "gslb/main/ctl_table.h"

#define PAGE "1000"

/* The list's texts, or those that its objects have under key; free() it. */
static char *joined(const json_t *list, const char *key) {
  char *text = mem_strdup("");
  size_t index;
  json_t *value;
  json_array_foreach(list, index, value) {
    const char *word = json_string_value(key ? json_object_get(value, key) : value);
    char *longer = mem_format("%s%s%s", text, index ? "," : "", word ? word : "?");
    free(text);
    text = longer;
  }
  return text;
}

static char *percent_text(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? mem_format("%.0f%%", 100.0 * json_number_value(value)) : mem_strdup("-");
}

static const char *state_of(const json_t *resource) {
  return json_is_object(json_object_get(resource, "removed")) ? "removed"
                                                              : ctl_text(json_object_get(resource, "lease"), "state");
}

static void print_resources(const json_t *document) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"ID", "KIND", "SITE", "STATE", "SELF", "LOAD", "ENDS", "ADDRESSES",
                                                "SERVICES", "OWNER", NULL});
  size_t index;
  json_t *resource;
  json_array_foreach(json_object_get(document, "resources"), index, resource) {
    const json_t *lease = json_object_get(resource, "lease");
    ctl_table_add(&table, mem_strdup(ctl_text(resource, "id")));
    ctl_table_add(&table, mem_strdup(ctl_text(resource, "kind")));
    ctl_table_add(&table, mem_strdup(ctl_text(resource, "site")));
    ctl_table_add(&table, mem_strdup(state_of(resource)));
    ctl_table_add(&table, mem_strdup(ctl_text(lease, "self")));
    ctl_table_add(&table, percent_text(lease, "utilization"));
    ctl_table_add(&table, ctl_time_text(lease, "ends_at"));
    ctl_table_add(&table, joined(json_object_get(resource, "addresses"), NULL));
    ctl_table_add(&table, joined(json_object_get(resource, "services"), "name"));
    ctl_table_add(&table, mem_strdup(ctl_text(resource, "owner")));
  }
  ctl_table_end(&table, "");
}

static void print_services(const json_t *resource) {
  size_t index;
  json_t *service;
  json_array_foreach(json_object_get(resource, "services"), index, service) {
    printf("  service %s  port %lld  weight %lld  tier %lld\n", ctl_text(service, "name"), ctl_number(service, "port"),
           ctl_number(service, "weight"), ctl_number(service, "tier"));
  }
}

static void print_metrics(const json_t *resource) {
  const json_t *metrics = json_object_get(resource, "metrics");
  char *age = ctl_age_text(resource, "metrics_age_s");
  const char *name;
  json_t *value;
  if (json_object_size(metrics) > 0)
    printf("  reported %s ago\n", age);
  json_object_foreach((json_t *)(uintptr_t)metrics, name, value)
      printf("    %s %.15g\n", name, json_number_value(value));
  free(age);
}

static void print_resource(const json_t *resource) {
  const json_t *lease = json_object_get(resource, "lease"), *removed = json_object_get(resource, "removed");
  char *addresses = joined(json_object_get(resource, "addresses"), NULL), *load = percent_text(lease, "utilization");
  char *ends = ctl_time_text(lease, "ends_at"), *renewed = ctl_time_text(lease, "renewed_at");
  char *registered = ctl_time_text(resource, "registered_at"), *until = ctl_time_text(removed, "until_at");
  printf("%s  %s  %s  by %s\n", ctl_text(resource, "id"), ctl_text(resource, "kind"), state_of(resource),
         ctl_text(resource, "owner"));
  printf("  site %s  addresses %s  revision %lld  registered %s\n", ctl_text(resource, "site"), addresses,
         ctl_number(resource, "revision"), registered);
  if (json_is_object(lease))
    printf("  lease renewed %s  ends %s  self %s %s  load %s\n", renewed, ends, ctl_text(lease, "self"),
           ctl_text(lease, "self_reason"), load);
  if (json_is_object(removed))
    printf("  removed until %s: %s\n", until[0] == '-' ? "it is allowed again" : until, ctl_text(removed, "why"));
  print_services(resource);
  print_metrics(resource);
  free(addresses);
  free(load);
  free(ends);
  free(renewed);
  free(registered);
  free(until);
}

/* All pages as one document. */
static enum status read_all(const struct ctl_line *line, struct ctl_source *source, json_t **out, struct errbuf *err) {
  json_t *all = json_array(), *page = NULL;
  char *after = NULL;
  enum status status;
  do {
    char path[4096] = "/v1/resources?limit=" PAGE;
    ctl_http_argument(path, sizeof path, "service", line->service);
    ctl_http_argument(path, sizeof path, "site", line->site);
    ctl_http_argument(path, sizeof path, "owner", line->owner);
    ctl_http_argument(path, sizeof path, "kind", line->kind);
    ctl_http_argument(path, sizeof path, "state", line->state);
    ctl_http_argument(path, sizeof path, "after", after);
    free(after);
    after = NULL;
    status = ctl_write(source, "GET", path, NULL, &page, err);
    if (status != STATUS_OK)
      break;
    json_array_extend(all, json_object_get(page, "resources"));
    const char *next = json_string_value(json_object_get(page, "next"));
    after = next ? mem_strdup(next) : NULL;
    json_decref(page);
  } while (after);
  if (status == STATUS_OK)
    *out = json_pack("{s:o}", "resources", all);
  else
    json_decref(all);
  return status;
}

static int list(const struct ctl_line *line, struct ctl_source *source) {
  json_t *document;
  struct errbuf err;
  if (line->count > 2)
    return ctl_misuse("%s is one argument too many", line->words[2]);
  if (read_all(line, source, &document, &err) != STATUS_OK)
    return ctl_fail(source, &err);
  return ctl_show(line, document, print_resources);
}

static int remove_one(const struct ctl_line *line, struct ctl_source *source, char *path, size_t size) {
  int64_t for_ms = 0;
  char seconds[24] = "";
  int exit_status = ctl_read_duration(line, &for_ms);
  if (exit_status >= 0)
    return exit_status;
  if (!line->reason || !line->reason[0])
    return ctl_misuse("resource remove ID needs --reason TEXT, which the resource is told as well");
  if (for_ms)
    snprintf(seconds, sizeof seconds, "%lld", (long long)((for_ms + 999) / 1000));
  ctl_http_argument(path, size, "remove", "1");
  ctl_http_argument(path, size, "why", line->reason);
  ctl_http_argument(path, size, "for_s", for_ms ? seconds : NULL);
  json_t *document = NULL;
  struct errbuf err;
  if (ctl_write(source, "DELETE", path, NULL, &document, &err) != STATUS_OK)
    return ctl_fail(source, &err);
  if (line->is_json)
    return ctl_show(line, document, NULL);
  char *until = ctl_time_text(json_object_get(document, "removed"), "until_at");
  printf("removed until %s\n", until[0] == '-' ? "it is allowed again" : until);
  free(until);
  json_decref(document);
  return EXIT_SUCCESS;
}

int ctl_resource(const struct ctl_line *line, struct ctl_source *source) {
  const char *word = line->words[1];
  char id[768], path[4096];
  if (strcmp(word, "list") == 0)
    return list(line, source);
  bool is_show = strcmp(word, "show") == 0, is_remove = strcmp(word, "remove") == 0;
  if (!is_show && !is_remove && strcmp(word, "allow") != 0)
    return ctl_misuse("resource list, show, remove or allow, not resource %s", word);
  if (line->count < 3)
    return ctl_misuse("resource %s needs an id", word);
  ctl_http_escape(line->words[2], id, sizeof id);
  snprintf(path, sizeof path, "/v1/resources/%s%s", id, is_show || is_remove ? "" : "/allow");
  if (is_remove)
    return remove_one(line, source, path, sizeof path);
  return ctl_send(line, source, is_show ? "GET" : "POST", path, NULL, print_resource);
}
