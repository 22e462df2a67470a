/* tests/bench/answer_instructions.c
 * What an answer costs without the kernel, by kind of query: a book is compiled from a configuration and zones as gslbd
 * does it, and each kind's queries go through zones/udp as in a worker, in batches. recvmmsg, sendmmsg
 * and getsockopt are this program's own: they hand over datagrams and take replies without a socket. All that is drawn
 * is drawn from fixed seeds, so that instructions repeat exactly.
 *
 *   answer_instructions           under callgrind as tests/bench/instructions runs it: leaves a dump for each kind
 *   answer_instructions KIND…     the same, of these kinds
 *   answer_instructions --time …  prints how many ns of processor time an answer takes
 *
 * Prints first how it was built, then a line for each kind: its name and how many queries were counted. Ends with 1
 * when an answer is not what its kind expects. One thread. */
#include <arpa/inet.h>
#include <gnu/libc-version.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <ldns/ldns.h>
#include <valgrind/callgrind.h>

#include "tests/unit/zones/small_book.h"
#include "zones/message/wire.h"
#include "zones/udp.h"

#define COUNTED_QUERIES 2048u
#define TIMED_QUERIES 16384u /* so that names drawn from many are not all in the cache */
#define TIMED_NS 10000000    /* at least, in each round */
#define TIMED_ROUNDS 5
#define QUERY_MOST 128u
#define SITES 8u
#define NETWORKS 4096u
#define LARGE_NAMES 100000u
#define PAYLOAD 1232u
#define CLIENT_NETWORKS 256u
#define SEED 53

enum option { OPTION_NONE, OPTION_PLAIN_EDNS, OPTION_SUBNET_EDNS, OPTION_COOKIE_EDNS };

struct kind {
  const char *name;
  const char *question; /* # stands for a number below range, another in each query */
  uint32_t range;
  uint16_t type;
  enum option option;
  bool is_limited;                                /* rate limiting is on */
  bool is_malformed;                              /* the question ends within its name */
  bool is_large;                                  /* asks the book of many names */
  uint16_t rcode, answers, authority, additional; /* what the reply must have; additional: at least, without OPT */
};

static const struct kind kinds[] = {
    {.name = "balanced-a", .question = "www.example.com", .type = TYPE_A, .answers = 1},
    {.name = "balanced-a-edns",
     .question = "www.example.com",
     .type = TYPE_A,
     .option = OPTION_PLAIN_EDNS,
     .answers = 1},
    {.name = "balanced-a-of-three", .question = "three.example.com", .type = TYPE_A, .answers = 3},
    {.name = "balanced-a-round-robin", .question = "turn.example.com", .type = TYPE_A, .answers = 1},
    {.name = "balanced-aaaa", .question = "www.example.com", .type = TYPE_AAAA, .answers = 1},
    {.name = "balanced-srv", .question = "_http._tcp.www.example.com", .type = TYPE_SRV, .answers = 8, .additional = 7},
    {.name = "balanced-srv-edns",
     .question = "_http._tcp.www.example.com",
     .type = TYPE_SRV,
     .option = OPTION_PLAIN_EDNS,
     .answers = 8,
     .additional = 16},
    {.name = "balanced-https", .question = "www.example.com", .type = TYPE_HTTPS, .answers = 1},
    {.name = "balanced-cname", .question = "alias.example.com", .type = TYPE_A, .answers = 2},
    {.name = "geography", .question = "near.example.com", .type = TYPE_A, .option = OPTION_SUBNET_EDNS, .answers = 1},
    {.name = "member", .question = "m3.www.example.com", .type = TYPE_A, .answers = 1},
    {.name = "static-a", .question = "static.example.com", .type = TYPE_A, .answers = 1},
    {.name = "static-a-edns",
     .question = "static.example.com",
     .type = TYPE_A,
     .option = OPTION_PLAIN_EDNS,
     .answers = 1},
    {.name = "static-a-cookie",
     .question = "static.example.com",
     .type = TYPE_A,
     .option = OPTION_COOKIE_EDNS,
     .answers = 1},
    {.name = "static-a-limited", .question = "static.example.com", .type = TYPE_A, .is_limited = true, .answers = 1},
    {.name = "static-mx", .question = "example.com", .type = TYPE_MX, .answers = 2, .additional = 3},
    {.name = "static-txt", .question = "text.example.com", .type = TYPE_TXT, .answers = 1},
    {.name = "cname-chain", .question = "chain.example.com", .type = TYPE_A, .answers = 4},
    {.name = "wildcard", .question = "any#.wild.example.com", .range = 100000, .type = TYPE_A, .answers = 1},
    {.name = "nxdomain",
     .question = "no#.example.com",
     .range = 100000,
     .type = TYPE_A,
     .rcode = RCODE_NXDOMAIN,
     .authority = 1},
    {.name = "nodata", .question = "text.example.com", .type = TYPE_A, .authority = 1},
    {.name = "delegation",
     .question = "host#.sub.example.com",
     .range = 100000,
     .type = TYPE_A,
     .authority = 2,
     .additional = 2},
    {.name = "dname", .question = "static.old.example.com", .type = TYPE_A, .answers = 3},
    {.name = "malformed", .question = "www.example.com", .type = TYPE_A, .is_malformed = true, .rcode = RCODE_FORMERR},
    {.name = "refused", .question = "www.example.net", .type = TYPE_A, .rcode = RCODE_REFUSED},
    {.name = "static-a-of-100000",
     .question = "host-#.example.com",
     .range = LARGE_NAMES,
     .type = TYPE_A,
     .is_large = true,
     .answers = 1},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static const char zone_text[] =
    "$ORIGIN example.com.\n$TTL 300\n"
    "@ SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\n@ NS ns2\n@ MX 10 post\n@ MX 20 relay\n"
    "ns1 A 192.0.2.1\nns2 AAAA 2001:db8::2\npost A 192.0.2.3\npost AAAA 2001:db8::3\nrelay A 192.0.2.4\n"
    "static A 192.0.2.5\ntext TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n"
    "chain CNAME second\nsecond CNAME third\nthird CNAME static\n*.wild A 192.0.2.6\n"
    "sub NS ns1.sub\nsub NS ns2.sub\nns1.sub A 192.0.2.7\nns2.sub A 192.0.2.8\nold DNAME @\n";

/* A query and whom it is from. */
struct datagram {
  struct sockaddr_storage peer;
  size_t size;
  uint8_t packet[QUERY_MOST];
};

struct bench {
  struct small_book small, large; /* large: only where a kind that asks it is chosen */
  struct rrl *rrl;
  struct cookie_secrets cookies;
  struct udp *udp;
  struct datagram *datagrams;
  uint32_t count;
};

/* Global since recvmmsg and sendmmsg have no argument for it. */
static struct {
  const struct datagram *next;
  uint32_t left;            /* to be received */
  uint32_t sent;            /* replies */
  const struct kind *check; /* what they must be; NULL: not looked at */
} kernel;

static _Noreturn void fail(const struct kind *kind, const char *what) {
  fprintf(stderr, "answer_instructions: %s: %s\n", kind->name, what);
  exit(1);
}

/* The book */

/* Networks of 16 to 24 bits that lie apart, so that the search tree is as deep as one of real networks. */
static unsigned network_bits(unsigned index) {
  return 16 + index % 9;
}

static uint32_t network_address(unsigned index) {
  uint32_t address = (16 + index / 64) << 24 | (index % 64 * 4 + index / 7 % 4) << 16 | (index * 149 % 256) << 8;
  return address & ~((UINT32_C(1) << (32 - network_bits(index))) - 1);
}

static char *services_text(void) {
  char *text;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  fputs("sites:\n", out);
  for (unsigned i = 0; i < SITES; i++)
    fprintf(out, "  - {name: s%u}\n", i);
  fputs("networks:\n", out);
  for (unsigned i = 0; i < NETWORKS; i++) {
    uint32_t network = network_address(i);
    fprintf(out, "  - {network: %u.%u.%u.0/%u, sites: [s%u, s%u]}\n", network >> 24, network >> 16 & 255,
            network >> 8 & 255, network_bits(i), i % SITES, (i % SITES + 1 + i / SITES % (SITES - 1)) % SITES);
  }
  fputs("services:\n", out);
  static const char *const heads[] = {
      "name: www.example.com, answers: 1, srv: _http._tcp, https: {alpn: [h2, h3]}",
      "name: three.example.com, answers: 3",
      "name: turn.example.com, answers: 1, method: round_robin",
      "name: near.example.com, answers: 1, nearest: true",
  };
  for (unsigned service = 0; service < sizeof heads / sizeof heads[0]; service++) {
    fprintf(out, "  - {%s, members: [\n", heads[service]);
    for (unsigned i = 0; i < 8; i++)
      fprintf(out,
              "    {name: m%u, site: s%u, addresses: [198.51.%u.%u, \"2001:db8:%u::%u\"], srv_port: 80, weight: "
              "%u}%s\n",
              i, i % SITES, 100 + service, i + 1, service + 1, i + 1, 1 + i % 4, i < 7 ? "," : "]}");
  }
  fputs("  - {name: alias.example.com, answer: cname, members: [{name: one, addresses: [198.51.100.9], target: "
        "static.example.com}, {name: two, addresses: [198.51.100.10], target: post.example.com}]}\n",
        out);
  fclose(out);
  return text;
}

static char *large_zone_text(void) {
  char *text;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  fputs("$ORIGIN example.com.\n$TTL 300\n@ SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n", out);
  for (unsigned i = 0; i < LARGE_NAMES; i++)
    fprintf(out, "host-%u A 192.0.2.%u\n", i, i % 256);
  fclose(out);
  return text;
}

static void make_books(struct bench *bench, bool has_large) {
  char *services = services_text();
  small_book_make(&bench->small, services, zone_text);
  free(services);
  bench->cookies = (struct cookie_secrets){.count = 1, .secrets = {{1, 2, 3, 4, 5, 6, 7, 8}}};
  bench->small.book->cookies = &bench->cookies;
  /* far above what is asked, so that what is counted are answers */
  const struct config_rate_limit limit = {.responses_per_s = 100000,
                                          .total_per_s = 1000000,
                                          .slip = 2,
                                          .ipv4_bits = 24,
                                          .ipv6_bits = 56};
  bench->rrl = rrl_new(&limit, 1, SEED);
  if (has_large) {
    char *zone = large_zone_text();
    small_book_make(&bench->large, "", zone);
    free(zone);
  }
}

static void release_books(struct bench *bench, bool has_large) {
  small_book_release(&bench->small);
  rrl_free(bench->rrl);
  if (has_large)
    small_book_release(&bench->large);
}

/* The queries */

static size_t put_name(const struct kind *kind, struct random *random, uint8_t *at) {
  char text[NAME_TEXT_SIZE];
  size_t head = strcspn(kind->question, "#");
  if (kind->question[head])
    snprintf(text, sizeof text, "%.*s%u%s", (int)head, kind->question, random_below(random, kind->range),
             kind->question + head + 1);
  else
    snprintf(text, sizeof text, "%s", kind->question);
  struct name name;
  if (name_from_text(text, &name) != STATUS_OK)
    fail(kind, "no name");
  memcpy(at, name.wire, name.size);
  return name.size;
}

static size_t put_option(const struct bench *bench, const struct kind *kind, struct random *random,
                         const struct addr *from, uint8_t *at) {
  if (kind->option == OPTION_NONE)
    return 0;
  uint8_t option[4 + COOKIE_SIZE] = {0};
  size_t size = 0;
  if (kind->option == OPTION_SUBNET_EDNS) {
    static const uint8_t head[] = {0, OPTION_SUBNET, 0, 7, 0, 1, 24, 0};
    memcpy(option, head, sizeof head);
    size = sizeof head;
    /* one in four anywhere, the others in one of the networks */
    uint32_t place = random_below(random, 4) ? network_address(random_below(random, NETWORKS))
                                             : (16 + random_below(random, 128)) << 24 | random_below(random, 1 << 24);
    option[size++] = (uint8_t)(place >> 24);
    option[size++] = (uint8_t)(place >> 16);
    option[size++] = (uint8_t)(place >> 8);
  } else if (kind->option == OPTION_COOKIE_EDNS) {
    static const uint8_t head[] = {0, OPTION_COOKIE, 0, COOKIE_SIZE};
    memcpy(option, head, sizeof head);
    size = sizeof head;
    static const uint8_t client[COOKIE_CLIENT_SIZE] = "client-1";
    cookie_make(&bench->cookies, client, from, (uint32_t)time(NULL), option + size);
    size += COOKIE_SIZE;
  }
  const uint8_t record[] = {0, 0, TYPE_OPT, PAYLOAD >> 8, PAYLOAD & 255, 0, 0, 0, 0, 0, (uint8_t)size};
  memcpy(at, record, sizeof record);
  memcpy(at + sizeof record, option, size);
  return sizeof record + size;
}

static void make_datagram(const struct bench *bench, const struct kind *kind, uint32_t index, struct random *random,
                          struct datagram *out) {
  struct sockaddr_in *peer = (struct sockaddr_in *)&out->peer;
  memset(out, 0, sizeof *out);
  peer->sin_family = AF_INET;
  peer->sin_port = htons((uint16_t)(1024 + index % 60000));
  peer->sin_addr.s_addr = htonl(0xcb000000u | (index % CLIENT_NETWORKS) << 8 | 9u);
  struct addr from;
  addr_from_sockaddr((const struct sockaddr *)peer, &from);
  const uint8_t head[WIRE_HEADER_SIZE] = {(uint8_t)(index >> 8),      (uint8_t)index, 1, 0, 0, 1, 0, 0, 0, 0, 0,
                                          kind->option != OPTION_NONE};
  memcpy(out->packet, head, sizeof head);
  size_t size = sizeof head + put_name(kind, random, out->packet + sizeof head);
  if (kind->is_malformed) {
    out->size = size - 4;
    return;
  }
  wire_set_u16(out->packet + size, kind->type);
  wire_set_u16(out->packet + size + 2, CLASS_IN);
  size += 4;
  out->size = size + put_option(bench, kind, random, &from, out->packet + size);
}

static void make_datagrams(struct bench *bench, const struct kind *kind) {
  struct random random;
  random_seed(&random, SEED);
  for (uint32_t i = 0; i < bench->count; i++)
    make_datagram(bench, kind, i, &random, &bench->datagrams[i]);
}

/* The kernel's part */

static void check(const struct kind *kind, const uint8_t *reply, size_t size) {
  ldns_pkt *packet;
  if (ldns_wire2pkt(&packet, reply, size) != LDNS_STATUS_OK)
    fail(kind, "an answer that ldns cannot read");
  if (ldns_pkt_get_rcode(packet) != kind->rcode || ldns_pkt_ancount(packet) != kind->answers ||
      ldns_pkt_nscount(packet) != kind->authority || ldns_pkt_arcount(packet) < kind->additional ||
      ldns_pkt_edns(packet) != (kind->option != OPTION_NONE)) {
    ldns_pkt_print(stderr, packet);
    fail(kind, "an answer that is not what was expected");
  }
  ldns_pkt_free(packet);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit) {
  (void)fd, (void)flags, (void)limit;
  CALLGRIND_TOGGLE_COLLECT; /* off: the kernel's part */
  unsigned taken = 0;
  for (; taken < count && kernel.left; taken++, kernel.next++, kernel.left--) {
    struct msghdr *message = &messages[taken].msg_hdr;
    memcpy(message->msg_name, &kernel.next->peer, sizeof(struct sockaddr_in));
    message->msg_namelen = sizeof(struct sockaddr_in);
    memcpy(message->msg_iov->iov_base, kernel.next->packet, kernel.next->size);
    message->msg_controllen = 0;
    message->msg_flags = 0;
    messages[taken].msg_len = (unsigned)kernel.next->size;
  }
  CALLGRIND_TOGGLE_COLLECT;
  return (int)taken;
}

/* The kernel knows trains of replies, and no other option is set. */
int getsockopt(int fd, int level, int option, void *value, socklen_t *size) {
  (void)fd, (void)level, (void)option;
  memset(value, 0, *size);
  return 0;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
  (void)fd, (void)flags;
  for (unsigned i = 0; i < count; i++) { /* one reply, or a train of them */
    const struct msghdr *message = &messages[i].msg_hdr;
    for (size_t part = 0; kernel.check && part < message->msg_iovlen; part += 16)
      check(kernel.check, message->msg_iov[part].iov_base, message->msg_iov[part].iov_len);
    kernel.sent += (uint32_t)message->msg_iovlen;
  }
  return (int)count;
}

/* As a worker does it. */
static void answer_all(struct bench *bench, struct small_book *small) {
  kernel.next = bench->datagrams;
  kernel.left = bench->count;
  int count;
  while ((count = udp_receive(bench->udp)) > 0)
    udp_answer(bench->udp, count, &small->answerer, small->book);
}

static struct small_book *prepare(struct bench *bench, const struct kind *kind) {
  struct small_book *small = kind->is_large ? &bench->large : &bench->small;
  small->answerer.rrl = kind->is_limited ? bench->rrl : NULL;
  make_datagrams(bench, kind);
  kernel.check = kind;
  kernel.sent = 0;
  answer_all(bench, small);
  if (kernel.sent != bench->count)
    fail(kind, "queries without an answer");
  kernel.check = NULL;
  random_seed(&small->answerer.random, SEED);
  return small;
}

static void count_kind(struct bench *bench, const struct kind *kind) {
  struct small_book *small = prepare(bench, kind);
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_ZERO_STATS;
  CALLGRIND_TOGGLE_COLLECT;
  answer_all(bench, small);
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_STOP_INSTRUMENTATION;
  CALLGRIND_DUMP_STATS_AT(kind->name);
  printf("%s %u\n", kind->name, bench->count);
}

static int64_t processor_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* How long an answer took at least: what disturbs only adds. */
static double time_kind(struct bench *bench, const struct kind *kind) {
  struct small_book *small = prepare(bench, kind);
  int64_t start_ns = processor_ns(), spent_ns;
  uint64_t answered = 0;
  do {
    answer_all(bench, small);
    answered += bench->count;
    spent_ns = processor_ns() - start_ns;
  } while (spent_ns < TIMED_NS);
  return (double)spent_ns / (double)answered;
}

/* In rounds over all kinds, so that none has all of a noisy moment. */
static void time_kinds(struct bench *bench, const bool *chosen) {
  double best_ns[KINDS] = {0};
  for (int round = 0; round < TIMED_ROUNDS; round++)
    for (size_t i = 0; i < KINDS; i++) {
      double each_ns = chosen[i] ? time_kind(bench, &kinds[i]) : 0;
      if (round == 0 || each_ns < best_ns[i])
        best_ns[i] = each_ns;
    }
  for (size_t i = 0; i < KINDS; i++)
    if (chosen[i])
      printf("%-24s %8.1f ns\n", kinds[i].name, best_ns[i]);
}

/* None named: all. Returns false when a name is no kind's. */
static bool choose(char **names, int count, bool *chosen) {
  int found = 0;
  for (size_t i = 0; i < KINDS; i++) {
    chosen[i] = count == 0;
    for (int name = 0; name < count; name++)
      if (strcmp(names[name], kinds[i].name) == 0) {
        chosen[i] = true;
        found++;
      }
  }
  return found == count;
}

static void print_build(void) {
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
  const char *how = "not optimised";
#else
  const char *how = "optimised";
#endif
#ifdef __clang__
  printf("clang %d.%d.%d", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  printf("gcc %d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
  printf(", glibc %s, %s\n", gnu_get_libc_version(), how);
}

int main(int argc, char **argv) {
  static struct bench bench;
  bool is_timed = argc > 1 && strcmp(argv[1], "--time") == 0, chosen[KINDS], has_large = false;
  if (!choose(argv + 1 + is_timed, argc - 1 - is_timed, chosen)) {
    fprintf(stderr, "answer_instructions: no such kind\n");
    return 2;
  }
  for (size_t i = 0; i < KINDS; i++)
    has_large |= chosen[i] && kinds[i].is_large;
  print_build();
  bench.count = is_timed ? TIMED_QUERIES : COUNTED_QUERIES;
  bench.datagrams = mem_array(bench.count, sizeof *bench.datagrams);
  bench.udp = udp_new(-1, PAYLOAD, true);
  make_books(&bench, has_large);
  if (is_timed)
    time_kinds(&bench, chosen);
  for (size_t i = 0; i < KINDS && !is_timed; i++)
    if (chosen[i])
      count_kind(&bench, &kinds[i]);
  release_books(&bench, has_large);
  udp_free(bench.udp);
  free(bench.datagrams);
  return 0;
}
