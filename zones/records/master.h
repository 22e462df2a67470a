/* zones/records/master.h
 * Reads a master file (RFC 1035 section 5, RFC 2308 section 4, RFC 3597) record by record, with $ORIGIN, $TTL and
 * $INCLUDE. Judges the form of each record alone, not what the zone means. One thread. */
#ifndef GSLB_ZONES_RECORDS_MASTER_H
#define GSLB_ZONES_RECORDS_MASTER_H

#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/base/status.h"
#include "gslb/model/name.h"
#include "zones/records/rdata.h"
#include "zones/records/provenance.h"

#define MASTER_DEPTH_MOST 8u /* files that include one another */

struct master_record { /* borrowed until the visit returns, but for file */
  const struct name *owner;
  uint64_t owner_hash; /* name_hash of it */
  uint16_t type;
  uint16_t class;
  uint32_t ttl_s;
  const struct rdata *data; /* uncompressed */
  const char *file;         /* lives in the arena */
  int line;
};

typedef void master_visit(void *context, const struct master_record *record);
typedef void master_announce(void *context, uint64_t owner_hash);

struct master_reading { /* all borrowed */
  struct arena *arena;
  master_visit *visit;
  master_announce *announce; /* told of owners some records before they are visited; of some never; NULL: not wanted */
  void *context;             /* of both */
  struct problems *problems;
  struct provenance *provenance; /* to which the files read are added; NULL: nobody wants to know */
};

enum status master_read(const char *file, const struct name *origin, const struct master_reading *reading);
/* Calls visit for each record in order. A record in error is told in problems, and reading goes on behind it.
 * STATUS_INVALID: something was added to problems. */

#endif
