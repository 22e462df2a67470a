/* zones/tcp.h
 * A worker's TCP side (RFC 7766): connections accepted on its own listening sockets, queries in any slicing and
 * pipelined, replies in order: as many queries as came are read at once, and their replies sent at once. Memory is
 * bounded: a fixed number of connections, each of which holds at most one unfinished query, or, where the peer does not
 * read, what was read and answered at once, within a bound for all; a peer that does not read is not read from. One
 * struct tcp a worker thread. */
#ifndef GSLB_ZONES_TCP_H
#define GSLB_ZONES_TCP_H

#include <stdint.h>

#include "zones/answer/answer.h"
#include "zones/transfer/transfer.h"

struct tcp;
struct tcp_connection;

struct tcp *tcp_new(int epoll, uint32_t connections, uint32_t per_client, int64_t idle_ms, struct transfers *transfers);
/* Adds its connections to the epoll instance with their struct tcp_connection as data. per_client: how many one address
 * may hold; more are refused. transfers takes connections over on which a transfer is asked for; borrowed. */
void tcp_free(struct tcp *tcp);
/* Closes all connections. */

void tcp_accept(struct tcp *tcp, int listening, int64_t now_ms, struct answerer *answerer);
/* Takes all waiting connections. When the limit is reached, the one that was idle longest gives way. */
void tcp_event(struct tcp *tcp, struct tcp_connection *connection, int64_t now_ms, struct answerer *answerer,
               const struct book *book);
/* Serves one connection that epoll named, whatever the event; it may be closed by this. */
int tcp_expire(struct tcp *tcp, int64_t now_ms, struct answerer *answerer);
/* Closes what was idle too long; returns the milliseconds until the next one would be, -1 for none. */

#endif
