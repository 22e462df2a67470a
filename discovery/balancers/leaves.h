/* discovery/balancers/leaves.h
 * Planned absences of this balancer in the durable store (STORE_DB_LEAVES). Read by any thread; written inside a
 * committer's transaction. */
#ifndef GSLB_DISCOVERY_BALANCERS_LEAVES_H
#define GSLB_DISCOVERY_BALANCERS_LEAVES_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/registration.h"
#include "gslb/model/store.h"

enum status leaves_add(struct store_txn *txn, const struct leave_record *leave, struct errbuf *err);
/* STATUS_RANGE: it ends before it begins. STATUS_CONFLICT: overlaps one that is there. */
enum status leaves_delete(struct store_txn *txn, int64_t at_ms, struct errbuf *err);
/* STATUS_NOTFOUND. */

enum status leaves_read(struct store *durable, struct leave_record **leaves, size_t *count, struct errbuf *err);
/* All, in order of time; free() the array (NULL when count is 0). A damaged one counts as not stored. */

const struct leave_record *leaves_find_current(const struct leave_record *leaves, size_t count, int64_t now_ms);
/* The one under way, or NULL. */
int64_t leaves_next_ms(const struct leave_record *leaves, size_t count, int64_t now_ms);
/* House time of the next start or end after now; INT64_MAX: none. */

#endif
