/* zones/answer/listed.h
 * What is listed at the name of a reply (zones/tables/listing) beside what the image has there. No allocation; a
 * worker's thread. */
#ifndef GSLB_ZONES_ANSWER_LISTED_H
#define GSLB_ZONES_ANSWER_LISTED_H

#include "zones/answer/reply.h"

bool listed_answer(struct reply *reply, uint16_t type);
/* Puts the records of the type, or for any type one RRset. False: there are none. */
uint32_t listed_negative_ttl(const struct reply *reply);
/* Seconds for which the absence of a type at the name may be kept, where the image alone does not say. */

#endif
