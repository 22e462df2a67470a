/* gslb/main/ctl_resource.h
 * The commands of gslbctl about registered resources. One thread; they return the exit status. */
#ifndef GSLB_MAIN_CTL_RESOURCE_H
#define GSLB_MAIN_CTL_RESOURCE_H

#include "gslb/main/ctl_command.h"

int ctl_resource(const struct ctl_line *line, struct ctl_source *source);
/* resource list, resource show ID, resource remove ID, resource allow ID. */

#endif
