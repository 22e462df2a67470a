/* zones/udp.h
 * The UDP side: takes a batch off a socket, answers each datagram, sends the batch. One struct udp a worker thread;
 * buffers are allocated once. */
#ifndef GSLB_ZONES_UDP_H
#define GSLB_ZONES_UDP_H

#include <stddef.h>

#include "zones/answer/answer.h"
#include "zones/udp_replies.h"

#define UDP_BATCH ((int)UDP_REPLIES_MOST)

struct udp;

struct udp *udp_new(int fd, size_t payload, bool may_segment);
/* fd: a blocking socket; borrowed. payload: the largest reply in bytes. may_segment: see zones/udp_replies. */
void udp_free(struct udp *udp);

int udp_receive(struct udp *udp);
/* Waits for a datagram and takes at most UDP_BATCH that are there; returns how many. 0 or less: a signal came, or the
 * socket failed. */
void udp_answer(struct udp *udp, int count, struct answerer *answerer, const struct book *book);
/* Answers the count datagrams that udp_receive took. Failures of single replies are counted, never fatal. */

#endif
