/* zones/secondary/fetch.h
 * Asks a primary for its SOA record and for the zone: sockets with deadlines, message by message. One thread a fetch;
 * nothing is shared. */
#ifndef GSLB_ZONES_SECONDARY_FETCH_H
#define GSLB_ZONES_SECONDARY_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"
#include "zones/records/content.h"
#include "gslb/model/name.h"
#include "zones/message/tsig.h"

struct fetch_limits {
  int64_t reply_ms; /* for an answer over UDP, of which FETCH_TRIES are asked for */
  int64_t idle_ms;  /* for a connection, and between two receptions on it */
  int64_t total_ms; /* for a transfer */
  uint64_t bytes;   /* of a transfer's messages, and of memory for its records */
};

#define FETCH_TRIES 3

extern const struct fetch_limits fetch_limits_default;
/* 2 s, 10 s, 10 min, 1 GiB. */

struct fetch { /* all borrowed */
  const struct name *zone;
  const struct addr *primary; /* with its port */
  const struct tsig_key *key; /* NULL: unsigned */
  const struct fetch_limits *limits;
  int cancel; /* gives up when this descriptor is readable; -1: never */
};

enum status fetch_soa(const struct fetch *fetch, struct soa *out, struct errbuf *err);
/* Over UDP, and over TCP when that brings nothing whole (RFC 1034 section 4.3.5). The answer must be authoritative, and
 * signed when there is a key (RFC 8945). STATUS_TIMEOUT, STATUS_IO; STATUS_FORBIDDEN: a code other than NOERROR, or a
 * signature that is wrong; STATUS_INVALID. */

enum status fetch_zone(const struct fetch *fetch, struct content *held, struct content **out, bool *is_difference,
                       struct errbuf *err);
/* AXFR, or with held IXFR over TCP and AXFR after it when the answer does not fit what is held. Takes held over; *out
 * is the caller's. STATUS_NODATA: the primary has nothing newer. Failures as above, and STATUS_LIMIT. */

#endif
