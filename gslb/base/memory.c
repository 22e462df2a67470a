#include "gslb/base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_LEAST 1024u /* of an arena's first block; each one more is twice as large */
#define ARENA_BLOCK_MOST 65536u
#define ARENA_ALIGN _Alignof(max_align_t)

struct arena_block {
  struct arena_block *next;
  size_t size;
  size_t used;
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

void *arena_alloc(struct arena *arena, size_t size) {
  size_t rounded = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
  if (rounded < size)
    check(NULL);
  struct arena_block *block = arena->blocks;
  if (!block || block->size - block->used < rounded) {
    size_t room = !block ? ARENA_BLOCK_LEAST : block->size < ARENA_BLOCK_MOST / 2 ? block->size * 2 : ARENA_BLOCK_MOST;
    if (room < rounded)
      room = rounded;
    block = mem_alloc(sizeof *block + room);
    block->size = room;
    block->next = arena->blocks;
    arena->blocks = block;
  }
  void *result = block->data + block->used;
  block->used += rounded;
  return result;
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
    struct arena_block *next = arena->blocks->next;
    free(arena->blocks);
    arena->blocks = next;
  }
}
