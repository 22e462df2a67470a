#include "discovery/mdns/mdns_message.h"

#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

#include "discovery/mdns/ldns_record.h"

#define TOP_BIT 0x8000u /* of a class: QU in questions, cache-flush in records */
#define LEGACY_TTL_S 10u

static void read_records(const ldns_rr_list *list, struct arena *arena, struct directory *out) {
  size_t count = ldns_rr_list_rr_count(list);
  *out = (struct directory){.records = arena_array(arena, count ? count : 1, sizeof *out->records),
                            .valid_until_ms = INT64_MAX};
  for (size_t i = 0; i < count; i++) {
    const ldns_rr *record = ldns_rr_list_rr(list, i);
    if (((unsigned)ldns_rr_get_class(record) & ~TOP_BIT) == LDNS_RR_CLASS_IN)
      ldns_record_read(record, arena, &out->records[out->count++]);
  }
}

static void read_questions(const ldns_rr_list *list, struct arena *arena, struct mdns_message *out) {
  size_t count = ldns_rr_list_rr_count(list);
  out->questions = arena_array(arena, count ? count : 1, sizeof *out->questions);
  for (size_t i = 0; i < count; i++) {
    const ldns_rr *record = ldns_rr_list_rr(list, i);
    unsigned class = (unsigned)ldns_rr_get_class(record) & ~TOP_BIT;
    struct directory_record row;
    if (class != LDNS_RR_CLASS_IN && class != LDNS_RR_CLASS_ANY)
      continue;
    ldns_record_read(record, arena, &row);
    out->questions[out->question_count++] =
        (struct mdns_question){.name = row.owner,
                               .type = row.type,
                               .wants_unicast = ((unsigned)ldns_rr_get_class(record) & TOP_BIT) != 0};
  }
}

enum status mdns_read(const uint8_t *bytes, size_t size, struct arena *arena, struct mdns_message *out) {
  ldns_pkt *packet;
  if (size < LDNS_HEADER_SIZE || ldns_wire2pkt(&packet, bytes, size) != LDNS_STATUS_OK)
    return STATUS_INVALID;
  bool is_usable = ldns_pkt_get_opcode(packet) == LDNS_PACKET_QUERY && ldns_pkt_get_rcode(packet) == LDNS_RCODE_NOERROR;
  if (is_usable) {
    *out = (struct mdns_message){.id = ldns_pkt_id(packet),
                                 .is_response = ldns_pkt_qr(packet),
                                 .is_cut = ldns_pkt_tc(packet)};
    read_questions(ldns_pkt_question(packet), arena, out);
    read_records(ldns_pkt_answer(packet), arena, &out->answers);
    read_records(ldns_pkt_additional(packet), arena, &out->additional);
  }
  ldns_pkt_free(packet);
  return is_usable ? STATUS_OK : STATUS_INVALID;
}

bool mdns_is_unique(const struct directory_record *record) {
  return record->owner.wire[0] > 0 && record->owner.wire[1] != '_';
}

static void push(ldns_pkt *packet, ldns_pkt_section section, const struct mdns_writing *writing,
                 const struct directory_record *record) {
  uint16_t class = LDNS_RR_CLASS_IN;
  uint32_t ttl_s = record->ttl_s;
  if (writing->is_legacy && ttl_s > LEGACY_TTL_S)
    ttl_s = LEGACY_TTL_S;
  else if (writing->is_response && !writing->is_legacy && mdns_is_unique(record))
    class |= TOP_BIT;
  ldns_pkt_push_rr(packet, section,
                   ldns_record_make(&record->owner, record->type, class, writing->is_goodbye ? 0 : ttl_s, record->data,
                                    record->size));
}

static ldns_pkt *make_packet(const struct mdns_writing *writing, const struct directory *answers,
                             const struct directory *additional, size_t additional_count) {
  ldns_pkt *packet = ldns_pkt_new();
  ldns_pkt_set_id(packet, writing->id);
  ldns_pkt_set_qr(packet, writing->is_response);
  ldns_pkt_set_aa(packet, writing->is_response);
  for (size_t i = 0; i < writing->question_count; i++) {
    const struct mdns_question *question = &writing->questions[i];
    ldns_rr *record = ldns_record_make(&question->name, question->type,
                                       LDNS_RR_CLASS_IN | (writing->wants_unicast ? TOP_BIT : 0), 0, NULL, 0);
    ldns_rr_set_question(record, true);
    ldns_pkt_push_rr(packet, LDNS_SECTION_QUESTION, record);
  }
  for (size_t i = 0; i < answers->count; i++)
    push(packet, LDNS_SECTION_ANSWER, writing, &answers->records[i]);
  for (size_t i = 0; i < additional_count; i++)
    push(packet, LDNS_SECTION_ADDITIONAL, writing, &additional->records[i]);
  return packet;
}

size_t mdns_write(const struct mdns_writing *writing, const struct directory *answers,
                  const struct directory *additional, uint8_t *out, size_t room) {
  size_t extra = additional ? additional->count : 0;
  for (;;) {
    uint8_t *wire = NULL;
    size_t size = 0;
    ldns_pkt *packet = make_packet(writing, answers, additional, extra);
    bool is_made = ldns_pkt2wire(&wire, packet, &size) == LDNS_STATUS_OK;
    bool fits = is_made && size <= room;
    if (fits)
      memcpy(out, wire, size);
    free(wire);
    ldns_pkt_free(packet);
    if (fits)
      return size;
    if (!is_made || !extra)
      return 0;
    extra--;
  }
}
