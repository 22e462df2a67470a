#include "zones/answer/reply.h"

#include "zones/tables/record.h"

#define ADDRESS_RECORD_LEAST (RECORD_HEAD_SIZE + 4u) /* an A record */

void reply_note_target(struct reply *reply, enum target_kind kind, const void *at, size_t name_at) {
  if (reply->target_count == REPLY_TARGETS_MOST || name_at > WIRE_POINTER_MOST)
    return;
  /* a member has one record in an answer, so it comes but once */
  for (uint32_t i = 0; i < reply->target_count && kind != TARGET_MEMBER; i++)
    if (reply->targets[i].at == at)
      return;
  reply->targets[reply->target_count++] = (struct reply_target){.at = at, .kind = kind, .name_at = (uint16_t)name_at};
}

/* Of records that were made for the question's name. */
static void set_owners(uint8_t *records, size_t size, uint16_t owner_at) {
  for (size_t at = 0; at < size; at += RECORD_HEAD_SIZE + wire_get_u16(records + at + 10))
    wire_set_u16(records + at, 0xc000 | owner_at);
}

static void set_apex_pointers(const struct reply *reply, const struct image_rrset *rrset, uint8_t *records) {
  const uint16_t *patches = image_rrset_patches(rrset);
  for (uint16_t i = 0; i < rrset->patch_count; i++)
    wire_set_u16(records + patches[i], 0xc000 | reply->apex_at);
}

bool reply_put_rrset(struct reply *reply, const struct image_rrset *rrset, uint16_t owner_at, enum section section) {
  size_t start = reply->writer.used;
  if (reply->writer.limit - start < rrset->data_size)
    return false;
  uint8_t *at = writer_take(&reply->writer, rrset->data_size);
  wire_copy(at, image_rrset_data(rrset), rrset->data_size);
  if (owner_at != WIRE_HEADER_SIZE)
    set_owners(at, rrset->data_size, owner_at);
  if (rrset->patch_count)
    set_apex_pointers(reply, rrset, at);
  const struct image_target *targets = image_rrset_targets(rrset);
  for (uint16_t i = 0; i < rrset->target_count; i++)
    reply_note_target(reply, TARGET_NODE, image_node(&reply->book->image, image_target_node(&targets[i])),
                      start + targets[i].at);
  reply->counts[section] += rrset->record_count;
  return true;
}

void reply_require_rrset(struct reply *reply, const struct image_rrset *rrset, uint16_t owner_at,
                         enum section section) {
  if (!reply_put_rrset(reply, rrset, owner_at, section))
    reply->is_truncated = true;
}

bool reply_put_row(struct reply *reply, const struct table_row *row, uint16_t owner_at, enum section section) {
  if (reply->writer.limit - reply->writer.used < row->size)
    return false;
  uint8_t *at = writer_take(&reply->writer, row->size);
  wire_copy(at, row->records, row->size);
  if (owner_at != WIRE_HEADER_SIZE)
    set_owners(at, row->size, owner_at);
  reply->counts[section] += row->count;
  return true;
}

bool reply_put_whole(struct reply *reply, const struct table_whole *whole, uint32_t first, uint16_t owner_at) {
  size_t split = whole->parts[first].records_at, size = whole->parts[whole->row_count].records_at;
  if (reply->writer.limit - reply->writer.used < size)
    return false;
  uint8_t *at = writer_take(&reply->writer, size);
  memcpy(at, whole->records + split, size - split);
  memcpy(at + size - split, whole->records, split);
  if (owner_at != WIRE_HEADER_SIZE)
    set_owners(at, size, owner_at);
  reply->counts[SECTION_ANSWER] += whole->record_count;
  return true;
}

/* Addresses of a whole, from one RRset to before another, as they stand in it. origin: where in the message the records
 * of its first row stand, or would stand. */
static void put_owned(struct reply *reply, const struct table_whole *whole, const struct whole_owner *from,
                      const struct whole_owner *to, size_t size, size_t origin) {
  uint8_t *at = writer_take(&reply->writer, size);
  memcpy(at, whole->addresses + from->record_at, size);
  size_t start = from->record_at;
  for (const struct whole_owner *owner = from; owner < to; owner++)
    wire_set_u16(at + (owner->record_at - start), (uint16_t)(0xc000 | (origin + owner->name_at)));
  reply->counts[SECTION_ADDITIONAL] += (uint16_t)(to - from);
}

/* Of a run of rows the RRsets that fit. */
static void put_fitting(struct reply *reply, const struct table_whole *whole, uint32_t from, uint32_t to,
                        size_t origin) {
  const struct whole_owner *at = whole->owners + whole->parts[from].owner;
  const struct whole_owner *end = whole->owners + whole->parts[to].owner;
  while (at < end) {
    size_t left = reply->writer.limit - reply->writer.used;
    if (left < ADDRESS_RECORD_LEAST)
      break;
    const struct whole_owner *next = at;
    size_t size = 0;
    while (next < end && size + next->size <= left && origin + next->name_at <= WIRE_POINTER_MOST) {
      size += next->size;
      next += next->count;
    }
    if (size)
      put_owned(reply, whole, at, next, size, origin);
    at = next < end ? next + next->count : end;
  }
}

/* Of a run of rows all RRsets. */
static void put_run(struct reply *reply, const struct table_whole *whole, uint32_t from, uint32_t to, size_t origin) {
  const struct whole_part *start = &whole->parts[from], *end = &whole->parts[to];
  if (end->owner > start->owner)
    put_owned(reply, whole, whole->owners + start->owner, whole->owners + end->owner,
              (size_t)(end->addresses_at - start->addresses_at), origin);
}

void reply_put_whole_addresses(struct reply *reply, const struct table_whole *whole, uint32_t first, size_t start) {
  const struct whole_part *end = &whole->parts[whole->row_count];
  bool has_room =
      reply->writer.limit - reply->writer.used >= end->addresses_at && start + end->records_at <= WIRE_POINTER_MOST;
  size_t origin = start - whole->parts[first].records_at;
  if (has_room) {
    put_run(reply, whole, first, whole->row_count, origin);
    put_run(reply, whole, 0, first, origin + end->records_at);
  } else {
    put_fitting(reply, whole, first, whole->row_count, origin);
    put_fitting(reply, whole, 0, first, origin + end->records_at);
  }
}

void reply_put_negative(struct reply *reply, uint32_t ttl_most_s) {
  const struct image_rrset *soa = image_rrset(&reply->book->image, reply->zone->soa);
  size_t start = reply->writer.used;
  reply_require_rrset(reply, soa, reply->apex_at, SECTION_AUTHORITY);
  if (!reply->is_truncated && ttl_most_s < image_rrset_ttl(soa))
    wire_set_u32(reply->writer.base + start + 6, ttl_most_s);
}

bool reply_read_back(const struct reply *reply, size_t at, struct name *out) {
  const uint8_t *base = reply->writer.base;
  size_t used = 0;
  /* bounded although we wrote the message ourselves: at most 127 labels and a pointer after each */
  for (unsigned steps = 0; steps < 256 && at < reply->writer.used; steps++) {
    uint8_t length = base[at];
    if ((length & 0xc0) == 0xc0) {
      at = wire_get_u16(base + at) & WIRE_POINTER_MOST;
      continue;
    }
    if (used + length + 1u > NAME_SIZE_MOST)
      return false;
    out->wire[used++] = length;
    if (length == 0) {
      out->size = (uint8_t)used;
      return true;
    }
    for (uint8_t i = 1; i <= length; i++)
      out->wire[used++] = name_lower(base[at + i]);
    at += length + 1u;
  }
  return false;
}
