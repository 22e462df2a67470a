#include "gslb/main/watch.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

void watch_reset(struct watch *watch) {
  memset(watch, 0, sizeof *watch);
}

size_t watch_look(struct watch *watch, const struct board *board, const bool *is_waiting, size_t workers) {
  size_t still = WATCH_ALL_MOVE;
  for (size_t w = 0; w < workers; w++) {
    uint64_t turns = atomic_load_explicit(&board->workers[w].turns, memory_order_relaxed);
    if (still == WATCH_ALL_MOVE && is_waiting[w] && watch->was_waiting[w] && turns == watch->turns[w])
      still = w;
    watch->turns[w] = turns;
    watch->was_waiting[w] = is_waiting[w];
  }
  return still;
}

size_t watch_sockets(const int *udp, const int *tcp, size_t workers, size_t listen_count,
                     bool is_waiting[BOARD_WORKERS_MOST]) {
  size_t count = workers * listen_count;
  struct pollfd *looks = mem_array(2 * count, sizeof *looks);
  for (size_t i = 0; i < count; i++) {
    looks[i] = (struct pollfd){.fd = udp[i], .events = POLLIN};
    looks[count + i] = (struct pollfd){.fd = tcp[i], .events = POLLIN};
  }
  memset(is_waiting, 0, (count + workers) * sizeof *is_waiting);
  if (poll(looks, 2 * count, 0) > 0)
    for (size_t i = 0; i < count; i++) {
      is_waiting[i] = looks[i].revents & POLLIN;
      is_waiting[count + i / listen_count] |= (looks[count + i].revents & POLLIN) != 0;
    }
  free(looks);
  return count + workers;
}
