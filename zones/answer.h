/* zones/answer.h
 * From a parsed query to the reply: RFC 1034 section 4.3.2 over the image, with the balanced parts from the tables.
 * No lock, no allocation, no system call. One struct answerer a worker thread. */
#ifndef GSLB_ZONES_ANSWER_H
#define GSLB_ZONES_ANSWER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/random.h"
#include "gslb/model/board.h"
#include "zones/book.h"
#include "zones/query.h"

struct answerer {
  struct random random;
  struct board_worker *board; /* this worker's counters */
  _Atomic uint64_t *answers;  /* this worker's counters by member slot */
  uint32_t worker;            /* index */
  uint16_t udp_payload;       /* what this server takes and sends over UDP (RFC 6891) */
};

size_t answer_query(struct answerer *answerer, const struct book *book, const struct query *query, bool is_udp,
                    uint8_t *out, size_t room);
/* Writes the reply and returns its size, always at least a header. room is the transport's bound, at least 512; over
 * UDP the client's and the server's payload bound it further. Called between two quiescent states of the worker. */

#endif
