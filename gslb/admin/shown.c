#include "gslb/admin/shown.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/admin/cause.h"
#include "gslb/admin/load_shown.h"
#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"

uint64_t shown_answers(const struct board *board, const struct member_facts *member) {
  return board && member->slot != FACTS_NO_SLOT ? board_answers(board, member->slot) : 0;
}

static const char *input_name(enum health_input input) {
  switch (input) {
  case INPUT_ADMIN:
    return "admin";
  case INPUT_PROBE:
    return "probe";
  case INPUT_SELF:
    return "self";
  case INPUT_LEASE:
    return "lease";
  case INPUT_NONE:
    break;
  }
  return "none";
}

json_t *shown_service(const struct shown *shown) {
  const struct config_service *service = shown->facts->service;
  json_t *monitors = value_must(json_array());
  for (size_t i = 0; i < service->monitor_count; i++)
    json_array_append_new(monitors, value_text(shown->config->monitors[service->monitors[i]].name));
  json_int_t up = 0;
  json_int_t answers = 0, registered = 0;
  for (size_t i = 0; i < service->member_count; i++) {
    enum health state = shown->evaluation->members[i].state;
    registered += service->members[i].is_registered;
    up += state == HEALTH_UP || state == HEALTH_DEGRADED;
    answers += (json_int_t)shown_answers(shown->board, &shown->facts->members[i]);
  }
  return value_must(
      json_pack("{s:o, s:b, s:b, s:I, s:o, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I}", "name",
                value_text(service->name), "pattern", (int)config_service_is_pattern(service), "accepts",
                (int)service->accept.is_given, "members_registered", registered, "zone",
                value_text(shown->config->zones[service->zone].name), "method", balance_method_name(service->method),
                "answers", (json_int_t)service->answers, "when_down", when_down_name(service->when_down), "mode",
                service_mode_name(shown->evaluation->mode), "ttl_s", (json_int_t)shown->evaluation->ttl_s, "ttl_min_s",
                (json_int_t)service->ttl_min_s, "ttl_max_s", (json_int_t)service->ttl_max_s, "srv",
                value_text_or_null(service->srv), "monitors", monitors, "members_total",
                (json_int_t)service->member_count, "members_up", up, "members_answered",
                (json_int_t)shown->evaluation->answered_members, "answers_total", answers));
}

/* Whether the next result should be here by now, even if nobody asks for the service. What is decided, not probed, has
 * no interval, and what was never probed waits for its first. */
static bool is_overdue(const struct config_monitor *monitor, const struct health_record *record, int64_t now_ms) {
  double factor = monitor->idle_factor > 1.0 ? monitor->idle_factor : 1.0;
  int64_t due_ms = record->last_ms + (int64_t)((double)monitor->interval_ms * factor) + monitor->timeout_ms;
  return monitor->interval_ms > 0 && record->last_ms && now_ms > due_ms;
}

static json_t *probe_document(const struct config_monitor *monitor, const struct health_record *record,
                              int64_t now_ms) {
  bool is_measured = record->last_good_ms != 0;
  return value_must(json_pack("{s:o, s:s, s:o, s:o, s:I, s:o, s:o, s:b, s:o, s:o, s:o, s:I, s:I}", "monitor",
                              value_text(monitor->name), "state", health_name(record->state), "reason",
                              value_text_or_null(record->reason), "last_passed",
                              record->last_ms ? json_boolean(record->last_passed) : json_null(), "streak",
                              (json_int_t)record->streak, "last_at", value_time(record->last_ms), "last_age_s",
                              value_age(record->last_ms, now_ms), "overdue", (int)is_overdue(monitor, record, now_ms),
                              "since_at", value_time(record->since_ms), "rtt_us",
                              is_measured ? json_integer(record->rtt_us) : json_null(), "rtt_mean_us",
                              is_measured ? json_integer(record->rtt_mean_us) : json_null(), "passed",
                              (json_int_t)record->passed, "failed", (json_int_t)record->failed));
}

static json_t *address_document(const struct shown *shown, size_t member, size_t address) {
  const struct config_service *service = shown->facts->service;
  const struct address_state *state = &shown->evaluation->members[member].addresses[address];
  struct cause cause;
  cause_of_address(shown->config, shown->facts, shown->evaluation, member, address, &cause);
  json_t *probes = value_must(json_array());
  for (size_t i = 0; i < service->monitor_count; i++)
    if (service->members[member].monitors >> i & 1u)
      json_array_append_new(probes, probe_document(&shown->config->monitors[service->monitors[i]],
                                                   evaluate_record(shown->facts, shown->evaluation, member, address, i),
                                                   shown->now_ms));
  char text[ADDR_TEXT_SIZE];
  return value_must(json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "address",
                              addr_format(&service->members[member].addresses[address], text), "state",
                              health_name(state->state), "answered", (int)state->is_answered, "reason",
                              value_text(cause.text), "since_at", value_time(cause.since_ms), "age_s",
                              value_age(cause.since_ms, shown->now_ms), "probes", probes));
}

static json_t *override_document(const struct override_record *override, int64_t now_ms) {
  if (!override || override->kind == OVERRIDE_NONE || (override->until_ms && override->until_ms <= now_ms))
    return json_null();
  return value_must(json_pack("{s:s, s:o, s:o, s:o, s:o}", "state", override_name(override->kind), "who",
                              value_text(override->who), "why", value_text(override->why), "set_at",
                              value_time(override->set_ms), "until_at", value_time(override->until_ms)));
}

static json_t *lease_document(const struct member_facts *facts) {
  const struct lease_record *lease = facts->lease;
  if (!lease)
    return json_null();
  return value_must(json_pack("{s:s, s:o, s:o}", "state", lease_state_name(lease->state), "ends_at",
                              value_time(lease->end_ms), "renewed_at", value_time(lease->renewed_ms)));
}

static const char *self_word(enum health self) {
  switch (self) {
  case HEALTH_DRAINING:
    return "drain";
  case HEALTH_DOWN:
    return "maint";
  default:
    return "up";
  }
}

/* What the member says of itself, in the words of its report, or of its agent-check where that is worse. */
static json_t *self_document(const struct member_facts *facts, const struct member_state *state) {
  if (state->is_self_checked)
    return value_must(json_pack("{s:s, s:o}", "state", self_word(state->self_state), "reason",
                                value_text_or_null(facts->metrics[METRICS_CHECK]->self_reason)));
  if (!facts->lease || facts->lease->self == HEALTH_UNKNOWN)
    return json_null();
  return value_must(json_pack("{s:s, s:o}", "state", self_word(facts->lease->self), "reason",
                              value_text_or_null(facts->lease->self_reason)));
}

static json_t *labels_document(const char *const *txt) {
  json_t *labels = value_must(json_object());
  for (; txt && *txt; txt++) {
    const char *equals = strchr(*txt, '=');
    char *key = mem_format("%.*s", (int)(equals ? equals - *txt : (ptrdiff_t)strlen(*txt)), *txt);
    json_object_set_new(labels, key, value_text(equals ? equals + 1 : ""));
    free(key);
  }
  return labels;
}

static void add_registration(json_t *document, const struct config_member *member, const struct member_facts *facts,
                             const struct member_state *state) {
  bool has_load = facts->lease && facts->lease->utilization >= 0.0;
  json_t *kind = member->is_registered ? json_string(resource_kind_name(facts->kind)) : json_null();
  json_t *more = value_must(json_pack("{s:b, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "registered",
                                      (int)member->is_registered, "kind", kind, "lease", lease_document(facts), "self",
                                      self_document(facts, state), "tier", (json_int_t)member->tier, "utilization",
                                      has_load ? json_real(facts->lease->utilization) : json_null(), "instance",
                                      value_text_or_null(member->instance), "labels", labels_document(member->txt)));
  json_object_update(document, more);
  json_decref(more);
}

json_t *shown_member(const struct shown *shown, size_t member) {
  const struct config_service *service = shown->facts->service;
  const struct config_member *configured = &service->members[member];
  const struct member_state *state = &shown->evaluation->members[member];
  const struct member_facts *facts = &shown->facts->members[member];
  struct cause cause;
  cause_of_member(shown->config, shown->facts, shown->evaluation, member, &cause);
  json_t *addresses = value_must(json_array());
  for (size_t i = 0; i < configured->address_count; i++)
    json_array_append_new(addresses, address_document(shown, member, i));
  char *id = mem_format("%s/%s", service->name, configured->name);
  json_t *document = value_must(
      json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:o, s:o, s:I, s:I, s:b, s:I, s:o, s:o}", "id", value_text(id),
                "service", value_text(service->name), "name", value_text(configured->name), "site",
                configured->site == UINT32_MAX ? json_null() : value_text(shown->config->sites[configured->site].name),
                "state", health_name(state->state), "reason", value_text(cause.text), "decided_by",
                input_name(state->decided_by), "since_at", value_time(cause.since_ms), "age_s",
                value_age(cause.since_ms, shown->now_ms), "weight", (json_int_t)configured->weight, "srv_port",
                (json_int_t)configured->srv_port, "answered", (int)state->is_answered, "answers_total",
                (json_int_t)shown_answers(shown->board, facts), "override",
                override_document(facts->override, shown->now_ms), "addresses", addresses));
  free(id);
  json_object_set_new(document, "load", load_shown_figure(shown, member));
  add_registration(document, configured, facts, state);
  return document;
}

json_t *shown_event(uint64_t id, const struct event_record *event) {
  return value_must(json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)id, "at",
                              value_time(event->at_ms), "service", value_text_or_null(event->service), "member",
                              value_text_or_null(event->member), "kind", value_text(event->kind), "from",
                              value_text_or_null(event->from), "to", value_text_or_null(event->to), "reason",
                              value_text_or_null(event->reason)));
}

json_t *shown_queries(const struct board *board) {
  json_t *queries = value_must(json_object());
  for (int i = 0; board && i < BOARD_COUNTERS; i++)
    json_object_set_new(queries, board_counter_name((enum board_counter)i),
                        json_integer((json_int_t)board_total(board, (enum board_counter)i)));
  return queries;
}

json_t *shown_processes(const struct board *board, int64_t now_ms) {
  json_t *processes = value_must(json_array());
  for (int i = 0; board && i < BOARD_PROCESSES; i++) {
    const struct board_process_row *row = &board->processes[i];
    int32_t pid = atomic_load_explicit(&row->pid, memory_order_relaxed);
    int64_t started_ms = atomic_load_explicit(&row->started_ms, memory_order_relaxed);
    json_array_append_new(processes,
                          value_must(json_pack("{s:s, s:I, s:I, s:o}", "name",
                                               board_process_name((enum board_process)i), "pid", (json_int_t)pid,
                                               "restarts",
                                               (json_int_t)atomic_load_explicit(&row->restarts, memory_order_relaxed),
                                               "uptime_s", pid ? value_age(started_ms, now_ms) : json_null())));
  }
  return processes;
}

json_t *shown_store(struct store *store) {
  struct store_info info;
  if (!store || store_info(store, &info) != STATUS_OK)
    return value_must(json_pack("{s:b}", "readable", 0));
  return value_must(json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "readable", 1, "in_memory",
                              (int)info.is_in_memory, "map_bytes", (json_int_t)info.map_bytes, "used_bytes",
                              (json_int_t)info.used_bytes, "transactions", (json_int_t)info.last_txn, "entries",
                              (json_int_t)info.entries, "readers", (json_int_t)info.readers,
                              "oldest_reader_transactions", (json_int_t)info.oldest_reader_txns, "oldest_reader_pid",
                              (json_int_t)info.oldest_reader_pid));
}
