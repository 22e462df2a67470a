/* zones/server.h
 * The dns process: one thread a worker answers from tables that a builder (the main thread) publishes by RCU. */
#ifndef GSLB_ZONES_SERVER_H
#define GSLB_ZONES_SERVER_H

#include "gslb/model/child.h"

int dns_run(struct child *child);
/* Serves until the supervisor says stop or goes away; returns the process's exit status. Says CHANNEL_READY once every
 * worker receives. The stores may be absent: then everything is unknown. */

#endif
