#include "gslb/base/prefix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void prefix_mask(uint8_t bytes[16], uint8_t bits) {
  size_t whole = bits / 8;
  if (whole >= 16)
    return;
  bytes[whole] &= (uint8_t)(0xff00 >> bits % 8);
  memset(bytes + whole + 1, 0, 16 - whole - 1);
}

enum status prefix_parse(const char *text, struct prefix *out) {
  char host[ADDR_TEXT_SIZE];
  const char *slash = strchr(text, '/');
  size_t length = slash ? (size_t)(slash - text) : strlen(text);
  if (length >= sizeof host)
    return STATUS_INVALID;
  memcpy(host, text, length);
  host[length] = '\0';
  struct addr addr;
  if (addr_parse(host, &addr) != STATUS_OK)
    return STATUS_INVALID;
  unsigned long most = addr.family == 4 ? 32 : 128, bits = most;
  if (slash) {
    if (!slash[1] || strlen(slash + 1) > 3 || strspn(slash + 1, "0123456789") != strlen(slash + 1))
      return STATUS_INVALID;
    bits = strtoul(slash + 1, NULL, 10);
    if (bits > most)
      return STATUS_RANGE;
  }
  struct prefix prefix = {.family = addr.family, .bits = (uint8_t)bits};
  memcpy(prefix.bytes, addr.bytes, sizeof prefix.bytes);
  prefix_mask(prefix.bytes, prefix.bits);
  if (memcmp(prefix.bytes, addr.bytes, sizeof prefix.bytes) != 0)
    return STATUS_RANGE;
  *out = prefix;
  return STATUS_OK;
}

const char *prefix_format(const struct prefix *prefix, char text[PREFIX_TEXT_SIZE]) {
  struct addr addr = {.family = prefix->family};
  char host[ADDR_TEXT_SIZE];
  memcpy(addr.bytes, prefix->bytes, sizeof addr.bytes);
  snprintf(text, PREFIX_TEXT_SIZE, "%s/%u", addr_format(&addr, host), prefix->bits);
  return text;
}

bool prefix_contains(const struct prefix *prefix, const struct addr *addr) {
  if (prefix->family != addr->family)
    return false;
  size_t whole = prefix->bits / 8;
  unsigned rest = prefix->bits % 8;
  if (memcmp(addr->bytes, prefix->bytes, whole) != 0)
    return false;
  return rest == 0 || (addr->bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest) == 0;
}

bool prefix_list_contains(const struct prefix *list, size_t count, const struct addr *addr) {
  for (size_t i = 0; i < count; i++)
    if (prefix_contains(&list[i], addr))
      return true;
  return false;
}
