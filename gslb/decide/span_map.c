#include "gslb/decide/span_map.h"

#include <assert.h>
#include <stdbool.h>

#define NODE 16u /* keys; two cache lines */
#define CACHE_LINE 64u

static uint64_t *make_keys(struct arena *arena, size_t count) {
  size_t padded = (count + NODE - 1) / NODE * NODE;
  uintptr_t at = (uintptr_t)arena_alloc(arena, padded * sizeof(uint64_t) + CACHE_LINE);
  uint64_t *keys = (uint64_t *)((at + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
  for (size_t i = count; i < padded; i++)
    keys[i] = UINT64_MAX;
  return keys;
}

static void build_levels(struct span_map *map, struct arena *arena) {
  map->level_count = 1;
  while (map->levels[map->level_count - 1].count > NODE) {
    const struct span_map_level *below = &map->levels[map->level_count - 1];
    uint32_t count = (below->count + NODE - 1) / NODE;
    uint64_t *keys = make_keys(arena, count);
    for (uint32_t i = 0; i < count; i++)
      keys[i] = below->keys[i * NODE];
    assert(map->level_count < SPAN_MAP_LEVELS);
    map->levels[map->level_count++] = (struct span_map_level){.keys = keys, .count = count};
  }
}

void span_map_build(struct span_map *map, struct arena *arena, const struct span *spans, size_t count,
                    const uint32_t *values) {
  assert(count >= 1 && spans[0].first == 0 && count <= UINT32_MAX - NODE);
  uint32_t kept = 1;
  bool has_lower = false;
  for (size_t i = 1; i < count; i++) {
    bool is_kept = values[spans[i].value] != values[spans[i - 1].value];
    kept += is_kept;
    has_lower = has_lower || (is_kept && (uint64_t)spans[i].first);
  }

  uint64_t *upper = make_keys(arena, kept);
  uint64_t *lower = has_lower ? arena_array(arena, kept, sizeof *lower) : NULL;
  uint32_t *found = arena_array(arena, kept, sizeof *found);
  uint32_t at = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t value = values[spans[i].value];
    if (i > 0 && value == values[spans[i - 1].value])
      continue;
    upper[at] = (uint64_t)(spans[i].first >> 64);
    if (lower)
      lower[at] = (uint64_t)spans[i].first;
    found[at++] = value;
  }
  assert(at == kept);
  *map = (struct span_map){.lower = lower, .values = found};
  map->levels[0] = (struct span_map_level){.keys = upper, .count = kept};
  build_levels(map, arena);
}

static __uint128_t first_of(const struct span_map *map, uint32_t at) {
  return (__uint128_t)map->levels[0].keys[at] << 64 | (map->lower ? map->lower[at] : 0);
}

/* The last span whose upper half is at or below the address's. */
static uint32_t find_upper(const struct span_map *map, uint64_t upper) {
  uint32_t at = 0;
  for (uint32_t level = map->level_count; level-- > 0;) {
    const uint64_t *keys = map->levels[level].keys + (size_t)at * NODE;
    uint32_t below = 0;
    if (level == 0) /* the value is fetched while the keys are compared, not after */
      __builtin_prefetch(map->values + (size_t)at * NODE);
    for (uint32_t i = 0; i < NODE; i++)
      below += keys[i] <= upper;
    at = at * NODE + below - 1;
    if (at >= map->levels[level].count) /* the padding is at or below the highest upper half */
      at = map->levels[level].count - 1;
  }
  return at;
}

/* Many spans may share their upper half, so the search back takes growing steps, then halves the last of them. */
static uint32_t find_lower(const struct span_map *map, uint32_t at, __uint128_t address) {
  uint32_t above = at;
  for (uint32_t step = 1; first_of(map, at) > address; step *= 2) {
    above = at;
    at = at > step ? at - step : 0;
  }
  while (above - at > 1) {
    uint32_t middle = at + (above - at) / 2;
    if (first_of(map, middle) <= address)
      at = middle;
    else
      above = middle;
  }
  return at;
}

/* Leading bits needed to tell a from b, which differ. */
static uint8_t bits_apart(__uint128_t a, __uint128_t b) {
  uint64_t upper = (uint64_t)((a ^ b) >> 64), lower = (uint64_t)(a ^ b);
  return (uint8_t)(1 + (upper ? __builtin_clzll(upper) : 64 + __builtin_clzll(lower)));
}

/* A prefix of the address stays inside the span exactly when it leaves out the two addresses next to the span, so the
 * shortest that does is one bit longer than what the address shares with either. */
struct span_hit span_map_find(const struct span_map *map, __uint128_t address) {
  uint32_t at = find_upper(map, (uint64_t)(address >> 64));
  if (map->lower)
    at = find_lower(map, at, address);
  struct span_hit hit = {.value = map->values[at]};
  if (at > 0)
    hit.scope_bits = bits_apart(address, first_of(map, at) - 1);
  if (at + 1 < map->levels[0].count) {
    uint8_t bits = bits_apart(address, first_of(map, at + 1));
    hit.scope_bits = bits > hit.scope_bits ? bits : hit.scope_bits;
  }
  return hit;
}
