/* gslb/base/addr.h
 * An IP address with an optional port: parsing, printing, comparing. Values, no ownership. Any thread. */
#ifndef GSLB_BASE_ADDR_H
#define GSLB_BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "gslb/base/status.h"

struct addr {
  uint8_t family;    /* 4 or 6; 0 for none */
  uint16_t port;     /* host order; 0 for none */
  uint8_t bytes[16]; /* network order; the first 4 for IPv4, the rest zero */
};

#define ADDR_TEXT_SIZE 56 /* enough for "[v6]" or "v6@port" and the end */

enum status addr_parse(const char *text, struct addr *out);
/* "192.0.2.1" or "2001:db8::1", nothing else. STATUS_INVALID leaves *out untouched. */
enum status addr_parse_port(const char *text, struct addr *out);
/* "192.0.2.1@53", "::1@5300": an address with a port from 1 to 65535. STATUS_INVALID, STATUS_RANGE. */
const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_SIZE]);
/* The address alone; returns text. */
const char *addr_format_port(const struct addr *addr, char text[ADDR_TEXT_SIZE]);
/* "address@port". */
size_t addr_length(const struct addr *addr);
/* 4 or 16. */
bool addr_equal(const struct addr *a, const struct addr *b);
/* Same family, bytes and port. */
bool addr_is_loopback(const struct addr *addr);

socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *out);
enum status addr_from_sockaddr(const struct sockaddr *sa, struct addr *out);
/* STATUS_INVALID for a family other than IPv4 and IPv6. */

#endif
