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

#define HASH_START 0x2d358dccaa6c78a5u
#define HASH_STEP 0x8bb84b93962eacc9u

/* Folds a product of 64 x 64 bits. Both factors hold the state, so that no bytes alone make one of them zero. */
static inline uint64_t mix(uint64_t state, uint64_t a, uint64_t b) {
  __uint128_t product = (__uint128_t)(a ^ state) * (b ^ (state << 32 | state >> 32) ^ HASH_STEP);
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t load(const uint8_t *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static inline void store(uint8_t *at, uint64_t word) {
  memcpy(at, &word, sizeof word);
}

/* Sets 0x20 in the bytes 'A' to 'Z' of a word. Additions to seven bits carry into the eighth and no further. */
static inline uint64_t lower_word(uint64_t word) {
  const uint64_t each = 0x0101010101010101u;
  uint64_t sevens = word & 0x7f * each;
  uint64_t from_a = sevens + (0x80 - 'A') * each, over_z = sevens + (0x7f - 'Z') * each;
  uint64_t is_upper = (from_a ^ over_z) & ~word & 0x80 * each;
  return word | is_upper >> 2;
}

static inline uint64_t read_word(uint8_t *out, const uint8_t *wire, size_t at, bool is_copied) {
  uint64_t word = load(wire + at);
  if (is_copied) {
    word = lower_word(word);
    store(out + at, word);
  }
  return word;
}

/* Up to seven bytes as the low ones of a word. */
static inline uint64_t read_short(uint8_t *out, const uint8_t *wire, size_t size, bool is_copied) {
  uint64_t word = 0;
  for (size_t i = 0; i < size; i++) {
    uint8_t byte = is_copied ? name_lower(wire[i]) : wire[i];
    if (is_copied)
      out[i] = byte;
    word |= (uint64_t)byte << 8 * i;
  }
  return word;
}

typedef uint8_t block __attribute__((vector_size(16)));
typedef uint64_t words __attribute__((vector_size(16)));

static inline words read_block(uint8_t *out, const uint8_t *wire, size_t at, bool is_copied) {
  block bytes;
  memcpy(&bytes, wire + at, sizeof bytes);
  if (is_copied) {
    bytes |= (block)(bytes - 'A' < 26) & 0x20;
    memcpy(out + at, &bytes, sizeof bytes);
  }
  return (words)bytes;
}

/* 16 bytes a step; the last step takes the last bytes, some of them perhaps a second time, so that none needs padding.
 */
static inline __attribute__((always_inline)) uint64_t hash_bytes(uint8_t *out, const uint8_t *wire, size_t size,
                                                                 bool is_copied) {
  uint64_t state = HASH_START ^ size;
  words last = {0};
  if (size >= sizeof last) {
    for (size_t at = 0; size - at > sizeof last; at += sizeof last) {
      words next = read_block(out, wire, at, is_copied);
      state = mix(state, next[0], next[1]);
    }
    last = read_block(out, wire, size - sizeof last, is_copied);
  } else if (size >= 8) {
    last[0] = read_word(out, wire, 0, is_copied);
    last[1] = read_word(out, wire, size - 8, is_copied);
  } else {
    last[0] = read_short(out, wire, size, is_copied);
  }
  return mix(HASH_START ^ size, mix(state, last[0], last[1]), HASH_START);
}

uint64_t name_hash(const uint8_t *wire, size_t size) {
  return hash_bytes(NULL, wire, size, false);
}

uint64_t name_lower_copy(uint8_t *out, const uint8_t *wire, size_t size) {
  return hash_bytes(out, wire, size, true);
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
