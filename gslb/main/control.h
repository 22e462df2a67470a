/* gslb/main/control.h
 * The control process: the HTTP interface, the committer, and the keeper that derives events, latches and slots from
 * the facts and takes checkpoints. */
#ifndef GSLB_MAIN_CONTROL_H
#define GSLB_MAIN_CONTROL_H

#include "gslb/model/child.h"

int control_run(struct child *child);
/* Until the supervisor says stop or goes away; returns the process's exit status. */

#endif
