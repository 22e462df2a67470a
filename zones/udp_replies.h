/* zones/udp_replies.h
 * The replies to one batch of datagrams, and how they leave. Those of one size to one port of a client go as a train:
 * the kernel passes it through all its layers once and parts it at the end (UDP_SEGMENT). Who asks over few ports, as
 * forwarders and load balancers do, gets most answers so; what a client sees is the same. One a worker thread; buffers
 * are allocated once. */
#ifndef GSLB_ZONES_UDP_REPLIES_H
#define GSLB_ZONES_UDP_REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define UDP_REPLIES_MOST 64u

struct udp_replies;

struct udp_replies *udp_replies_new(int fd, size_t payload, bool may_segment);
/* fd: a UDP socket; borrowed. payload: the largest reply in bytes. Without may_segment, or where the kernel knows no
 * trains, each reply leaves by itself. */
void udp_replies_free(struct udp_replies *replies);

uint8_t *udp_replies_room(struct udp_replies *replies);
/* Where the next reply is to be made, payload bytes, while fewer than UDP_REPLIES_MOST were added since the last send.
 */
void udp_replies_add(struct udp_replies *replies, const struct msghdr *query, size_t size);
/* What was made there, size bytes, goes to query's msg_name, with its msg_control; both stay as they are until the
 * replies are sent. */
unsigned udp_replies_send(struct udp_replies *replies);
/* Sends all that were added, in the order of their trains' first ones, without waiting. Returns how many the kernel did
 * not take; these are lost. */

#endif
