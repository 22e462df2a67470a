/* gslb/main/stores.h
 * Makes the stores ready before the children that use them start, in a short-lived process of its own, so that neither
 * a broken disk nor a broken store can harm or hold up the supervisor. */
#ifndef GSLB_MAIN_STORES_H
#define GSLB_MAIN_STORES_H

#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/main/privileges.h"
#include "gslb/model/config.h"

struct stores_found {
  int64_t newest_ms;     /* the newest house time that a store holds; 0: none */
  int64_t checkpoint_ms; /* house time of the checkpoint that the live store was filled from; 0: it was not */
};

enum status stores_prepare(const struct config *config, const struct identity *who, struct stores_found *found,
                           struct errbuf *err);
/* Makes the state and run directories (given to who), creates what is missing in the stores, and fills an empty live
 * store from the last checkpoint. Waits at most 10 seconds: STATUS_TIMEOUT. STATUS_IO: the process failed (it logged
 * why); *found untouched. Before threads and other children. */

#endif
