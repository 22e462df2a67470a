#include "zones/transfer/transfer_zone.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "zones/compile/check.h"
#include "zones/image/find.h"
#include "zones/message/query.h"
#include "zones/message/wire.h"
#include "zones/tables/record.h"

#define NO_TYPE 0u

struct walk {
  const struct transfer_zone *zone;
  transfer_visit *visit;
  void *context;
  uint8_t data[CHECK_RRSET_SIZE_MOST]; /* of a record whose names are being spelled out */
};

static const struct image_node *apex_of(const struct transfer_zone *zone, uint32_t index) {
  return image_node(zone->image, image_zone(zone->image, index)->apex);
}

static bool is_own(const struct transfer_zone *zone, const struct image_node *node) {
  return node->zone == zone->index;
}

bool transfer_zone_is_loaded(const struct transfer_zone *zone) {
  return transfer_zone_image(zone)->soa != 0;
}

bool transfer_zone_is_shared(const struct config_zone *zone) {
  return zone->transfer_allow_count || zone->transfer_key_count;
}

/* Copies the data of the record at[0 … size), with the apex' name in the place of each pointer to it. patch is the
 * first one in the record, offsets count from the RRset's data; returns the size, 0 when it would be too large. */
static size_t spell_out(struct walk *walk, const struct image_node *apex, const uint8_t *data, size_t from, size_t end,
                        const uint16_t *patch, const uint16_t *last) {
  struct writer writer = {.base = walk->data, .limit = sizeof walk->data};
  for (; patch < last && *patch < end; patch++) {
    writer_bytes(&writer, data + from, *patch - from);
    writer_bytes(&writer, image_node_name(apex), apex->name_size);
    from = *patch + 2u;
  }
  writer_bytes(&writer, data + from, end - from);
  return writer.failed ? 0 : writer.used;
}

/* The records of an RRset of the image; node is their owner. */
static bool visit_rrset(struct walk *walk, const struct image_node *node, const struct image_rrset *rrset) {
  const struct image_node *apex = apex_of(walk->zone, node->zone);
  const uint16_t *patch = image_rrset_patches(rrset), *last = patch + rrset->patch_count;
  const uint8_t *data = image_rrset_data(rrset);
  struct transfer_record record = {.owner = image_node_name(node),
                                   .owner_size = (uint8_t)node->name_size,
                                   .type = rrset->type,
                                   .ttl_s = image_rrset_ttl(rrset)};
  size_t at = 0;
  while (at < rrset->data_size) {
    size_t from = at + RECORD_HEAD_SIZE;
    size_t end = from + wire_get_u16(data + from - 2);
    while (patch < last && *patch < from)
      patch++;
    bool has_patches = patch < last && *patch < end;
    size_t size = has_patches ? spell_out(walk, apex, data, from, end, patch, last) : end - from;
    if (has_patches && size == 0)
      return false;
    record.data = has_patches ? walk->data : data + from;
    record.size = (uint16_t)size;
    if (!walk->visit(walk->context, &record))
      return false;
    at = end;
  }
  return true;
}

/* Balanced parts, frozen */

struct frozen { /* the rows of one type, ready to be freed of what is there twice */
  struct table_row *rows;
  size_t count;
};

/* What a balanced node has of a type by configuration alone; false when that type is none of its. */
static bool freeze_member(struct arena *arena, const struct image_node *node, const struct config_service *service,
                          size_t member, uint16_t type, struct table_row *out) {
  const struct config_member *made = &service->members[member];
  bool is_target = node->flags & IMAGE_MEMBER, is_srv = node->flags & IMAGE_SRV;
  uint32_t ttl_s = service->ttl_max_s;
  bool is_held[CONFIG_ADDRESSES_MOST];
  memset(is_held, true, sizeof is_held);
  bool is_address = type == TYPE_A || type == TYPE_AAAA;
  if (is_srv != (type == TYPE_SRV) || (is_target && (node->member != member || !is_address)))
    return false;
  if (is_address && (is_target || service->answer == ANSWER_ADDRESSES))
    *out = record_addresses(arena, made, type == TYPE_A ? 4 : 6, ttl_s, is_held);
  else if (type == TYPE_SRV)
    *out = record_srv(arena, service, member, made->weight, ttl_s);
  else if (type == TYPE_HTTPS || type == TYPE_SVCB)
    *out = record_binding(arena, service, member, type, ttl_s, is_held);
  else if (type == TYPE_MX)
    *out = record_mx(arena, service, member, ttl_s);
  else if (type == TYPE_CNAME)
    *out = record_cname(arena, service, member, ttl_s);
  else
    return false;
  return out->count > 0;
}

static uint16_t data_size(const uint8_t *record) {
  return wire_get_u16(record + RECORD_HEAD_SIZE - 2);
}

static int compare_rows(const void *a, const void *b) {
  const struct table_row *one = a, *other = b;
  if (one->size != other->size)
    return one->size < other->size ? -1 : 1;
  return memcmp(one->records, other->records, one->size);
}

/* Single records in order, within what a message can hold; a CNAME is one record, the first member's. */
static void freeze(struct arena *arena, const struct transfer_zone *zone, const struct image_node *node, uint16_t type,
                   struct frozen *out) {
  const struct config_service *service = &zone->config->services[node->service];
  size_t capacity = 0, size = 0;
  *out = (struct frozen){0};
  for (size_t i = 0; i < service->member_count; i++) {
    struct table_row row;
    if (!freeze_member(arena, node, service, i, type, &row) || size + row.size > CHECK_RRSET_SIZE_MOST)
      continue;
    size += row.size;
    for (size_t at = 0; at < row.size; at += RECORD_HEAD_SIZE + data_size(row.records + at)) {
      out->rows = mem_grow(out->rows, &capacity, out->count + 1, sizeof *out->rows);
      out->rows[out->count++] = (struct table_row){.records = row.records + at,
                                                   .size = (uint16_t)(RECORD_HEAD_SIZE + data_size(row.records + at))};
    }
    if (type == TYPE_CNAME)
      break;
  }
  if (out->count)
    qsort(out->rows, out->count, sizeof *out->rows, compare_rows);
}

static bool visit_frozen(struct walk *walk, const struct image_node *node, uint16_t type) {
  struct arena arena = {0};
  struct frozen frozen;
  bool goes_on = true;
  freeze(&arena, walk->zone, node, type, &frozen);
  for (size_t i = 0; goes_on && i < frozen.count; i++) {
    const struct table_row *row = &frozen.rows[i];
    if (i && compare_rows(row, row - 1) == 0) /* two members may share an address */
      continue;
    const struct transfer_record record = {.owner = image_node_name(node),
                                           .owner_size = (uint8_t)node->name_size,
                                           .type = type,
                                           .ttl_s = wire_get_u32(row->records + 6),
                                           .data = row->records + RECORD_HEAD_SIZE,
                                           .size = data_size(row->records)};
    goes_on = walk->visit(walk->context, &record);
  }
  free(frozen.rows);
  arena_release(&arena);
  return goes_on;
}

static bool is_frozen(const struct transfer_zone *zone, const struct image_node *node) {
  return node->service != IMAGE_NONE && zone->config->zones[zone->index].transfer_balanced == ZONE_BALANCED_FREEZE;
}

static const uint16_t balanced_types[] = {TYPE_A, TYPE_AAAA, TYPE_SRV, TYPE_HTTPS, TYPE_SVCB, TYPE_MX, TYPE_CNAME};

/* Nodes */

/* A balanced part comes before static records of its type, as in answers. */
static bool has_frozen(const struct transfer_zone *zone, const struct image_node *node, uint16_t type) {
  if (!is_frozen(zone, node))
    return false;
  struct arena arena = {0};
  struct frozen frozen;
  freeze(&arena, zone, node, type, &frozen);
  free(frozen.rows);
  arena_release(&arena);
  return frozen.count > 0;
}

/* The node's records of one type, or of all types for NO_TYPE. */
static bool visit_types(struct walk *walk, const struct image_node *node, uint16_t type) {
  const struct transfer_zone *zone = walk->zone;
  const struct image_rrset *rrset = image_node_rrsets(node);
  for (uint16_t i = 0; i < node->rrset_count; i++, rrset = image_rrset_next(rrset)) {
    bool is_parents = rrset->type == TYPE_DS && (node->flags & IMAGE_APEX);
    if ((type != NO_TYPE && rrset->type != type) || (type == NO_TYPE && is_parents) || rrset->type == TYPE_SOA ||
        has_frozen(zone, node, rrset->type))
      continue;
    if (!visit_rrset(walk, node, rrset))
      return false;
  }
  if (!is_frozen(zone, node))
    return true;
  for (size_t i = 0; i < sizeof balanced_types / sizeof balanced_types[0]; i++)
    if ((type == NO_TYPE || balanced_types[i] == type) && !visit_frozen(walk, node, balanced_types[i]))
      return false;
  return true;
}

/* A child zone of ours, seen from its parent: what the child says of its name servers stands for what the parent's file
 * says, which the image does not keep. */
static bool visit_delegation(struct walk *walk, const struct image_node *apex) {
  const struct image *image = walk->zone->image;
  if (!visit_types(walk, apex, TYPE_NS) || !visit_types(walk, apex, TYPE_DS))
    return false;
  const struct image_rrset *ns = image_find_rrset(apex, TYPE_NS);
  const struct image_target *targets = ns ? image_rrset_targets(ns) : NULL;
  for (uint16_t i = 0; ns && i < ns->target_count; i++) {
    const struct image_node *target = image_node(image, image_target_node(&targets[i]));
    if (!name_is_below(image_node_name(target), target->name_size, image_node_name(apex), apex->name_size))
      continue;
    if (!visit_types(walk, target, TYPE_A) || !visit_types(walk, target, TYPE_AAAA))
      return false;
  }
  return true;
}

static bool visit_node(struct walk *walk, const struct image_node *node) {
  return is_own(walk->zone, node) ? visit_types(walk, node, NO_TYPE) : visit_delegation(walk, node);
}

bool transfer_zone_visit_node(const struct transfer_zone *zone, const struct image_node *node, transfer_visit *visit,
                              void *context) {
  struct walk walk;
  walk.zone = zone;
  walk.visit = visit;
  walk.context = context;
  return visit_node(&walk, node);
}

bool transfer_zone_visit_soa(const struct transfer_zone *zone, transfer_visit *visit, void *context) {
  struct walk walk;
  walk.zone = zone;
  walk.visit = visit;
  walk.context = context;
  const struct image_node *apex = apex_of(zone, zone->index);
  const struct image_rrset *soa = image_find_rrset(apex, TYPE_SOA);
  assert(soa);
  return visit_rrset(&walk, apex, soa);
}

bool transfer_zone_visit_all(const struct transfer_zone *zone, transfer_visit *visit, void *context) {
  struct walk walk;
  walk.zone = zone;
  walk.visit = visit;
  walk.context = context;
  uint32_t count = transfer_zone_node_count(zone);
  for (uint32_t i = 0; i < count; i++)
    if (!visit_node(&walk, transfer_zone_node(zone, i)))
      return false;
  return true;
}

uint32_t transfer_zone_node_count(const struct transfer_zone *zone) {
  return transfer_zone_image(zone)->node_count;
}

const struct image_node *transfer_zone_node(const struct transfer_zone *zone, uint32_t number) {
  const uint8_t *list = zone->image->base + transfer_zone_image(zone)->nodes;
  uint32_t unit;
  memcpy(&unit, list + number * sizeof unit, sizeof unit);
  return image_node(zone->image, unit);
}

const struct image_node *transfer_zone_find(const struct transfer_zone *zone, const uint8_t *name, uint16_t size) {
  const struct image_node *node = find_node(zone->image, name, size, name_hash(name, size));
  if (!node || is_own(zone, node))
    return node;
  if (!(node->flags & IMAGE_APEX) || size <= 1)
    return NULL;
  size_t step = *name + 1u;
  name += step;
  size = (uint16_t)(size - step);
  const struct image_node *parent = find_node(zone->image, name, size, name_hash(name, size));
  return parent && is_own(zone, parent) ? node : NULL;
}

bool transfer_zone_is_plain(const struct transfer_zone *zone, const struct image_node *node) {
  return is_own(zone, node) && !is_frozen(zone, node);
}
