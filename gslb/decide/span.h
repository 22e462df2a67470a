/* gslb/decide/span.h
 * Networks that nest freely, laid flat: the whole address space cut into spans, each with the value of the longest
 * network that holds it. IPv4 and IPv6 are spaces of their own. An address is a number with the address's first bit as
 * its highest, so IPv4 stands in the top 32 bits. Pure; the caller owns all memory; any thread. */
#ifndef GSLB_DECIDE_SPAN_H
#define GSLB_DECIDE_SPAN_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span_network {
  __uint128_t first; /* its lowest address */
  uint32_t value;
  uint32_t order; /* set by span_flatten */
  uint8_t bits;
};

struct span { /* from here up to the next span, or to the end of the space */
  __uint128_t first;
  uint32_t value;
};

struct span_hit { /* what is found for an address */
  uint32_t value;
  uint8_t scope_bits; /* all addresses that share this many leading bits have the value; for one bit less some do not */
};

static inline uint32_t span_ipv4_of(const uint8_t bytes[4]) {
  uint32_t word;
  memcpy(&word, bytes, sizeof word);
  return be32toh(word);
}

static inline __uint128_t span_address_of(uint8_t family, const uint8_t bytes[16]) {
  uint64_t high, low;
  if (family == 4)
    return (__uint128_t)span_ipv4_of(bytes) << 96;
  memcpy(&high, bytes, sizeof high);
  memcpy(&low, bytes + 8, sizeof low);
  return (__uint128_t)be64toh(high) << 64 | be64toh(low);
}

size_t span_flatten(struct span_network *networks, size_t count, uint32_t outside, struct span *spans);
/* Writes the spans, ascending, to room for 2 * count + 1; returns how many. The first begins at address 0; neighbours
 * differ in value. outside: the value where no network is. Of equal networks the last one counts. Sorts networks. */

#endif
