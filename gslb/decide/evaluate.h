/* gslb/decide/evaluate.h
 * From facts to the members that may be answered: health from its inputs, the chain of steps, when_down, TTL. The same
 * code runs in dns (to answer), in control (to show, and to write latches and events) and in tests.
 * Pure: no I/O, no clock, no random; results live in the caller's arena. Any thread. */
#ifndef GSLB_DECIDE_EVALUATE_H
#define GSLB_DECIDE_EVALUATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"
#include "gslb/model/records.h"

struct load_figure;

enum health_input { INPUT_NONE, INPUT_ADMIN, INPUT_PROBE, INPUT_SELF, INPUT_LEASE };
/* Which input decided a state. INPUT_NONE: no input has a source, so the subject counts as up. A registered member has
 * two more than a configured one: what it says of itself, and its lease, without which it is down and not answered by
 * any policy. An operator's override stands in for the probes and for what the member says, never for the lease. */

struct address_state {
  enum health state;                 /* from its monitors alone: unknown, up or down */
  const struct health_record *cause; /* the record that decided, from the facts or the arena; NULL without monitors */
  size_t cause_monitor;              /* index into the service's monitors; valid with cause */
  int64_t change_in_ms;              /* how soon its probes could change the state; INT64_MAX when calm */
  bool is_answered;
  bool is_left_out; /* it would be answered, but its member is over, and others have addresses of its family */
  /* one a monitor of the service, those that are decided (service, calculated) with what was decided; NULL: there are
   * none of these, and all is in the facts (evaluate_record) */
  const struct health_record **records;
};

struct member_state {
  enum health state;       /* the worst of its inputs; an override `up` stands in for the probes */
  enum health probe_state; /* from its addresses: up when none is down, degraded when some are, unknown, down (all) */
  enum health admin_state; /* HEALTH_UNKNOWN when there is no override */
  enum health self_state;  /* the worse of what it reports and what its agent-check says; unknown: it never said */
  bool is_self_checked;    /* self_state is from the agent-check */
  bool has_lease;          /* a lease that has not ended; true for a configured member */
  bool is_stale;           /* its lease is kept although it ended */
  double headroom;         /* 1 - load (or, without a load section, 1 - utilization), within 0 to 1; 1 when unknown; 0
                            * for one that is less preferred, so that clients of SRV take it last */
  bool has_load;
  double load;            /* gslb/decide/load */
  bool is_over;           /* its thresholds are passed and the rule leaves it out: answered when nobody else is left */
  bool is_less_preferred; /* likewise with the rule `prefer`: answered when all are over */
  enum health_input decided_by;
  int64_t change_in_ms; /* the least of its addresses'; INT64_MAX when calm or overridden */
  bool is_answered;     /* at least one address is */
  uint32_t weight; /* for the draw; at least 1 for a member that is answered. As configured, or, where an agent-check
                    * tells one of the service's members a percentage, a hundred times that, by percentage */
  struct address_state *addresses; /* in the member's order */
};

enum service_mode {
  SERVICE_NORMAL,        /* members that are up or degraded are answered */
  SERVICE_USES_UNKNOWN,  /* none is up or degraded: those not yet known are answered */
  SERVICE_USES_DRAINING, /* only draining ones are left besides down ones */
  SERVICE_DOWN_ALL,      /* all down, when_down: all but those that an operator took down */
  SERVICE_DOWN_LAST,     /* all down, when_down: the last good set */
  SERVICE_DOWN_EMPTY,    /* nothing is answered */
};
const char *service_mode_name(enum service_mode mode);
/* "normal", "unknown", "draining", "down-all", "down-last", "down-empty". */

struct evaluation {
  enum service_mode mode;
  uint32_t ttl_s;         /* max when calm, min when a change of state is near or nothing is healthy */
  int64_t valid_until_ms; /* house time of the next change by time alone: an override ends, a figure fades (not before
                           * a second from now); INT64_MAX: none */
  size_t answered_members;
  struct member_state *members;      /* in the service's order */
  const struct load_figure *figures; /* likewise (gslb/decide/load); NULL: the service has no load section */
};

void evaluate_service(const struct config *config, const struct service_facts *facts, int64_t now_ms,
                      struct arena *arena, struct evaluation *out);
/* now_ms: house time. A monitor of type service counts the members of the service that facts->watched has, as of the
 * same facts and time. */

const struct health_record *evaluate_record(const struct service_facts *facts, const struct evaluation *evaluation,
                                            size_t member, size_t address, size_t monitor);
/* What the monitor says of the address: stored, or decided. */

const struct config_load *evaluate_load(const struct config *config, const struct config_service *service);
/* The load section that figures belong to, term by term; NULL: none. */

bool evaluate_next_latch(const struct evaluation *evaluation, size_t member, size_t address, bool was_good);
/* The latch "among the last good set" that follows from an evaluation: as it was while the service is down, else
 * whether the address is answered now, or only left out since its member is over. */

uint64_t evaluate_next_load_latch(const struct evaluation *evaluation, size_t member);
/* Which metrics of the load section are over now, bit by bit. */

#endif
