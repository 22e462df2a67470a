/* gslb/main/ctl_zone.h
 * The commands of gslbctl about one zone. One thread; they return the exit status. */
#ifndef GSLB_MAIN_CTL_ZONE_H
#define GSLB_MAIN_CTL_ZONE_H

#include "gslb/main/ctl_command.h"

bool ctl_zone_is_check(const struct ctl_line *line);
/* zone check, which needs neither daemon nor configuration. */
int ctl_zone_check(const struct ctl_line *line);
/* zone check FILE: compiles that file alone and tells all that is wrong with it. */

int ctl_zone(const struct ctl_line *line, struct ctl_source *source);
/* zone query NAME [TYPE], zone reload NAME. */

#endif
