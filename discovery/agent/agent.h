/* discovery/agent/agent.h
 * The running agent: joins the session with what this machine has to tell, its HTTP service, its control socket, what
 * it remembers, and the signals. One thread. */
#ifndef GSLB_DISCOVERY_AGENT_AGENT_H
#define GSLB_DISCOVERY_AGENT_AGENT_H

#include "discovery/agent/settings.h"
#include "gslb/base/status.h"

int agent_run(struct settings *settings, const char *config, const struct document_node *overlay);
/* Until SIGTERM or SIGINT has been served; returns the exit status. Takes the settings over; config and overlay are
 * read again at SIGHUP (settings_load) and borrowed. Signals are blocked from here on. */

#endif
