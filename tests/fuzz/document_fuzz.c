/* Any bytes as a registration, a patch and a report: nothing is read out of bounds; what is taken keeps within its
 * bounds, reads the same when it is written out, and what is refused is told why. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "discovery/documents/document.h"
#include "discovery/documents/notice.h"
#include "discovery/registry/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_errors(json_t *errors) {
  if (json_array_size(errors) < 1)
    abort();
  json_decref(errors);
}

static void check_registration(const json_t *json) {
  struct arena arena = {0};
  struct document document, again;
  json_t *errors = NULL;
  if (document_parse_registration(json, &arena, &document, &errors) != STATUS_OK) {
    check_errors(errors);
    arena_release(&arena);
    return;
  }
  json_t *written = document_write(&document);
  if (document_parse_registration(written, &arena, &again, &errors) != STATUS_OK)
    abort();
  json_t *twice = document_write(&again);
  if (!json_equal(written, twice))
    abort();
  for (size_t i = 0; i < document.service_count; i++) {
    struct member_record member;
    size_t row_size;
    document_member(&document, i, &arena, &member);
    free(member_encode(&member, &row_size));
  }
  json_decref(written);
  json_decref(twice);
  arena_release(&arena);
}

static void check_report(const json_t *json) {
  static struct document_status status;
  json_t *errors = NULL;
  if (document_parse_status(json, &status, &errors) != STATUS_OK) {
    check_errors(errors);
    return;
  }
  size_t size;
  if (status.metrics.count > METRICS_MOST || status.epoch == 0 || status.sequence == 0)
    abort();
  free(metrics_encode(&status.metrics, &size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct errbuf err;
  json_t *json = NULL, *errors = NULL;
  char *text = strndup((const char *)data, size);
  struct feed_position position;
  feed_position_parse(text, &position);
  notice_verify("key", 0, text, "", 0, &err);
  free(text);
  if (document_read((const char *)data, size, &json, &errors, &err) != STATUS_OK)
    return 0;
  check_registration(json);
  check_report(json);
  json_t *stored = json_pack("{s:[s], s:[{s:s}], s:{s:s}}", "addresses", "192.0.2.1", "services", "name", "app.example",
                             "labels", "a", "b");
  json_t *merged = document_merge(stored, json);
  check_registration(merged);
  json_decref(merged);
  json_decref(stored);
  json_decref(json);
  return 0;
}
