/* zones/transfer/transfer_message.h
 * The messages of a transfer's answer (RFC 5936 section 2.2), filled record by record and kept in memory until they are
 * sent. Each is as large as DNS over TCP allows; owners are compressed within it. One thread; owns its messages. */
#ifndef GSLB_ZONES_TRANSFER_TRANSFER_MESSAGE_H
#define GSLB_ZONES_TRANSFER_TRANSFER_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zones/message/query.h"
#include "zones/message/wire.h"
#include "zones/transfer/transfer_zone.h"

struct transfer_message {
  struct transfer_message *next;
  size_t size;
  size_t room;     /* at least size and what was to be kept free */
  uint8_t bytes[]; /* without the length that stands before it on TCP */
};

struct transfer_messages {
  const struct query *query;                      /* borrowed until transfer_messages_close */
  size_t reserve;                                 /* bytes kept free at the end of each message */
  uint16_t udp_payload;                           /* for the OPT record (RFC 6891) */
  struct transfer_message *first, *before, *last; /* before: the last but one */
  uint64_t record_count;
  /* of the message being filled: */
  uint16_t answers;
  uint16_t apex_at;  /* where the zone's name stands; 0: not yet */
  uint16_t owner_at; /* where the owner of the last record stands; 0: nowhere that a pointer reaches */
  uint8_t owner_size;
  uint8_t owner[NAME_SIZE_MOST];
};

void transfer_messages_init(struct transfer_messages *messages, const struct query *query, size_t reserve,
                            uint16_t udp_payload);
void transfer_messages_release(struct transfer_messages *messages);

bool transfer_messages_put(struct transfer_messages *messages, const struct transfer_record *record);
/* The first record's owner is the zone's apex (the question's name). False: no message can hold the record. */

void transfer_messages_close(struct transfer_messages *messages, uint16_t rcode, bool is_authoritative);
/* Ends the last message, and makes one without records where there is none. */
void transfer_messages_clear(struct transfer_messages *messages);
/* Takes all records back, to begin anew with the same query. */

#endif
