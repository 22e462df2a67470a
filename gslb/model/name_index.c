#include "gslb/model/name_index.h"

#include <string.h>

#define CAPACITY_FIRST 16u

struct name_index_cell {
  const char *name; /* NULL: empty */
  uint32_t value;
};

/* FNV-1a */
static size_t hash(const char *name) {
  uint64_t sum = 0xcbf29ce484222325u;
  for (; *name; name++)
    sum = (sum ^ (unsigned char)*name) * 0x100000001b3u;
  return (size_t)(sum ^ sum >> 32);
}

/* The cell that holds the name, or the empty one where it belongs. */
static struct name_index_cell *cell_of(const struct name_index *index, const char *name) {
  size_t at = hash(name) & (index->capacity - 1);
  while (index->cells[at].name && strcmp(index->cells[at].name, name) != 0)
    at = (at + 1) & (index->capacity - 1);
  return &index->cells[at];
}

static void enlarge(struct name_index *index, struct arena *arena, size_t capacity) {
  struct name_index larger = {.capacity = capacity, .count = index->count};
  larger.cells = arena_array(arena, larger.capacity, sizeof *larger.cells);
  for (size_t i = 0; i < index->capacity; i++)
    if (index->cells[i].name)
      *cell_of(&larger, index->cells[i].name) = index->cells[i];
  *index = larger;
}

void name_index_reserve(struct name_index *index, struct arena *arena, size_t count) {
  size_t capacity = CAPACITY_FIRST;
  while (capacity / 2 < count)
    capacity *= 2;
  if (capacity > index->capacity)
    enlarge(index, arena, capacity);
}

uint32_t name_index_add(struct name_index *index, struct arena *arena, const char *name, uint32_t value) {
  if (index->count >= index->capacity / 2)
    enlarge(index, arena, index->capacity ? index->capacity * 2 : CAPACITY_FIRST);
  struct name_index_cell *cell = cell_of(index, name);
  if (cell->name)
    return cell->value;
  *cell = (struct name_index_cell){.name = name, .value = value};
  index->count++;
  return NAME_INDEX_NONE;
}

uint32_t name_index_find(const struct name_index *index, const char *name) {
  if (index->count == 0)
    return NAME_INDEX_NONE;
  const struct name_index_cell *cell = cell_of(index, name);
  return cell->name ? cell->value : NAME_INDEX_NONE;
}
