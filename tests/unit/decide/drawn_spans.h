/* tests/unit/decide/drawn_spans.h
 * Spans drawn by chance, for tests of what looks addresses up in them. */
#ifndef TESTS_DRAWN_SPANS_H
#define TESTS_DRAWN_SPANS_H

#include <stddef.h>

#include "gslb/base/random.h"
#include "gslb/decide/span.h"

size_t spans_sort(struct span *spans, size_t count);
/* Makes them ascend strictly, the first at 0, with their place as their value; returns how many are left. */
size_t spans_draw(struct random *random, struct span *spans, size_t count, __uint128_t mask, __uint128_t base);
/* The same of spans that begin at base with any bits of the mask; at most count of them. */

#endif
