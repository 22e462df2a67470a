/* zones/image/image.h
 * The name image: all zones and the places of the balanced names, compiled to wire form in one block without pointers,
 * so that it can be made in one process and mapped in another. Compiled by zones/compile, read by zones/image/find and
 * zones/answer. Immutable. Any thread. Offsets count bytes from the start of the image, units eight bytes; 0 means
 * none. Numbers are in the machine's order: an image never leaves the machine. */
#ifndef GSLB_ZONES_IMAGE_IMAGE_H
#define GSLB_ZONES_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "zones/image/image_node.h"
#include "zones/message/cookie.h"

#define IMAGE_MAGIC 0x34424c53474d4e49u
#define IMAGE_UNIT 8u /* bytes: of the 32-bit offsets below */
#define IMAGE_SIZE_MOST (UINT32_MAX * (uint64_t)IMAGE_UNIT)
#define IMAGE_HUGE_PAGE (2u << 20)   /* bytes */
#define IMAGE_HUGE_LEAST (16u << 20) /* bytes of an image from which on huge pages are worth it */

struct image_head {
  uint64_t magic;        /* with the layout's version in it */
  uint64_t size;         /* of the image; its file may be larger */
  uint64_t buckets;      /* offset of bucket_count struct image_bucket, 64-byte aligned */
  uint32_t bucket_count; /* a power of two, at most 2/3 full */
  uint32_t zone_count;
  uint64_t zones; /* offset of zone_count struct image_zone, in the configuration's order */
  uint32_t node_count;
  uint32_t service_count;        /* of the configuration it was compiled with */
  struct cookie_secrets cookies; /* of the configured file; count 0: none is configured */
};

/* Open addressing, linear probing from hash & (bucket_count - 1), by name_hash. */
struct image_bucket {
  uint32_t tag;  /* upper 32 bits of the hash */
  uint32_t node; /* unit; 0: empty, ends a search */
};

struct image_zone {   /* absent: a secondary zone of which there is no copy; soa and ns are 0 */
  uint64_t apex;      /* node */
  uint32_t name_size; /* wire length of the apex name */
  uint32_t minimum_s; /* negative TTL: the lesser of the SOA's TTL and MINIMUM (RFC 2308) */
  uint64_t soa;       /* the apex' SOA rrset with its TTL lowered to minimum_s, for negative answers; 0: absent */
  uint64_t ns;        /* the apex' NS rrset */
  uint32_t serial;
  uint32_t record_count;
  uint64_t nodes; /* node_count units of nodes: the zone's own, parents first, and the apexes of the zones right below
                   * it that are ours too, where it delegates */
  uint32_t node_count;
  uint32_t reserved;
};

struct image {
  const uint8_t *base;
  size_t size;
  size_t mapped; /* bytes */
  const struct image_bucket *buckets;
  uint32_t mask; /* bucket_count - 1 */
};

enum status image_map(int fd, struct image *out, struct errbuf *err);
/* Maps a compiled image read-only, so that huge pages in it are used as such, and checks its head: STATUS_VERSION when
 * another build made it, STATUS_INVALID, STATUS_IO. */
void image_unmap(struct image *image);

void *image_reserve(int fd, size_t size, int protection);
/* Maps size bytes of the file, shared, at an address that huge pages can stand at. MAP_FAILED, with errno. */

static inline const struct image_head *image_head(const struct image *image) {
  return (const struct image_head *)(const void *)image->base;
}

static inline const struct image_zone *image_zone(const struct image *image, uint32_t index) {
  return (const struct image_zone *)(const void *)(image->base + image_head(image)->zones) + index;
}

static inline const struct image_node *image_node(const struct image *image, uint32_t unit) {
  return (const struct image_node *)(const void *)(image->base + (uint64_t)unit * IMAGE_UNIT);
}

static inline const struct image_rrset *image_rrset(const struct image *image, uint64_t offset) {
  return (const struct image_rrset *)(const void *)(image->base + offset);
}

#endif
