/* zones/secondary/intake.h
 * The answer to a transfer query, message by message: AXFR (RFC 5936) and IXFR (RFC 1995), each record checked and put
 * into a content of its own, which is handed out only when the answer is complete. No I/O; signatures are the caller's
 * (zones/message/tsig). One thread. */
#ifndef GSLB_ZONES_SECONDARY_INTAKE_H
#define GSLB_ZONES_SECONDARY_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "zones/records/content.h"
#include "gslb/model/name.h"

enum intake_result {
  INTAKE_MORE,     /* and another message must follow */
  INTAKE_COMPLETE, /* intake_take has the zone */
  INTAKE_CURRENT,  /* the primary has nothing newer than what is held */
  INTAKE_FAILED,   /* err says why; stays so */
};

struct intake;

struct intake *intake_new(const struct name *zone, uint16_t id, struct content *held, uint64_t bytes_most);
/* held: the version that an IXFR query named, with one SOA record; taken over. NULL: the query was an AXFR. id: of the
 * query. bytes_most: of all messages together, and of memory for records. zone: lower case, copied. */
void intake_free(struct intake *intake);

enum intake_result intake_message(struct intake *intake, const uint8_t *message, size_t size, struct errbuf *err);
/* The next message, without its length and its TSIG record. Records outside the zone are passed over. */

struct content *intake_take(struct intake *intake, bool *is_difference);
/* Once, after INTAKE_COMPLETE: the zone, which is the caller's from then on. *is_difference: it came as differences. */

#endif
