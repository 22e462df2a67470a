#include "gslb/base/memory.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* An arena's blocks grow with it, by half of what it has: what is left over in the last one stays a small part. */
#define ARENA_BLOCK_LEAST 1024u
#define ARENA_BLOCK_MOST 65536u
#define ARENA_LARGE (4 * HUGE_PAGE) /* an arena of this size goes on in blocks of its own mapping, of huge pages */
#define ARENA_BLOCK_LARGE (2 * HUGE_PAGE)
#define ARENA_ALIGN _Alignof(max_align_t)

struct arena_block {
  struct arena_block *next;
  size_t size;
  size_t used;
  size_t total;  /* of the first block: of all */
  size_t mapped; /* bytes to be unmapped; 0: of the heap */
  _Alignas(max_align_t) unsigned char data[];
};

static void *check(void *block) {
  if (!block) {
    fputs("gslb: out of memory\n", stderr);
    abort();
  }
  return block;
}

static size_t product(size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total))
    check(NULL);
  return total;
}

void *mem_alloc(size_t size) {
  return check(calloc(1, size ? size : 1));
}

void *mem_array(size_t count, size_t size) {
  return mem_alloc(product(count, size));
}

static uintptr_t round_up(uintptr_t value) {
  return (value + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

void *mem_table(size_t count, size_t size) {
  uint8_t *block = mem_array(count, size);
  size_t before = round_up((uintptr_t)block) - (uintptr_t)block;
  if (count * size > before)
    (void)madvise(block + before, count * size - before, MADV_HUGEPAGE); /* as good without */
  return block;
}

void *mem_resize(void *block, size_t count, size_t size) {
  size_t total = product(count, size);
  return check(realloc(block, total ? total : 1));
}

void *mem_grow(void *block, size_t *capacity, size_t needed, size_t size) {
  if (needed <= *capacity)
    return block;
  size_t wanted = *capacity ? product(*capacity, 2) : 8;
  if (wanted < needed)
    wanted = needed;
  *capacity = wanted;
  return mem_resize(block, wanted, size);
}

void mem_give_back(void) {
  malloc_trim(0);
}

char *mem_strdup(const char *text) {
  return check(strdup(text));
}

char *mem_format(const char *format, ...) {
  char *text = NULL;
  va_list args;
  va_start(args, format);
  int written = vasprintf(&text, format, args);
  va_end(args);
  return check(written < 0 ? NULL : text);
}

/* At an address where huge pages can stand. */
static struct arena_block *map_block(size_t room) {
  size_t size = round_up(sizeof(struct arena_block) + room), reserved = size + HUGE_PAGE;
  uint8_t *start = mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED)
    check(NULL);
  size_t before = round_up((uintptr_t)start) - (uintptr_t)start;
  if (before)
    munmap(start, before);
  if (before < HUGE_PAGE)
    munmap(start + before + size, HUGE_PAGE - before);
  (void)madvise(start + before, size, MADV_HUGEPAGE); /* as good without */
  struct arena_block *block = (struct arena_block *)(void *)(start + before);
  block->mapped = size;
  block->size = size - sizeof *block;
  return block;
}

static struct arena_block *heap_block(size_t room) {
  struct arena_block *block = mem_alloc(sizeof *block + room);
  block->size = room;
  return block;
}

/* Where the first block has more room left than the new one will have, it stays the first. */
static struct arena_block *put_block(struct arena *arena, struct arena_block *block, size_t needed) {
  struct arena_block *first = arena->blocks;
  size_t total = block->size + (first ? first->total : 0);
  if (first && first->size - first->used > block->size - needed) {
    block->next = first->next;
    first->next = block;
  } else {
    block->next = first;
    arena->blocks = block;
  }
  arena->blocks->total = total;
  return block;
}

static struct arena_block *add_block(struct arena *arena, size_t needed) {
  size_t total = arena->blocks ? arena->blocks->total : 0, room = total / 2;
  if (total >= ARENA_LARGE) {
    room = ARENA_BLOCK_LARGE - sizeof(struct arena_block);
    return put_block(arena, map_block(room < needed ? needed : room), needed);
  }
  if (room < ARENA_BLOCK_LEAST)
    room = ARENA_BLOCK_LEAST;
  else if (room > ARENA_BLOCK_MOST)
    room = ARENA_BLOCK_MOST;
  return put_block(arena, heap_block(room < needed ? needed : room), needed);
}

void arena_reserve(struct arena *arena, size_t size) {
  put_block(arena, heap_block(size), 0);
}

void *arena_alloc_aligned(struct arena *arena, size_t size, size_t align) {
  if (size > SIZE_MAX / 2)
    check(NULL);
  struct arena_block *block = arena->blocks;
  size_t at = block ? (block->used + align - 1) & ~(align - 1) : 0;
  if (!block || at > block->size || block->size - at < size) {
    block = add_block(arena, size);
    at = 0;
  }
  block->used = at + size;
  return block->data + at;
}

void *arena_alloc(struct arena *arena, size_t size) {
  return arena_alloc_aligned(arena, size, ARENA_ALIGN);
}

void *arena_array(struct arena *arena, size_t count, size_t size) {
  return arena_alloc(arena, product(count, size));
}

char *arena_strndup(struct arena *arena, const char *text, size_t length) {
  char *copy = arena_alloc(arena, length + 1);
  memcpy(copy, text, length);
  return copy;
}

char *arena_strdup(struct arena *arena, const char *text) {
  return arena_strndup(arena, text, strlen(text));
}

void *arena_copy(struct arena *arena, const void *data, size_t size) {
  void *copy = arena_alloc(arena, size);
  if (size)
    memcpy(copy, data, size);
  return copy;
}

void arena_release(struct arena *arena) {
  while (arena->blocks) {
    struct arena_block *block = arena->blocks;
    arena->blocks = block->next;
    if (block->mapped)
      munmap(block, block->mapped);
    else
      free(block);
  }
}
