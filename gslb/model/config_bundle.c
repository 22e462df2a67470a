#include "gslb/model/config_bundle.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An unknown directive, with which no YAML text of ours begins. */
#define MAGIC "%gslb-configuration 1\n"
#define MAGIC_SIZE (sizeof MAGIC - 1)
#define HEAD_SIZE 64u
#define SIZE_MOST ((size_t)1 << 31)

/* Each part is "kind failed path-size size\n", the path, the bytes. */

bool bundle_is(const char *text, size_t length) {
  return length >= MAGIC_SIZE && memcmp(text, MAGIC, MAGIC_SIZE) == 0;
}

static bool read_number(const char **at, const char *end, char delimiter, size_t *out) {
  size_t number = 0;
  const char *begin = *at;
  for (; *at < end && **at >= '0' && **at <= '9' && number < SIZE_MOST; (*at)++)
    number = number * 10 + (size_t)(**at - '0');
  if (*at == begin || *at == end || **at != delimiter)
    return false;
  (*at)++;
  *out = number;
  return true;
}

/* The part at *at, which moves behind it. */
static bool read_part(const char **at, const char *end, struct arena *arena, struct bundle_part *out) {
  size_t kind, failed, path_size, size;
  if (!read_number(at, end, ' ', &kind) || !read_number(at, end, ' ', &failed) ||
      !read_number(at, end, ' ', &path_size) || !read_number(at, end, '\n', &size))
    return false;
  size_t rest = (size_t)(end - *at);
  if (kind >= BUNDLE_KINDS || failed > 1 || path_size > rest || size > rest - path_size || memchr(*at, '\0', path_size))
    return false;
  const char *path = arena_strndup(arena, *at, path_size);
  *out = (struct bundle_part){.kind = (enum bundle_kind)kind,
                              .is_failed = failed,
                              .path = path,
                              .bytes = *at + path_size,
                              .size = size};
  *at += path_size + size;
  return true;
}

enum status bundle_open(const char *text, size_t length, struct arena *arena, struct config_bundle *out) {
  const char *at = text + MAGIC_SIZE, *end = text + length;
  struct config_bundle bundle = {0};
  struct bundle_part *parts = NULL;
  size_t capacity = 0;
  bool is_whole = bundle_is(text, length);
  while (is_whole && at < end) {
    parts = mem_grow(parts, &capacity, bundle.count + 1, sizeof *parts);
    is_whole = read_part(&at, end, arena, &parts[bundle.count]);
    bundle.count += is_whole;
  }
  is_whole = is_whole && bundle.count > 0 && parts[0].kind == BUNDLE_FILE && !parts[0].is_failed;
  if (is_whole) {
    bundle.parts = arena_copy(arena, parts, bundle.count * sizeof *parts);
    for (size_t i = 0; i < bundle.count; i++)
      name_index_add(&bundle.paths[parts[i].kind], arena, parts[i].path, (uint32_t)i);
    *out = bundle;
  }
  free(parts);
  return is_whole ? STATUS_OK : STATUS_INVALID;
}

const struct bundle_part *bundle_find(const struct config_bundle *bundle, enum bundle_kind kind, const char *path) {
  uint32_t found = name_index_find(&bundle->paths[kind], path);
  return found == NAME_INDEX_NONE ? NULL : &bundle->parts[found];
}

static void append(struct bundle_writer *writer, const char *bytes, size_t size) {
  writer->text = mem_grow(writer->text, &writer->capacity, writer->length + size + 1, 1);
  if (size)
    memcpy(writer->text + writer->length, bytes, size);
  writer->length += size;
  writer->text[writer->length] = '\0';
}

void bundle_add(struct bundle_writer *writer, const struct bundle_part *part) {
  if (writer->length == 0)
    append(writer, MAGIC, MAGIC_SIZE);
  char head[HEAD_SIZE];
  int size = snprintf(head, sizeof head, "%u %u %zu %zu\n", (unsigned)part->kind, (unsigned)part->is_failed,
                      strlen(part->path), part->size);
  append(writer, head, (size_t)size);
  append(writer, part->path, strlen(part->path));
  append(writer, part->bytes, part->size);
}
