#include "gslb/admin/follow.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/admin/cause.h"
#include "gslb/base/memory.h"
#include "gslb/decide/evaluate.h"
#include "gslb/decide/overload.h"
#include "gslb/model/board.h"
#include "gslb/model/chronicle.h"
#include "gslb/model/facts.h"
#include "gslb/model/load_latch.h"

struct followed_member {
  const char *name;
  bool is_registered;
  bool is_known;
  enum health state;
  uint32_t slot;
  bool is_load_known;
  uint64_t over; /* which metrics of the load section were over at the last look */
};

struct followed { /* one service */
  const char *name;
  uint64_t revision;   /* of the members below */
  struct arena memory; /* of name and members, unless they are the configured ones */
  struct followed_member *members;
  size_t member_count;
  bool is_touched;
  bool was_looked_at;
  bool is_mode_known;
  enum service_mode mode;
  int64_t due_ms;
  int64_t empty_from_ms; /* on_empty is not run before; house time */
};

struct follow {
  const struct config *config;
  struct facts *facts;
  struct arena arena;
  struct followed *services;
  bool is_full; /* no slot was left, and that was told */
};

static void list_members(const struct service_facts *facts, struct arena *arena, struct followed *out) {
  const struct config_service *service = facts->service;
  bool is_own = facts->revision > 0; /* the names go with the next revision, the configuration's do not */
  out->name = is_own ? arena_strdup(arena, service->name) : service->name;
  out->revision = facts->revision;
  out->member_count = service->member_count;
  out->members = arena_array(arena, service->member_count, sizeof *out->members);
  for (size_t m = 0; m < service->member_count; m++) {
    const struct config_member *member = &service->members[m];
    out->members[m] =
        (struct followed_member){.name = member->name, .is_registered = member->is_registered, .slot = FACTS_NO_SLOT};
    if (member->is_registered)
      out->members[m].name = arena_strdup(arena, member->name);
  }
}

static void give_up(const struct followed *before, size_t member, struct slots *slots, struct news *news) {
  const struct followed_member *gone = &before->members[member];
  struct news_row row = {.kind = NEWS_DELETE, .db = STORE_DB_SLOTS, .service = before->name};
  record_key_member(before->name, gone->name, &row.key);
  if (gone->slot != FACTS_NO_SLOT && slots) {
    slots_give(slots, gone->slot);
    news_add_row(news, &row);
  }
  row.kind = NEWS_DELETE_BELOW;
  row.db = STORE_DB_LATCHES;
  news_add_row(news, &row);
  if (gone->is_load_known) {
    row.kind = NEWS_DELETE;
    row.db = STORE_DB_LOAD_LATCHES;
    news_add_row(news, &row);
  }
  /* one that was down by its lease or otherwise is no loss any more */
  if (!gone->is_known || gone->state == HEALTH_DOWN)
    return;
  struct event_record *event = news_add_event(news, "health", before->name, gone->name);
  snprintf(event->from, sizeof event->from, "%s", health_name(gone->state));
  snprintf(event->to, sizeof event->to, "gone");
  snprintf(event->reason, sizeof event->reason, "it is not registered any more");
}

/* Takes over the members as they are now: what was known of those that stay goes with their names, and what was kept
 * for registered ones that are gone is given back. news NULL: nobody is told. */
static void take_members(struct followed *followed, const struct service_facts *facts, struct slots *slots,
                         struct news *news) {
  if (followed->revision == facts->revision)
    return;
  struct followed before = *followed;
  followed->memory = (struct arena){0};
  list_members(facts, &followed->memory, followed);
  bool is_same = strcmp(before.name, followed->name) == 0;
  if (!is_same) {
    followed->is_mode_known = false;
    followed->mode = SERVICE_USES_UNKNOWN;
    followed->empty_from_ms = 0;
  }
  /* both begin with the configured members, then come registered ones in order of their names */
  size_t now = 0;
  for (size_t old = 0; old < before.member_count; old++) {
    const struct followed_member *known = &before.members[old];
    while (is_same && now < followed->member_count && known->is_registered &&
           (!followed->members[now].is_registered || strcmp(followed->members[now].name, known->name) < 0))
      now++;
    if (is_same && now < followed->member_count && strcmp(followed->members[now].name, known->name) == 0) {
      const char *name = followed->members[now].name;
      followed->members[now] = *known;
      followed->members[now++].name = name;
    } else if (news) {
      give_up(&before, old, slots, news);
    }
  }
  arena_release(&before.memory);
}

static void recall_from(struct follow *follow, const struct follow *before) {
  for (size_t s = 0; s < follow->config->service_count; s++) {
    struct followed *followed = &follow->services[s];
    size_t at = followed->name[0] ? facts_find_service(before->facts, followed->name) : SIZE_MAX;
    if (at == SIZE_MAX)
      continue;
    const struct followed *old = &before->services[at];
    followed->mode = old->mode;
    followed->is_mode_known = old->is_mode_known;
    followed->empty_from_ms = old->empty_from_ms;
    for (size_t m = 0; m < followed->member_count; m++) {
      size_t member = facts_find_member(before->facts, at, followed->members[m].name);
      /* what before has read and not looked at yet is not among its members */
      if (member >= old->member_count || strcmp(old->members[member].name, followed->members[m].name) != 0)
        continue;
      followed->members[m].state = old->members[member].state;
      followed->members[m].is_known = old->members[member].is_known;
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

static void recall_state(struct followed_member *member, const char *word) {
  if (member->is_known)
    return;
  (void)health_parse(word, &member->state);
  member->is_known = true;
}

static bool recall_event(void *context, uint64_t id, const struct event_record *event) {
  struct follow *follow = context;
  (void)id;
  bool is_mode = strcmp(event->kind, "service") == 0, is_state = strcmp(event->kind, "health") == 0;
  bool is_empty = strcmp(event->kind, "on_empty") == 0;
  size_t s = is_mode || is_state || is_empty ? facts_find_service(follow->facts, event->service) : SIZE_MAX;
  if (s == SIZE_MAX)
    return true;
  struct followed *followed = &follow->services[s];
  if (is_mode)
    recall_mode(followed, event->to);
  int64_t again_ms = event->at_ms + follow->config->services[s].on_empty_interval_ms;
  if (is_empty && again_ms > followed->empty_from_ms)
    followed->empty_from_ms = again_ms;
  size_t member = is_state ? facts_find_member(follow->facts, s, event->member) : SIZE_MAX;
  if (member < followed->member_count)
    recall_state(&followed->members[member], event->to);
  return true;
}

static void touch(void *context, size_t service) {
  struct follow *follow = context;
  if (service != FACTS_BALANCERS)
    follow->services[service].is_touched = true;
}

struct follow *follow_new(const struct config *config, struct store *durable, struct store *live,
                          const struct follow *before) {
  struct follow *follow = mem_alloc(sizeof *follow);
  follow->config = config;
  follow->facts = facts_new(config, durable, live);
  follow->services = arena_array(&follow->arena, config->service_count, sizeof *follow->services);
  for (size_t s = 0; s < config->service_count; s++) {
    struct followed *followed = &follow->services[s];
    followed->mode = SERVICE_USES_UNKNOWN;
    followed->due_ms = INT64_MAX;
    list_members(facts_service(follow->facts, s), &follow->arena, followed);
  }
  /* who registered must be known before it can be recalled; a failure is told by the first look */
  (void)facts_refresh(follow->facts, touch, follow, NULL);
  for (size_t s = 0; s < config->service_count; s++)
    take_members(&follow->services[s], facts_service(follow->facts, s), NULL, NULL);
  if (before)
    recall_from(follow, before);
  else if (durable)
    (void)chronicle_read_events(durable, recall_event, follow, NULL);
  return follow;
}

void follow_free(struct follow *follow) {
  if (!follow)
    return;
  for (size_t s = 0; s < follow->config->service_count; s++)
    arena_release(&follow->services[s].memory);
  facts_free(follow->facts);
  arena_release(&follow->arena);
  free(follow);
}

/* False: somebody is just being registered, whose lease is written a moment later. */
static bool note_states(struct follow *follow, size_t s, const struct service_facts *facts,
                        const struct evaluation *evaluation, struct news *news) {
  const struct config_service *service = facts->service;
  struct followed *followed = &follow->services[s];
  bool is_whole = true;
  for (size_t m = 0; m < service->member_count; m++) {
    const struct member_state *found = &evaluation->members[m];
    struct followed_member *member = &followed->members[m];
    enum health state = found->state, was = member->state;
    if (service->members[m].is_registered && !facts->members[m].lease && !member->is_known) {
      is_whole = false;
      continue;
    }
    /* what has no input is up from the first look on, which is no news; nor is who was registered before it */
    bool is_news = member->is_known ||
                   (found->decided_by == INPUT_LEASE ? followed->was_looked_at : found->decided_by != INPUT_NONE);
    member->is_known = true;
    member->state = state;
    if (state == was || !is_news)
      continue;
    struct cause cause;
    cause_of_member(follow->config, facts, evaluation, m, &cause);
    struct event_record *event = news_add_event(news, "health", service->name, service->members[m].name);
    snprintf(event->from, sizeof event->from, "%s", health_name(was));
    snprintf(event->to, sizeof event->to, "%s", health_name(state));
    snprintf(event->reason, sizeof event->reason, "%.*s", (int)sizeof event->reason - 1, cause.text);
  }
  return is_whole;
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

/* Only where somebody asks for the last good set: each write has every reader evaluate the service once more. */
static void move_latches(const struct service_facts *facts, const struct evaluation *evaluation, size_t m,
                         struct news *news) {
  const struct config_service *service = facts->service;
  const struct config_member *member = &service->members[m];
  for (size_t a = 0; a < member->address_count && service->when_down == WHEN_DOWN_LAST; a++) {
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

/* "cpu_utilization 0.93 is above 0.9 (mean, agent)" */
static void tell_threshold(const struct load_term *term, struct event_record *event) {
  const struct config_load_metric *metric = term->metric;
  double limit = term->is_over ? metric->threshold : metric->release;
  const char *side = metric->is_more_better == term->is_over ? "below" : "above";
  /* one that was too old to count stands where it stood */
  if (!overload_is_told(term) || (!term->is_over && (term->value > limit) != (metric->is_more_better)))
    snprintf(event->reason, sizeof event->reason, "%.100s: no figure any more", metric->name);
  else
    snprintf(event->reason, sizeof event->reason, "%.80s %.6g is %s %.6g (%s, %s)", metric->name, term->value, side,
             limit, metric_view_name(metric->view), metric_source_name(term->source));
}

static void note_thresholds(const struct service_facts *facts, const struct load_figure *figure, size_t m,
                            struct followed_member *member, struct news *news) {
  uint64_t changed = member->over ^ figure->over;
  for (size_t i = 0; i < figure->term_count; i++) {
    if (!(changed >> i & 1u))
      continue;
    struct event_record *event = news_add_event(news, "load", facts->service->name, facts->service->members[m].name);
    bool is_over = figure->over >> i & 1u;
    snprintf(event->from, sizeof event->from, "%s", is_over ? "within" : "over");
    snprintf(event->to, sizeof event->to, "%s", is_over ? "over" : "within");
    tell_threshold(&figure->terms[i], event);
  }
  member->over = figure->over;
}

static void move_load_latch(const struct follow *follow, struct followed *followed, const struct service_facts *facts,
                            const struct evaluation *evaluation, size_t m, struct news *news) {
  struct followed_member *member = &followed->members[m];
  uint64_t stored = facts->members[m].load_over, over = evaluate_next_load_latch(evaluation, m);
  if (!evaluation->figures)
    return;
  if (!member->is_load_known)
    member->over = stored;
  member->is_load_known = true;
  note_thresholds(facts, &evaluation->figures[m], m, member, news);
  if (over == stored)
    return;
  struct load_latch_record latch = {.since_ms = news->now_ms};
  load_latch_pack(evaluate_load(follow->config, facts->service), over, &latch);
  uint8_t value[RECORD_SIZE_MOST];
  struct news_row row = {.kind = NEWS_PUT,
                         .db = STORE_DB_LOAD_LATCHES,
                         .value = value,
                         .service = facts->service->name};
  row.size = load_latch_encode(&latch, value);
  record_key_member(facts->service->name, facts->service->members[m].name, &row.key);
  news_add_row(news, &row);
}

static void give_slot(struct follow *follow, size_t s, const struct service_facts *facts, size_t m, struct slots *slots,
                      struct news *news) {
  follow->services[s].members[m].slot = facts->members[m].slot;
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
  follow->services[s].members[m].slot = slot.slot;
  const struct config_service *service = facts->service;
  uint8_t value[RECORD_SIZE_MOST];
  struct news_row row = {.kind = NEWS_PUT, .db = STORE_DB_SLOTS, .value = value, .service = service->name};
  row.size = slot_encode(&slot, value);
  record_key_member(service->name, service->members[m].name, &row.key);
  news_add_row(news, &row);
}

static void end_override(const struct service_facts *facts, size_t m, struct news *news) {
  const struct override_record *override = facts->members[m].override;
  if (!override || override->kind == OVERRIDE_NONE || override->until_ms == 0 || override->until_ms > news->now_ms)
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

static void note_empty(struct followed *followed, const struct service_facts *facts, struct news *news) {
  const struct config_service *service = facts->service;
  if (followed->mode != SERVICE_DOWN_EMPTY || !service->on_empty)
    return;
  if (followed->empty_from_ms <= news->now_ms) {
    followed->empty_from_ms = news->now_ms + service->on_empty_interval_ms;
    news_add_empty(news, service->name);
  }
  if (followed->empty_from_ms < followed->due_ms)
    followed->due_ms = followed->empty_from_ms;
}

static void look_at(struct follow *follow, size_t s, struct slots *slots, struct arena *arena, struct news *news) {
  const struct service_facts *facts = facts_service(follow->facts, s);
  struct followed *followed = &follow->services[s];
  take_members(followed, facts, slots, news);
  followed->is_touched = false;
  followed->due_ms = INT64_MAX;
  if (!facts->service->name[0] || config_service_is_pattern(facts->service)) {
    followed->was_looked_at = true;
    return;
  }
  struct evaluation evaluation;
  evaluate_service(follow->config, facts, news->now_ms, arena, &evaluation);
  followed->due_ms = evaluation.valid_until_ms;
  for (size_t m = 0; m < facts->service->member_count; m++) {
    end_override(facts, m, news);
    give_slot(follow, s, facts, m, slots, news);
    move_latches(facts, &evaluation, m, news);
    move_load_latch(follow, followed, facts, &evaluation, m, news);
  }
  if (note_states(follow, s, facts, &evaluation, news)) {
    note_mode(follow, s, facts, &evaluation, news);
    note_empty(followed, facts, news);
  }
  followed->was_looked_at = true;
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
