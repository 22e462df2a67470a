/* gslb/model/roster.h
 * The services as they are now: what is configured, plus the members that registered, plus the services that
 * registrations created in the vacancies of a pattern. For every service index there is one struct config_service that
 * holds the configured members first, then the registered ones in order of their names, so that whoever decides,
 * answers, probes or shows sees no difference. No I/O. Belongs to one thread. */
#ifndef GSLB_MODEL_ROSTER_H
#define GSLB_MODEL_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/model/config.h"
#include "gslb/model/registration.h"

struct roster;

struct roster *roster_new(const struct config *config);
/* Borrows config. Every service as configured; vacancies are vacant: name "". */
void roster_free(struct roster *roster);
/* NULL is fine. */

struct roster_entry { /* one row of STORE_DB_MEMBERS; borrowed for the call */
  const char *service;
  const char *id;
  const struct member_record *record;
};

size_t roster_place(struct roster *roster, const char *service);
/* The index of the service: configured and accepting, or created before, or a vacancy of the pattern that fits, which
 * takes the name from now on. SIZE_MAX: no service of this name takes registrations, or its pattern has no vacancy
 * left. */

bool roster_set(struct roster *roster, size_t service, const struct roster_entry *entries, size_t count);
/* These are all registered members of the service, sorted by id; a configured member of the same name hides one. What
 * does not fit the configuration any more (a site that is gone or not accepted, an address outside accept.networks,
 * more than accept.members_most) is left out. Returns whether anything changed, and then roster_service gives another
 * struct; what was borrowed of the service before stays until the next change, of whichever service. Without entries
 * that fit a created service becomes a vacancy again. */

const struct config_service *roster_service(const struct roster *roster, size_t service);
/* Borrowed as roster_set says. */
uint64_t roster_revision(const struct roster *roster, size_t service);
/* Grows by one with each change of the service's members; 0 as configured. */

size_t roster_find(const struct roster *roster, const char *service);
/* The index of a service that is there now, configured (patterns too) or created; SIZE_MAX. Case matters not; a last
 * dot is ignored. */

size_t roster_pattern_of(const struct config *config, const char *service);
/* The pattern that a service of this name would be created from, or SIZE_MAX. */

#endif
