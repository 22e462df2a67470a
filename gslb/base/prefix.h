/* gslb/base/prefix.h
 * A network: an address and the number of its leading bits that count. Values; any thread. */
#ifndef GSLB_BASE_PREFIX_H
#define GSLB_BASE_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"

struct prefix {
  uint8_t family;    /* 4 or 6 */
  uint8_t bits;      /* 0 to 32 or 128 */
  uint8_t bytes[16]; /* zero beyond bits */
};

#define PREFIX_TEXT_SIZE 64

enum status prefix_parse(const char *text, struct prefix *out);
/* "192.0.2.0/24", "2001:db8::/32", or an address alone for all of its bits. STATUS_INVALID: not of that form.
 * STATUS_RANGE: bits are set beyond the length, or the length is too large. *out is untouched then. */
const char *prefix_format(const struct prefix *prefix, char text[PREFIX_TEXT_SIZE]);
bool prefix_contains(const struct prefix *prefix, const struct addr *addr);
bool prefix_list_contains(const struct prefix *list, size_t count, const struct addr *addr);
void prefix_mask(uint8_t bytes[16], uint8_t bits);
/* Zeroes what is beyond the first bits. */

#endif
