/* gslb/admin/cause.h
 * Why a member or an address is in its state and since when, in words for people: the page, the API, events and the log
 * say the same. Pure; any thread. */
#ifndef GSLB_ADMIN_CAUSE_H
#define GSLB_ADMIN_CAUSE_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/decide/evaluate.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"

struct cause {
  int64_t since_ms; /* house time; 0: not known */
  char text[448];
};

void cause_of_address(const struct config *config, const struct service_facts *facts,
                      const struct evaluation *evaluation, size_t member, size_t address, struct cause *out);
void cause_of_member(const struct config *config, const struct service_facts *facts,
                     const struct evaluation *evaluation, size_t member, struct cause *out);
/* A member's cause is its override, its own word ("drain: REASON (told by itself)", or told by its
 * agent-check), its lease ("lease ended"), or that
 * of the address which brought the state about: the last to fail, the first to come up. */

#endif
