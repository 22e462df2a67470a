/* gslb/net/snmp_listener.h
 * Hears traps and informs (RFC 3416 section 4.2.6 and 4.2.7) of v2c and v3 and answers informs. What comes from unknown
 * addresses, with a wrong community or without the security that the user is to have is dropped unread. An inform of v3
 * is addressed to this process's engine, whose id is made up at each start; a trap's engine is the sender's, and is
 * believed to be what the first message of the address says: the secrets still have to be right. Belongs to the loop's
 * thread. */
#ifndef GSLB_NET_SNMP_LISTENER_H
#define GSLB_NET_SNMP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/object_id.h"
#include "gslb/base/status.h"
#include "gslb/net/snmp.h"

#define SNMP_ENGINES_OF_SENDER_MOST 4u

struct snmp_notice { /* borrowed until heard returns */
  struct addr from;  /* without the port */
  bool is_inform;
  struct object_id event; /* snmpTrapOID; no parts: not told */
};

struct snmp_audience {
  bool (*knows)(void *context, const struct addr *from);
  /* Whether somebody there may speak; asked before anything of the message is read. */
  void (*heard)(void *context, const struct snmp_notice *notice);
  /* May not free the listener. */
  void *context;
};

struct snmp_listener;
struct snmp_listener *snmp_listener_new(struct snmp_client *client, const struct addr *listen, int fd,
                                        const struct snmp_identity *identities, size_t count,
                                        const struct snmp_audience *audience, struct errbuf *err);
/* Takes UDP datagrams from fd, a socket bound at listen, which it takes over. Copies the identities: those of v2c whose
 * communities are taken, those of v3 whose users are. NULL: it cannot; err says why, and fd is closed. */
void snmp_listener_free(struct snmp_listener *listener);
/* Before the client. NULL is fine. */

struct snmp_counts {
  uint64_t heard;   /* traps and informs that were taken */
  uint64_t dropped; /* datagrams that were not */
};
struct snmp_counts snmp_listener_counts(const struct snmp_listener *listener);

#endif
