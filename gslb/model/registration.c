#include "gslb/model/registration.h"

#include <assert.h>
#include <string.h>

#include "gslb/model/record_layout.h"

#define MEMBER_VERSION 2u

static const struct record_layout_field resource_record_fields[] = {
    {NUMBER(resource_record, revision)},         {NUMBER(resource_record, epoch)},
    {NUMBER(resource_record, registered_ms)},    {NUMBER(resource_record, changed_ms)},
    {NUMBER(resource_record, lease_ms)},         {TEXT(resource_record, owner)},
    {TEXT(resource_record, notice_key)},         {CHOICE(resource_record, is_removed, 2)},
    {NUMBER(resource_record, removed_until_ms)}, {TEXT(resource_record, removed_why)},
};
LAYOUT(resource_record);

static const struct record_layout_field member_record_fields[] = {
    {CHOICE(member_record, kind, RESOURCE_CLOUD + 1)},
    {LIST(member_record, addresses, address_count, &record_layout_addr)},
    {TEXT(member_record, site)},
    {NUMBER(member_record, weight)},
    {NUMBER(member_record, tier)},
    {NUMBER(member_record, port)},
    {TEXT(member_record, instance)},
};
LAYOUT(member_record);

static const struct record_layout_field lease_record_fields[] = {
    {CHOICE(lease_record, state, LEASE_ENDED + 1)},
    {NUMBER(lease_record, end_ms)},
    {NUMBER(lease_record, since_ms)},
    {NUMBER(lease_record, renewed_ms)},
    {NUMBER(lease_record, epoch)},
    {NUMBER(lease_record, sequence)},
    {CHOICE(lease_record, self, HEALTH_DOWN + 1)},
    {TEXT(lease_record, self_reason)},
    {REAL(lease_record, utilization)},
    {CHOICE(lease_record, is_moved, 2)},
};
LAYOUT(lease_record);

struct resource_pattern {
  char text[LAYOUT_SIZE_OF(token_record, resources[0])];
};
static const struct record_layout_field resource_pattern_fields[] = {{TEXT(resource_pattern, text)}};
LAYOUT(resource_pattern);

struct service_pattern {
  char text[LAYOUT_SIZE_OF(token_record, services[0])];
};
static const struct record_layout_field service_pattern_fields[] = {{TEXT(service_pattern, text)}};
LAYOUT(service_pattern);

static const struct record_layout_field token_record_fields[] = {
    {BYTES(token_record, hash)},
    {NUMBER(token_record, created_ms)},
    {NUMBER(token_record, until_ms)},
    {CHOICE(token_record, is_admin, 2)},
    {CHOICE(token_record, may_read, 2)},
    {TEXT(token_record, who)},
    {LIST(token_record, resources, resource_count, &resource_pattern_layout)},
    {LIST(token_record, services, service_count, &service_pattern_layout)},
};
LAYOUT(token_record);

static const struct record_layout_field balancer_record_fields[] = {
    {CHOICE(balancer_record, is_alive, 2)}, {CHOICE(balancer_record, is_accepting, 2)},
    {CHOICE(balancer_record, is_own, 2)},   {CHOICE(balancer_record, is_tls, 2)},
    {NUMBER(balancer_record, since_ms)},    {NUMBER(balancer_record, leaves_ms)},
    {TEXT(balancer_record, name)},          {LIST(balancer_record, addresses, address_count, &record_layout_addr)},
    {NUMBER(balancer_record, priority)},    {NUMBER(balancer_record, weight)},
    {TEXT(balancer_record, reason)},
};
LAYOUT(balancer_record);

static const struct record_layout_field leave_record_fields[] = {
    {NUMBER(leave_record, at_ms)},
    {NUMBER(leave_record, until_ms)},
    {TEXT(leave_record, who)},
    {TEXT(leave_record, why)},
};
LAYOUT(leave_record);

_Static_assert(sizeof(struct lease_record) <= RECORD_SIZE_MOST && sizeof(struct balancer_record) <= RECORD_SIZE_MOST &&
                   sizeof(struct leave_record) <= RECORD_SIZE_MOST,
               "an encoded record, always smaller than the struct plus two bytes a text, must fit");

static size_t encode_fixed(const struct record_layout *layout, const void *record, uint8_t out[RECORD_SIZE_MOST]) {
  struct record_layout_writer writer = {.out = out, .capacity = RECORD_SIZE_MOST};
  record_layout_begin(&writer);
  record_layout_write(&writer, layout, record);
  return writer.used;
}

static struct record_layout_writer encode_growing(const struct record_layout *layout, const void *record) {
  struct record_layout_writer writer = {.grows = true};
  record_layout_begin(&writer);
  record_layout_write(&writer, layout, record);
  return writer;
}

static bool addresses_fit(const struct addr *addresses, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (!record_layout_addr_fits(&addresses[i]))
      return false;
  return true;
}

uint8_t *resource_encode(const struct resource_record *record, size_t *size) {
  assert(record->document_size <= REGISTRATION_DOCUMENT_MOST);
  struct record_layout_writer writer = encode_growing(&resource_record_layout, record);
  record_layout_write_number(&writer, record->document_size, 4);
  record_layout_write_bytes(&writer, record->document, record->document_size);
  *size = writer.used;
  return writer.out;
}

enum status resource_decode(const void *data, size_t size, struct resource_record *out) {
  struct resource_record record;
  memset(&record, 0, sizeof record);
  struct record_layout_reader reader;
  enum status status = record_layout_open(&reader, data, size);
  if (status != STATUS_OK)
    return status;
  record_layout_read(&reader, &resource_record_layout, &record);
  record.document_size = record_layout_read_number(&reader, 4);
  record.document = (const char *)record_layout_read_bytes(&reader, record.document_size);
  status = record_layout_end(&reader);
  if (status == STATUS_OK && record.document_size > REGISTRATION_DOCUMENT_MOST)
    status = STATUS_INVALID;
  if (status == STATUS_OK)
    *out = record;
  return status;
}

uint8_t *member_encode(const struct member_record *record, size_t *size) {
  struct record_layout_writer writer = {.grows = true};
  record_layout_begin_as(&writer, MEMBER_VERSION);
  record_layout_write(&writer, &member_record_layout, record);
  static const char *const none[] = {NULL};
  const char *const *labels = record->txt ? record->txt : none;
  size_t count = 0;
  while (labels[count])
    count++;
  assert(count <= REGISTRATION_LABELS_MOST);
  record_layout_write_number(&writer, count, 1);
  for (size_t i = 0; i < count; i++) {
    size_t length = strlen(labels[i]);
    assert(length <= UINT16_MAX);
    record_layout_write_number(&writer, length, 2);
    record_layout_write_bytes(&writer, labels[i], length);
  }
  size_t url_length = record->utilization_url ? strlen(record->utilization_url) : 0;
  assert(url_length <= REGISTRATION_URL_MOST);
  record_layout_write_number(&writer, url_length, 2);
  record_layout_write_bytes(&writer, record->utilization_url, url_length);
  *size = writer.used;
  return writer.out;
}

static const char *const *read_labels(struct record_layout_reader *reader, struct arena *arena) {
  size_t count = record_layout_read_number(reader, 1);
  if (count > REGISTRATION_LABELS_MOST)
    reader->has_failed = true;
  if (reader->has_failed || count == 0)
    return NULL;
  const char **labels = arena_array(arena, count + 1, sizeof *labels);
  for (size_t i = 0; i < count; i++) {
    size_t length = record_layout_read_number(reader, 2);
    const char *bytes = (const char *)record_layout_read_bytes(reader, length);
    if (!bytes || memchr(bytes, '\0', length)) {
      reader->has_failed = true;
      return NULL;
    }
    labels[i] = arena_strndup(arena, bytes, length);
  }
  return labels;
}

static const char *read_url(struct record_layout_reader *reader, struct arena *arena) {
  size_t length = record_layout_read_number(reader, 2);
  const char *bytes = (const char *)record_layout_read_bytes(reader, length);
  if (length > REGISTRATION_URL_MOST || !bytes || memchr(bytes, '\0', length))
    reader->has_failed = true;
  return reader->has_failed || length == 0 ? NULL : arena_strndup(arena, bytes, length);
}

enum status member_decode(const void *data, size_t size, struct arena *arena, struct member_record *out) {
  struct member_record record;
  memset(&record, 0, sizeof record);
  struct record_layout_reader reader;
  unsigned version;
  enum status status = record_layout_open_any(&reader, data, size, MEMBER_VERSION, &version);
  if (status != STATUS_OK)
    return status;
  record_layout_read(&reader, &member_record_layout, &record);
  record.txt = read_labels(&reader, arena);
  if (version == MEMBER_VERSION)
    record.utilization_url = read_url(&reader, arena);
  status = record_layout_end(&reader);
  if (status == STATUS_OK && (record.address_count == 0 || !addresses_fit(record.addresses, record.address_count)))
    status = STATUS_INVALID;
  if (status == STATUS_OK)
    *out = record;
  return status;
}

static enum status decode_fixed(const struct record_layout *layout, const void *data, size_t size, void *record) {
  struct record_layout_reader reader;
  enum status status = record_layout_open(&reader, data, size);
  if (status != STATUS_OK)
    return status;
  record_layout_read(&reader, layout, record);
  return record_layout_end(&reader);
}

size_t lease_encode(const struct lease_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode_fixed(&lease_record_layout, record, out);
}

enum status lease_decode(const void *data, size_t size, struct lease_record *out) {
  struct lease_record record;
  memset(&record, 0, sizeof record);
  enum status status = decode_fixed(&lease_record_layout, data, size, &record);
  if (status == STATUS_OK)
    *out = record;
  return status;
}

uint8_t *token_encode(const struct token_record *record, size_t *size) {
  struct record_layout_writer writer = encode_growing(&token_record_layout, record);
  *size = writer.used;
  return writer.out;
}

enum status token_decode(const void *data, size_t size, struct token_record *out) {
  struct token_record record;
  memset(&record, 0, sizeof record);
  enum status status = decode_fixed(&token_record_layout, data, size, &record);
  if (status == STATUS_OK)
    *out = record;
  return status;
}

size_t balancer_encode(const struct balancer_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode_fixed(&balancer_record_layout, record, out);
}

enum status balancer_decode(const void *data, size_t size, struct balancer_record *out) {
  struct balancer_record record;
  memset(&record, 0, sizeof record);
  enum status status = decode_fixed(&balancer_record_layout, data, size, &record);
  if (status == STATUS_OK && !addresses_fit(record.addresses, record.address_count))
    status = STATUS_INVALID;
  if (status == STATUS_OK)
    *out = record;
  return status;
}

size_t leave_encode(const struct leave_record *record, uint8_t out[RECORD_SIZE_MOST]) {
  return encode_fixed(&leave_record_layout, record, out);
}

enum status leave_decode(const void *data, size_t size, struct leave_record *out) {
  struct leave_record record;
  memset(&record, 0, sizeof record);
  enum status status = decode_fixed(&leave_record_layout, data, size, &record);
  if (status == STATUS_OK)
    *out = record;
  return status;
}

static const char *const kind_names[] = {
    [RESOURCE_SERVER] = "server",
    [RESOURCE_BALANCER] = "balancer",
    [RESOURCE_CLOUD] = "cloud",
};
#define KINDS (sizeof kind_names / sizeof kind_names[0])

const char *resource_kind_name(enum resource_kind kind) {
  assert((size_t)kind < KINDS);
  return kind_names[kind];
}

enum status resource_kind_parse(const char *word, enum resource_kind *out) {
  for (size_t i = 0; i < KINDS; i++)
    if (strcmp(word, kind_names[i]) == 0) {
      *out = (enum resource_kind)i;
      return STATUS_OK;
    }
  return STATUS_INVALID;
}

const char *lease_state_name(enum lease_state state) {
  static const char *const names[] = {[LEASE_LIVE] = "live", [LEASE_STALE] = "stale", [LEASE_ENDED] = "ended"};
  assert((size_t)state < sizeof names / sizeof names[0]);
  return names[state];
}

const char *lease_word(const struct lease_record *record) {
  return record->is_moved ? "moved" : lease_state_name(record->state);
}

bool pattern_matches(const char *pattern, const char *text) {
  size_t length = strlen(text), first = strcspn(pattern, "*");
  if (!pattern[first])
    return strcmp(pattern, text) == 0;
  const char *last = strrchr(pattern, '*') + 1;
  size_t tail = strlen(last);
  if (first + tail > length || memcmp(pattern, text, first) != 0 || memcmp(last, text + length - tail, tail) != 0)
    return false;
  /* what stands between stars is taken where it comes first, so each part of the text is looked at once */
  const char *at = text + first, *end = text + length - tail;
  for (const char *part = pattern + first + 1; part < last; part += strcspn(part, "*") + 1) {
    size_t size = strcspn(part, "*");
    const char *found = memmem(at, (size_t)(end - at), part, size);
    if (!found)
      return false;
    at = found + size;
  }
  return true;
}
