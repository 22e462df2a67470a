#include "discovery/documents/complaint.h"

#include <stdarg.h>
#include <stdio.h>

#include <jansson.h>

#include "gslb/base/value.h"

void complaint_add(json_t **errors, const char *pointer, const char *format, ...) {
  char detail[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(detail, sizeof detail, format, arguments);
  va_end(arguments);
  if (!*errors)
    *errors = value_must(json_array());
  if (json_array_size(*errors) >= COMPLAINTS_MOST)
    return;
  json_t *complaint = value_must(json_object());
  json_object_set_new(complaint, "pointer", value_text(pointer));
  json_object_set_new(complaint, "detail", value_text(detail));
  json_array_append_new(*errors, complaint);
}

const char *complaint_pointer(char out[COMPLAINT_POINTER_SIZE], const char *parent, const char *key) {
  int written = snprintf(out, COMPLAINT_POINTER_SIZE, "%s/", parent);
  size_t at = written < (int)COMPLAINT_POINTER_SIZE ? (size_t)written : COMPLAINT_POINTER_SIZE - 1;
  for (; *key && at + 3 < COMPLAINT_POINTER_SIZE; key++) {
    if (*key == '~' || *key == '/') {
      out[at++] = '~';
      out[at++] = *key == '~' ? '0' : '1';
    } else {
      out[at++] = *key;
    }
  }
  out[at] = '\0';
  return out;
}

const char *complaint_pointer_at(char out[COMPLAINT_POINTER_SIZE], const char *parent, size_t index) {
  snprintf(out, COMPLAINT_POINTER_SIZE, "%s/%zu", parent, index);
  return out;
}
