/* discovery/mdns/mdns_socket.h
 * Sockets of multicast DNS on one interface: IPv4 224.0.0.251, IPv6 ff02::fb, port 5353. Needs no privilege. Any
 * thread. */
#ifndef GSLB_DISCOVERY_MDNS_MDNS_SOCKET_H
#define GSLB_DISCOVERY_MDNS_MDNS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "gslb/base/status.h"

struct mdns_socket {
  int fd; /* non-blocking; -1: none */
  uint8_t family;
  unsigned interface; /* index */
};

enum status mdns_socket_open(const char *interface, uint8_t family, bool is_responder, struct mdns_socket *out,
                             struct errbuf *err);
/* family: 4 or 6. A responder is a member of the group on this interface alone, and bound to the group's address, so
 * that another responder on this machine keeps what is sent to the machine's own; who only asks has a port of its own,
 * and is answered there (RFC 6762 section 5.1). STATUS_NOTFOUND: no such interface. STATUS_IO. */
void mdns_socket_close(struct mdns_socket *socket);

enum status mdns_socket_send(const struct mdns_socket *socket, const struct sockaddr_storage *to, const uint8_t *bytes,
                             size_t size, struct errbuf *err);
/* to NULL: the group. */

#endif
