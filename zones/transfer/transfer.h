/* zones/transfer/transfer.h
 * Zone transfers out, a service of the dns process with threads of its own: a TCP worker hands a connection with a
 * transfer query over and forgets it. A thread builds the answer out of the current book in memory, within one
 * read-side section of RCU, and is offline for RCU while it signs and sends; then it closes the connection. Memory: the
 * messages of one zone a thread. */
#ifndef GSLB_ZONES_TRANSFER_TRANSFER_H
#define GSLB_ZONES_TRANSFER_TRANSFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"
#include "zones/tables/book.h"
#include "zones/transfer/difference.h"

struct transfers_counts {                 /* since the start; any thread may read */
  _Atomic uint64_t whole, steps, current; /* answered by the whole zone, by differences, by the SOA alone */
  _Atomic uint64_t refused;               /* not authorized, not signed well, malformed, or not ours */
  _Atomic uint64_t failed;                /* the peer went away or was too slow */
  _Atomic uint64_t busy;                  /* not taken: too many */
};

struct transfers_options {
  struct book *const *book;        /* where the builder publishes the current one; never NULL there */
  struct differences *differences; /* NULL: whole zones only */
  uint32_t threads;                /* transfers that run at once; at least 1 */
  uint32_t waiting_most;           /* connections that wait for one */
  int64_t write_ms;                /* time-out of a write that makes no progress */
  int64_t total_ms;                /* of a whole transfer */
};

struct transfers;

struct transfers *transfers_new(const struct transfers_options *options, struct errbuf *err);
/* Starts the threads. NULL: the system gave no thread. */
void transfers_free(struct transfers *transfers);
/* Breaks off what runs, drops what waits, ends the threads. Nobody calls transfers_take any more. */

bool transfers_take(struct transfers *transfers, int fd, const uint8_t *query, size_t size, const struct addr *peer);
/* A TCP connection on which this message, an AXFR or IXFR query, came. True: it is answered on a duplicate of fd; the
 * caller takes fd out of its epoll instance (which would otherwise go on watching the connection), closes it and sends
 * nothing more. False: too many wait already or descriptors are lacking, and the caller answers REFUSED. Any thread;
 * never waits but for a mutex that is held for a few instructions. */

const struct transfers_counts *transfers_counts(const struct transfers *transfers);

#endif
