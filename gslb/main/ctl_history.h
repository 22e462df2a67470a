/* gslb/main/ctl_history.h
 * The command of gslbctl about figures over time. One thread. */
#ifndef GSLB_MAIN_CTL_HISTORY_H
#define GSLB_MAIN_CTL_HISTORY_H

#include "gslb/main/ctl_command.h"

int ctl_history(const struct ctl_line *line, struct ctl_source *source, const struct ctl_question *question);
/* history NAME [METRIC] of the member that question names; returns the exit status. */

#endif
