#include "gslb/decide/span_index.h"

#include <assert.h>

#define ADDRESS_BITS 32u
#define TABLE_BITS_MOST 20u

static uint32_t first_of(const struct span *span) {
  return (uint32_t)(span->first >> 96);
}

/* As many bits as make about as many parts as there are spans. */
static uint32_t table_bits(uint32_t count) {
  uint32_t bits = ADDRESS_BITS - (uint32_t)__builtin_clz(count);
  return bits < TABLE_BITS_MOST ? bits : TABLE_BITS_MOST;
}

static void build_starts(struct span_index *index, struct arena *arena) {
  uint32_t parts = UINT32_C(1) << table_bits(index->count), last = index->count - 1, at = last ? 1 : 0;
  uint32_t *starts = arena_array(arena, (size_t)parts + 1, sizeof *starts);
  index->origin = index->entries[at].first;
  while ((index->entries[last].first - index->origin) >> index->shift >= parts)
    index->shift++;
  for (uint32_t part = 0; part < parts; part++) {
    while (at < last && index->entries[at + 1].first - index->origin <= part << index->shift)
      at++;
    starts[part] = at;
  }
  starts[parts] = last;
  index->starts = starts;
  index->last_part = parts - 1;
}

void span_index_build(struct span_index *index, struct arena *arena, const struct span *spans, size_t count,
                      const uint32_t *values) {
  assert(count >= 1 && spans[0].first == 0 && count < UINT32_MAX);
  uint32_t kept = 1;
  for (size_t i = 1; i < count; i++)
    kept += values[spans[i].value] != values[spans[i - 1].value];
  struct span_entry *entries = arena_array(arena, kept, sizeof *entries);
  entries[0].value = values[spans[0].value];
  uint32_t last = 0;
  for (size_t i = 1; i < count; i++)
    if (values[spans[i].value] != entries[last].value)
      entries[++last] = (struct span_entry){.first = first_of(&spans[i]), .value = values[spans[i].value]};
  assert(last + 1 == kept);
  *index = (struct span_index){.entries = entries, .count = kept};
  build_starts(index, arena);
}

/* Leading bits needed to tell a from b, which differ. */
static uint8_t bits_apart(uint32_t a, uint32_t b) {
  return (uint8_t)(1 + __builtin_clz(a ^ b));
}

/* The scope as gslb/decide/span_map has it. */
struct span_hit span_index_find(const struct span_index *index, uint32_t address) {
  const struct span_entry *entry = index->entries;
  uint32_t count = 1;
  if (address >= index->origin) {
    uint32_t part = (address - index->origin) >> index->shift;
    if (part > index->last_part)
      part = index->last_part;
    entry += index->starts[part];
    count += index->starts[part + 1] - index->starts[part];
  }
  /* as many steps for all addresses of a part, each without a branch: clients come in no order that could be guessed */
  for (uint32_t half; count > 1; count -= half) {
    half = count / 2;
    entry += entry[half].first <= address ? half : 0;
  }
  size_t at = (size_t)(entry - index->entries);
  struct span_hit hit = {.value = entry->value};
  if (at > 0)
    hit.scope_bits = bits_apart(address, entry->first - 1);
  if (at + 1 < index->count) {
    uint8_t bits = bits_apart(address, entry[1].first);
    hit.scope_bits = bits > hit.scope_bits ? bits : hit.scope_bits;
  }
  return hit;
}
