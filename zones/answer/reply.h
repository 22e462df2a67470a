/* zones/answer/reply.h
 * A reply in the making: where it stands in the message, and the ways to put records into it. RRsets go in whole or not
 * at all. On a worker's stack; no allocation. */
#ifndef GSLB_ZONES_ANSWER_REPLY_H
#define GSLB_ZONES_ANSWER_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zones/answer/answer.h"
#include "zones/message/wire.h"
#include "zones/tables/whole.h"

#define REPLY_TARGETS_MOST 64u /* names whose addresses go into the additional section */

enum section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL, SECTIONS };

enum target_kind {
  TARGET_NODE,   /* struct image_node: static or balanced addresses */
  TARGET_MEMBER, /* struct table_target: a member's own */
  TARGET_LISTED, /* struct listing_name */
};

struct reply_target { /* a name in the message whose addresses are wanted */
  const void *at;
  enum target_kind kind;
  uint16_t name_at;
};

struct reply {
  struct answerer *answerer;
  const struct book *book;
  const struct query *query;
  const struct client *client;
  struct writer writer;
  uint16_t counts[SECTIONS];
  uint16_t rcode;
  bool is_authoritative;
  bool is_truncated;
  bool is_cookie_valid;
  uint8_t scope_bits; /* of the client's address that the answer depended on */
  int error;          /* enum extended_error */
  /* the name being looked up: the question's, or one that an alias led to; and where in the message it stands */
  const struct name *name;
  uint64_t hash; /* of name */
  uint16_t name_at;
  const struct image_zone *zone;
  uint16_t apex_at;              /* where the zone's name stands in the message */
  const struct image_node *node; /* the last one that was found; NULL: none */
  const struct registered *made; /* whose node it is, when it is none of the image's; NULL otherwise */
  uint32_t target_count;
  struct reply_target targets[REPLY_TARGETS_MOST];
  struct name followed; /* what name points to behind an alias */
};

bool reply_put_rrset(struct reply *reply, const struct image_rrset *rrset, uint16_t owner_at, enum section section);
/* False when it does not fit, and then nothing is put. Notes the targets in it. */
void reply_require_rrset(struct reply *reply, const struct image_rrset *rrset, uint16_t owner_at, enum section section);
/* As reply_put_rrset for what the answer cannot do without: truncates. */
bool reply_put_row(struct reply *reply, const struct table_row *row, uint16_t owner_at, enum section section);
bool reply_put_whole(struct reply *reply, const struct table_whole *whole, uint32_t first, uint16_t owner_at);
/* All its records into the answer section, those of the row first in front. As reply_put_row. */
void reply_put_whole_addresses(struct reply *reply, const struct table_whole *whole, uint32_t first, size_t start);
/* The addresses that belong to records that reply_put_whole put at start, as far as they fit, into the additional
 * section, which must be empty. whole must have some. */
void reply_put_negative(struct reply *reply, uint32_t ttl_most_s);
/* The zone's SOA, with a TTL of at most ttl_most_s (RFC 2308). */
void reply_note_target(struct reply *reply, enum target_kind kind, const void *at, size_t name_at);
/* Its addresses are wanted in the additional section; once each. */
bool reply_read_back(const struct reply *reply, size_t at, struct name *out);
/* The name at an offset of our own message, lower-cased, pointers followed. */

static inline void reply_clear(struct reply *reply) {
  reply->writer.used = WIRE_HEADER_SIZE + reply->query->question_size;
  reply->writer.failed = false;
  reply->target_count = 0;
  for (int i = 0; i < SECTIONS; i++)
    reply->counts[i] = 0;
}
/* Takes all records back, down to the question. */

#endif
