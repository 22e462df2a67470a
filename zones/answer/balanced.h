/* zones/answer/balanced.h
 * The balanced part of a reply: draws from a service's table for this client. No allocation; a worker's thread. */
#ifndef GSLB_ZONES_ANSWER_BALANCED_H
#define GSLB_ZONES_ANSWER_BALANCED_H

#include "zones/answer/reply.h"

bool balanced_answer(struct reply *reply, const struct image_node *node, uint16_t type);
/* Puts what a balanced node has of a type; false when it has none, so static data or NODATA follow. */
bool balanced_is_alias(const struct reply *reply, const struct image_node *node);
/* Whether the node answers every type with a drawn CNAME. */
uint32_t balanced_negative_ttl(const struct reply *reply, const struct image_node *node, uint16_t type);
/* How long NODATA may be kept: not longer than records that the node may have soon. */
bool balanced_add_address(struct reply *reply, const struct reply_target *target, uint16_t type);
/* Puts the addresses of a balanced target into the additional section, if they fit; false: the node has none, so static
 * ones may follow. */

#endif
