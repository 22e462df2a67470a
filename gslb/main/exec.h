/* gslb/main/exec.h
 * The exec process: runs the operator's commands for control: server.on_change for what it reports, and a service's
 * on_empty, whose end it tells back; each command in a process group of its own, at most 4 at once, the next 64 wait,
 * 30 seconds each; and those of exec monitors for probe (gslb/main/exec_monitors). No shell. One thread. */
#ifndef GSLB_MAIN_EXEC_H
#define GSLB_MAIN_EXEC_H

#include "gslb/model/child.h"
#include "gslb/model/config.h"

int exec_run(struct child *child);
/* Until the supervisor says stop or goes away; returns the process's exit status. */

const char *const *exec_find_on_empty(const struct config *config, const char *service);
/* The command of a service, or of the pattern that a created service is from; NULL when there is none. */

#endif
