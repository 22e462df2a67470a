/* gslb/decide/balance.h
 * Drawing members by weight. An alias table (Walker 1977, built after Vose 1991) gives one draw in O(1); several
 * distinct draws are made one after the other among those left, as in sampling without replacement.
 * Pure: the caller brings the random numbers; building needs the caller's memory, drawing none. Any thread. */
#ifndef GSLB_DECIDE_BALANCE_H
#define GSLB_DECIDE_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/random.h"

struct alias_cell {
  uint32_t keep;  /* the cell's own index is drawn while the fraction is at or below this, in 1/2^32 */
  uint32_t other; /* otherwise this one */
};

void alias_build(const uint32_t *weights, uint32_t count, struct alias_cell *cells);
/* count cells from count weights, each at least 1, count at least 1 and at most 65,536. */

static inline uint32_t alias_draw(const struct alias_cell *cells, uint32_t count, uint64_t random) {
  /* the high half picks the cell, the low half the side */
  uint32_t index = (uint32_t)((random >> 32) * count >> 32);
  return (uint32_t)random <= cells[index].keep ? index : cells[index].other;
}
/* Index drawn in proportion to its weight; random: 64 uniform bits. */

uint32_t alias_draw_distinct(const struct alias_cell *cells, const uint32_t *weights, uint32_t count, uint32_t wanted,
                             struct random *random, uint32_t *drawn);
/* Stores min(wanted, count) different indices in drawn, in the order drawn; returns how many. Bounded: repeated draws
 * that hit what is already drawn give way to one pass over the weights left. wanted is at most 64. */

#endif
