/* tests/unit/decide/decided.h
 * A configuration as text, its facts in memory, and the evaluation of a service, for tests of what is decided from
 * votes and figures. */
#ifndef TESTS_UNIT_DECIDE_DECIDED_H
#define TESTS_UNIT_DECIDE_DECIDED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/base/memory.h"
#include "gslb/decide/evaluate.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"

#define NOW_MS INT64_C(1000000)

struct decided {
  struct arena arena;
  struct config *config;
  struct facts *facts;
  struct evaluation evaluation;
};

static inline struct decided *decided_new(const char *rest) {
  struct decided *decided = mem_alloc(sizeof *decided);
  struct problems problems = {0};
  char *text = mem_format("server: {identity: t, state: /nonexistent, listen: [\"127.0.0.1@53\"]}\n"
                          "zones: [{name: example.com, file: example.com.zone}]\n%s",
                          rest);
  decided->config = config_parse("/tmp/decided.yaml", text, strlen(text), &problems);
  if (!decided->config)
    fail_msg("%s", problems_format(&problems));
  free(text);
  problems_release(&problems);
  decided->facts = facts_new(decided->config, NULL, NULL);
  return decided;
}

static inline void decided_free(struct decided *decided) {
  facts_free(decided->facts);
  config_free(decided->config);
  arena_release(&decided->arena);
  free(decided);
}

static inline struct member_facts *decided_member(struct decided *decided, size_t service, size_t member) {
  return &facts_service(decided->facts, service)->members[member];
}

static inline void decided_probe(struct decided *decided, size_t service, size_t member, size_t monitor,
                                 enum health state, uint16_t streak) {
  struct health_record *record = &decided_member(decided, service, member)->addresses[0].probes[monitor];
  record->state = state;
  record->streak = streak;
  record->last_ms = NOW_MS;
}

static inline void decided_tell(struct decided *decided, size_t member, enum metric_source source, const char *name,
                                double value, int64_t age_ms) {
  struct metrics_record *record = arena_alloc(&decided->arena, sizeof *record);
  *record = (struct metrics_record){.at_ms = NOW_MS - age_ms, .interval_ms = 10000, .count = 1};
  snprintf(record->values[0].name, sizeof record->values[0].name, "%s", name);
  record->values[0].value = value;
  decided_member(decided, 0, member)->metrics[source] = record;
}

static inline const struct evaluation *decided_evaluate(struct decided *decided, size_t service) {
  evaluate_service(decided->config, facts_service(decided->facts, service), NOW_MS, &decided->arena,
                   &decided->evaluation);
  return &decided->evaluation;
}

#endif
