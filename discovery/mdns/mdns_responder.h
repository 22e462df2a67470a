/* discovery/mdns/mdns_responder.h
 * What a multicast DNS responder answers to a query with the records that it has (RFC 6762 sections 6 and 7).
 * Pure; any thread. */
#ifndef GSLB_DISCOVERY_MDNS_MDNS_RESPONDER_H
#define GSLB_DISCOVERY_MDNS_MDNS_RESPONDER_H

#include <stdbool.h>

#include "discovery/mdns/mdns_message.h"
#include "gslb/base/memory.h"
#include "gslb/decide/directory.h"

struct mdns_reply {            /* in the caller's arena, data borrowed from own */
  struct directory answers;    /* none: silence */
  struct directory additional; /* what will be asked next: an instance's SRV and TXT, a target's addresses */
  bool is_shared;              /* has answers that others on the link may have too: to be delayed (section 6) */
  bool wants_unicast;          /* every question that it answers asked for that */
};

void mdns_answer(const struct directory *own, const struct mdns_message *query, struct arena *arena,
                 struct mdns_reply *out);
/* Leaves out what the query knows with at least half of its TTL left (section 7.1). A name of ours without a record of
 * the type is told so by NSEC (section 6.1). */

void mdns_suppress(struct mdns_reply *reply, const struct directory *known);
/* Known answers that came in a later message (section 7.2). */

bool mdns_conflicts(const struct directory *own, const struct mdns_message *response);
/* Whether it gives other data for a name and type of which our records are unique (section 9). */

bool mdns_withdraws_ours(const struct directory *own, const struct mdns_message *response);
/* Whether it says goodbye to a record that we have too: it is to be announced again within a second (section 10.1). */

#endif
