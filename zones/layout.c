#include "zones/layout.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "zones/check.h"
#include "zones/query.h"

#define RECORD_HEAD 10u /* owner pointer, type, class, TTL */
#define PATCHES_MOST (CHECK_RRSET_SIZE_MOST / 12 * (1 + RDATA_NAMES_MOST))

struct encoded { /* an RRset, ready to be copied into the image */
  uint32_t patch_count, target_count, size;
  struct image_patch patches[PATCHES_MOST];
  struct image_target targets[CHECK_RRSET_SIZE_MOST / 12];
  uint8_t data[CHECK_RRSET_SIZE_MOST];
};

struct zone_nodes { /* where the list of a zone's nodes stands, and how many are counted or written */
  uint64_t offset;
  uint32_t count;
};

struct layout {
  const struct cookie_secrets *cookies;
  struct tree *tree;
  uint64_t size;
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

/* Writes the name at data[at] of the record and returns its size there. */
static size_t encode_name(struct encoded *out, const struct layout *layout, const struct tree_node *apex, uint16_t type,
                          const uint8_t *wire) {
  struct name lower = {.size = (uint8_t)name_size(wire)};
  for (size_t i = 0; i < lower.size; i++)
    lower.wire[i] = name_lower(wire[i]);
  if (has_targets(type)) {
    const struct tree_node *node = tree_find(layout->tree, lower.wire, lower.size);
    if (node && tree_has_address(node))
      out->targets[out->target_count++] = (struct image_target){.at = out->size, .node = (uint32_t)(node->offset / 8)};
  }
  bool is_shorter =
      apex->size > 1 && may_compress(type) && name_is_below(lower.wire, lower.size, apex->name, apex->size);
  size_t copied = is_shorter ? lower.size - (size_t)apex->size : lower.size;
  memcpy(out->data + out->size, wire, copied);
  out->size += (uint32_t)copied;
  if (is_shorter) {
    out->patches[out->patch_count++] = (struct image_patch){.at = out->size & 0x7fffffffu, .is_apex = 1};
    put_u16(out, 0xc000);
  }
  return lower.size;
}

static void encode_record(struct encoded *out, const struct layout *layout, const struct tree_node *apex,
                          const struct tree_rrset *rrset, uint32_t ttl_s, const struct tree_record *record) {
  out->patches[out->patch_count++] = (struct image_patch){.at = out->size & 0x7fffffffu};
  put_u16(out, 0xc00c);
  put_u16(out, rrset->type);
  put_u16(out, CLASS_IN);
  put_u16(out, ttl_s >> 16);
  put_u16(out, ttl_s & 0xffff);
  put_u16(out, 0);
  uint32_t start = out->size;
  size_t from = 0;
  bool has_names = may_compress(rrset->type) || has_targets(rrset->type);
  for (size_t i = 0; has_names && i < record->name_count; i++) {
    size_t before = record->name_at[i] - from;
    memcpy(out->data + out->size, record->data + from, before);
    out->size += (uint32_t)before;
    from = record->name_at[i] + encode_name(out, layout, apex, rrset->type, record->data + record->name_at[i]);
  }
  memcpy(out->data + out->size, record->data + from, record->size - from);
  out->size += (uint32_t)(record->size - from);
  uint32_t size = out->size - start;
  out->data[start - 2] = (uint8_t)(size >> 8);
  out->data[start - 1] = (uint8_t)size;
}

static void encode(struct layout *layout, const struct tree_node *node, const struct tree_rrset *rrset,
                   uint32_t ttl_s) {
  struct encoded *out = layout->encoded;
  const struct tree_node *apex = layout->tree->zones[node->zone].apex;
  out->patch_count = out->target_count = out->size = 0;
  for (const struct tree_record *record = rrset->first; record; record = record->next)
    encode_record(out, layout, apex, rrset, ttl_s, record);
}

static uint64_t rrset_size(const struct tree_rrset *rrset) {
  return sizeof(struct image_rrset) + rrset->patch_count * sizeof(struct image_patch) +
         rrset->target_count * sizeof(struct image_target) + rrset->data_size;
}

static void measure_rrset(struct layout *layout, const struct tree_node *node, struct tree_rrset *rrset) {
  encode(layout, node, rrset, rrset->ttl_s);
  rrset->patch_count = (uint16_t)layout->encoded->patch_count;
  rrset->target_count = (uint16_t)layout->encoded->target_count;
  rrset->data_size = layout->encoded->size;
  rrset->offset = take(layout, rrset_size(rrset), 8);
}

static size_t padded_name(const struct tree_node *node) {
  return (node->size + 3u) & ~3u;
}

static uint16_t count_rrsets(const struct tree_node *node) {
  uint16_t count = 0;
  for (const struct tree_rrset *rrset = node->rrsets; rrset; rrset = rrset->next)
    count++;
  return count;
}

/* The zone around this apex; IMAGE_NONE for what is no apex or lies in none of ours. */
static uint32_t delegating_zone(const struct tree_node *node) {
  return (node->flags & IMAGE_APEX) && node->parent ? node->parent->zone : IMAGE_NONE;
}

static void measure_zone_nodes(struct layout *layout) {
  const struct tree *tree = layout->tree;
  for (const struct tree_node *node = tree->first; node; node = node->next) {
    layout->zone_nodes[node->zone].count++;
    if (delegating_zone(node) != IMAGE_NONE)
      layout->zone_nodes[delegating_zone(node)].count++;
  }
  for (size_t i = 0; i < tree->config->zone_count; i++)
    layout->zone_nodes[i].offset = take(layout, layout->zone_nodes[i].count * sizeof(uint32_t), 8);
}

static void write_zone_node(struct layout *layout, uint32_t zone, const struct tree_node *node) {
  struct zone_nodes *nodes = &layout->zone_nodes[zone];
  uint32_t offset = (uint32_t)(node->offset / 8);
  memcpy(layout->base + nodes->offset + nodes->count++ * sizeof offset, &offset, sizeof offset);
}

static void write_zone_nodes(struct layout *layout) {
  const struct tree *tree = layout->tree;
  for (size_t i = 0; i < tree->config->zone_count; i++)
    layout->zone_nodes[i].count = 0;
  for (const struct tree_node *node = tree->first; node; node = node->next) {
    write_zone_node(layout, node->zone, node);
    if (delegating_zone(node) != IMAGE_NONE)
      write_zone_node(layout, delegating_zone(node), node);
  }
}

/* Gives everything its offset; nodes stand in the order of their buckets, each before its RRsets. */
static void measure(struct layout *layout) {
  struct tree *tree = layout->tree;
  size_t zone_count = tree->config->zone_count;
  layout->size = sizeof(struct image_head);
  layout->zones = take(layout, zone_count * sizeof(struct image_zone), 8);
  layout->buckets = take(layout, tree->slot_count * sizeof(struct image_bucket), 64);
  for (size_t i = 0; i < tree->slot_count; i++) {
    struct tree_node *node = tree->slots[i];
    if (!node)
      continue;
    node->offset =
        take(layout, sizeof(struct image_node) + padded_name(node) + count_rrsets(node) * sizeof(struct image_ref), 8);
    for (struct tree_rrset *rrset = node->rrsets; rrset; rrset = rrset->next)
      measure_rrset(layout, node, rrset);
  }
  for (size_t i = 0; i < zone_count; i++) {
    const struct tree_rrset *soa = tree_rrset(tree->zones[i].apex, TYPE_SOA);
    layout->negative_soas[i] = soa ? take(layout, rrset_size(soa), 8) : 0;
  }
  measure_zone_nodes(layout);
  layout->size = (layout->size + 7) / 8 * 8;
}

static void write_rrset(struct layout *layout, const struct tree_node *node, const struct tree_rrset *rrset,
                        uint32_t ttl_s, uint64_t offset) {
  encode(layout, node, rrset, ttl_s);
  const struct encoded *encoded = layout->encoded;
  assert(encoded->size == rrset->data_size && encoded->patch_count == rrset->patch_count &&
         encoded->target_count == rrset->target_count);
  uint8_t *at = layout->base + offset;
  const struct image_rrset head = {.ttl_s = ttl_s,
                                   .data_size = encoded->size,
                                   .type = rrset->type,
                                   .record_count = (uint16_t)rrset->count,
                                   .patch_count = rrset->patch_count,
                                   .target_count = rrset->target_count};
  memcpy(at, &head, sizeof head);
  at += sizeof head;
  memcpy(at, encoded->patches, encoded->patch_count * sizeof *encoded->patches);
  at += encoded->patch_count * sizeof *encoded->patches;
  memcpy(at, encoded->targets, encoded->target_count * sizeof *encoded->targets);
  at += encoded->target_count * sizeof *encoded->targets;
  memcpy(at, encoded->data, encoded->size);
}

static uint64_t offset_of(const struct tree_node *node) {
  return node ? node->offset : 0;
}

static void write_node(struct layout *layout, const struct tree_node *node) {
  uint8_t *at = layout->base + node->offset;
  const struct image_node head = {.cut = offset_of(node->cut),
                                  .wildcard = offset_of(node->wildcard),
                                  .dname = offset_of(node->dname),
                                  .zone = node->zone,
                                  .service = node->service,
                                  .flags = node->flags,
                                  .rrset_count = count_rrsets(node),
                                  .name_size = node->size,
                                  .member = node->member};
  memcpy(at, &head, sizeof head);
  at += sizeof head;
  memcpy(at, node->name, node->size);
  at += padded_name(node);
  for (const struct tree_rrset *rrset = node->rrsets; rrset; rrset = rrset->next) {
    const struct image_ref ref = {.type = rrset->type, .rrset = (uint32_t)(rrset->offset / 8)};
    memcpy(at, &ref, sizeof ref);
    at += sizeof ref;
    write_rrset(layout, node, rrset, rrset->ttl_s, rrset->offset);
  }
}

static uint32_t get_u32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_soa(struct layout *layout, const struct tree_zone *zone, const struct tree_rrset *soa,
                      uint64_t negative, struct image_zone *out) {
  const uint8_t *numbers = soa->first->data + soa->first->size - 20; /* serial, refresh, retry, expire, minimum */
  out->minimum_s = get_u32(numbers + 16);
  if (soa->ttl_s < out->minimum_s)
    out->minimum_s = soa->ttl_s;
  write_rrset(layout, zone->apex, soa, out->minimum_s, negative);
  out->soa = negative;
  out->ns = tree_rrset(zone->apex, TYPE_NS)->offset;
  out->serial = get_u32(numbers);
}

static void write_zone(struct layout *layout, size_t index) {
  const struct tree_zone *zone = &layout->tree->zones[index];
  const struct tree_rrset *soa = tree_rrset(zone->apex, TYPE_SOA);
  struct image_zone out = {.apex = zone->apex->offset,
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
                                  .service_count = (uint32_t)tree->config->service_count,
                                  .cookies = *layout->cookies};
  memcpy(layout->base, &head, sizeof head);
  struct image_bucket *buckets = (struct image_bucket *)(void *)(layout->base + layout->buckets);
  for (size_t i = 0; i < tree->slot_count; i++) {
    const struct tree_node *node = tree->slots[i];
    if (!node)
      continue;
    buckets[i] = (struct image_bucket){.tag = (uint32_t)(node->hash >> 32), .node = (uint32_t)(node->offset / 8)};
    write_node(layout, node);
  }
  write_zone_nodes(layout);
  for (size_t i = 0; i < tree->config->zone_count; i++)
    write_zone(layout, i);
}

/* A memfd of the layout's size, written and sealed; -1 with errno. */
static int make_file(struct layout *layout) {
  int fd = memfd_create("gslb-names", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return -1;
  /* taken now, since later a lack of memory would be a signal instead of an error */
  if (fallocate(fd, 0, 0, (off_t)layout->size) != 0)
    goto failed;
  void *base = mmap(NULL, layout->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED)
    goto failed;
  layout->base = base;
  write_all(layout);
  munmap(base, layout->size);
  /* not F_SEAL_WRITE: before Linux 6.7 that forbids even read-only shared mappings of a writable descriptor */
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0)
    goto failed;
  return fd;
failed:;
  int reason = errno;
  close(fd);
  errno = reason;
  return -1;
}

enum status layout_write(struct tree *tree, const struct cookie_secrets *cookies, int *fd, struct errbuf *err) {
  struct layout layout = {.tree = tree, .cookies = cookies};
  layout.encoded = mem_alloc(sizeof *layout.encoded);
  layout.negative_soas = mem_array(tree->config->zone_count, sizeof *layout.negative_soas);
  layout.zone_nodes = mem_array(tree->config->zone_count, sizeof *layout.zone_nodes);
  enum status status = STATUS_OK;
  measure(&layout);
  int made = -1;
  if (layout.size / 8 > UINT32_MAX || tree->slot_count > UINT32_MAX)
    status = errbuf_set(err, STATUS_LIMIT, "name image: %llu bytes are too many", (unsigned long long)layout.size);
  else if ((made = make_file(&layout)) < 0)
    status =
        errbuf_set(err, STATUS_IO, "name image of %llu bytes: %s", (unsigned long long)layout.size, strerror(errno));
  if (status == STATUS_OK)
    *fd = made;
  free(layout.zone_nodes);
  free(layout.negative_soas);
  free(layout.encoded);
  return status;
}
