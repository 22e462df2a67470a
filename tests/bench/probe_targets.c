/* tests/bench/probe_targets.c
 * The targets of the benches' probes: answers HTTP requests with 200 on many loopback addresses at one port, and keeps
 * account of when they came to each address.
 *
 *   probe_targets BASE PORT COUNT INTERVAL_MS HANG_EVERY
 *
 * The addresses are the COUNT that follow BASE (127.x.y.z). Of every HANG_EVERY one takes requests and never answers
 * (0: none does). Lines on standard input ask: "mark" begins the account anew, and "tell" prints it as one JSON
 * object: of the first and the second half of the addresses, how long after INTERVAL_MS since the one before
 * connections came. After "turn" each answer is another one than its address gave before (200, 503), until "hold";
 * "turned" counts them. "fail N" has the N-th address, from 0, answer 503 until "mend N"; "failed N" prints when
 * (CLOCK_MONOTONIC) it first did so since, 0 for not yet. Clients close their connections. Ends with standard input.
 * One thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS_MOST 65536
#define BACKLOG 4096
#define EVENTS 256
#define REQUEST_MOST 4096
#define HEARD_MOST 4096

enum group { GROUP_FIRST, GROUP_SECOND, GROUP_HANGING, GROUPS };

static const char *const group_names[GROUPS] = {"first", "second", "hanging"};

struct target {
  int64_t last_us;   /* when a connection came; 0: never */
  int64_t failed_us; /* when it first answered 503 after it was told to; 0: not yet */
  bool fails;
  enum group group;
};

struct account {
  int32_t *beyond_us; /* each time between two connections of an address, less the interval */
  size_t count, capacity;
};

struct server {
  uint32_t base;
  uint32_t count;
  int64_t interval_us;
  int listener, epoll;
  struct target *targets;
  uint32_t seen; /* of the targets */
  bool turns;
  uint64_t turned;
  struct account accounts[GROUPS];
  int64_t marked_us;
  char heard[HEARD_MOST]; /* what came of a line that has no end yet */
  size_t heard_size;
  uint32_t of_descriptor[DESCRIPTORS_MOST]; /* the target that a connection goes to */
};

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "probe_targets: %s: %s\n", what, errno ? strerror(errno) : "bad argument");
  exit(2);
}

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void account_add(struct account *account, int64_t beyond_us) {
  if (account->count == account->capacity) {
    account->capacity = account->capacity ? account->capacity * 2 : 65536;
    account->beyond_us = realloc(account->beyond_us, account->capacity * sizeof *account->beyond_us);
    if (!account->beyond_us)
      fail("memory");
  }
  account->beyond_us[account->count++] = (int32_t)beyond_us;
}

static int compare_times(const void *a, const void *b) {
  int32_t first = *(const int32_t *)a, second = *(const int32_t *)b;
  return (first > second) - (first < second);
}

static double late_ms(const struct account *account, double share) {
  size_t index = account->count ? (size_t)(share * (double)(account->count - 1)) : 0;
  double ms = account->count ? account->beyond_us[index] / 1000.0 : 0;
  return ms > 0 ? ms : 0;
}

static void tell(struct server *server) {
  printf("{\"seen\":%u,\"turned\":%llu,\"seconds\":%.3f", server->seen, (unsigned long long)server->turned,
         (double)(now_us() - server->marked_us) / 1e6);
  for (int i = 0; i < GROUPS; i++) {
    struct account *account = &server->accounts[i];
    if (account->count)
      qsort(account->beyond_us, account->count, sizeof *account->beyond_us, compare_times);
    printf(",\"%s\":{\"count\":%zu,\"early_ms\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"most_ms\":%.3f}", group_names[i],
           account->count, account->count ? -account->beyond_us[0] / 1000.0 : 0, late_ms(account, 0.5),
           late_ms(account, 0.99), late_ms(account, 1));
  }
  puts("}");
  fflush(stdout);
}

static void mark(struct server *server) {
  for (int i = 0; i < GROUPS; i++)
    server->accounts[i].count = 0;
  server->turned = 0;
  server->marked_us = now_us();
}

static long read_number(const char *text, long most) {
  char *end;
  errno = 0;
  long number = strtol(text, &end, 10);
  if (errno || *end || end == text || number < 0 || number > most)
    fail(text);
  return number;
}

/* A word about one target. */
static void tend(struct server *server, const char *word, const char *number) {
  struct target *target = &server->targets[read_number(number, (long)server->count - 1)];
  if (strcmp(word, "failed") == 0) {
    printf("{\"failed_s\":%.6f}\n", (double)target->failed_us / 1e6);
    fflush(stdout);
    return;
  }
  target->fails = strcmp(word, "fail") == 0;
  if (!target->fails && strcmp(word, "mend") != 0)
    fail(word);
  target->failed_us = 0;
}

static void obey(struct server *server, char *line) {
  char *space = strchr(line, ' ');
  if (space) {
    *space = '\0';
    tend(server, line, space + 1);
  } else if (strcmp(line, "mark") == 0) {
    mark(server);
  } else if (strcmp(line, "tell") == 0) {
    tell(server);
  } else {
    server->turns = strcmp(line, "turn") == 0;
    if (!server->turns && strcmp(line, "hold") != 0)
      fail(line);
  }
}

/* False: nobody asks any more. */
static bool hear(struct server *server) {
  ssize_t size = read(STDIN_FILENO, server->heard + server->heard_size, sizeof server->heard - server->heard_size);
  if (size <= 0)
    return false;
  server->heard_size += (size_t)size;
  char *line = server->heard, *end;
  size_t left = server->heard_size;
  while ((end = memchr(line, '\n', left))) {
    *end = '\0';
    left -= (size_t)(end + 1 - line);
    obey(server, line);
    line = end + 1;
  }
  memmove(server->heard, line, left);
  server->heard_size = left;
  if (left == sizeof server->heard)
    fail("a line without an end");
  return true;
}

static void watch_descriptor(struct server *server, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
    fail("epoll_ctl");
}

static void take_note(struct server *server, uint32_t index) {
  struct target *target = &server->targets[index];
  int64_t now = now_us();
  if (target->last_us)
    account_add(&server->accounts[target->group], now - target->last_us - server->interval_us);
  else
    server->seen++;
  target->last_us = now;
}

static void serve(struct server *server, int fd) {
  static const char *const answers[] =
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
       "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"};
  char request[REQUEST_MOST];
  ssize_t size = recv(fd, request, sizeof request, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN)
    return;
  if (size <= 0) {
    close(fd);
    return;
  }
  bool is_whole = size >= 4 && memcmp(request + size - 4, "\r\n\r\n", 4) == 0;
  struct target *target = &server->targets[server->of_descriptor[fd]];
  if (!is_whole || target->group == GROUP_HANGING)
    return;
  if (server->turns) {
    target->fails = !target->fails;
    server->turned++;
  }
  if (target->fails && !target->failed_us)
    target->failed_us = now_us();
  const char *answer = answers[target->fails];
  if (send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    close(fd);
}

static void accept_all(struct server *server) {
  for (;;) {
    struct sockaddr_in local;
    socklen_t size = sizeof local;
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
      return;
    if (fd < 0 || fd >= DESCRIPTORS_MOST || getsockname(fd, (struct sockaddr *)&local, &size) != 0)
      fail("accept");
    uint32_t index = ntohl(local.sin_addr.s_addr) - server->base;
    if (index >= server->count) {
      close(fd);
      continue;
    }
    server->of_descriptor[fd] = index;
    take_note(server, index);
    watch_descriptor(server, fd);
    serve(server, fd);
  }
}

/* One socket for all addresses, which hears nothing but loopback. */
static int open_listener(uint16_t port) {
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, (struct sockaddr *)&any, sizeof any) != 0 || listen(fd, BACKLOG) != 0)
    fail("listen");
  return fd;
}

static void set_targets(struct server *server, uint32_t hang_every) {
  server->targets = calloc(server->count, sizeof *server->targets);
  if (!server->targets)
    fail("memory");
  for (uint32_t i = 0; i < server->count; i++) {
    server->targets[i].group = i < server->count / 2 ? GROUP_FIRST : GROUP_SECOND;
    if (hang_every && i % hang_every == 0)
      server->targets[i].group = GROUP_HANGING;
  }
}

int main(int argc, char **argv) {
  static struct server server;
  struct in_addr base;
  if (argc != 6 || inet_pton(AF_INET, argv[1], &base) != 1)
    fail("arguments");
  server.base = ntohl(base.s_addr);
  server.count = (uint32_t)read_number(argv[3], 1000000);
  server.interval_us = read_number(argv[4], 86400000) * 1000;
  set_targets(&server, (uint32_t)read_number(argv[5], 1000000));
  server.listener = open_listener((uint16_t)read_number(argv[2], 65535));
  server.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (server.epoll < 0)
    fail("epoll_create1");
  watch_descriptor(&server, server.listener);
  watch_descriptor(&server, STDIN_FILENO);
  mark(&server);
  puts("{\"ready\":true}");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(server.epoll, events, EVENTS, -1);
    if (count < 0 && errno != EINTR)
      fail("epoll_wait");
    for (int i = 0; i < count; i++) {
      if (events[i].data.fd == server.listener)
        accept_all(&server);
      else if (events[i].data.fd != STDIN_FILENO)
        serve(&server, events[i].data.fd);
      else if (!hear(&server))
        return 0;
    }
  }
}
