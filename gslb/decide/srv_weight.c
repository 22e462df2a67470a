#include "gslb/decide/srv_weight.h"

#define SCALE_MOST 100.0

uint16_t balance_srv_weight(uint32_t weight, double headroom, uint32_t heaviest) {
  double value = weight;
  if (heaviest) {
    double fitting = (double)UINT16_MAX / heaviest;
    value *= headroom * (fitting < SCALE_MOST ? fitting : SCALE_MOST);
  }
  if (!(value >= 1.0)) /* not a number either */
    return 1;
  return value >= UINT16_MAX ? UINT16_MAX : (uint16_t)(((uint32_t)(2 * value) + 1) / 2);
}

uint32_t balance_srv_heaviest(const struct config_service *service, const struct evaluation *evaluation) {
  uint32_t heaviest = 0;
  bool is_loaded = false;
  for (size_t i = 0; i < service->member_count; i++) {
    if (!evaluation->members[i].is_answered)
      continue;
    uint32_t configured = service->members[i].weight, weight = evaluation->members[i].weight;
    bool is_scaled = configured > 0 && weight > configured;
    if (!is_scaled)
      weight = configured;
    if (weight > heaviest)
      heaviest = weight;
    is_loaded |= is_scaled || evaluation->members[i].headroom < 1.0;
  }
  return is_loaded ? heaviest : 0;
}
