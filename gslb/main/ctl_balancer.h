/* gslb/main/ctl_balancer.h
 * The commands of gslbctl about this balancer and its peers: who is there, and planned absences. One thread; those with
 * a line return the exit status. */
#ifndef GSLB_MAIN_CTL_BALANCER_H
#define GSLB_MAIN_CTL_BALANCER_H

#include <stdint.h>
#include <time.h>

#include "gslb/main/ctl_command.h"

int ctl_peers(const struct ctl_line *line, struct ctl_source *source);
int ctl_leave(const struct ctl_line *line, struct ctl_source *source);
/* leave --for DURATION [--at TIME], leave list, leave cancel [TIME]. */

enum status ctl_leave_start(const char *text, time_t now, int64_t *in_ms);
/* How long from now: "+10m", or "02:00" as the local clock shows it next. STATUS_INVALID. */

#endif
