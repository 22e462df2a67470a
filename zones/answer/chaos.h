/* zones/answer/chaos.h
 * The CHAOS class: who answers here, for operators (RFC 4892). */
#ifndef GSLB_ZONES_ANSWER_CHAOS_H
#define GSLB_ZONES_ANSWER_CHAOS_H

#include "zones/answer/reply.h"

void chaos_answer(struct reply *reply);
/* version.bind and version.server by the configured version, id.server and hostname.bind by the NSID; anything else is
 * refused. */

#endif
