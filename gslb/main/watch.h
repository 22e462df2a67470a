/* gslb/main/watch.h
 * Notices a dns worker that stands still: its sockets hold queries while its turns do not move. Looks once a second.
 * Supervisor only, one thread. */
#ifndef GSLB_MAIN_WATCH_H
#define GSLB_MAIN_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/model/board.h"

struct watch {
  uint64_t turns[BOARD_WORKERS_MOST];
  bool was_waiting[BOARD_WORKERS_MOST]; /* its sockets held data at the last look */
};

void watch_reset(struct watch *watch);
/* After a new dns child has started: one look proves nothing. */

#define WATCH_ALL_MOVE SIZE_MAX
size_t watch_look(struct watch *watch, const struct board *board, const bool *is_waiting, size_t workers);
/* is_waiting: whether a worker's sockets hold data now. Returns the first worker for which they did so at the last look
 * too while its turns have not moved since; WATCH_ALL_MOVE when there is none. */

size_t watch_sockets(const int *udp, const int *tcp, size_t workers, size_t listen_count,
                     bool is_waiting[BOARD_WORKERS_MOST]);
/* Fills is_waiting, by one system call, in the order of zones/server: a worker for each UDP socket, then those of TCP,
 * each of which has listen_count listeners. Returns how many workers that is. */

#endif
