/* probes/traps.h
 * Traps and informs at the configured port: a device that is measured by SNMP and says that something happened is read
 * at once, and when it keeps saying so at most every second. Belongs to the loop's thread. */
#ifndef GSLB_PROBES_TRAPS_H
#define GSLB_PROBES_TRAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "gslb/net/loop.h"
#include "gslb/net/snmp.h"

#define TRAPS_EVERY_MS 1000

struct traps_readers {
  bool (*knows)(void *context, const struct addr *device);
  /* Whether a source reads that address (its port is 0 here) by SNMP. */
  void (*read)(void *context, const struct addr *device);
  /* Has those sources read it now. May not free the traps. */
  void *context;
};

struct traps;
struct traps *traps_new(struct loop *loop, struct snmp_client *client, const struct config *config, int fd,
                        const struct traps_readers *readers, struct errbuf *err);
/* Listens on fd, a UDP socket that is bound at config->trap_listen and which it takes over; whoever has one
 * of the communities or users of config->snmp is believed. Borrows loop and client until traps_free. NULL: it cannot,
 * as err says. */
void traps_free(struct traps *traps);
/* Before the client. NULL is fine. */

struct traps_counts {
  uint64_t heard, dropped;
};
struct traps_counts traps_counts(const struct traps *traps);

#endif
