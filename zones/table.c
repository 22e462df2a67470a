#include "zones/table.h"

#include <stdlib.h>
#include <string.h>

#include "zones/query.h"
#include "zones/wire.h"

#define RECORD_HEAD_SIZE 12u /* owner pointer, type, class, TTL, RDLENGTH */

static uint8_t *write_head(uint8_t *at, uint16_t type, uint32_t ttl_s, size_t data_size) {
  wire_set_u16(at, 0xc000 | WIRE_HEADER_SIZE);
  wire_set_u16(at + 2, type);
  wire_set_u16(at + 4, CLASS_IN);
  wire_set_u32(at + 6, ttl_s);
  wire_set_u16(at + 10, (uint16_t)data_size);
  return at + RECORD_HEAD_SIZE;
}

/* Which addresses a row holds: those answered in a draw, or those that a member's own name gives. */
static bool holds_address(const struct member_state *state, size_t address, bool for_draw) {
  return for_draw ? state->addresses[address].is_answered : state->addresses[address].state != HEALTH_DOWN;
}

static struct table_row address_row(struct arena *arena, const struct config_member *member,
                                    const struct member_state *state, uint8_t family, uint32_t ttl_s, bool for_draw) {
  struct table_row row = {0};
  size_t length = family == 4 ? 4 : 16;
  uint8_t *records = arena_alloc(arena, member->address_count * (RECORD_HEAD_SIZE + length));
  uint8_t *at = records;
  bool holds_any = for_draw;
  for (size_t i = 0; i < member->address_count; i++)
    holds_any |= member->addresses[i].family == family && holds_address(state, i, for_draw);
  for (size_t i = 0; i < member->address_count; i++) {
    const struct addr *addr = &member->addresses[i];
    /* a target whose addresses all fail still resolves: its clients were told of it while it was well */
    if (addr->family != family || (holds_any && !holds_address(state, i, for_draw)))
      continue;
    at = write_head(at, family == 4 ? TYPE_A : TYPE_AAAA, ttl_s, length);
    memcpy(at, addr->bytes, length);
    at += length;
    row.count++;
  }
  row.records = records;
  row.size = (uint16_t)(at - records);
  return row;
}

/* <member>.<service> in wire form; false when it is no valid name. */
static bool target_name(const struct config_service *service, const struct config_member *member, struct name *out) {
  char text[CONFIG_MEMBER_NAME_MOST + 1 + 256 + 1];
  if (strchr(member->name, '.') || strlen(member->name) + strlen(service->name) + 2 > sizeof text)
    return false;
  char *end = stpcpy(text, member->name);
  *end++ = '.';
  strcpy(end, service->name);
  return name_from_text(text, out) == STATUS_OK;
}

static struct table_row srv_row(struct arena *arena, const struct config_service *service, size_t index,
                                uint32_t weight, uint32_t ttl_s) {
  struct table_row row = {0};
  const struct config_member *member = &service->members[index];
  struct name target;
  if (!member->srv_port || !target_name(service, member, &target))
    return row;
  uint8_t *record = arena_alloc(arena, RECORD_HEAD_SIZE + 6u + target.size);
  uint8_t *at = write_head(record, TYPE_SRV, ttl_s, 6u + target.size);
  /* the order of `first` is an order of preference, which SRV expresses by priority (RFC 2782) */
  size_t rank = service->method == METHOD_FIRST ? index : 0;
  size_t priority = service->srv_priority + rank;
  wire_set_u16(at, priority > UINT16_MAX ? UINT16_MAX : (uint16_t)priority);
  wire_set_u16(at + 2, weight > UINT16_MAX ? UINT16_MAX : (uint16_t)weight);
  wire_set_u16(at + 4, member->srv_port);
  memcpy(at + 6, target.wire, target.size);
  row.records = record;
  row.size = (uint16_t)(RECORD_HEAD_SIZE + 6u + target.size);
  row.count = 1;
  return row;
}

static void add_row(struct table_set *set, struct table_row row, size_t member, uint32_t slot, uint32_t weight) {
  if (!row.count)
    return;
  row.member = (uint16_t)member;
  row.slot = slot;
  set->rows[set->row_count] = row;
  set->weights[set->row_count++] = weight;
}

static void open_set(struct arena *arena, struct table_set *set, enum balance_method method, size_t wanted,
                     size_t most) {
  set->method = method;
  set->wanted = wanted > TABLE_RECORDS_MOST ? TABLE_RECORDS_MOST : (uint32_t)wanted;
  set->rows = arena_array(arena, most, sizeof *set->rows);
  set->weights = arena_array(arena, most, sizeof *set->weights);
}

static void close_set(struct arena *arena, struct table_set *set) {
  if (set->wanted > set->row_count)
    set->wanted = set->row_count;
  if (set->row_count && set->method == METHOD_WEIGHTED) {
    set->cells = arena_array(arena, set->row_count, sizeof *set->cells);
    alias_build(set->weights, set->row_count, set->cells);
  }
}

struct table *table_build(const struct config_service *service, const struct service_facts *facts,
                          const struct evaluation *evaluation) {
  struct table *table = mem_alloc(sizeof *table);
  struct arena *arena = &table->arena;
  size_t count = service->member_count, answered = evaluation->answered_members;
  table->ttl_s = evaluation->ttl_s;
  table->target_count = (uint32_t)count;
  table->targets = arena_array(arena, count, sizeof *table->targets);
  size_t wanted = service->method == METHOD_ALL ? TABLE_RECORDS_MOST : service->answers;
  open_set(arena, &table->a, service->method, wanted, answered);
  open_set(arena, &table->aaaa, service->method, wanted, answered);
  /* SRV clients choose by themselves, so they are told all; more than fit are drawn by weight */
  open_set(arena, &table->srv, service->method == METHOD_FIRST ? METHOD_FIRST : METHOD_WEIGHTED, TABLE_RECORDS_MOST,
           answered);

  for (size_t i = 0; i < count; i++) {
    const struct config_member *member = &service->members[i];
    const struct member_state *state = &evaluation->members[i];
    uint32_t slot = facts->members[i].slot;
    table->targets[i].a = address_row(arena, member, state, 4, table->ttl_s, false);
    table->targets[i].aaaa = address_row(arena, member, state, 6, table->ttl_s, false);
    if (!state->is_answered)
      continue;
    add_row(&table->a, address_row(arena, member, state, 4, table->ttl_s, true), i, slot, state->weight);
    add_row(&table->aaaa, address_row(arena, member, state, 6, table->ttl_s, true), i, slot, state->weight);
    if (service->srv)
      add_row(&table->srv, srv_row(arena, service, i, state->weight, table->ttl_s), i, slot, state->weight);
  }
  close_set(arena, &table->a);
  close_set(arena, &table->aaaa);
  close_set(arena, &table->srv);
  return table;
}

void table_free(struct table *table) {
  if (!table)
    return;
  arena_release(&table->arena);
  free(table);
}

static uint32_t draw_in_turn(const struct table_set *set, uint32_t start, uint32_t *drawn) {
  for (uint32_t i = 0; i < set->wanted; i++) {
    drawn[i] = start;
    if (++start == set->row_count)
      start = 0;
  }
  return set->wanted;
}

uint32_t table_draw(const struct table_set *set, struct random *random, uint32_t *turn,
                    uint32_t drawn[TABLE_RECORDS_MOST]) {
  if (set->row_count == 0)
    return 0;
  switch (set->method) {
  case METHOD_WEIGHTED:
    if (set->wanted == 1) {
      drawn[0] = alias_draw(set->cells, set->row_count, random_next(random));
      return 1;
    }
    return alias_draw_distinct(set->cells, set->weights, set->row_count, set->wanted, random, drawn);
  case METHOD_ROUND_ROBIN: {
    /* moving on by what was handed out lets every member be first, second … equally often */
    uint32_t start = *turn % set->row_count;
    *turn = start + set->wanted % set->row_count;
    if (set->wanted == set->row_count)
      *turn = start + 1;
    return draw_in_turn(set, start, drawn);
  }
  case METHOD_ALL:
    return draw_in_turn(set, random_below(random, set->row_count), drawn);
  case METHOD_FIRST:
    return draw_in_turn(set, 0, drawn);
  }
  return 0;
}
