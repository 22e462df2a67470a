/* zones/image/find.h
 * Where a name stands in the image: RFC 1034 section 4.3.2 with wildcards after RFC 4592, delegations, empty
 * non-terminals and DNAME. One hash look-up when the name exists; one a label above it when not. Any thread. */
#ifndef GSLB_ZONES_IMAGE_FIND_H
#define GSLB_ZONES_IMAGE_FIND_H

#include "gslb/model/name.h"
#include "zones/image/image.h"

enum find_kind {
  FIND_NAME,       /* node is the name itself or the wildcard that stands for it */
  FIND_DELEGATION, /* node is the cut at or above the name */
  FIND_DNAME,      /* node holds the DNAME above the name */
  FIND_ABSENT,     /* in the zone, and the image has no such name */
  FIND_OUTSIDE,    /* in none of our zones */
};

struct find_result {
  enum find_kind kind;
  const struct image_node *node;     /* NULL for FIND_ABSENT and FIND_OUTSIDE */
  const struct image_zone *zone;     /* NULL for FIND_OUTSIDE */
  const struct image_node *encloser; /* the nearest name above, where the image does not have the name itself and
                                      * neither a cut nor a DNAME stands above; else NULL */
};

void find_name(const struct image *image, const uint8_t *name, size_t size, uint64_t hash, uint16_t type,
               struct find_result *out);
/* name: lower-case wire form; hash: name_hash of it. type: the type asked for, since DS belongs to the parent side of a
 * cut (RFC 4035 section 3.1.4.1). */

void find_from(const struct image *image, const struct image_node *node, const uint8_t *name, size_t size,
               uint16_t type, struct find_result *out);
/* As find_name, for who has asked find_node already: node is what it gave. */

static inline const struct image_node *find_node(const struct image *image, const uint8_t *name, size_t size,
                                                 uint64_t hash) {
  const struct image_bucket *buckets = image->buckets;
  uint32_t mask = image->mask, tag = (uint32_t)(hash >> 32);
  for (uint32_t i = (uint32_t)hash & mask; buckets[i].node; i = (i + 1) & mask) {
    if (buckets[i].tag != tag)
      continue;
    const struct image_node *node = image_node(image, buckets[i].node);
    if (node->name_size == size && name_equals(image_node_name(node), name, size))
      return node;
  }
  return NULL;
}
/* The node of exactly this name, or NULL. */

/* For a batch of names in a large image, where each look-up would wait for memory twice: first find_prefetch for each,
 * then find_prefetch_node for each, then the look-ups. Both only fetch what find_node will read. */
static inline void find_prefetch(const struct image *image, uint64_t hash) {
  __builtin_prefetch(&image->buckets[(uint32_t)hash & image->mask]);
}

static inline void find_prefetch_node(const struct image *image, uint64_t hash) {
  uint32_t tag = (uint32_t)(hash >> 32), i = (uint32_t)hash & image->mask;
  while (image->buckets[i].node && image->buckets[i].tag != tag)
    i = (i + 1) & image->mask;
  const uint8_t *node = (const uint8_t *)image_node(image, image->buckets[i].node);
  __builtin_prefetch(node); /* the image's head, where no such name is */
  __builtin_prefetch(node + 64);
}

#endif
