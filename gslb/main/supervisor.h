/* gslb/main/supervisor.h
 * The first process of gslbd: opens the sockets, starts the children with only the rights that each needs, restarts one
 * that dies, carries new configurations to them, and reports to systemd. Runs nothing that comes from the network and
 * never waits for a child. One thread. */
#ifndef GSLB_MAIN_SUPERVISOR_H
#define GSLB_MAIN_SUPERVISOR_H

#include "gslb/main/children.h"

int supervisor_run(const char *path, child_main *const mains[BOARD_PROCESSES]);
/* Until SIGTERM or SIGINT; returns the exit status: 1 when it could not start (the reasons are on stderr). mains: what
 * each child runs; that of BOARD_SUPERVISOR is not used. */

#endif
