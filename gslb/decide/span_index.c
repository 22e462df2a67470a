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
  uint32_t bits = table_bits(index->count), parts = UINT32_C(1) << bits, at = 0;
  uint32_t *starts = arena_array(arena, (size_t)parts + 1, sizeof *starts);
  index->shift = ADDRESS_BITS - bits;
  for (uint32_t part = 0; part < parts; part++) {
    while (at + 1 < index->count && index->entries[at + 1].first <= part << index->shift)
      at++;
    starts[part] = at;
  }
  starts[parts] = index->count - 1;
  index->starts = starts;
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
  const uint32_t *part = &index->starts[address >> index->shift];
  uint32_t at = part[0], last = part[1];
  while (at < last) {
    uint32_t middle = last - (last - at) / 2;
    if (index->entries[middle].first <= address)
      at = middle;
    else
      last = middle - 1;
  }
  const struct span_entry *entry = &index->entries[at];
  struct span_hit hit = {.value = entry->value};
  if (at > 0)
    hit.scope_bits = bits_apart(address, entry->first - 1);
  if (at + 1 < index->count) {
    uint8_t bits = bits_apart(address, entry[1].first);
    hit.scope_bits = bits > hit.scope_bits ? bits : hit.scope_bits;
  }
  return hit;
}
