/* probes/demand.h
 * Whether anybody asks for a service: for how long the counters of the answers that name its members (gslb/model/board)
 * have stood still. Only services with a monitor whose idle_factor is above 1 are followed. Belongs to one thread. */
#ifndef GSLB_PROBES_DEMAND_H
#define GSLB_PROBES_DEMAND_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/model/board.h"
#include "gslb/model/config.h"
#include "gslb/model/store.h"

struct demand;

struct demand *demand_new(const struct config *config, const struct board *board, int64_t now_ms);
/* Borrows both until demand_free. All services count as asked for at now_ms (mono). */
void demand_free(struct demand *demand);
/* NULL is fine. */

void demand_members_changed(struct demand *demand, size_t service);

typedef const struct config_service *demand_service(const void *context, size_t service);
/* A service as it is now. */
void demand_look(struct demand *demand, struct store *durable, demand_service *service, const void *context,
                 int64_t now_ms);
/* Call each second: reads the members' slots where they are not known (durable NULL: not now) and the counters. */

int64_t demand_quiet_ms(const struct demand *demand, size_t service, int64_t now_ms);
/* For how long nobody has asked; 0 for a service that is not followed or whose members have no counters yet. */

#endif
