/* zones/message/subnet.h
 * The EDNS Client Subnet option (RFC 7871): read strictly, written with the scope of our decision. Values; any thread.
 */
#ifndef GSLB_ZONES_MESSAGE_SUBNET_H
#define GSLB_ZONES_MESSAGE_SUBNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct subnet {
  uint8_t family; /* 4 or 6; 0 with source_bits 0: the client wants no subnet used, and gave no family */
  uint8_t source_bits;
  uint8_t bytes[16]; /* zero beyond source_bits */
};

bool subnet_read(const uint8_t *data, size_t size, struct subnet *out);
/* The option's data of a query. False for what must be answered FORMERR: unknown family, a source prefix longer than
 * the family's addresses, a scope other than 0, address bytes too many or too few, bits set beyond the source prefix
 * (RFC 7871 section 7.1.2). Family 0 is allowed with source 0 and no address. */

size_t subnet_size(const struct subnet *subnet);
/* Bytes of the option's data in a reply. */
void subnet_write(const struct subnet *subnet, uint8_t scope_bits, uint8_t *out);
/* The query's option with the scope set. */

#endif
