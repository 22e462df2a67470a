/* gslb/main/exec_monitors.h
 * The commands of exec monitors, run for the probe process: at most so many at once, each in a process group of its own
 * that is ended as a whole at the monitor's time-out, which counts from when probe asked. Probe names the monitor; what
 * is run stands in exec's own configuration. Part of the exec process; one thread. */
#ifndef GSLB_MAIN_EXEC_MONITORS_H
#define GSLB_MAIN_EXEC_MONITORS_H

#include <poll.h>
#include <stdint.h>
#include <sys/types.h>

#include "gslb/model/channel.h"
#include "gslb/model/config.h"

#define EXEC_MONITORS_AT_ONCE 16
#define EXEC_MONITORS_WAITING 256

struct exec_monitors;

struct exec_monitors *exec_monitors_new(int channel);
/* To probe; borrowed, -1 for none. */
void exec_monitors_free(struct exec_monitors *monitors);
/* Ends what runs. NULL is fine. */

void exec_monitors_run(struct exec_monitors *monitors, const struct config *config,
                       const struct channel_message *message);
/* A CHANNEL_RUN; each is answered with one CHANNEL_RAN. Nothing of config is kept. */

void exec_monitors_watch(const struct exec_monitors *monitors, struct pollfd ready[EXEC_MONITORS_AT_ONCE]);
/* What the running ones write. */
void exec_monitors_ready(struct exec_monitors *monitors, const struct pollfd ready[EXEC_MONITORS_AT_ONCE],
                         int64_t now_ms);
/* After poll: reads it, and ends those whose time is over. Mono. */
int exec_monitors_due_ms(const struct exec_monitors *monitors, int64_t now_ms);
/* How soon exec_monitors_ready has something to end; -1: nothing. */

void exec_monitors_reaped(struct exec_monitors *monitors, pid_t pid, int status);
/* A process was waited for, of whomever. */

#endif
