/* zones/image.h
 * The name image: all zones and the places of the balanced names, compiled to wire form in one block without pointers,
 * so that it can be made in one process and mapped in another. Compiled by zones/compile, read by zones/find and
 * zones/answer. Immutable. Any thread. Offsets count bytes from the start of the image; 0 means none. Numbers are in
 * the machine's order: an image never leaves the machine. */
#ifndef GSLB_ZONES_IMAGE_H
#define GSLB_ZONES_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "zones/cookie.h"

#define IMAGE_MAGIC 0x33424c53474d4e49u
#define IMAGE_NONE UINT32_MAX

struct image_head {
  uint64_t magic; /* with the layout's version in it */
  uint64_t size;
  uint64_t buckets;      /* offset of bucket_count struct image_bucket, 64-byte aligned */
  uint32_t bucket_count; /* a power of two, at most 2/3 full */
  uint32_t zone_count;
  uint64_t zones; /* offset of zone_count struct image_zone, in the configuration's order */
  uint32_t node_count;
  uint32_t service_count;        /* of the configuration it was compiled with */
  struct cookie_secrets cookies; /* of the configured file; count 0: none is configured */
};

/* Open addressing, linear probing from hash & (bucket_count - 1), by the name hash of zones/name. */
struct image_bucket {
  uint32_t tag;  /* upper 32 bits of the hash */
  uint32_t node; /* offset / 8; 0: empty, ends a search */
};

struct image_zone {   /* absent: a secondary zone of which there is no copy; soa and ns are 0 */
  uint64_t apex;      /* node */
  uint32_t name_size; /* wire length of the apex name */
  uint32_t minimum_s; /* negative TTL: the lesser of the SOA's TTL and MINIMUM (RFC 2308) */
  uint64_t soa;       /* the apex' SOA rrset with its TTL lowered to minimum_s, for negative answers; 0: absent */
  uint64_t ns;        /* the apex' NS rrset */
  uint32_t serial;
  uint32_t record_count;
  uint64_t nodes; /* node_count uint32_t, each a node's offset / 8: the zone's own, parents first, and the apexes of the
                   * zones right below it that are ours too, where it delegates */
  uint32_t node_count;
  uint32_t reserved;
};

enum image_node_flag {
  IMAGE_APEX = 1,      /* top of a zone */
  IMAGE_CUT = 2,       /* NS below the apex: a delegation stands here */
  IMAGE_BELOW_CUT = 4, /* occluded by a cut above (glue); never an answer of its own */
  IMAGE_CNAME = 8,     /* holds a CNAME */
  IMAGE_DNAME = 16,    /* holds a DNAME */
  IMAGE_SRV = 32,      /* the balanced part is the service's SRV rrset rather than its addresses */
  IMAGE_WILDCARD = 64, /* leftmost label is an asterisk */
  IMAGE_MEMBER = 128,  /* the balanced part is one member's addresses: a target of SRV answers */
  IMAGE_ACCEPT = 256,  /* a service that takes registrations: names of its members appear below it */
  IMAGE_PATTERN = 512, /* "*.base" of services that registrations create; never answered by itself */
};

struct image_node {  /* 8-byte aligned; followed by name_size bytes of lower-case wire name, padding to 4, then
                      * rrset_count struct image_ref in ascending type */
  uint64_t cut;      /* node of the delegation at or above within the zone; 0 for none */
  uint64_t wildcard; /* node "*.<this name>" when there is one; 0 */
  uint64_t dname;    /* nearest node strictly above within the zone that holds a DNAME; 0 */
  uint32_t zone;     /* index */
  uint32_t service;  /* balanced: index into the configuration's services; IMAGE_NONE otherwise */
  uint16_t flags;
  uint16_t rrset_count; /* 0 for an empty non-terminal and for a name that is only balanced */
  uint16_t name_size;
  uint16_t member; /* IMAGE_MEMBER: index into the service's members; 0xFFFF otherwise */
};

struct image_ref {
  uint16_t type;
  uint16_t reserved;
  uint32_t rrset; /* offset / 8 */
};

/* An RRset as it goes onto the wire: data_size bytes, one resource record after the other, each
 * {2 bytes owner pointer 0xC00C, type, class IN, TTL, RDLENGTH, RDATA}. Owner pointers and pointers to the zone's apex
 * are patched when it is copied into a message. */
struct image_rrset { /* 8-byte aligned; followed by patches, then targets, then data */
  uint32_t ttl_s;
  uint32_t data_size;
  uint16_t type;
  uint16_t record_count;
  uint16_t patch_count;
  uint16_t target_count;
};

struct image_patch { /* offset in data of a 2-byte pointer */
  uint32_t at : 31;
  uint32_t is_apex : 1; /* to the zone's apex; otherwise to the owner's name */
};

struct image_target { /* a name in RDATA whose addresses belong in the additional section (NS, MX, SRV, SVCB) */
  uint32_t at;        /* offset in data of the name; written with at most one pointer, at its end */
  uint32_t node;      /* offset / 8 of the target's node, in any of our zones */
};

struct image {
  const uint8_t *base;
  size_t size;
};

enum status image_map(int fd, struct image *out, struct errbuf *err);
/* Maps a compiled image read-only and checks its head: STATUS_VERSION when another build made it, STATUS_IO. */
void image_unmap(struct image *image);

static inline const struct image_head *image_head(const struct image *image) {
  return (const struct image_head *)(const void *)image->base;
}

static inline const struct image_zone *image_zone(const struct image *image, uint32_t index) {
  return (const struct image_zone *)(const void *)(image->base + image_head(image)->zones) + index;
}

static inline const struct image_node *image_node(const struct image *image, uint64_t offset) {
  return (const struct image_node *)(const void *)(image->base + offset);
}

static inline const uint8_t *image_node_name(const struct image_node *node) {
  return (const uint8_t *)(node + 1);
}

static inline const struct image_ref *image_node_refs(const struct image_node *node) {
  return (const struct image_ref *)(const void *)(image_node_name(node) + ((node->name_size + 3u) & ~3u));
}

static inline const struct image_rrset *image_rrset(const struct image *image, uint64_t offset) {
  return (const struct image_rrset *)(const void *)(image->base + offset);
}

static inline const struct image_patch *image_rrset_patches(const struct image_rrset *rrset) {
  return (const struct image_patch *)(rrset + 1);
}

static inline const struct image_target *image_rrset_targets(const struct image_rrset *rrset) {
  return (const struct image_target *)(image_rrset_patches(rrset) + rrset->patch_count);
}

static inline const uint8_t *image_rrset_data(const struct image_rrset *rrset) {
  return (const uint8_t *)(image_rrset_targets(rrset) + rrset->target_count);
}

const struct image_rrset *image_find_rrset(const struct image *image, const struct image_node *node, uint16_t type);
/* NULL when the node has no records of that type. */

#endif
