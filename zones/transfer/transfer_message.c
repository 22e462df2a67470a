#include "zones/transfer/transfer_message.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "zones/tables/record.h"

#define OPT_SIZE 11u
#define ERROR_SIZE 6u /* an extended error without text (RFC 8914) */

void transfer_messages_init(struct transfer_messages *messages, const struct query *query, size_t reserve,
                            uint16_t udp_payload) {
  *messages = (struct transfer_messages){.query = query, .reserve = reserve, .udp_payload = udp_payload};
}

void transfer_messages_clear(struct transfer_messages *messages) {
  struct transfer_message *message = messages->first;
  while (message) {
    struct transfer_message *next = message->next;
    free(message);
    message = next;
  }
  transfer_messages_init(messages, messages->query, messages->reserve, messages->udp_payload);
}

void transfer_messages_release(struct transfer_messages *messages) {
  transfer_messages_clear(messages);
}

/* The OPT stands in the first message alone (RFC 5936 section 2.2.5). */
static bool has_opt(const struct transfer_messages *messages) {
  return messages->query->has_edns && messages->first == messages->last;
}

static void put_header(struct transfer_messages *messages, uint16_t rcode, bool is_authoritative) {
  const struct query *query = messages->query;
  uint8_t *at = messages->last->bytes;
  uint16_t flags = FLAG_QR | (query->flags & (FLAG_OPCODE | FLAG_RD | FLAG_CD)) | (rcode & 15);
  memcpy(at, query->packet, 2);
  wire_set_u16(at + 2, is_authoritative ? flags | FLAG_AA : flags);
  wire_set_u16(at + 4, query->has_question && messages->first == messages->last);
  wire_set_u16(at + 6, messages->answers);
  wire_set_u16(at + 8, 0);
  wire_set_u16(at + 10, has_opt(messages));
}

static void put_opt(struct transfer_messages *messages, uint16_t rcode) {
  struct transfer_message *message = messages->last;
  uint8_t *at = message->bytes + message->size;
  memset(at, 0, OPT_SIZE);
  wire_set_u16(at + 1, TYPE_OPT);
  wire_set_u16(at + 3, messages->udp_payload);
  at[5] = (uint8_t)(rcode >> 4);
  wire_set_u16(at + 7, messages->query->do_bit ? 0x8000 : 0);
  message->size += OPT_SIZE;
  if (rcode != RCODE_REFUSED)
    return;
  wire_set_u16(at + 9, ERROR_SIZE);
  wire_set_u16(at + OPT_SIZE, OPTION_ERROR);
  wire_set_u16(at + OPT_SIZE + 2, 2);
  wire_set_u16(at + OPT_SIZE + 4, ERROR_PROHIBITED);
  message->size += ERROR_SIZE;
}

static void open_message(struct transfer_messages *messages) {
  struct transfer_message *message = mem_alloc(sizeof *message + WIRE_MESSAGE_MOST);
  message->room = WIRE_MESSAGE_MOST;
  message->size = WIRE_HEADER_SIZE;
  if (messages->last) {
    messages->last->next = message;
  } else {
    messages->first = message;
    memcpy(message->bytes + WIRE_HEADER_SIZE, messages->query->packet + WIRE_HEADER_SIZE,
           messages->query->question_size);
    message->size += messages->query->question_size;
  }
  messages->before = messages->last;
  messages->last = message;
  messages->answers = messages->apex_at = messages->owner_at = 0;
}

static void close_message(struct transfer_messages *messages, uint16_t rcode, bool is_authoritative) {
  put_header(messages, rcode, is_authoritative);
  if (has_opt(messages))
    put_opt(messages, rcode);
  /* what is not used goes back: many small zones may be under way at once */
  struct transfer_message *message = messages->last;
  size_t room = message->size + messages->reserve < message->room ? message->size + messages->reserve : message->room;
  message = mem_resize(message, 1, sizeof *message + room);
  message->room = room;
  messages->last = message;
  if (messages->before)
    messages->before->next = message;
  else
    messages->first = message;
}

/* Remembers where a name can be pointed at. */
static uint16_t pointable(size_t at) {
  return at <= WIRE_POINTER_MOST ? (uint16_t)at : 0;
}

static void put_owner(struct transfer_messages *messages, struct writer *writer, const struct transfer_record *record) {
  uint8_t apex_size = messages->query->name.size;
  bool is_same = messages->owner_at && record->owner_size == messages->owner_size &&
                 memcmp(record->owner, messages->owner, record->owner_size) == 0;
  if (is_same) {
    writer_u16(writer, 0xc000 | messages->owner_at);
    return;
  }
  size_t prefix = (size_t)(record->owner_size - apex_size);
  messages->owner_at = pointable(writer->used);
  messages->owner_size = record->owner_size;
  memcpy(messages->owner, record->owner, record->owner_size);
  if (!messages->apex_at || apex_size <= 2) {
    /* spelled out in our own case; the question has the client's */
    writer_bytes(writer, record->owner, record->owner_size);
    messages->apex_at = pointable(writer->used - apex_size);
  } else {
    if (prefix == 0)
      messages->owner_at = messages->apex_at;
    writer_bytes(writer, record->owner, prefix);
    writer_u16(writer, 0xc000 | messages->apex_at);
  }
}

static bool put_record(struct transfer_messages *messages, const struct transfer_record *record) {
  struct transfer_message *message = messages->last;
  size_t kept = messages->reserve + (has_opt(messages) ? OPT_SIZE + ERROR_SIZE : 0);
  struct writer writer = {.base = message->bytes, .used = message->size, .limit = WIRE_MESSAGE_MOST - kept};
  if (messages->answers == UINT16_MAX ||
      writer.limit < writer.used + record->owner_size + RECORD_HEAD_SIZE - 2u + record->size)
    return false;
  put_owner(messages, &writer, record);
  writer_u16(&writer, record->type);
  writer_u16(&writer, CLASS_IN);
  writer_u32(&writer, record->ttl_s);
  writer_u16(&writer, record->size);
  writer_bytes(&writer, record->data, record->size);
  message->size = writer.used;
  messages->answers++;
  messages->record_count++;
  return true;
}

bool transfer_messages_put(struct transfer_messages *messages, const struct transfer_record *record) {
  if (!messages->last)
    open_message(messages);
  if (put_record(messages, record))
    return true;
  if (messages->answers == 0)
    return false;
  close_message(messages, RCODE_NOERROR, true);
  open_message(messages);
  return put_record(messages, record);
}

void transfer_messages_close(struct transfer_messages *messages, uint16_t rcode, bool is_authoritative) {
  if (!messages->last)
    open_message(messages);
  close_message(messages, rcode, is_authoritative);
}
