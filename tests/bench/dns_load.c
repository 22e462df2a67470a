/* tests/bench/dns_load.c
 * Asks a DNS server over UDP as fast as it answers (closed loop), or at an even pace (open loop, with --rate), and
 * prints what came of it as one JSON object a line.
 *
 *   dns_load --server ADDRESS --port PORT --mix FILE [--seconds S] [--warm-up S] [--window N | --rate PER_S]
 *            [--sockets N] [--edns SIZE] [--dnssec] [--subnets FILE] [--queries N] [--seed N] [--interval S]
 *            [--sample FILE --sample-every N] [--watch ADDRESS] [--pause US]
 *
 * Closed loop: N queries (128) are under way, and each response makes room for the next query; latency counts from the
 * sending. Open loop: latency counts from when a query was to be sent, so a server that stalls is charged with all that
 * waited. A query without a response for a second is lost. What was sent during the warm-up is not counted. FILEs: see
 * dns_queries.h. --interval prints a line for each so many seconds, by the time of the response, before the last line
 * for all. Each N-th response is written to the sample file: the mix's line, query and response in hexadecimal. --watch
 * tells when (CLOCK_MONOTONIC) the last response came that has this address in it somewhere. "wrong": responses with
 * another code, or another number of answers, than the mix says; "mismatched": with another question. One thread, which
 * does not sleep for as long as responses come within 50 us; with --pause it sleeps so long each time it has nothing
 * more to do, and leaves its processor to others meanwhile. Queries of one size that are sent together leave as a train
 * that the kernel parts (UDP_SEGMENT), so that sending costs less than answering; the server receives each by itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/dns_counts.h"
#include "tests/bench/dns_queries.h"

#define BATCH 64u
#define RESPONSE_MOST 4096u
#define SOCKETS_MOST 64u
#define CLOSED_SLOTS 4096u /* of a socket, powers of two */
#define OPEN_SLOTS 32768u
#define LOST_NS 1000000000
#define KEPT_NS                                                                                                        \
  10000000000 /* so long the id of a lost query is not used again, lest its response is taken for another's */
#define SWEEP_NS 1000000 /* slots are looked at in pieces, which take no response's time */
#define SWEEP_PIECE 2048u
#define IDLE_NS 5000000
#define SPIN_NS 50000
#define RECEIVE_BYTES (8 << 20)
#define SAMPLES_MOST 20000u

struct slot {
  int64_t sent_ns; /* 0: free */
  uint32_t query;
  uint16_t id;
  bool is_lost;
};

/* One socket. Ids count up; a query stands in the slot of its id. */
struct flow {
  int fd;
  uint16_t next_id;
  unsigned under_way;
  struct slot *slot; /* load->slots of them */
};

struct load {
  const char *server, *port, *sample_file, *watch;
  double seconds, warm_up, rate, interval;
  long pause_ns; /* 0: none */
  unsigned window, sockets, slots, sample_every;
  unsigned swept; /* slots of all sockets that this sweep has seen */
  struct query_plan plan;
  struct queries queries;
  struct flow *flow;
  size_t next_query;
  int64_t start_ns, end_ns, counted_ns; /* counted_ns: when the warm-up is over */
  uint64_t due_most;                    /* open loop: queries to be sent */
  uint64_t due_count;                   /* open loop: queries sent or given up */
  struct counts all, part;
  uint64_t in_time;  /* received before end_ns */
  uint64_t answered; /* received at all, those of the warm-up too */
  int64_t next_sweep_ns, part_ns;
  FILE *sample;
  unsigned sampled;
  unsigned char watched[16];
  size_t watched_size;
  uint64_t watched_count;
  int64_t watched_ns;
  uint64_t refused, system_calls;
  struct mmsghdr out[BATCH], in[BATCH];
  struct iovec out_part[BATCH], in_part[BATCH];
  struct iovec train_part[BATCH]; /* out_part, those of one size one after the other */
  _Alignas(struct cmsghdr) unsigned char train_control[BATCH][CMSG_SPACE(sizeof(uint16_t))];
  unsigned char response[BATCH][RESPONSE_MOST];
};

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "dns_load: %s: %s\n", what, errno ? strerror(errno) : "bad argument");
  exit(2);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void open_flow(const struct load *load, struct flow *flow) {
  struct sockaddr_storage address = {0};
  struct sockaddr_in *four = (struct sockaddr_in *)&address;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
  int family = strchr(load->server, ':') ? AF_INET6 : AF_INET, size = RECEIVE_BYTES;
  uint16_t port = htons((uint16_t)atoi(load->port));
  address.ss_family = (sa_family_t)family;
  if (family == AF_INET)
    four->sin_port = port;
  else
    six->sin6_port = port;
  if (inet_pton(family, load->server, family == AF_INET ? (void *)&four->sin_addr : (void *)&six->sin6_addr) != 1)
    fail("server");
  flow->slot = calloc(load->slots, sizeof *flow->slot);
  if (!flow->slot)
    fail("memory");
  flow->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (flow->fd < 0)
    fail("socket");
  if (setsockopt(flow->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
    setsockopt(flow->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (connect(flow->fd, (struct sockaddr *)&address, family == AF_INET ? sizeof *four : sizeof *six))
    fail("connect");
}

static void end_part(struct load *load, int64_t now) {
  if (load->interval > 0 && load->part.sent + load->part.received + load->part.lost > 0) {
    printf("{\"from_s\":%.6f,\"seconds\":%.6f,", (double)load->part_ns / 1e9, (double)(now - load->part_ns) / 1e9);
    counts_print(&load->part);
    printf("}\n");
  }
  counts_fold(&load->all, &load->part);
  load->part = (struct counts){0};
  load->part_ns = now;
}

static void set_segment_size(struct msghdr *train, unsigned char *control, size_t size) {
  train->msg_control = control;
  train->msg_controllen = CMSG_SPACE(sizeof(uint16_t));
  struct cmsghdr *part = CMSG_FIRSTHDR(train);
  *part = (struct cmsghdr){.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(uint16_t))};
  uint16_t datagram = (uint16_t)size;
  memcpy(CMSG_DATA(part), &datagram, sizeof datagram);
}

/* Makes messages of the first ready parts, one of all that have the same size. Returns how many. */
static unsigned make_trains(struct load *load, unsigned ready) {
  bool is_placed[BATCH] = {false};
  unsigned trains = 0, placed = 0;
  for (unsigned i = 0; i < ready; i++) {
    if (is_placed[i])
      continue;
    struct msghdr *train = &load->out[trains].msg_hdr;
    size_t size = load->out_part[i].iov_len;
    *train = (struct msghdr){.msg_iov = &load->train_part[placed]};
    for (unsigned j = i; j < ready; j++)
      if (load->out_part[j].iov_len == size) {
        is_placed[j] = true;
        load->train_part[placed++] = load->out_part[j];
        train->msg_iovlen++;
      }
    if (train->msg_iovlen > 1)
      set_segment_size(train, load->train_control[trains], size);
    trains++;
  }
  return trains;
}

/* Puts up to count queries into slots and sends them. In an open loop the first is due at due_ns, each next one step_ns
 * later. Returns how many; fewer when slots are taken. */
static unsigned send_queries(struct load *load, struct flow *flow, unsigned count, double due_ns, double step_ns) {
  unsigned ready = 0;
  for (; ready < count && ready < BATCH; ready++) {
    unsigned tries = 0;
    while (flow->slot[flow->next_id % load->slots].sent_ns && tries++ < load->slots)
      flow->next_id++;
    struct slot *slot = &flow->slot[flow->next_id % load->slots];
    if (slot->sent_ns)
      break;
    const struct query *query = &load->queries.query[load->next_query];
    unsigned char *wire = load->queries.wire + query->offset;
    wire[0] = (unsigned char)(flow->next_id >> 8);
    wire[1] = (unsigned char)flow->next_id;
    *slot = (struct slot){(int64_t)(due_ns + step_ns * ready), (uint32_t)load->next_query, flow->next_id++, false};
    load->out_part[ready] = (struct iovec){wire, query->size};
    if (slot->sent_ns >= load->counted_ns)
      load->part.sent++;
    if (++load->next_query == load->queries.count)
      load->next_query = 0;
  }
  unsigned trains = make_trains(load, ready);
  for (unsigned sent = 0, failures = 0; sent < trains;) {
    int done = sendmmsg(flow->fd, load->out + sent, trains - sent, 0);
    load->system_calls++;
    if (done > 0) {
      sent += (unsigned)done;
      failures = 0;
      continue;
    }
    if (errno == ECONNREFUSED)
      load->refused++;
    else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
      fail("sendmmsg");
    if (++failures > 10) { /* what is not taken is lost when its time is over */
      sent++;
      failures = 0;
    }
  }
  flow->under_way += ready;
  return ready;
}

static void write_sample(struct load *load, const struct query *query, const unsigned char *response, unsigned size) {
  const unsigned char *wire = load->queries.wire + query->offset;
  fprintf(load->sample, "%u ", query->line);
  for (unsigned i = 0; i < query->size; i++)
    fprintf(load->sample, "%02x", i < 2 ? response[i] : wire[i]);
  fputc(' ', load->sample);
  for (unsigned i = 0; i < size; i++)
    fprintf(load->sample, "%02x", response[i]);
  fputc('\n', load->sample);
  load->sampled++;
}

static void judge(struct load *load, const struct query *query, const unsigned char *bytes, unsigned size) {
  struct counts *counts = &load->part;
  counts_judge(counts, &load->queries, query, bytes, size);
  if (load->sample && counts->received % load->sample_every == 0 && load->sampled < SAMPLES_MOST)
    write_sample(load, query, bytes, size);
}

static void take_response(struct load *load, struct flow *flow, const unsigned char *bytes, unsigned size,
                          int64_t now) {
  if (size < QUERY_HEADER) {
    load->part.mismatched++;
    return;
  }
  uint16_t id = (uint16_t)(bytes[0] << 8 | bytes[1]);
  struct slot *slot = &flow->slot[id % load->slots];
  if (slot->sent_ns == 0 || slot->is_lost || slot->id != id) {
    load->part.late++;
    return;
  }
  if (slot->sent_ns >= load->counted_ns) {
    latency_add(&load->part.latency, now - slot->sent_ns);
    judge(load, &load->queries.query[slot->query], bytes, size);
  }
  if (now >= load->counted_ns && now < load->end_ns)
    load->in_time++;
  if (load->watched_size && memmem(bytes, size, load->watched, load->watched_size)) {
    load->watched_count++;
    load->watched_ns = now;
  }
  load->answered++;
  slot->sent_ns = 0;
  flow->under_way--;
}

static unsigned receive(struct load *load, struct flow *flow) {
  int count = recvmmsg(flow->fd, load->in, BATCH, MSG_DONTWAIT, NULL);
  load->system_calls++;
  if (count < 0) {
    if (errno == ECONNREFUSED)
      load->refused++;
    else if (errno != EAGAIN && errno != EINTR)
      fail("recvmmsg");
    return 0;
  }
  int64_t now = now_ns();
  for (int i = 0; i < count; i++)
    take_response(load, flow, load->response[i], load->in[i].msg_len, now);
  return (unsigned)count;
}

static void sweep(struct load *load, int64_t now) {
  load->next_sweep_ns = now + SWEEP_NS;
  struct flow *flow = &load->flow[load->swept / load->slots];
  for (unsigned end = load->swept + SWEEP_PIECE; load->swept < end; load->swept++) {
    struct slot *slot = &flow->slot[load->swept % load->slots];
    if (slot->is_lost && now - slot->sent_ns > KEPT_NS) {
      *slot = (struct slot){0};
    } else if (slot->sent_ns && !slot->is_lost && now - slot->sent_ns > LOST_NS) {
      load->part.lost += slot->sent_ns >= load->counted_ns;
      slot->is_lost = true;
      flow->under_way--;
    }
  }
  if (load->swept == load->slots * load->sockets)
    load->swept = 0;
}

static void wait_for_responses(const struct load *load, int64_t most_ns) {
  struct pollfd fds[SOCKETS_MOST];
  for (unsigned i = 0; i < load->sockets; i++)
    fds[i] = (struct pollfd){.fd = load->flow[i].fd, .events = POLLIN};
  struct timespec time = {most_ns / 1000000000, most_ns % 1000000000};
  ppoll(fds, load->sockets, &time, NULL);
}

/* What is due of an open loop by now, shared out among the sockets. */
static void send_due(struct load *load, int64_t now) {
  double step_ns = 1e9 / load->rate;
  uint64_t due = (uint64_t)((double)(now - load->start_ns) / step_ns) + 1;
  if (due > load->due_most)
    due = load->due_most;
  unsigned full = 0;
  while (load->due_count < due && full < load->sockets) {
    struct flow *flow = &load->flow[load->due_count / 8 % load->sockets];
    uint64_t missing = due - load->due_count;
    unsigned wanted = missing < BATCH ? (unsigned)missing : BATCH;
    unsigned sent =
        send_queries(load, flow, wanted, (double)load->start_ns + (double)load->due_count * step_ns, step_ns);
    load->due_count += sent ? sent : 8; /* no room: given up, and counted below */
    if (!sent) {
      full++;
      if (now >= load->counted_ns) {
        load->part.sent += 8;
        load->part.lost += 8;
      }
    }
  }
}

static bool is_anything_under_way(const struct load *load) {
  for (unsigned i = 0; i < load->sockets; i++)
    if (load->flow[i].under_way)
      return true;
  return false;
}

/* How long there is nothing to do if no response comes. */
static int64_t idle_ns(const struct load *load, int64_t now) {
  if (load->due_count >= load->due_most)
    return IDLE_NS;
  return load->start_ns + (int64_t)((double)load->due_count * 1e9 / load->rate) - now;
}

static void run(struct load *load) {
  load->start_ns = now_ns();
  load->counted_ns = load->part_ns = load->start_ns + (int64_t)(load->warm_up * 1e9);
  load->end_ns = load->counted_ns + (int64_t)(load->seconds * 1e9);
  load->due_most = (uint64_t)(load->rate * (load->warm_up + load->seconds));
  int64_t busy_ns = load->start_ns;
  for (int64_t now = load->start_ns;
       now < load->end_ns || load->due_count < load->due_most || is_anything_under_way(load); now = now_ns()) {
    if (load->due_count < load->due_most)
      send_due(load, now);
    unsigned received = 0, share = load->window / load->sockets;
    for (unsigned i = 0; i < load->sockets; i++) {
      struct flow *flow = &load->flow[i];
      if (flow->under_way)
        received += receive(load, flow);
      if (load->rate == 0 && now < load->end_ns && flow->under_way < share)
        send_queries(load, flow, share - flow->under_way, (double)now_ns(), 0);
    }
    if (now >= load->next_sweep_ns)
      sweep(load, now);
    if (load->interval > 0 && (double)(now - load->part_ns) >= load->interval * 1e9)
      end_part(load, now);
    if (received)
      busy_ns = now;
    if (load->pause_ns && received < BATCH)
      nanosleep(&(struct timespec){0, load->pause_ns}, NULL);
    int64_t idle = idle_ns(load, now);
    if (!load->pause_ns && !received && idle > SPIN_NS && now - busy_ns > SPIN_NS)
      wait_for_responses(load, idle < IDLE_NS ? idle - SPIN_NS / 2 : IDLE_NS);
  }
  end_part(load, now_ns());
}

static void print_all(const struct load *load) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("{\"seconds\":%.6f,\"rate\":%.1f,", load->seconds, (double)load->in_time / load->seconds);
  counts_print(&load->all);
  printf(",\"answered_in_all\":%llu,\"refused\":%llu,\"client_user_s\":%.3f,\"client_system_s\":%.3f,\"client_calls\":%"
         "llu",
         (unsigned long long)load->answered, (unsigned long long)load->refused,
         (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6,
         (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6, (unsigned long long)load->system_calls);
  if (load->watched_size)
    printf(",\"watched\":%llu,\"watched_last_s\":%.6f", (unsigned long long)load->watched_count,
           (double)load->watched_ns / 1e9);
  printf("}\n");
}

static double read_number(const char *text) {
  char *end;
  double number = strtod(text, &end);
  errno = 0;
  if (end == text || *end || !(number >= 0) || !isfinite(number))
    fail(text);
  return number;
}

static void read_watched(struct load *load, const char *text) {
  int family = strchr(text, ':') ? AF_INET6 : AF_INET;
  if (inet_pton(family, text, load->watched) != 1)
    fail(text);
  load->watched_size = family == AF_INET ? 4 : 16;
}

static void read_arguments(struct load *load, int argc, char **argv) {
  static const struct option options[] = {{"server", 1, NULL, 'a'},
                                          {"port", 1, NULL, 'p'},
                                          {"mix", 1, NULL, 'm'},
                                          {"seconds", 1, NULL, 't'},
                                          {"warm-up", 1, NULL, 'u'},
                                          {"window", 1, NULL, 'w'},
                                          {"rate", 1, NULL, 'r'},
                                          {"sockets", 1, NULL, 's'},
                                          {"edns", 1, NULL, 'e'},
                                          {"dnssec", 0, NULL, 'd'},
                                          {"subnets", 1, NULL, 'n'},
                                          {"queries", 1, NULL, 'q'},
                                          {"seed", 1, NULL, 'x'},
                                          {"interval", 1, NULL, 'i'},
                                          {"sample", 1, NULL, 'o'},
                                          {"sample-every", 1, NULL, 'v'},
                                          {"watch", 1, NULL, 'h'},
                                          {"pause", 1, NULL, 'l'},
                                          {0}};
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
    switch (option) {
    case 'a':
      load->server = optarg;
      break;
    case 'p':
      load->port = optarg;
      break;
    case 'm':
      load->plan.mix = optarg;
      break;
    case 't':
      load->seconds = read_number(optarg);
      break;
    case 'u':
      load->warm_up = read_number(optarg);
      break;
    case 'w':
      load->window = (unsigned)read_number(optarg);
      break;
    case 'r':
      load->rate = read_number(optarg);
      break;
    case 's':
      load->sockets = (unsigned)read_number(optarg);
      break;
    case 'e':
      load->plan.edns_size = (unsigned)read_number(optarg);
      break;
    case 'd':
      load->plan.dnssec = true;
      break;
    case 'n':
      load->plan.subnets = optarg;
      break;
    case 'q':
      load->plan.count = (size_t)read_number(optarg);
      break;
    case 'x':
      load->plan.seed = (uint64_t)read_number(optarg);
      break;
    case 'i':
      load->interval = read_number(optarg);
      break;
    case 'o':
      load->sample_file = optarg;
      break;
    case 'v':
      load->sample_every = (unsigned)read_number(optarg);
      break;
    case 'h':
      read_watched(load, optarg);
      break;
    case 'l':
      load->pause_ns = (long)fmin(read_number(optarg), 1e5) * 1000;
      break;
    default:
      fail("usage");
    }
  if (!load->server || !load->port || !load->plan.mix || optind != argc || load->sample_every == 0 ||
      load->sockets == 0 || load->sockets > SOCKETS_MOST || load->window < load->sockets ||
      load->window / load->sockets > CLOSED_SLOTS / 2 || load->plan.count < BATCH || load->plan.count > 4000000)
    fail("usage");
}

int main(int argc, char **argv) {
  struct load *load = calloc(1, sizeof *load);
  if (!load)
    fail("memory");
  load->seconds = 2;
  load->window = 128; /* not more than the 166 datagrams that a socket's receive buffer holds by default */
  load->sockets = 4;
  load->sample_every = 1000;
  load->plan.count = 65536;
  load->plan.seed = 1;
  read_arguments(load, argc, argv);
  queries_init(&load->queries, &load->plan);
  load->flow = calloc(load->sockets, sizeof *load->flow);
  if (!load->flow)
    fail("memory");
  load->slots = load->rate > 0 ? OPEN_SLOTS : CLOSED_SLOTS;
  for (unsigned i = 0; i < load->sockets; i++)
    open_flow(load, &load->flow[i]);
  for (unsigned i = 0; i < BATCH; i++) {
    load->in_part[i] = (struct iovec){load->response[i], RESPONSE_MOST};
    load->in[i].msg_hdr = (struct msghdr){.msg_iov = &load->in_part[i], .msg_iovlen = 1};
  }
  if (load->sample_file && !(load->sample = fopen(load->sample_file, "w")))
    fail(load->sample_file);
  prctl(PR_SET_TIMERSLACK, 1L);
  run(load);
  print_all(load);
  if (load->sample && fclose(load->sample))
    fail(load->sample_file);
  for (unsigned i = 0; i < load->sockets; i++) {
    free(load->flow[i].slot);
    close(load->flow[i].fd);
  }
  free(load->flow);
  queries_release(&load->queries);
  free(load);
  return 0;
}
