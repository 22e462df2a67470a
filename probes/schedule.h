/* probes/schedule.h
 * The probe process: runs every monitor against every address of the members that it watches, spread over the
 * interval, and writes what it sees to the live store. */
#ifndef GSLB_PROBES_SCHEDULE_H
#define GSLB_PROBES_SCHEDULE_H

#include "gslb/model/child.h"

int probe_run(struct child *child);
/* Until the supervisor says stop or goes away; returns the process's exit status. */

#endif
