#include "gslb/admin/follow.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/admin/cause.h"
#include "gslb/admin/chronicle.h"
#include "gslb/base/memory.h"
#include "gslb/decide/evaluate.h"
#include "gslb/model/board.h"
#include "gslb/model/facts.h"

struct followed { /* one service */
  bool is_touched;
  bool is_mode_known;
  enum service_mode mode;
  int64_t due_ms;
  enum health *states; /* one a member */
  bool *is_state_known;
};

struct follow {
  const struct config *config;
  struct facts *facts;
  struct arena arena;
  struct followed *services;
  bool is_full; /* no slot was left, and that was told */
};

static void recall_from(struct follow *follow, const struct follow *before) {
  for (size_t s = 0; s < follow->config->service_count; s++) {
    const struct config_service *service = &follow->config->services[s];
    size_t old = config_find_service(before->config, service->name);
    if (old == SIZE_MAX)
      continue;
    follow->services[s].mode = before->services[old].mode;
    follow->services[s].is_mode_known = before->services[old].is_mode_known;
    for (size_t m = 0; m < service->member_count; m++) {
      size_t member = config_find_member(&before->config->services[old], service->members[m].name);
      if (member == SIZE_MAX)
        continue;
      follow->services[s].states[m] = before->services[old].states[member];
      follow->services[s].is_state_known[m] = before->services[old].is_state_known[member];
    }
  }
}

static void recall_mode(struct followed *followed, const char *word) {
  if (followed->is_mode_known)
    return;
  for (int mode = SERVICE_NORMAL; mode <= SERVICE_DOWN_EMPTY; mode++)
    if (strcmp(word, service_mode_name((enum service_mode)mode)) == 0)
      followed->mode = (enum service_mode)mode;
  followed->is_mode_known = true;
}

static void recall_state(struct followed *followed, size_t member, const char *word) {
  if (followed->is_state_known[member])
    return;
  for (int state = HEALTH_UNKNOWN; state <= HEALTH_DOWN; state++)
    if (strcmp(word, health_name((enum health)state)) == 0)
      followed->states[member] = (enum health)state;
  followed->is_state_known[member] = true;
}

static bool recall_event(void *context, uint64_t id, const struct event_record *event) {
  struct follow *follow = context;
  (void)id;
  bool is_mode = strcmp(event->kind, "service") == 0, is_state = strcmp(event->kind, "health") == 0;
  size_t s = is_mode || is_state ? config_find_service(follow->config, event->service) : SIZE_MAX;
  if (s == SIZE_MAX)
    return true;
  if (is_mode) {
    recall_mode(&follow->services[s], event->to);
    return true;
  }
  size_t member = config_find_member(&follow->config->services[s], event->member);
  if (member != SIZE_MAX)
    recall_state(&follow->services[s], member, event->to);
  return true;
}

struct follow *follow_new(const struct config *config, struct store *durable, struct store *live,
                          const struct follow *before) {
  struct follow *follow = mem_alloc(sizeof *follow);
  follow->config = config;
  follow->facts = facts_new(config, durable, live);
  follow->services = arena_array(&follow->arena, config->service_count, sizeof *follow->services);
  for (size_t s = 0; s < config->service_count; s++) {
    struct followed *followed = &follow->services[s];
    size_t count = config->services[s].member_count;
    followed->mode = SERVICE_USES_UNKNOWN;
    followed->due_ms = INT64_MAX;
    followed->states = arena_array(&follow->arena, count, sizeof *followed->states);
    followed->is_state_known = arena_array(&follow->arena, count, sizeof *followed->is_state_known);
  }
  if (before)
    recall_from(follow, before);
  else if (durable)
    (void)chronicle_read_events(durable, recall_event, follow, NULL);
  return follow;
}

void follow_free(struct follow *follow) {
  if (!follow)
    return;
  facts_free(follow->facts);
  arena_release(&follow->arena);
  free(follow);
}

static void note_states(struct follow *follow, size_t s, const struct service_facts *facts,
                        const struct evaluation *evaluation, struct news *news) {
  const struct config_service *service = facts->service;
  struct followed *followed = &follow->services[s];
  for (size_t m = 0; m < service->member_count; m++) {
    enum health state = evaluation->members[m].state, was = followed->states[m];
    /* what has no input is up from the first look on, which is no news */
    bool is_news = followed->is_state_known[m] || evaluation->members[m].decided_by != INPUT_NONE;
    bool has_changed = state != was;
    followed->is_state_known[m] = true;
    followed->states[m] = state;
    if (!has_changed || !is_news)
      continue;
    struct cause cause;
    cause_of_member(follow->config, facts, evaluation, m, &cause);
    struct event_record *event = news_add_event(news, "health", service->name, service->members[m].name);
    snprintf(event->from, sizeof event->from, "%s", health_name(was));
    snprintf(event->to, sizeof event->to, "%s", health_name(state));
    snprintf(event->reason, sizeof event->reason, "%.*s", (int)sizeof event->reason - 1, cause.text);
  }
}

static void note_mode(struct follow *follow, size_t s, const struct service_facts *facts,
                      const struct evaluation *evaluation, struct news *news) {
  const struct config_service *service = facts->service;
  struct followed *followed = &follow->services[s];
  bool is_news = followed->is_mode_known || service->monitor_count > 0 || evaluation->mode != SERVICE_NORMAL;
  followed->is_mode_known = true;
  if (evaluation->mode != followed->mode && is_news) {
    struct event_record *event = news_add_event(news, "service", service->name, "");
    snprintf(event->from, sizeof event->from, "%s", service_mode_name(followed->mode));
    snprintf(event->to, sizeof event->to, "%s", service_mode_name(evaluation->mode));
    snprintf(event->reason, sizeof event->reason, "%zu of %zu members are answered", evaluation->answered_members,
             service->member_count);
  }
  followed->mode = evaluation->mode;
}

static void move_latches(const struct service_facts *facts, const struct evaluation *evaluation, size_t m,
                         struct news *news) {
  const struct config_service *service = facts->service;
  const struct config_member *member = &service->members[m];
  for (size_t a = 0; a < member->address_count; a++) {
    bool was_good = facts->members[m].addresses[a].latch.last_good;
    bool is_good = evaluate_next_latch(evaluation, m, a, was_good);
    if (is_good == was_good)
      continue;
    struct latch_record latch = {.last_good = is_good, .since_ms = news->now_ms};
    uint8_t value[RECORD_SIZE_MOST];
    struct news_row row = {.kind = NEWS_PUT, .db = STORE_DB_LATCHES, .value = value, .service = service->name};
    row.size = latch_encode(&latch, value);
    record_key_address(service->name, member->name, &member->addresses[a], &row.key);
    news_add_row(news, &row);
  }
}

static void give_slot(struct follow *follow, const struct service_facts *facts, size_t m, struct slots *slots,
                      struct news *news) {
  if (!slots || facts->members[m].slot != FACTS_NO_SLOT)
    return;
  struct slot_record slot = {.slot = slots_take(slots)};
  if (slot.slot == FACTS_NO_SLOT) {
    if (!follow->is_full) {
      struct event_record *event = news_add_event(news, "limit", "", "");
      snprintf(event->reason, sizeof event->reason, "answers are counted for %u members only", BOARD_SLOTS);
    }
    follow->is_full = true;
    return;
  }
  const struct config_service *service = facts->service;
  uint8_t value[RECORD_SIZE_MOST];
  struct news_row row = {.kind = NEWS_PUT, .db = STORE_DB_SLOTS, .value = value, .service = service->name};
  row.size = slot_encode(&slot, value);
  record_key_member(service->name, service->members[m].name, &row.key);
  news_add_row(news, &row);
}

static void end_override(const struct service_facts *facts, size_t m, struct news *news) {
  const struct override_record *override = &facts->members[m].override;
  if (override->kind == OVERRIDE_NONE || override->until_ms == 0 || override->until_ms > news->now_ms)
    return;
  const struct config_service *service = facts->service;
  struct news_row row = {.kind = NEWS_END_OVERRIDE, .db = STORE_DB_ADMIN, .service = service->name};
  record_key_member(service->name, service->members[m].name, &row.key);
  news_add_row(news, &row);
  struct event_record *event = news_add_event(news, "override", service->name, service->members[m].name);
  snprintf(event->from, sizeof event->from, "%s", override_name(override->kind));
  snprintf(event->to, sizeof event->to, "%s", override_name(OVERRIDE_NONE));
  snprintf(event->reason, sizeof event->reason, "its time is over (operator %s)", override->who);
}

static void look_at(struct follow *follow, size_t s, struct slots *slots, struct arena *arena, struct news *news) {
  const struct service_facts *facts = facts_service(follow->facts, s);
  struct evaluation evaluation;
  evaluate_service(follow->config, facts, news->now_ms, arena, &evaluation);
  follow->services[s].is_touched = false;
  follow->services[s].due_ms = evaluation.valid_until_ms;
  for (size_t m = 0; m < facts->service->member_count; m++) {
    end_override(facts, m, news);
    give_slot(follow, facts, m, slots, news);
    move_latches(facts, &evaluation, m, news);
  }
  note_states(follow, s, facts, &evaluation, news);
  note_mode(follow, s, facts, &evaluation, news);
}

static void touch(void *context, size_t service) {
  struct follow *follow = context;
  follow->services[service].is_touched = true;
}

enum status follow_look(struct follow *follow, struct slots *slots, struct news *news, struct errbuf *err) {
  enum status status = facts_refresh(follow->facts, touch, follow, err);
  struct arena arena = {0};
  for (size_t s = 0; s < follow->config->service_count; s++) {
    if (!follow->services[s].is_touched && follow->services[s].due_ms > news->now_ms)
      continue;
    look_at(follow, s, slots, &arena, news);
    arena_release(&arena);
  }
  return status;
}

void follow_again(struct follow *follow) {
  for (size_t s = 0; s < follow->config->service_count; s++)
    follow->services[s].is_touched = true;
}

int64_t follow_due_ms(const struct follow *follow) {
  int64_t due_ms = INT64_MAX;
  for (size_t s = 0; s < follow->config->service_count; s++)
    if (follow->services[s].due_ms < due_ms)
      due_ms = follow->services[s].due_ms;
  return due_ms;
}
