#include "zones/tables/whole.h"

#include <string.h>

#include "zones/message/wire.h"

static bool is_whole(const struct table_set *set) {
  size_t records = 0, size = 0;
  for (uint32_t i = 0; i < set->row_count; i++) {
    records += set->rows[i].count;
    size += set->rows[i].size;
  }
  return set->row_count > 1 && set->wanted == set->row_count && set->method != METHOD_WEIGHTED &&
         records <= TABLE_RECORDS_MOST && size <= WIRE_POINTER_MOST;
}

/* Bytes and records of all targets' addresses; false: some targets are not the members' own, or they are too many. */
static bool measure_addresses(const struct table_set *set, const struct table_target *targets, size_t *size,
                              size_t *count) {
  *size = *count = 0;
  for (uint32_t i = 0; i < set->row_count; i++) {
    const struct table_row *row = &set->rows[i];
    if (!row->is_own_target)
      return false;
    const struct table_target *target = &targets[row->member];
    *size += target->a.size + target->aaaa.size;
    *count += target->a.count + target->aaaa.count;
  }
  return *size <= WIRE_POINTER_MOST;
}

struct filling { /* the addresses, up to the end so far */
  uint8_t *addresses;
  struct whole_owner *owners;
  struct whole_part end;
};

static void add_addresses(struct filling *filling, const struct table_row *addresses, uint16_t name_at) {
  struct whole_part *end = &filling->end;
  if (!addresses->count)
    return;
  memcpy(filling->addresses + end->addresses_at, addresses->records, addresses->size);
  /* all records of a row are of one type, and so of one size */
  uint16_t each = addresses->size / addresses->count;
  for (uint16_t i = 0; i < addresses->count; i++) {
    filling->owners[end->owner++] = (struct whole_owner){.record_at = end->addresses_at,
                                                         .name_at = name_at,
                                                         .size = (uint16_t)(each * (addresses->count - i)),
                                                         .count = (uint16_t)(addresses->count - i)};
    end->addresses_at += each;
  }
}

const struct table_whole *whole_new(struct arena *arena, const struct table_set *set,
                                    const struct table_target *targets) {
  if (!is_whole(set))
    return NULL;
  struct table_whole *whole = arena_alloc(arena, sizeof *whole);
  struct filling filling = {0};
  size_t records_size = 0, size, count;
  for (uint32_t i = 0; i < set->row_count; i++)
    records_size += set->rows[i].size;
  uint8_t *records = arena_alloc(arena, records_size);
  whole->parts = arena_array(arena, set->row_count + 1, sizeof *whole->parts);
  whole->row_count = set->row_count;
  bool has_addresses = measure_addresses(set, targets, &size, &count);
  if (has_addresses) {
    filling.addresses = arena_alloc(arena, size);
    filling.owners = arena_array(arena, count, sizeof *filling.owners);
  }
  for (uint32_t i = 0; i < set->row_count; i++) {
    const struct table_row *row = &set->rows[i];
    whole->parts[i] = filling.end;
    memcpy(records + filling.end.records_at, row->records, row->size);
    whole->record_count += row->count;
    whole->has_targets |= row->target_at != 0;
    if (has_addresses) {
      add_addresses(&filling, &targets[row->member].a, filling.end.records_at + row->target_at);
      add_addresses(&filling, &targets[row->member].aaaa, filling.end.records_at + row->target_at);
    }
    filling.end.records_at += row->size;
  }
  whole->parts[set->row_count] = filling.end;
  whole->records = records;
  whole->addresses = filling.addresses;
  whole->owners = filling.owners;
  return whole;
}
