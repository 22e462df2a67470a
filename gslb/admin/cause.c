#include "gslb/admin/cause.h"

#include <stdbool.h>
#include <stdio.h>

#include "gslb/base/addr.h"

void cause_of_address(const struct config *config, const struct service_facts *facts,
                      const struct evaluation *evaluation, size_t member, size_t address, struct cause *out) {
  const struct address_state *state = &evaluation->members[member].addresses[address];
  if (!state->cause) {
    *out = (struct cause){.text = "no monitor"};
    return;
  }
  const struct config_service *service = facts->service;
  const char *monitor = config->monitors[service->monitors[state->cause_monitor]].name;
  out->since_ms = state->cause->since_ms;
  snprintf(out->text, sizeof out->text, "%s: %s", monitor,
           state->cause->reason[0] ? state->cause->reason : "no result yet");
}

/* The address whose probes brought the member's state about. */
static size_t deciding_address(const struct config_member *member, const struct member_state *state) {
  bool is_failure = state->probe_state == HEALTH_DOWN || state->probe_state == HEALTH_DEGRADED;
  enum health wanted = is_failure ? HEALTH_DOWN : state->probe_state;
  size_t best = SIZE_MAX;
  for (size_t i = 0; i < member->address_count; i++) {
    const struct address_state *candidate = &state->addresses[i];
    if (candidate->state != wanted || !candidate->cause)
      continue;
    if (best == SIZE_MAX) {
      best = i;
      continue;
    }
    int64_t since_ms = candidate->cause->since_ms, best_ms = state->addresses[best].cause->since_ms;
    if (is_failure ? since_ms > best_ms : since_ms < best_ms)
      best = i;
  }
  return best == SIZE_MAX ? 0 : best;
}

/* Why the lease decides. */
static void cause_of_lease(const struct member_facts *facts, const struct member_state *state, struct cause *out) {
  *out = (struct cause){.since_ms = facts->lease ? facts->lease->since_ms : 0};
  const char *text = !state->has_lease ? "lease ended" : state->is_stale ? "lease ended, kept as stale" : "registered";
  snprintf(out->text, sizeof out->text, "%s", text);
}

static void cause_of_check(const struct member_facts *facts, const struct member_state *state, struct cause *out) {
  const char *word = health_name(state->self_state);
  const char *reason = facts->metrics[METRICS_CHECK]->self_reason;
  *out = (struct cause){.since_ms = 0};
  snprintf(out->text, sizeof out->text, "%s (told by its agent-check)", reason[0] ? reason : word);
}

static void cause_of_self(const struct member_facts *facts, struct cause *out) {
  const struct lease_record *lease = facts->lease;
  const char *word = lease->self == HEALTH_DOWN ? "maint" : lease->self == HEALTH_DRAINING ? "drain" : "up";
  out->since_ms = lease->since_ms;
  snprintf(out->text, sizeof out->text, "%s%s%s (told by itself)", word, lease->self_reason[0] ? ": " : "",
           lease->self_reason);
}

static void cause_of_override(const struct override_record *override, struct cause *out) {
  out->since_ms = override->set_ms;
  snprintf(out->text, sizeof out->text, "operator %s: %s", override->who, override->why);
}

static void cause_of_probes(const struct config *config, const struct service_facts *facts,
                            const struct evaluation *evaluation, size_t member, struct cause *out) {
  const struct member_state *state = &evaluation->members[member];
  const struct config_member *configured = &facts->service->members[member];
  size_t address = deciding_address(configured, state);
  struct cause cause;
  cause_of_address(config, facts, evaluation, member, address, &cause);
  out->since_ms = cause.since_ms;
  char text[ADDR_TEXT_SIZE];
  bool names_address =
      configured->address_count > 1 && state->probe_state != HEALTH_UP && state->addresses[address].cause;
  snprintf(out->text, sizeof out->text, "%s%s%.*s",
           names_address ? addr_format(&configured->addresses[address], text) : "", names_address ? " " : "",
           (int)(sizeof out->text - ADDR_TEXT_SIZE - 2), cause.text);
}

void cause_of_member(const struct config *config, const struct service_facts *facts,
                     const struct evaluation *evaluation, size_t member, struct cause *out) {
  const struct member_state *state = &evaluation->members[member];
  switch (state->decided_by) {
  case INPUT_ADMIN:
    cause_of_override(facts->members[member].override, out);
    break;
  case INPUT_SELF:
    if (state->is_self_checked)
      cause_of_check(&facts->members[member], state, out);
    else
      cause_of_self(&facts->members[member], out);
    break;
  case INPUT_LEASE:
    cause_of_lease(&facts->members[member], state, out);
    break;
  case INPUT_PROBE:
  case INPUT_NONE:
    cause_of_probes(config, facts, evaluation, member, out);
    break;
  }
}
