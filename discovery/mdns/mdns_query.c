#include "discovery/mdns/mdns_query.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "discovery/mdns/mdns_message.h"
#include "discovery/mdns/mdns_socket.h"
#include "gslb/base/random.h"

#define AGAIN_MS 1000
#define GATHER_MS 250
#define SOCKETS_MOST 32u
#define RECORDS_MOST 4096u /* heard, more are not kept */

struct asking { /* one family on one interface */
  struct mdns_query *query;
  struct mdns_socket socket;
  struct loop_poll *poll;
};

struct mdns_query {
  lookup_done *done;
  void *context;
  struct loop_timer *again, *end;
  struct name service;
  uint16_t id;
  int64_t pause_ms;
  bool is_gathering;
  enum status status; /* what it ends with when nothing is heard */
  const char *detail;
  struct asking askings[SOCKETS_MOST];
  size_t count;
  struct arena arena;
  struct directory heard;
  size_t capacity;
};

static bool is_same_name(const struct name *a, const struct name *b) {
  return a->size == b->size && memcmp(a->wire, b->wire, a->size) == 0;
}

static uint16_t number_at(const struct directory_record *record, size_t at) {
  return (uint16_t)(record->data[at] << 8 | record->data[at + 1]);
}

static void add_addresses(const struct directory *heard, const struct name *host, struct lookup_target *target) {
  for (size_t i = 0; i < heard->count && target->address_count < LOOKUP_ADDRESSES_MOST; i++) {
    const struct directory_record *record = &heard->records[i];
    bool is_v4 = record->type == DIRECTORY_A && record->size == 4;
    if ((!is_v4 && !(record->type == DIRECTORY_AAAA && record->size == 16)) || !is_same_name(&record->owner, host))
      continue;
    struct addr *addr = &target->addresses[target->address_count++];
    addr->family = is_v4 ? 4 : 6;
    addr->port = target->port;
    memcpy(addr->bytes, record->data, record->size);
  }
}

/* The targets of one owner's SRV records. */
static size_t add_targets(const struct directory *heard, const struct name *owner, struct lookup_target *targets,
                          size_t count) {
  for (size_t i = 0; i < heard->count && count < LOOKUP_TARGETS_MOST; i++) {
    const struct directory_record *record = &heard->records[i];
    struct name host;
    char text[NAME_TEXT_SIZE];
    struct lookup_target target = {0};
    if (record->type != DIRECTORY_SRV || !is_same_name(&record->owner, owner) || !directory_target(record, &host) ||
        strlen(name_to_text(host.wire, text)) >= sizeof target.host)
      continue;
    strcpy(target.host, text);
    target.priority = number_at(record, 0);
    target.weight = number_at(record, 2);
    target.port = number_at(record, 4);
    bool is_known = false;
    for (size_t j = 0; j < count; j++)
      is_known |= targets[j].port == target.port && strcmp(targets[j].host, target.host) == 0;
    if (is_known)
      continue;
    add_addresses(heard, &host, &target);
    targets[count++] = target;
  }
  return count;
}

static size_t read_strings(const struct directory *heard, const struct name *owner, struct arena *arena,
                           const char **txt) {
  size_t count = 0;
  for (size_t i = 0; i < heard->count; i++) {
    const struct directory_record *record = &heard->records[i];
    if (record->type != DIRECTORY_TXT || !is_same_name(&record->owner, owner))
      continue;
    for (size_t at = 0; at < record->size && at + 1 + record->data[at] <= record->size && count < LOOKUP_TXT_MOST;
         at += 1u + record->data[at])
      txt[count++] = arena_strndup(arena, (const char *)record->data + at + 1, record->data[at]);
    return count;
  }
  return 0;
}

size_t mdns_query_collect(const struct directory *heard, const struct name *service, struct arena *arena,
                          struct lookup_answer *out) {
  struct lookup_target *targets = arena_array(arena, LOOKUP_TARGETS_MOST, sizeof *targets);
  const char **txt = arena_array(arena, LOOKUP_TXT_MOST, sizeof *txt);
  size_t usable = 0;
  out->targets = targets;
  out->txt = txt;
  out->target_count = add_targets(heard, service, targets, 0);
  out->txt_count = read_strings(heard, service, arena, txt);
  for (size_t i = 0; i < heard->count; i++) {
    struct name instance;
    if (heard->records[i].type != DIRECTORY_PTR || !is_same_name(&heard->records[i].owner, service) ||
        !directory_target(&heard->records[i], &instance))
      continue;
    out->target_count = add_targets(heard, &instance, targets, out->target_count);
    if (!out->txt_count)
      out->txt_count = read_strings(heard, &instance, arena, txt);
  }
  for (size_t i = 0; i < out->target_count; i++)
    usable += targets[i].address_count > 0;
  return usable;
}

static void release(struct mdns_query *query) {
  for (size_t i = 0; i < query->count; i++) {
    loop_poll_free(query->askings[i].poll);
    mdns_socket_close(&query->askings[i].socket);
  }
  loop_timer_free(query->again);
  loop_timer_free(query->end);
  arena_release(&query->arena);
  free(query->heard.records);
  free(query);
}

static void finish(void *context) {
  struct mdns_query *query = context;
  struct lookup_answer answer = {.status = query->status, .detail = query->detail};
  directory_sort(&query->heard);
  if (mdns_query_collect(&query->heard, &query->service, &query->arena, &answer)) {
    answer.status = STATUS_OK;
    answer.detail = "answered by multicast";
  }
  query->done(query->context, &answer);
  release(query);
}

static void keep(struct mdns_query *query, const struct directory *records) {
  for (size_t i = 0; i < records->count && query->heard.count < RECORDS_MOST; i++) {
    query->heard.records =
        mem_grow(query->heard.records, &query->capacity, query->heard.count + 1, sizeof *query->heard.records);
    struct directory_record *record = &query->heard.records[query->heard.count++];
    *record = records->records[i];
    uint8_t *data = arena_alloc(&query->arena, record->size ? record->size : 1u);
    memcpy(data, records->records[i].data, record->size);
    record->data = data;
  }
}

static bool is_usable(struct mdns_query *query) {
  struct arena arena = {0};
  struct lookup_answer answer;
  size_t usable = mdns_query_collect(&query->heard, &query->service, &arena, &answer);
  arena_release(&arena);
  return usable > 0;
}

static void take_answers(void *context, int events) {
  struct asking *asking = context;
  struct mdns_query *query = asking->query;
  (void)events;
  for (int i = 0; i < 64; i++) {
    uint8_t bytes[9000];
    struct sockaddr_storage source = {0};
    socklen_t length = sizeof source;
    struct addr from;
    ssize_t size = recvfrom(asking->socket.fd, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&source, &length);
    if (size < 0)
      break;
    struct arena arena = {0};
    struct mdns_message message;
    if (addr_from_sockaddr((const struct sockaddr *)&source, &from) == STATUS_OK && from.port == MDNS_PORT &&
        mdns_read(bytes, (size_t)size, &arena, &message) == STATUS_OK && message.is_response &&
        message.id == query->id) {
      keep(query, &message.answers);
      keep(query, &message.additional);
    }
    arena_release(&arena);
  }
  loop_poll_watch(asking->poll, LOOP_READABLE);
  if (!query->is_gathering && is_usable(query)) {
    query->is_gathering = true;
    loop_timer_stop(query->again);
    loop_timer_after(query->end, GATHER_MS);
  }
}

static void ask(void *context) {
  struct mdns_query *query = context;
  static const uint16_t types[] = {DIRECTORY_PTR, DIRECTORY_SRV, DIRECTORY_TXT};
  struct mdns_question questions[3];
  struct errbuf err;
  uint8_t bytes[MDNS_MESSAGE_MOST];
  for (size_t i = 0; i < 3; i++)
    questions[i] = (struct mdns_question){.name = query->service, .type = types[i]};
  size_t size = mdns_write(&(struct mdns_writing){.id = query->id, .questions = questions, .question_count = 3},
                           &(struct directory){0}, NULL, bytes, sizeof bytes);
  for (size_t i = 0; i < query->count; i++)
    mdns_socket_send(&query->askings[i].socket, NULL, bytes, size, &err); /* some interfaces cannot: others do */
  loop_timer_after(query->again, query->pause_ms);
  query->pause_ms *= 2;
}

static void open_sockets(struct mdns_query *query, struct loop *loop) {
  struct ifaddrs *list = NULL;
  struct errbuf err;
  if (getifaddrs(&list) != 0)
    return;
  for (const struct ifaddrs *row = list; row && query->count < SOCKETS_MOST; row = row->ifa_next) {
    int family = row->ifa_addr ? row->ifa_addr->sa_family : 0;
    if (!(row->ifa_flags & IFF_UP) || !(row->ifa_flags & IFF_MULTICAST) || (family != AF_INET && family != AF_INET6))
      continue;
    struct asking *asking = &query->askings[query->count];
    uint8_t version = family == AF_INET ? 4 : 6;
    bool is_open = false; /* an interface may have several addresses */
    for (size_t i = 0; i < query->count; i++)
      is_open |= query->askings[i].socket.family == version &&
                 query->askings[i].socket.interface == if_nametoindex(row->ifa_name);
    if (is_open || mdns_socket_open(row->ifa_name, version, false, &asking->socket, &err) != STATUS_OK)
      continue;
    asking->query = query;
    asking->poll = loop_poll_new(loop, asking->socket.fd, take_answers, asking);
    loop_poll_watch(asking->poll, LOOP_READABLE);
    query->count++;
  }
  freeifaddrs(list);
}

struct mdns_query *mdns_query_start(struct loop *loop, const char *service, int64_t timeout_ms, lookup_done *done,
                                    void *context) {
  struct mdns_query *query = mem_alloc(sizeof *query);
  query->done = done;
  query->context = context;
  query->again = loop_timer_new(loop, ask, query);
  query->end = loop_timer_new(loop, finish, query);
  query->pause_ms = AGAIN_MS;
  query->status = STATUS_TIMEOUT;
  query->detail = "nobody answers by multicast";
  random_secret(&query->id, sizeof query->id);
  if (name_from_text(service, &query->service) != STATUS_OK) {
    query->status = STATUS_INVALID;
    query->detail = "the service is no name";
    timeout_ms = 0;
  } else {
    open_sockets(query, loop);
    if (!query->count) {
      query->status = STATUS_IO;
      query->detail = "no interface knows multicast";
      timeout_ms = 0;
    } else {
      loop_timer_after(query->again, 0);
    }
  }
  loop_timer_after(query->end, timeout_ms);
  return query;
}

void mdns_query_cancel(struct mdns_query *query) {
  if (query)
    release(query);
}
