#include "gslb/decide/evaluate.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "gslb/decide/ballot.h"
#include "gslb/decide/load.h"
#include "gslb/decide/overload.h"
#include "gslb/model/facts_figures.h"

struct judging { /* of one service's members */
  const struct config *config;
  const struct service_facts *facts;
  int64_t now_ms;
  struct arena *arena;
  const struct ballot_decision *decisions; /* by position of the monitor; NULL: none looks at a service */
};

static enum health combine_addresses(const struct member_state *member, size_t count) {
  size_t up = 0, unknown = 0;
  for (size_t i = 0; i < count; i++) {
    up += member->addresses[i].state == HEALTH_UP;
    unknown += member->addresses[i].state == HEALTH_UNKNOWN;
  }
  if (up == 0)
    return unknown ? HEALTH_UNKNOWN : HEALTH_DOWN;
  return up + unknown == count ? HEALTH_UP : HEALTH_DEGRADED;
}

static bool override_holds(const struct override_record *override, int64_t now_ms) {
  return override && override->kind != OVERRIDE_NONE && (override->until_ms == 0 || now_ms < override->until_ms);
}

static void judge_probes(const struct judging *judging, size_t index, struct member_state *out) {
  const struct config_service *service = judging->facts->service;
  const struct config_member *member = &service->members[index];
  out->change_in_ms = INT64_MAX;
  out->addresses = arena_array(judging->arena, member->address_count, sizeof *out->addresses);
  for (size_t i = 0; i < member->address_count; i++) {
    ballot_judge(judging->config, judging->facts, index, i, judging->decisions, judging->arena, &out->addresses[i]);
    if (out->addresses[i].change_in_ms < out->change_in_ms)
      out->change_in_ms = out->addresses[i].change_in_ms;
  }
  out->probe_state = combine_addresses(out, member->address_count);
  out->state = out->probe_state;
  out->decided_by = ballot_has_votes(judging->config, service, member) ? INPUT_PROBE : INPUT_NONE;
}

static void find_self(const struct config_member *member, const struct member_facts *known, struct member_state *out) {
  const struct metrics_record *check = known->metrics[METRICS_CHECK];
  if (member->is_registered && out->has_lease)
    out->self_state = known->lease->self;
  /* unknown, up, draining, down: the greater is the worse, or says anything at all */
  if (!check || !check->has_self || check->self <= out->self_state)
    return;
  out->self_state = check->self;
  out->is_self_checked = true;
}

/* What a member says of itself makes its state worse, never better than its probes find it; only where it has no
 * monitors its word is all there is. */
static void judge_self(const struct config_member *member, const struct member_facts *known, struct member_state *out) {
  out->has_lease = !member->is_registered || (known->lease && known->lease->state != LEASE_ENDED);
  out->headroom = 1.0;
  if (!out->has_lease)
    return;
  find_self(member, known, out);
  if (member->is_registered) {
    out->is_stale = known->lease->state == LEASE_STALE;
    double utilization = known->lease->utilization;
    if (utilization > 0.0) /* LEASE_NO_UTILIZATION is below */
      out->headroom = utilization < 1.0 ? 1.0 - utilization : 0.0;
  }
  if (out->decided_by == INPUT_NONE && (member->is_registered || out->self_state != HEALTH_UNKNOWN))
    out->decided_by = out->self_state == HEALTH_UNKNOWN ? INPUT_LEASE : INPUT_SELF;
  bool is_worse =
      out->self_state == HEALTH_DOWN || (out->self_state == HEALTH_DRAINING && out->probe_state != HEALTH_DOWN);
  if (!is_worse)
    return;
  out->state = out->self_state;
  out->decided_by = INPUT_SELF;
}

static void judge_override(enum override_kind kind, struct member_state *out) {
  switch (kind) {
  case OVERRIDE_UP:
    out->admin_state = HEALTH_UP;
    break;
  case OVERRIDE_DOWN:
    out->admin_state = HEALTH_DOWN;
    break;
  case OVERRIDE_DRAIN:
    out->admin_state = HEALTH_DRAINING;
    if (out->state == HEALTH_DOWN)
      return; /* the probes, or the member, know worse */
    break;
  case OVERRIDE_NONE:
    return;
  }
  out->state = out->admin_state;
  out->decided_by = INPUT_ADMIN;
  if (kind != OVERRIDE_DRAIN)
    out->change_in_ms = INT64_MAX;
}

static void judge_member(const struct judging *judging, size_t index, struct member_state *out) {
  const struct config_member *member = &judging->facts->service->members[index];
  const struct member_facts *known = &judging->facts->members[index];
  out->weight = member->weight;
  judge_probes(judging, index, out);
  judge_self(member, known, out);
  if (override_holds(known->override, judging->now_ms))
    judge_override(known->override->kind, out);
  if (out->has_lease)
    return;
  out->state = HEALTH_DOWN;
  out->decided_by = INPUT_LEASE;
  out->change_in_ms = INT64_MAX;
}

/* Services that monitors look at */

static struct member_state *judge_members(const struct config *config, const struct service_facts *facts,
                                          int64_t now_ms, struct arena *arena, int64_t *valid_until_ms);

/* When the member's state will change by time alone. */
static int64_t override_end_ms(const struct member_facts *known, int64_t now_ms) {
  return override_holds(known->override, now_ms) && known->override->until_ms ? known->override->until_ms : INT64_MAX;
}

static int64_t newest_cause_ms(const struct config_member *member, const struct member_state *state) {
  int64_t since_ms = 0;
  for (size_t i = 0; i < member->address_count; i++)
    if (state->addresses[i].cause && state->addresses[i].cause->since_ms > since_ms)
      since_ms = state->addresses[i].cause->since_ms;
  return since_ms;
}

static void decide_monitor(const struct judging *judging, const struct config_monitor *monitor,
                           const struct service_facts *seen, struct ballot_decision *out, int64_t *valid_until_ms) {
  size_t count = seen ? seen->service->member_count : 0, up = 0;
  const struct member_state *members =
      seen ? judge_members(judging->config, seen, judging->now_ms, judging->arena, valid_until_ms) : NULL;
  struct vote *votes = arena_array(judging->arena, count, sizeof *votes);
  struct health_record *record = arena_alloc(judging->arena, sizeof *record);
  for (size_t i = 0; i < count; i++) {
    bool is_up = members[i].state == HEALTH_UP || members[i].state == HEALTH_DEGRADED;
    votes[i] = (struct vote){is_up ? HEALTH_UP : members[i].state, 1, members[i].change_in_ms};
    up += is_up;
    int64_t since_ms = newest_cause_ms(&seen->service->members[i], &members[i]);
    if (since_ms > record->since_ms)
      record->since_ms = since_ms;
  }
  record->state = votes_state(votes, count, monitor->least);
  record->last_passed = record->state == HEALTH_UP;
  snprintf(record->reason, sizeof record->reason, "%zu of %zu members are up, %u are needed", up, count,
           monitor->least);
  out->vote = (struct vote){record->state, monitor->weight, votes_change_in_ms(votes, count, monitor->least)};
  out->record = record;
}

static const struct ballot_decision *decide_monitors(const struct judging *judging, int64_t *valid_until_ms) {
  const struct config_service *service = judging->facts->service;
  struct ballot_decision *decisions = NULL;
  for (size_t i = 0; i < service->monitor_count; i++) {
    const struct config_monitor *monitor = &judging->config->monitors[service->monitors[i]];
    if (monitor->type != MONITOR_SERVICE)
      continue;
    if (!decisions)
      decisions = arena_array(judging->arena, service->monitor_count, sizeof *decisions);
    decide_monitor(judging, monitor, judging->facts->watched ? judging->facts->watched[i] : NULL, &decisions[i],
                   valid_until_ms);
  }
  return decisions;
}

/* The configuration has no circles of services that look at each other, so this ends. */
static struct member_state *judge_members(const struct config *config, const struct service_facts *facts,
                                          int64_t now_ms, struct arena *arena, int64_t *valid_until_ms) {
  struct judging judging = {.config = config, .facts = facts, .now_ms = now_ms, .arena = arena};
  size_t count = facts->service->member_count;
  struct member_state *members = arena_array(arena, count, sizeof *members);
  judging.decisions = decide_monitors(&judging, valid_until_ms);
  for (size_t i = 0; i < count; i++) {
    judge_member(&judging, i, &members[i]);
    int64_t end_ms = override_end_ms(&facts->members[i], now_ms);
    if (end_ms < *valid_until_ms)
      *valid_until_ms = end_ms;
  }
  return members;
}

/* Weights */

static const struct metric_value *told_percentage(const struct member_facts *known) {
  const struct metrics_record *check = known->metrics[METRICS_CHECK];
  for (uint32_t i = 0; check && i < check->count; i++)
    if (strcmp(check->values[i].name, FACTS_WEIGHT_PERCENT) == 0)
      return &check->values[i];
  return NULL;
}

static uint32_t weigh(uint32_t weight, double percentage) {
  double product = weight * percentage;
  if (!(product > 0.0))
    return 0;
  if (product >= UINT32_MAX)
    return UINT32_MAX;
  uint32_t whole = (uint32_t)product;
  return whole < product ? whole + 1 : whole; /* a percentage above 0 leaves a chance */
}

static void weigh_members(const struct service_facts *facts, struct member_state *members) {
  bool is_told = false;
  for (size_t i = 0; i < facts->service->member_count; i++)
    is_told |= told_percentage(&facts->members[i]) != NULL;
  for (size_t i = 0; i < facts->service->member_count && is_told; i++) {
    const struct metric_value *percentage = told_percentage(&facts->members[i]);
    members[i].weight = weigh(facts->service->members[i].weight, percentage ? percentage->value : 100.0);
  }
}

/* Those that when_down must not bring back: taken down by an operator, in maintenance by their own word, or gone. */
static bool is_out(const struct member_state *member) {
  return member->admin_state == HEALTH_DOWN || !member->has_lease ||
         (member->self_state == HEALTH_DOWN && member->admin_state != HEALTH_UP);
}

/* Which members a mode draws from. */
static bool belongs(enum service_mode mode, const struct member_state *member) {
  switch (mode) {
  case SERVICE_NORMAL:
    return member->state == HEALTH_UP || member->state == HEALTH_DEGRADED;
  case SERVICE_USES_UNKNOWN:
    return member->state == HEALTH_UNKNOWN;
  case SERVICE_USES_DRAINING:
    return member->state == HEALTH_DRAINING;
  case SERVICE_DOWN_ALL:
  case SERVICE_DOWN_LAST:
    return !is_out(member);
  case SERVICE_DOWN_EMPTY:
    return false;
  }
  return false;
}

/* Which addresses of a member that belongs: those that do not fail, unless an operator or when_down says otherwise. */
static bool is_address_used(enum service_mode mode, const struct member_state *member, size_t address,
                            const struct address_facts *facts) {
  if (mode == SERVICE_DOWN_ALL || member->admin_state == HEALTH_UP)
    return true;
  if (mode == SERVICE_DOWN_LAST)
    return facts->latch.last_good;
  return member->addresses[address].state != HEALTH_DOWN;
}

static void mark_answered(const struct service_facts *facts, struct evaluation *out, bool with_weight_only) {
  const struct config_service *service = facts->service;
  for (size_t i = 0; i < service->member_count; i++) {
    struct member_state *member = &out->members[i];
    if (!belongs(out->mode, member) || (with_weight_only && member->weight == 0))
      continue;
    for (size_t j = 0; j < service->members[i].address_count; j++) {
      bool used = is_address_used(out->mode, member, j, &facts->members[i].addresses[j]);
      member->addresses[j].is_answered = used;
      member->is_answered |= used;
    }
    out->answered_members += member->is_answered;
    if (member->weight == 0)
      member->weight = 1;
  }
}

/* Tries the modes from best to worst until one has somebody to answer with. */
static void choose_mode(const struct service_facts *facts, struct evaluation *out) {
  static const enum service_mode modes[] = {SERVICE_NORMAL, SERVICE_USES_UNKNOWN, SERVICE_USES_DRAINING,
                                            SERVICE_DOWN_LAST, SERVICE_DOWN_ALL};
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    enum when_down policy = facts->service->when_down;
    if (modes[i] == SERVICE_DOWN_LAST && policy != WHEN_DOWN_LAST)
      continue;
    /* a service that never was good has no last set: all are as likely as any */
    if (modes[i] == SERVICE_DOWN_ALL && policy == WHEN_DOWN_EMPTY)
      continue;
    out->mode = modes[i];
    mark_answered(facts, out, true);
    if (out->answered_members == 0)
      mark_answered(facts, out, false);
    if (out->answered_members)
      return;
  }
  out->mode = SERVICE_DOWN_EMPTY;
}

static void set_ttl(const struct service_facts *facts, struct evaluation *out, int64_t now_ms) {
  const struct config_service *service = facts->service;
  int64_t change_in_ms = INT64_MAX;
  for (size_t i = 0; i < service->member_count; i++) {
    if (out->members[i].change_in_ms < change_in_ms)
      change_in_ms = out->members[i].change_in_ms;
    int64_t end_ms = override_end_ms(&facts->members[i], now_ms);
    if (end_ms < INT64_MAX && end_ms - now_ms < change_in_ms)
      change_in_ms = end_ms - now_ms;
  }
  if (out->mode != SERVICE_NORMAL)
    change_in_ms = 0;
  int64_t ttl_s = change_in_ms / 1000;
  if (ttl_s > service->ttl_max_s)
    ttl_s = service->ttl_max_s;
  if (ttl_s < service->ttl_min_s)
    ttl_s = service->ttl_min_s;
  out->ttl_s = (uint32_t)ttl_s;
}

void evaluate_service(const struct config *config, const struct service_facts *facts, int64_t now_ms,
                      struct arena *arena, struct evaluation *out) {
  *out = (struct evaluation){.valid_until_ms = INT64_MAX};
  out->members = judge_members(config, facts, now_ms, arena, &out->valid_until_ms);
  weigh_members(facts, out->members);
  overload_judge(config, facts, now_ms, arena, out);
  choose_mode(facts, out);
  overload_leave_out(facts, out);
  set_ttl(facts, out, now_ms);
}

const struct health_record *evaluate_record(const struct service_facts *facts, const struct evaluation *evaluation,
                                            size_t member, size_t address, size_t monitor) {
  const struct address_state *state = &evaluation->members[member].addresses[address];
  return state->records ? state->records[monitor] : &facts->members[member].addresses[address].probes[monitor];
}

const struct config_load *evaluate_load(const struct config *config, const struct config_service *service) {
  return facts_figures_load(config, service);
}

bool evaluate_next_latch(const struct evaluation *evaluation, size_t member, size_t address, bool was_good) {
  if (evaluation->mode != SERVICE_NORMAL && evaluation->mode != SERVICE_USES_DRAINING)
    return was_good;
  const struct address_state *state = &evaluation->members[member].addresses[address];
  return state->is_answered || state->is_left_out;
}

uint64_t evaluate_next_load_latch(const struct evaluation *evaluation, size_t member) {
  return evaluation->figures ? evaluation->figures[member].over : 0;
}

const char *service_mode_name(enum service_mode mode) {
  static const char *const names[] = {
      [SERVICE_NORMAL] = "normal",     [SERVICE_USES_UNKNOWN] = "unknown", [SERVICE_USES_DRAINING] = "draining",
      [SERVICE_DOWN_ALL] = "down-all", [SERVICE_DOWN_LAST] = "down-last",  [SERVICE_DOWN_EMPTY] = "down-empty",
  };
  assert((size_t)mode < sizeof names / sizeof names[0]);
  return names[mode];
}
