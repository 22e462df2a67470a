#include "zones/query.h"

#include <string.h>

#include "zones/wire.h"

#define EDNS_PAYLOAD_LEAST 512u

/* The question's name; a pointer there has nothing before it to point to, so it is malformed. */
static bool read_question_name(struct reader *reader, struct name *out) {
  size_t used = 0;
  for (;;) {
    uint8_t length = reader_u8(reader);
    if (reader->failed || length > NAME_LABEL_MOST || used + length + 1 > NAME_SIZE_MOST)
      return false;
    out->wire[used++] = length;
    if (length == 0)
      break;
    const uint8_t *label = reader_take(reader, length);
    if (!label)
      return false;
    for (uint8_t i = 0; i < length; i++)
      out->wire[used++] = name_lower(label[i]);
    if (used >= NAME_SIZE_MOST)
      return false;
  }
  out->size = (uint8_t)used;
  return true;
}

/* RFC 7873 section 5.2.2: 8 bytes of the client's, or those and 8 to 32 of a server's. */
static bool read_cookie(const uint8_t *data, size_t size, struct query *out) {
  if (size != 8 && (size < 16 || size > QUERY_COOKIE_MOST))
    return false;
  memcpy(out->cookie, data, size);
  out->cookie_size = (uint8_t)size;
  return true;
}

static bool read_option(uint16_t code, const uint8_t *data, uint16_t size, struct query *out) {
  switch (code) {
  case OPTION_NSID:
    out->wants_nsid = true;
    return true;
  case OPTION_SUBNET:
    if (out->has_subnet)
      return true;
    out->has_subnet = true;
    return subnet_read(data, size, &out->subnet);
  case OPTION_COOKIE:
    return out->cookie_size ? true : read_cookie(data, size, out);
  case OPTION_KEEPALIVE:
    out->wants_keepalive = true;
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
  return out->edns_version != 0 || read_options(data, length, out);
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
  if (query->type == TYPE_AXFR || query->type == TYPE_IXFR)
    return RCODE_REFUSED;
  if (query->type >= 128 && query->type < TYPE_ANY) /* meta types, RFC 6895 section 3.1 */
    return RCODE_NOTIMP;
  if (query->class != CLASS_IN && query->class != CLASS_ANY && query->class != CLASS_CH)
    return RCODE_REFUSED;
  return RCODE_NOERROR;
}

enum query_verdict query_parse(const uint8_t *packet, size_t size, struct query *out) {
  if (size < WIRE_HEADER_SIZE)
    return QUERY_DROP_SHORT;
  out->packet = packet;
  out->size = (uint16_t)size;
  out->flags = wire_get_u16(packet + 2);
  if (out->flags & FLAG_QR)
    return QUERY_DROP_RESPONSE;
  out->has_question = out->has_edns = out->do_bit = false;
  out->wants_nsid = out->wants_keepalive = out->has_subnet = false;
  out->cookie_size = out->edns_version = 0;
  out->tsig_at = 0;
  out->question_size = 0;
  out->type = out->class = 0;
  out->name.size = 0;
  out->rcode = RCODE_FORMERR;
  out->is_notify = (out->flags & FLAG_OPCODE) == OPCODE_NOTIFY;
  bool is_query = (out->flags & FLAG_OPCODE) == 0 || out->is_notify;
  if (!is_query)
    out->rcode = RCODE_NOTIMP;

  uint16_t questions = wire_get_u16(packet + 4), answers = wire_get_u16(packet + 6);
  uint16_t authorities = wire_get_u16(packet + 8), additionals = wire_get_u16(packet + 10);
  struct reader reader = reader_of(packet + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE);
  if (questions != 1 || !read_question_name(&reader, &out->name))
    return QUERY_FINE;
  out->type = reader_u16(&reader);
  out->class = reader_u16(&reader);
  if (reader.failed)
    return QUERY_FINE;
  out->has_question = true;
  out->question_size = (uint16_t)(reader.at - packet - WIRE_HEADER_SIZE);
  if (!is_query)
    return QUERY_FINE;

  /* an IXFR query brings its SOA in the authority section (RFC 1995 section 3) */
  /* and a NOTIFY may bring the new one in the answer section (RFC 1996 section 3.7) */
  if (answers > (out->is_notify ? 1 : 0) || authorities > (out->type == TYPE_IXFR ? 1 : 0))
    return QUERY_FINE;
  for (uint32_t i = 0; i < (uint32_t)answers + authorities; i++)
    if (!skip_record(&reader))
      return QUERY_FINE;
  for (uint16_t i = 0; i < additionals; i++)
    if (!read_additional(&reader, i + 1 == additionals, out))
      return QUERY_FINE;
  if (reader_left(&reader) == 0)
    out->rcode = judge(out);
  return QUERY_FINE;
}
