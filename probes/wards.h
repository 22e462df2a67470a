/* probes/wards.h
 * Whom the probe process watches, service by service: watches of the members as they are now, the checks that are made
 * for them, and what is measured of each member. Results become health records and metrics here, and go to the journal.
 * Belongs to the loop's thread. */
#ifndef GSLB_PROBES_WARDS_H
#define GSLB_PROBES_WARDS_H

#include <stddef.h>

#include "gslb/base/clock.h"
#include "gslb/base/random.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "probes/journal.h"
#include "probes/muster.h"
#include "probes/runner.h"

struct wards;

struct wards_links { /* all borrowed */
  struct journal *journal;
  struct runner *runner;
  const struct house *house;
  struct random *random;
};

struct wards *wards_new(const struct wards_links *links);
/* Nobody is watched before wards_take. */
void wards_free(struct wards *wards);
/* Stops all checks; what is stored stays, for another process to go on with. Before runner and journal. NULL is fine.
 */

void wards_take(struct wards *wards, const struct config *config, const struct muster *muster);
/* Everything anew: this configuration with a muster of it, both borrowed until the next call, during which those of the
 * call before must still be there. What both have goes on. */
void wards_service_changed(struct wards *wards, size_t service);
/* The members of the service are others now. */

enum wards_start { WARDS_AT_ONCE, WARDS_SPREAD };
void wards_plan(struct wards *wards, enum wards_start start);
/* Plans the first start of the checks that came since the last call: now, or spread over their intervals. */

void wards_result(struct wards *wards, struct check *check, const struct probe_result *result);
/* Of a probe that was made. */

void wards_wake_idle(struct wards *wards, runner_is_idle *is_idle, void *context);
/* Call each second: checks that were idle and are it no more are made at their pace again. */

enum status wards_read_stored(struct wards *wards, struct errbuf *err);
/* Takes over what was stored before this process began; with a complete muster, deletes the rows of what is no longer
 * there. STATUS_NODATA: the store is not open. */

#endif
