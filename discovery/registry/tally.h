/* discovery/registry/tally.h
 * How many resources there are: in all, of each owner, of each service, and how many services there are below each
 * name. A write changes the counts when it is applied, so that the next one in the same transaction sees them, and
 * settles them when it is known whether it was stored. Belongs to the committer's thread. */
#ifndef GSLB_DISCOVERY_REGISTRY_TALLY_H
#define GSLB_DISCOVERY_REGISTRY_TALLY_H

#include <stdbool.h>
#include <stddef.h>

struct tally;

struct tally *tally_new(void);
void tally_free(struct tally *tally);

enum tally_kind { TALLY_RESOURCES, TALLY_OWNER, TALLY_SERVICE, TALLY_BELOW };
size_t tally_count(const struct tally *tally, enum tally_kind kind, const char *name);
/* TALLY_RESOURCES: name is not looked at. TALLY_BELOW: services of one label below name that have a resource. */

struct tally_holding { /* what a resource counts as */
  const char *owner;   /* NULL: there is none */
  const char *const *services;
  size_t service_count;
};

void tally_add(struct tally *tally, const struct tally_holding *holding);
/* What stands in the store at the start. */

struct tally_change { /* zero-initialised; belongs to the write, with what it refers to, until it is settled */
  struct tally_holding before, after;
  struct tally_change *next;
  bool is_pending;
};
void tally_begin(struct tally *tally, struct tally_change *change);
/* The write is (again) about to be applied: one that is pending was given up with its whole transaction, so all that
 * are pending are taken back. */
void tally_apply(struct tally *tally, struct tally_change *change);
void tally_settle(struct tally *tally, struct tally_change *change, bool is_stored);
/* Of one that is not pending: nothing. */

#endif
