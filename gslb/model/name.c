#include "gslb/model/name.h"

#include <stdio.h>
#include <string.h>

/* One byte of a label from text at *at, unescaped; false at a bad escape. */
static bool read_byte(const char **at, uint8_t *out) {
  const char *text = *at;
  if (*text != '\\') {
    *out = (uint8_t)*text;
    *at = text + 1;
    return true;
  }
  if (text[1] >= '0' && text[1] <= '9') {
    unsigned value = 0;
    for (int i = 1; i <= 3; i++) {
      if (text[i] < '0' || text[i] > '9')
        return false;
      value = value * 10 + (unsigned)(text[i] - '0');
    }
    if (value > 255)
      return false;
    *out = (uint8_t)value;
    *at = text + 4;
    return true;
  }
  if (text[1] == '\0')
    return false;
  *out = (uint8_t)text[1];
  *at = text + 2;
  return true;
}

enum status name_from_text(const char *text, struct name *out) {
  struct name name = {0};
  size_t length_at = 0; /* of the label being read */
  size_t used = 1;
  if (strcmp(text, ".") == 0) {
    out->wire[0] = 0;
    out->size = 1;
    return STATUS_OK;
  }
  const char *at = text;
  while (*at) {
    if (*at == '.') {
      if (used - length_at - 1 == 0 || used >= NAME_SIZE_MOST)
        return STATUS_INVALID;
      name.wire[length_at] = (uint8_t)(used - length_at - 1);
      length_at = used++;
      at++;
      continue;
    }
    uint8_t byte;
    if (!read_byte(&at, &byte) || used - length_at - 1 >= NAME_LABEL_MOST || used >= NAME_SIZE_MOST)
      return STATUS_INVALID;
    name.wire[used++] = name_lower(byte);
  }
  if (used == 1)
    return STATUS_INVALID;
  if (used - length_at - 1 > 0) { /* no dot at the end */
    if (used >= NAME_SIZE_MOST)
      return STATUS_INVALID;
    name.wire[length_at] = (uint8_t)(used - length_at - 1);
    length_at = used++;
  }
  name.wire[length_at] = 0;
  name.size = (uint8_t)used;
  *out = name;
  return STATUS_OK;
}

const char *name_to_text(const uint8_t *wire, char text[NAME_TEXT_SIZE]) {
  size_t used = 0;
  if (!*wire)
    text[used++] = '.';
  while (*wire) {
    for (unsigned i = 1; i <= *wire; i++) {
      uint8_t byte = wire[i];
      if (byte <= ' ' || byte >= 0x7f) {
        used += (size_t)snprintf(text + used, NAME_TEXT_SIZE - used, "\\%03u", byte);
      } else {
        if (strchr(".\\\"();@$", byte))
          text[used++] = '\\';
        text[used++] = (char)byte;
      }
    }
    wire += *wire + 1;
    if (*wire)
      text[used++] = '.';
  }
  text[used] = '\0';
  return text;
}

size_t name_size(const uint8_t *wire) {
  size_t size = 0;
  while (wire[size])
    size += wire[size] + 1u;
  return size + 1;
}

bool name_is_below(const uint8_t *wire, size_t size, const uint8_t *apex, size_t apex_size) {
  if (size < apex_size)
    return false;
  size_t at = 0;
  while (at < size - apex_size)
    at += wire[at] + 1u;
  return at == size - apex_size && memcmp(wire + at, apex, apex_size) == 0;
}

unsigned name_label_count(const uint8_t *wire) {
  unsigned count = 0;
  for (; *wire; wire += *wire + 1)
    count++;
  return count;
}

static uint64_t mix(uint64_t a, uint64_t b) {
  __uint128_t product = (__uint128_t)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t name_hash(const uint8_t *wire, size_t size) {
  /* 16 bytes a step by folded 64 x 64 multiplication */
  const uint64_t k0 = 0x2d358dccaa6c78a5u, k1 = 0x8bb84b93962eacc9u;
  uint64_t state = k0 ^ size;
  uint64_t a, b;
  while (size > 16) {
    memcpy(&a, wire, 8);
    memcpy(&b, wire + 8, 8);
    state = mix(a ^ k1, b ^ state);
    wire += 16;
    size -= 16;
  }
  uint8_t tail[16] = {0};
  memcpy(tail, wire, size);
  memcpy(&a, tail, 8);
  memcpy(&b, tail + 8, 8);
  return mix(k1 ^ size, mix(a ^ k1, b ^ state));
}

enum status name_join(const char *prefix, const struct name *base, struct name *out) {
  struct name name;
  if (name_from_text(prefix, &name) != STATUS_OK || name.size - 1u + base->size > NAME_SIZE_MOST)
    return STATUS_INVALID;
  memcpy(name.wire + name.size - 1, base->wire, base->size);
  name.size = (uint8_t)(name.size - 1 + base->size);
  *out = name;
  return STATUS_OK;
}
