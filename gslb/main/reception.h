/* gslb/main/reception.h
 * The control process's part in registration: owns the registry, the tokens, the feed and those who wait for it, what
 * other balancers are told and what they tell, and what is published in other servers and by multicast. Owned by
 * control's main thread, which calls everything here; what the routes lead to may be called by any. */
#ifndef GSLB_MAIN_RECEPTION_H
#define GSLB_MAIN_RECEPTION_H

#include <stdint.h>

#include "gslb/admin/routes.h"
#include "gslb/admin/view.h"
#include "gslb/model/child.h"
#include "gslb/model/records.h"

struct reception;

struct reception_links { /* borrowed until reception_free */
  const struct child *child;
  struct views *views;
  struct committer *committer;
  struct store *durable, *live; /* either may be NULL */
};

enum status reception_start(const struct reception_links *links, struct reception **out, struct errbuf *err);
/* With the configuration of the current view and child->text. */
void reception_configure(struct reception *reception, int text);
/* The views have a new configuration; text: what it was parsed from, borrowed for the call. */
void reception_routes(struct reception *reception, struct routes *routes);
/* Fills in what is the reception's. */

void reception_heard(struct reception *reception);
/* The stores changed. Any thread. */
void reception_event(struct reception *reception, const struct event_record *event);
/* The keeper stored it: tells those who wait. Any thread. */

void reception_leave(struct reception *reception);
/* gslbd stops: no registration is taken any more, and resources are told to go elsewhere. */
int64_t reception_linger_ms(struct reception *reception);
/* How much longer to serve them; 0: no need. */

void reception_stop(struct reception *reception, bool for_good);
/* Ends all threads while the committer still runs, and every held call is answered. for_good: what was published
 * elsewhere is withdrawn, and the parents are told. NULL is fine. */
void reception_free(struct reception *reception);
/* When no call can come any more. NULL is fine. */

#endif
