/* probes/sources.h
 * Reads each source of each service for each of its members: at an interval, spread as probes are; on a schedule; after
 * so many answers with the member; and on demand. What comes is checked (probes/sources/series) and written
 * (probes/sources/figures). Part of the probe process; belongs to the loop's thread. */
#ifndef GSLB_PROBES_SOURCES_H
#define GSLB_PROBES_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/child.h"
#include "gslb/model/config.h"
#include "gslb/model/store.h"
#include "probes/kinds/probe.h"
#include "probes/muster.h"
#include "probes/sources/figures.h"

#define SOURCES_RUNNING_MOST 256u /* readings at once, a descriptor each */

struct sources;

struct sources *sources_new(const struct child *child, const struct probe_tools *tools, struct figures *figures);
/* Borrows all; of the child its channel (refusals are told to control through it), its board and its house. Nothing is
 * read before sources_take. */
void sources_free(struct sources *sources);
/* Ends the readings that run; figures_flush writes what they brought. NULL is fine. */

void sources_take(struct sources *sources, const struct config *config, const struct muster *muster);
/* Everything anew: this configuration with a muster of it, both borrowed until the next call. Sources that are read as
 * before go on with what they brought, at the pace that they had; others are spread over their interval. Call it before
 * the configuration of the call before is freed. */
void sources_service_changed(struct sources *sources, size_t service);
/* The members of the service are others now: new ones are read at once, or spread over the interval while the muster
 * is not complete. */

enum status sources_read_stored(struct sources *sources, struct errbuf *err);
/* Takes over what was stored before this process began, and, once the muster is complete, deletes the rows of what is
 * no longer there. STATUS_NODATA: there is no store yet. */

void sources_second(struct sources *sources, struct store *durable, int64_t wall_s);
/* Call each second, with the Unix time that schedules go by: starts what is due by schedule or by answers. durable may
 * be NULL: then answers are not known, whose places stand there. */

size_t sources_measure(struct sources *sources, const char *service, const char *member);
/* Reads all sources of the member now; one that is being read is read once more afterwards. Returns how many; 0 also
 * where there is no such member. */
bool sources_knows(const struct sources *sources, const struct addr *device);
/* Whether that address is read by SNMP; its port does not count. */
void sources_measure_device(struct sources *sources, const struct addr *device);
/* Reads it by SNMP now, for each member that it stands for. */
void sources_asked(struct sources *sources, const char *text, size_t length);
/* The text of a CHANNEL_MEASURE. */

size_t sources_running(const struct sources *sources);

#endif
