#include "zones/compile/layout.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "zones/compile/check.h"
#include "zones/image/image_file.h"
#include "zones/message/query.h"
#include "zones/message/wire.h"
#include "zones/tables/record.h"

#define LINE 64u        /* bytes of a cache line */
#define QUESTION_AT 12u /* where a question's name stands in a message */

struct encoded { /* an RRset, ready to be copied into the image */
  uint32_t patch_count, target_count, size;
  uint16_t patches[CHECK_RRSET_SIZE_MOST / RECORD_HEAD_SIZE * RDATA_NAMES_MOST];
  struct image_target targets[CHECK_RRSET_SIZE_MOST / RECORD_HEAD_SIZE * RDATA_NAMES_MOST];
  uint8_t data[CHECK_RRSET_SIZE_MOST];
};

struct zone_nodes { /* where the list of a zone's nodes stands */
  uint64_t offset;
  uint32_t count, written;
};

struct layout {
  const struct cookie_secrets *cookies;
  struct tree *tree;
  uint64_t size;
  uint64_t node_bytes, gap_bytes; /* taken by nodes, and left empty between them */
  uint64_t zones, buckets;
  uint64_t *negative_soas;       /* a zone: offset of its SOA for negative answers */
  struct zone_nodes *zone_nodes; /* a zone */
  uint8_t *base;
  struct encoded *encoded;
};

static uint64_t take(struct layout *layout, uint64_t size, uint64_t align) {
  uint64_t offset = (layout->size + align - 1) / align * align;
  layout->size = offset + size;
  return offset;
}

/* Room for a node. One that would reach into a cache line more than it needs starts at the next line, as long as what
 * that leaves empty is at most an eighth of all. */
static uint32_t take_node(struct layout *layout, uint64_t size) {
  uint64_t within = (layout->size + IMAGE_UNIT - 1) / IMAGE_UNIT * IMAGE_UNIT % LINE, gap = LINE - within;
  bool reaches_over = (within + size + LINE - 1) / LINE > (size + LINE - 1) / LINE;
  layout->node_bytes += size;
  bool is_moved = reaches_over && layout->gap_bytes + gap <= layout->node_bytes / 8;
  if (is_moved)
    layout->gap_bytes += gap;
  return (uint32_t)(take(layout, size, is_moved ? LINE : IMAGE_UNIT) / IMAGE_UNIT);
}

static void put_u16(struct encoded *out, uint32_t value) {
  out->data[out->size++] = (uint8_t)(value >> 8);
  out->data[out->size++] = (uint8_t)value;
}

/* RFC 3597 section 4: names in other types' data are never compressed. */
static bool may_compress(uint16_t type) {
  return type == TYPE_NS || type == TYPE_CNAME || type == TYPE_MX || type == TYPE_SOA || type == TYPE_PTR;
}

static bool has_targets(uint16_t type) {
  return type == TYPE_NS || type == TYPE_MX || type == TYPE_SRV || type == TYPE_SVCB || type == TYPE_HTTPS;
}

static bool has_names(uint16_t type) {
  return may_compress(type) || has_targets(type);
}

/* Writes a name of the record's data and returns its size there. */
static size_t encode_name(struct encoded *out, const struct layout *layout, const struct tree_node *owner,
                          uint16_t type, const uint8_t *wire) {
  const struct tree_node *apex = layout->tree->zones[owner->zone].apex;
  struct name lower = {.size = (uint8_t)name_size(wire)};
  name_lower_copy(lower.wire, wire, lower.size);
  if (has_targets(type)) {
    const struct tree_node *node = tree_find(layout->tree, lower.wire, lower.size);
    if (node && tree_has_address(node))
      out->targets[out->target_count++] = (struct image_target){.at = (uint16_t)out->size,
                                                                .node_high = (uint16_t)(node->unit >> 16),
                                                                .node_low = (uint16_t)node->unit};
  }
  bool is_shorter =
      apex->size > 1 && may_compress(type) && name_is_below(lower.wire, lower.size, apex->name, apex->size);
  size_t copied = is_shorter ? lower.size - (size_t)apex->size : lower.size;
  memcpy(out->data + out->size, wire, copied);
  out->size += (uint32_t)copied;
  if (is_shorter) {
    out->patches[out->patch_count++] = (uint16_t)out->size;
    put_u16(out, 0xc000 | (QUESTION_AT + owner->size - apex->size));
  }
  return lower.size;
}

/* What stands before a record's data; its owner is the question's name. */
static void write_record_head(uint8_t *at, uint16_t type, uint32_t ttl_s, size_t size) {
  wire_set_u16(at, 0xc000 | QUESTION_AT);
  wire_set_u16(at + 2, type);
  wire_set_u16(at + 4, CLASS_IN);
  wire_set_u32(at + IMAGE_TTL_AT, ttl_s);
  wire_set_u16(at + 10, (uint16_t)size);
}

static void encode_record(struct encoded *out, const struct layout *layout, const struct tree_node *owner,
                          const struct tree_rrset *rrset, uint32_t ttl_s, const struct tree_record *record) {
  uint32_t head = out->size, start = head + RECORD_HEAD_SIZE;
  size_t from = 0;
  out->size = start;
  for (size_t i = 0; i < record->name_count; i++) {
    size_t before = record->name_at[i] - from;
    memcpy(out->data + out->size, record->data + from, before);
    out->size += (uint32_t)before;
    from = record->name_at[i] + encode_name(out, layout, owner, rrset->type, record->data + record->name_at[i]);
  }
  memcpy(out->data + out->size, record->data + from, record->size - from);
  out->size += (uint32_t)(record->size - from);
  write_record_head(out->data + head, rrset->type, ttl_s, out->size - start);
}

/* Of a type that has names in its data. */
static void encode(struct layout *layout, const struct tree_node *node, const struct tree_rrset *rrset,
                   uint32_t ttl_s) {
  struct encoded *out = layout->encoded;
  out->patch_count = out->target_count = out->size = 0;
  for (const struct tree_record *record = &rrset->first; record; record = record->next)
    encode_record(out, layout, node, rrset, ttl_s, record);
}

static size_t even(size_t size) {
  return (size + 1) & ~(size_t)1;
}

static size_t rrset_size(const struct tree_rrset *rrset) {
  return even(sizeof(struct image_rrset) + rrset->target_count * sizeof(struct image_target) +
              rrset->patch_count * sizeof(uint16_t) + rrset->data_size);
}

static void measure_rrset(struct layout *layout, const struct tree_node *node, struct tree_rrset *rrset) {
  if (has_names(rrset->type)) {
    encode(layout, node, rrset, rrset->ttl_s);
    rrset->patch_count = (uint16_t)layout->encoded->patch_count;
    rrset->target_count = (uint16_t)layout->encoded->target_count;
    rrset->data_size = (uint16_t)layout->encoded->size;
    return;
  }
  for (const struct tree_record *record = &rrset->first; record; record = record->next)
    rrset->data_size = (uint16_t)(rrset->data_size + RECORD_HEAD_SIZE + record->size);
}

static bool is_linked(const struct tree_node *node) {
  return node->extra->cut || node->extra->wildcard || node->extra->dname;
}

static void measure_node(struct layout *layout, struct tree_node *node) {
  size_t size = sizeof(struct image_node) + (is_linked(node) ? sizeof(struct image_links) : 0) + even(node->size);
  for (struct tree_rrset *rrset = node->rrsets; rrset; rrset = rrset->next) {
    measure_rrset(layout, node, rrset);
    size += rrset_size(rrset);
  }
  node->unit = take_node(layout, size);
}

/* The zone around this apex; IMAGE_NONE for what is no apex or lies in none of ours. */
static uint32_t delegating_zone(const struct tree_node *node) {
  return (node->flags & IMAGE_APEX) && node->parent ? node->parent->zone : IMAGE_NONE;
}

static void count_zone_node(struct layout *layout, const struct tree_node *node) {
  layout->zone_nodes[node->zone].count++;
  if (delegating_zone(node) != IMAGE_NONE)
    layout->zone_nodes[delegating_zone(node)].count++;
}

static void write_zone_node(struct layout *layout, uint32_t zone, const struct tree_node *node) {
  struct zone_nodes *nodes = &layout->zone_nodes[zone];
  memcpy(layout->base + nodes->offset + nodes->written++ * sizeof node->unit, &node->unit, sizeof node->unit);
}

static void write_zone_nodes(struct layout *layout, const struct tree_node *node) {
  write_zone_node(layout, node->zone, node);
  if (delegating_zone(node) != IMAGE_NONE)
    write_zone_node(layout, delegating_zone(node), node);
}

/* Gives everything its place; nodes stand in the order of the zone's file, which both passes over the tree and the
 * walks of transfers follow. */
static void measure(struct layout *layout) {
  struct tree *tree = layout->tree;
  size_t zone_count = tree->config->zone_count;
  layout->size = sizeof(struct image_head);
  layout->zones = take(layout, zone_count * sizeof(struct image_zone), 8);
  layout->buckets = take(layout, tree->slot_count * sizeof(struct image_bucket), LINE);
  for (struct tree_node *node = tree->first; node; node = node->next) {
    measure_node(layout, node);
    count_zone_node(layout, node);
  }
  for (size_t i = 0; i < zone_count; i++) {
    const struct tree_rrset *soa = tree_rrset(tree->zones[i].apex, TYPE_SOA);
    layout->negative_soas[i] = soa ? take(layout, rrset_size(soa), 8) : 0;
  }
  for (size_t i = 0; i < zone_count; i++)
    layout->zone_nodes[i].offset = take(layout, layout->zone_nodes[i].count * sizeof(uint32_t), 8);
  layout->size = (layout->size + 7) / 8 * 8;
}

static void write_encoded(struct layout *layout, const struct tree_node *node, const struct tree_rrset *rrset,
                          uint32_t ttl_s, uint8_t *at) {
  encode(layout, node, rrset, ttl_s);
  const struct encoded *encoded = layout->encoded;
  assert(encoded->size == rrset->data_size && encoded->patch_count == rrset->patch_count &&
         encoded->target_count == rrset->target_count);
  memcpy(at, encoded->targets, encoded->target_count * sizeof *encoded->targets);
  at += encoded->target_count * sizeof *encoded->targets;
  memcpy(at, encoded->patches, encoded->patch_count * sizeof *encoded->patches);
  at += encoded->patch_count * sizeof *encoded->patches;
  memcpy(at, encoded->data, encoded->size);
}

static void write_records(const struct tree_rrset *rrset, uint32_t ttl_s, uint8_t *at) {
  for (const struct tree_record *record = &rrset->first; record; record = record->next) {
    write_record_head(at, rrset->type, ttl_s, record->size);
    memcpy(at + RECORD_HEAD_SIZE, record->data, record->size);
    at += RECORD_HEAD_SIZE + record->size;
  }
}

/* Returns where it ends. */
static uint8_t *write_rrset(struct layout *layout, const struct tree_node *node, const struct tree_rrset *rrset,
                            uint32_t ttl_s, uint8_t *at) {
  const struct image_rrset head = {.type = rrset->type,
                                   .data_size = rrset->data_size,
                                   .record_count = (uint16_t)rrset->count,
                                   .target_count = rrset->target_count,
                                   .patch_count = rrset->patch_count};
  memcpy(at, &head, sizeof head);
  if (has_names(rrset->type))
    write_encoded(layout, node, rrset, ttl_s, at + sizeof head);
  else
    write_records(rrset, ttl_s, at + sizeof head);
  return at + rrset_size(rrset);
}

static uint32_t unit_of(const struct tree_node *node) {
  return node ? node->unit : 0;
}

static void write_node(struct layout *layout, const struct tree_node *node) {
  uint8_t *start = layout->base + (uint64_t)node->unit * IMAGE_UNIT, *at = start;
  struct image_node head = {.zone = node->zone,
                            .service = node->extra->service,
                            .member = node->extra->member,
                            .flags = node->flags,
                            .name_size = node->size};
  at += sizeof head;
  if (is_linked(node)) {
    const struct image_links links = {.cut = unit_of(node->extra->cut),
                                      .wildcard = unit_of(node->extra->wildcard),
                                      .dname = unit_of(node->extra->dname)};
    head.flags |= IMAGE_LINKED;
    memcpy(at, &links, sizeof links);
    at += sizeof links;
  }
  memcpy(at, node->name, node->size);
  at += even(node->size);
  for (const struct tree_rrset *rrset = node->rrsets; rrset; rrset = rrset->next) {
    at = write_rrset(layout, node, rrset, rrset->ttl_s, at);
    head.rrset_count++;
  }
  memcpy(start, &head, sizeof head);
}

static struct image_bucket *buckets_of(const struct layout *layout) {
  return (struct image_bucket *)(void *)(layout->base + layout->buckets);
}

static void write_bucket(struct layout *layout, const struct tree_node *node, uint64_t hash) {
  struct image_bucket *buckets = buckets_of(layout);
  size_t mask = layout->tree->slot_count - 1, at = hash & mask;
  while (buckets[at].node)
    at = (at + 1) & mask;
  buckets[at] = (struct image_bucket){.tag = (uint32_t)(hash >> 32), .node = node->unit};
}

static void write_soa(struct layout *layout, const struct tree_zone *zone, const struct tree_rrset *soa,
                      uint64_t negative, struct image_zone *out) {
  const uint8_t *numbers = soa->first.data + soa->first.size - 20; /* serial, refresh, retry, expire, minimum */
  out->minimum_s = wire_get_u32(numbers + 16);
  if (soa->ttl_s < out->minimum_s)
    out->minimum_s = soa->ttl_s;
  write_rrset(layout, zone->apex, soa, out->minimum_s, layout->base + negative);
  const uint8_t *apex = layout->base + (uint64_t)zone->apex->unit * IMAGE_UNIT;
  const struct image_rrset *ns = image_find_rrset((const struct image_node *)(const void *)apex, TYPE_NS);
  assert(ns); /* checked with the SOA */
  out->soa = negative;
  out->ns = (uint64_t)((const uint8_t *)ns - layout->base);
  out->serial = wire_get_u32(numbers);
}

static void write_zone(struct layout *layout, size_t index) {
  const struct tree_zone *zone = &layout->tree->zones[index];
  const struct tree_rrset *soa = tree_rrset(zone->apex, TYPE_SOA);
  struct image_zone out = {.apex = zone->apex->unit,
                           .name_size = zone->apex->size,
                           .record_count = zone->record_count,
                           .nodes = layout->zone_nodes[index].offset,
                           .node_count = layout->zone_nodes[index].count};
  if (soa)
    write_soa(layout, zone, soa, layout->negative_soas[index], &out);
  memcpy(layout->base + layout->zones + index * sizeof out, &out, sizeof out);
}

static void write_all(struct layout *layout) {
  const struct tree *tree = layout->tree;
  const struct image_head head = {.magic = IMAGE_MAGIC,
                                  .size = layout->size,
                                  .buckets = layout->buckets,
                                  .bucket_count = (uint32_t)tree->slot_count,
                                  .zone_count = (uint32_t)tree->config->zone_count,
                                  .zones = layout->zones,
                                  .node_count = (uint32_t)tree->node_count,
                                  .service_count = (uint32_t)tree->config->service_count};
  memcpy(layout->base, &head, offsetof(struct image_head, cookies));
  struct cookie_secrets *cookies = &((struct image_head *)(void *)layout->base)->cookies;
  cookies->count = layout->cookies->count; /* member by member, so that the image holds no bytes of chance */
  memcpy(cookies->secrets, layout->cookies->secrets, sizeof cookies->secrets);
  struct tree_walk walk;
  tree_walk_start(&walk, tree, buckets_of(layout), tree->slot_count, sizeof(struct image_bucket));
  while (tree_walk_next(&walk)) {
    write_node(layout, walk.node);
    write_bucket(layout, walk.node, walk.hash);
    write_zone_nodes(layout, walk.node);
  }
  for (size_t i = 0; i < tree->config->zone_count; i++)
    write_zone(layout, i);
}

enum status layout_write(struct tree *tree, const struct cookie_secrets *cookies, int *fd, struct errbuf *err) {
  struct layout layout = {.tree = tree, .cookies = cookies};
  layout.encoded = mem_alloc(sizeof *layout.encoded);
  layout.negative_soas = mem_array(tree->config->zone_count, sizeof *layout.negative_soas);
  layout.zone_nodes = mem_array(tree->config->zone_count, sizeof *layout.zone_nodes);
  enum status status;
  measure(&layout);
  struct image_file file = {0};
  if (layout.size > IMAGE_SIZE_MOST || tree->slot_count > UINT32_MAX)
    status = errbuf_set(err, STATUS_LIMIT, "name image: %llu bytes are over the most that it can hold, 32 GiB",
                        (unsigned long long)layout.size);
  else
    status = image_file_new(layout.size, &file, err);
  if (status == STATUS_OK) {
    layout.base = file.base;
    write_all(&layout);
    status = image_file_seal(&file, fd, err);
  }
  free(layout.zone_nodes);
  free(layout.negative_soas);
  free(layout.encoded);
  return status;
}
