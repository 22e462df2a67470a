/* discovery/balancers/accepted.h
 * The services of a configuration that take registrations, as a set of names, so that two configurations can be
 * compared. Immutable. */
#ifndef GSLB_DISCOVERY_BALANCERS_ACCEPTED_H
#define GSLB_DISCOVERY_BALANCERS_ACCEPTED_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/model/config.h"

struct accepted;

struct accepted *accepted_new(const struct config *config);
/* Copies names. */
struct accepted *accepted_copy(const struct accepted *accepted);
void accepted_free(struct accepted *accepted);
/* NULL is fine. */

bool accepted_has(const struct accepted *accepted, const char *service);
/* Its name (lower case), or the pattern above it, takes registrations. */

typedef void accepted_visit(void *context, const char *service);
size_t accepted_each_lost(const struct accepted *before, const struct accepted *after, accepted_visit *visit,
                          void *context);
/* The names, patterns too, that are in before alone; returns how many. visit may be NULL. */

#endif
