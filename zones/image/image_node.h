/* zones/image/image_node.h
 * A name in the name image, and its RRsets in wire form. Written by zones/compile/layout. Immutable; any thread. Units:
 * eight bytes from the start of the image (zones/image). */
#ifndef GSLB_ZONES_IMAGE_IMAGE_NODE_H
#define GSLB_ZONES_IMAGE_IMAGE_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "zones/message/wire.h"

#define IMAGE_NONE UINT32_MAX
#define IMAGE_TTL_AT 6u /* in a record, which starts with a pointer */

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
  IMAGE_LINKED = 1024, /* has links */
};

/* A name with all that is answered for it in one piece, so that a look-up costs the cache lines of the bucket and of
 * the node: with one A record a name of 22 bytes takes one line. 8-byte aligned; followed by struct image_links where
 * flags say so, name_size bytes of lower-case wire name, padding to 2, then the RRsets in ascending type. */
struct image_node {
  uint32_t zone;    /* index */
  uint32_t service; /* balanced: index into the configuration's services; IMAGE_NONE otherwise */
  uint16_t member;  /* IMAGE_MEMBER: index into the service's members; 0xFFFF otherwise */
  uint16_t flags;
  uint16_t rrset_count; /* 0 for an empty non-terminal and for a name that is only balanced */
  uint8_t name_size;
  uint8_t reserved;
};

struct image_links { /* units of nodes; 0: none */
  uint32_t cut;      /* the delegation at or above within the zone */
  uint32_t wildcard; /* "*.<this name>" */
  uint32_t dname;    /* the nearest strictly above within the zone that holds a DNAME */
};

/* An RRset as it goes onto the wire: data_size bytes, one resource record after the other, each
 * {2 bytes owner pointer, type, class IN, TTL, RDLENGTH, RDATA}. All pointers are as in a message whose question is the
 * node's own name; elsewhere those of the owners (at each record's start) and to the zone's apex (by the patches) are
 * set anew. */
struct image_rrset { /* 2-byte aligned; followed by targets, then patches, then data, padding to 2 */
  uint16_t type;
  uint16_t data_size;
  uint16_t record_count;
  uint16_t target_count;
  uint16_t patch_count; /* uint16_t each: offset in data of a 2-byte pointer to the zone's apex */
};

struct image_target { /* a name in RDATA whose addresses belong in the additional section (NS, MX, SRV, SVCB) */
  uint16_t at;        /* offset in data of the name; written with at most one pointer, at its end */
  uint16_t node_high; /* unit of the target's node, in any of our zones; in halves, since alignment is 2 */
  uint16_t node_low;
};

static inline struct image_links image_node_links(const struct image_node *node) {
  if (!(node->flags & IMAGE_LINKED))
    return (struct image_links){0};
  return *(const struct image_links *)(const void *)(node + 1);
}

static inline const uint8_t *image_node_name(const struct image_node *node) {
  return (const uint8_t *)(node + 1) + (node->flags & IMAGE_LINKED ? sizeof(struct image_links) : 0);
}

static inline const struct image_rrset *image_node_rrsets(const struct image_node *node) {
  return (const struct image_rrset *)(const void *)(image_node_name(node) + ((node->name_size + 1u) & ~1u));
}
/* The first of rrset_count. */

static inline const struct image_target *image_rrset_targets(const struct image_rrset *rrset) {
  return (const struct image_target *)(const void *)(rrset + 1);
}

static inline uint32_t image_target_node(const struct image_target *target) {
  return (uint32_t)target->node_high << 16 | target->node_low;
}

static inline const uint16_t *image_rrset_patches(const struct image_rrset *rrset) {
  return (const uint16_t *)(image_rrset_targets(rrset) + rrset->target_count);
}

static inline const uint8_t *image_rrset_data(const struct image_rrset *rrset) {
  return (const uint8_t *)(image_rrset_patches(rrset) + rrset->patch_count);
}

static inline const struct image_rrset *image_rrset_next(const struct image_rrset *rrset) {
  return (const struct image_rrset *)(const void *)(image_rrset_data(rrset) + ((rrset->data_size + 1u) & ~1u));
}

static inline uint32_t image_rrset_ttl(const struct image_rrset *rrset) {
  return wire_get_u32(image_rrset_data(rrset) + IMAGE_TTL_AT);
}
/* Seconds; the same for all of its records. */

static inline const struct image_rrset *image_find_rrset(const struct image_node *node, uint16_t type) {
  const struct image_rrset *rrset = image_node_rrsets(node);
  for (unsigned left = node->rrset_count; left && rrset->type <= type; left--, rrset = image_rrset_next(rrset))
    if (rrset->type == type)
      return rrset;
  return NULL;
}
/* NULL when the node has no records of that type. */

#endif
