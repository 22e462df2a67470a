#include "gslb/model/load_latch.h"

#include <string.h>

/* FNV-1a of 64 bits: two of at most 64 metrics that an operator names do not meet. */
static uint64_t fold(uint64_t hash, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
  return hash;
}

static uint64_t id_of(const struct config_load_metric *metric) {
  const uint8_t rest[] = {(uint8_t)metric->source, (uint8_t)metric->view};
  uint64_t hash = fold(UINT64_C(0xcbf29ce484222325), metric->name, strlen(metric->name) + 1);
  return fold(hash, rest, sizeof rest);
}

static size_t metrics_of(const struct config_load *load) {
  if (!load)
    return 0;
  return load->metric_count < LOAD_LATCH_METRICS_MOST ? load->metric_count : LOAD_LATCH_METRICS_MOST;
}

void load_latch_pack(const struct config_load *load, uint64_t over, struct load_latch_record *out) {
  out->count = 0;
  for (size_t i = 0; i < metrics_of(load); i++)
    if (over >> i & 1u)
      out->over[out->count++].id = id_of(&load->metrics[i]);
}

uint64_t load_latch_unpack(const struct config_load *load, const struct load_latch_record *record) {
  uint64_t over = 0;
  for (size_t i = 0; i < metrics_of(load) && record->count > 0; i++) {
    uint64_t id = id_of(&load->metrics[i]);
    for (uint32_t j = 0; j < record->count; j++)
      if (record->over[j].id == id)
        over |= UINT64_C(1) << i;
  }
  return over;
}
