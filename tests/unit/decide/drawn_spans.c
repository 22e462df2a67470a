#include "tests/unit/decide/drawn_spans.h"

#include <stdlib.h>

static int compare(const void *left, const void *right) {
  const struct span *a = left, *b = right;
  return (a->first > b->first) - (a->first < b->first);
}

size_t spans_sort(struct span *spans, size_t count) {
  qsort(spans, count, sizeof *spans, compare);
  size_t kept = 1;
  for (size_t i = 1; i < count; i++)
    if (spans[i].first != spans[kept - 1].first)
      spans[kept++] = spans[i];
  for (size_t i = 0; i < kept; i++)
    spans[i].value = (uint32_t)i;
  return kept;
}

size_t spans_draw(struct random *random, struct span *spans, size_t count, __uint128_t mask, __uint128_t base) {
  spans[0] = (struct span){0};
  for (size_t i = 1; i < count; i++) {
    __uint128_t high = random_next(random);
    spans[i] = (struct span){.first = base | ((high << 64 | random_next(random)) & mask)};
  }
  return spans_sort(spans, count);
}
