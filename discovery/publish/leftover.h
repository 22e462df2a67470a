/* discovery/publish/leftover.h
 * What an earlier run of ours left behind at another server because it ended without withdrawing: looked for in the
 * places where we put things, and recognised so that nothing of others is taken. Any thread; waits for the server. */
#ifndef GSLB_DISCOVERY_PUBLISH_LEFTOVER_H
#define GSLB_DISCOVERY_PUBLISH_LEFTOVER_H

#include <stddef.h>

#include "discovery/publish/update.h"
#include "gslb/base/memory.h"
#include "gslb/base/status.h"
#include "gslb/decide/directory.h"
#include "gslb/model/name.h"

#define LEFTOVER_QUESTIONS_MOST 2000u

struct leftover_places {
  const struct name *services; /* owners of services' SRV records */
  size_t service_count;
};

enum status leftover_find(const struct update_target *target, const struct leftover_places *places,
                          const struct directory *wanted, const struct update_patience *patience, struct arena *arena,
                          struct directory *out, struct errbuf *err);
/* Records that stand there and are ours, for difference_make as told (those with empty data stand for their set):
 *  - the registration service, and the addresses of its targets of one label below the zone;
 *  - instances that are not wanted and whose TXT record begins as ours do ("service=", and "path=" for balancers), and
 *    their service types;
 *  - SRV records of the services, and the addresses of their targets of one label below the service.
 * Stops after so many questions. Failures as update_ask gives them. */

#endif
