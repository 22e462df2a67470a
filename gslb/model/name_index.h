/* gslb/model/name_index.h
 * Names to numbers: finds a name among very many without walking them. Names are borrowed, memory is the arena's and
 * goes with it. One thread writes; when it is done any thread may look up. */
#ifndef GSLB_MODEL_NAME_INDEX_H
#define GSLB_MODEL_NAME_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"

#define NAME_INDEX_NONE UINT32_MAX

struct name_index {
  struct name_index_cell *cells;
  size_t capacity; /* 0 or a power of two */
  size_t count;
};
/* Zero-initialised is empty and ready. */

void name_index_reserve(struct name_index *index, struct arena *arena, size_t count);
/* Room for so many names in all, so that adding them leaves no smaller tables behind in the arena. */
uint32_t name_index_add(struct name_index *index, struct arena *arena, const char *name, uint32_t value);
/* NAME_INDEX_NONE when the name was new; else the value that stands for it already, and nothing changes. */
uint32_t name_index_find(const struct name_index *index, const char *name);
/* The value, or NAME_INDEX_NONE. Case matters. */

#endif
