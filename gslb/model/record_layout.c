#include "gslb/model/record_layout.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "gslb/base/memory.h"

#define RECORD_VERSION 1u

static const struct record_layout_field addr_fields[] = {
    {CHOICE(addr, family, 7)},
    {NUMBER(addr, port)},
    {BYTES(addr, bytes)},
};
const struct record_layout record_layout_addr = {addr_fields, sizeof addr_fields / sizeof addr_fields[0]};

bool record_layout_addr_fits(const struct addr *addr) {
  static const uint8_t zeroes[16];
  return addr->family == 6 || (addr->family == 4 && memcmp(addr->bytes + 4, zeroes, 12) == 0);
}

static uint64_t load(const void *from, size_t size) {
  uint8_t one;
  uint16_t two;
  uint32_t four;
  uint64_t eight;
  switch (size) {
  case sizeof one:
    memcpy(&one, from, size);
    return one;
  case sizeof two:
    memcpy(&two, from, size);
    return two;
  case sizeof four:
    memcpy(&four, from, size);
    return four;
  default:
    assert(size == sizeof eight);
    memcpy(&eight, from, size);
    return eight;
  }
}

static void keep(void *to, size_t size, uint64_t value) {
  uint8_t one = (uint8_t)value;
  uint16_t two = (uint16_t)value;
  uint32_t four = (uint32_t)value;
  switch (size) {
  case sizeof one:
    memcpy(to, &one, size);
    return;
  case sizeof two:
    memcpy(to, &two, size);
    return;
  case sizeof four:
    memcpy(to, &four, size);
    return;
  default:
    assert(size == sizeof value);
    memcpy(to, &value, size);
  }
}

static void make_room(struct record_layout_writer *writer, size_t size) {
  if (writer->grows)
    writer->out = mem_grow(writer->out, &writer->capacity, writer->used + size, 1);
  assert(writer->used + size <= writer->capacity);
}

void record_layout_write_number(struct record_layout_writer *writer, uint64_t value, size_t width) {
  make_room(writer, width);
  for (size_t i = width; i > 0; i--)
    writer->out[writer->used++] = (uint8_t)(value >> (8 * (i - 1)));
}

void record_layout_write_bytes(struct record_layout_writer *writer, const void *data, size_t size) {
  if (size == 0)
    return;
  make_room(writer, size);
  memcpy(writer->out + writer->used, data, size);
  writer->used += size;
}

void record_layout_begin_as(struct record_layout_writer *writer, unsigned version) {
  record_layout_write_number(writer, version, 1);
}

void record_layout_begin(struct record_layout_writer *writer) {
  record_layout_begin_as(writer, RECORD_VERSION);
}

static void write_list(struct record_layout_writer *writer, const struct record_layout_field *field,
                       const void *record) {
  uint32_t count;
  memcpy(&count, (const char *)record + field->count_offset, sizeof count);
  assert(count <= field->limit);
  record_layout_write_number(writer, count, 2);
  for (uint32_t i = 0; i < count; i++)
    record_layout_write(writer, field->element, (const char *)record + field->offset + i * field->size);
}

void record_layout_write(struct record_layout_writer *writer, const struct record_layout *layout, const void *record) {
  for (size_t i = 0; i < layout->field_count; i++) {
    const struct record_layout_field *field = &layout->fields[i];
    const char *at = (const char *)record + field->offset;
    size_t length;
    switch (field->kind) {
    case LAYOUT_NUMBER:
    case LAYOUT_REAL:
      record_layout_write_number(writer, load(at, field->size), field->size);
      break;
    case LAYOUT_CHOICE:
      assert(load(at, field->size) < field->limit);
      record_layout_write_number(writer, load(at, field->size), 1);
      break;
    case LAYOUT_TEXT:
      length = strnlen(at, field->size - 1);
      record_layout_write_number(writer, length, 2);
      record_layout_write_bytes(writer, at, length);
      break;
    case LAYOUT_BYTES:
      record_layout_write_bytes(writer, at, field->size);
      break;
    case LAYOUT_LIST:
      write_list(writer, field, record);
      break;
    }
  }
}

uint64_t record_layout_read_number(struct record_layout_reader *reader, size_t width) {
  const uint8_t *bytes = record_layout_read_bytes(reader, width);
  uint64_t value = 0;
  for (size_t i = 0; i < width && bytes; i++)
    value = value << 8 | bytes[i];
  return value;
}

const uint8_t *record_layout_read_bytes(struct record_layout_reader *reader, size_t size) {
  if (reader->has_failed || reader->left < size) {
    reader->has_failed = true;
    return NULL;
  }
  const uint8_t *bytes = reader->at;
  reader->at += size;
  reader->left -= size;
  return bytes;
}

enum status record_layout_open_any(struct record_layout_reader *reader, const void *data, size_t size, unsigned newest,
                                   unsigned *version) {
  *reader = (struct record_layout_reader){.at = data, .left = size};
  unsigned found = (unsigned)record_layout_read_number(reader, 1);
  if (reader->has_failed)
    return STATUS_INVALID;
  if (found < 1 || found > newest)
    return STATUS_VERSION;
  *version = found;
  return STATUS_OK;
}

enum status record_layout_open(struct record_layout_reader *reader, const void *data, size_t size) {
  unsigned version;
  return record_layout_open_any(reader, data, size, RECORD_VERSION, &version);
}

static void read_text(struct record_layout_reader *reader, char *to, size_t size) {
  size_t length = record_layout_read_number(reader, 2);
  const uint8_t *bytes = record_layout_read_bytes(reader, length);
  if (!bytes || length >= size || memchr(bytes, '\0', length)) {
    reader->has_failed = true;
    return;
  }
  memcpy(to, bytes, length);
  to[length] = '\0';
}

static void read_real(struct record_layout_reader *reader, void *to) {
  uint64_t bits = record_layout_read_number(reader, 8);
  double value;
  memcpy(&value, &bits, sizeof value);
  if (isfinite(value))
    memcpy(to, &value, sizeof value);
  else
    reader->has_failed = true;
}

static void read_list(struct record_layout_reader *reader, const struct record_layout_field *field, void *record) {
  uint32_t count = (uint32_t)record_layout_read_number(reader, 2);
  if (count > field->limit) {
    reader->has_failed = true;
    return;
  }
  memcpy((char *)record + field->count_offset, &count, sizeof count);
  for (uint32_t i = 0; i < count && !reader->has_failed; i++)
    record_layout_read(reader, field->element, (char *)record + field->offset + i * field->size);
}

void record_layout_read(struct record_layout_reader *reader, const struct record_layout *layout, void *record) {
  for (size_t i = 0; i < layout->field_count && !reader->has_failed; i++) {
    const struct record_layout_field *field = &layout->fields[i];
    char *at = (char *)record + field->offset;
    const uint8_t *bytes;
    uint64_t value;
    switch (field->kind) {
    case LAYOUT_NUMBER:
      keep(at, field->size, record_layout_read_number(reader, field->size));
      break;
    case LAYOUT_CHOICE:
      value = record_layout_read_number(reader, 1);
      if (value >= field->limit)
        reader->has_failed = true;
      else
        keep(at, field->size, value);
      break;
    case LAYOUT_TEXT:
      read_text(reader, at, field->size);
      break;
    case LAYOUT_BYTES:
      bytes = record_layout_read_bytes(reader, field->size);
      if (bytes)
        memcpy(at, bytes, field->size);
      break;
    case LAYOUT_REAL:
      read_real(reader, at);
      break;
    case LAYOUT_LIST:
      read_list(reader, field, record);
      break;
    }
  }
}

enum status record_layout_end(const struct record_layout_reader *reader) {
  return reader->has_failed || reader->left > 0 ? STATUS_INVALID : STATUS_OK;
}
