/* gslb/decide/votes.h
 * Votes with weights against a threshold: of the monitors of an address, of the monitors that a calculated one counts,
 * of the members of a service that another looks at. Pure; any thread. */
#ifndef GSLB_DECIDE_VOTES_H
#define GSLB_DECIDE_VOTES_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/model/records.h"

struct vote {
  enum health state; /* HEALTH_UP passes, HEALTH_UNKNOWN may still do either, all others fail */
  uint32_t weight;
  int64_t change_in_ms; /* how soon it could change; INT64_MAX when calm */
};

enum health votes_state(const struct vote *votes, size_t count, uint64_t threshold);
/* HEALTH_UP while the weights of those that pass add up to threshold, HEALTH_DOWN when they cannot even with the
 * unknown ones, else HEALTH_UNKNOWN. */
int64_t votes_change_in_ms(struct vote *votes, size_t count, uint64_t threshold);
/* How soon enough of the votes could have changed to change that; INT64_MAX: not by those that are about to. Sorts
 * them. */

#endif
