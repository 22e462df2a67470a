/* probes/muster.h
 * Who is there to be probed: the services with their registered members, followed in the durable store. It reads
 * registrations alone; what else facts would read the probe process writes itself. Belongs to one thread. */
#ifndef GSLB_PROBES_MUSTER_H
#define GSLB_PROBES_MUSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "gslb/model/store.h"

struct muster;

struct muster *muster_new(const struct config *config);
/* Borrows config until muster_free. Configured members alone, until the first muster_refresh. */
void muster_free(struct muster *muster);
/* NULL is fine. */

typedef void muster_changed(void *context, size_t service);
enum status muster_refresh(struct muster *muster, struct store *durable, muster_changed *changed, void *context,
                           struct errbuf *err);
/* Takes over the registrations that changed since the last call, all of them at the first, and calls changed (may be
 * NULL) for each service whose members are others now. On a failure what was known stays, and the next call reads
 * everything. STATUS_VERSION: a registration was written by another version. A damaged one counts as not stored. */
bool muster_is_complete(const struct muster *muster);
/* Registrations were read, so that what is not here is not there. */

const struct config_service *muster_service(const struct muster *muster, size_t service);
/* Borrowed until the next muster_refresh. */
size_t muster_find(const struct muster *muster, const char *service);
/* Index of a service that is there now, SIZE_MAX. */

#endif
