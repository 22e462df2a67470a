/* zones/answer/answer.h
 * From a parsed query to the reply: RFC 1034 section 4.3.2 over the image, with the balanced parts from the tables.
 * No lock, no allocation, no system call. One struct answerer a worker thread. */
#ifndef GSLB_ZONES_ANSWER_ANSWER_H
#define GSLB_ZONES_ANSWER_ANSWER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/random.h"
#include "gslb/model/board.h"
#include "zones/answer/rrl.h"
#include "zones/message/query.h"
#include "zones/tables/book.h"

struct client {
  struct addr addr;
  bool is_udp;
};

struct answerer {
  struct random random;
  int64_t now_ms;             /* mono; of the batch that is being answered */
  struct board_worker *board; /* this worker's counters */
  _Atomic uint64_t *answers;  /* this worker's counters by member slot */
  struct rrl *rrl;            /* NULL: no limit */
  int notified;               /* channel to control */
  uint32_t worker;            /* index */
  uint16_t udp_payload;       /* what this server takes and sends over UDP (RFC 6891) */
};

size_t answer_query(struct answerer *answerer, const struct book *book, const struct query *query,
                    const struct client *client, uint8_t *out, size_t room);
/* Writes the reply and returns its size, at least a header; 0 when rate limiting says silence. room is the transport's
 * bound, at least 512; over UDP the client's and the server's payload bound it further. Called between two quiescent
 * states of the worker. */

#endif
