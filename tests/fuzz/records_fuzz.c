/* tests/fuzz/records_fuzz.c
 * Decodes foreign bytes as every kind of record: the first byte chooses the kind. What decodes must encode to the same
 * bytes again, since each record has one encoding. */
#include "gslb/model/records.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *data, size_t size, const uint8_t *again, size_t again_size) {
  if (again_size != size || memcmp(data, again, size) != 0)
    abort();
}

#define FUZZ(kind)                                                                                                     \
  do {                                                                                                                 \
    struct kind##_record record;                                                                                       \
    if (kind##_decode(data, size, &record) == STATUS_OK)                                                               \
      check(data, size, again, kind##_encode(&record, again));                                                         \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  uint8_t again[RECORD_SIZE_MOST];
  uint8_t kind = *data++ % 6;
  size--;
  switch (kind) {
  case 0:
    FUZZ(health);
    break;
  case 1:
    FUZZ(override);
    break;
  case 2:
    FUZZ(latch);
    break;
  case 3:
    FUZZ(slot);
    break;
  case 4:
    FUZZ(event);
    break;
  default:
    FUZZ(audit);
  }
  return 0;
}
