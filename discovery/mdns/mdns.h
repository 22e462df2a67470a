/* discovery/mdns/mdns.h
 * The balancer on a network without known names: answers _gslb-register._tcp.local by multicast DNS (RFC 6762,
 * RFC 6763) on the configured interfaces, IPv4 and IPv6, and lets another responder of the machine be (avahi may run
 * beside). One thread. Its names come from server.identity, which the operator keeps unique among balancers as the
 * stores and peers need it too, so it does not probe for them (section 8.1); whoever else uses one is logged. */
#ifndef GSLB_DISCOVERY_MDNS_MDNS_H
#define GSLB_DISCOVERY_MDNS_MDNS_H

#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "gslb/model/store.h"

struct mdns;

enum status mdns_start(const struct config *config, struct store *live, const struct house *house, struct mdns **out,
                       struct errbuf *err);
/* Borrows live and house until mdns_stop; of config it copies what it needs. Announces twice, a second apart (RFC 6762
 * section 8.3). Without interfaces it sleeps. An interface that is not there is logged and tried again. live NULL:
 * nothing is announced. */
void mdns_configure(struct mdns *mdns, const struct config *config);
void mdns_wake(struct mdns *mdns);
/* The balancers may have changed: announces again when they did. Any thread. */
void mdns_stop(struct mdns *mdns);
/* Says goodbye: the records with TTL 0 (section 10.1). NULL is fine. */

#endif
