/* gslb/main/exec.h
 * The exec process: runs the operator's command (server.on_change) for what control reports. No shell; each command in
 * a process group of its own, at most 4 at once, the next 64 wait, 30 seconds each. One thread. */
#ifndef GSLB_MAIN_EXEC_H
#define GSLB_MAIN_EXEC_H

#include <stddef.h>

#include "gslb/model/child.h"

int exec_run(struct child *child);
/* Until the supervisor says stop or goes away; returns the process's exit status. */

char **exec_environment(const char *text, size_t length);
/* The environment of a command: a fixed PATH and those of the NUL-terminated strings in text that are NAME=VALUE with a
 * NAME of capital letters, digits and underscores that begins with "GSLB_". Ends with NULL. One block: free() it. */

#endif
