/* gslb/main/exec.h
 * The exec process: runs the operator's commands for control: server.on_change for what it reports, and a service's
 * on_empty, whose end it tells back. No shell; each command in a process group of its own, at most 4 at once, the next
 * 64 wait, 30 seconds each. One thread. */
#ifndef GSLB_MAIN_EXEC_H
#define GSLB_MAIN_EXEC_H

#include <stddef.h>

#include "gslb/model/child.h"
#include "gslb/model/config.h"

#define EXEC_LINE_MOST 200u /* bytes of a command's last line that are told */

int exec_run(struct child *child);
/* Until the supervisor says stop or goes away; returns the process's exit status. */

char **exec_environment(const char *text, size_t length);
/* The environment of a command: a fixed PATH and those of the NUL-terminated strings in text that are NAME=VALUE with a
 * NAME of capital letters, digits and underscores that begins with "GSLB_". Ends with NULL. One block: free() it. */

const char *const *exec_find_on_empty(const struct config *config, const char *service);
/* The command of a service, or of the pattern that a created service is from; NULL when there is none. */

struct exec_line {
  char text[EXEC_LINE_MOST + 1]; /* the last line that is not blank, without its end; control characters as '?' */
  char next[EXEC_LINE_MOST + 1]; /* the one that has not ended */
  size_t used;
};
void exec_line_add(struct exec_line *line, const char *bytes, size_t size);
/* More of a command's output. Zero-initialised is empty. */
const char *exec_line_last(const struct exec_line *line);
/* "" when nothing was written; borrowed. A last line without its end counts. */

#endif
