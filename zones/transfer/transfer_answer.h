/* zones/transfer/transfer_answer.h
 * AXFR (RFC 5936) and IXFR (RFC 1995): who may have a zone, and the messages that answer a transfer query. No I/O. */
#ifndef GSLB_ZONES_TRANSFER_TRANSFER_ANSWER_H
#define GSLB_ZONES_TRANSFER_TRANSFER_ANSWER_H

#include <stdint.h>

#include "gslb/base/addr.h"
#include "zones/message/query.h"
#include "zones/message/tsig.h"
#include "zones/tables/book.h"
#include "zones/transfer/difference.h"
#include "zones/transfer/transfer_message.h"

uint16_t transfer_authorize(const struct book *book, const struct name *name, const struct addr *peer,
                            const struct tsig_key *key, struct transfer_zone *zone);
/* Whether the peer, who signed with key (NULL: with none), may transfer the zone of that name: NOERROR, and *zone is
 * it; NOTAUTH when it is no zone of ours, REFUSED when the peer may not, SERVFAIL when there is no copy of it. No
 * allocation, no lock: for the answer path too, which answers an IXFR query over UDP with the apex' SOA alone (RFC 1995
 * section 4). Any thread, between two quiescent states. */

enum transfer_kind { TRANSFER_REFUSED, TRANSFER_WHOLE, TRANSFER_STEPS, TRANSFER_CURRENT };

struct transfer_answer {
  enum transfer_kind kind;
  uint16_t rcode;
  uint32_t serial; /* of what is sent */
  struct name name;
  struct tsig_keys *keys; /* those that tsig and stream borrow */
  struct tsig tsig;       /* of the query */
  struct tsig_stream stream;
  struct transfer_messages messages; /* unsigned, with room for the signature */
};

bool transfer_answer_make(struct transfer_answer *answer, const struct book *book, struct differences *differences,
                          const uint8_t *query, size_t size, const struct addr *peer, uint64_t now_s);
/* The whole answer in memory. differences may be NULL: whole zones only. now_s: Unix time, for TSIG. Called between two
 * quiescent states; what is made borrows nothing of the book. False: not to be answered at all (a response, or no
 * header); answer then holds nothing. */
size_t transfer_answer_sign(struct transfer_answer *answer, struct transfer_message *message, uint64_t now_s);
/* Each message in order, just before it is sent; its size from then on. 0: no room. */
void transfer_answer_release(struct transfer_answer *answer);

#endif
