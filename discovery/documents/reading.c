#include "discovery/documents/reading.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "discovery/documents/complaint.h"

json_t *reading_member(const struct reading *reading, const char *key) {
  json_t *value = json_object_get(reading->object, key);
  return json_is_null(value) ? NULL : value;
}

void reading_complain(const struct reading *reading, const char *key, const char *detail) {
  char pointer[COMPLAINT_POINTER_SIZE];
  complaint_add(reading->errors, complaint_pointer(pointer, reading->pointer, key), "%s", detail);
}

void reading_refuse_others(const struct reading *reading, const char *const *known) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)reading->object, key, value) {
    size_t i = 0;
    while (known[i] && strcmp(known[i], key) != 0)
      i++;
    if (!known[i])
      reading_complain(reading, key, "is not known here");
  }
}

bool reading_is_plain(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
      return false;
  return true;
}

const char *reading_text(const struct reading *reading, const char *key, size_t most) {
  const json_t *value = reading_member(reading, key);
  if (!value)
    return NULL;
  const char *text = json_string_value(value);
  size_t length = text ? json_string_length(value) : 0;
  if (length >= 1 && length <= most && reading_is_plain(text, length))
    return text;
  char detail[80];
  snprintf(detail, sizeof detail, "must be a text of 1 to %zu bytes without control characters", most);
  reading_complain(reading, key, detail);
  return NULL;
}

bool reading_whole(const struct reading *reading, const char *key, int64_t least, int64_t most, int64_t *out) {
  const json_t *value = reading_member(reading, key);
  if (!value)
    return false;
  if (json_is_integer(value) && json_integer_value(value) >= least && json_integer_value(value) <= most) {
    *out = json_integer_value(value);
    return true;
  }
  char detail[96];
  snprintf(detail, sizeof detail, "must be a whole number from %" PRId64 " to %" PRId64, least, most);
  reading_complain(reading, key, detail);
  return false;
}

bool reading_number(const struct reading *reading, const char *key, double least, double most, double *out) {
  const json_t *value = reading_member(reading, key);
  if (!value)
    return false;
  double number = json_number_value(value);
  if (json_is_number(value) && isfinite(number) && number >= least && number <= most) {
    *out = number;
    return true;
  }
  char detail[96];
  snprintf(detail, sizeof detail, "must be a number from %.15g to %.15g", least, most);
  reading_complain(reading, key, detail);
  return false;
}
