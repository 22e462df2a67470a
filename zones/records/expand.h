/* zones/records/expand.h
 * One resource record out of a message, its names freed of compression (RFC 1035 section 4.1.4). The bytes are foreign:
 * every length is checked, and pointers lead backwards only. Pure; any thread. */
#ifndef GSLB_ZONES_RECORDS_EXPAND_H
#define GSLB_ZONES_RECORDS_EXPAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/model/name.h"
#include "zones/records/rdata.h"

struct expanded {
  struct name owner; /* lower case */
  uint16_t type;
  uint16_t class;
  uint32_t ttl_s; /* 0 where the highest bit was set (RFC 2181 section 8) */
  struct rdata data;
};

bool expand_record(const uint8_t *message, size_t size, size_t *at, struct expanded *out);
/* The record at *at; moves *at behind it. Names are looked for in the data of RFC 1035's types and of those named by
 * RFC 3597 section 4; any other data are taken as they are. False: malformed, or too long once expanded. */

#endif
