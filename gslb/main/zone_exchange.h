/* gslb/main/zone_exchange.h
 * The control process's part in zone transfers: keeps secondary zones current and tells the secondaries of ours. Owned
 * by control's main thread, which calls everything here; what the links lead to may be called by any. */
#ifndef GSLB_MAIN_ZONE_EXCHANGE_H
#define GSLB_MAIN_ZONE_EXCHANGE_H

#include "gslb/admin/zone_view.h"
#include "gslb/main/reloads.h"
#include "gslb/model/child.h"
#include "zones/image/image.h"

struct zone_exchange;

struct zone_exchange *zone_exchange_start(const struct child *child, struct reloads *reloads, struct errbuf *err);
/* Borrows both until zone_exchange_stop. A zone that changed asks for a reload through reloads. */
void zone_exchange_stop(struct zone_exchange *exchange);
/* NULL is fine. */

void zone_exchange_configure(struct zone_exchange *exchange, const struct config *config);
/* At the start and at each reload: which zones are secondary; config is borrowed for the call. */
void zone_exchange_tell(struct zone_exchange *exchange, const struct config *config, const struct image *image);
/* Notifies secondaries of the serials in the image, once dns serves it: before, they would ask and find nothing new.
 * Both are borrowed for the call. */
struct zone_links zone_exchange_links(struct zone_exchange *exchange);
/* For the interface, until zone_exchange_stop. */
void zone_exchange_hear(struct zone_exchange *exchange);
/* Something came on child->notified. */

#endif
