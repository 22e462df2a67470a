/* Any bytes as a line: where zones/records/line reads it, the general way must come to the very same record. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gslb/base/memory.h"
#include "zones/records/line.h"
#include "zones/records/master.h"

#define INPUT_MOST 4096u
#define TTL_S 77u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct comparison {
  const struct line *line;
  unsigned seen; /* records: the one before, and the line's */
};

static void compare(void *context, const struct master_record *record) {
  struct comparison *comparison = context;
  const struct line *line = comparison->line;
  if (comparison->seen++ == 0)
    return;
  assert(record->owner->size == line->owner.size && record->owner_hash == line->owner_hash);
  assert(memcmp(record->owner->wire, line->owner.wire, line->owner.size) == 0);
  assert(record->type == line->type && record->class == 1);
  assert(record->ttl_s == (line->has_ttl ? line->ttl_s : TTL_S));
  assert(record->data->size == line->data.size && record->data->name_count == line->data.name_count);
  assert(memcmp(record->data->bytes, line->data.bytes, line->data.size) == 0);
  assert(!line->data.name_count || record->data->name_at[0] == line->data.name_at[0]);
}

/* Behind parentheses a line is read as an entry. A first one gives an owner to what begins with a blank. */
static int write_zone(const uint8_t *data, size_t size) {
  bool is_blank = *data == ' ' || *data == '\t' || *data == '\r';
  int fd = memfd_create("zone", MFD_CLOEXEC);
  FILE *out = fd < 0 ? NULL : fdopen(dup(fd), "w");
  if (!out)
    abort();
  fprintf(out, "$TTL %u\nprevious CNAME x\n", TTL_S);
  fwrite(data, 1, is_blank, out);
  fputs("()", out);
  fwrite(data + is_blank, 1, size - is_blank, out);
  if (fclose(out) != 0)
    abort();
  return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct line line;
  struct name origin, previous;
  struct entry entry;
  if (!size || size > INPUT_MOST || name_from_text("example.com", &origin) != STATUS_OK ||
      name_from_text("previous.example.com", &previous) != STATUS_OK)
    return -1;
  entry_init(&entry, (const char *)data, size);
  if (!line_read(&entry, &origin, &previous, &line))
    return 0;
  int zone = write_zone(data, size - (size_t)(entry.end - entry.next));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", zone);
  struct arena arena = {0};
  struct problems problems = {0};
  struct comparison comparison = {.line = &line};
  const struct master_reading reading = {.arena = &arena,
                                         .visit = compare,
                                         .context = &comparison,
                                         .problems = &problems};
  assert(master_read(path, &origin, &reading) == STATUS_OK);
  assert(comparison.seen == 2);
  problems_release(&problems);
  arena_release(&arena);
  close(zone);
  return 0;
}
