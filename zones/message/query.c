#include "zones/message/query.h"

#include <string.h>

#include "zones/message/wire.h"

#define EDNS_PAYLOAD_LEAST 512u
#define QUESTION_TAIL_SIZE 4u            /* type and class */
#define TYPE_META_FIRST 128u             /* RFC 6895 section 3.1 */
#define ONE_QUESTION ((uint64_t)1 << 48) /* the four counts of a header as one number */
#define OPT_HEAD_SIZE 11u                /* from its owner, the root, to the length of its data */

/* Wire length of the question's name within so many bytes; 0: malformed, as is a pointer there, which has nothing
 * before it to point to. */
static size_t question_name_size(const uint8_t *name, size_t room) {
  size_t most = room < NAME_SIZE_MOST ? room : NAME_SIZE_MOST;
  for (size_t at = 0; at < most; at += name[at] + 1u) {
    if (name[at] == 0 || name[at] > NAME_LABEL_MOST)
      return name[at] == 0 ? at + 1 : 0;
  }
  return 0;
}

/* RFC 7873 section 5.2.2: 8 bytes of the client's, or those and 8 to 32 of a server's. */
static bool read_cookie(const uint8_t *data, size_t size, struct query *out) {
  if (size != 8 && (size < 16 || size > QUERY_COOKIE_MOST))
    return false;
  memcpy(out->cookie, data, size);
  out->cookie_size = (uint8_t)size;
  out->has_options = true;
  return true;
}

static bool read_option(uint16_t code, const uint8_t *data, uint16_t size, struct query *out) {
  switch (code) {
  case OPTION_NSID:
    out->has_options = out->wants_nsid = true;
    return true;
  case OPTION_SUBNET:
    if (out->has_subnet)
      return true;
    out->has_options = out->has_subnet = true;
    return subnet_read(data, size, &out->subnet);
  case OPTION_COOKIE:
    return out->cookie_size ? true : read_cookie(data, size, out);
  case OPTION_KEEPALIVE:
    out->has_options = out->wants_keepalive = true;
    return true;
  default:
    return true; /* unknown ones are ignored (RFC 6891 section 6.1.2) */
  }
}

/* The options must fill the OPT's data exactly. */
static bool read_options(const uint8_t *data, size_t size, struct query *out) {
  struct reader reader = reader_of(data, size);
  while (reader_left(&reader)) {
    uint16_t code = reader_u16(&reader);
    uint16_t length = reader_u16(&reader);
    const uint8_t *value = reader_take(&reader, length);
    if (!value || !read_option(code, value, length, out))
      return false;
  }
  return true;
}

static bool read_opt(struct query *out, bool owner_is_root, uint16_t class, uint32_t ttl, const uint8_t *data,
                     uint16_t length) {
  if (out->has_edns || !owner_is_root)
    return false;
  out->has_edns = true;
  out->edns_payload = class < EDNS_PAYLOAD_LEAST ? EDNS_PAYLOAD_LEAST : class;
  out->edns_version = (uint8_t)(ttl >> 16);
  out->do_bit = ttl & 0x8000;
  /* another version's options need not look like ours */
  return out->edns_version != 0 || length == 0 || read_options(data, length, out);
}

/* Reads one additional record; false when the message is malformed. */
static bool read_additional(struct reader *reader, bool is_last, struct query *out) {
  const uint8_t *owner = reader->at;
  reader_skip_name(reader);
  bool owner_is_root = !reader->failed && reader->at - owner == 1;
  uint16_t type = reader_u16(reader);
  uint16_t class = reader_u16(reader);
  uint32_t ttl = reader_u32(reader);
  uint16_t length = reader_u16(reader);
  const uint8_t *data = reader_take(reader, length);
  if (!data)
    return false;
  if (type == TYPE_OPT)
    return read_opt(out, owner_is_root, class, ttl, data, length);
  if (type != TYPE_TSIG)
    return true;
  out->tsig_at = (uint16_t)(owner - out->packet);
  return is_last; /* RFC 8945 section 5.1 */
}

static bool skip_record(struct reader *reader) {
  reader_skip_name(reader);
  reader_take(reader, 8);
  uint16_t length = reader_u16(reader);
  return reader_take(reader, length) != NULL;
}

/* What the header and the question allow, once the message is known to be well-formed. */
static uint16_t judge(const struct query *query) {
  if (query->has_edns && query->edns_version != 0)
    return RCODE_BADVERS;
  if (query->type == TYPE_OPT)
    return RCODE_FORMERR;
  if (query->is_notify)
    return query->type == TYPE_SOA && query->class == CLASS_IN ? RCODE_NOERROR : RCODE_FORMERR;
  if (query->type >= TYPE_META_FIRST && query->type < TYPE_ANY)
    return query->type == TYPE_AXFR || query->type == TYPE_IXFR ? RCODE_REFUSED : RCODE_NOTIMP;
  if (query->class != CLASS_IN && query->class != CLASS_ANY && query->class != CLASS_CH)
    return RCODE_REFUSED;
  return RCODE_NOERROR;
}

/* The records behind the question; true when the message ends with them. */
static bool read_records(const uint8_t *records, size_t size, struct query *out) {
  struct reader reader = reader_of(records, size);
  const uint8_t *packet = out->packet;
  uint16_t answers = wire_get_u16(packet + 6), authorities = wire_get_u16(packet + 8);
  uint16_t additionals = wire_get_u16(packet + 10);
  /* an IXFR query brings its SOA in the authority section (RFC 1995 section 3) */
  /* and a NOTIFY may bring the new one in the answer section (RFC 1996 section 3.7) */
  if (answers > (out->is_notify ? 1 : 0) || authorities > (out->type == TYPE_IXFR ? 1 : 0))
    return false;
  for (uint32_t i = 0; i < (uint32_t)answers + authorities; i++)
    if (!skip_record(&reader))
      return false;
  for (uint16_t i = 0; i < additionals; i++)
    if (!read_additional(&reader, i + 1 == additionals, out))
      return false;
  return reader_left(&reader) == 0;
}

/* Whether these bytes are one OPT record, as is all that most queries have behind their question. */
static bool is_opt(const uint8_t *record, size_t size) {
  return size >= OPT_HEAD_SIZE && record[0] == 0 && wire_get_u16(record + 1) == TYPE_OPT &&
         size - OPT_HEAD_SIZE == wire_get_u16(record + 9);
}

static bool read_behind_question(const uint8_t *at, size_t size, struct query *out) {
  uint64_t counts = wire_get_u64(out->packet + 4);
  if (counts == ONE_QUESTION)
    return size == 0;
  if (counts == ONE_QUESTION + 1 && is_opt(at, size))
    return read_opt(out, true, wire_get_u16(at + 3), wire_get_u32(at + 5), at + OPT_HEAD_SIZE,
                    (uint16_t)(size - OPT_HEAD_SIZE));
  return read_records(at, size, out);
}

enum query_verdict query_parse(const uint8_t *packet, size_t size, struct query *out) {
  if (size < WIRE_HEADER_SIZE)
    return QUERY_DROP_SHORT;
  uint16_t flags = wire_get_u16(packet + 2);
  if (flags & FLAG_QR)
    return QUERY_DROP_RESPONSE;
  out->packet = packet;
  out->size = (uint16_t)size;
  out->flags = flags;
  out->type = out->class = out->question_size = out->tsig_at = 0;
  out->has_question = out->is_notify = out->has_edns = out->do_bit = out->has_options = false;
  out->wants_nsid = out->wants_keepalive = out->has_subnet = false;
  out->edns_version = out->cookie_size = 0;
  out->name.size = 0;
  uint16_t opcode = flags & FLAG_OPCODE;
  out->is_notify = opcode == OPCODE_NOTIFY;
  bool is_query = opcode == 0 || out->is_notify;
  out->rcode = is_query ? RCODE_FORMERR : RCODE_NOTIMP;

  if (wire_get_u16(packet + 4) != 1)
    return QUERY_FINE;
  const uint8_t *name = packet + WIRE_HEADER_SIZE;
  size_t room = size - WIRE_HEADER_SIZE, name_size = question_name_size(name, room);
  if (!name_size || room - name_size < QUESTION_TAIL_SIZE)
    return QUERY_FINE;
  out->name.size = (uint8_t)name_size;
  out->type = wire_get_u16(name + name_size);
  out->class = wire_get_u16(name + name_size + 2);
  out->has_question = true;
  out->question_size = (uint16_t)(name_size + QUESTION_TAIL_SIZE);
  if (is_query && read_behind_question(name + out->question_size, room - out->question_size, out))
    out->rcode = judge(out);
  out->hash = name_lower_copy(out->name.wire, name, name_size);
  return QUERY_FINE;
}
