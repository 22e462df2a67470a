/* gslb/decide/span_index.h
 * As gslb/decide/span_map for IPv4 alone, whose addresses are short: a first table by their upper bits, about as many
 * entries as there are spans, leaves few of them to halve. Among 2,000,000 spans that is one read of 4 MiB, then about
 * two halvings within a cache line. Takes 12 to 16 bytes a span; 20 bits at the most are looked up in the table.
 * Immutable once built, in the caller's arena; any thread may look up; no lock, no allocation. */
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
  uint32_t shift;         /* cuts an address down to the upper bits that the table is for */
  const uint32_t *starts; /* by these bits: the entry that holds their lowest address; one more for the end */
};

void span_index_build(struct span_index *index, struct arena *arena, const struct span *spans, size_t count,
                      const uint32_t *values);
/* As span_map_build; all spans begin where an IPv4 address does. */

struct span_hit span_index_find(const struct span_index *index, uint32_t address);
/* address: as a number in the machine's order. */

#endif
