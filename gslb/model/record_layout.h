/* gslb/model/record_layout.h
 * How stored records are laid out in bytes, as tables that records.c, registration.c and metrics.c share: a version
 * byte, then the fields in order, numbers big-endian. Nobody else includes this one. Pure; any thread. */
#ifndef GSLB_MODEL_RECORD_LAYOUT_H
#define GSLB_MODEL_RECORD_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"

enum record_layout_kind {
  LAYOUT_NUMBER, /* big-endian, as wide as in memory */
  LAYOUT_CHOICE, /* an enum or a bool: one byte below limit */
  LAYOUT_TEXT,   /* two bytes of length, then the bytes without NUL */
  LAYOUT_BYTES,  /* as they are */
  LAYOUT_REAL,   /* the 64 bits of a finite IEEE 754 number */
  LAYOUT_LIST,   /* two bytes of count, then so many elements */
};

struct record_layout_field {
  enum record_layout_kind kind;
  size_t offset;
  size_t size;                         /* in memory; LAYOUT_LIST: of one element */
  unsigned limit;                      /* LAYOUT_CHOICE: the first that is none; LAYOUT_LIST: elements at most */
  size_t count_offset;                 /* LAYOUT_LIST: of the uint32_t that counts them */
  const struct record_layout *element; /* LAYOUT_LIST */
};

struct record_layout {
  const struct record_layout_field *fields;
  size_t field_count;
};

#define LAYOUT_SIZE_OF(record, name) sizeof(((struct record *)0)->name)
#define LAYOUT_ELEMENT_SIZE_OF(record, name) sizeof(((struct record *)0)->name[0])
#define NUMBER(record, name)                                                                                           \
  .kind = LAYOUT_NUMBER, .offset = offsetof(struct record, name), .size = LAYOUT_SIZE_OF(record, name)
#define CHOICE(record, name, least_wrong)                                                                              \
  .kind = LAYOUT_CHOICE, .offset = offsetof(struct record, name), .size = LAYOUT_SIZE_OF(record, name),                \
  .limit = (least_wrong)
#define TEXT(record, name)                                                                                             \
  .kind = LAYOUT_TEXT, .offset = offsetof(struct record, name), .size = LAYOUT_SIZE_OF(record, name)
#define BYTES(record, name)                                                                                            \
  .kind = LAYOUT_BYTES, .offset = offsetof(struct record, name), .size = LAYOUT_SIZE_OF(record, name)
#define REAL(record, name)                                                                                             \
  .kind = LAYOUT_REAL, .offset = offsetof(struct record, name), .size = LAYOUT_SIZE_OF(record, name)
#define LIST(record, name, counter, layout_of_element)                                                                 \
  .kind = LAYOUT_LIST, .offset = offsetof(struct record, name), .size = LAYOUT_ELEMENT_SIZE_OF(record, name),          \
  .limit = LAYOUT_SIZE_OF(record, name) / LAYOUT_ELEMENT_SIZE_OF(record, name),                                        \
  .count_offset = offsetof(struct record, counter), .element = (layout_of_element)
#define LAYOUT(record)                                                                                                 \
  static const struct record_layout record##_layout = {record##_fields,                                                \
                                                       sizeof record##_fields / sizeof record##_fields[0]}

extern const struct record_layout record_layout_addr; /* struct addr; check it with record_layout_addr_fits */
bool record_layout_addr_fits(const struct addr *addr);
/* Of family 4 or 6, and zero beyond its bytes. */

struct record_layout_writer {
  uint8_t *out;
  size_t used;
  size_t capacity;
  bool grows; /* out is the writer's, to be freed by who takes it; else it is the caller's and large enough */
};
void record_layout_begin(struct record_layout_writer *writer);
/* The version byte, 1. */
void record_layout_begin_as(struct record_layout_writer *writer, unsigned version);
/* Likewise for a record whose layout has changed since. */
void record_layout_write(struct record_layout_writer *writer, const struct record_layout *layout, const void *record);
void record_layout_write_number(struct record_layout_writer *writer, uint64_t value, size_t width);
void record_layout_write_bytes(struct record_layout_writer *writer, const void *data, size_t size);

struct record_layout_reader { /* keeps the first failure, so that a run of reads is checked once */
  const uint8_t *at;
  size_t left;
  bool has_failed;
};
enum status record_layout_open(struct record_layout_reader *reader, const void *data, size_t size);
/* The version byte: STATUS_VERSION for another, STATUS_INVALID without one. */
enum status record_layout_open_any(struct record_layout_reader *reader, const void *data, size_t size, unsigned newest,
                                   unsigned *version);
/* Likewise for a record that knows the versions from 1 to newest. */
void record_layout_read(struct record_layout_reader *reader, const struct record_layout *layout, void *record);
/* record must be zeroed. */
uint64_t record_layout_read_number(struct record_layout_reader *reader, size_t width);
const uint8_t *record_layout_read_bytes(struct record_layout_reader *reader, size_t size);
/* Borrowed; NULL after a failure. */
enum status record_layout_end(const struct record_layout_reader *reader);
/* STATUS_INVALID when anything failed or bytes are left. */

#endif
