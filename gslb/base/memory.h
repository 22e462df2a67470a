/* gslb/base/memory.h
 * Heap and arena memory. Running out aborts here, in one place, so that callers need no check. The answer path uses
 * none of it. An arena belongs to one thread at a time; the rest may be called by any. */
#ifndef GSLB_BASE_MEMORY_H
#define GSLB_BASE_MEMORY_H

#include <stddef.h>

void *mem_alloc(size_t size);
/* Zeroed memory, never NULL; free() it. */
void *mem_array(size_t count, size_t size);
/* Zeroed array; aborts when count * size overflows. */
void *mem_table(size_t count, size_t size);
/* As mem_array, for a large array that is used all over: of huge pages where the kernel has some. */
void *mem_resize(void *block, size_t count, size_t size);
/* realloc for count elements; what is new is not zeroed. */
void *mem_grow(void *block, size_t *capacity, size_t needed, size_t size);
/* Makes room for at least needed elements, doubling *capacity (in elements); returns the block, moved or not. */
void mem_give_back(void);
/* Lets the system have the pages that only hold what was freed. Takes as long as there is much of that: for after work
 * that needed far more memory than it leaves in use. */
char *mem_strdup(const char *text);
char *mem_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A new string; free() it. */

struct arena {
  struct arena_block *blocks;
};
/* Memory that is released all at once. Zero-initialised is ready for use. Large ones are of huge pages where the kernel
 * has some. */

void arena_reserve(struct arena *arena, size_t size);
/* What is known to come fits into one block, without room to spare; for an arena that is empty. */
void *arena_alloc(struct arena *arena, size_t size);
/* Zeroed, aligned for any type; lives until arena_release. */
void *arena_alloc_aligned(struct arena *arena, size_t size, size_t align);
/* As arena_alloc, for many things of types that want less than that: align is what they want, a power of two. */
void *arena_array(struct arena *arena, size_t count, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
void *arena_copy(struct arena *arena, const void *data, size_t size);
void arena_release(struct arena *arena);
/* Frees all; the arena is ready for use again. */

#endif
