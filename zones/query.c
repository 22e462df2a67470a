#include "zones/query.h"

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

/* Checks that the options fill the OPT's data exactly; unknown ones are ignored (RFC 6891 section 6.1.2). */
static bool options_fit(const uint8_t *data, size_t size) {
  struct reader reader = reader_of(data, size);
  while (reader_left(&reader) && !reader.failed) {
    reader_u16(&reader);
    uint16_t length = reader_u16(&reader);
    reader_take(&reader, length);
  }
  return !reader.failed;
}

/* Reads one additional record; false when the message is malformed. */
static bool read_additional(struct reader *reader, struct query *out) {
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
  if (type != TYPE_OPT)
    return true;
  if (out->has_edns || !owner_is_root || !options_fit(data, length))
    return false;
  out->has_edns = true;
  out->edns_payload = class < EDNS_PAYLOAD_LEAST ? EDNS_PAYLOAD_LEAST : class;
  out->edns_version = (uint8_t)(ttl >> 16);
  out->do_bit = ttl & 0x8000;
  return true;
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
  if (query->type == TYPE_AXFR || query->type == TYPE_IXFR)
    return RCODE_REFUSED;
  if (query->type >= 128 && query->type < TYPE_ANY) /* meta types, RFC 6895 section 3.1 */
    return RCODE_NOTIMP;
  if (query->class != CLASS_IN && query->class != CLASS_ANY)
    return RCODE_REFUSED;
  return RCODE_NOERROR;
}

enum query_verdict query_parse(const uint8_t *packet, size_t size, struct query *out) {
  if (size < WIRE_HEADER_SIZE)
    return QUERY_DROP_SHORT;
  out->packet = packet;
  out->flags = wire_get_u16(packet + 2);
  if (out->flags & FLAG_QR)
    return QUERY_DROP_RESPONSE;
  out->has_question = out->has_edns = out->do_bit = false;
  out->edns_version = 0;
  out->question_size = 0;
  out->type = out->class = 0;
  out->name.size = 0;
  out->rcode = RCODE_FORMERR;
  bool is_query = (out->flags & FLAG_OPCODE) == 0;
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
  if (answers != 0 || authorities > (out->type == TYPE_IXFR ? 1 : 0))
    return QUERY_FINE;
  for (uint16_t i = 0; i < authorities; i++)
    if (!skip_record(&reader))
      return QUERY_FINE;
  for (uint16_t i = 0; i < additionals; i++)
    if (!read_additional(&reader, out)) {
      return QUERY_FINE;
    }
  if (reader_left(&reader) == 0)
    out->rcode = judge(out);
  return QUERY_FINE;
}
