/* gslb/decide/span_index.h
 * As gslb/decide/span_map for IPv4 alone, whose addresses are short: a first table parts all that lies between the
 * first and the last boundary evenly, into about as many parts as there are spans, so that each leaves few of them to
 * halve. Among 2,000,000 spans that is one read of 4 MiB, then about two halvings within a cache line. Takes 12 to 16
 * bytes a span; the table has 2^20 parts at the most. Immutable once built, in the caller's arena; any thread may look
 * up; no lock, no allocation. */
#ifndef GSLB_DECIDE_SPAN_INDEX_H
#define GSLB_DECIDE_SPAN_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/decide/span.h"

struct span_entry {
  uint32_t first; /* address */
  uint32_t value;
};

struct span_index {
  const struct span_entry *entries; /* ascending; the first begins at address 0 */
  uint32_t count;
  uint32_t origin;        /* the lowest address that is not of the first entry */
  uint32_t shift;         /* makes a part's number of an address less the origin */
  uint32_t last_part;     /* goes on to the end of the space */
  const uint32_t *starts; /* by part: the entry that holds its lowest address; one more for the end */
};

void span_index_build(struct span_index *index, struct arena *arena, const struct span *spans, size_t count,
                      const uint32_t *values);
/* As span_map_build; all spans begin where an IPv4 address does. */

struct span_hit span_index_find(const struct span_index *index, uint32_t address);
/* address: as a number in the machine's order. */

#endif
