/* gslb/model/name.h
 * Domain names in wire form (RFC 1035 section 3.1): at most 255 bytes, labels of at most 63, the root as one zero byte.
 * Names kept or compared by gslb are lower case (ASCII only, RFC 4343) and never compressed. Values; any thread. */
#ifndef GSLB_MODEL_NAME_H
#define GSLB_MODEL_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gslb/base/status.h"

#define NAME_SIZE_MOST 255u
#define NAME_LABEL_MOST 63u
#define NAME_TEXT_SIZE 1025u /* every byte escaped, and the end */

struct name {
  uint8_t size; /* wire length with the root's zero byte; 0: no name */
  uint8_t wire[NAME_SIZE_MOST];
};

enum status name_from_text(const char *text, struct name *out);
/* Presentation form with \. and \DDD escapes; the last dot is optional; lower-cased. STATUS_INVALID: an empty or too
 * long label, a name too long, a bad escape; *out untouched. */
const char *name_to_text(const uint8_t *wire, char text[NAME_TEXT_SIZE]);
/* Without the last dot, "." for the root; returns text. */

static inline uint8_t name_lower(uint8_t byte) {
  return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

uint64_t name_hash(const uint8_t *wire, size_t size);
/* Of a lower-case name, or of any bytes. The same in every process of one build; not keyed: stored are configured
 * names, and of those that registrations bring a bounded number. */
uint64_t name_lower_copy(uint8_t *out, const uint8_t *wire, size_t size);
/* Copies size bytes of names, lower-cased, and returns name_hash of what is then in out. Neither reads nor writes
 * beyond size bytes; the two may be the same, and must not overlap otherwise. Label lengths are below 'A', so they
 * stay. */

static inline bool name_equals(const uint8_t *one, const uint8_t *other, size_t size) {
  size_t at = 0;
  uint64_t a, b;
  if (size < sizeof a) {
    while (at < size && one[at] == other[at])
      at++;
    return at == size;
  }
  for (; size - at > sizeof a; at += sizeof a) {
    memcpy(&a, one + at, sizeof a);
    memcpy(&b, other + at, sizeof b);
    if (a != b)
      return false;
  }
  memcpy(&a, one + size - sizeof a, sizeof a);
  memcpy(&b, other + size - sizeof b, sizeof b);
  return a == b;
}
/* Of names of the same size, in lower case; without a call, since each look-up compares one. */

size_t name_size(const uint8_t *wire);
/* Of a well-formed name. */
bool name_is_below(const uint8_t *wire, size_t size, const uint8_t *apex, size_t apex_size);
/* Whether the name is apex or below it, on a label boundary. */
enum status name_join(const char *prefix, const struct name *base, struct name *out);
/* prefix (presentation form, no last dot) and then base. STATUS_INVALID: prefix is no name, or together they are too
 * long; *out untouched. */
unsigned name_label_count(const uint8_t *wire);
/* Without the root. */

#endif
