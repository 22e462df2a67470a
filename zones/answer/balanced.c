#include "zones/answer/balanced.h"

#include <urcu-qsbr.h>

#include "zones/image/find.h"
#include "zones/tables/registered.h"

static const struct table *table_of(const struct reply *reply, const struct image_node *node) {
  /* a made node's member is an index into the table in which it was found; by now another may stand there */
  if (reply->made && node == &reply->made->node)
    return reply->made->table;
  return rcu_dereference(reply->book->tables[node->service]);
}

static const struct table_row *member_row(const struct table *table, const struct image_node *node, uint16_t type) {
  if (node->member >= table->target_count || (type != TYPE_A && type != TYPE_AAAA))
    return NULL;
  const struct table_target *target = &table->targets[node->member];
  const struct table_row *row = type == TYPE_A ? &target->a : &target->aaaa;
  return row->count ? row : NULL;
}

/* The view for the client's place; without a usable Client Subnet the resolver's address stands for the client (RFC
 * 7871 section 7.2.1). */
static const struct table_view *view_of(struct reply *reply, const struct table *table) {
  if (!table->tree)
    return table->views;
  const struct query *query = reply->query;
  bool has_place = query->has_subnet && query->subnet.family && query->subnet.source_bits;
  struct topology_hit hit = has_place
                                ? topology_find(table->tree, query->subnet.family, query->subnet.bytes)
                                : topology_find(table->tree, reply->client->addr.family, reply->client->addr.bytes);
  if (has_place && hit.scope_bits > reply->scope_bits)
    reply->scope_bits = hit.scope_bits;
  return &table->views[table->view_of ? table->view_of[hit.class] : 0];
}

/* The set of a balanced node for a type; NULL when the type is none of its. */
static const struct table_set *set_of(struct reply *reply, const struct image_node *node, const struct table *table,
                                      uint16_t type) {
  int index = table_type_of(type);
  if (index < 0 || (index == TABLE_SRV) != !!(node->flags & IMAGE_SRV))
    return NULL;
  return &view_of(reply, table)->sets[index];
}

static void count_answers(struct answerer *answerer, const struct table_set *set, const uint32_t *drawn,
                          uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    uint32_t slot = set->rows[drawn[i]].slot;
    if (slot >= BOARD_SLOTS)
      continue;
    _Atomic uint64_t *counter = &answerer->answers[slot];
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
  }
  board_count(answerer->board, BOARD_ANSWERS_BALANCED);
}

static void note_row_target(struct reply *reply, const struct table *table, const struct table_row *row, size_t start) {
  if (row->is_own_target) {
    reply_note_target(reply, TARGET_MEMBER, &table->targets[row->member], start + row->target_at);
    return;
  }
  const uint8_t *target = row->records + row->target_at;
  size_t size = name_size(target);
  const struct image_node *node = find_node(&reply->book->image, target, size, name_hash(target, size));
  if (node)
    reply_note_target(reply, TARGET_NODE, node, start + row->target_at);
}

/* Draws from the set and puts the drawn members' records; false when there are none to draw. */
static bool put_drawn(struct reply *reply, const struct image_node *node, const struct table *table,
                      const struct table_set *set) {
  struct answerer *answerer = reply->answerer;
  uint32_t drawn[TABLE_RECORDS_MOST];
  uint32_t *turn = &reply->book->turns[answerer->worker][node->service];
  uint32_t count = table_draw(set, &answerer->random, turn, drawn);
  uint32_t records = 0;
  for (uint32_t i = 0; i < count; i++) {
    const struct table_row *row = &set->rows[drawn[i]];
    size_t row_at = reply->writer.used;
    records += row->count;
    if (records > TABLE_RECORDS_MOST && i > 0) {
      count = i;
      break;
    }
    if (!reply_put_row(reply, row, reply->name_at, SECTION_ANSWER)) {
      reply->is_truncated = true; /* whole RRsets only */
      return true;
    }
    if (row->target_at)
      note_row_target(reply, table, row, row_at);
  }
  count_answers(answerer, set, drawn, count);
  return count > 0;
}

bool balanced_answer(struct reply *reply, const struct image_node *node, uint16_t type) {
  const struct table *table = table_of(reply, node);
  if (node->flags & IMAGE_MEMBER) {
    const struct table_row *row = member_row(table, node, type);
    if (row)
      reply->is_truncated |= !reply_put_row(reply, row, reply->name_at, SECTION_ANSWER);
    return row != NULL;
  }
  const struct table_set *set = set_of(reply, node, table, type);
  if (!set || !put_drawn(reply, node, table, set))
    return false;
  if (table->is_doubtful)
    reply->error = ERROR_STALE_ANSWER;
  return true;
}

bool balanced_is_alias(const struct reply *reply, const struct image_node *node) {
  return !(node->flags & (IMAGE_SRV | IMAGE_MEMBER)) && table_of(reply, node)->is_alias;
}

uint32_t balanced_negative_ttl(const struct reply *reply, const struct image_node *node, uint16_t type) {
  const struct table *table = table_of(reply, node);
  int index = table_type_of(type);
  bool may_come = index >= 0 && (index == TABLE_SRV) == !!(node->flags & IMAGE_SRV) && table->may_have[index];
  return may_come || balanced_is_alias(reply, node) ? table->ttl_s : UINT32_MAX;
}

bool balanced_add_address(struct reply *reply, const struct reply_target *target, uint16_t type) {
  const struct image_node *node = target->at;
  const struct table *table = table_of(reply, node);
  if (node->flags & IMAGE_MEMBER) {
    const struct table_row *row = member_row(table, node, type);
    if (row)
      reply_put_row(reply, row, target->name_at, SECTION_ADDITIONAL);
    return row != NULL;
  }
  const struct table_set *set = set_of(reply, node, table, type);
  if (!set)
    return false;
  /* a turn of its own: what is only added to another answer does not move round robin on */
  uint32_t drawn[TABLE_RECORDS_MOST], turn = 0;
  uint32_t count = table_draw(set, &reply->answerer->random, &turn, drawn);
  for (uint32_t i = 0; i < count; i++)
    reply_put_row(reply, &set->rows[drawn[i]], target->name_at, SECTION_ADDITIONAL);
  return count > 0;
}
