/* discovery/agent/registration.h
 * The settings as the document that is registered (docs/api.md), and the address that balancers can reach this machine
 * at. Any thread. */
#ifndef GSLB_DISCOVERY_AGENT_REGISTRATION_H
#define GSLB_DISCOVERY_AGENT_REGISTRATION_H

#include "discovery/agent/settings.h"
#include "gslb/base/addr.h"
#include "gslb/base/status.h"

struct json_t;

struct json_t *registration_document(const struct settings *settings, const struct addr *addresses, size_t count,
                                     const struct addr *service);
/* service: where utilization and notices are served; NULL: nowhere. Its URLs name the first address, unless service has
 * one of the others. A new reference. */

enum status registration_route(const struct addr *to, struct addr *out, struct errbuf *err);
/* The address of this machine from which packets to that one go; without a port. STATUS_IO: there is no way. */

#endif
