/* probes/judge.h
 * From one result to the next health record of an address: rise and fall. Pure; any thread. */
#ifndef GSLB_PROBES_JUDGE_H
#define GSLB_PROBES_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/model/records.h"
#include "probes/kinds/probe.h"

enum judge_news {
  JUDGE_ROUTINE,  /* counters, times and reason moved */
  JUDGE_NEARNESS, /* a change of state came into sight, or went out of it (streak 0 or not), so TTLs move */
  JUDGE_STATE,    /* the state changed */
};

enum judge_news judge_result(struct health_record *record, const struct probe_result *result, int64_t now_ms,
                             uint32_t rise, uint32_t fall);
/* Takes the result (not PROBE_NOT_MADE) of house time now_ms into the record:
 *  - up becomes down with the fall-th failing result in a row, down becomes up with the rise-th passing one;
 *  - unknown becomes up with the first passing result, and down with the fall-th failing one in a row; so does what a
 *    record without results says (the monitor's starts_as) become up with a passing one;
 *  - streak counts the results in a row that contradict the state (while unknown: the failing ones);
 *  - rtt_mean_us moves by 1/8 of the difference; 0 stays "none", so a round trip counts as 1 at least. */

#endif
