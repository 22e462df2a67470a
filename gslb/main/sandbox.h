/* gslb/main/sandbox.h
 * Fences around a child process: a seccomp filter that refuses (EPERM) the system calls that its role never makes, and
 * Landlock, where the kernel has it, for the files that it may reach. Neither can be taken back. Called by the child
 * before it starts threads. Builds with AddressSanitizer go unfenced: its leak check traces and forks. */
#ifndef GSLB_MAIN_SANDBOX_H
#define GSLB_MAIN_SANDBOX_H

#include <stdbool.h>

#include "gslb/base/status.h"
#include "gslb/model/config.h"

enum sandbox_role {
  SANDBOX_NONE,  /* exec: runs the operator's commands */
  SANDBOX_DNS,   /* reads the stores, writes their lock files; its sockets are open already */
  SANDBOX_PROBE, /* reads and writes the stores; makes connections; reads certificates, which others renew meanwhile */
  SANDBOX_CONTROL,  /* likewise */
  SANDBOX_COMPILER, /* reads any file; writes in SANDBOX_COMPILED alone */
};

#define SANDBOX_COMPILED "compiled" /* in the state directory: where the compiler keeps its image */

enum status sandbox_enter(enum sandbox_role role, const struct config *config, struct errbuf *err);
/* config tells the directories of the stores and the certificates; what does not exist is left out. STATUS_IO: a fence
 * could not be put up (err says which); the others stand. */

bool sandbox_has_same_files(enum sandbox_role role, const struct config *a, const struct config *b);
/* Whether a process of that role (probe, control), fenced in with a, can read the certificates of b. */

#endif
