/* zones/transfer/difference.h
 * What changed from one version of a zone to the next, as IXFR tells it (RFC 1995): computed when a new book takes the
 * place of the old one, kept for the last versions. The builder's thread alone writes; transfer threads read under a
 * mutex that no worker takes. */
#ifndef GSLB_ZONES_TRANSFER_DIFFERENCE_H
#define GSLB_ZONES_TRANSFER_DIFFERENCE_H

#include <stdint.h>

#include "gslb/base/status.h"
#include "zones/tables/book.h"
#include "zones/transfer/transfer_zone.h"

#define DIFFERENCES_VERSIONS_MOST 10u      /* a zone */
#define DIFFERENCES_ZONE_MOST (16u << 20)  /* bytes of a zone's differences together */
#define DIFFERENCES_TOTAL_MOST (64u << 20) /* bytes of all zones */

struct differences;

struct differences *differences_new(void);
void differences_free(struct differences *differences);

void differences_follow(struct differences *differences, const struct book *old, const struct book *fresh);
/* To be called by the builder before it publishes fresh, with the book that fresh replaces (NULL for the first one).
 * Compares every zone that somebody may transfer, so it takes time in proportion to their records. A zone that changed
 * without a newer serial, or by more than what is kept, loses its history; the first is logged, since no secondary will
 * ever see the change. */

enum status differences_visit(struct differences *differences, const struct transfer_zone *zone, uint32_t from_serial,
                              uint64_t records_most, transfer_visit *visit, void *context);
/* Visits the records of an IXFR answer from one version to the zone's, without the SOA that stands first and last: for
 * each step the old SOA, what was removed, the new SOA, what was added. STATUS_NOTFOUND: no chain of versions leads
 * from there to here. STATUS_LIMIT: it has more than records_most records. Nothing was visited then. STATUS_CONFLICT: a
 * visit ended it. */

uint64_t differences_bytes(struct differences *differences);
/* Held by now. */

#endif
