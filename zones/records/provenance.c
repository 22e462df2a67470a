#include "zones/records/provenance.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/digest.h"
#include "gslb/base/memory.h"
#include "zones/records/source_text.h"

#define MAGIC 0x3153454352554f53u /* with the layout's version in it */

struct head {
  uint64_t magic;
  uint64_t size; /* of all */
  struct digest program;
  struct digest configuration;
  uint64_t file_count;
};

struct file { /* followed by its path, with the NUL, padded to 8 */
  struct digest content;
  uint64_t size;
  uint32_t is_absent;
  uint32_t path_size; /* with NUL and padding */
};

struct provenance {
  struct digest program;
  struct digest configuration;
  bool has_program; /* else nothing is the same as anything */
  bool is_spoilt;
  uint64_t file_count;
  uint8_t *files; /* encoded */
  size_t used, room;
};

/* Its bytes rather than a version: two builds of one version differ as well. */
static bool read_program(struct digest *out) {
  struct source_text program;
  if (source_text_read("/proc/self/exe", &program, NULL) != STATUS_OK)
    return false;
  *out = digest_of(program.bytes, program.size);
  free(program.bytes);
  return true;
}

struct provenance *provenance_new(const char *path, const char *text, size_t length) {
  struct provenance *provenance = mem_alloc(sizeof *provenance);
  const struct digest parts[] = {digest_of(path, strlen(path)), digest_of(text, length)};
  provenance->configuration = digest_of(parts, sizeof parts);
  provenance->has_program = read_program(&provenance->program);
  return provenance;
}

void provenance_free(struct provenance *provenance) {
  if (!provenance)
    return;
  free(provenance->files);
  free(provenance);
}

static void add(struct provenance *provenance, const char *path, struct file file) {
  size_t length = strlen(path) + 1;
  file.path_size = (uint32_t)((length + 7) / 8 * 8);
  size_t needed = provenance->used + sizeof file + file.path_size;
  provenance->files = mem_grow(provenance->files, &provenance->room, needed, 1);
  uint8_t *at = provenance->files + provenance->used;
  memcpy(at, &file, sizeof file);
  memset(at + sizeof file, 0, file.path_size);
  memcpy(at + sizeof file, path, length);
  provenance->used = needed;
  provenance->file_count++;
}

void provenance_add(struct provenance *provenance, const char *file, const void *bytes, size_t size) {
  add(provenance, file, (struct file){.content = digest_of(bytes, size), .size = size});
}

void provenance_add_absent(struct provenance *provenance, const char *file) {
  add(provenance, file, (struct file){.is_absent = true});
}

void provenance_spoil(struct provenance *provenance) {
  provenance->is_spoilt = true;
}

uint8_t *provenance_encode(const struct provenance *provenance, size_t *size) {
  if (provenance->is_spoilt || !provenance->has_program)
    return NULL;
  const struct head head = {.magic = MAGIC,
                            .size = sizeof head + provenance->used,
                            .program = provenance->program,
                            .configuration = provenance->configuration,
                            .file_count = provenance->file_count};
  uint8_t *encoded = mem_alloc(head.size);
  memcpy(encoded, &head, sizeof head);
  if (provenance->used)
    memcpy(encoded + sizeof head, provenance->files, provenance->used);
  *size = head.size;
  return encoded;
}

static bool is_as_it_was(const struct file *was, const char *path) {
  if (was->is_absent)
    return source_text_is_absent(path);
  struct source_text text;
  if (source_text_read(path, &text, NULL) != STATUS_OK)
    return false;
  struct digest content = digest_of(text.bytes, text.size);
  bool is_same = text.size == was->size && digest_is_same(&content, &was->content);
  free(text.bytes);
  return is_same;
}

bool provenance_match(const struct provenance *now, const uint8_t *encoded, size_t size) {
  struct head head;
  if (!now->has_program || size < sizeof head)
    return false;
  memcpy(&head, encoded, sizeof head);
  if (head.magic != MAGIC || head.size != size || !digest_is_same(&head.program, &now->program) ||
      !digest_is_same(&head.configuration, &now->configuration))
    return false;
  size_t at = sizeof head;
  for (uint64_t i = 0; i < head.file_count; i++) {
    struct file file;
    if (size - at < sizeof file)
      return false;
    memcpy(&file, encoded + at, sizeof file);
    at += sizeof file;
    const char *path = (const char *)encoded + at;
    if (!file.path_size || file.path_size > size - at || path[file.path_size - 1] || !is_as_it_was(&file, path))
      return false;
    at += file.path_size;
  }
  return at == size;
}
