#include "zones/message/subnet.h"

#include <assert.h>

#include "zones/message/wire.h"

#define HEAD_SIZE 4u /* family, source, scope */

/* Address families as IANA numbers them. */
enum { FAMILY_NONE = 0, FAMILY_IPV4 = 1, FAMILY_IPV6 = 2 };

static size_t address_size(uint8_t source_bits) {
  return (source_bits + 7u) / 8u;
}

/* Of a family's addresses; -1 for a family that we do not know. */
static int most_bits(uint16_t code) {
  switch (code) {
  case FAMILY_NONE:
    return 0;
  case FAMILY_IPV4:
    return 32;
  case FAMILY_IPV6:
    return 128;
  default:
    return -1;
  }
}

bool subnet_read(const uint8_t *data, size_t size, struct subnet *out) {
  static const uint8_t families[] = {[FAMILY_NONE] = 0, [FAMILY_IPV4] = 4, [FAMILY_IPV6] = 6};
  if (size < HEAD_SIZE)
    return false;
  uint16_t code = wire_get_u16(data);
  uint8_t source_bits = data[2], scope_bits = data[3];
  const uint8_t *bytes = data + HEAD_SIZE;
  size_t count = address_size(source_bits);
  if (source_bits > most_bits(code) || scope_bits != 0 || size - HEAD_SIZE != count)
    return false;
  if (source_bits % 8 && bytes[count - 1] & 0xff >> source_bits % 8)
    return false; /* bits beyond the source prefix */
  *out = (struct subnet){.family = families[code], .source_bits = source_bits};
  wire_copy(out->bytes, bytes, count);
  return true;
}

size_t subnet_size(const struct subnet *subnet) {
  return HEAD_SIZE + address_size(subnet->source_bits);
}

void subnet_write(const struct subnet *subnet, uint8_t scope_bits, uint8_t *out) {
  assert(subnet->source_bits <= 8 * sizeof subnet->bytes);
  uint16_t code = subnet->family == 4 ? FAMILY_IPV4 : subnet->family == 6 ? FAMILY_IPV6 : FAMILY_NONE;
  wire_set_u16(out, code);
  out[2] = subnet->source_bits;
  out[3] = scope_bits;
  wire_copy(out + HEAD_SIZE, subnet->bytes, address_size(subnet->source_bits));
}
