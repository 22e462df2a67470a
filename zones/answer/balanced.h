/* zones/answer/balanced.h
 * The balanced part of a reply: draws from a service's table for this client. No allocation; a worker's thread. */
#ifndef GSLB_ZONES_ANSWER_BALANCED_H
#define GSLB_ZONES_ANSWER_BALANCED_H

#include <urcu-qsbr.h>

#include "zones/answer/reply.h"
#include "zones/tables/registered.h"

static inline const struct table *balanced_table(const struct reply *reply, const struct image_node *node) {
  if (node->service == IMAGE_NONE)
    return NULL;
  /* a made node's member is an index into the table in which it was found; by now another may stand there */
  if (reply->made && node == &reply->made->node)
    return reply->made->table;
  return rcu_dereference(reply->book->tables[node->service]);
}
/* What a balanced node answers from; NULL when the node is none. As borrowed as the book. */
bool balanced_answer(struct reply *reply, const struct image_node *node, const struct table *table, uint16_t type);
/* Puts what a balanced node has of a type; false when it has none, so static data or NODATA follow. */
uint32_t balanced_negative_ttl(const struct image_node *node, const struct table *table, uint16_t type);
/* How long NODATA may be kept: not longer than records that the node may have soon. */

static inline bool balanced_is_alias(const struct image_node *node, const struct table *table) {
  return table->is_alias && !(node->flags & (IMAGE_SRV | IMAGE_MEMBER));
}
/* Whether the node answers every type with a drawn CNAME. */

bool balanced_add_address(struct reply *reply, const struct table *table, const struct reply_target *target,
                          uint16_t type);
/* Puts the addresses of a target, a balanced node, into the additional section, if they fit; false: the node has none,
 * so static ones may follow. */

#endif
