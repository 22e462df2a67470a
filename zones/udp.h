/* zones/udp.h
 * A worker's UDP side: receives a batch, answers each, sends the batch. One struct udp a worker thread; buffers are
 * allocated once. */
#ifndef GSLB_ZONES_UDP_H
#define GSLB_ZONES_UDP_H

#include <stddef.h>

#include "zones/answer.h"

struct udp;

struct udp *udp_new(size_t payload);
/* payload: the largest reply in bytes. */
void udp_free(struct udp *udp);

int udp_serve(struct udp *udp, int fd, struct answerer *answerer, const struct book *book);
/* Takes at most one batch off the non-blocking socket and answers it; returns how many datagrams it took, and
 * UDP_BATCH when more may wait. Failures of single replies are counted, never fatal. */

#define UDP_BATCH 64

#endif
