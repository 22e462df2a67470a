#include "discovery/balancers/parent_report.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/base/version.h"
#include "gslb/decide/evaluate.h"
#include "gslb/model/registration.h"

#define CAPACITY_MEMBER "\"capacity\""

static bool read_resource(struct store_txn *txn, const char *id, struct resource_record *out) {
  struct store_bytes value;
  return txn && store_get(txn, STORE_DB_RESOURCES, (struct store_bytes){id, strlen(id)}, &value) == STATUS_OK &&
         resource_decode(value.data, value.size, out) == STATUS_OK && !out->is_removed;
}

static struct store_txn *begin_reading(const struct parent_sources *sources) {
  struct store_txn *txn = NULL;
  if (sources->durable && store_begin(sources->durable, false, &txn, NULL) != STATUS_OK)
    txn = NULL;
  return txn;
}

/* The path */

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct names {
  struct arena arena;
  const char **items;
  size_t count, capacity;
};

static void add_name(struct names *names, const char *name) {
  names->items = mem_grow(names->items, &names->capacity, names->count + 1, sizeof *names->items);
  names->items[names->count++] = arena_strdup(&names->arena, name);
}

static void add_path_of(struct store_txn *txn, const char *id, struct names *names) {
  struct resource_record resource;
  if (!read_resource(txn, id, &resource))
    return;
  json_t *document = json_loadb(resource.document, resource.document_size, 0, NULL), *item = NULL;
  size_t i;
  json_array_foreach(json_object_get(document, "path"), i, item) {
    if (json_is_string(item))
      add_name(names, json_string_value(item));
  }
  json_decref(document);
}

json_t *parent_path(const struct parent_sources *sources) {
  struct names names = {0};
  struct store_txn *txn = begin_reading(sources);
  for (size_t s = 0; s < sources->config->service_count && txn; s++) {
    const struct service_facts *facts = facts_service(sources->facts, s);
    for (size_t m = 0; m < facts->service->member_count; m++)
      if (facts->service->members[m].is_balancer)
        add_path_of(txn, facts->service->members[m].name, &names);
  }
  store_abort(txn);
  if (names.count > 0)
    qsort(names.items, names.count, sizeof *names.items, compare_names);
  const char *own = sources->config->server.identity, *last = "";
  json_t *path = value_must(json_pack("[o]", value_text(own)));
  for (size_t i = 0; i < names.count && json_array_size(path) < PARENT_PATH_MOST; i++) {
    if (strcmp(names.items[i], last) != 0 && strcmp(names.items[i], own) != 0)
      json_array_append_new(path, value_text(names.items[i]));
    last = names.items[i];
  }
  free(names.items);
  arena_release(&names.arena);
  return path;
}

json_t *parent_registration(const struct config_parent *parent, json_t *path) {
  json_t *addresses = value_must(json_array()), *services = value_must(json_array());
  for (size_t i = 0; i < parent->address_count; i++) {
    char text[ADDR_TEXT_SIZE];
    json_array_append_new(addresses, value_text(addr_format(&parent->addresses[i], text)));
  }
  for (size_t i = 0; i < parent->service_count; i++) {
    json_t *service = value_must(json_pack("{s:o}", "name", value_text(parent->services[i].name)));
    if (parent->services[i].port)
      json_object_set_new(service, "port", json_integer(parent->services[i].port));
    json_array_append_new(services, service);
  }
  json_t *registration = value_must(json_pack("{s:s, s:o, s:o, s:o, s:s, s:O}", "kind", "balancer", "addresses",
                                              addresses, "services", services, "lease_s",
                                              value_seconds(parent->lease_ms), "version", GSLB_VERSION, "path", path));
  if (parent->site)
    json_object_set_new(registration, "site", value_text(parent->site));
  return registration;
}

/* The report */

struct parent_tally {
  uint64_t counted[BOARD_SLOTS]; /* answers of a slot, plus 1; 0: not counted yet */
  int64_t at_ms;                 /* of the report before; 0: none */
};

struct parent_tally *parent_tally_new(void) {
  return mem_alloc(sizeof(struct parent_tally));
}

void parent_tally_free(struct parent_tally *tally) {
  free(tally);
}

struct sum { /* over the members of one service */
  size_t members_up;
  double capacity;
  double *utilizations; /* of answered members that report one */
  size_t count;
  uint64_t answers; /* since the report before */
  bool is_serving;
};

static double capacity_of(struct store_txn *txn, const struct config_member *member) {
  struct resource_record resource;
  double capacity = 0;
  if (member->is_registered && read_resource(txn, member->name, &resource) &&
      memmem(resource.document, resource.document_size, CAPACITY_MEMBER, strlen(CAPACITY_MEMBER))) {
    json_t *document = json_loadb(resource.document, resource.document_size, 0, NULL);
    capacity = json_number_value(json_object_get(document, "capacity"));
    json_decref(document);
  }
  return capacity > 0 ? capacity : member->weight;
}

static uint64_t count_answers(const struct parent_sources *sources, struct parent_tally *tally, uint32_t slot) {
  if (!sources->board || slot >= BOARD_SLOTS)
    return 0;
  uint64_t now = board_answers(sources->board, slot), before = tally->counted[slot];
  tally->counted[slot] = now + 1;
  return before > 0 && now + 1 > before ? now + 1 - before : 0;
}

static void sum_service(const struct parent_sources *sources, struct parent_tally *tally, struct store_txn *txn,
                        size_t service, int64_t now_ms, struct arena *arena, struct sum *out) {
  const struct service_facts *facts = facts_service(sources->facts, service);
  struct evaluation evaluation;
  evaluate_service(sources->config, facts, now_ms, arena, &evaluation);
  out->is_serving =
      evaluation.answered_members > 0 && (evaluation.mode == SERVICE_NORMAL || evaluation.mode == SERVICE_USES_UNKNOWN);
  out->utilizations = arena_array(arena, facts->service->member_count, sizeof *out->utilizations);
  for (size_t m = 0; m < facts->service->member_count; m++) {
    const struct member_state *state = &evaluation.members[m];
    const struct member_facts *member = &facts->members[m];
    out->answers += count_answers(sources, tally, member->slot);
    if (state->state == HEALTH_UP || state->state == HEALTH_DEGRADED) {
      out->members_up++;
      out->capacity += capacity_of(txn, &facts->service->members[m]);
    }
    if (state->is_answered && member->lease && member->lease->utilization >= 0)
      out->utilizations[out->count++] = member->lease->utilization;
  }
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double mean_of(const double *values, size_t count) {
  double total = 0;
  for (size_t i = 0; i < count; i++)
    total += values[i];
  return total / (double)count;
}

/* By nearest rank: the least value that 95 of 100 do not exceed. */
static double p95_of(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare_doubles);
  return values[(count * 95 + 99) / 100 - 1];
}

static json_t *show_sum(struct sum *sum, int64_t elapsed_ms) {
  json_t *shown =
      value_must(json_pack("{s:I, s:f}", "members_up", (json_int_t)sum->members_up, "capacity", sum->capacity));
  if (sum->count > 0) {
    json_object_set_new(shown, "utilization_mean", json_real(mean_of(sum->utilizations, sum->count)));
    json_object_set_new(shown, "utilization_p95", json_real(p95_of(sum->utilizations, sum->count)));
  }
  if (elapsed_ms > 0)
    json_object_set_new(shown, "rate", json_real((double)sum->answers * 1000.0 / (double)elapsed_ms));
  return shown;
}

json_t *parent_report(const struct parent_sources *sources, const struct config_parent *parent,
                      struct parent_tally *tally, int64_t now_ms) {
  struct arena arena = {0};
  struct store_txn *txn = begin_reading(sources);
  json_t *services = value_must(json_object());
  int64_t elapsed_ms = tally->at_ms ? now_ms - tally->at_ms : 0;
  double total = 0;
  size_t count = 0;
  bool is_serving = false;
  for (size_t i = 0; i < parent->service_count; i++) {
    const char *own = parent->services[i].own ? parent->services[i].own : parent->services[i].name;
    size_t service = facts_find_service(sources->facts, own);
    struct sum sum = {0};
    if (service != SIZE_MAX)
      sum_service(sources, tally, txn, service, now_ms, &arena, &sum);
    is_serving |= sum.is_serving;
    count += sum.count;
    for (size_t j = 0; j < sum.count; j++)
      total += sum.utilizations[j];
    json_object_set_new(services, parent->services[i].name, show_sum(&sum, elapsed_ms));
  }
  tally->at_ms = now_ms;
  store_abort(txn);
  arena_release(&arena);
  json_t *report = value_must(json_pack("{s:s, s:o}", "state", is_serving ? "up" : "maint", "services", services));
  if (!is_serving)
    json_object_set_new(report, "reason", json_string("no service has a member that is up"));
  if (count > 0)
    json_object_set_new(report, "application_utilization", json_real(total / (double)count));
  return report;
}
