/* zones/worker.h
 * One worker thread: its UDP sockets and TCP connections, answered from the current book. Waits in epoll only when its
 * sockets are empty; is offline for RCU while it waits. */
#ifndef GSLB_ZONES_WORKER_H
#define GSLB_ZONES_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/model/board.h"
#include "zones/book.h"
#include "zones/transfer.h"

struct worker_options {
  uint32_t index;
  const int *udp, *tcp; /* its own sockets, count of each; borrowed for the worker's life */
  size_t count;
  uint16_t udp_payload;
  uint32_t tcp_connections;
  uint32_t tcp_per_client;
  int64_t tcp_idle_ms;
  struct transfers *transfers;                /* borrowed */
  const struct config_rate_limit *rate_limit; /* copied */
  uint32_t worker_count;
  uint64_t secret; /* for hashes of what clients choose */
  int notified;    /* channel to control */
  struct board *board;
  struct book *const *book; /* where the builder publishes the current one; never NULL once a worker runs */
};

struct worker;

struct worker *worker_start(const struct worker_options *options, struct errbuf *err);
/* Runs from here on; returns once it serves. NULL: the system gave no thread or descriptor. */
void worker_stop(struct worker *worker);
/* Answers what it has read, ends the thread and frees everything but the sockets. */

#endif
