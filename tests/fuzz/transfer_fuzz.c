/* Any bytes as a primary's answer to a transfer query: the first says whether a version is held, the rest is what the
 * TCP connection brings. What is complete is one zone, whole, and what is taken as a copy reads back the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "zones/compile/compile.h"
#include "zones/message/query.h"
#include "zones/message/wire.h"
#include "zones/secondary/copy.h"
#include "zones/secondary/intake.h"

#define INPUT_MOST 65536u
#define BYTES_MOST (1u << 20)
#define QUERY_ID 0x1234

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* as in zone_fuzz.c */
const char *__lsan_default_suppressions(void) {
  return "leak:libldns\n";
}

static char file[64];

static void remove_directory(void) {
  char *slash = strrchr(file, '/');
  copy_discard(file);
  unlink(file);
  *slash = '\0';
  rmdir(file);
}

static void make_directory(void) {
  char directory[] = "/dev/shm/gslb-transfer-XXXXXX", other[] = "/tmp/gslb-transfer-XXXXXX";
  const char *made = mkdtemp(directory);
  if (!made)
    made = mkdtemp(other);
  if (!made)
    abort();
  snprintf(file, sizeof file, "%s/zone", made);
  atexit(remove_directory);
}

static void add(struct content *content, uint16_t type, const char *bytes, size_t size) {
  static const struct name apex = {.size = 13, .wire = "\7example\3org"};
  struct rdata *data = calloc(1, sizeof *data);
  memcpy(data->bytes, bytes, size);
  data->size = (uint16_t)size;
  content_add(content, &apex, type, 300, data);
  free(data);
}

/* example.org with serial 1, an NS and an A record. */
static struct content *make_held(void) {
  static const char soa[] = "\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", ns[] = "\2ns\0", a[] = "\300\0\2\1";
  struct content *held = content_new(BYTES_MOST);
  add(held, TYPE_SOA, soa, sizeof soa - 1);
  add(held, TYPE_NS, ns, sizeof ns - 1);
  add(held, TYPE_A, a, sizeof a - 1);
  return held;
}

static void check_content(const struct content *content, const struct name *zone, bool is_difference) {
  struct soa soa;
  const struct content_record *record;
  size_t count = 0;
  assert(content_soa(content, &soa, &record));
  assert(!is_difference || soa_is_newer(soa.serial, 1));
  for (record = content_next(content, NULL); record; record = content_next(content, record), count++)
    assert(name_is_below(record->bytes, record->owner_size, zone->wire, zone->size));
  assert(count == content_count(content));
}

static void check_copy(const struct content *content, const struct name *zone) {
  struct errbuf err;
  if (copy_write(file, "example.org", content, 1, &err) != STATUS_OK || copy_commit(file, &err) != STATUS_OK)
    abort();
  if (zones_check_copy("example.org", file, &err) != STATUS_OK)
    return;
  struct content *read = content_new(4 * BYTES_MOST);
  int64_t refreshed_ms = 0;
  enum status status = copy_read(file, zone, read, &refreshed_ms, &err);
  assert(status == STATUS_OK && refreshed_ms == 1 && content_count(read) == content_count(content));
  (void)status;
  content_free(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > INPUT_MOST || size < 1)
    return -1;
  if (!*file)
    make_directory();
  struct name zone;
  struct errbuf err;
  name_from_text("example.org", &zone);
  struct reader reader = reader_of(data + 1, size - 1);
  struct intake *intake = intake_new(&zone, QUERY_ID, data[0] & 1 ? make_held() : NULL, BYTES_MOST);
  enum intake_result result = INTAKE_MORE;
  while (result == INTAKE_MORE) {
    uint16_t length = reader_u16(&reader);
    const uint8_t *message = reader_take(&reader, length);
    if (!message)
      break;
    /* a copy of its own size, so that reading beyond it shows */
    uint8_t *own = malloc(length ? length : 1u);
    memcpy(own, message, length);
    result = intake_message(intake, own, length, &err);
    free(own);
  }
  bool is_difference = false;
  struct content *content = intake_take(intake, &is_difference);
  assert((content != NULL) == (result == INTAKE_COMPLETE));
  if (content) {
    check_content(content, &zone, is_difference);
    check_copy(content, &zone);
  }
  content_free(content);
  intake_free(intake);
  return 0;
}
