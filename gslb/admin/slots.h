/* gslb/admin/slots.h
 * Gives each member, configured or registered, its place among the board's counters, kept over restarts. A place that
 * was never used is taken before one of a member that is gone, since counters only grow. Belongs to one thread. */
#ifndef GSLB_ADMIN_SLOTS_H
#define GSLB_ADMIN_SLOTS_H

#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "gslb/model/records.h"
#include "gslb/model/store.h"

struct slots;

struct slots *slots_new(void);
void slots_free(struct slots *slots);
/* NULL is fine. */

typedef void slots_gone(void *context, const struct record_key *key);
enum status slots_load(struct slots *slots, struct store *durable, const struct config *config, slots_gone *gone,
                       void *context, struct errbuf *err);
/* Learns from the store which places are taken; calls gone for each row whose member is neither configured nor
 * registered, whose place is free from now on, or whose place another member holds. */

uint32_t slots_take(struct slots *slots);
/* A free place; FACTS_NO_SLOT when all are taken. */
void slots_give(struct slots *slots, uint32_t slot);
/* Gives a place back that was taken. */

#endif
