/* gslb/model/load_latch.h
 * Which thresholds of a load section are passed, between its form in memory, where the metrics' order counts, and the
 * one in the store, which outlives a configuration that lists them otherwise. Pure; any thread. */
#ifndef GSLB_MODEL_LOAD_LATCH_H
#define GSLB_MODEL_LOAD_LATCH_H

#include <stdint.h>

#include "gslb/model/config.h"
#include "gslb/model/records.h"

void load_latch_pack(const struct config_load *load, uint64_t over, struct load_latch_record *out);
/* over: bit i for the section's i-th metric. Leaves since_ms. */
uint64_t load_latch_unpack(const struct config_load *load, const struct load_latch_record *record);
/* Metrics that the section does not have, and a section NULL, have no bit. A metric is the same while its name, its
 * source and its view are. */

#endif
