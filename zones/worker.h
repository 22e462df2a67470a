/* zones/worker.h
 * A worker: one thread that answers from the current book, either the datagrams of one UDP socket, where it waits in
 * the very call that receives, or the connections of some TCP listeners, where it waits in epoll. Offline for RCU while
 * it waits; without traffic it never wakes. */
#ifndef GSLB_ZONES_WORKER_H
#define GSLB_ZONES_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/model/board.h"
#include "zones/tables/book.h"
#include "zones/transfer/transfer.h"

struct worker_options {
  uint32_t index;       /* of its row on the board and of its turns in the book */
  int udp;              /* its socket, blocking; -1: it serves TCP */
  const int *listeners; /* non-blocking; borrowed for the worker's life, as the socket is */
  size_t listener_count;
  uint16_t udp_payload;
  bool has_udp_segmentation; /* see zones/udp_replies */
  uint32_t tcp_connections;
  uint32_t tcp_per_client;
  int64_t tcp_idle_ms;
  struct transfers *transfers;                /* borrowed */
  const struct config_rate_limit *rate_limit; /* of UDP; copied */
  uint32_t share;                             /* its number among the sharers */
  bool has_cpu_affinity;                      /* keeps to the processors whose number modulo sharers is share */
  uint32_t sharers;                           /* workers among which the kernel shares out one address' queries */
  uint64_t secret;                            /* for hashes of what clients choose */
  int notified;                               /* channel to control */
  struct board *board;
  struct book *const *book; /* where the builder publishes the current one; never NULL once a worker runs */
};

struct worker;

struct worker *worker_start(const struct worker_options *options, struct errbuf *err);
/* Runs from here on; returns once it serves. NULL: the system gave no thread or descriptor. */
void worker_stop(struct worker *worker);
/* Answers what it has read, ends the thread and frees everything but the sockets. */

#endif
