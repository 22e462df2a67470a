#include "zones/tables/listing.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/decide/directory.h"
#include "zones/message/query.h"
#include "zones/message/wire.h"
#include "zones/tables/record.h"

#define ROW_SIZE_MOST 60000u /* an RRset that leaves room for the rest of a message over TCP */
#define SRV_TARGET_AT 6u     /* priority, weight, port */

bool listing_is_wanted(const struct config_zone *zone) {
  return zone->has_register || zone->has_browse;
}

static size_t slot_of(const struct listing *listing, const uint8_t *name, size_t size, uint64_t hash) {
  size_t mask = listing->slot_count - 1, at = hash & mask;
  for (; listing->slots[at]; at = (at + 1) & mask) {
    const struct listing_name *other = listing->slots[at];
    if (other->hash == hash && other->size == size && memcmp(other->name, name, size) == 0)
      break;
  }
  return at;
}

const struct listing_name *listing_find(const struct listing *listing, const uint8_t *name, size_t size) {
  if (!listing || !listing->slot_count)
    return NULL;
  return listing->slots[slot_of(listing, name, size, name_hash(name, size))];
}

bool listing_has_above(const struct listing *listing, const uint8_t *name, size_t size, size_t encloser_size) {
  while (size > encloser_size) {
    if (listing_find(listing, name, size))
      return true;
    size_t step = *name + 1u;
    name += step;
    size -= step;
  }
  return false;
}

const struct listing_set *listing_set(const struct listing_name *name, uint16_t type) {
  for (size_t i = 0; i < name->set_count; i++)
    if (name->sets[i].type == type)
      return &name->sets[i];
  return NULL;
}

static void grow(struct listing *listing) {
  size_t old_count = listing->slot_count;
  struct listing_name **old = listing->slots;
  listing->slot_count = old_count ? old_count * 2 : 64;
  listing->slots = mem_array(listing->slot_count, sizeof *listing->slots);
  for (size_t i = 0; i < old_count; i++)
    if (old[i])
      listing->slots[slot_of(listing, old[i]->name, old[i]->size, old[i]->hash)] = old[i];
  free(old);
}

static struct listing_name *add_name(struct listing *listing, const uint8_t *wire, size_t size) {
  if (listing->name_count * 2 >= listing->slot_count)
    grow(listing);
  uint64_t hash = name_hash(wire, size);
  size_t slot = slot_of(listing, wire, size, hash);
  if (listing->slots[slot])
    return listing->slots[slot];
  struct listing_name *name = arena_alloc(&listing->arena, sizeof *name);
  name->hash = hash;
  name->size = (uint8_t)size;
  name->name = arena_copy(&listing->arena, wire, size);
  listing->slots[slot] = name;
  listing->name_count++;
  return name;
}

/* The name, and what stands between it and the zone's apex. */
static struct listing_name *add_with_parents(struct listing *listing, const struct name *wanted,
                                             const struct name *apex) {
  struct listing_name *name = add_name(listing, wanted->wire, wanted->size);
  const uint8_t *at = wanted->wire + wanted->wire[0] + 1u;
  for (size_t size = wanted->size - wanted->wire[0] - 1u; size > apex->size; size -= *at + 1u, at += *at + 1u)
    add_name(listing, at, size);
  return name;
}

/* One RRset from records of the same owner and type; what does not fit into a message is left out. */
static void fill_set(struct arena *arena, const struct directory_record *records, size_t count,
                     struct listing_set *set) {
  size_t size = 0, fitting = 0;
  for (; fitting < count && size + RECORD_HEAD_SIZE + records[fitting].size <= ROW_SIZE_MOST; fitting++)
    size += RECORD_HEAD_SIZE + records[fitting].size;
  uint8_t *at = arena_alloc(arena, size);
  uint16_t *targets = arena_array(arena, fitting, sizeof *targets);
  set->type = records[0].type;
  set->row = (struct table_row){.records = at, .size = (uint16_t)size, .count = (uint16_t)fitting};
  set->targets = targets;
  for (size_t i = 0; i < fitting; i++) {
    const struct directory_record *record = &records[i];
    wire_set_u16(at, 0xc000 | WIRE_HEADER_SIZE);
    wire_set_u16(at + 2, record->type);
    wire_set_u16(at + 4, CLASS_IN);
    wire_set_u32(at + 6, record->ttl_s);
    wire_set_u16(at + 10, record->size);
    memcpy(at + RECORD_HEAD_SIZE, record->data, record->size);
    if (record->type == TYPE_SRV)
      targets[set->target_count++] = (uint16_t)(at + RECORD_HEAD_SIZE + SRV_TARGET_AT - set->row.records);
    at += RECORD_HEAD_SIZE + record->size;
  }
}

static bool same_owner(const struct directory_record *a, const struct directory_record *b) {
  return a->owner.size == b->owner.size && memcmp(a->owner.wire, b->owner.wire, a->owner.size) == 0;
}

/* Takes over the sets of one owner, which stand one after the other; returns how many records. */
static size_t take_owner(struct listing *listing, const struct directory_record *records, size_t count,
                         const struct name *apex) {
  size_t end = 1, sets = 1;
  for (; end < count && same_owner(&records[0], &records[end]); end++)
    sets += records[end].type != records[end - 1].type;
  struct listing_name *name = add_with_parents(listing, &records[0].owner, apex);
  name->sets = arena_array(&listing->arena, sets, sizeof *name->sets);
  name->set_count = 0;
  for (size_t from = 0, to; from < end; from = to) {
    for (to = from + 1; to < end && records[to].type == records[from].type; to++)
      ;
    fill_set(&listing->arena, records + from, to - from, &name->sets[name->set_count++]);
  }
  return end;
}

static void add_empty(struct listing *listing, const char *prefix, const struct name *apex) {
  struct name name;
  if (name_join(prefix, apex, &name) == STATUS_OK)
    add_with_parents(listing, &name, apex);
}

static void add_zone(struct listing *listing, const struct config *config, const struct facts *facts, size_t index,
                     int64_t now_ms) {
  const struct config_zone *zone = &config->zones[index];
  struct name apex;
  if (name_from_text(zone->name, &apex) != STATUS_OK)
    return;
  if (zone->has_register)
    add_empty(listing, "_gslb-register._tcp", &apex);
  if (zone->has_browse)
    add_empty(listing, "_services._dns-sd._udp", &apex);
  for (size_t i = 0; i < config->service_count && zone->has_browse; i++)
    if (config->services[i].zone == index && config->services[i].srv)
      add_empty(listing, config->services[i].srv, &apex);
  struct arena arena = {0};
  struct directory directory;
  struct directory_wish wish = {.origin = zone->name,
                                .has_register = zone->has_register,
                                .has_browse = zone->has_browse};
  directory_build(config, facts, index, now_ms, &wish, &arena, &directory);
  for (size_t i = 0; i < directory.count;)
    i += take_owner(listing, directory.records + i, directory.count - i, &apex);
  arena_release(&arena);
}

struct listing *listing_build(const struct config *config, const struct facts *facts, int64_t now_ms) {
  struct listing *listing = mem_alloc(sizeof *listing);
  for (size_t i = 0; i < config->zone_count; i++)
    if (listing_is_wanted(&config->zones[i]))
      add_zone(listing, config, facts, i, now_ms);
  return listing;
}

void listing_free(struct listing *listing) {
  if (!listing)
    return;
  free(listing->slots);
  arena_release(&listing->arena);
  free(listing);
}
