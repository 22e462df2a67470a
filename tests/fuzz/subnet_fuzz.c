/* Any bytes as a query's Client Subnet option: what is accepted is written back as the same option but for the scope,
 * and what was written as a reply is read again only where its scope is 0. */
#include "zones/message/subnet.h"

#include <stdlib.h>
#include <string.h>

#define OPTION_MOST 20u /* of a whole IPv6 address */
#define SCOPE_AT 3u
#define UNWRITTEN 0xa5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
  if (!holds)
    abort();
}

static void check_again(const struct subnet *subnet, const uint8_t *data, size_t size, uint8_t scope_bits) {
  uint8_t again[OPTION_MOST + 1];
  memset(again, UNWRITTEN, sizeof again);
  subnet_write(subnet, scope_bits, again);
  check(again[size] == UNWRITTEN && again[SCOPE_AT] == scope_bits);
  struct subnet read;
  check(subnet_read(again, size, &read) == (scope_bits == 0));
  again[SCOPE_AT] = 0;
  check(memcmp(again, data, size) == 0);
  check(subnet_read(again, size, &read) && memcmp(&read, subnet, sizeof read) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct subnet subnet;
  if (!subnet_read(data, size, &subnet))
    return 0;
  check(size <= OPTION_MOST && subnet_size(&subnet) == size);
  check(subnet.family == 4 || subnet.family == 6 || (subnet.family == 0 && subnet.source_bits == 0));
  check(subnet.source_bits <= (subnet.family == 4 ? 32 : 128));
  for (size_t bit = subnet.source_bits; bit < 8 * sizeof subnet.bytes; bit++)
    check(!(subnet.bytes[bit / 8] & 0x80 >> bit % 8));
  check_again(&subnet, data, size, 0);
  check_again(&subnet, data, size, subnet.source_bits);
  check_again(&subnet, data, size, 255);
  return 0;
}
