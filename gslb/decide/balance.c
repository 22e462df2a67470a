#include "gslb/decide/balance.h"

#include <assert.h>
#include <stdbool.h>

#define DRAW_TRIES 8

void alias_build(const uint32_t *weights, uint32_t count, struct alias_cell *cells) {
  assert(count >= 1 && count <= 65536);
  uint64_t total = 0;
  for (uint32_t i = 0; i < count; i++) {
    assert(weights[i] >= 1);
    total += weights[i];
  }
  /* scaled[i] = weight * count, against total as a full cell; lists of small and large cells are threaded through
   * `other`, so no memory is needed */
  const uint32_t end = UINT32_MAX;
  uint32_t small = end, large = end;
  uint64_t large_left = 0; /* of the large cell in hand */
  for (uint32_t i = count; i-- > 0;) {
    bool is_small = (uint64_t)weights[i] * count < total;
    uint32_t *list = is_small ? &small : &large;
    cells[i].other = *list;
    *list = i;
  }
  if (large != end)
    large_left = (uint64_t)weights[large] * count;
  uint64_t small_left = small == end ? 0 : (uint64_t)weights[small] * count;
  while (small != end && large != end) {
    uint32_t index = small, donor = large;
    small = cells[index].other;
    cells[index].keep = (uint32_t)(((__uint128_t)small_left << 32) / total);
    cells[index].other = donor;
    large_left -= total - small_left;
    if (large_left < total) { /* the donor itself is small now */
      large = cells[donor].other;
      cells[donor].other = small;
      small = donor;
      small_left = large_left;
      large_left = large == end ? 0 : (uint64_t)weights[large] * count;
    } else if (small != end) {
      small_left = (uint64_t)weights[small] * count;
    }
  }
  /* what is left is full, but for rounding */
  uint32_t rest[2] = {small, large};
  for (int i = 0; i < 2; i++)
    for (uint32_t index = rest[i]; index != end;) {
      uint32_t next = cells[index].other;
      cells[index] = (struct alias_cell){.keep = UINT32_MAX, .other = index};
      index = next;
    }
}

static bool is_among(const uint32_t *drawn, uint32_t count, uint32_t index) {
  for (uint32_t i = 0; i < count; i++)
    if (drawn[i] == index)
      return true;
  return false;
}

/* One exact draw among those not drawn yet. */
static uint32_t draw_left(const uint32_t *weights, uint32_t count, struct random *random, const uint32_t *drawn,
                          uint32_t done) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < count; i++)
    if (!is_among(drawn, done, i))
      total += weights[i];
  uint64_t at = (uint64_t)(((__uint128_t)random_next(random) * total) >> 64);
  for (uint32_t i = 0; i < count; i++) {
    if (is_among(drawn, done, i))
      continue;
    if (at < weights[i])
      return i;
    at -= weights[i];
  }
  assert(false);
  return 0;
}

uint32_t alias_draw_distinct(const struct alias_cell *cells, const uint32_t *weights, uint32_t count, uint32_t wanted,
                             struct random *random, uint32_t *drawn) {
  if (wanted > count)
    wanted = count;
  for (uint32_t done = 0; done < wanted; done++) {
    uint32_t index = 0;
    bool is_new = false;
    for (int i = 0; i < DRAW_TRIES && !is_new; i++) {
      index = alias_draw(cells, count, random_next(random));
      is_new = !is_among(drawn, done, index);
    }
    drawn[done] = is_new ? index : draw_left(weights, count, random, drawn, done);
  }
  return wanted;
}
