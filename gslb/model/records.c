#include "gslb/model/records.h"

#include <assert.h>
#include <string.h>

#include "gslb/model/record_layout.h"

#define LOAD_LATCH_VERSION 2u

static const struct record_layout_field health_record_fields[] = {
    {CHOICE(health_record, state, HEALTH_DOWN + 1)},
    {NUMBER(health_record, streak)},
    {CHOICE(health_record, last_passed, 2)},
    {NUMBER(health_record, since_ms)},
    {NUMBER(health_record, last_ms)},
    {NUMBER(health_record, last_good_ms)},
    {NUMBER(health_record, rtt_us)},
    {NUMBER(health_record, rtt_mean_us)},
    {NUMBER(health_record, passed)},
    {NUMBER(health_record, failed)},
    {TEXT(health_record, reason)},
};
LAYOUT(health_record);

static const struct record_layout_field override_record_fields[] = {
    {CHOICE(override_record, kind, OVERRIDE_DRAIN + 1)},
    {NUMBER(override_record, set_ms)},
    {NUMBER(override_record, until_ms)},
    {TEXT(override_record, who)},
    {TEXT(override_record, why)},
};
LAYOUT(override_record);

static const struct record_layout_field latch_record_fields[] = {
    {CHOICE(latch_record, last_good, 2)},
    {NUMBER(latch_record, since_ms)},
};
LAYOUT(latch_record);

static const struct record_layout_field load_latch_metric_fields[] = {
    {NUMBER(load_latch_metric, id)},
};
LAYOUT(load_latch_metric);

static const struct record_layout_field load_latch_record_fields[] = {
    {LIST(load_latch_record, over, count, &load_latch_metric_layout)},
    {NUMBER(load_latch_record, since_ms)},
};
LAYOUT(load_latch_record);

static const struct record_layout_field slot_record_fields[] = {
    {NUMBER(slot_record, slot)},
};
LAYOUT(slot_record);

static const struct record_layout_field event_record_fields[] = {
    {NUMBER(event_record, at_ms)}, {TEXT(event_record, service)}, {TEXT(event_record, member)},
    {TEXT(event_record, kind)},    {TEXT(event_record, from)},    {TEXT(event_record, to)},
    {TEXT(event_record, reason)},
};
LAYOUT(event_record);

static const struct record_layout_field audit_record_fields[] = {
    {NUMBER(audit_record, at_ms)}, {TEXT(audit_record, who)},    {TEXT(audit_record, action)},
    {TEXT(audit_record, subject)}, {TEXT(audit_record, detail)},
};
LAYOUT(audit_record);

union any_record {
  struct health_record health;
  struct override_record override;
  struct latch_record latch;
  struct load_latch_record load_latch;
  struct slot_record slot;
  struct event_record event;
  struct audit_record audit;
};
_Static_assert(sizeof(union any_record) <= RECORD_SIZE_MOST, "an encoded record, always smaller than the struct plus "
                                                             "two bytes a text, must fit");

static size_t encode(const struct record_layout *layout, const void *record, uint8_t out[RECORD_SIZE_MOST]) {
  struct record_layout_writer writer = {.out = out, .capacity = RECORD_SIZE_MOST};
  record_layout_begin(&writer);
  record_layout_write(&writer, layout, record);
  return writer.used;
}

static enum status decode(const struct record_layout *layout, const void *data, size_t size, void *out,
                          size_t out_size) {
  union any_record record;
  memset(&record, 0, sizeof record);
  struct record_layout_reader reader;
  enum status status = record_layout_open(&reader, data, size);
  if (status != STATUS_OK)
    return status;
  record_layout_read(&reader, layout, &record);
  status = record_layout_end(&reader);
  if (status == STATUS_OK)
    memcpy(out, &record, out_size);
  return status;
}

size_t health_encode(const struct health_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&health_record_layout, record, out);
}

enum status health_decode(const void *data, size_t size, struct health_record *out) {
  return decode(&health_record_layout, data, size, out, sizeof *out);
}

size_t override_encode(const struct override_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&override_record_layout, record, out);
}

enum status override_decode(const void *data, size_t size, struct override_record *out) {
  return decode(&override_record_layout, data, size, out, sizeof *out);
}

size_t latch_encode(const struct latch_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&latch_record_layout, record, out);
}

enum status latch_decode(const void *data, size_t size, struct latch_record *out) {
  return decode(&latch_record_layout, data, size, out, sizeof *out);
}

size_t load_latch_encode(const struct load_latch_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  struct record_layout_writer writer = {.out = out, .capacity = RECORD_SIZE_MOST};
  record_layout_begin_as(&writer, LOAD_LATCH_VERSION);
  record_layout_write(&writer, &load_latch_record_layout, record);
  return writer.used;
}

enum status load_latch_decode(const void *data, size_t size, struct load_latch_record *out) {
  struct record_layout_reader reader;
  struct load_latch_record record = {0};
  unsigned version;
  enum status status = record_layout_open_any(&reader, data, size, LOAD_LATCH_VERSION, &version);
  if (status == STATUS_OK && version == LOAD_LATCH_VERSION) {
    record_layout_read(&reader, &load_latch_record_layout, &record);
    status = record_layout_end(&reader);
  }
  if (status == STATUS_OK)
    *out = record;
  return status;
}

size_t slot_encode(const struct slot_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&slot_record_layout, record, out);
}

enum status slot_decode(const void *data, size_t size, struct slot_record *out) {
  return decode(&slot_record_layout, data, size, out, sizeof *out);
}

size_t event_encode(const struct event_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&event_record_layout, record, out);
}

enum status event_decode(const void *data, size_t size, struct event_record *out) {
  return decode(&event_record_layout, data, size, out, sizeof *out);
}

size_t audit_encode(const struct audit_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode(&audit_record_layout, record, out);
}

enum status audit_decode(const void *data, size_t size, struct audit_record *out) {
  return decode(&audit_record_layout, data, size, out, sizeof *out);
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
