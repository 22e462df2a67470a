/* gslb/decide/span_map.h
 * Finds the value of an address among spans, and how long a prefix of the address says as much: a static search tree
 * whose nodes are runs of 16 keys, so a look-up among 2,000,000 spans reads 6 nodes, the upper ones always in cache,
 * and one among 4,096 reads 3; then the value. Takes 13 bytes a span, 8 more when networks are longer than 64 bits.
 * Immutable once built, in the caller's arena; any thread may look up; no lock, no allocation. */
#ifndef GSLB_DECIDE_SPAN_MAP_H
#define GSLB_DECIDE_SPAN_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/decide/span.h"

#define SPAN_MAP_LEVELS 8

struct span_map_level {
  const uint64_t *keys; /* padded to whole nodes */
  uint32_t count;
};

struct span_map {
  struct span_map_level levels[SPAN_MAP_LEVELS]; /* 0: the upper halves of the spans' first addresses; each further
                                                  * level: the first key of each node below */
  uint32_t level_count;
  const uint64_t *lower; /* the lower halves; NULL: all are zero */
  const uint32_t *values;
};

void span_map_build(struct span_map *map, struct arena *arena, const struct span *spans, size_t count,
                    const uint32_t *values);
/* Spans as from span_flatten, at least one. values[span.value] is what a look-up gives; neighbours for which that is
 * equal become one. */

struct span_hit span_map_find(const struct span_map *map, __uint128_t address);
/* address as from span_address_of. */

#endif
