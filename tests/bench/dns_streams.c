/* tests/bench/dns_streams.c
 * Asks a DNS server over TCP (RFC 7766), many connections at once with so many queries under way on each, as fast as it
 * answers, and prints what came of it as one JSON object.
 *
 *   dns_streams --server ADDRESS --port PORT --mix FILE [--connections N] [--depth N] [--seconds S] [--warm-up S]
 *               [--queries N] [--seed N]
 *
 * All connections are opened before the measurement; each then sends its queries at once, and one more for each
 * response (the next ones together, as many as responses were read at once). Responses may come in any order. What was
 * sent during the warm-up is not counted; latency counts from the sending. A connection that ends is opened anew:
 * "closed", with the queries that were under way on it "lost", as are those without a response at the end, a second
 * after the last was sent. "wrong": responses with another code, or another number of answers, than the mix says;
 * "mismatched": with another question, or to none of ours. FILE: see dns_queries.h. One thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/dns_counts.h"
#include "tests/bench/dns_queries.h"
#include "tests/bench/latency.h"

#define CONNECTIONS_MOST 20000u
#define DEPTH_MOST 256u
#define QUERY_ROOM 514u /* a query with its length before it */
#define READ_MOST (1u << 17)
#define RESPONSE_ROOM 65537u
#define EVENTS 256
#define OPENING_AT_ONCE 128u
#define OPENING_MOST_NS 30000000000
#define LOST_NS 1000000000

struct slot {
  int64_t sent_ns; /* 0: free */
  uint32_t query;
  uint16_t id; /* the slot's index, and above it how often it was used */
};

struct stream {
  int fd;
  bool is_open;        /* connected */
  bool is_kept;        /* out has what was not taken */
  unsigned char *rest; /* of a response that did not come whole */
  size_t rest_size;
  unsigned char *out; /* what was not taken: room for all queries that may be under way */
  size_t out_size;
  struct slot *slot;
};

struct streams {
  const char *server, *port;
  double seconds, warm_up;
  unsigned connections, depth;
  struct query_plan plan;
  struct queries queries;
  size_t next_query;
  struct sockaddr_storage address;
  socklen_t address_size;
  int epoll;
  struct stream *stream;
  unsigned opened;
  int64_t counted_ns, end_ns; /* counted_ns 0: still opening */
  uint64_t answered, in_time, closed, calls;
  struct counts counts;
  unsigned char in[RESPONSE_ROOM + READ_MOST];
};

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "dns_streams: %s: %s\n", what, errno ? strerror(errno) : "bad argument");
  exit(2);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *allocate(size_t count, size_t size) {
  void *block = calloc(count, size);
  if (!block)
    fail("memory");
  return block;
}

static void watch(const struct streams *streams, const struct stream *stream, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = (void *)(uintptr_t)stream};
  if (epoll_ctl(streams->epoll, operation, stream->fd, &event) != 0)
    fail("epoll_ctl");
}

static void start_opening(struct streams *streams, struct stream *stream) {
  int on = 1;
  stream->fd = socket(streams->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (stream->fd < 0 || setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
    fail("socket");
  if (connect(stream->fd, (struct sockaddr *)&streams->address, streams->address_size) != 0 && errno != EINPROGRESS)
    fail("connect");
  stream->is_open = stream->is_kept = false;
  stream->rest_size = stream->out_size = 0;
  watch(streams, stream, EPOLL_CTL_ADD, EPOLLOUT);
}

static void drop_queries(struct streams *streams, struct stream *stream) {
  for (unsigned i = 0; i < streams->depth; i++) {
    struct slot *slot = &stream->slot[i];
    streams->counts.lost += slot->sent_ns && slot->sent_ns >= streams->counted_ns;
    slot->sent_ns = 0;
  }
}

static void open_anew(struct streams *streams, struct stream *stream) {
  streams->opened -= stream->is_open;
  streams->closed += streams->counted_ns != 0;
  close(stream->fd);
  drop_queries(streams, stream);
  start_opening(streams, stream);
}

static void put_query(struct streams *streams, struct stream *stream, unsigned at, int64_t now) {
  struct slot *slot = &stream->slot[at];
  const struct query *query = &streams->queries.query[streams->next_query];
  slot->id = (uint16_t)(slot->id + DEPTH_MOST);
  slot->query = (uint32_t)streams->next_query;
  slot->sent_ns = now;
  streams->counts.sent += now >= streams->counted_ns;
  unsigned char *out = stream->out + stream->out_size;
  out[0] = (unsigned char)(query->size >> 8);
  out[1] = (unsigned char)query->size;
  memcpy(out + 2, streams->queries.wire + query->offset, query->size);
  out[2] = (unsigned char)(slot->id >> 8);
  out[3] = (unsigned char)slot->id;
  stream->out_size += 2u + query->size;
  if (++streams->next_query == streams->queries.count)
    streams->next_query = 0;
}

/* False: the connection is gone. */
static bool send_out(struct streams *streams, struct stream *stream) {
  if (stream->out_size == 0)
    return true;
  ssize_t sent = send(stream->fd, stream->out, stream->out_size, MSG_NOSIGNAL | MSG_DONTWAIT);
  streams->calls++;
  if (sent < 0 && errno != EAGAIN && errno != EINTR)
    return false;
  size_t done = sent < 0 ? 0 : (size_t)sent;
  memmove(stream->out, stream->out + done, stream->out_size - done);
  stream->out_size -= done;
  bool is_kept = stream->out_size > 0;
  if (is_kept != stream->is_kept)
    watch(streams, stream, EPOLL_CTL_MOD, is_kept ? EPOLLIN | EPOLLOUT : EPOLLIN);
  stream->is_kept = is_kept;
  return true;
}

static bool send_first(struct streams *streams, struct stream *stream, int64_t now) {
  for (unsigned i = 0; i < streams->depth; i++)
    put_query(streams, stream, i, now);
  return send_out(streams, stream);
}

/* Takes a response, and puts the next query into its place. */
static void take_response(struct streams *streams, struct stream *stream, const unsigned char *bytes, size_t size,
                          int64_t now) {
  uint16_t id = size < QUERY_HEADER ? 0 : (uint16_t)(bytes[0] << 8 | bytes[1]);
  unsigned at = id % DEPTH_MOST;
  if (size < QUERY_HEADER || at >= streams->depth || !stream->slot[at].sent_ns || stream->slot[at].id != id) {
    streams->counts.mismatched++;
    return;
  }
  struct slot *slot = &stream->slot[at];
  streams->answered++;
  if (streams->counted_ns && slot->sent_ns >= streams->counted_ns) {
    latency_add(&streams->counts.latency, now - slot->sent_ns);
    counts_judge(&streams->counts, &streams->queries, &streams->queries.query[slot->query], bytes, size);
  }
  streams->in_time += now >= streams->counted_ns && now < streams->end_ns;
  slot->sent_ns = 0;
  if (now < streams->end_ns)
    put_query(streams, stream, at, now);
}

/* False: the connection is gone. */
static bool receive(struct streams *streams, struct stream *stream) {
  if (stream->rest_size)
    memcpy(streams->in, stream->rest, stream->rest_size);
  ssize_t got = recv(stream->fd, streams->in + stream->rest_size, READ_MOST, MSG_DONTWAIT);
  streams->calls++;
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return true;
  if (got <= 0)
    return false;
  size_t used = stream->rest_size + (size_t)got, at = 0;
  int64_t now = now_ns();
  while (used - at >= 2) {
    size_t size = (size_t)streams->in[at] << 8 | streams->in[at + 1];
    if (used - at < 2 + size)
      break;
    take_response(streams, stream, streams->in + at + 2, size, now);
    at += 2 + size;
  }
  if (stream->rest_size < used - at && !(stream->rest = realloc(stream->rest, used - at)))
    fail("memory");
  stream->rest_size = used - at;
  memcpy(stream->rest ? stream->rest : streams->in, streams->in + at, stream->rest_size);
  return send_out(streams, stream);
}

static void serve(struct streams *streams, struct stream *stream, uint32_t events) {
  bool is_there = true;
  if (!stream->is_open && events & (EPOLLERR | EPOLLHUP)) {
    is_there = false;
  } else if (!stream->is_open) {
    stream->is_open = true;
    streams->opened++;
    watch(streams, stream, EPOLL_CTL_MOD, EPOLLIN);
    if (streams->counted_ns)
      is_there = send_first(streams, stream, now_ns());
  } else {
    if (events & EPOLLOUT)
      is_there = send_out(streams, stream);
    if (is_there && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
      is_there = receive(streams, stream);
  }
  if (!is_there)
    open_anew(streams, stream);
}

static void turn(struct streams *streams, int wait_ms) {
  struct epoll_event events[EVENTS];
  int count = epoll_wait(streams->epoll, events, EVENTS, wait_ms);
  streams->calls++;
  for (int i = 0; i < count; i++)
    serve(streams, events[i].data.ptr, events[i].events);
}

/* Returns how long it took. */
static int64_t open_all(struct streams *streams) {
  int64_t start = now_ns();
  unsigned begun = 0;
  streams->stream = allocate(streams->connections, sizeof *streams->stream);
  while (streams->opened < streams->connections) {
    while (begun < streams->connections && begun - streams->opened < OPENING_AT_ONCE) {
      struct stream *stream = &streams->stream[begun++];
      stream->slot = allocate(streams->depth, sizeof *stream->slot);
      stream->out = allocate(streams->depth, QUERY_ROOM);
      for (unsigned i = 0; i < streams->depth; i++)
        stream->slot[i].id = (uint16_t)i;
      start_opening(streams, stream);
    }
    turn(streams, 100);
    if (now_ns() - start > OPENING_MOST_NS) {
      errno = ETIMEDOUT;
      fail("opening the connections");
    }
  }
  return now_ns() - start;
}

static void run(struct streams *streams) {
  int64_t start = now_ns();
  streams->counted_ns = start + (int64_t)(streams->warm_up * 1e9);
  streams->end_ns = streams->counted_ns + (int64_t)(streams->seconds * 1e9);
  for (unsigned i = 0; i < streams->connections; i++)
    if (streams->stream[i].is_open && !send_first(streams, &streams->stream[i], start))
      open_anew(streams, &streams->stream[i]);
  while (now_ns() < streams->end_ns)
    turn(streams, 10);
  while (now_ns() < streams->end_ns + LOST_NS && streams->counts.received + streams->counts.lost < streams->counts.sent)
    turn(streams, 10);
  for (unsigned i = 0; i < streams->connections; i++)
    drop_queries(streams, &streams->stream[i]);
}

static double read_number(const char *text) {
  char *end;
  double number = strtod(text, &end);
  errno = 0;
  if (end == text || *end || !(number >= 0) || !isfinite(number))
    fail(text);
  return number;
}

static void read_options(struct streams *streams, int argc, char **argv) {
  enum { SERVER, PORT, MIX, CONNECTIONS, DEPTH, SECONDS, WARM_UP, QUERIES, SEED };
  static const struct option options[] =
      {{"server", required_argument, NULL, SERVER},   {"port", required_argument, NULL, PORT},
       {"mix", required_argument, NULL, MIX},         {"connections", required_argument, NULL, CONNECTIONS},
       {"depth", required_argument, NULL, DEPTH},     {"seconds", required_argument, NULL, SECONDS},
       {"warm-up", required_argument, NULL, WARM_UP}, {"queries", required_argument, NULL, QUERIES},
       {"seed", required_argument, NULL, SEED},       {NULL, 0, NULL, 0}};
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    double number = option > MIX ? read_number(optarg) : 0;
    switch (option) {
    case SERVER:
      streams->server = optarg;
      break;
    case PORT:
      streams->port = optarg;
      break;
    case MIX:
      streams->plan.mix = optarg;
      break;
    case CONNECTIONS:
      streams->connections = (unsigned)number;
      break;
    case DEPTH:
      streams->depth = (unsigned)number;
      break;
    case SECONDS:
      streams->seconds = number;
      break;
    case WARM_UP:
      streams->warm_up = number;
      break;
    case QUERIES:
      streams->plan.count = (size_t)number;
      break;
    case SEED:
      streams->plan.seed = (uint64_t)number;
      break;
    default:
      exit(2);
    }
  }
  errno = 0;
  if (!streams->server || !streams->port || !streams->plan.mix || streams->connections == 0 || streams->depth == 0 ||
      streams->connections > CONNECTIONS_MOST || streams->depth > DEPTH_MOST || streams->seconds <= 0)
    fail("--server, --port and --mix are needed, --connections, --depth and --seconds within bounds");
}

static void set_address(struct streams *streams) {
  struct sockaddr_in *four = (struct sockaddr_in *)&streams->address;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)&streams->address;
  bool is_four = !strchr(streams->server, ':');
  in_port_t port = htons((uint16_t)atoi(streams->port));
  streams->address.ss_family = is_four ? AF_INET : AF_INET6;
  streams->address_size = is_four ? sizeof *four : sizeof *six;
  *(is_four ? &four->sin_port : &six->sin6_port) = port;
  if (inet_pton(streams->address.ss_family, streams->server,
                is_four ? (void *)&four->sin_addr : (void *)&six->sin6_addr) != 1)
    fail("server");
}

static void print_all(const struct streams *streams, int64_t opening_ns) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("{\"seconds\":%.6f,\"rate\":%.1f,\"connections\":%u,\"depth\":%u,\"opening_s\":%.6f,\"answered\":%llu,"
         "\"closed\":%llu,\"client_user_s\":%.3f,\"client_system_s\":%.3f,\"client_calls\":%llu,",
         streams->seconds, (double)streams->in_time / streams->seconds, streams->connections, streams->depth,
         (double)opening_ns / 1e9, (unsigned long long)streams->answered, (unsigned long long)streams->closed,
         (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6,
         (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6, (unsigned long long)streams->calls);
  counts_print(&streams->counts);
  printf("}\n");
}

int main(int argc, char **argv) {
  static struct streams streams = {.connections = 1,
                                   .depth = 1,
                                   .seconds = 1,
                                   .warm_up = 0.2,
                                   .plan = {.count = 65536, .seed = 1}};
  read_options(&streams, argc, argv);
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  set_address(&streams);
  queries_init(&streams.queries, &streams.plan);
  streams.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (streams.epoll < 0)
    fail("epoll_create1");
  int64_t opening_ns = open_all(&streams);
  run(&streams);
  print_all(&streams, opening_ns);
  queries_release(&streams.queries);
}
