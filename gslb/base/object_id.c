#include "gslb/base/object_id.h"

#include <stdio.h>
#include <string.h>

/* One number and the dot after it, unless the text ends there; NULL when it is none. */
static const char *take_part(const char *text, uint32_t *part) {
  uint64_t value = 0;
  const char *at = text;
  for (; *at >= '0' && *at <= '9'; at++) {
    value = value * 10 + (uint64_t)(*at - '0');
    if (value > UINT32_MAX)
      return NULL;
  }
  if (at == text || (*at == '.' && !at[1]) || (*at && *at != '.'))
    return NULL;
  *part = (uint32_t)value;
  return *at ? at + 1 : at;
}

bool object_id_append(struct object_id *id, const char *text) {
  uint32_t count = id->count;
  if (!*text)
    return false;
  while (*text) {
    if (count == OBJECT_ID_PARTS || !(text = take_part(text, &id->parts[count])))
      return false;
    count++;
  }
  id->count = count;
  return true;
}

enum status object_id_parse(const char *text, struct object_id *out) {
  struct object_id id = {0};
  if (!object_id_append(&id, *text == '.' ? text + 1 : text))
    return STATUS_INVALID;
  if (id.count < 2 || id.parts[0] > 2 || (id.parts[0] < 2 && id.parts[1] >= 40))
    return STATUS_INVALID;
  *out = id;
  return STATUS_OK;
}

const char *object_id_format(const struct object_id *id, char text[OBJECT_ID_TEXT_SIZE]) {
  size_t used = 0;
  text[0] = '\0';
  for (uint32_t i = 0; i < id->count; i++)
    used += (size_t)snprintf(text + used, OBJECT_ID_TEXT_SIZE - used, "%s%u", i ? "." : "", id->parts[i]);
  return text;
}

int object_id_compare(const struct object_id *a, const struct object_id *b) {
  for (uint32_t i = 0; i < a->count && i < b->count; i++)
    if (a->parts[i] != b->parts[i])
      return a->parts[i] < b->parts[i] ? -1 : 1;
  return (a->count > b->count) - (a->count < b->count);
}

bool object_id_is_below(const struct object_id *id, const struct object_id *root) {
  return id->count >= root->count && memcmp(id->parts, root->parts, root->count * sizeof *root->parts) == 0;
}
