#include "gslb/model/records.h"

#include <assert.h>
#include <string.h>

#define RECORD_VERSION 1u

enum field_kind {
  FIELD_NUMBER, /* big-endian, as wide as in memory */
  FIELD_CHOICE, /* an enum or a bool: one byte below limit */
  FIELD_TEXT,   /* two bytes of length, then the bytes without NUL */
};

struct field {
  enum field_kind kind;
  size_t offset;
  size_t size; /* in memory */
  unsigned limit;
};

struct layout {
  const struct field *fields;
  size_t field_count;
  size_t size; /* of the struct */
};

#define NUMBER(record, name)                                                                                           \
  { FIELD_NUMBER, offsetof(struct record, name), sizeof(((struct record *)0)->name), 0 }
#define CHOICE(record, name, limit)                                                                                    \
  { FIELD_CHOICE, offsetof(struct record, name), sizeof(((struct record *)0)->name), limit }
#define TEXT(record, name)                                                                                             \
  { FIELD_TEXT, offsetof(struct record, name), sizeof(((struct record *)0)->name), 0 }
#define LAYOUT(record)                                                                                                 \
  static const struct layout record##_layout = {record##_fields, sizeof record##_fields / sizeof record##_fields[0],   \
                                                sizeof(struct record)}

static const struct field health_record_fields[] = {
    CHOICE(health_record, state, HEALTH_DOWN + 1),
    NUMBER(health_record, streak),
    CHOICE(health_record, last_passed, 2),
    NUMBER(health_record, since_ms),
    NUMBER(health_record, last_ms),
    NUMBER(health_record, last_good_ms),
    NUMBER(health_record, rtt_us),
    NUMBER(health_record, rtt_mean_us),
    NUMBER(health_record, passed),
    NUMBER(health_record, failed),
    TEXT(health_record, reason),
};
LAYOUT(health_record);

static const struct field override_record_fields[] = {
    CHOICE(override_record, kind, OVERRIDE_DRAIN + 1),
    NUMBER(override_record, set_ms),
    NUMBER(override_record, until_ms),
    TEXT(override_record, who),
    TEXT(override_record, why),
};
LAYOUT(override_record);

static const struct field latch_record_fields[] = {
    CHOICE(latch_record, last_good, 2),
    NUMBER(latch_record, since_ms),
};
LAYOUT(latch_record);

static const struct field slot_record_fields[] = {
    NUMBER(slot_record, slot),
};
LAYOUT(slot_record);

static const struct field event_record_fields[] = {
    NUMBER(event_record, at_ms), TEXT(event_record, service), TEXT(event_record, member), TEXT(event_record, kind),
    TEXT(event_record, from),    TEXT(event_record, to),      TEXT(event_record, reason),
};
LAYOUT(event_record);

static const struct field audit_record_fields[] = {
    NUMBER(audit_record, at_ms), TEXT(audit_record, who),    TEXT(audit_record, action),
    TEXT(audit_record, subject), TEXT(audit_record, detail),
};
LAYOUT(audit_record);

union any_record {
  struct health_record health;
  struct override_record override;
  struct latch_record latch;
  struct slot_record slot;
  struct event_record event;
  struct audit_record audit;
};
_Static_assert(sizeof(union any_record) <= RECORD_SIZE_MOST, "an encoded record, always smaller than the struct plus "
                                                             "two bytes a text, must fit");

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

struct writer {
  uint8_t *out; /* RECORD_SIZE_MOST bytes */
  size_t used;
};

static void write_number(struct writer *writer, uint64_t value, size_t width) {
  assert(writer->used + width <= RECORD_SIZE_MOST);
  for (size_t i = width; i > 0; i--)
    writer->out[writer->used++] = (uint8_t)(value >> (8 * (i - 1)));
}

static size_t encode(const struct layout *layout, const void *record, uint8_t out[RECORD_SIZE_MOST]) {
  struct writer writer = {.out = out};
  write_number(&writer, RECORD_VERSION, 1);
  for (size_t i = 0; i < layout->field_count; i++) {
    const struct field *field = &layout->fields[i];
    const char *at = (const char *)record + field->offset;
    size_t length;
    switch (field->kind) {
    case FIELD_NUMBER:
      write_number(&writer, load(at, field->size), field->size);
      break;
    case FIELD_CHOICE:
      assert(load(at, field->size) < field->limit);
      write_number(&writer, load(at, field->size), 1);
      break;
    case FIELD_TEXT:
      length = strnlen(at, field->size - 1);
      write_number(&writer, length, 2);
      assert(writer.used + length <= RECORD_SIZE_MOST);
      memcpy(out + writer.used, at, length);
      writer.used += length;
      break;
    }
  }
  return writer.used;
}

/* Keeps the first failure, so that a run of reads is checked once. */
struct reader {
  const uint8_t *at;
  size_t left;
  bool has_failed;
};

static uint64_t read_number(struct reader *reader, size_t width) {
  if (reader->has_failed || reader->left < width) {
    reader->has_failed = true;
    return 0;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < width; i++)
    value = value << 8 | reader->at[i];
  reader->at += width;
  reader->left -= width;
  return value;
}

static void read_text(struct reader *reader, char *to, size_t size) {
  size_t length = read_number(reader, 2);
  if (reader->has_failed || length >= size || length > reader->left ||
      (length > 0 && memchr(reader->at, '\0', length))) {
    reader->has_failed = true;
    return;
  }
  memcpy(to, reader->at, length);
  to[length] = '\0';
  reader->at += length;
  reader->left -= length;
}

static enum status decode(const struct layout *layout, const void *data, size_t size, void *out) {
  union any_record record = {0};
  struct reader reader = {.at = data, .left = size};
  uint64_t version = read_number(&reader, 1);
  if (reader.has_failed)
    return STATUS_INVALID;
  if (version != RECORD_VERSION)
    return STATUS_VERSION;
  for (size_t i = 0; i < layout->field_count; i++) {
    const struct field *field = &layout->fields[i];
    char *at = (char *)&record + field->offset;
    uint64_t value;
    switch (field->kind) {
    case FIELD_NUMBER:
      keep(at, field->size, read_number(&reader, field->size));
      break;
    case FIELD_CHOICE:
      value = read_number(&reader, 1);
      if (value >= field->limit)
        reader.has_failed = true;
      else
        keep(at, field->size, value);
      break;
    case FIELD_TEXT:
      read_text(&reader, at, field->size);
      break;
    }
  }
  if (reader.has_failed || reader.left > 0)
    return STATUS_INVALID;
  memcpy(out, &record, layout->size);
  return STATUS_OK;
}

size_t health_encode(const struct health_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&health_record_layout, record, out);
}

enum status health_decode(const void *data, size_t size, struct health_record *out) {
  return decode(&health_record_layout, data, size, out);
}

size_t override_encode(const struct override_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&override_record_layout, record, out);
}

enum status override_decode(const void *data, size_t size, struct override_record *out) {
  return decode(&override_record_layout, data, size, out);
}

size_t latch_encode(const struct latch_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&latch_record_layout, record, out);
}

enum status latch_decode(const void *data, size_t size, struct latch_record *out) {
  return decode(&latch_record_layout, data, size, out);
}

size_t slot_encode(const struct slot_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&slot_record_layout, record, out);
}

enum status slot_decode(const void *data, size_t size, struct slot_record *out) {
  return decode(&slot_record_layout, data, size, out);
}

size_t event_encode(const struct event_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&event_record_layout, record, out);
}

enum status event_decode(const void *data, size_t size, struct event_record *out) {
  return decode(&event_record_layout, data, size, out);
}

size_t audit_encode(const struct audit_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&audit_record_layout, record, out);
}

enum status audit_decode(const void *data, size_t size, struct audit_record *out) {
  return decode(&audit_record_layout, data, size, out);
}

const char *health_name(enum health state) {
  static const char *const names[] = {
      [HEALTH_UNKNOWN] = "unknown",   [HEALTH_UP] = "up",     [HEALTH_DEGRADED] = "degraded",
      [HEALTH_DRAINING] = "draining", [HEALTH_DOWN] = "down",
  };
  assert((size_t)state < sizeof names / sizeof names[0]);
  return names[state];
}

static const char *const override_names[] = {
    [OVERRIDE_NONE] = "none",
    [OVERRIDE_UP] = "up",
    [OVERRIDE_DOWN] = "down",
    [OVERRIDE_DRAIN] = "drain",
};
#define OVERRIDE_KINDS (sizeof override_names / sizeof override_names[0])

const char *override_name(enum override_kind kind) {
  assert((size_t)kind < OVERRIDE_KINDS);
  return override_names[kind];
}

enum status health_parse(const char *word, enum health *out) {
  for (int state = HEALTH_UNKNOWN; state <= HEALTH_DOWN; state++)
    if (strcmp(word, health_name((enum health)state)) == 0) {
      *out = (enum health)state;
      return STATUS_OK;
    }
  return STATUS_INVALID;
}

enum status override_parse(const char *word, enum override_kind *out) {
  if (strcmp(word, "clear") == 0) {
    *out = OVERRIDE_NONE;
    return STATUS_OK;
  }
  for (size_t i = 0; i < OVERRIDE_KINDS; i++) {
    if (strcmp(word, override_names[i]) == 0) {
      *out = (enum override_kind)i;
      return STATUS_OK;
    }
  }
  return STATUS_INVALID;
}

static void key_add(struct record_key *key, const char *part) {
  size_t length = strlen(part);
  size_t gap = key->size > 0 ? 1 : 0;
  assert(key->size + gap + length <= sizeof key->bytes);
  if (gap)
    key->bytes[key->size++] = '\0';
  memcpy(key->bytes + key->size, part, length);
  key->size += length;
}

void record_key_member(const char *service, const char *member, struct record_key *out) {
  out->size = 0;
  key_add(out, service);
  key_add(out, member);
}

void record_key_address(const char *service, const char *member, const struct addr *address, struct record_key *out) {
  char text[ADDR_TEXT_SIZE];
  record_key_member(service, member, out);
  key_add(out, addr_format(address, text));
}

void record_key_probe(const char *service, const char *member, const struct addr *address, const char *monitor,
                      struct record_key *out) {
  record_key_address(service, member, address, out);
  key_add(out, monitor);
}

void record_key_service(const char *service, struct record_key *out) {
  out->size = 0;
  key_add(out, service);
  key_add(out, "");
}
