#include "gslb/net/resolver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <ares.h>
#include <arpa/nameser.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "gslb/net/ares_watch.h"

#define UDP_PAYLOAD 1232
#define IDLE_MOST 256u    /* queries kept, with their channels, for the next question */
#define NEVER_MS 86400000 /* c-ares's own time-out; ours ends the query long before */

struct resolver_query {
  struct resolver *resolver;
  struct resolver_query *next;  /* in the list of idle or of running ones */
  struct resolver_query **link; /* what points here while it runs */
  ares_channel channel;         /* one server each, so that any server can be asked at any time */
  struct loop_timer *timer;
  struct ares_watch *watch;
  resolver_done *done;
  void *context;
  int64_t started_us;
  int last_errno; /* of the socket calls that c-ares made */
  bool is_ended;  /* c-ares gave its result; done is due */
  bool is_starting;
  int result; /* ARES_... */
  uint32_t duration_us;
  uint8_t *bytes;
  size_t length;
};

struct resolver {
  struct loop *loop;
  struct resolver_query *running, *idle;
  size_t idle_count;
};

static ares_socket_t open_socket(int family, int type, int protocol, void *context) {
  struct resolver_query *query = context;
  int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (fd < 0)
    query->last_errno = errno;
  return fd;
}

static int close_socket(ares_socket_t fd, void *context) {
  (void)context;
  return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t length, void *context) {
  struct resolver_query *query = context;
  int result = connect(fd, address, length);
  if (result < 0 && errno != EINPROGRESS)
    query->last_errno = errno;
  return result;
}

static ares_ssize_t receive(ares_socket_t fd, void *buffer, size_t size, int flags, struct sockaddr *from,
                            ares_socklen_t *from_length, void *context) {
  struct resolver_query *query = context;
  ssize_t got = recvfrom(fd, buffer, size, flags, from, from_length);
  if (got < 0 && errno != EAGAIN && errno != EINTR)
    query->last_errno = errno;
  if (got == 0)
    query->last_errno = ECONNRESET;
  return got;
}

static ares_ssize_t send_vector(ares_socket_t fd, const struct iovec *parts, int count, void *context) {
  struct resolver_query *query = context;
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};
  ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR)
    query->last_errno = errno;
  return sent;
}

static const struct ares_socket_functions socket_functions = {
    .asocket = open_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive,
    .asendv = send_vector,
};

static void query_end(struct resolver_query *query);

static void sockets_ready(void *context, int read_fd, int write_fd) {
  struct resolver_query *query = context;
  ares_process_fd(query->channel, read_fd, write_fd);
  if (query->is_ended)
    query_end(query);
}

static void answered(void *context, int status, int timeouts, unsigned char *bytes, int length) {
  (void)timeouts;
  struct resolver_query *query = context;
  query->result = status;
  query->is_ended = true;
  query->duration_us = (uint32_t)(mono_now_us() - query->started_us);
  if (status == ARES_SUCCESS && length > 0) {
    query->bytes = mem_resize(query->bytes, (size_t)length, 1);
    query->length = (size_t)length;
    memcpy(query->bytes, bytes, (size_t)length);
  }
  /* within resolver_ask the caller has no handle yet, so done waits for the next turn */
  if (query->is_starting)
    loop_timer_after(query->timer, 0);
}

static void timer_fired(void *context) {
  struct resolver_query *query = context;
  if (!query->is_ended) {
    ares_cancel(query->channel);
    query->result = ARES_ETIMEOUT;
  }
  query_end(query);
}

static ares_channel make_channel(struct resolver_query *query) {
  /* with all of these given c-ares has no reason to read resolv.conf, which the process may not be allowed to */
  struct in_addr none = {0};
  char lookups[] = "b";
  struct ares_options options = {
      .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP,
      .timeout = NEVER_MS,
      .tries = 1,
      .ndots = 1,
      .servers = &none,
      .nservers = 1,
      .lookups = lookups,
      .sock_state_cb = ares_watch_changed,
      .sock_state_cb_data = query->watch,
  };
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_SERVERS |
             ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST | ARES_OPT_SOCK_STATE_CB;
  ares_channel channel;
  if (ares_init_options(&channel, &options, mask) != ARES_SUCCESS)
    abort();
  ares_set_socket_functions(channel, &socket_functions, query);
  return channel;
}

struct resolver *resolver_new(struct loop *loop) {
  if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
    abort();
  struct resolver *resolver = mem_alloc(sizeof *resolver);
  resolver->loop = loop;
  return resolver;
}

static void query_free(struct resolver_query *query) {
  ares_destroy(query->channel);
  ares_watch_free(query->watch);
  loop_timer_free(query->timer);
  free(query->bytes);
  free(query);
}

void resolver_free(struct resolver *resolver) {
  if (!resolver)
    return;
  while (resolver->running)
    resolver_cancel(resolver->running);
  while (resolver->idle) {
    struct resolver_query *next = resolver->idle->next;
    query_free(resolver->idle);
    resolver->idle = next;
  }
  free(resolver);
  ares_library_cleanup();
}

static struct resolver_query *query_take(struct resolver *resolver) {
  struct resolver_query *query = resolver->idle;
  if (query) {
    resolver->idle = query->next;
    resolver->idle_count--;
  } else {
    query = mem_alloc(sizeof *query);
    query->resolver = resolver;
    query->watch = ares_watch_new(resolver->loop, sockets_ready, query);
    query->channel = make_channel(query);
    query->timer = loop_timer_new(resolver->loop, timer_fired, query);
  }
  query->next = resolver->running;
  query->link = &resolver->running;
  if (query->next)
    query->next->link = &query->next;
  resolver->running = query;
  return query;
}

static void query_put_back(struct resolver_query *query) {
  struct resolver *resolver = query->resolver;
  *query->link = query->next;
  if (query->next)
    query->next->link = query->link;
  loop_timer_stop(query->timer);
  if (resolver->idle_count >= IDLE_MOST) {
    query_free(query);
    return;
  }
  query->next = resolver->idle;
  resolver->idle = query;
  resolver->idle_count++;
}

static int set_server(ares_channel channel, const struct addr *server) {
  struct ares_addr_port_node node = {.udp_port = server->port, .tcp_port = server->port};
  node.family = server->family == 4 ? AF_INET : AF_INET6;
  memcpy(&node.addr, server->bytes, addr_length(server));
  return ares_set_servers_ports(channel, &node);
}

struct resolver_query *resolver_ask(struct resolver *resolver, const struct resolver_question *question,
                                    resolver_done *done, void *context) {
  assert(question->timeout_ms > 0);
  struct resolver_query *query = query_take(resolver);
  query->done = done;
  query->context = context;
  query->last_errno = 0;
  query->is_ended = false;
  query->length = 0;
  query->started_us = mono_now_us();
  loop_timer_after(query->timer, question->timeout_ms);

  unsigned char *bytes = NULL;
  int length = 0;
  unsigned short id;
  random_secret(&id, sizeof id);
  query->is_starting = true;
  int made = set_server(query->channel, &question->server);
  if (made == ARES_SUCCESS)
    made = ares_create_query(question->name, ns_c_in, question->type, id, 1, &bytes, &length,
                             question->wants_dnssec ? UDP_PAYLOAD : 0);
  /* an OPT record, when there is one, ends the message: its last six bytes are extended code, version, flags, length */
  if (made == ARES_SUCCESS && question->wants_dnssec)
    bytes[length - 4] |= 0x80;
  if (made == ARES_SUCCESS)
    ares_send(query->channel, bytes, length, answered, query);
  else
    answered(query, made, 0, NULL, 0);
  query->is_starting = false;
  ares_free_string(bytes);
  return query;
}

void resolver_cancel(struct resolver_query *query) {
  ares_cancel(query->channel);
  query_put_back(query);
}

static enum net_outcome outcome_of(const struct resolver_query *query) {
  switch (query->result) {
  case ARES_SUCCESS:
    return NET_ANSWERED;
  case ARES_ETIMEOUT:
    return NET_TIMEOUT_ANSWER;
  case ARES_ENOMEM:
    return NET_LOCAL;
  case ARES_ECONNREFUSED:
    return query->last_errno ? net_outcome_of_errno(query->last_errno) : NET_REFUSED;
  default:
    return NET_PROTOCOL;
  }
}

static void query_end(struct resolver_query *query) {
  struct resolver_reply reply = {.outcome = outcome_of(query), .detail = "", .duration_us = query->duration_us};
  if (reply.outcome == NET_ANSWERED) {
    reply.bytes = query->bytes;
    reply.length = query->length;
  } else if (query->last_errno) {
    reply.detail = strerror(query->last_errno);
  } else {
    reply.detail = ares_strerror(query->result);
  }
  query->done(query->context, &reply);
  query_put_back(query);
}
