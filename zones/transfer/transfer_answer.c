#include "zones/transfer/transfer_answer.h"

#include <string.h>

#include "zones/image/find.h"
#include "zones/message/wire.h"
#include "zones/records/content.h"

static bool is_permitted(const struct config_zone *zone, const struct addr *peer, const struct tsig_key *key) {
  if (!transfer_zone_is_shared(zone))
    return false;
  if (zone->transfer_allow_count && !prefix_list_contains(zone->transfer_allow, zone->transfer_allow_count, peer))
    return false;
  for (size_t i = 0; i < zone->transfer_key_count; i++)
    if (key && key->index == zone->transfer_keys[i])
      return true;
  return zone->transfer_key_count == 0;
}

uint16_t transfer_authorize(const struct book *book, const struct name *name, const struct addr *peer,
                            const struct tsig_key *key, struct transfer_zone *zone) {
  const struct image_node *node = find_node(&book->image, name->wire, name->size, name_hash(name->wire, name->size));
  if (!node || !(node->flags & IMAGE_APEX))
    return RCODE_NOTAUTH;
  if (!is_permitted(&book->config->zones[node->zone], peer, key))
    return RCODE_REFUSED;
  *zone = (struct transfer_zone){.image = &book->image, .config = book->config, .index = node->zone};
  return transfer_zone_is_loaded(zone) ? RCODE_NOERROR : RCODE_SERVFAIL;
}

/* The serial in the authority section of an IXFR query (RFC 1995 section 3). */
static bool read_serial(const struct query *query, const uint8_t *packet, size_t size, uint32_t *serial) {
  struct name owner;
  size_t at = WIRE_HEADER_SIZE + query->question_size;
  if (wire_get_u16(packet + 8) != 1 || !wire_expand_name(packet, size, &at, &owner))
    return false;
  for (size_t i = 0; i < owner.size; i++)
    owner.wire[i] = name_lower(owner.wire[i]);
  if (owner.size != query->name.size || memcmp(owner.wire, query->name.wire, owner.size) != 0)
    return false;
  struct reader reader = reader_of(packet + at, size - at);
  uint16_t type = reader_u16(&reader);
  reader_take(&reader, 6);
  uint16_t length = reader_u16(&reader);
  const uint8_t *data = reader_take(&reader, length);
  if (!data || type != TYPE_SOA)
    return false;
  struct reader inner = reader_of(data, length);
  reader_skip_name(&inner);
  reader_skip_name(&inner);
  *serial = reader_u32(&inner);
  return !inner.failed;
}

static bool put(void *context, const struct transfer_record *record) {
  return transfer_messages_put(context, record);
}

static bool put_soa(struct transfer_answer *answer, const struct transfer_zone *zone) {
  return transfer_zone_visit_soa(zone, put, &answer->messages);
}

static bool put_whole(struct transfer_answer *answer, const struct transfer_zone *zone) {
  answer->kind = TRANSFER_WHOLE;
  transfer_messages_clear(&answer->messages);
  return put_soa(answer, zone) && transfer_zone_visit_all(zone, put, &answer->messages) && put_soa(answer, zone);
}

/* RFC 1995 section 4: the differences, or the whole zone where they are not known or no shorter. */
static bool put_steps(struct transfer_answer *answer, const struct transfer_zone *zone, struct differences *differences,
                      uint32_t serial) {
  answer->kind = TRANSFER_STEPS;
  if (!differences || !put_soa(answer, zone) ||
      differences_visit(differences, zone, serial, transfer_zone_image(zone)->record_count + 4ull, put,
                        &answer->messages) != STATUS_OK ||
      !put_soa(answer, zone))
    return put_whole(answer, zone);
  return true;
}

static uint16_t fill(struct transfer_answer *answer, const struct transfer_zone *zone, struct differences *differences,
                     const struct query *query, size_t size) {
  uint32_t serial, ours = transfer_zone_image(zone)->serial;
  bool is_put;
  answer->serial = ours;
  if (query->type == TYPE_AXFR) {
    is_put = put_whole(answer, zone);
  } else if (!read_serial(query, query->packet, size, &serial)) {
    return RCODE_FORMERR;
  } else if (!soa_is_newer(ours, serial)) {
    answer->kind = TRANSFER_CURRENT;
    is_put = put_soa(answer, zone);
  } else {
    is_put = put_steps(answer, zone, differences, serial);
  }
  return is_put ? RCODE_NOERROR : RCODE_SERVFAIL;
}

/* The query's TSIG; a verdict on it that is not good is the answer. */
static uint16_t verify(struct transfer_answer *answer, const struct book *book, const uint8_t *packet, size_t size,
                       uint64_t now_s) {
  /* keys that could not be read would not have passed the configuration's check: without them all are unknown */
  answer->keys = tsig_keys_new(book->config->keys, book->config->key_count, NULL);
  tsig_verify(answer->keys, packet, size, now_s, &answer->tsig);
  if (answer->tsig.verdict == TSIG_GOOD)
    tsig_stream_init(&answer->stream, answer->tsig.key, &answer->tsig.mac);
  return tsig_rcode(answer->tsig.verdict);
}

static uint16_t judge_query(const struct query *query) {
  bool is_transfer = query->type == TYPE_AXFR || query->type == TYPE_IXFR;
  /* the parser refuses transfers, since it knows not whether they came over TCP */
  if (query->rcode != RCODE_NOERROR && !(is_transfer && query->rcode == RCODE_REFUSED))
    return query->rcode;
  return is_transfer && query->class == CLASS_IN ? RCODE_NOERROR : RCODE_REFUSED;
}

static uint16_t answer_to(struct transfer_answer *answer, const struct book *book, struct differences *differences,
                          const struct query *query, size_t size, const struct addr *peer) {
  struct transfer_zone zone;
  uint16_t rcode = judge_query(query);
  if (rcode == RCODE_NOERROR)
    rcode = transfer_authorize(book, &query->name, peer, answer->tsig.key, &zone);
  if (rcode == RCODE_NOERROR)
    rcode = fill(answer, &zone, differences, query, size);
  return rcode;
}

bool transfer_answer_make(struct transfer_answer *answer, const struct book *book, struct differences *differences,
                          const uint8_t *packet, size_t size, const struct addr *peer, uint64_t now_s) {
  struct query query;
  memset(answer, 0, sizeof *answer);
  if (query_parse(packet, size, &query) != QUERY_FINE)
    return false;
  answer->name = query.name;
  uint16_t rcode = RCODE_NOERROR;
  if (query.tsig_at)
    rcode = verify(answer, book, packet, size, now_s);
  transfer_messages_init(&answer->messages, &query, tsig_reply_size(&answer->tsig),
                         (uint16_t)book->config->server.udp_payload);
  if (rcode == RCODE_NOERROR)
    rcode = answer_to(answer, book, differences, &query, size, peer);
  answer->rcode = rcode;
  if (rcode != RCODE_NOERROR) {
    answer->kind = TRANSFER_REFUSED;
    transfer_messages_clear(&answer->messages);
  }
  transfer_messages_close(&answer->messages, rcode, rcode == RCODE_NOERROR);
  answer->messages.query = NULL;
  return true;
}

size_t transfer_answer_sign(struct transfer_answer *answer, struct transfer_message *message, uint64_t now_s) {
  if (answer->tsig.verdict == TSIG_GOOD)
    message->size = tsig_stream_sign(&answer->stream, message->bytes, message->size, message->room, now_s);
  else
    message->size = tsig_sign_reply(&answer->tsig, message->bytes, message->size, message->room, now_s);
  return message->size;
}

void transfer_answer_release(struct transfer_answer *answer) {
  transfer_messages_release(&answer->messages);
  tsig_stream_release(&answer->stream);
  tsig_keys_free(answer->keys);
  memset(answer, 0, sizeof *answer);
}
