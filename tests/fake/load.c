/* tests/fake/load.c
 * Sends DNS queries over UDP at a steady rate and accounts for every one of them as answered or lost.
 *
 *   load ADDRESS PORT RATE SECONDS NAME/TYPE...
 *
 * Ends after SECONDS, or sooner on SIGTERM or SIGINT; then waits for stragglers for up to three seconds and prints one
 * JSON object. Types are numbers (1 is A). One thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS 16u /* as many clients: SO_REUSEPORT spreads them over the workers */
#define IDS 65536u
#define QUERIES_MOST ((uint64_t)SOCKETS * IDS) /* so that no ID is used twice */
#define QUESTIONS_MOST 32u
#define LOSSES_SHOWN 64u
#define STRAGGLERS_MS 3000

struct question {
  uint8_t packet[300];
  size_t size;
};

struct load {
  int sockets[SOCKETS];
  struct question questions[QUESTIONS_MOST];
  unsigned question_count;
  uint64_t sent;
  uint64_t answered, repeated, strange, empty, refused_by_kernel, not_sent;
  uint64_t rcodes[16];
  int64_t slowest_us;
  int64_t *sent_us; /* by sequence; once answered: -1 - how long that took */
};

static volatile sig_atomic_t stop_asked;

static void on_stop(int number) {
  (void)number;
  stop_asked = 1;
}

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "bad argument");
  exit(2);
}

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void question_build(struct question *question, char *text) {
  static const uint8_t head[12] = {[5] = 1}; /* one question, nothing asked for besides */
  char *slash = strchr(text, '/');
  if (!slash || strlen(text) > 250)
    fail("a question is NAME/TYPE");
  *slash = '\0';
  memcpy(question->packet, head, sizeof head);
  size_t at = sizeof head;
  for (char *label = strtok(text, "."); label; label = strtok(NULL, ".")) {
    size_t size = strlen(label);
    if (size > 63)
      fail("label too long");
    question->packet[at++] = (uint8_t)size;
    memcpy(question->packet + at, label, size);
    at += size;
  }
  question->packet[at++] = 0;
  int type = atoi(slash + 1);
  question->packet[at++] = (uint8_t)(type >> 8);
  question->packet[at++] = (uint8_t)type;
  question->packet[at++] = 0;
  question->packet[at++] = 1;
  question->size = at;
}

static int connect_to(const char *address, int port) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
  bool is_v6 = strchr(address, ':') != NULL;
  if (inet_pton(is_v6 ? AF_INET6 : AF_INET, address, is_v6 ? (void *)&in6.sin6_addr : (void *)&in.sin_addr) != 1)
    fail("address");
  int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    fail("socket");
  int size = 4 << 20;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (connect(fd, is_v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in, is_v6 ? sizeof in6 : sizeof in) < 0)
    fail("connect");
  return fd;
}

static void account(struct load *load, unsigned socket_index, const uint8_t *packet, size_t size) {
  uint64_t sequence = size < 12 ? UINT64_MAX : ((uint64_t)packet[0] << 8 | packet[1]) * SOCKETS + socket_index;
  if (sequence >= load->sent || !(packet[2] & 0x80)) {
    load->strange++;
    return;
  }
  if (load->sent_us[sequence] < 0) {
    load->repeated++;
    return;
  }
  int64_t taken_us = now_us() - load->sent_us[sequence];
  if (taken_us > load->slowest_us)
    load->slowest_us = taken_us;
  load->sent_us[sequence] = -1 - taken_us;
  load->answered++;
  load->rcodes[packet[3] & 15]++;
  load->empty += packet[6] == 0 && packet[7] == 0;
}

static void receive_all(struct load *load) {
  for (unsigned i = 0; i < SOCKETS; i++) {
    for (;;) {
      uint8_t packet[4096];
      ssize_t size = recv(load->sockets[i], packet, sizeof packet, 0);
      if (size >= 0)
        account(load, i, packet, (size_t)size);
      else if (errno == ECONNREFUSED)
        load->refused_by_kernel++; /* nobody had the port open: also a loss */
      else
        break;
    }
  }
}

static void send_one(struct load *load) {
  struct question *question = &load->questions[load->sent % load->question_count];
  uint64_t id = load->sent / SOCKETS;
  question->packet[0] = (uint8_t)(id >> 8);
  question->packet[1] = (uint8_t)id;
  load->sent_us[load->sent] = now_us();
  int fd = load->sockets[load->sent % SOCKETS];
  load->sent++;
  /* an earlier ICMP error is told at the next send; the datagram itself then still has to go */
  for (int i = 0; i < 3; i++) {
    if (send(fd, question->packet, question->size, 0) >= 0)
      return;
    load->refused_by_kernel += errno == ECONNREFUSED;
  }
  load->not_sent++;
}

static void wait_ms(struct load *load, int ms) {
  struct pollfd polled[SOCKETS];
  for (unsigned i = 0; i < SOCKETS; i++)
    polled[i] = (struct pollfd){.fd = load->sockets[i], .events = POLLIN};
  poll(polled, SOCKETS, ms);
  receive_all(load);
}

static void run(struct load *load, uint64_t rate, double seconds) {
  int64_t start_us = now_us(), end_us = start_us + (int64_t)(seconds * 1e6);
  for (int64_t now = start_us; now < end_us && !stop_asked; now = now_us()) {
    uint64_t due = (uint64_t)(now - start_us) * rate / 1000000;
    /* after a pause of this process the backlog goes out in pieces, so that the sender itself makes no burst */
    for (unsigned i = 0; i < 64 && load->sent < due && load->sent < QUERIES_MOST; i++)
      send_one(load);
    if (load->sent >= QUERIES_MOST)
      break;
    receive_all(load);
    if (load->sent >= due)
      wait_ms(load, 1);
  }
  int64_t last_us = now_us() + STRAGGLERS_MS * 1000;
  while (load->answered < load->sent && now_us() < last_us)
    wait_ms(load, 10);
}

static int compare(const void *a, const void *b) {
  int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
  return (first > second) - (first < second);
}

static void report_times(const struct load *load) {
  int64_t *taken_us = calloc(load->answered + 1, sizeof *taken_us);
  uint64_t count = 0;
  if (!taken_us)
    fail("memory");
  for (uint64_t i = 0; i < load->sent; i++)
    if (load->sent_us[i] < 0)
      taken_us[count++] = -1 - load->sent_us[i];
  qsort(taken_us, count, sizeof *taken_us, compare);
  size_t half = count / 2, most = count * 99 / 100;
  printf("\"p50_ms\":%.3f,\"p99_ms\":%.3f,", (double)taken_us[half] / 1000, (double)taken_us[most] / 1000);
  free(taken_us);
}

static void report(const struct load *load, int64_t start_us) {
  printf("{\"sent\":%ju,\"answered\":%ju,\"lost\":%ju,\"repeated\":%ju,\"strange\":%ju,\"empty\":%ju,"
         "\"refused\":%ju,\"not_sent\":%ju,\"slowest_ms\":%.1f,",
         (uintmax_t)load->sent, (uintmax_t)load->answered, (uintmax_t)(load->sent - load->answered),
         (uintmax_t)load->repeated, (uintmax_t)load->strange, (uintmax_t)load->empty,
         (uintmax_t)load->refused_by_kernel, (uintmax_t)load->not_sent, (double)load->slowest_us / 1000);
  report_times(load);
  printf("\"rcodes\":{");
  const char *comma = "";
  for (int i = 0; i < 16; i++) {
    if (load->rcodes[i]) {
      printf("%s\"%d\":%ju", comma, i, (uintmax_t)load->rcodes[i]);
      comma = ",";
    }
  }
  printf("},\"lost_at_ms\":[");
  unsigned shown = 0;
  for (uint64_t i = 0; i < load->sent && shown < LOSSES_SHOWN; i++) {
    if (load->sent_us[i] >= 0)
      printf("%s%.1f", shown++ ? "," : "", (double)(load->sent_us[i] - start_us) / 1000);
  }
  printf("]}\n");
}

int main(int argc, char **argv) {
  if (argc < 6 || (unsigned)argc - 5 > QUESTIONS_MOST) {
    fprintf(stderr, "usage: load ADDRESS PORT RATE SECONDS NAME/TYPE...\n");
    return 2;
  }
  static struct load load;
  struct sigaction action = {.sa_handler = on_stop};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  for (int i = 5; i < argc; i++)
    question_build(&load.questions[load.question_count++], argv[i]);
  for (unsigned i = 0; i < SOCKETS; i++)
    load.sockets[i] = connect_to(argv[1], atoi(argv[2]));
  load.sent_us = calloc(QUERIES_MOST, sizeof *load.sent_us);
  if (!load.sent_us)
    fail("memory");
  int64_t start_us = now_us();
  run(&load, strtoull(argv[3], NULL, 10), atof(argv[4]));
  report(&load, start_us);
  free(load.sent_us);
  return 0;
}
