/* tests/unit/net/peer.h
 * The other side of an exchange, on the test's own loop: a TCP or UDP server on a free port of 127.0.0.1 or ::1 that
 * sends one set answer to whatever comes. */
#ifndef GSLB_TESTS_UNIT_NET_PEER_H
#define GSLB_TESTS_UNIT_NET_PEER_H

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/base/addr.h"
#include "gslb/net/loop.h"

struct peer {
  struct loop *loop;
  struct addr addr;
  int fd, connection; /* connection: the newest accepted; -1 for none */
  struct loop_poll *poll, *connection_poll;
  const void *answer; /* NULL: none */
  size_t answer_size;
  bool is_dns;        /* answer gets the id of the query */
  bool keeps_open;    /* after the answer */
  char request[4096]; /* the last one */
  size_t request_size;
};

static inline void peer_hang_up(struct peer *peer) {
  loop_poll_free(peer->connection_poll);
  peer->connection_poll = NULL;
  if (peer->connection >= 0)
    close(peer->connection);
  peer->connection = -1;
}

static inline void peer_readable(void *context, int events) {
  (void)events;
  struct peer *peer = context;
  ssize_t got = recv(peer->connection, peer->request, sizeof peer->request - 1, MSG_DONTWAIT);
  if (got > 0) {
    peer->request_size = (size_t)got;
    peer->request[got] = '\0';
  }
  if (got > 0 && !peer->answer && peer->keeps_open)
    return;
  if (got > 0 && peer->answer) {
    ssize_t sent = send(peer->connection, peer->answer, peer->answer_size, MSG_NOSIGNAL);
    (void)sent;
  }
  if (got <= 0 || !peer->keeps_open)
    peer_hang_up(peer);
}

static inline void peer_accept(void *context, int events) {
  (void)events;
  struct peer *peer = context;
  peer_hang_up(peer);
  peer->connection = accept(peer->fd, NULL, NULL);
  assert(peer->connection >= 0);
  peer->connection_poll = loop_poll_new(peer->loop, peer->connection, peer_readable, peer);
  loop_poll_watch(peer->connection_poll, LOOP_READABLE);
}

static inline void peer_datagram(void *context, int events) {
  (void)events;
  struct peer *peer = context;
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  ssize_t got = recvfrom(peer->fd, peer->request, sizeof peer->request, 0, (struct sockaddr *)&from, &length);
  if (got < 2 || !peer->answer)
    return;
  peer->request_size = (size_t)got;
  char answer[4096];
  memcpy(answer, peer->answer, peer->answer_size);
  if (peer->is_dns)
    memcpy(answer, peer->request, 2);
  ssize_t sent = sendto(peer->fd, answer, peer->answer_size, 0, (struct sockaddr *)&from, length);
  (void)sent;
}

static inline void peer_open(struct peer *peer, struct loop *loop, int type, const char *address) {
  *peer = (struct peer){.loop = loop, .connection = -1};
  struct sockaddr_storage sockaddr;
  int result = addr_parse(address, &peer->addr);
  socklen_t length = addr_to_sockaddr(&peer->addr, &sockaddr);
  peer->fd = socket(sockaddr.ss_family, type, 0);
  result |= bind(peer->fd, (struct sockaddr *)&sockaddr, length);
  if (type == SOCK_STREAM)
    result |= listen(peer->fd, 16);
  result |= getsockname(peer->fd, (struct sockaddr *)&sockaddr, &length);
  assert(result == 0);
  addr_from_sockaddr((struct sockaddr *)&sockaddr, &peer->addr);
  peer->poll = loop_poll_new(loop, peer->fd, type == SOCK_STREAM ? peer_accept : peer_datagram, peer);
  loop_poll_watch(peer->poll, LOOP_READABLE);
}

static inline void peer_close(struct peer *peer) {
  peer_hang_up(peer);
  loop_poll_free(peer->poll);
  close(peer->fd);
}

/* A socket at a free port of 127.0.0.1. */
static inline int peer_bound(int type, struct addr *out) {
  struct sockaddr_storage sockaddr;
  addr_parse("127.0.0.1", out);
  socklen_t length = addr_to_sockaddr(out, &sockaddr);
  int fd = socket(AF_INET, type, 0);
  int result = bind(fd, (struct sockaddr *)&sockaddr, length);
  result |= getsockname(fd, (struct sockaddr *)&sockaddr, &length);
  assert(result == 0);
  addr_from_sockaddr((struct sockaddr *)&sockaddr, out);
  return fd;
}

/* An address of 127.0.0.1 with a port where nobody listens. */
static inline struct addr peer_nobody(int type) {
  struct addr addr;
  close(peer_bound(type, &addr));
  return addr;
}

#endif
