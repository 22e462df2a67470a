/* probes/kinds/pinger.h
 * ICMP and ICMPv6 echo (RFC 792, RFC 4443), many at once over one socket a family: a datagram socket of the kernel's
 * (net.ipv4.ping_group_range) where this process may have one, else the raw socket that it was given. A reply counts
 * when it comes from the address that was asked and carries the sequence number and the random token of the request.
 * Belongs to the loop's thread. */
#ifndef GSLB_PROBES_KINDS_PINGER_H
#define GSLB_PROBES_KINDS_PINGER_H

#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/net/loop.h"
#include "gslb/net/outcome.h"

struct pinger;
struct ping;

struct pinger *pinger_new(struct loop *loop, const int raw[2]);
/* Borrows the loop and the raw sockets (IPv4, IPv6; -1: none, and then pings of that family end with NET_LOCAL unless
 * datagram sockets are allowed). Never NULL. */
void pinger_free(struct pinger *pinger);
/* Cancels what still runs. NULL is fine. Before loop_free. */

typedef void ping_done(void *context, enum net_outcome outcome, const char *detail, uint32_t duration_us);
/* detail: more about an outcome other than NET_ANSWERED, for people; "" for none; borrowed until it returns. */

struct ping *pinger_start(struct pinger *pinger, const struct addr *address, int64_t timeout_ms, ping_done *done,
                          void *context);
/* done is called once, from the loop and never within this call, unless cancelled. The handle is borrowed until then.
 */
void pinger_cancel(struct ping *ping);
/* done is not called any more. */

#endif
