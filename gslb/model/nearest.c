#include "gslb/model/nearest.h"

#include <ctype.h>
#include <string.h>

#define WORD_MOST 63u

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* Rows of the usual table: two back, one back, this one. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length) {
  size_t rows[3][WORD_MOST + 1];
  size_t *before = rows[0], *previous = rows[1], *current = rows[2];
  for (size_t j = 0; j <= b_length; j++)
    previous[j] = before[j] = j;
  for (size_t i = 1; i <= a_length; i++) {
    current[0] = i;
    for (size_t j = 1; j <= b_length; j++) {
      int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
      current[j] = least(least(previous[j], current[j - 1]) + 1, previous[j - 1] + (x != y));
      if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && y == tolower((unsigned char)a[i - 2]))
        current[j] = least(current[j], before[j - 2] + 1);
    }
    size_t *oldest = before;
    before = previous;
    previous = current;
    current = oldest;
  }
  return previous[b_length];
}

void nearest_begin(struct nearest *nearest, const char *wanted) {
  size_t third = strnlen(wanted, WORD_MOST + 1) / 3;
  *nearest = (struct nearest){.wanted = wanted, .distance = (third ? third : 1) + 1};
}

void nearest_offer(struct nearest *nearest, const char *candidate) {
  size_t wanted = strnlen(nearest->wanted, WORD_MOST + 1), offered = strnlen(candidate, WORD_MOST + 1);
  if (wanted > WORD_MOST || offered > WORD_MOST)
    return;
  size_t difference = wanted > offered ? wanted - offered : offered - wanted;
  if (difference >= nearest->distance)
    return;
  size_t distance = edit_distance(nearest->wanted, wanted, candidate, offered);
  if (distance < nearest->distance) {
    nearest->distance = distance;
    nearest->best = candidate;
  }
}
