#include "discovery/mdns/mdns_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "discovery/mdns/mdns_message.h"
#include "gslb/base/addr.h"

#define HOPS 255 /* RFC 6762 section 11 */

static socklen_t group_address(uint8_t family, unsigned interface, struct sockaddr_storage *out) {
  struct addr group = {0};
  addr_parse(family == 4 ? "224.0.0.251" : "ff02::fb", &group);
  group.port = MDNS_PORT;
  socklen_t length = addr_to_sockaddr(&group, out);
  if (family == 6)
    ((struct sockaddr_in6 *)out)->sin6_scope_id = interface;
  return length;
}

static int set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value);
}

static int prepare_v4(int fd, unsigned interface, bool is_responder) {
  struct ip_mreqn group = {.imr_ifindex = (int)interface};
  struct sockaddr_storage address;
  struct ifreq request = {0};
  /* the interface's own address as source: the kernel would take none where all are of scope host */
  if (!if_indextoname(interface, request.ifr_name) || ioctl(fd, SIOCGIFADDR, &request) != 0)
    return -1;
  group.imr_address = ((struct sockaddr_in *)&request.ifr_addr)->sin_addr;
  group_address(4, interface, &address);
  group.imr_multiaddr = ((struct sockaddr_in *)&address)->sin_addr;
  if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof group) != 0 ||
      set(fd, IPPROTO_IP, IP_MULTICAST_TTL, HOPS) != 0 || set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 1) != 0)
    return -1;
  if (!is_responder)
    return 0;
  /* without this a socket gets what others' memberships bring in, from every interface */
  return set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) != 0
             ? -1
             : setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group);
}

static int prepare_v6(int fd, unsigned interface, bool is_responder) {
  struct ipv6_mreq group = {.ipv6mr_interface = interface};
  struct sockaddr_storage address;
  group_address(6, interface, &address);
  group.ipv6mr_multiaddr = ((struct sockaddr_in6 *)&address)->sin6_addr;
  if (set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0 || set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)interface) != 0 ||
      set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, HOPS) != 0 || set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1) != 0)
    return -1;
  if (!is_responder)
    return 0;
  return set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0) != 0
             ? -1
             : setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group, sizeof group);
}

static int prepare(int fd, uint8_t family, unsigned interface, bool is_responder) {
  int code = family == 4 ? prepare_v4(fd, interface, is_responder) : prepare_v6(fd, interface, is_responder);
  if (code != 0 || !is_responder)
    return code;
  struct sockaddr_storage address;
  socklen_t length = group_address(family, interface, &address);
  if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0 || set(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0)
    return -1;
  return bind(fd, (const struct sockaddr *)&address, length);
}

enum status mdns_socket_open(const char *interface, uint8_t family, bool is_responder, struct mdns_socket *out,
                             struct errbuf *err) {
  unsigned index = if_nametoindex(interface);
  if (!index)
    return errbuf_set(err, STATUS_NOTFOUND, "interface %s is not there", interface);
  int fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return errbuf_set(err, STATUS_IO, "socket: %s", strerror(errno));
  if (prepare(fd, family, index, is_responder) != 0) {
    enum status status =
        errbuf_set(err, STATUS_IO, "multicast over IPv%u on %s: %s", family, interface, strerror(errno));
    close(fd);
    return status;
  }
  *out = (struct mdns_socket){fd, family, index};
  return STATUS_OK;
}

void mdns_socket_close(struct mdns_socket *socket) {
  if (socket->fd >= 0)
    close(socket->fd);
  socket->fd = -1;
}

enum status mdns_socket_send(const struct mdns_socket *socket, const struct sockaddr_storage *to, const uint8_t *bytes,
                             size_t size, struct errbuf *err) {
  struct sockaddr_storage group;
  socklen_t length = to && to->ss_family == AF_INET    ? sizeof(struct sockaddr_in)
                     : to && to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                       : group_address(socket->family, socket->interface, &group);
  ssize_t sent = sendto(socket->fd, bytes, size, MSG_NOSIGNAL, (const struct sockaddr *)(to ? to : &group), length);
  return sent == (ssize_t)size ? STATUS_OK : errbuf_set(err, STATUS_IO, "send: %s", strerror(errno));
}
