/* gslb/model/facts_build.h
 * The structs of one service's facts: laid out for its members as they are now, and found by the keys of stored rows.
 * For facts.c alone. No I/O. */
#ifndef GSLB_MODEL_FACTS_BUILD_H
#define GSLB_MODEL_FACTS_BUILD_H

#include <stddef.h>

#include "gslb/base/memory.h"
#include "gslb/model/facts.h"

void facts_build(const struct config_service *service, struct arena *arena, struct service_facts *out);
/* Members of whom nothing is known; the revision is left alone. */
void facts_carry_over(const struct service_facts *from, size_t configured, struct service_facts *to);
/* What is known of members that are in both, registered ones by name: both services begin with the same configured
 * members, then come registered ones in order of their names. */

enum facts_half { FACTS_DURABLE, FACTS_LIVE };
void facts_forget(struct service_facts *facts, enum facts_half half);
/* What one of the stores tells. */

size_t facts_member_of(const struct config_service *service, const char *name);
/* Index of the member of exactly this name, or SIZE_MAX. */
struct address_facts *facts_address_of(const struct service_facts *facts, size_t member, const char *address);
/* NULL: the member has no such address. */
size_t facts_monitor_of(const struct config *config, const struct config_service *service, const char *name);
/* Index into the service's monitors, or SIZE_MAX. */

#endif
