#include "gslb/decide/ballot.h"

#include <assert.h>
#include <stdio.h>

#define MONITORS_MOST 32u /* bits of config_member.monitors */

struct ballot { /* of one address */
  const struct config *config;
  const struct config_service *service;
  const struct address_facts *facts;
  const struct ballot_decision *services;
  struct arena *arena;
  struct vote votes[MONITORS_MOST];
  const struct health_record *records[MONITORS_MOST]; /* NULL: not judged yet */
};

bool ballot_is_watched(const struct config_member *member, size_t monitor) {
  return member->monitors >> monitor & 1u;
}

bool ballot_has_votes(const struct config *config, const struct config_service *service,
                      const struct config_member *member) {
  for (size_t i = 0; i < service->monitor_count; i++)
    if (ballot_is_watched(member, i) && config->monitors[service->monitors[i]].weight > 0)
      return true;
  return false;
}

/* How soon further results could change what the monitor says of the address. */
static int64_t probe_change_in_ms(const struct config_monitor *monitor, const struct health_record *record) {
  if (record->state == HEALTH_UNKNOWN)
    return monitor->interval_ms;
  if (record->streak == 0)
    return INT64_MAX;
  uint32_t needed = record->state == HEALTH_UP ? monitor->fall : monitor->rise;
  uint32_t missing = record->streak < needed ? needed - record->streak : 1;
  return (int64_t)missing * monitor->interval_ms;
}

static enum health probed_state(const struct config_monitor *monitor, const struct health_record *record) {
  bool has_results = record->state != HEALTH_UNKNOWN || record->last_ms != 0;
  return has_results ? record->state : (enum health)monitor->starts_as;
}

static void judge_monitor(struct ballot *ballot, size_t at);

static size_t position_of(const struct config_service *service, uint32_t monitor) {
  for (size_t i = 0; i < service->monitor_count; i++)
    if (service->monitors[i] == monitor)
      return i;
  return SIZE_MAX;
}

/* Those that it counts have lower indices than itself, so this ends. */
static void calculate(struct ballot *ballot, size_t at) {
  const struct config_monitor *monitor = &ballot->config->monitors[ballot->service->monitors[at]];
  struct vote *counted = arena_array(ballot->arena, monitor->of_count, sizeof *counted);
  struct health_record *record = arena_alloc(ballot->arena, sizeof *record);
  size_t count = 0, passing = 0;
  for (size_t i = 0; i < monitor->of_count; i++) {
    size_t position = position_of(ballot->service, monitor->of[i]);
    if (position == SIZE_MAX)
      continue;
    judge_monitor(ballot, position);
    counted[count] = ballot->votes[position];
    counted[count].weight = 1;
    passing += counted[count++].state == HEALTH_UP;
    if (ballot->records[position]->since_ms > record->since_ms)
      record->since_ms = ballot->records[position]->since_ms;
  }
  record->state = votes_state(counted, count, monitor->least);
  record->last_passed = record->state == HEALTH_UP;
  snprintf(record->reason, sizeof record->reason, "%zu of %zu monitors pass, %u are needed", passing, monitor->of_count,
           monitor->least);
  ballot->votes[at].state = record->state;
  ballot->votes[at].change_in_ms = votes_change_in_ms(counted, count, monitor->least);
  ballot->records[at] = record;
}

static void judge_monitor(struct ballot *ballot, size_t at) {
  const struct config_monitor *monitor = &ballot->config->monitors[ballot->service->monitors[at]];
  struct vote *vote = &ballot->votes[at];
  if (ballot->records[at])
    return;
  if (monitor->type == MONITOR_CALCULATED) {
    calculate(ballot, at);
  } else if (monitor->type == MONITOR_SERVICE) {
    *vote = ballot->services[at].vote;
    ballot->records[at] = ballot->services[at].record;
  } else {
    ballot->records[at] = &ballot->facts->probes[at];
    vote->state = probed_state(monitor, ballot->records[at]);
    vote->change_in_ms = probe_change_in_ms(monitor, ballot->records[at]);
  }
  vote->weight = monitor->weight;
}

static bool is_decided(const struct config *config, const struct config_service *service) {
  for (size_t i = 0; i < service->monitor_count; i++) {
    enum monitor_type type = config->monitors[service->monitors[i]].type;
    if (type == MONITOR_CALCULATED || type == MONITOR_SERVICE)
      return true;
  }
  return false;
}

/* The first that says the same as all together, or else the first. */
static void find_cause(const struct ballot *ballot, const struct config_member *member, struct address_state *out) {
  bool is_found = false;
  for (size_t i = 0; i < ballot->service->monitor_count && !is_found; i++) {
    if (!ballot_is_watched(member, i) || ballot->votes[i].weight == 0)
      continue;
    is_found = ballot->votes[i].state == out->state;
    if (!is_found && out->cause)
      continue;
    out->cause = ballot->records[i];
    out->cause_monitor = i;
  }
}

void ballot_judge(const struct config *config, const struct service_facts *facts, size_t member, size_t address,
                  const struct ballot_decision *services, struct arena *arena, struct address_state *out) {
  const struct config_service *service = facts->service;
  const struct config_member *configured = &service->members[member];
  struct ballot ballot = {.config = config,
                          .service = service,
                          .facts = &facts->members[member].addresses[address],
                          .services = services,
                          .arena = arena};
  struct vote votes[MONITORS_MOST];
  size_t count = 0;
  uint64_t sum = 0;
  assert(service->monitor_count <= MONITORS_MOST);
  *out = (struct address_state){.state = HEALTH_UP, .change_in_ms = INT64_MAX};
  for (size_t i = 0; i < service->monitor_count; i++) {
    if (!ballot_is_watched(configured, i))
      continue;
    judge_monitor(&ballot, i);
    sum += ballot.votes[i].weight;
    votes[count++] = ballot.votes[i];
  }
  if (is_decided(config, service)) {
    out->records = arena_array(arena, service->monitor_count, sizeof *out->records);
    for (size_t i = 0; i < service->monitor_count; i++)
      out->records[i] = ballot.records[i] ? ballot.records[i] : &ballot.facts->probes[i];
  }
  if (sum == 0)
    return;
  uint64_t threshold = configured->threshold ? configured->threshold : service->threshold ? service->threshold : sum;
  out->state = votes_state(votes, count, threshold);
  out->change_in_ms = votes_change_in_ms(votes, count, threshold);
  find_cause(&ballot, configured, out);
}
