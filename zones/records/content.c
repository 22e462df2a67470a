#include "zones/records/content.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "zones/message/query.h"
#include "zones/message/wire.h"

#define SLOTS_LEAST 64u
#define SOA_NUMBERS 20u

struct content {
  struct arena arena;
  struct content_record **slots; /* open addressing; removed records stay */
  size_t slot_count;
  size_t used; /* slots */
  size_t count;
  uint64_t bytes, bytes_most;
  uint64_t secret; /* of the hash: the records come from elsewhere */
  struct content_record *first, *last;
  struct content_record *soa; /* added last */
  size_t soa_count;
  uint8_t canonical[sizeof(uint64_t) + NAME_SIZE_MOST + 2 + RDATA_SIZE_MOST]; /* to be hashed */
};

bool soa_read(const uint8_t *data, size_t size, struct soa *out) {
  struct reader reader = reader_of(data, size);
  reader_skip_name(&reader);
  reader_skip_name(&reader);
  if (reader.failed || reader_left(&reader) != SOA_NUMBERS)
    return false;
  out->serial = reader_u32(&reader);
  out->refresh_s = reader_u32(&reader);
  out->retry_s = reader_u32(&reader);
  out->expire_s = reader_u32(&reader);
  return true;
}

bool soa_is_newer(uint32_t serial, uint32_t than) {
  uint32_t ahead = serial - than;
  return ahead != 0 && ahead < 0x80000000u;
}

struct content *content_new(uint64_t bytes_most) {
  struct content *content = mem_alloc(sizeof *content);
  content->slot_count = SLOTS_LEAST;
  content->slots = mem_array(content->slot_count, sizeof(struct content_record *));
  content->bytes_most = bytes_most;
  random_secret(&content->secret, sizeof content->secret);
  return content;
}

void content_free(struct content *content) {
  if (!content)
    return;
  arena_release(&content->arena);
  free(content->slots);
  free(content);
}

/* Makes the names in the data, which stand in bytes, lower case. */
static void lower_names(uint8_t *bytes, const struct rdata *data) {
  for (uint8_t i = 0; i < data->name_count; i++) {
    uint8_t *name = bytes + data->name_at[i];
    size_t size = name_size(name);
    for (size_t j = 0; j < size; j++)
      name[j] = name_lower(name[j]); /* label lengths are below 'A' */
  }
}

/* Of the canonical form, behind the secret. */
static uint64_t hash_record(struct content *content, const struct name *owner, uint16_t type,
                            const struct rdata *data) {
  uint8_t *at = content->canonical;
  memcpy(at, &content->secret, sizeof content->secret);
  at += sizeof content->secret;
  memcpy(at, owner->wire, owner->size);
  at += owner->size;
  wire_set_u16(at, type);
  at += 2;
  memcpy(at, data->bytes, data->size);
  lower_names(at, data);
  return name_hash(content->canonical, (size_t)(at - content->canonical) + data->size);
}

static bool is_in_name(const struct rdata *data, size_t at) {
  for (uint8_t i = 0; i < data->name_count; i++)
    if (at >= data->name_at[i] && at < data->name_at[i] + name_size(data->bytes + data->name_at[i]))
      return true;
  return false;
}

static bool is_equal(const struct content_record *record, const struct name *owner, uint16_t type,
                     const struct rdata *data) {
  if (record->type != type || record->data_size != data->size || record->owner_size != owner->size ||
      memcmp(record->bytes, owner->wire, owner->size) != 0)
    return false;
  const uint8_t *mine = record->bytes + record->owner_size;
  for (size_t i = 0; i < data->size; i++)
    if (mine[i] != data->bytes[i] && (name_lower(mine[i]) != name_lower(data->bytes[i]) || !is_in_name(data, i)))
      return false;
  return true;
}

static struct content_record **find_slot(struct content *content, uint64_t hash, const struct name *owner,
                                         uint16_t type, const struct rdata *data) {
  size_t mask = content->slot_count - 1;
  size_t at = hash & mask;
  for (; content->slots[at]; at = (at + 1) & mask)
    if (content->slots[at]->hash == hash && is_equal(content->slots[at], owner, type, data))
      break;
  return &content->slots[at];
}

static void grow(struct content *content) {
  free(content->slots);
  content->slot_count *= 2;
  content->slots = mem_array(content->slot_count, sizeof(struct content_record *));
  size_t mask = content->slot_count - 1;
  for (struct content_record *record = content->first; record; record = record->next) {
    size_t at = record->hash & mask;
    while (content->slots[at])
      at = (at + 1) & mask;
    content->slots[at] = record;
  }
}

static struct content_record *create(struct content *content, uint64_t hash, const struct name *owner, uint16_t type,
                                     const struct rdata *data) {
  size_t size = sizeof(struct content_record) + owner->size + data->size;
  if (size + 2 * sizeof(struct content_record *) > content->bytes_most - content->bytes)
    return NULL;
  content->bytes += size + 2 * sizeof(struct content_record *);
  struct content_record *record = arena_alloc(&content->arena, size);
  record->hash = hash;
  record->type = type;
  record->data_size = data->size;
  record->owner_size = owner->size;
  memcpy(record->bytes, owner->wire, owner->size);
  memcpy(record->bytes + owner->size, data->bytes, data->size);
  if (content->last)
    content->last->next = record;
  else
    content->first = record;
  content->last = record;
  return record;
}

enum status content_add(struct content *content, const struct name *owner, uint16_t type, uint32_t ttl_s,
                        const struct rdata *data) {
  uint64_t hash = hash_record(content, owner, type, data);
  struct content_record **slot = find_slot(content, hash, owner, type, data);
  struct content_record *record = *slot;
  if (record && !record->is_removed) {
    record->ttl_s = ttl_s;
    return STATUS_CONFLICT;
  }
  if (record) {
    record->is_removed = false;
    memcpy(record->bytes + owner->size, data->bytes, data->size); /* the case may be another */
  } else {
    record = create(content, hash, owner, type, data);
    if (!record)
      return STATUS_LIMIT;
    *slot = record;
    if (++content->used * 3 > content->slot_count * 2)
      grow(content);
  }
  record->ttl_s = ttl_s;
  content->count++;
  if (type == TYPE_SOA) {
    content->soa = record;
    content->soa_count++;
  }
  return STATUS_OK;
}

enum status content_remove(struct content *content, const struct name *owner, uint16_t type, const struct rdata *data) {
  uint64_t hash = hash_record(content, owner, type, data);
  struct content_record *record = *find_slot(content, hash, owner, type, data);
  if (!record || record->is_removed)
    return STATUS_NOTFOUND;
  record->is_removed = true;
  content->count--;
  if (type == TYPE_SOA)
    content->soa_count--;
  return STATUS_OK;
}

bool content_soa(const struct content *content, struct soa *out, const struct content_record **record) {
  const struct content_record *soa = content->soa;
  if (content->soa_count != 1)
    return false;
  if (soa->is_removed) { /* one that came before the last is left */
    soa = content_next(content, NULL);
    while (soa->type != TYPE_SOA)
      soa = content_next(content, soa);
  }
  if (!soa_read(soa->bytes + soa->owner_size, soa->data_size, out))
    return false;
  *record = soa;
  return true;
}

size_t content_count(const struct content *content) {
  return content->count;
}

const struct content_record *content_next(const struct content *content, const struct content_record *after) {
  const struct content_record *record = after ? after->next : content->first;
  while (record && record->is_removed)
    record = record->next;
  return record;
}
