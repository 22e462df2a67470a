/* gslb/main/exec_command.h
 * One command of the operator's: its environment, its start, and the last line that it writes. For the exec process;
 * one thread. */
#ifndef GSLB_MAIN_EXEC_COMMAND_H
#define GSLB_MAIN_EXEC_COMMAND_H

#include <stddef.h>
#include <sys/types.h>

#define EXEC_LINE_MOST 200u /* bytes of a command's last line that are told */
#define EXEC_READS_MOST 64  /* of what is left when a command ended */

char **exec_environment(const char *text, size_t length);
/* The environment of a command: a fixed PATH and those of the NUL-terminated strings in text that are NAME=VALUE with a
 * NAME of capital letters, digits and underscores that begins with "GSLB_". Ends with NULL. One block: free() it. */

int exec_spawn(const char *const *arguments, char **environment, int output, pid_t *pid);
/* In a process group of its own, whose id is *pid; nothing is open in it but /dev/null to read and output to write (-1:
 * where ours goes). Returns 0 or an errno. */

struct exec_line {
  char text[EXEC_LINE_MOST + 1]; /* the last line that is not blank, without its end; control characters as '?' */
  char next[EXEC_LINE_MOST + 1]; /* the one that has not ended */
  size_t used;
};
void exec_line_add(struct exec_line *line, const char *bytes, size_t size);
/* More of a command's output. Zero-initialised is empty. */
const char *exec_line_last(const struct exec_line *line);
/* "" when nothing was written; borrowed. A last line without its end counts. */

void exec_read(int *output, struct exec_line *line, int reads);
/* Adds what is there to the line, with at most so many reads; closes *output at its end and makes it -1. */

#endif
