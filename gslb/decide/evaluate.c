#include "gslb/decide/evaluate.h"

#include <assert.h>

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

static int severity(enum health state) {
  switch (state) {
  case HEALTH_UP:
    return 0;
  case HEALTH_UNKNOWN:
    return 1;
  default:
    return 2;
  }
}

static bool is_watched(const struct config_member *member, size_t monitor) {
  return member->monitors >> monitor & 1u;
}

/* All monitors of the member must pass: the worst of them decides. */
static struct address_state judge_address(const struct config *config, const struct config_service *service,
                                          const struct config_member *member, const struct address_facts *facts) {
  struct address_state result = {.state = HEALTH_UP, .change_in_ms = INT64_MAX};
  for (size_t i = 0; i < service->monitor_count; i++) {
    if (!is_watched(member, i))
      continue;
    const struct health_record *record = &facts->probes[i];
    int64_t change_in_ms = probe_change_in_ms(&config->monitors[service->monitors[i]], record);
    if (change_in_ms < result.change_in_ms)
      result.change_in_ms = change_in_ms;
    if (!result.cause || severity(record->state) > severity(result.state)) {
      result.cause = record;
      result.cause_monitor = i;
      result.state = record->state;
    }
  }
  return result;
}

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
  return override->kind != OVERRIDE_NONE && (override->until_ms == 0 || now_ms < override->until_ms);
}

static void judge_probes(const struct config *config, const struct service_facts *facts, size_t index,
                         struct arena *arena, struct member_state *out) {
  const struct config_service *service = facts->service;
  const struct config_member *member = &service->members[index];
  bool has_monitors = false;
  for (size_t i = 0; i < service->monitor_count; i++)
    has_monitors |= is_watched(member, i);
  out->change_in_ms = INT64_MAX;
  out->addresses = arena_array(arena, member->address_count, sizeof *out->addresses);
  for (size_t i = 0; i < member->address_count; i++) {
    out->addresses[i] = judge_address(config, service, member, &facts->members[index].addresses[i]);
    if (out->addresses[i].change_in_ms < out->change_in_ms)
      out->change_in_ms = out->addresses[i].change_in_ms;
  }
  out->probe_state = combine_addresses(out, member->address_count);
  out->state = out->probe_state;
  out->decided_by = has_monitors ? INPUT_PROBE : INPUT_NONE;
}

/* What a registered member says of itself makes its state worse, never better than its probes find it; only where it
 * has no monitors its word is all there is. */
static void judge_self(const struct config_member *member, const struct member_facts *known, struct member_state *out) {
  out->has_lease = !member->is_registered || (known->has_lease && known->lease.state != LEASE_ENDED);
  out->headroom = 1.0;
  if (!member->is_registered || !out->has_lease)
    return;
  out->is_stale = known->lease.state == LEASE_STALE;
  out->self_state = known->lease.self;
  double utilization = known->lease.utilization;
  if (utilization > 0.0) /* LEASE_NO_UTILIZATION is below */
    out->headroom = utilization < 1.0 ? 1.0 - utilization : 0.0;
  if (out->decided_by == INPUT_NONE)
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

static void judge_member(const struct config *config, const struct service_facts *facts, size_t index, int64_t now_ms,
                         struct arena *arena, struct member_state *out) {
  const struct config_member *member = &facts->service->members[index];
  const struct member_facts *known = &facts->members[index];
  out->weight = member->weight;
  judge_probes(config, facts, index, arena, out);
  judge_self(member, known, out);
  if (override_holds(&known->override, now_ms))
    judge_override(known->override.kind, out);
  if (out->has_lease)
    return;
  out->state = HEALTH_DOWN;
  out->decided_by = INPUT_LEASE;
  out->change_in_ms = INT64_MAX;
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
    if (!belongs(out->mode, member) || (with_weight_only && service->members[i].weight == 0))
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
    const struct override_record *override = &facts->members[i].override;
    if (override_holds(override, now_ms) && override->until_ms) {
      if (override->until_ms < out->valid_until_ms)
        out->valid_until_ms = override->until_ms;
      if (override->until_ms - now_ms < change_in_ms)
        change_in_ms = override->until_ms - now_ms;
    }
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
  const struct config_service *service = facts->service;
  *out = (struct evaluation){.valid_until_ms = INT64_MAX};
  out->members = arena_array(arena, service->member_count, sizeof *out->members);
  for (size_t i = 0; i < service->member_count; i++)
    judge_member(config, facts, i, now_ms, arena, &out->members[i]);
  choose_mode(facts, out);
  set_ttl(facts, out, now_ms);
}

bool evaluate_next_latch(const struct evaluation *evaluation, size_t member, size_t address, bool was_good) {
  if (evaluation->mode != SERVICE_NORMAL && evaluation->mode != SERVICE_USES_DRAINING)
    return was_good;
  return evaluation->members[member].addresses[address].is_answered;
}

const char *service_mode_name(enum service_mode mode) {
  static const char *const names[] = {
      [SERVICE_NORMAL] = "normal",     [SERVICE_USES_UNKNOWN] = "unknown", [SERVICE_USES_DRAINING] = "draining",
      [SERVICE_DOWN_ALL] = "down-all", [SERVICE_DOWN_LAST] = "down-last",  [SERVICE_DOWN_EMPTY] = "down-empty",
  };
  assert((size_t)mode < sizeof names / sizeof names[0]);
  return names[mode];
}
