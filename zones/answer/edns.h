/* zones/answer/edns.h
 * The OPT record of a reply (RFC 6891) with its options: NSID, Client Subnet, Cookie, keepalive, extended error. */
#ifndef GSLB_ZONES_ANSWER_EDNS_H
#define GSLB_ZONES_ANSWER_EDNS_H

#include "zones/answer/reply.h"

size_t edns_size(const struct reply *reply);
/* Bytes to keep free for the OPT before records are put; 0 when the query has no EDNS. The extended error is not
 * counted: it goes in when room is left. */
void edns_put(struct reply *reply);
/* Writes the OPT after the last record. The writer's limit must be the message's own again. */

#endif
