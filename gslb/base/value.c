#include "gslb/base/value.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"

#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

/* jansson answers NULL only when memory runs out, which ends the process everywhere else too */
json_t *value_must(json_t *document) {
  if (!document)
    abort();
  return document;
}

json_t *value_text(const char *text) {
  size_t length = strlen(text);
  json_t *value = json_stringn(text, length);
  /* most often a character that was cut in two at the end of a fixed field */
  for (size_t cut = 1; !value && cut <= 3 && cut <= length; cut++)
    value = json_stringn(text, length - cut);
  if (value)
    return value;
  char *plain = mem_strdup(text);
  for (char *at = plain; *at; at++)
    if ((unsigned char)*at >= 0x80)
      *at = '?';
  value = value_must(json_string(plain));
  free(plain);
  return value;
}

json_t *value_text_or_null(const char *text) {
  return text && text[0] ? value_text(text) : json_null();
}

json_t *value_time(int64_t house_ms) {
  if (house_ms == 0)
    return json_null();
  char text[32];
  clock_format_utc(house_ms, text, sizeof text);
  return value_must(json_string(text));
}

json_t *value_seconds(int64_t ms) {
  return value_must(json_real((double)(ms > 0 ? ms : 0) / 1000.0));
}

json_t *value_age(int64_t house_ms, int64_t now_ms) {
  return house_ms == 0 ? json_null() : value_seconds(now_ms - house_ms);
}

char *value_dump(json_t *document) {
  char most_fit[4096]; /* or else it takes two passes */
  size_t size = json_dumpb(document, most_fit, sizeof most_fit, DUMP_FLAGS);
  char *text = mem_alloc(size + 2);
  if (size <= sizeof most_fit)
    memcpy(text, most_fit, size);
  else
    json_dumpb(document, text, size, DUMP_FLAGS);
  text[size] = '\n';
  json_decref(document);
  return text;
}
