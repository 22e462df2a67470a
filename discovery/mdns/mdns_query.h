/* discovery/mdns/mdns_query.h
 * Asks the network for a service by multicast DNS, once (RFC 6762 section 5.1): on every interface that is up and knows
 * multicast, IPv4 and IPv6, from a port of its own. Belongs to its loop's thread. */
#ifndef GSLB_DISCOVERY_MDNS_MDNS_QUERY_H
#define GSLB_DISCOVERY_MDNS_MDNS_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/decide/directory.h"
#include "gslb/model/name.h"
#include "gslb/net/lookup.h"
#include "gslb/net/loop.h"

struct mdns_query;

struct mdns_query *mdns_query_start(struct loop *loop, const char *service, int64_t timeout_ms, lookup_done *done,
                                    void *context);
/* service: "_gslb-register._tcp.local". Asks again after 1 s, 2 s, 4 s and so on; a quarter of a second after the first
 * target with an address all that were heard of are given to done, which is called once, from the loop, never within
 * this call, unless cancelled. STATUS_TIMEOUT: nobody answered. STATUS_IO: no interface to ask on. STATUS_INVALID: the
 * service is no name. */
void mdns_query_cancel(struct mdns_query *query);
/* NULL is fine; never from done, after which it is gone. */

size_t mdns_query_collect(const struct directory *heard, const struct name *service, struct arena *arena,
                          struct lookup_answer *out);
/* The targets, and the strings of a TXT record, in what was heard: SRV records of the service's own name and of its
 * instances, with the addresses of their targets. Each target once. Returns how many have an address. */

#endif
