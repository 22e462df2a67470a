/* gslb/main/ctl_watch.h
 * gslbctl watch: what happens, as it happens. One thread. */
#ifndef GSLB_MAIN_CTL_WATCH_H
#define GSLB_MAIN_CTL_WATCH_H

#include "gslb/main/ctl_command.h"

int ctl_watch(const struct ctl_line *line, struct ctl_source *source);
/* Prints one line a change until the daemon goes or the output ends; returns the exit status. */

#endif
