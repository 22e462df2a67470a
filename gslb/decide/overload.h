/* gslb/decide/overload.h
 * What the load of members means for the answer: their headroom, who is over its thresholds, and who is left out for
 * that while somebody else can take its place. Pure; results live in the caller's arena. Any thread. */
#ifndef GSLB_DECIDE_OVERLOAD_H
#define GSLB_DECIDE_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/decide/evaluate.h"
#include "gslb/decide/load.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"

static inline bool overload_is_told(const struct load_term *term) {
  return term->ceiling > 0.0;
}
/* Whether some source told the metric, be it long ago; else it has the group's mean at most. */

void overload_judge(const struct config *config, const struct service_facts *facts, int64_t now_ms, struct arena *arena,
                    struct evaluation *evaluation);
/* For a service with a load section, else nothing: figures, and of each member has_load, load, headroom, is_over and
 * is_less_preferred. valid_until_ms comes down to when a figure next fades, but to no earlier than a second from now.
 */

void overload_leave_out(const struct service_facts *facts, struct evaluation *evaluation);
/* After the answered members have been marked: those that are over are so no more, as far as others have addresses of
 * the same family (for a service with another answer than addresses: as far as there are others), and a port for SRV
 * where they have one. What a client can ask for is never emptied because all are over. */

#endif
