#include "gslb/base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status addr_parse(const char *text, struct addr *out) {
  struct addr addr = {0};
  if (inet_pton(AF_INET, text, addr.bytes) == 1)
    addr.family = 4;
  else if (inet_pton(AF_INET6, text, addr.bytes) == 1)
    addr.family = 6;
  else
    return STATUS_INVALID;
  *out = addr;
  return STATUS_OK;
}

enum status addr_parse_port(const char *text, struct addr *out) {
  const char *at = strrchr(text, '@');
  char host[INET6_ADDRSTRLEN];
  if (!at || (size_t)(at - text) >= sizeof host || !at[1])
    return STATUS_INVALID;
  memcpy(host, text, (size_t)(at - text));
  host[at - text] = '\0';
  struct addr addr;
  if (addr_parse(host, &addr) != STATUS_OK)
    return STATUS_INVALID;
  if (strspn(at + 1, "0123456789") != strlen(at + 1) || strlen(at + 1) > 5)
    return STATUS_INVALID;
  unsigned long port = strtoul(at + 1, NULL, 10);
  if (port < 1 || port > 65535)
    return STATUS_RANGE;
  addr.port = (uint16_t)port;
  *out = addr;
  return STATUS_OK;
}

const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_SIZE]) {
  text[0] = '\0';
  inet_ntop(addr->family == 4 ? AF_INET : AF_INET6, addr->bytes, text, ADDR_TEXT_SIZE);
  return text;
}

const char *addr_format_port(const struct addr *addr, char text[ADDR_TEXT_SIZE]) {
  addr_format(addr, text);
  size_t used = strlen(text);
  snprintf(text + used, ADDR_TEXT_SIZE - used, "@%u", addr->port);
  return text;
}

size_t addr_length(const struct addr *addr) {
  return addr->family == 4 ? 4 : 16;
}

bool addr_equal(const struct addr *a, const struct addr *b) {
  return a->family == b->family && a->port == b->port && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool addr_is_loopback(const struct addr *addr) {
  if (addr->family == 4)
    return addr->bytes[0] == 127;
  static const uint8_t one[16] = {[15] = 1};
  return memcmp(addr->bytes, one, sizeof one) == 0;
}

socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *out) {
  memset(out, 0, sizeof *out);
  if (addr->family == 4) {
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons(addr->port);
    memcpy(&in->sin_addr, addr->bytes, 4);
    return sizeof *in;
  }
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(addr->port);
  memcpy(&in6->sin6_addr, addr->bytes, 16);
  return sizeof *in6;
}

enum status addr_from_sockaddr(const struct sockaddr *sa, struct addr *out) {
  if (sa->sa_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
    *out = (struct addr){.family = 4, .port = ntohs(in->sin_port)};
    memcpy(out->bytes, &in->sin_addr, 4);
  } else if (sa->sa_family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
    *out = (struct addr){.family = 6, .port = ntohs(in6->sin6_port)};
    memcpy(out->bytes, &in6->sin6_addr, 16);
  } else {
    return STATUS_INVALID;
  }
  return STATUS_OK;
}
