#include "zones/answer/balanced.h"

#include "zones/image/find.h"

static const struct table_row *member_row(const struct table *table, const struct image_node *node, uint16_t type) {
  if (node->member >= table->target_count || (type != TYPE_A && type != TYPE_AAAA))
    return NULL;
  const struct table_target *target = &table->targets[node->member];
  const struct table_row *row = type == TYPE_A ? &target->a : &target->aaaa;
  return row->count ? row : NULL;
}

/* The view for the client's place; without a usable Client Subnet the resolver's address stands for the client (RFC
 * 7871 section 7.2.1). */
static const struct table_view *near_view(struct reply *reply, const struct table *table) {
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
static inline const struct table_set *set_of(struct reply *reply, const struct image_node *node,
                                             const struct table *table, uint16_t type) {
  int index = table_type_of(type);
  bool is_srv_name = node->flags & IMAGE_SRV;
  if (index < 0 || (index == TABLE_SRV) != is_srv_name)
    return NULL;
  const struct table_view *view = table->tree ? near_view(reply, table) : table->views;
  return &view->sets[index];
}

static void count_answer(_Atomic uint64_t *answers, const struct table_row *row) {
  if (row->slot >= BOARD_SLOTS)
    return;
  uint64_t before = atomic_load_explicit(&answers[row->slot], memory_order_relaxed);
  atomic_store_explicit(&answers[row->slot], before + 1, memory_order_relaxed);
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

static bool put_answer_row(struct reply *reply, const struct table *table, const struct table_row *row) {
  size_t row_at = reply->writer.used;
  if (!reply_put_row(reply, row, reply->name_at, SECTION_ANSWER)) {
    reply->is_truncated = true; /* whole RRsets only */
    return false;
  }
  if (row->target_at)
    note_row_target(reply, table, row, row_at);
  return true;
}

/* The rows from one on, and then those before it; start: where their records begin in the message. */
static void note_whole_targets(struct reply *reply, const struct table *table, const struct table_set *set,
                               uint32_t first, size_t start) {
  for (uint32_t i = first, left = set->row_count; left; left--) {
    if (set->rows[i].target_at)
      note_row_target(reply, table, &set->rows[i], start);
    start += set->rows[i].size;
    if (++i == set->row_count)
      i = 0;
  }
}

static void put_whole(struct reply *reply, const struct table *table, const struct table_set *set, uint32_t first) {
  size_t start = reply->writer.used;
  if (!reply_put_whole(reply, set->whole, first, reply->name_at)) {
    reply->is_truncated = true; /* whole RRsets only */
    return;
  }
  if (set->whole->addresses)
    reply_put_whole_addresses(reply, set->whole, first, start);
  else if (set->whole->has_targets)
    note_whole_targets(reply, table, set, first, start);
  const struct table_row *end = set->rows + set->row_count;
  for (const struct table_row *row = set->rows; row < end; row++)
    count_answer(reply->answerer->answers, row);
}

/* Puts the records of more rows than one, as many as go into an answer; false when there are none to draw. Not inlined,
 * since most sets answer with one row or with all, and need no room for what is drawn. */
static __attribute__((noinline)) bool put_some(struct reply *reply, const struct table *table,
                                               const struct table_set *set, uint32_t *turn) {
  uint32_t drawn[TABLE_RECORDS_MOST], records = 0;
  uint32_t count = table_draw(set, &reply->answerer->random, turn, drawn);
  for (uint32_t i = 0; i < count; i++) {
    const struct table_row *row = &set->rows[drawn[i]];
    records += row->count;
    if (records > TABLE_RECORDS_MOST && i > 0) {
      count = i;
      break;
    }
    if (!put_answer_row(reply, table, row))
      return true;
  }
  for (uint32_t i = 0; i < count; i++)
    count_answer(reply->answerer->answers, &set->rows[drawn[i]]);
  return count > 0;
}

/* Draws from the set and puts the drawn members' records; false when there are none to draw. */
static bool put_drawn(struct reply *reply, const struct image_node *node, const struct table *table,
                      const struct table_set *set) {
  struct answerer *answerer = reply->answerer;
  uint32_t *turn = &reply->book->turns[answerer->worker][node->service];
  bool has_rows = true;
  if (set->wanted == 1) {
    const struct table_row *row = &set->rows[table_draw_one(set, &answerer->random, turn)];
    if (put_answer_row(reply, table, row))
      count_answer(answerer->answers, row);
  } else if (set->whole) {
    put_whole(reply, table, set, table_draw_one(set, &answerer->random, turn));
  } else {
    has_rows = put_some(reply, table, set, turn);
  }
  if (has_rows && !reply->is_truncated)
    board_count(answerer->board, BOARD_ANSWERS_BALANCED);
  return has_rows;
}

bool balanced_answer(struct reply *reply, const struct image_node *node, const struct table *table, uint16_t type) {
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

uint32_t balanced_negative_ttl(const struct image_node *node, const struct table *table, uint16_t type) {
  int index = table_type_of(type);
  bool may_come = index >= 0 && (index == TABLE_SRV) == !!(node->flags & IMAGE_SRV) && table->may_have[index];
  return may_come || balanced_is_alias(node, table) ? table->ttl_s : UINT32_MAX;
}

bool balanced_add_address(struct reply *reply, const struct table *table, const struct reply_target *target,
                          uint16_t type) {
  const struct image_node *node = target->at;
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
