#include "probes/kinds/pinger.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"

#define SEQUENCES 65536u
#define PAYLOAD_SIZE 56u /* as ping sends */
#define ECHO_HEAD 8u
#define PACKET_MOST 2048u
#define READS_MOST 256 /* in one turn, so that a flood of ICMP leaves time for the rest */
#define RECEIVE_BUFFER (1 << 20)

enum { FAMILY_4, FAMILY_6, FAMILIES };

struct line { /* one family's socket */
  struct pinger *pinger;
  int fd; /* -1: none */
  int error;
  bool is_raw;
  bool is_own; /* opened here */
  struct loop_poll *poll;
  uint16_t id; /* raw: of our requests; for a datagram socket the kernel sets it */
  uint16_t next;
  struct ping **pings; /* by sequence number */
  size_t count;
};

struct pinger {
  struct loop *loop;
  struct line lines[FAMILIES];
  struct random random;
};

struct ping {
  struct line *line;
  struct loop_timer *timer;
  struct addr address;
  uint16_t sequence;
  bool has_sequence;
  uint8_t token[PAYLOAD_SIZE];
  int error;     /* errno of what failed at the start; 0 */
  bool is_local; /* and it was this machine that could not */
  int64_t started_us;
  ping_done *done;
  void *context;
};

struct echo { /* the head of request and reply, the same for both families */
  uint8_t type, code;
  uint16_t checksum, id, sequence;
};

static void ping_release(struct ping *ping) {
  if (ping->has_sequence) {
    ping->line->pings[ping->sequence] = NULL;
    ping->line->count--;
  }
  loop_timer_free(ping->timer);
  free(ping);
}

static void ping_end(struct ping *ping, enum net_outcome outcome, const char *detail) {
  ping->done(ping->context, outcome, detail, (uint32_t)(mono_now_us() - ping->started_us));
  ping_release(ping);
}

static uint16_t checksum(const uint8_t *bytes, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < size; i += 2)
    sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return htons((uint16_t)~sum);
}

/* The ping that an echo packet of ours or its reply is of; NULL for another's. */
static struct ping *find_ping(const struct line *line, const uint8_t *packet, size_t size, uint8_t type) {
  struct echo echo;
  if (size < ECHO_HEAD + PAYLOAD_SIZE)
    return NULL;
  memcpy(&echo, packet, sizeof echo);
  struct ping *ping = line->pings[ntohs(echo.sequence)];
  bool is_ours = ping && echo.type == type && echo.code == 0 && (!line->is_raw || echo.id == line->id) &&
                 memcmp(packet + ECHO_HEAD, ping->token, PAYLOAD_SIZE) == 0;
  return is_ours ? ping : NULL;
}

static bool is_from(const struct ping *ping, const struct sockaddr_storage *from) {
  struct addr addr;
  if (addr_from_sockaddr((const struct sockaddr *)from, &addr) != STATUS_OK)
    return false;
  addr.port = ping->address.port;
  return addr_equal(&addr, &ping->address);
}

static bool read_reply(struct line *line) {
  uint8_t packet[PACKET_MOST];
  struct sockaddr_storage from = {0};
  socklen_t from_size = sizeof from;
  ssize_t got = recvfrom(line->fd, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);
  if (got < 0)
    return errno == EINTR;
  size_t at = 0;
  bool is_v4 = line == &line->pinger->lines[FAMILY_4];
  if (is_v4 && line->is_raw) { /* with the IP header before it */
    if (got < (ssize_t)sizeof(struct iphdr))
      return true;
    at = (size_t)(packet[0] & 0x0f) * 4;
  }
  struct ping *ping = at > (size_t)got
                          ? NULL
                          : find_ping(line, packet + at, (size_t)got - at, is_v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY);
  if (ping && is_from(ping, &from))
    ping_end(ping, NET_ANSWERED, "");
  return true;
}

/* What routers said about a request of ours, with the request itself. */
static bool read_error(struct line *line) {
  uint8_t packet[PACKET_MOST];
  union {
    struct cmsghdr align;
    char bytes[512];
  } control;
  struct iovec part = {packet, sizeof packet};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t got = recvmsg(line->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (got < 0)
    return errno == EINTR;
  int error = EHOSTUNREACH;
  for (struct cmsghdr *part_of = CMSG_FIRSTHDR(&message); part_of; part_of = CMSG_NXTHDR(&message, part_of)) {
    bool is_error = (part_of->cmsg_level == IPPROTO_IP && part_of->cmsg_type == IP_RECVERR) ||
                    (part_of->cmsg_level == IPPROTO_IPV6 && part_of->cmsg_type == IPV6_RECVERR);
    struct sock_extended_err told;
    if (!is_error)
      continue;
    memcpy(&told, CMSG_DATA(part_of), sizeof told);
    if (told.ee_errno)
      error = (int)told.ee_errno;
  }
  bool is_v4 = line == &line->pinger->lines[FAMILY_4];
  struct ping *ping = find_ping(line, packet, (size_t)got, is_v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST);
  if (ping)
    ping_end(ping, NET_UNREACHABLE, strerror(error));
  return true;
}

static void line_ready(void *context, int events) {
  (void)events;
  struct line *line = context;
  for (int i = 0; i < READS_MOST && read_reply(line); i++)
    continue;
  for (int i = 0; i < READS_MOST && read_error(line); i++)
    continue;
  loop_poll_watch(line->poll, LOOP_READABLE); /* an error on it ended the watch */
}

static void ping_fired(void *context) {
  struct ping *ping = context;
  if (ping->error)
    ping_end(ping, ping->is_local ? NET_LOCAL : net_outcome_of_errno(ping->error), strerror(ping->error));
  else
    ping_end(ping, NET_TIMEOUT_ANSWER, "");
}

static void set_options(struct line *line, int family) {
  int yes = 1, buffer = RECEIVE_BUFFER;
  setsockopt(line->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  if (family == FAMILY_4)
    setsockopt(line->fd, IPPROTO_IP, IP_RECVERR, &yes, sizeof yes);
  else
    setsockopt(line->fd, IPPROTO_IPV6, IPV6_RECVERR, &yes, sizeof yes);
}

static void line_open(struct pinger *pinger, int family, int raw) {
  struct line *line = &pinger->lines[family];
  line->pinger = pinger;
  line->fd = socket(family == FAMILY_4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    family == FAMILY_4 ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6);
  line->error = errno;
  line->is_own = line->fd >= 0;
  if (line->fd < 0 && raw >= 0) {
    line->fd = raw;
    line->is_raw = true;
  }
  if (line->fd < 0)
    return;
  set_options(line, family);
  line->id = (uint16_t)random_next(&pinger->random);
  line->next = (uint16_t)random_next(&pinger->random);
  line->pings = mem_array(SEQUENCES, sizeof *line->pings);
  line->poll = loop_poll_new(pinger->loop, line->fd, line_ready, line);
  if (line->poll)
    loop_poll_watch(line->poll, LOOP_READABLE);
}

struct pinger *pinger_new(struct loop *loop, const int raw[2]) {
  struct pinger *pinger = mem_alloc(sizeof *pinger);
  pinger->loop = loop;
  random_seed_system(&pinger->random);
  for (int family = 0; family < FAMILIES; family++)
    line_open(pinger, family, raw[family]);
  return pinger;
}

void pinger_free(struct pinger *pinger) {
  if (!pinger)
    return;
  for (int family = 0; family < FAMILIES; family++) {
    struct line *line = &pinger->lines[family];
    for (size_t i = 0; line->pings && line->count > 0 && i < SEQUENCES; i++)
      if (line->pings[i])
        ping_release(line->pings[i]);
    loop_poll_free(line->poll);
    if (line->is_own)
      close(line->fd);
    free(line->pings);
  }
  free(pinger);
}

static int take_sequence(struct ping *ping) {
  struct line *line = ping->line;
  if (line->count == SEQUENCES)
    return ENOBUFS;
  while (line->pings[line->next])
    line->next++;
  ping->sequence = line->next++;
  ping->has_sequence = true;
  line->pings[ping->sequence] = ping;
  line->count++;
  return 0;
}

static int send_request(struct ping *ping) {
  struct line *line = ping->line;
  bool is_v4 = ping->address.family == 4;
  if (line->fd < 0)
    return line->error;
  if (!line->poll)
    return ENOMEM;
  int failed = take_sequence(ping);
  if (failed)
    return failed;
  random_secret(ping->token, sizeof ping->token);
  uint8_t packet[ECHO_HEAD + PAYLOAD_SIZE];
  struct echo echo = {.type = is_v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
                      .id = line->id,
                      .sequence = htons(ping->sequence)};
  memcpy(packet, &echo, sizeof echo);
  memcpy(packet + ECHO_HEAD, ping->token, PAYLOAD_SIZE);
  if (is_v4) { /* for ICMPv6 the kernel does it */
    echo.checksum = checksum(packet, sizeof packet);
    memcpy(packet, &echo, sizeof echo);
  }
  struct sockaddr_storage to;
  struct addr portless = ping->address;
  portless.port = 0;
  socklen_t length = addr_to_sockaddr(&portless, &to);
  return sendto(line->fd, packet, sizeof packet, MSG_NOSIGNAL, (struct sockaddr *)&to, length) < 0 ? errno : 0;
}

struct ping *pinger_start(struct pinger *pinger, const struct addr *address, int64_t timeout_ms, ping_done *done,
                          void *context) {
  struct ping *ping = mem_alloc(sizeof *ping);
  ping->line = &pinger->lines[address->family == 4 ? FAMILY_4 : FAMILY_6];
  ping->address = *address;
  ping->done = done;
  ping->context = context;
  ping->started_us = mono_now_us();
  ping->timer = loop_timer_new(pinger->loop, ping_fired, ping);
  ping->is_local = !ping->line->poll;
  ping->error = send_request(ping);
  /* what is known already is told in the next turn: the caller has no handle yet */
  loop_timer_after(ping->timer, ping->error ? 0 : timeout_ms);
  return ping;
}

void pinger_cancel(struct ping *ping) {
  ping_release(ping);
}
