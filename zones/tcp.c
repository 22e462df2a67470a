#include "zones/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/base/memory.h"
#include "zones/message/wire.h"
#include "zones/tcp_clients.h"

/* No query that we can answer comes near this; a longer one ends its connection. */
#define TCP_QUERY_MOST 4096u
#define TCP_PREFIX_SIZE 2u
#define TCP_IN_SIZE (1u << 14)      /* read at once: some hundred pipelined queries */
#define TCP_OUT_ENOUGH (1u << 15)   /* bytes of replies that are sent without waiting for more of them */
#define TCP_PENDING_MOST (1u << 20) /* bytes kept for peers that do not read, all connections of a worker together */

_Static_assert(TCP_IN_SIZE >= TCP_PREFIX_SIZE + TCP_QUERY_MOST, "the longest query fits");

struct tcp_connection {
  struct tcp_connection *older, *newer; /* by last activity; free ones are linked by newer */
  int fd;                               /* -1: free */
  int64_t active_ms; /* of the last whole query or reply; single bytes do not count, or a dripping peer would stay */
  uint8_t *begun;    /* what came of a query that is not whole yet, or queries that wait for the peer to read; heap */
  size_t begun_size;
  uint8_t *pending; /* replies that the peer did not take; heap */
  size_t pending_size, pending_sent;
  size_t held;       /* bytes kept because the peer does not read, as they stand in pending_total */
  uint64_t progress; /* whole queries answered and replies flushed */
  struct client client;
  bool is_ending; /* the peer sent its last byte */
};

struct tcp {
  int epoll;
  uint32_t limit, per_client;
  int64_t idle_ms;
  size_t pending_total; /* bytes */
  struct transfers *transfers;
  struct tcp_clients *clients;
  struct tcp_connection **all; /* allocated when first needed, kept */
  uint32_t all_count;
  struct tcp_connection *free;
  struct tcp_connection *oldest, *newest;
  /* the connection being served: */
  size_t in_used, out_used;
  uint8_t in[TCP_IN_SIZE];
  uint8_t out[TCP_OUT_ENOUGH + TCP_PREFIX_SIZE + WIRE_MESSAGE_MOST]; /* replies, each with its length before it */
};

struct tcp *tcp_new(int epoll, uint32_t connections, uint32_t per_client, int64_t idle_ms,
                    struct transfers *transfers) {
  struct tcp *tcp = mem_alloc(sizeof *tcp);
  tcp->epoll = epoll;
  tcp->limit = connections;
  tcp->per_client = per_client;
  tcp->transfers = transfers;
  tcp->idle_ms = idle_ms;
  tcp->all = mem_array(connections, sizeof *tcp->all);
  tcp->clients = tcp_clients_new(connections + 1); /* a new one is counted before another gives way to it */
  return tcp;
}

static void unlink_connection(struct tcp *tcp, struct tcp_connection *connection) {
  if (connection->older)
    connection->older->newer = connection->newer;
  else
    tcp->oldest = connection->newer;
  if (connection->newer)
    connection->newer->older = connection->older;
  else
    tcp->newest = connection->older;
}

static void link_newest(struct tcp *tcp, struct tcp_connection *connection) {
  connection->older = tcp->newest;
  connection->newer = NULL;
  if (tcp->newest)
    tcp->newest->newer = connection;
  else
    tcp->oldest = connection;
  tcp->newest = connection;
}

static void drop_pending(struct tcp *tcp, struct tcp_connection *connection) {
  tcp->pending_total -= connection->held;
  connection->held = 0;
  free(connection->pending);
  connection->pending = NULL;
}

static void close_connection(struct tcp *tcp, struct tcp_connection *connection, struct board_worker *board) {
  close(connection->fd);
  connection->fd = -1;
  drop_pending(tcp, connection);
  free(connection->begun);
  connection->begun = NULL;
  unlink_connection(tcp, connection);
  connection->newer = tcp->free;
  tcp->free = connection;
  tcp_clients_remove(tcp->clients, &connection->client.addr);
  board_count(board, BOARD_TCP_CLOSED);
}

void tcp_free(struct tcp *tcp) {
  if (!tcp)
    return;
  for (uint32_t i = 0; i < tcp->all_count; i++) {
    if (tcp->all[i]->fd >= 0)
      close(tcp->all[i]->fd);
    free(tcp->all[i]->pending);
    free(tcp->all[i]->begun);
    free(tcp->all[i]);
  }
  free(tcp->all);
  tcp_clients_free(tcp->clients);
  free(tcp);
}

static struct tcp_connection *take_free(struct tcp *tcp, struct board_worker *board) {
  if (!tcp->free && tcp->all_count < tcp->limit) {
    struct tcp_connection *fresh = mem_alloc(sizeof *fresh);
    tcp->all[tcp->all_count++] = fresh;
    return fresh;
  }
  if (!tcp->free) {
    board_count(board, BOARD_TCP_REFUSED);
    close_connection(tcp, tcp->oldest, board);
  }
  struct tcp_connection *connection = tcp->free;
  tcp->free = connection->newer;
  return connection;
}

void tcp_accept(struct tcp *tcp, int listening, int64_t now_ms, struct answerer *answerer) {
  for (;;) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int fd = accept4(listening, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
      continue;
    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && tcp->oldest) {
      close_connection(tcp, tcp->oldest, answerer->board); /* makes room for the one that waits */
      continue;
    }
    if (fd < 0)
      return;
    struct client client = {.is_udp = false};
    if (addr_from_sockaddr((const struct sockaddr *)&peer, &client.addr) != STATUS_OK ||
        !tcp_clients_add(tcp->clients, &client.addr, tcp->per_client)) {
      board_count(answerer->board, BOARD_TCP_REFUSED);
      close(fd);
      continue;
    }
    struct tcp_connection *connection = take_free(tcp, answerer->board);
    connection->fd = fd;
    connection->active_ms = now_ms;
    connection->begun_size = 0;
    connection->pending_size = connection->pending_sent = 0;
    connection->client = client;
    connection->is_ending = false;
    link_newest(tcp, connection);
    board_count(answerer->board, BOARD_TCP_OPENED);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = connection};
    if (epoll_ctl(tcp->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
      close_connection(tcp, connection, answerer->board);
  }
}

/* Closes those that have been stuck longest until so many bytes more keep within the bound. */
static void make_room_for_pending(struct tcp *tcp, size_t size, struct board_worker *board) {
  struct tcp_connection *connection = tcp->oldest;
  while (connection && tcp->pending_total + size > TCP_PENDING_MOST) {
    struct tcp_connection *newer = connection->newer;
    if (connection->pending) {
      board_count(board, BOARD_TCP_TIMEOUT);
      close_connection(tcp, connection, board);
    }
    connection = newer;
  }
}

/* Keeps what the peer did not take of the replies, and reads no more until it has. */
static bool keep_pending(struct tcp *tcp, struct tcp_connection *connection, size_t sent, struct board_worker *board) {
  size_t size = tcp->out_used - sent;
  make_room_for_pending(tcp, size, board);
  connection->held = size;
  tcp->pending_total += size;
  connection->pending = mem_alloc(size);
  memcpy(connection->pending, tcp->out + sent, size);
  connection->pending_size = size;
  connection->pending_sent = 0;
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
  return epoll_ctl(tcp->epoll, EPOLL_CTL_MOD, connection->fd, &event) == 0;
}

/* Sends the replies that were gathered. False: the connection is to be closed. */
static bool send_replies(struct tcp *tcp, struct tcp_connection *connection, struct board_worker *board) {
  if (tcp->out_used == 0)
    return true;
  ssize_t sent = send(connection->fd, tcp->out, tcp->out_used, MSG_NOSIGNAL | MSG_DONTWAIT);
  bool is_gone = sent < 0 && errno != EAGAIN && errno != EINTR;
  size_t done = sent < 0 ? 0 : (size_t)sent;
  bool is_kept = is_gone || done == tcp->out_used || keep_pending(tcp, connection, done, board);
  tcp->out_used = 0;
  return is_kept && !is_gone;
}

/* Well-formed and in our class; whether the client may have the zone is for zones/transfer to say. */
static bool asks_for_transfer(const struct query *query) {
  return (query->type == TYPE_AXFR || query->type == TYPE_IXFR) && query->rcode == RCODE_REFUSED &&
         query->class == CLASS_IN;
}

enum tcp_step { TCP_WAIT, TCP_AGAIN, TCP_CLOSE };

/* TCP_AGAIN: the next one may follow. TCP_WAIT: this one has to come again, when the peer has read. */
static enum tcp_step answer_one(struct tcp *tcp, struct tcp_connection *connection, const uint8_t *packet, size_t size,
                                struct answerer *answerer, const struct book *book) {
  struct query query;
  enum query_verdict verdict = query_parse(packet, size, &query);
  if (verdict == QUERY_FINE && asks_for_transfer(&query)) {
    /* what stands before it is to be with the peer before another thread writes to the connection */
    if (!send_replies(tcp, connection, answerer->board))
      return TCP_CLOSE;
    if (connection->pending)
      return TCP_WAIT;
  }
  board_count(answerer->board, BOARD_QUERIES_TCP);
  if (connection->client.addr.family == 6)
    board_count(answerer->board, BOARD_QUERIES_IPV6);
  if (verdict != QUERY_FINE) {
    board_count(answerer->board, verdict == QUERY_DROP_SHORT ? BOARD_DROPPED_SHORT : BOARD_DROPPED_RESPONSE);
    return TCP_CLOSE;
  }
  if (asks_for_transfer(&query) &&
      transfers_take(tcp->transfers, connection->fd, packet, size, &connection->client.addr)) {
    /* the duplicate lives on: without this epoll would go on watching it for us */
    epoll_ctl(tcp->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
    return TCP_CLOSE;
  }
  uint8_t *reply = tcp->out + tcp->out_used;
  size_t length = answer_query(answerer, book, &query, &connection->client, reply + TCP_PREFIX_SIZE, WIRE_MESSAGE_MOST);
  wire_set_u16(reply, (uint16_t)length);
  tcp->out_used += TCP_PREFIX_SIZE + length;
  bool is_enough = tcp->out_used >= TCP_OUT_ENOUGH;
  return !is_enough || send_replies(tcp, connection, answerer->board) ? TCP_AGAIN : TCP_CLOSE;
}

/* An idle connection holds no buffer: only what is left of the shared one, from an offset on, is kept. */
static void keep_begun(struct tcp *tcp, struct tcp_connection *connection, size_t from) {
  connection->begun_size = tcp->in_used - from;
  if (connection->begun_size == 0) {
    free(connection->begun);
    connection->begun = NULL;
    return;
  }
  connection->begun = mem_resize(connection->begun, connection->begun_size, 1);
  memcpy(connection->begun, tcp->in + from, connection->begun_size);
  if (connection->pending) {
    connection->held += connection->begun_size;
    tcp->pending_total += connection->begun_size;
  }
}

/* Answers the whole queries in the buffer, as long as the peer takes the replies. Those before one that ends the
 * connection are sent all the same. */
static enum tcp_step answer_buffered(struct tcp *tcp, struct tcp_connection *connection, struct answerer *answerer,
                                     const struct book *book) {
  size_t at = 0;
  enum tcp_step step = TCP_AGAIN;
  while (tcp->in_used - at >= TCP_PREFIX_SIZE && !connection->pending) {
    size_t size = wire_get_u16(tcp->in + at);
    if (size > TCP_QUERY_MOST || size < WIRE_HEADER_SIZE)
      step = TCP_CLOSE;
    else if (tcp->in_used - at < TCP_PREFIX_SIZE + size)
      break;
    else
      step = answer_one(tcp, connection, tcp->in + at + TCP_PREFIX_SIZE, size, answerer, book);
    if (step != TCP_AGAIN)
      break;
    connection->progress++;
    at += TCP_PREFIX_SIZE + size;
  }
  if (!send_replies(tcp, connection, answerer->board) || step == TCP_CLOSE)
    return TCP_CLOSE;
  keep_begun(tcp, connection, at);
  return TCP_WAIT;
}

/* Behind what had begun. */
static enum tcp_step read_more(struct tcp *tcp, struct tcp_connection *connection) {
  if (connection->begun_size)
    memcpy(tcp->in, connection->begun, connection->begun_size);
  tcp->in_used = connection->begun_size;
  if (connection->is_ending || tcp->in_used == sizeof tcp->in)
    return TCP_WAIT;
  ssize_t got = recv(connection->fd, tcp->in + tcp->in_used, sizeof tcp->in - tcp->in_used, MSG_DONTWAIT);
  if (got > 0) {
    tcp->in_used += (size_t)got;
    return TCP_AGAIN;
  }
  if (got == 0) {
    connection->is_ending = true;
    return TCP_WAIT;
  }
  return errno == EAGAIN || errno == EINTR ? TCP_WAIT : TCP_CLOSE;
}

static enum tcp_step flush_pending(struct tcp *tcp, struct tcp_connection *connection) {
  ssize_t sent = send(connection->fd, connection->pending + connection->pending_sent,
                      connection->pending_size - connection->pending_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0)
    return errno == EAGAIN || errno == EINTR ? TCP_WAIT : TCP_CLOSE;
  connection->pending_sent += (size_t)sent;
  if (connection->pending_sent < connection->pending_size)
    return TCP_WAIT;
  drop_pending(tcp, connection);
  connection->progress++;
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = connection};
  return epoll_ctl(tcp->epoll, EPOLL_CTL_MOD, connection->fd, &event) == 0 ? TCP_AGAIN : TCP_CLOSE;
}

static enum tcp_step serve(struct tcp *tcp, struct tcp_connection *connection, struct answerer *answerer,
                           const struct book *book) {
  if (connection->pending) {
    enum tcp_step step = flush_pending(tcp, connection);
    if (step != TCP_AGAIN)
      return step;
  }
  enum tcp_step read = read_more(tcp, connection);
  if (read == TCP_CLOSE)
    return TCP_CLOSE;
  enum tcp_step step = answer_buffered(tcp, connection, answerer, book);
  if (step != TCP_WAIT || connection->pending)
    return step;
  return connection->is_ending ? TCP_CLOSE : TCP_WAIT; /* at its end all that can be answered is */
}

void tcp_event(struct tcp *tcp, struct tcp_connection *connection, int64_t now_ms, struct answerer *answerer,
               const struct book *book) {
  if (connection->fd < 0)
    return; /* closed earlier in the same round */
  uint64_t before = connection->progress;
  if (serve(tcp, connection, answerer, book) == TCP_CLOSE) {
    close_connection(tcp, connection, answerer->board);
    return;
  }
  if (connection->progress != before) {
    connection->active_ms = now_ms;
    unlink_connection(tcp, connection);
    link_newest(tcp, connection);
  }
}

int tcp_expire(struct tcp *tcp, int64_t now_ms, struct answerer *answerer) {
  while (tcp->oldest) {
    int64_t left_ms = tcp->oldest->active_ms + tcp->idle_ms - now_ms;
    if (left_ms > 0)
      return left_ms < 60000 ? (int)left_ms : 60000;
    board_count(answerer->board, BOARD_TCP_TIMEOUT);
    close_connection(tcp, tcp->oldest, answerer->board);
  }
  return -1;
}
