/* zones/tables/listing.h
 * What the zones list beside their records: where to register and what can be browsed (gslb/decide/directory), in wire
 * form and by name. Built by the builder thread, published by RCU, immutable from then on. Any thread. */
#ifndef GSLB_ZONES_TABLES_LISTING_H
#define GSLB_ZONES_TABLES_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"
#include "zones/tables/table.h"

struct listing_set {
  uint16_t type;
  uint16_t target_count;
  struct table_row row;
  const uint16_t *targets; /* of SRV: offsets in the row's records of the names */
};

struct listing_name {
  uint64_t hash;
  const uint8_t *name; /* wire, lower case */
  uint8_t size;
  uint8_t set_count; /* 0: an empty non-terminal, or a name that has nothing to list now */
  struct listing_set *sets;
};

struct listing {
  struct arena arena;
  struct listing_name **slots; /* open addressing, linear probing */
  size_t slot_count;           /* a power of two, or 0 */
  size_t name_count;
};

bool listing_is_wanted(const struct config_zone *zone);

struct listing *listing_build(const struct config *config, const struct facts *facts, int64_t now_ms);
/* Of all zones that want one. Names that could have records and have none now are there as well, so that their absence
 * is kept for a short time only. */
void listing_free(struct listing *listing);
/* NULL is fine. */

const struct listing_name *listing_find(const struct listing *listing, const uint8_t *name, size_t size);
/* NULL listing or no such name: NULL. */
bool listing_has_above(const struct listing *listing, const uint8_t *name, size_t size, size_t encloser_size);
/* Whether a name between this one and its encloser is listed, so that a wildcard at the encloser is none of it. */
const struct listing_set *listing_set(const struct listing_name *name, uint16_t type);
/* NULL: none of that type. */

#endif
