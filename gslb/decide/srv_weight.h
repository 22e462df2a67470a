/* gslb/decide/srv_weight.h
 * Weights of SRV records (RFC 2782) from what members are configured with and the headroom that they report.
 * Pure; any thread. */
#ifndef GSLB_DECIDE_SRV_WEIGHT_H
#define GSLB_DECIDE_SRV_WEIGHT_H

#include <stdint.h>

#include "gslb/decide/evaluate.h"
#include "gslb/model/config.h"

uint16_t balance_srv_weight(uint32_t weight, double headroom, uint32_t heaviest);
/* weight * headroom * scale, rounded, from 1 to 65535: a live target is never left to the small chance that RFC 2782
 * gives weight 0. scale is 100, so that headroom shows even for weight 1, and less where the heaviest (not below
 * weight) times 100 would not fit; with heaviest 0 it is 1 and headroom does not count. headroom: 0 to 1. */

uint32_t balance_srv_heaviest(const struct config_service *service, const struct evaluation *evaluation);
/* For the above: the greatest weight for the draw among the members that are answered, or 0 when each of them has all
 * its headroom and its configured weight, since then the plain weights say the same. */

#endif
