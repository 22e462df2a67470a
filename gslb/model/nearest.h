/* gslb/model/nearest.h
 * Finds the word that a person probably meant. Pure; any thread. */
#ifndef GSLB_MODEL_NEAREST_H
#define GSLB_MODEL_NEAREST_H

#include <stddef.h>

struct nearest {
  const char *wanted;
  const char *best; /* borrowed from nearest_offer; NULL while nothing is near */
  size_t distance;  /* of best */
};

void nearest_begin(struct nearest *nearest, const char *wanted);
/* Borrows wanted. */
void nearest_offer(struct nearest *nearest, const char *candidate);
/* Takes the candidate (borrowed) when it is nearer than all before it and within a third of the wanted word's length,
 * at least one change. A change inserts, drops or replaces a byte or swaps two neighbours (optimal string alignment),
 * ASCII case aside. Words over 63 bytes are never near. */

#endif
