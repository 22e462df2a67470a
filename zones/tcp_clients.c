#include "zones/tcp_clients.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/base/random.h"

struct holder {
  uint64_t address[2];
  uint32_t count; /* 0: nobody is here */
};

struct tcp_clients {
  uint64_t keys[2];
  size_t mask; /* of places; at most half of them are taken */
  size_t held, most;
  struct holder *holders;
};

struct tcp_clients *tcp_clients_new(uint32_t connections) {
  assert(connections > 0);
  struct tcp_clients *clients = mem_alloc(sizeof *clients);
  size_t places = 2;
  while (places < 2 * (size_t)connections)
    places *= 2;
  clients->mask = places - 1;
  clients->most = connections;
  clients->holders = mem_array(places, sizeof *clients->holders);
  random_secret(clients->keys, sizeof clients->keys);
  return clients;
}

void tcp_clients_free(struct tcp_clients *clients) {
  if (!clients)
    return;
  free(clients->holders);
  free(clients);
}

static size_t home_of(const struct tcp_clients *clients, const uint64_t address[2]) {
  __uint128_t product = (__uint128_t)(address[0] + clients->keys[0]) * (address[1] + clients->keys[1]);
  uint64_t folded = ((uint64_t)product ^ (uint64_t)(product >> 64)) * UINT64_C(0x9e3779b97f4a7c15);
  return (size_t)(folded >> 32) & clients->mask;
}

/* Where the address stands, or would. */
static size_t place_of(const struct tcp_clients *clients, const uint64_t address[2]) {
  size_t at = home_of(clients, address);
  while (clients->holders[at].count && memcmp(clients->holders[at].address, address, sizeof(uint64_t[2])) != 0)
    at = (at + 1) & clients->mask;
  return at;
}

bool tcp_clients_add(struct tcp_clients *clients, const struct addr *client, uint32_t most) {
  uint64_t address[2];
  memcpy(address, client->bytes, sizeof address);
  struct holder *holder = &clients->holders[place_of(clients, address)];
  if (holder->count >= most)
    return false;
  assert(clients->held < clients->most);
  clients->held++;
  memcpy(holder->address, address, sizeof address);
  holder->count++;
  return true;
}

/* Moves those behind up, so that a search never ends early at the place that became free. */
static void close_gap(struct tcp_clients *clients, size_t gap) {
  for (size_t at = (gap + 1) & clients->mask; clients->holders[at].count; at = (at + 1) & clients->mask) {
    size_t home = home_of(clients, clients->holders[at].address);
    if (((at - home) & clients->mask) < ((at - gap) & clients->mask))
      continue; /* it would come to stand before its home */
    clients->holders[gap] = clients->holders[at];
    clients->holders[at].count = 0;
    gap = at;
  }
}

void tcp_clients_remove(struct tcp_clients *clients, const struct addr *client) {
  uint64_t address[2];
  memcpy(address, client->bytes, sizeof address);
  size_t at = place_of(clients, address);
  assert(clients->holders[at].count > 0);
  clients->held--;
  if (--clients->holders[at].count == 0)
    close_gap(clients, at);
}
