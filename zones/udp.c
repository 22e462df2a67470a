#include "zones/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "zones/image/find.h"
#include "zones/message/wire.h"

/* A query beyond this is malformed for us: a name, an OPT and its options stay far below. A cache line more than a
 * power of two, or the heads of all queries would fall into the same few lines of the cache. */
#define UDP_QUERY_MOST (2048u + 64u)
#define UDP_CONTROL_SIZE 64u
/* While queries come, waiting for the next one in the call that receives it saves two calls each. A process that is
 * killed there may take one with it, so after a pause it waits in poll, which takes nothing. */
#define UDP_PAUSE_US 10000

/* How many queries of a batch are taken apart before the first of them is answered: while the memory of names to come
 * is fetched, in two steps (zones/image/find), those before them are answered. As many as a core fetches at once. */
#define UDP_AHEAD 16

struct udp_query {
  enum query_verdict verdict;
  struct query query;
};

struct udp_slot {
  struct sockaddr_storage peer;
  struct iovec in_part;
  _Alignas(struct cmsghdr) uint8_t control[UDP_CONTROL_SIZE];
};

struct udp {
  int fd;
  struct mmsghdr in[UDP_BATCH];
  struct udp_slot slots[UDP_BATCH];
  struct udp_query ahead[UDP_AHEAD]; /* by index modulo UDP_AHEAD */
  size_t payload;
  bool has_source;  /* control data tell the address that a datagram came to */
  uint8_t *queries; /* UDP_BATCH of UDP_QUERY_MOST bytes */
  struct udp_replies *replies;
};

/* Whether the kernel tells what address a datagram came to, as it has to on a socket that listens on all. */
static bool tells_source(int fd) {
  int v4 = 0, v6 = 0;
  socklen_t size = sizeof v4;
  if (getsockopt(fd, IPPROTO_IP, IP_PKTINFO, &v4, &size) != 0)
    v4 = 0;
  size = sizeof v6;
  if (getsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &v6, &size) != 0)
    v6 = 0;
  return v4 || v6;
}

struct udp *udp_new(int fd, size_t payload, bool may_segment) {
  struct udp *udp = mem_alloc(sizeof *udp);
  udp->fd = fd;
  struct timeval pause = {.tv_usec = UDP_PAUSE_US};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof pause); /* without it the wait in poll is never reached */
  udp->has_source = tells_source(fd);
  udp->queries = mem_array(UDP_BATCH, UDP_QUERY_MOST);
  udp->replies = udp_replies_new(fd, payload, may_segment);
  udp->payload = payload;
  for (size_t i = 0; i < UDP_BATCH; i++) {
    struct udp_slot *slot = &udp->slots[i];
    slot->in_part = (struct iovec){.iov_base = udp->queries + i * UDP_QUERY_MOST, .iov_len = UDP_QUERY_MOST};
    udp->in[i].msg_hdr = (struct msghdr){.msg_name = &slot->peer,
                                         .msg_namelen = sizeof slot->peer,
                                         .msg_iov = &slot->in_part,
                                         .msg_iovlen = 1};
    if (udp->has_source) {
      udp->in[i].msg_hdr.msg_control = slot->control;
      udp->in[i].msg_hdr.msg_controllen = UDP_CONTROL_SIZE;
    }
  }
  return udp;
}

void udp_free(struct udp *udp) {
  if (!udp)
    return;
  free(udp->queries);
  udp_replies_free(udp->replies);
  free(udp);
}

/* The reply leaves from the address that the query came to, by whatever interface routing says. */
static void keep_source_address(struct msghdr *message) {
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(part), sizeof info);
      info.ipi_ifindex = 0;
      memcpy(CMSG_DATA(part), &info, sizeof info);
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(part), sizeof info);
      if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
        info.ipi6_ifindex = 0;
      memcpy(CMSG_DATA(part), &info, sizeof info);
    }
  }
}

static bool has_name(const struct udp_query *taken) {
  return taken->verdict == QUERY_FINE && taken->query.rcode == RCODE_NOERROR;
}

static void take_apart(struct udp *udp, int index, const struct book *book) {
  struct udp_query *taken = &udp->ahead[index % UDP_AHEAD];
  taken->verdict = query_parse(udp->slots[index].in_part.iov_base, udp->in[index].msg_len, &taken->query);
  if (has_name(taken))
    find_prefetch(&book->image, taken->query.hash);
}

static void reach_node(const struct udp *udp, int index, const struct book *book) {
  const struct udp_query *taken = &udp->ahead[index % UDP_AHEAD];
  if (has_name(taken))
    find_prefetch_node(&book->image, taken->query.hash);
}

static size_t answer_datagram(struct udp *udp, int index, struct answerer *answerer, const struct book *book,
                              uint8_t *reply) {
  struct udp_query *taken = &udp->ahead[index % UDP_AHEAD];
  struct query *query = &taken->query;
  board_count(answerer->board, BOARD_QUERIES_UDP);
  if (udp->slots[index].peer.ss_family == AF_INET6)
    board_count(answerer->board, BOARD_QUERIES_IPV6);
  switch (taken->verdict) {
  case QUERY_DROP_SHORT:
    board_count(answerer->board, BOARD_DROPPED_SHORT);
    return 0;
  case QUERY_DROP_RESPONSE:
    board_count(answerer->board, BOARD_DROPPED_RESPONSE);
    return 0;
  case QUERY_FINE:
    break;
  }
  struct client client = {.is_udp = true};
  if (addr_from_sockaddr((const struct sockaddr *)&udp->slots[index].peer, &client.addr) != STATUS_OK)
    return 0;
  if ((udp->in[index].msg_hdr.msg_flags & MSG_TRUNC) && query->rcode == RCODE_NOERROR)
    query->rcode = RCODE_FORMERR;
  return answer_query(answerer, book, query, &client, reply, udp->payload);
}

int udp_receive(struct udp *udp) {
  int count = recvmmsg(udp->fd, udp->in, UDP_BATCH, MSG_WAITFORONE, NULL);
  if (count >= 0 || errno != EAGAIN)
    return count;
  struct pollfd wait = {.fd = udp->fd, .events = POLLIN};
  return poll(&wait, 1, -1) > 0 ? recvmmsg(udp->fd, udp->in, UDP_BATCH, MSG_DONTWAIT, NULL) : 0;
}

void udp_answer(struct udp *udp, int count, struct answerer *answerer, const struct book *book) {
  int taken = 0, reached = 0;
  answerer->now_ms = mono_now_ms();
  for (int i = 0; i < count; i++) {
    for (; taken < count && taken < i + UDP_AHEAD; taken++)
      take_apart(udp, taken, book);
    for (; reached < taken && reached <= i + UDP_AHEAD / 2; reached++)
      reach_node(udp, reached, book);
    size_t size = answer_datagram(udp, i, answerer, book, udp_replies_room(udp->replies));
    struct msghdr *query = &udp->in[i].msg_hdr;
    if (size && query->msg_controllen)
      keep_source_address(query);
    if (size)
      udp_replies_add(udp->replies, query, size);
  }
  for (unsigned failed = udp_replies_send(udp->replies); failed; failed--)
    board_count(answerer->board, BOARD_SEND_FAILED);
  for (int i = 0; i < count && udp->has_source; i++)
    udp->in[i].msg_hdr.msg_controllen = UDP_CONTROL_SIZE;
}
