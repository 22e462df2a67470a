/* zones/records/line.h
 * The lines that nearly all of a large master file is made of, read in one pass: an owner or a blank, perhaps TTL and
 * class, and one address or one name, without quotes, escapes or parentheses. They come to just what
 * zones/records/entry and zones/records/rdata make of them; every other line, and every line in error, is left to
 * those. Pure; any thread. */
#ifndef GSLB_ZONES_RECORDS_LINE_H
#define GSLB_ZONES_RECORDS_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/model/name.h"
#include "zones/records/entry.h"
#include "zones/records/rdata.h"

struct line { /* a record of class IN */
  uint64_t owner_hash;
  struct name owner;
  int number;
  uint32_t ttl_s;
  bool has_ttl;
  uint16_t type;
  struct rdata data;
};

bool line_read(struct entry *entry, const struct name *origin, const struct name *previous, struct line *out);
/* Reads the next line where it is such a one, and moves entry behind it. previous: the owner of the record before, size
 * 0 when there is none. False: entry is as it was, and *out undefined. */

#endif
