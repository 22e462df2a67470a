/* zones/tcp_clients.h
 * How many connections each client address holds, so that none gets more than its share. A table of fixed size with a
 * keyed place: whoever chooses addresses cannot choose where they collide. One thread. */
#ifndef GSLB_ZONES_TCP_CLIENTS_H
#define GSLB_ZONES_TCP_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/addr.h"

struct tcp_clients;

struct tcp_clients *tcp_clients_new(uint32_t connections);
/* For so many connections in all, at least 1. */
void tcp_clients_free(struct tcp_clients *clients);

bool tcp_clients_add(struct tcp_clients *clients, const struct addr *client, uint32_t most);
/* Counts one more connection of the address; false, and nothing is counted, when it holds as many as it may. Ports do
 * not matter. */
void tcp_clients_remove(struct tcp_clients *clients, const struct addr *client);
/* One that was counted is closed. */

#endif
