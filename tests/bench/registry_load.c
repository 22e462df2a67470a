/* tests/bench/registry_load.c
 * The clients of tests/bench/registry: keeps so many connections busy with registrations, or holds many resources and
 * renews them at an even pace. Prints one JSON object a line.
 *
 *   registry_load put FORM HOST PORT CONNECTIONS SECONDS PREFIX SERVICES
 *   registry_load hold HOST PORT CONNECTIONS SECONDS PREFIX SERVICES COUNT PERIOD_S
 *
 * put: each connection asks as soon as it is answered. hold: registers COUNT resources, and renews them meanwhile where
 * their leases need it; then tells so, waits for a line on standard input, renews each every PERIOD_S for SECONDS, and
 * tells how that went.
 * FORM: gslb (PUT of a new resource), etcd (lease grant, then a put with it, both through the JSON gateway), etcd-put
 * (a put with a lease that was granted before), get (GET /, to try this program). The token of gslb is in the
 * environment, REGISTRY_TOKEN. One thread. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MOST 2048u
#define ANSWER_MOST 16384u
#define CONNECTIONS_MOST 1024u
#define LATE_US 1000000 /* a renewal that is answered later than this after it was due */
#define LEASE_S 30      /* of what is held */
#define FILL_RENEW_US 15000000
#define STRAGGLERS_US 3000000

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "registry_load: %s: %s\n", what, errno ? strerror(errno) : "bad argument");
  exit(2);
}

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *take_memory(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory)
    fail("memory");
  return memory;
}

/* Times taken, for their order. */

struct times {
  uint32_t *us;
  size_t count, capacity;
};

static void times_add(struct times *times, int64_t us) {
  if (times->count == times->capacity) {
    times->capacity = times->capacity ? times->capacity * 2 : 65536;
    times->us = realloc(times->us, times->capacity * sizeof *times->us);
    if (!times->us)
      fail("memory");
  }
  times->us[times->count++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int compare_times(const void *a, const void *b) {
  uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
  return (first > second) - (first < second);
}

static void times_print(struct times *times) {
  if (times->count)
    qsort(times->us, times->count, sizeof *times->us, compare_times);
  size_t last = times->count ? times->count - 1 : 0;
  double p50 = times->count ? times->us[times->count / 2] : 0, p99 = times->count ? times->us[last * 99 / 100] : 0;
  double most = times->count ? times->us[last] : 0;
  printf("\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"most_ms\":%.3f", p50 / 1000, p99 / 1000, most / 1000);
}

static struct sockaddr_in read_address(const char *host, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || address.sin_port == 0)
    fail("address");
  return address;
}

/* Connections: each has at most one request under way. */

struct load;

struct connection {
  int fd;
  unsigned number;
  bool is_busy;
  bool has_lease; /* etcd-put: its own was granted; etcd: the one for the next put */
  uint64_t item;  /* what is asked for */
  bool is_renewal;
  int64_t due_us; /* from when on its time counts */
  char text[ANSWER_MOST];
  size_t size;
};

enum form { FORM_GSLB, FORM_ETCD, FORM_ETCD_PUT, FORM_GET };

struct held {
  uint64_t epoch;
  uint32_t sequence;
  float utilization;
};

struct due {
  uint64_t item;
  int64_t at_us;
};

struct load {
  enum form form;
  struct sockaddr_in address;
  const char *host, *prefix, *token;
  unsigned services, connection_count;
  struct connection *connections;
  int epoll;
  uint64_t next, done, failed, lost, first_failure;
  uint32_t noise;
  struct times taken;
  /* hold */
  uint64_t count;
  struct held *held;
  struct due *queue; /* a ring; in the order of the times */
  uint64_t queue_head, queue_size;
  int64_t period_us, until_us; /* what is due from then on is left */
  uint64_t renewed, late, renewals_failed;
  struct times lateness;
};

static void connection_open(struct load *load, struct connection *connection) {
  int one = 1;
  connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection->fd < 0)
    fail("socket");
  if (connect(connection->fd, (struct sockaddr *)&load->address, sizeof load->address) < 0)
    fail("connect");
  (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  (void)fcntl(connection->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
    fail("epoll");
  connection->size = 0;
  connection->is_busy = false;
  connection->has_lease = false;
}

static void connection_send(struct load *load, struct connection *connection, const char *method, const char *path,
                            const char *body) {
  char text[TEXT_MOST * 2];
  size_t body_size = strlen(body);
  int size = snprintf(text, sizeof text,
                      "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%sContent-Type: application/json\r\n"
                      "Content-Length: %zu\r\n\r\n%s",
                      method, path, load->host, load->token ? "Authorization: Bearer " : "",
                      load->token ? load->token : "", load->token ? "\r\n" : "", body_size, body);
  if (size < 0 || (size_t)size >= sizeof text)
    fail("request too long");
  connection->is_busy = true;
  connection->size = 0;
  /* one small request fits into an empty socket buffer; a connection that is gone shows when it is read */
  (void)send(connection->fd, text, (size_t)size, MSG_NOSIGNAL);
}

/* What is asked for. */

static void base64(const char *text, char *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t left = strlen(text);
  for (const uint8_t *at = (const uint8_t *)text; left > 0; at += 3) {
    uint32_t bits = (uint32_t)at[0] << 16 | (left > 1 ? (uint32_t)at[1] << 8 : 0) | (left > 2 ? at[2] : 0);
    *out++ = digits[bits >> 18];
    *out++ = digits[bits >> 12 & 63];
    *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
    *out++ = left > 2 ? digits[bits & 63] : '=';
    left -= left < 3 ? left : 3;
  }
  *out = '\0';
}

static void write_registration(const struct load *load, uint64_t item, char out[TEXT_MOST]) {
  assert(load->services > 0);
  snprintf(out, TEXT_MOST,
           "{\"addresses\":[\"10.%u.%u.%u\"],\"lease_s\":%d,\"labels\":{\"rack\":\"r%u\"},"
           "\"services\":[{\"name\":\"s%u.example.com\",\"port\":8080}]}",
           (unsigned)(item >> 16 & 255), (unsigned)(item >> 8 & 255), (unsigned)(item & 255), LEASE_S,
           (unsigned)(item % 40), (unsigned)(item % load->services));
}

static void ask_gslb(struct load *load, struct connection *connection) {
  char path[256], body[TEXT_MOST];
  snprintf(path, sizeof path, "/v1/resources/%s-%ju", load->prefix, (uintmax_t)connection->item);
  write_registration(load, connection->item, body);
  connection_send(load, connection, "PUT", path, body);
}

static void ask_etcd(struct load *load, struct connection *connection) {
  char key[256], key64[512], value[TEXT_MOST], value64[TEXT_MOST * 2], body[TEXT_MOST * 3];
  /* with etcd-put the lease belongs to the connection */
  uint64_t lease = load->form == FORM_ETCD ? connection->item + 1 : UINT64_C(1) << 40 | connection->number;
  if (!connection->has_lease) {
    snprintf(body, sizeof body, "{\"TTL\":\"%d\",\"ID\":\"%ju\"}", load->form == FORM_ETCD ? LEASE_S : 600,
             (uintmax_t)lease);
    connection_send(load, connection, "POST", "/v3/lease/grant", body);
    return;
  }
  snprintf(key, sizeof key, "/resources/%s-%ju", load->prefix, (uintmax_t)connection->item);
  write_registration(load, connection->item, value);
  base64(key, key64);
  base64(value, value64);
  snprintf(body, sizeof body, "{\"key\":\"%s\",\"value\":\"%s\",\"lease\":\"%ju\"}", key64, value64, (uintmax_t)lease);
  connection_send(load, connection, "POST", "/v3/kv/put", body);
}

static void ask(struct load *load, struct connection *connection) {
  if (load->form == FORM_GSLB)
    ask_gslb(load, connection);
  else if (load->form == FORM_GET)
    connection_send(load, connection, "GET", "/", "");
  else
    ask_etcd(load, connection);
}

/* Answers. */

static const char *find_header(const char *head, const char *end, const char *name) {
  size_t size = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line && line < end; line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, name, size) == 0)
      return line + 2 + size;
  return NULL;
}

/* The status of a whole answer, 0 while it is not, -1 for what is none. */
static int answer_status(const struct connection *connection) {
  const char *end = strstr(connection->text, "\r\n\r\n");
  if (!end)
    return connection->size + 1 >= sizeof connection->text ? -1 : 0;
  if (strncmp(connection->text, "HTTP/1.1 ", 9) != 0)
    return -1;
  int status = atoi(connection->text + 9);
  const char *body = end + 4, *last = connection->text + connection->size;
  const char *length = find_header(connection->text, end, "Content-Length:");
  const char *coding = find_header(connection->text, end, "Transfer-Encoding:");
  if (length)
    return (size_t)(last - body) >= strtoul(length, NULL, 10) ? status : 0;
  if (coding)
    return last - body >= 5 && memcmp(last - 5, "0\r\n\r\n", 5) == 0 ? status : 0;
  return status;
}

static bool read_epoch(const struct connection *connection, uint64_t *epoch) {
  const char *at = strstr(connection->text, "\"epoch\":");
  if (at)
    *epoch = strtoull(at + 8, NULL, 10);
  return at && *epoch > 0;
}

static void note_failure(struct load *load, const struct connection *connection, int status) {
  load->failed++;
  if (load->first_failure++ == 0)
    fprintf(stderr, "registry_load: first failure: %d\n%.600s\n", status, connection->size ? connection->text : "");
}

/* Whether there is something whole in *status: an answer, or (-1) the end of the connection. */
static bool receive(struct connection *connection, int *status) {
  for (;;) {
    ssize_t got =
        recv(connection->fd, connection->text + connection->size, sizeof connection->text - 1 - connection->size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
      return false;
    if (got <= 0) {
      *status = -1;
      return true;
    }
    connection->size += (size_t)got;
    connection->text[connection->size] = '\0';
    *status = answer_status(connection);
    if (*status)
      return true;
  }
}

static void reopen(struct load *load, struct connection *connection) {
  load->lost++;
  close(connection->fd);
  connection_open(load, connection);
}

static void open_all(struct load *load) {
  load->epoll = epoll_create1(EPOLL_CLOEXEC);
  load->connections = take_memory(load->connection_count, sizeof *load->connections);
  for (unsigned i = 0; i < load->connection_count; i++) {
    load->connections[i].number = i;
    connection_open(load, &load->connections[i]);
  }
}

/* put */

static void put_next(struct load *load, struct connection *connection) {
  connection->item = load->next++;
  connection->due_us = now_us();
  if (load->form == FORM_ETCD)
    connection->has_lease = false;
  ask(load, connection);
}

/* Returns whether the connection is free. */
static bool put_answered(struct load *load, struct connection *connection, int status) {
  bool is_grant = (load->form == FORM_ETCD || load->form == FORM_ETCD_PUT) && !connection->has_lease;
  if (status != 200 && status != 201) {
    note_failure(load, connection, status);
    if (status < 0)
      reopen(load, connection);
    return true;
  }
  if (is_grant) {
    connection->has_lease = true;
    if (load->form == FORM_ETCD_PUT)
      connection->due_us = now_us(); /* this one was for all that follow */
    ask(load, connection);
    return false;
  }
  load->done++;
  times_add(&load->taken, now_us() - connection->due_us);
  return true;
}

static void run_put(struct load *load, double seconds) {
  open_all(load);
  int64_t start_us = now_us(), end_us = start_us + (int64_t)(seconds * 1e6);
  for (unsigned i = 0; i < load->connection_count; i++)
    put_next(load, &load->connections[i]);
  while (now_us() < end_us && load->failed < 1000) {
    struct epoll_event events[64];
    int ready = epoll_wait(load->epoll, events, 64, 100), status;
    for (int i = 0; i < ready; i++) {
      struct connection *connection = events[i].data.ptr;
      if (receive(connection, &status) && put_answered(load, connection, status))
        put_next(load, connection);
    }
  }
  double took_s = (double)(now_us() - start_us) / 1e6;
  printf("{\"done\":%ju,\"failed\":%ju,\"lost\":%ju,\"seconds\":%.3f,\"per_s\":%.1f,", (uintmax_t)load->done,
         (uintmax_t)load->failed, (uintmax_t)load->lost, took_s, (double)load->done / took_s);
  times_print(&load->taken);
  printf("}\n");
}

/* hold */

static void queue_push(struct load *load, uint64_t item, int64_t at_us) {
  load->queue[(load->queue_head + load->queue_size++) % load->count] = (struct due){item, at_us};
}

static struct due queue_pop(struct load *load) {
  struct due due = load->queue[load->queue_head];
  load->queue_head = (load->queue_head + 1) % load->count;
  load->queue_size--;
  return due;
}

/* The load of a machine wanders: now and then it has moved far enough for the balancer to take notice. */
static float wander(struct load *load, float from) {
  load->noise = load->noise * 1664525u + 1013904223u;
  float to = from + ((float)(load->noise >> 8) / (float)(1u << 24) - 0.5f) * 0.04f;
  return to < 0.05f ? 0.05f : to > 0.95f ? 0.95f : to;
}

static void renew(struct load *load, struct connection *connection, struct due due) {
  struct held *held = &load->held[due.item];
  char path[256], body[256];
  held->utilization = wander(load, held->utilization);
  connection->item = due.item;
  connection->due_us = due.at_us;
  connection->is_renewal = true;
  snprintf(path, sizeof path, "/v1/resources/%s-%ju/status", load->prefix, (uintmax_t)due.item);
  snprintf(body, sizeof body, "{\"epoch\":%ju,\"sequence\":%u,\"cpu_utilization\":%.3f,\"mem_utilization\":0.5}",
           (uintmax_t)held->epoch, ++held->sequence, (double)held->utilization);
  connection_send(load, connection, "PUT", path, body);
}

static void renewal_answered(struct load *load, struct connection *connection, int status) {
  int64_t taken_us = now_us() - connection->due_us;
  if (status == 200) {
    load->renewed++;
    load->late += taken_us > LATE_US;
    times_add(&load->lateness, taken_us);
  } else {
    load->renewals_failed++;
    note_failure(load, connection, status);
  }
  queue_push(load, connection->item, connection->due_us + load->period_us);
}

static void hold_answered(struct load *load, struct connection *connection, int status) {
  connection->is_busy = false;
  if (connection->is_renewal) {
    renewal_answered(load, connection, status);
  } else if ((status == 201 || status == 200) && read_epoch(connection, &load->held[connection->item].epoch)) {
    load->done++;
    queue_push(load, connection->item, now_us() + load->period_us);
  } else {
    note_failure(load, connection, status);
  }
  if (status < 0)
    reopen(load, connection);
}

static bool has_due(const struct load *load, int64_t by_us) {
  return load->queue_size > 0 && load->queue[load->queue_head].at_us <= by_us;
}

/* Gives a free connection something to do: what is due first, then what is not registered yet. */
static bool occupy(struct load *load, struct connection *connection) {
  int64_t now = now_us();
  if (has_due(load, now < load->until_us ? now : load->until_us)) {
    renew(load, connection, queue_pop(load));
    return true;
  }
  if (load->next >= load->count)
    return false;
  connection->item = load->next++;
  connection->is_renewal = false;
  ask(load, connection);
  return true;
}

static unsigned turn(struct load *load, bool is_open) {
  struct epoll_event events[64];
  unsigned busy = 0;
  int ready = epoll_wait(load->epoll, events, 64, 1), status;
  for (int i = 0; i < ready; i++) {
    struct connection *connection = events[i].data.ptr;
    if (!receive(connection, &status))
      continue;
    if (connection->is_busy)
      hold_answered(load, connection, status);
    else
      reopen(load, connection);
  }
  for (unsigned i = 0; i < load->connection_count; i++) {
    struct connection *connection = &load->connections[i];
    if (!connection->is_busy && is_open && !occupy(load, connection))
      is_open = false;
    busy += connection->is_busy;
  }
  return busy;
}

static void settle(struct load *load) {
  for (int64_t last_us = now_us() + STRAGGLERS_US; turn(load, false) > 0 && now_us() < last_us;) {
  }
}

/* From now on one after the other, in the order in which they became due, over one period. */
static void spread(struct load *load) {
  int64_t start_us = now_us();
  uint64_t count = load->queue_size;
  for (uint64_t i = 0; i < count; i++)
    load->queue[(load->queue_head + i) % load->count].at_us = start_us + (int64_t)i * load->period_us / (int64_t)count;
}

static void run_hold(struct load *load, double seconds) {
  open_all(load);
  load->held = take_memory(load->count, sizeof *load->held);
  load->queue = take_memory(load->count, sizeof *load->queue);
  for (uint64_t i = 0; i < load->count; i++)
    load->held[i].utilization = 0.3f + 0.4f * (float)(i % 1000) / 1000.0f;
  int64_t start_us = now_us(), period_us = load->period_us;
  load->period_us = period_us > FILL_RENEW_US ? period_us : FILL_RENEW_US;
  load->until_us = INT64_MAX;
  while (load->done + load->failed < load->count && load->failed < 1000)
    turn(load, true);
  settle(load);
  double took_s = (double)(now_us() - start_us) / 1e6;
  printf("{\"held\":%ju,\"failed\":%ju,\"renewed\":%ju,\"seconds\":%.3f}\n", (uintmax_t)load->done,
         (uintmax_t)load->failed, (uintmax_t)load->renewed, took_s);
  fflush(stdout);
  char line[16];
  if (!fgets(line, sizeof line, stdin) || load->failed)
    exit(1);
  load->renewed = load->late = load->renewals_failed = load->lateness.count = 0;
  load->period_us = period_us;
  spread(load);
  start_us = now_us();
  load->until_us = start_us + (int64_t)(seconds * 1e6);
  while (now_us() < load->until_us || (has_due(load, load->until_us) && now_us() < load->until_us + STRAGGLERS_US))
    turn(load, true);
  took_s = (double)(now_us() - start_us) / 1e6;
  uint64_t waiting = 0;
  while (waiting < load->queue_size && load->queue[(load->queue_head + waiting) % load->count].at_us <= load->until_us)
    waiting++;
  settle(load);
  printf("{\"renewed\":%ju,\"per_s\":%.1f,\"failed\":%ju,\"late\":%ju,\"waiting\":%ju,\"lost\":%ju,\"seconds\":%.3f,",
         (uintmax_t)load->renewed, (double)load->renewed / took_s, (uintmax_t)load->renewals_failed,
         (uintmax_t)load->late, (uintmax_t)waiting, (uintmax_t)load->lost, took_s);
  times_print(&load->lateness);
  printf("}\n");
}

static enum form read_form(const char *word) {
  static const char *const words[] = {"gslb", "etcd", "etcd-put", "get"};
  for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(word, words[i]) == 0)
      return (enum form)i;
  errno = 0;
  fail("form");
}

int main(int argc, char **argv) {
  static struct load load = {.noise = 1};
  bool is_put = argc == 9 && strcmp(argv[1], "put") == 0, is_hold = argc == 10 && strcmp(argv[1], "hold") == 0;
  if (!is_put && !is_hold)
    fail("put FORM HOST PORT CONNECTIONS SECONDS PREFIX SERVICES, "
         "or hold HOST PORT CONNECTIONS SECONDS PREFIX SERVICES COUNT PERIOD_S");
  char **rest = argv + (is_put ? 3 : 2);
  load.form = is_put ? read_form(argv[2]) : FORM_GSLB;
  load.host = rest[0];
  load.address = read_address(rest[0], rest[1]);
  load.connection_count = (unsigned)atoi(rest[2]);
  load.prefix = rest[4];
  load.services = (unsigned)atoi(rest[5]);
  load.token = load.form == FORM_GSLB ? getenv("REGISTRY_TOKEN") : NULL;
  if (load.connection_count < 1 || load.connection_count > CONNECTIONS_MOST || load.services < 1)
    fail("connections or services");
  if (is_put) {
    run_put(&load, atof(rest[3]));
    return load.failed ? 1 : 0;
  }
  load.count = strtoull(rest[6], NULL, 10);
  load.period_us = (int64_t)(atof(rest[7]) * 1e6);
  if (load.count < 1 || load.period_us < 1)
    fail("count or period");
  run_hold(&load, atof(rest[3]));
  return load.failed ? 1 : 0;
}
