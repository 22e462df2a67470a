#include "gslb/main/ctl_load.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/main/ctl_table.h"

/* "-" where it is no number. */
static char *figure(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? mem_format("%.6g", json_number_value(value)) : mem_strdup("-");
}

static char *age(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  double seconds = json_number_value(value);
  if (json_is_number(value) && seconds < 60)
    return mem_format("%.1fs", seconds);
  return ctl_age_text(object, key);
}

static char *threshold(const json_t *term) {
  if (!json_is_number(json_object_get(term, "threshold")))
    return mem_strdup("-");
  char *limit = figure(term, "threshold");
  char *text = mem_format("%s %s", limit, json_is_true(json_object_get(term, "over")) ? "OVER" : "within");
  free(limit);
  return text;
}

static char *ceiling(const json_t *term) {
  char *value = figure(term, "ceiling");
  char *text =
      mem_format("%s%s", value, json_is_true(json_object_get(term, "more_is_better")) ? " (more is better)" : "");
  free(value);
  return text;
}

static void print_terms(const json_t *terms) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"METRIC", "SOURCE", "VIEW", "VALUE", "CEILING", "WEIGHT", "AGE",
                                                "FRESH", "SHARE", "THRESHOLD", NULL});
  size_t index;
  json_t *term;
  json_array_foreach(terms, index, term) {
    bool is_told = json_is_string(json_object_get(term, "source"));
    bool is_counted = json_is_number(json_object_get(term, "counted"));
    ctl_table_add(&table, mem_strdup(ctl_text(term, "metric")));
    ctl_table_add(&table, mem_strdup(is_told ? ctl_text(term, "source") : is_counted ? "(group's mean)" : "-"));
    ctl_table_add(&table, mem_strdup(ctl_text(term, "view")));
    ctl_table_add(&table, figure(term, "value"));
    ctl_table_add(&table, ceiling(term));
    ctl_table_add(&table, figure(term, "weight"));
    ctl_table_add(&table, age(term, "age_s"));
    ctl_table_add(&table, figure(term, "freshness"));
    ctl_table_add(&table, figure(term, "share"));
    ctl_table_add(&table, threshold(term));
  }
  ctl_table_end(&table, "  ");
}

static void print_sources(const json_t *sources) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"SOURCE", "AGE", "INTERVAL", "READ", "FAILED", "SAYS", "REASON", NULL});
  size_t index;
  json_t *source;
  json_array_foreach(sources, index, source) {
    bool has_self = json_is_string(json_object_get(source, "self"));
    ctl_table_add(&table, mem_strdup(ctl_text(source, "source")));
    ctl_table_add(&table, age(source, "age_s"));
    ctl_table_add(&table, age(source, "interval_s"));
    ctl_table_add(&table, ctl_number_text(source, "read"));
    ctl_table_add(&table, ctl_number_text(source, "failed"));
    ctl_table_add(&table, mem_format("%s%s%s", ctl_text(source, "self"), has_self ? ": " : "",
                                     has_self ? ctl_text(source, "self_reason") : ""));
    ctl_table_add(&table, mem_strdup(ctl_text(source, "reason")));
  }
  ctl_table_end(&table, "  ");
}

static void print_values(const json_t *sources) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"SOURCE", "NAME", "VALUE", "MEAN", "PEAK", "P95", "RATE", NULL});
  size_t at, index;
  json_t *source, *value;
  json_array_foreach(sources, at, source) {
    json_array_foreach(json_object_get(source, "values"), index, value) {
      ctl_table_add(&table, mem_strdup(ctl_text(source, "source")));
      ctl_table_add(&table, mem_strdup(ctl_text(value, "name")));
      ctl_table_add(&table, figure(value, "value"));
      ctl_table_add(&table, figure(value, "mean"));
      ctl_table_add(&table, figure(value, "peak"));
      ctl_table_add(&table, figure(value, "p95"));
      ctl_table_add(&table, figure(value, "rate"));
    }
  }
  ctl_table_end(&table, "  ");
}

void ctl_load_print(const json_t *document) {
  const json_t *load = json_object_get(document, "load"), *sources = json_object_get(document, "sources");
  char *headroom = figure(document, "headroom");
  printf("%s  %s  answered %s  headroom %s\n", ctl_text(document, "id"), ctl_text(document, "state"),
         json_is_true(json_object_get(document, "answered")) ? "yes" : "no", headroom);
  free(headroom);
  if (json_is_object(load)) {
    char *whole = figure(load, "load");
    bool is_over = json_is_true(json_object_get(load, "over"));
    const char *rule = ctl_text(load, "rule");
    printf("load %s%s\n", whole,
           !is_over                      ? ""
           : strcmp(rule, "prefer") == 0 ? "  OVER: less preferred"
                                         : "  OVER: left out while others are there");
    free(whole);
    print_terms(json_object_get(load, "terms"));
  } else {
    puts("the service has no load section");
  }
  if (json_array_size(sources) == 0) {
    puts("no source told anything");
    return;
  }
  puts("sources");
  print_sources(sources);
  puts("figures");
  print_values(sources);
}

int ctl_load(const struct ctl_line *line, struct ctl_source *source, const struct ctl_question *member) {
  struct ctl_question question = *member;
  json_t *document = NULL;
  struct errbuf err;
  if (!member->service) {
    if (ctl_read(source, member, &document, &err) != STATUS_OK)
      return ctl_fail(source, &err);
    question.service = json_string_value(json_object_get(document, "service"));
  }
  question.subject = CTL_LOAD;
  int exit_status = ctl_ask(line, source, &question, ctl_load_print);
  json_decref(document);
  return exit_status;
}
