#include "discovery/mdns/mdns_port.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "discovery/mdns/mdns_message.h"
#include "discovery/mdns/mdns_responder.h"
#include "discovery/mdns/mdns_socket.h"
#include "gslb/base/addr.h"
#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define SHARED_DELAY_MS 20 /* and up to 100 more (section 6) */
#define CUT_DELAY_MS 400   /* and up to 100 more (section 7.2) */
#define REPEAT_LEAST_MS 1000
#define PENDING_MOST 32u
#define CONFLICT_LOG_MS 60000

struct pending { /* a reply that waits for its moment */
  int64_t due_ms;
  struct sockaddr_storage source;
  struct arena arena;
  struct mdns_reply reply;
  struct pending *next;
};

struct mdns_port {
  struct mdns_port_links links;
  char *interface;
  struct mdns_socket socket;
  struct loop_poll *poll;
  struct loop_timer *timer; /* of what is pending */
  bool is_failing;          /* and that was logged */
  int64_t conflict_logged_ms;
  int64_t *sent_ms; /* mono, for each of own's records: when it was last multicast here; 0: never */
  size_t sent_count;
  struct pending *pending;
  size_t pending_count;
};

static void send_to(struct mdns_port *port, const struct sockaddr_storage *to, const uint8_t *bytes, size_t size) {
  struct errbuf err;
  if (mdns_socket_send(&port->socket, to, bytes, size, &err) == STATUS_OK) {
    port->is_failing = false;
    return;
  }
  if (!port->is_failing)
    log_warning("mdns: %s, IPv%u: %s", port->interface, port->socket.family, err.text);
  port->is_failing = true;
}

static void note_sent(struct mdns_port *port, const struct directory *answers) {
  const struct directory *own = port->links.own;
  if (port->sent_count != own->count) {
    free(port->sent_ms);
    port->sent_ms = mem_array(own->count, sizeof *port->sent_ms);
    port->sent_count = own->count;
  }
  for (size_t i = 0; i < answers->count; i++)
    for (size_t j = 0; j < own->count; j++)
      if (own->records[j].data == answers->records[i].data)
        port->sent_ms[j] = mono_now_ms();
}

/* Whether it was multicast here within so much of its TTL (divisor 0: within a second). */
static bool was_sent(const struct mdns_port *port, const struct directory_record *record, int64_t divisor) {
  const struct directory *own = port->links.own;
  for (size_t i = 0; i < port->sent_count; i++)
    if (own->records[i].data == record->data) {
      int64_t within_ms = divisor ? record->ttl_s * INT64_C(1000) / divisor : REPEAT_LEAST_MS;
      return port->sent_ms[i] && mono_now_ms() - port->sent_ms[i] < within_ms;
    }
  return false;
}

static void multicast(struct mdns_port *port, struct mdns_reply *reply) {
  uint8_t bytes[MDNS_MESSAGE_MOST];
  size_t kept = 0;
  for (size_t i = 0; i < reply->answers.count; i++)
    if (!was_sent(port, &reply->answers.records[i], 0))
      reply->answers.records[kept++] = reply->answers.records[i];
  reply->answers.count = kept;
  if (!kept)
    return;
  size_t size =
      mdns_write(&(struct mdns_writing){.is_response = true}, &reply->answers, &reply->additional, bytes, sizeof bytes);
  if (!size)
    return;
  send_to(port, NULL, bytes, size);
  note_sent(port, &reply->answers);
}

static void unicast(struct mdns_port *port, const struct sockaddr_storage *to, const struct mdns_message *query,
                    bool is_legacy, const struct mdns_reply *reply) {
  uint8_t bytes[MDNS_MESSAGE_MOST];
  struct mdns_writing writing = {.is_response = true, .is_legacy = is_legacy};
  if (is_legacy) {
    writing.id = query->id;
    writing.questions = query->questions;
    writing.question_count = query->question_count;
  }
  size_t size = mdns_write(&writing, &reply->answers, &reply->additional, bytes, sizeof bytes);
  if (size)
    send_to(port, to, bytes, size);
}

void mdns_port_announce(struct mdns_port *port, const struct directory *records, bool is_goodbye) {
  uint8_t bytes[MDNS_MESSAGE_MOST];
  if (port->socket.fd < 0)
    return;
  /* as many as a message takes; one record always fits */
  for (size_t at = 0; at < records->count;) {
    struct directory part = {.records = records->records + at, .count = records->count - at};
    size_t size = 0;
    while (part.count && !(size = mdns_write(&(struct mdns_writing){.is_response = true, .is_goodbye = is_goodbye},
                                             &part, NULL, bytes, sizeof bytes)))
      part.count--;
    if (!part.count)
      return;
    send_to(port, NULL, bytes, size);
    if (!is_goodbye)
      note_sent(port, &part);
    at += part.count;
  }
}

static void pending_free(struct pending *pending) {
  arena_release(&pending->arena);
  free(pending);
}

static void drop_pending(struct mdns_port *port) {
  while (port->pending) {
    struct pending *pending = port->pending;
    port->pending = pending->next;
    pending_free(pending);
  }
  port->pending_count = 0;
  loop_timer_stop(port->timer);
}

static void schedule_pending(struct mdns_port *port) {
  int64_t due_ms = INT64_MAX;
  for (const struct pending *pending = port->pending; pending; pending = pending->next)
    if (pending->due_ms < due_ms)
      due_ms = pending->due_ms;
  if (due_ms == INT64_MAX)
    loop_timer_stop(port->timer);
  else
    loop_timer_after(port->timer, due_ms - mono_now_ms());
}

static void send_pending(void *context) {
  struct mdns_port *port = context;
  for (struct pending **at = &port->pending; *at;) {
    struct pending *pending = *at;
    if (pending->due_ms > mono_now_ms()) {
      at = &pending->next;
      continue;
    }
    multicast(port, &pending->reply);
    *at = pending->next;
    pending_free(pending);
    port->pending_count--;
  }
  schedule_pending(port);
}

static bool is_same_source(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
  struct addr left, right;
  return addr_from_sockaddr((const struct sockaddr *)a, &left) == STATUS_OK &&
         addr_from_sockaddr((const struct sockaddr *)b, &right) == STATUS_OK && addr_equal(&left, &right);
}

/* Takes the arena over. */
static void delay(struct mdns_port *port, const struct sockaddr_storage *source, const struct mdns_reply *reply,
                  struct arena *arena, int64_t least_ms) {
  struct pending *pending = mem_alloc(sizeof *pending);
  *pending = (struct pending){.due_ms = mono_now_ms() + least_ms + random_below(port->links.random, 101),
                              .source = *source,
                              .arena = *arena,
                              .reply = *reply,
                              .next = port->pending};
  *arena = (struct arena){0};
  port->pending = pending;
  port->pending_count++;
  schedule_pending(port);
}

static bool is_legacy_source(const struct sockaddr_storage *source) {
  struct addr addr;
  return addr_from_sockaddr((const struct sockaddr *)source, &addr) == STATUS_OK && addr.port != MDNS_PORT;
}

static bool was_all_sent(const struct mdns_port *port, const struct directory *answers) {
  for (size_t i = 0; i < answers->count; i++)
    if (!was_sent(port, &answers->records[i], 4)) /* section 5.4: a quarter of the TTL */
      return false;
  return true;
}

static void take_query(struct mdns_port *port, const struct sockaddr_storage *source, const struct mdns_message *query,
                       struct arena *arena) {
  struct mdns_reply reply;
  if (!query->question_count) {
    for (struct pending *pending = port->pending; pending; pending = pending->next)
      if (is_same_source(&pending->source, source))
        mdns_suppress(&pending->reply, &query->answers);
    return;
  }
  mdns_answer(port->links.own, query, arena, &reply);
  if (!reply.answers.count)
    return;
  if (is_legacy_source(source))
    unicast(port, source, query, true, &reply);
  else if (reply.wants_unicast && was_all_sent(port, &reply.answers))
    unicast(port, source, query, false, &reply);
  else if ((reply.is_shared || query->is_cut) && port->pending_count < PENDING_MOST)
    delay(port, source, &reply, arena, query->is_cut ? CUT_DELAY_MS : SHARED_DELAY_MS);
  else
    multicast(port, &reply);
}

static void take_response(struct mdns_port *port, const struct mdns_message *response) {
  if (mdns_withdraws_ours(port->links.own, response))
    port->links.rescue(port->links.context);
  if (!mdns_conflicts(port->links.own, response))
    return;
  if (port->conflict_logged_ms && mono_now_ms() - port->conflict_logged_ms < CONFLICT_LOG_MS)
    return;
  port->conflict_logged_ms = mono_now_ms();
  log_warning("mdns: %s: another machine answers to a name of ours: server.identity and control.advertise.name must be "
              "unique",
              port->interface);
}

static void take_messages(void *context, int events) {
  struct mdns_port *port = context;
  (void)events;
  for (int i = 0; i < 64; i++) { /* then others have their turn */
    uint8_t bytes[9000];         /* section 17: the most that a message has */
    struct sockaddr_storage source = {0};
    socklen_t length = sizeof source;
    ssize_t size = recvfrom(port->socket.fd, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&source, &length);
    if (size < 0)
      break;
    struct arena arena = {0};
    struct mdns_message message;
    if (mdns_read(bytes, (size_t)size, &arena, &message) == STATUS_OK) {
      if (!message.is_response)
        take_query(port, &source, &message, &arena);
      else if (!is_legacy_source(&source)) /* section 6: other responses are to be ignored */
        take_response(port, &message);
    }
    arena_release(&arena);
  }
  loop_poll_watch(port->poll, LOOP_READABLE);
}

static void close_port(struct mdns_port *port) {
  drop_pending(port);
  loop_poll_free(port->poll);
  port->poll = NULL;
  mdns_socket_close(&port->socket);
}

static bool open_port(struct mdns_port *port) {
  struct errbuf err;
  if (mdns_socket_open(port->interface, port->socket.family, true, &port->socket, &err) == STATUS_OK) {
    port->poll = loop_poll_new(port->links.loop, port->socket.fd, take_messages, port);
    loop_poll_watch(port->poll, LOOP_READABLE);
    port->is_failing = false;
    return true;
  }
  if (!port->is_failing)
    log_warning("mdns: %s", err.text);
  port->is_failing = true;
  return false;
}

struct mdns_port *mdns_port_new(const struct mdns_port_links *links, const char *interface, uint8_t family) {
  struct mdns_port *port = mem_alloc(sizeof *port);
  port->links = *links;
  port->interface = mem_strdup(interface);
  port->socket = (struct mdns_socket){.fd = -1, .family = family};
  port->timer = loop_timer_new(links->loop, send_pending, port);
  return port;
}

void mdns_port_free(struct mdns_port *port) {
  if (!port)
    return;
  close_port(port);
  loop_timer_free(port->timer);
  free(port->sent_ms);
  free(port->interface);
  free(port);
}

const char *mdns_port_interface(const struct mdns_port *port) {
  return port->interface;
}

bool mdns_port_look(struct mdns_port *port) {
  if (port->socket.fd >= 0 && if_nametoindex(port->interface) != port->socket.interface)
    close_port(port);
  return port->socket.fd < 0 && open_port(port);
}

void mdns_port_forget(struct mdns_port *port) {
  drop_pending(port);
  free(port->sent_ms);
  port->sent_ms = NULL;
  port->sent_count = 0;
}
