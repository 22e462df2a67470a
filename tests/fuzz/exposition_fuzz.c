/* tests/fuzz/exposition_fuzz.c
 * Feeds any bytes to the reader of the Prometheus text format: it must end, and what it visits must be names, labels
 * within their bound, and texts that end. */
#include "probes/sources/exposition.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(void *context, const struct exposition_sample *sample) {
  size_t *bytes = context;
  size_t used = strlen(sample->name);
  if (used == 0 || sample->label_count > EXPOSITION_LABELS_MOST)
    abort();
  for (size_t i = 0; i < sample->label_count; i++) {
    if (!sample->labels[i].name[0])
      abort();
    used += strlen(sample->labels[i].name) + strlen(sample->labels[i].value);
  }
  if (used > EXPOSITION_LINE_MOST)
    abort();
  *bytes += used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t bytes = 0;
  struct errbuf err = {0};
  enum status status = exposition_parse((const char *)data, size, visit, &bytes, &err);
  if (bytes > size || (status != STATUS_OK && (status != STATUS_INVALID || !err.text[0])))
    abort();
  return 0;
}
