/* gslb/decide/ballot.h
 * What the monitors of a member say of one of its addresses together: those that are probed by what is stored of them,
 * those that are decided (service, calculated) by what they look at. Pure; results live in the caller's arena. Any
 * thread. */
#ifndef GSLB_DECIDE_BALLOT_H
#define GSLB_DECIDE_BALLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/decide/evaluate.h"
#include "gslb/decide/votes.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"

struct ballot_decision { /* of a monitor of type MONITOR_SERVICE; the same for all members */
  struct vote vote;
  const struct health_record *record;
};

bool ballot_is_watched(const struct config_member *member, size_t monitor);
/* Whether the service's monitor of this position applies to the member. */
bool ballot_has_votes(const struct config *config, const struct config_service *service,
                      const struct config_member *member);
/* Whether any monitor with a weight applies. */

void ballot_judge(const struct config *config, const struct service_facts *facts, size_t member, size_t address,
                  const struct ballot_decision *services, struct arena *arena, struct address_state *out);
/* services: by position of the monitor, valid for those of type MONITOR_SERVICE; may be NULL where there are none.
 * Fills all but is_answered. Up while the weights of the monitors that pass add up to the member's
 * threshold, or else the service's, or else to those of all its monitors. */

#endif
