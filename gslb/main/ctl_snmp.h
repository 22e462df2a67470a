/* gslb/main/ctl_snmp.h
 * gslbctl snmp: looks at a device by SNMP from here, without a daemon. One thread. */
#ifndef GSLB_MAIN_CTL_SNMP_H
#define GSLB_MAIN_CTL_SNMP_H

#include <stdbool.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"
#include "gslb/main/ctl_command.h"
#include "gslb/model/config.h"

bool ctl_snmp_is_alone(const struct ctl_line *line);
/* Whether the command line tells all that is needed, so that no configuration is read. */

int ctl_snmp(const struct ctl_line *line, struct ctl_source *source);
/* snmp walk DEVICE [OID], snmp suggest DEVICE. source may be NULL when ctl_snmp_is_alone. Returns the exit status. */

struct ctl_device {
  struct addr address;                     /* with a port */
  const struct config_snmp_access *access; /* as the member's source has it; NULL: nothing says */
};
enum status ctl_snmp_find_device(const struct config *config, const char *name, struct ctl_device *out,
                                 struct errbuf *err);
/* name: address, address@port, service/member, or a member that one service has; config may be NULL. */

#endif
