/* zones/message/wire.h
 * The one reader and the one writer of DNS messages, both bounded. Each keeps its first failure, so a run of calls is
 * checked once at the end: a reader that ran over gives zeroes and stays failed, a writer that is full writes nothing
 * more. Values on the caller's stack; any thread. */
#ifndef GSLB_ZONES_MESSAGE_WIRE_H
#define GSLB_ZONES_MESSAGE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gslb/model/name.h"

#define WIRE_HEADER_SIZE 12u
#define WIRE_MESSAGE_MOST 65535u
#define WIRE_POINTER_MOST 0x3fffu /* the largest offset that a compression pointer can name */

static inline uint16_t wire_get_u16(const uint8_t *at) {
  return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t wire_get_u32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t wire_get_u64(const uint8_t *at) {
  return (uint64_t)wire_get_u32(at) << 32 | wire_get_u32(at + 4);
}

static inline void wire_set_u16(uint8_t *at, uint16_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static inline void wire_set_u32(uint8_t *at, uint32_t value) {
  wire_set_u16(at, (uint16_t)(value >> 16));
  wire_set_u16(at + 2, (uint16_t)value);
}

/* memcpy for the few dozen bytes of names and records, without a call: the last move may cover bytes a second time. */
static inline void wire_copy(uint8_t *out, const uint8_t *from, size_t size) {
  if (size >= 16) {
    for (size_t at = 0; at + 16 < size; at += 16)
      memcpy(out + at, from + at, 16);
    memcpy(out + size - 16, from + size - 16, 16);
  } else if (size >= 8) {
    memcpy(out, from, 8);
    memcpy(out + size - 8, from + size - 8, 8);
  } else {
    for (size_t at = 0; at < size; at++)
      out[at] = from[at];
  }
}

struct reader {
  const uint8_t *at;
  const uint8_t *end;
  bool failed;
};

static inline struct reader reader_of(const uint8_t *data, size_t size) {
  return (struct reader){.at = data, .end = data + size};
}

static inline size_t reader_left(const struct reader *reader) {
  return (size_t)(reader->end - reader->at);
}

static inline const uint8_t *reader_take(struct reader *reader, size_t size) {
  if (reader->failed || reader_left(reader) < size) {
    reader->failed = true;
    return NULL;
  }
  const uint8_t *taken = reader->at;
  reader->at += size;
  return taken;
}
/* size bytes within the message, or NULL. */

static inline uint8_t reader_u8(struct reader *reader) {
  const uint8_t *at = reader_take(reader, 1);
  return at ? *at : 0;
}

static inline uint16_t reader_u16(struct reader *reader) {
  const uint8_t *at = reader_take(reader, 2);
  return at ? wire_get_u16(at) : 0;
}

static inline uint32_t reader_u32(struct reader *reader) {
  const uint8_t *at = reader_take(reader, 4);
  return at ? wire_get_u32(at) : 0;
}

void reader_skip_name(struct reader *reader);
/* Passes a name that may end in a compression pointer, which is not followed. */

bool wire_expand_name(const uint8_t *message, size_t size, size_t *at, struct name *out);
/* The name at *at, freed of compression (RFC 1035 section 4.1.4), its case kept; moves *at behind it. False: malformed,
 * *at and *out are then undefined. */

struct writer {
  uint8_t *base;
  size_t used;
  size_t limit;
  bool failed;
};

static inline uint8_t *writer_take(struct writer *writer, size_t size) {
  if (writer->failed || writer->limit - writer->used < size) {
    writer->failed = true;
    return NULL;
  }
  uint8_t *taken = writer->base + writer->used;
  writer->used += size;
  return taken;
}
/* Room for size bytes, to be filled by the caller; NULL when there is none. */

static inline void writer_bytes(struct writer *writer, const void *data, size_t size) {
  uint8_t *at = writer_take(writer, size);
  if (at)
    memcpy(at, data, size);
}

static inline void writer_u16(struct writer *writer, uint16_t value) {
  uint8_t *at = writer_take(writer, 2);
  if (at)
    wire_set_u16(at, value);
}

static inline void writer_u32(struct writer *writer, uint32_t value) {
  uint8_t *at = writer_take(writer, 4);
  if (at)
    wire_set_u32(at, value);
}

#endif
