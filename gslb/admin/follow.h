/* gslb/admin/follow.h
 * Follows the facts of one configuration and finds what changed: states of members, modes of services, thresholds of
 * load that are passed, latches that move, members without a slot, registered members that are gone, overrides that
 * ended, services that are empty while an on_empty command wants to know. Belongs to one thread. */
#ifndef GSLB_ADMIN_FOLLOW_H
#define GSLB_ADMIN_FOLLOW_H

#include <stdint.h>

#include "gslb/admin/news.h"
#include "gslb/admin/slots.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "gslb/model/store.h"

struct follow;

struct follow *follow_new(const struct config *config, struct store *durable, struct store *live,
                          const struct follow *before);
/* Borrows the first three until follow_free. What was last known of each member and service comes from before (another
 * configuration's; may be NULL), else from the newest stored events, else it is unknown. */
void follow_free(struct follow *follow);
/* NULL is fine. */

enum status follow_look(struct follow *follow, struct slots *slots, struct news *news, struct errbuf *err);
/* Takes over what changed in the stores, evaluates the services touched and those whose time has come, as of
 * news->now_ms, and adds what follows to news. slots NULL: none are given. On a failure it goes on with what was known.
 */
void follow_again(struct follow *follow);
/* The news could not be stored: the next look finds latches, slots and overrides afresh (events are not repeated). */

int64_t follow_due_ms(const struct follow *follow);
/* House time of the next change by time alone; INT64_MAX: none. */

#endif
