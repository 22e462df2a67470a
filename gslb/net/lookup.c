#include "gslb/net/lookup.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <ares.h>
#include <arpa/nameser.h>

#include "gslb/base/memory.h"
#include "gslb/net/ares_watch.h"
#include "gslb/net/dns_reply.h"

#define TRIES 3 /* at each server; c-ares doubles the time of each round */
#define TRY_LEAST_MS 100
#define TRY_MOST_MS 1000

struct lookup {
  struct loop *loop;
  ares_channel channel;
  struct ares_watch *watch;
  struct loop_timer *retry; /* c-ares's own times */
  struct loop_timer *end;   /* the deadline, or at once when there is nothing left to wait for */
  lookup_done *done;
  void *context;
  unsigned pending; /* questions that are open */
  bool is_ended;    /* what still comes is of no interest */
  enum status status;
  char *detail;
  struct lookup_target targets[LOOKUP_TARGETS_MOST];
  size_t target_count;
  struct question { /* for the addresses of targets[i] */
    struct lookup *lookup;
    struct lookup_target *target;
  } questions[LOOKUP_TARGETS_MOST];
  char *txt[LOOKUP_TXT_MOST];
  size_t txt_count;
};

static void arm_retry(struct lookup *lookup) {
  struct timeval wait;
  if (ares_timeout(lookup->channel, NULL, &wait))
    /* up to the next millisecond, or it would be due a moment after the timer */
    loop_timer_after(lookup->retry, wait.tv_sec * 1000 + wait.tv_usec / 1000 + 1);
  else
    loop_timer_stop(lookup->retry);
}

static void sockets_ready(void *context, int read_fd, int write_fd) {
  struct lookup *lookup = context;
  ares_process_fd(lookup->channel, read_fd, write_fd);
  arm_retry(lookup);
}

static void retry_due(void *context) {
  sockets_ready(context, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void lookup_free(struct lookup *lookup) {
  lookup->is_ended = true;
  ares_destroy(lookup->channel);
  ares_watch_free(lookup->watch);
  loop_timer_free(lookup->retry);
  loop_timer_free(lookup->end);
  for (size_t i = 0; i < lookup->txt_count; i++)
    free(lookup->txt[i]);
  free(lookup->detail);
  free(lookup);
  ares_library_cleanup();
}

/* c-ares is on the stack here and must not be destroyed: the rest is for the loop's next turn. */
static void conclude(struct lookup *lookup, enum status status, const char *detail) {
  if (lookup->is_ended)
    return;
  lookup->is_ended = true;
  lookup->status = status;
  lookup->detail = mem_strdup(detail);
  loop_timer_after(lookup->end, 0);
}

static bool has_addresses(const struct lookup *lookup) {
  for (size_t i = 0; i < lookup->target_count; i++)
    if (lookup->targets[i].address_count > 0)
      return true;
  return false;
}

static void end_due(void *context) {
  struct lookup *lookup = context;
  if (!lookup->is_ended) {
    bool is_useful = has_addresses(lookup);
    conclude(lookup, is_useful ? STATUS_OK : STATUS_TIMEOUT, is_useful ? "" : "no answer in time");
  }
  bool is_good = lookup->status == STATUS_OK;
  struct lookup_answer answer = {.status = lookup->status,
                                 .detail = lookup->detail,
                                 .targets = lookup->targets,
                                 .target_count = is_good ? lookup->target_count : 0,
                                 .txt = (const char *const *)lookup->txt,
                                 .txt_count = is_good ? lookup->txt_count : 0};
  lookup->done(lookup->context, &answer);
  lookup_free(lookup);
}

static void fail(struct lookup *lookup, int result) {
  bool is_absence = result == ARES_ENODATA || result == ARES_ENOTFOUND;
  conclude(lookup,
           is_absence                ? STATUS_NODATA
           : result == ARES_ETIMEOUT ? STATUS_TIMEOUT
                                     : STATUS_IO,
           ares_strerror(result));
}

static void question_closed(struct lookup *lookup) {
  if (--lookup->pending == 0)
    conclude(lookup, STATUS_OK, "");
}

static void take_addresses(struct lookup_target *target, const struct ares_addrinfo *info) {
  for (const struct ares_addrinfo_node *node = info->nodes; node && target->address_count < LOOKUP_ADDRESSES_MOST;
       node = node->ai_next) {
    struct addr *addr = &target->addresses[target->address_count];
    if (addr_from_sockaddr(node->ai_addr, addr) != STATUS_OK)
      continue;
    addr->port = target->port;
    target->address_count++;
  }
}

static void addresses_came(void *context, int result, int timeouts, struct ares_addrinfo *info) {
  (void)timeouts;
  struct question *question = context;
  struct lookup *lookup = question->lookup;
  if (result == ARES_SUCCESS && !lookup->is_ended)
    take_addresses(question->target, info);
  ares_freeaddrinfo(info);
  if (!lookup->is_ended)
    question_closed(lookup);
}

static void host_came(void *context, int result, int timeouts, struct ares_addrinfo *info) {
  struct question *question = context;
  if (result != ARES_SUCCESS)
    fail(question->lookup, result);
  addresses_came(context, result, timeouts, info);
}

static void ask_addresses(struct lookup *lookup, struct lookup_target *target, ares_addrinfo_callback came) {
  struct question *question = &lookup->questions[target - lookup->targets];
  *question = (struct question){lookup, target};
  struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  lookup->pending++;
  ares_getaddrinfo(lookup->channel, target->host, NULL, &hints, came, question);
}

/* In the order of priority; beyond the bound the last ones are left out. */
static void add_target(struct lookup *lookup, const struct ares_srv_reply *record) {
  size_t at = lookup->target_count;
  while (at > 0 && lookup->targets[at - 1].priority > record->priority)
    at--;
  size_t host_length = strlen(record->host);
  if (at == LOOKUP_TARGETS_MOST || host_length == 0 || host_length >= sizeof lookup->targets->host)
    return; /* an empty host, the root: RFC 2782, the service is decidedly not here */
  if (lookup->target_count < LOOKUP_TARGETS_MOST)
    lookup->target_count++;
  struct lookup_target *target = &lookup->targets[at];
  memmove(target + 1, target, (lookup->target_count - 1 - at) * sizeof *target);
  *target = (struct lookup_target){.priority = record->priority, .weight = record->weight, .port = record->port};
  memcpy(target->host, record->host, host_length + 1);
}

static void take_targets(struct lookup *lookup, const uint8_t *bytes, int length) {
  struct ares_srv_reply *records;
  int result = ares_parse_srv_reply(bytes, length, &records);
  if (result != ARES_SUCCESS) {
    fail(lookup, result);
    return;
  }
  for (const struct ares_srv_reply *record = records; record; record = record->next)
    add_target(lookup, record);
  ares_free_data(records);
  if (lookup->target_count == 0) {
    conclude(lookup, STATUS_NODATA, "the service is said not to be available");
    return;
  }
  for (size_t i = 0; i < lookup->target_count; i++) {
    struct lookup_target *target = &lookup->targets[i];
    target->address_count =
        dns_reply_addresses(bytes, (size_t)length, target->host, target->addresses, LOOKUP_ADDRESSES_MOST);
    for (size_t j = 0; j < target->address_count; j++)
      target->addresses[j].port = target->port;
    if (target->address_count == 0)
      ask_addresses(lookup, target, addresses_came);
  }
}

static void targets_came(void *context, int result, int timeouts, unsigned char *bytes, int length) {
  (void)timeouts;
  struct lookup *lookup = context;
  if (lookup->is_ended)
    return;
  if (result == ARES_SUCCESS)
    take_targets(lookup, bytes, length);
  else
    fail(lookup, result);
  if (!lookup->is_ended)
    question_closed(lookup);
}

static void txt_came(void *context, int result, int timeouts, unsigned char *bytes, int length) {
  (void)timeouts;
  struct lookup *lookup = context;
  if (lookup->is_ended)
    return;
  struct ares_txt_ext *strings = NULL;
  if (result == ARES_SUCCESS && ares_parse_txt_reply_ext(bytes, length, &strings) == ARES_SUCCESS) {
    for (const struct ares_txt_ext *at = strings; at && lookup->txt_count < LOOKUP_TXT_MOST; at = at->next)
      if (!memchr(at->txt, '\0', at->length))
        lookup->txt[lookup->txt_count++] = mem_format("%.*s", (int)at->length, (const char *)at->txt);
    ares_free_data(strings);
  }
  question_closed(lookup);
}

static void set_servers(ares_channel channel, const struct addr *servers, size_t count) {
  struct ares_addr_port_node *nodes = mem_array(count, sizeof *nodes);
  for (size_t i = 0; i < count; i++) {
    nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
    nodes[i].family = servers[i].family == 4 ? AF_INET : AF_INET6;
    nodes[i].udp_port = nodes[i].tcp_port = servers[i].port;
    memcpy(&nodes[i].addr, servers[i].bytes, addr_length(&servers[i]));
  }
  if (ares_set_servers_ports(channel, nodes) != ARES_SUCCESS)
    abort();
  free(nodes);
}

static int open_channel(struct lookup *lookup, const struct addr *servers, size_t server_count, int64_t timeout_ms) {
  struct in_addr none = {0};
  char lookups[] = "fb";
  int64_t try_ms = timeout_ms / 4;
  struct ares_options options = {
      .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_EDNS,
      .timeout = (int)(try_ms < TRY_LEAST_MS  ? TRY_LEAST_MS
                       : try_ms > TRY_MOST_MS ? TRY_MOST_MS
                                              : try_ms),
      .tries = TRIES,
      .ndots = 1,
      .lookups = lookups,
      .sock_state_cb = ares_watch_changed,
      .sock_state_cb_data = lookup->watch,
  };
  int mask =
      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
  if (server_count > 0) {
    /* with these given there is nothing left to read from resolv.conf */
    options.servers = &none;
    options.nservers = 1;
    mask |= ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST;
  }
  int result = ares_init_options(&lookup->channel, &options, mask);
  if (result == ARES_SUCCESS && server_count > 0)
    set_servers(lookup->channel, servers, server_count);
  return result;
}

static struct lookup *lookup_new(struct loop *loop, const struct addr *servers, size_t server_count, int64_t timeout_ms,
                                 lookup_done *done, void *context) {
  assert(timeout_ms > 0);
  if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
    abort();
  struct lookup *lookup = mem_alloc(sizeof *lookup);
  lookup->loop = loop;
  lookup->done = done;
  lookup->context = context;
  lookup->watch = ares_watch_new(loop, sockets_ready, lookup);
  lookup->retry = loop_timer_new(loop, retry_due, lookup);
  lookup->end = loop_timer_new(loop, end_due, lookup);
  loop_timer_after(lookup->end, timeout_ms);
  int result = open_channel(lookup, servers, server_count, timeout_ms);
  if (result != ARES_SUCCESS) {
    lookup->channel = NULL;
    fail(lookup, result);
  }
  return lookup;
}

struct lookup *lookup_service(struct loop *loop, const char *name, const struct addr *servers, size_t server_count,
                              int64_t timeout_ms, lookup_done *done, void *context) {
  struct lookup *lookup = lookup_new(loop, servers, server_count, timeout_ms, done, context);
  if (lookup->is_ended)
    return lookup;
  lookup->pending = 2;
  ares_query(lookup->channel, name, ns_c_in, ns_t_srv, targets_came, lookup);
  ares_query(lookup->channel, name, ns_c_in, ns_t_txt, txt_came, lookup);
  arm_retry(lookup);
  return lookup;
}

struct lookup *lookup_host(struct loop *loop, const char *name, uint16_t port, const struct addr *servers,
                           size_t server_count, int64_t timeout_ms, lookup_done *done, void *context) {
  struct lookup *lookup = lookup_new(loop, servers, server_count, timeout_ms, done, context);
  if (lookup->is_ended)
    return lookup;
  struct lookup_target *target = &lookup->targets[0];
  if (strlen(name) >= sizeof target->host) {
    fail(lookup, ARES_EBADNAME);
    return lookup;
  }
  memcpy(target->host, name, strlen(name) + 1);
  target->port = port;
  lookup->target_count = 1;
  ask_addresses(lookup, target, host_came);
  arm_retry(lookup);
  return lookup;
}

void lookup_cancel(struct lookup *lookup) {
  lookup_free(lookup);
}
