#include "gslb/admin/shown.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/admin/cause.h"
#include "gslb/base/clock.h"
#include "gslb/base/memory.h"

#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

/* jansson answers NULL only when memory runs out, which ends the process everywhere else too */
static json_t *must(json_t *value) {
  if (!value)
    abort();
  return value;
}

json_t *shown_text(const char *text) {
  size_t length = strlen(text);
  json_t *value = json_stringn(text, length);
  /* most often a character that was cut in two at the end of a fixed field */
  for (size_t cut = 1; !value && cut <= 3 && cut <= length; cut++)
    value = json_stringn(text, length - cut);
  if (value)
    return value;
  char *plain = mem_strdup(text);
  for (char *at = plain; *at; at++)
    if ((unsigned char)*at >= 0x80)
      *at = '?';
  value = must(json_string(plain));
  free(plain);
  return value;
}

static json_t *text_or_null(const char *text) {
  return text && text[0] ? shown_text(text) : json_null();
}

json_t *shown_time(int64_t house_ms) {
  if (house_ms == 0)
    return json_null();
  char text[32];
  clock_format_utc(house_ms, text, sizeof text);
  return must(json_string(text));
}

static json_t *seconds(int64_t ms) {
  return must(json_real((double)(ms > 0 ? ms : 0) / 1000.0));
}

json_t *shown_age(int64_t house_ms, int64_t now_ms) {
  return house_ms == 0 ? json_null() : seconds(now_ms - house_ms);
}

char *shown_dump(json_t *document) {
  size_t size = json_dumpb(document, NULL, 0, DUMP_FLAGS);
  char *text = mem_alloc(size + 2);
  json_dumpb(document, text, size, DUMP_FLAGS);
  text[size] = '\n';
  json_decref(document);
  return text;
}

uint64_t shown_answers(const struct board *board, const struct member_facts *member) {
  return board && member->slot != FACTS_NO_SLOT ? board_answers(board, member->slot) : 0;
}

static const char *input_name(enum health_input input) {
  switch (input) {
  case INPUT_ADMIN:
    return "admin";
  case INPUT_PROBE:
    return "probe";
  case INPUT_NONE:
    break;
  }
  return "none";
}

json_t *shown_service(const struct shown *shown) {
  const struct config_service *service = shown->facts->service;
  json_t *monitors = must(json_array());
  for (size_t i = 0; i < service->monitor_count; i++)
    json_array_append_new(monitors, shown_text(shown->config->monitors[service->monitors[i]].name));
  json_int_t up = 0;
  json_int_t answers = 0;
  for (size_t i = 0; i < service->member_count; i++) {
    enum health state = shown->evaluation->members[i].state;
    up += state == HEALTH_UP || state == HEALTH_DEGRADED;
    answers += (json_int_t)shown_answers(shown->board, &shown->facts->members[i]);
  }
  return must(json_pack("{s:o, s:o, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I}", "name",
                        shown_text(service->name), "zone", shown_text(shown->config->zones[service->zone].name),
                        "method", balance_method_name(service->method), "answers", (json_int_t)service->answers,
                        "when_down", when_down_name(service->when_down), "mode",
                        service_mode_name(shown->evaluation->mode), "ttl_s", (json_int_t)shown->evaluation->ttl_s,
                        "ttl_min_s", (json_int_t)service->ttl_min_s, "ttl_max_s", (json_int_t)service->ttl_max_s, "srv",
                        text_or_null(service->srv), "monitors", monitors, "members_total",
                        (json_int_t)service->member_count, "members_up", up, "members_answered",
                        (json_int_t)shown->evaluation->answered_members, "answers_total", answers));
}

static json_t *probe_document(const char *monitor, const struct health_record *record, int64_t now_ms) {
  bool is_measured = record->last_good_ms != 0;
  return must(json_pack("{s:o, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "monitor", shown_text(monitor),
                        "state", health_name(record->state), "reason", text_or_null(record->reason), "last_passed",
                        record->last_ms ? json_boolean(record->last_passed) : json_null(), "streak",
                        (json_int_t)record->streak, "last_at", shown_time(record->last_ms), "last_age_s",
                        shown_age(record->last_ms, now_ms), "since_at", shown_time(record->since_ms), "rtt_us",
                        is_measured ? json_integer(record->rtt_us) : json_null(), "rtt_mean_us",
                        is_measured ? json_integer(record->rtt_mean_us) : json_null(), "passed",
                        (json_int_t)record->passed, "failed", (json_int_t)record->failed));
}

static json_t *address_document(const struct shown *shown, size_t member, size_t address) {
  const struct config_service *service = shown->facts->service;
  const struct address_state *state = &shown->evaluation->members[member].addresses[address];
  const struct address_facts *facts = &shown->facts->members[member].addresses[address];
  struct cause cause;
  cause_of_address(shown->config, shown->facts, shown->evaluation, member, address, &cause);
  json_t *probes = must(json_array());
  for (size_t i = 0; i < service->monitor_count; i++)
    json_array_append_new(probes, probe_document(shown->config->monitors[service->monitors[i]].name, &facts->probes[i],
                                                 shown->now_ms));
  char text[ADDR_TEXT_SIZE];
  return must(json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "address",
                        addr_format(&service->members[member].addresses[address], text), "state",
                        health_name(state->state), "answered", (int)state->is_answered, "reason",
                        shown_text(cause.text), "since_at", shown_time(cause.since_ms), "age_s",
                        shown_age(cause.since_ms, shown->now_ms), "probes", probes));
}

static json_t *override_document(const struct override_record *override, int64_t now_ms) {
  if (override->kind == OVERRIDE_NONE || (override->until_ms && override->until_ms <= now_ms))
    return json_null();
  return must(json_pack("{s:s, s:o, s:o, s:o, s:o}", "state", override_name(override->kind), "who",
                        shown_text(override->who), "why", shown_text(override->why), "set_at",
                        shown_time(override->set_ms), "until_at", shown_time(override->until_ms)));
}

json_t *shown_member(const struct shown *shown, size_t member) {
  const struct config_service *service = shown->facts->service;
  const struct config_member *configured = &service->members[member];
  const struct member_state *state = &shown->evaluation->members[member];
  const struct member_facts *facts = &shown->facts->members[member];
  struct cause cause;
  cause_of_member(shown->config, shown->facts, shown->evaluation, member, &cause);
  json_t *addresses = must(json_array());
  for (size_t i = 0; i < configured->address_count; i++)
    json_array_append_new(addresses, address_document(shown, member, i));
  char *id = mem_format("%s/%s", service->name, configured->name);
  json_t *document = must(
      json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:o, s:o, s:I, s:I, s:b, s:I, s:o, s:o}", "id", shown_text(id),
                "service", shown_text(service->name), "name", shown_text(configured->name), "site",
                configured->site == UINT32_MAX ? json_null() : shown_text(shown->config->sites[configured->site].name),
                "state", health_name(state->state), "reason", shown_text(cause.text), "decided_by",
                input_name(state->decided_by), "since_at", shown_time(cause.since_ms), "age_s",
                shown_age(cause.since_ms, shown->now_ms), "weight", (json_int_t)configured->weight, "srv_port",
                (json_int_t)configured->srv_port, "answered", (int)state->is_answered, "answers_total",
                (json_int_t)shown_answers(shown->board, facts), "override",
                override_document(&facts->override, shown->now_ms), "addresses", addresses));
  free(id);
  return document;
}

json_t *shown_event(uint64_t id, const struct event_record *event) {
  return must(json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)id, "at",
                        shown_time(event->at_ms), "service", text_or_null(event->service), "member",
                        text_or_null(event->member), "kind", shown_text(event->kind), "from", text_or_null(event->from),
                        "to", text_or_null(event->to), "reason", text_or_null(event->reason)));
}

json_t *shown_queries(const struct board *board) {
  json_t *queries = must(json_object());
  for (int i = 0; board && i < BOARD_COUNTERS; i++)
    json_object_set_new(queries, board_counter_name((enum board_counter)i),
                        json_integer((json_int_t)board_total(board, (enum board_counter)i)));
  return queries;
}

json_t *shown_processes(const struct board *board, int64_t now_ms) {
  json_t *processes = must(json_array());
  for (int i = 0; board && i < BOARD_PROCESSES; i++) {
    const struct board_process_row *row = &board->processes[i];
    int32_t pid = atomic_load_explicit(&row->pid, memory_order_relaxed);
    int64_t started_ms = atomic_load_explicit(&row->started_ms, memory_order_relaxed);
    json_array_append_new(processes,
                          must(json_pack("{s:s, s:I, s:I, s:o}", "name", board_process_name((enum board_process)i),
                                         "pid", (json_int_t)pid, "restarts",
                                         (json_int_t)atomic_load_explicit(&row->restarts, memory_order_relaxed),
                                         "uptime_s", pid ? shown_age(started_ms, now_ms) : json_null())));
  }
  return processes;
}

json_t *shown_store(struct store *store) {
  struct store_info info;
  if (!store || store_info(store, &info) != STATUS_OK)
    return must(json_pack("{s:b}", "readable", 0));
  return must(json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "readable", 1, "map_bytes",
                        (json_int_t)info.map_bytes, "used_bytes", (json_int_t)info.used_bytes, "transactions",
                        (json_int_t)info.last_txn, "entries", (json_int_t)info.entries, "readers",
                        (json_int_t)info.readers, "oldest_reader_transactions", (json_int_t)info.oldest_reader_txns,
                        "oldest_reader_pid", (json_int_t)info.oldest_reader_pid));
}
