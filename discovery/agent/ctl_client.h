/* discovery/agent/ctl_client.h
 * "gslb-agent ctl": asks a running agent on its unix socket. One thread; blocks for a few seconds at most. */
#ifndef GSLB_DISCOVERY_AGENT_CTL_CLIENT_H
#define GSLB_DISCOVERY_AGENT_CTL_CLIENT_H

#include "gslb/base/status.h"

struct json_t;

enum status ctl_client_request(int count, char **words, struct json_t **out, struct errbuf *err);
/* The words of a command ("drain", "for", "maintenance") as the request that the agent understands; a new reference.
 * STATUS_INVALID. */
int ctl_client_run(int argc, char **argv);
/* argv[0] is "ctl". The exit status: 0 done, 1 refused or nobody there, 2 wrong usage. */

#endif
