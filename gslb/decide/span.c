#include "gslb/decide/span.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#define DEPTH_MOST 130 /* the space itself and one network of each length, 0 to 128 */

struct open_network { /* a network that the sweep is inside of */
  __uint128_t last;   /* its highest address */
  uint32_t value;
};

/* Outer networks come before what they hold. */
static int compare(const void *left, const void *right) {
  const struct span_network *a = left, *b = right;
  if (a->first != b->first)
    return a->first < b->first ? -1 : 1;
  if (a->bits != b->bits)
    return a->bits < b->bits ? -1 : 1;
  return (a->order > b->order) - (a->order < b->order);
}

static void sort(struct span_network *networks, size_t count) {
  bool is_sorted = true;
  for (size_t i = 0; i < count; i++) {
    networks[i].order = (uint32_t)i;
    is_sorted = is_sorted && (i == 0 || compare(&networks[i - 1], &networks[i]) < 0);
  }
  if (!is_sorted)
    qsort(networks, count, sizeof *networks, compare);
}

static bool is_same_place(const struct span_network *a, const struct span_network *b) {
  return a->first == b->first && a->bits == b->bits;
}

static __uint128_t last_of(const struct span_network *network) {
  return network->bits < 128 ? network->first | ~(__uint128_t)0 >> network->bits : network->first;
}

/* A span that would begin where the one before it does replaces it. */
static size_t put(struct span *spans, size_t count, __uint128_t first, uint32_t value) {
  if (count && spans[count - 1].first == first)
    count--;
  if (count && spans[count - 1].value == value)
    return count;
  spans[count] = (struct span){.first = first, .value = value};
  return count + 1;
}

size_t span_flatten(struct span_network *networks, size_t count, uint32_t outside, struct span *spans) {
  struct open_network open[DEPTH_MOST] = {{.last = ~(__uint128_t)0, .value = outside}};
  size_t depth = 1, written = put(spans, 0, 0, outside);
  sort(networks, count);
  for (size_t i = 0; i < count; i++) {
    const struct span_network *network = &networks[i];
    if (i + 1 < count && is_same_place(network, &networks[i + 1]))
      continue;
    for (; open[depth - 1].last < network->first; depth--)
      written = put(spans, written, open[depth - 1].last + 1, open[depth - 2].value);
    assert(depth < DEPTH_MOST);
    open[depth++] = (struct open_network){.last = last_of(network), .value = network->value};
    written = put(spans, written, network->first, network->value);
  }
  /* what reaches the end of the space is followed by nothing */
  for (; open[depth - 1].last != ~(__uint128_t)0; depth--)
    written = put(spans, written, open[depth - 1].last + 1, open[depth - 2].value);
  return written;
}
