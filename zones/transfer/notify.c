#include "zones/transfer/notify.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "zones/message/query.h"
#include "zones/message/tsig.h"
#include "zones/message/wire.h"
#include "zones/tables/record.h"
#include "zones/transfer/transfer_zone.h"

#define IN_FLIGHT_MOST 1000u /* notices that wait for their answers at once */
#define RECEIVE_MOST 256u    /* answers taken before the next look at what is due */
#define MESSAGE_MOST (WIRE_HEADER_SIZE + NAME_SIZE_MOST + 4u + RECORD_HEAD_SIZE + 2u * NAME_SIZE_MOST + 20u)

enum notice_state { NOTICE_WAITING, NOTICE_FLYING, NOTICE_DONE };

struct notice {             /* one zone's news for one address */
  TAILQ_ENTRY(notice) next; /* while it waits or flies */
  enum notice_state state;
  struct name zone;
  struct addr to, from; /* from: family 0 leaves the choice to the kernel */
  struct tsig_key *key; /* NULL: not signed */
  uint32_t serial;
  uint16_t size;                                    /* of the message */
  uint8_t message[MESSAGE_MOST + TSIG_RECORD_MOST]; /* signed when it is first sent, and then repeated as it is */
  struct tsig_mac mac;
  uint32_t sends;
  int64_t due_ms; /* mono: the next send, or giving up */
};

TAILQ_HEAD(notice_list, notice);

struct notifier {
  int64_t repeat_ms;
  struct notifier_counts counts;
  pthread_t thread;
  int ipv4, ipv6, wake; /* sockets, -1 where the system has none; eventfd */
  pthread_mutex_t lock; /* for all below */
  bool is_stopping;
  struct notice **notices; /* by zone and address */
  size_t count;
  struct notice_list waiting, flying;
  uint32_t flying_count;
};

/* The message */

static bool put_soa(void *context, const struct transfer_record *record) {
  struct writer *writer = context;
  writer_u16(writer, 0xc000 | WIRE_HEADER_SIZE);
  writer_u16(writer, TYPE_SOA);
  writer_u16(writer, CLASS_IN);
  writer_u32(writer, record->ttl_s);
  writer_u16(writer, record->size);
  writer_bytes(writer, record->data, record->size);
  return true;
}

/* Unsigned and without an id. RFC 1996 section 3.7: the answer section has the new SOA. */
static void write_message(struct notice *notice, const struct transfer_zone *zone) {
  struct writer writer = {.base = notice->message, .limit = MESSAGE_MOST};
  writer_u16(&writer, 0);
  writer_u16(&writer, OPCODE_NOTIFY | FLAG_AA);
  writer_u16(&writer, 1);
  writer_u16(&writer, 1);
  writer_u32(&writer, 0);
  writer_bytes(&writer, notice->zone.wire, notice->zone.size);
  writer_u16(&writer, TYPE_SOA);
  writer_u16(&writer, CLASS_IN);
  transfer_zone_visit_soa(zone, put_soa, &writer);
  notice->size = (uint16_t)writer.used;
}

/* Notices */

static void free_notice(struct notice *notice) {
  if (!notice)
    return;
  free(notice->key);
  free(notice);
}

static int compare_notices(const void *a, const void *b) {
  const struct notice *one = *(const struct notice *const *)a, *other = *(const struct notice *const *)b;
  if (one->zone.size != other->zone.size)
    return one->zone.size < other->zone.size ? -1 : 1;
  int order = memcmp(one->zone.wire, other->zone.wire, one->zone.size);
  if (order)
    return order;
  order = memcmp(one->to.bytes, other->to.bytes, sizeof one->to.bytes);
  if (order)
    return order;
  return one->to.family != other->to.family ? one->to.family - other->to.family : one->to.port - other->to.port;
}

static bool is_wildcard(const struct addr *addr) {
  static const uint8_t zeroes[sizeof addr->bytes];
  return memcmp(addr->bytes, zeroes, sizeof zeroes) == 0;
}

/* Secondaries know us by the address that we serve at, so NOTIFY comes from there. */
static struct addr source_for(const struct config_server *server, const struct addr *to) {
  for (size_t i = 0; i < server->listen_count; i++)
    if (server->listen[i].family == to->family && !is_wildcard(&server->listen[i]))
      return server->listen[i];
  return (struct addr){0};
}

static struct notice *make_notice(const struct transfer_zone *zone, const struct addr *to) {
  const struct config_zone *config = &zone->config->zones[zone->index];
  const struct image_node *apex = image_node(zone->image, transfer_zone_image(zone)->apex);
  struct notice *notice = mem_alloc(sizeof *notice);
  notice->zone.size = (uint8_t)apex->name_size;
  memcpy(notice->zone.wire, image_node_name(apex), apex->name_size);
  notice->to = *to;
  notice->from = source_for(&zone->config->server, to);
  notice->serial = transfer_zone_image(zone)->serial;
  write_message(notice, zone);
  if (config->notify_key == CONFIG_NO_KEY)
    return notice;
  struct errbuf err;
  notice->key = mem_alloc(sizeof *notice->key);
  if (tsig_key_read(&zone->config->keys[config->notify_key], config->notify_key, notice->key, &err) == STATUS_OK)
    return notice;
  log_error("zone %s: no NOTIFY is sent: %s", config->name, err.text);
  free_notice(notice);
  return NULL;
}

struct notices {
  struct notice **items;
  size_t count, capacity;
};

static void make_notices(const struct config *config, const struct image *image, struct notices *out) {
  for (uint32_t i = 0; i < image_head(image)->zone_count; i++) {
    const struct transfer_zone zone = {.image = image, .config = config, .index = i};
    if (!transfer_zone_is_loaded(&zone))
      continue;
    for (size_t j = 0; j < config->zones[i].notify_count; j++) {
      struct notice *notice = make_notice(&zone, &config->zones[i].notify[j]);
      if (!notice)
        continue;
      out->items = mem_grow(out->items, &out->capacity, out->count + 1, sizeof(struct notice *));
      out->items[out->count++] = notice;
    }
  }
  if (out->count)
    qsort(out->items, out->count, sizeof(struct notice *), compare_notices);
}

/* The same key: another one makes another message. */
static bool keys_equal(const struct tsig_key *a, const struct tsig_key *b) {
  if (!a || !b)
    return a == b;
  return a->algorithm == b->algorithm && a->secret_size == b->secret_size && a->name.size == b->name.size &&
         memcmp(a->name.wire, b->name.wire, a->name.size) == 0 && memcmp(a->secret, b->secret, a->secret_size) == 0;
}

/* Puts the old notice into the place of a fresh one that says nothing new. */
static void keep_old(struct notifier *notifier, struct notice **fresh) {
  struct notice **found =
      notifier->count ? bsearch(fresh, notifier->notices, notifier->count, sizeof(struct notice *), compare_notices)
                      : NULL;
  if (!found || (*found)->serial != (*fresh)->serial)
    return;
  if ((*found)->state != NOTICE_DONE && !keys_equal((*found)->key, (*fresh)->key))
    return;
  struct notice *old = *found;
  /* the list of the old ones stays in order with the fresh one in it, which is freed with them */
  *found = *fresh;
  *fresh = old;
}

void notifier_update(struct notifier *notifier, const struct config *config, const struct image *image) {
  struct notices fresh = {0};
  make_notices(config, image, &fresh);
  pthread_mutex_lock(&notifier->lock);
  for (size_t i = 0; i < fresh.count; i++)
    if (i == 0 || compare_notices(&fresh.items[i - 1], &fresh.items[i]) != 0)
      keep_old(notifier, &fresh.items[i]);
  TAILQ_INIT(&notifier->waiting);
  TAILQ_INIT(&notifier->flying);
  notifier->flying_count = 0;
  for (size_t i = 0; i < fresh.count; i++) {
    if (fresh.items[i]->state == NOTICE_WAITING)
      TAILQ_INSERT_TAIL(&notifier->waiting, fresh.items[i], next);
    if (fresh.items[i]->state != NOTICE_FLYING)
      continue;
    TAILQ_INSERT_TAIL(&notifier->flying, fresh.items[i], next);
    notifier->flying_count++;
  }
  for (size_t i = 0; i < notifier->count; i++)
    free_notice(notifier->notices[i]);
  free(notifier->notices);
  notifier->notices = fresh.items;
  notifier->count = fresh.count;
  pthread_mutex_unlock(&notifier->lock);
  eventfd_write(notifier->wake, 1);
}

/* Sending */

static void count(_Atomic uint64_t *counter) {
  atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint16_t choose_id(const struct notifier *notifier, const struct notice *notice) {
  const struct notice *other;
  for (;;) {
    uint16_t id;
    bool is_free = true;
    random_secret(&id, sizeof id);
    TAILQ_FOREACH(other, &notifier->flying, next)
    is_free &= other == notice || !addr_equal(&other->to, &notice->to) || wire_get_u16(other->message) != id;
    if (is_free)
      return id;
  }
}

/* As sendto, but from a certain address of this host. */
static ssize_t send_from(int fd, const struct notice *notice, struct sockaddr_storage *to, socklen_t length) {
  _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
  struct iovec part = {.iov_base = (void *)(uintptr_t)notice->message, .iov_len = notice->size};
  struct msghdr message = {.msg_name = to, .msg_namelen = length, .msg_iov = &part, .msg_iovlen = 1};
  if (notice->from.family) {
    bool is_ipv4 = notice->from.family == 4;
    struct in_pktinfo ipv4 = {0};
    struct in6_pktinfo ipv6 = {0};
    memcpy(&ipv4.ipi_spec_dst, notice->from.bytes, sizeof ipv4.ipi_spec_dst);
    memcpy(&ipv6.ipi6_addr, notice->from.bytes, sizeof ipv6.ipi6_addr);
    size_t size = is_ipv4 ? sizeof ipv4 : sizeof ipv6;
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = is_ipv4 ? IPPROTO_IP : IPPROTO_IPV6;
    head->cmsg_type = is_ipv4 ? IP_PKTINFO : IPV6_PKTINFO;
    head->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(head), is_ipv4 ? (const void *)&ipv4 : (const void *)&ipv6, size);
  }
  ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0 || !notice->from.family)
    return sent;
  /* no way leads from there, say from a loopback address to another host */
  message.msg_control = NULL;
  message.msg_controllen = 0;
  return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_notice(struct notifier *notifier, struct notice *notice, int64_t now_ms) {
  struct sockaddr_storage to;
  socklen_t length = addr_to_sockaddr(&notice->to, &to);
  int fd = notice->to.family == 4 ? notifier->ipv4 : notifier->ipv6;
  if (notice->sends == 0) {
    wire_set_u16(notice->message, choose_id(notifier, notice));
    if (notice->key)
      notice->size = (uint16_t)tsig_sign_query(notice->key, notice->message, notice->size, sizeof notice->message,
                                               (uint64_t)time(NULL), &notice->mac);
  }
  /* a failure is like a loss on the way: the next one may get through */
  if (send_from(fd, notice, &to, length) > 0)
    count(&notifier->counts.sent);
  notice->due_ms = now_ms + (notifier->repeat_ms << notice->sends);
  notice->sends++;
}

static void end_notice(struct notifier *notifier, struct notice *notice) {
  TAILQ_REMOVE(&notifier->flying, notice, next);
  notifier->flying_count--;
  notice->state = NOTICE_DONE;
}

static void log_notice(const struct notice *notice, const char *what) {
  char zone[NAME_TEXT_SIZE], to[ADDR_TEXT_SIZE];
  log_warning("zone %s: NOTIFY of serial %u to %s: %s", name_to_text(notice->zone.wire, zone), notice->serial,
              addr_format_port(&notice->to, to), what);
}

/* Sends what is due; returns the milliseconds until the next is, -1 for never. */
static int send_due(struct notifier *notifier, int64_t now_ms) {
  struct notice *notice, *following;
  int64_t next_ms = INT64_MAX;
  for (notice = TAILQ_FIRST(&notifier->flying); notice; notice = following) {
    following = TAILQ_NEXT(notice, next);
    if (notice->due_ms <= now_ms && notice->sends == NOTIFY_SENDS_MOST) {
      log_notice(notice, "no answer");
      count(&notifier->counts.unanswered);
      end_notice(notifier, notice);
    } else if (notice->due_ms <= now_ms) {
      send_notice(notifier, notice, now_ms);
    }
  }
  while ((notice = TAILQ_FIRST(&notifier->waiting)) != NULL && notifier->flying_count < IN_FLIGHT_MOST) {
    TAILQ_REMOVE(&notifier->waiting, notice, next);
    TAILQ_INSERT_TAIL(&notifier->flying, notice, next);
    notifier->flying_count++;
    notice->state = NOTICE_FLYING;
    send_notice(notifier, notice, now_ms);
  }
  TAILQ_FOREACH(notice, &notifier->flying, next)
  next_ms = notice->due_ms < next_ms ? notice->due_ms : next_ms;
  if (next_ms == INT64_MAX)
    return -1;
  return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

/* Answers */

static struct notice *find_flying(const struct notifier *notifier, const struct addr *from, uint16_t id) {
  struct notice *notice;
  TAILQ_FOREACH(notice, &notifier->flying, next)
  if (wire_get_u16(notice->message) == id && addr_equal(&notice->to, from))
    return notice;
  return NULL;
}

static void take_answer(struct notifier *notifier, const uint8_t *message, size_t size, const struct addr *from) {
  if (size < WIRE_HEADER_SIZE || (wire_get_u16(message + 2) & (FLAG_QR | FLAG_OPCODE)) != (FLAG_QR | OPCODE_NOTIFY))
    return;
  struct notice *notice = find_flying(notifier, from, wire_get_u16(message));
  if (!notice)
    return;
  struct tsig tsig;
  /* an error that is not signed may be anybody's: the peer is asked again, and given up in the end */
  if (notice->key &&
      tsig_verify_reply(notice->key, &notice->mac, message, size, (uint64_t)time(NULL), &tsig) != TSIG_GOOD) {
    log_notice(notice, "the answer is not signed well");
    return;
  }
  end_notice(notifier, notice);
  if ((message[3] & 15) == RCODE_NOERROR) {
    count(&notifier->counts.answered);
    return;
  }
  char what[40];
  snprintf(what, sizeof what, "answered by rcode %u", message[3] & 15u);
  log_notice(notice, what);
  count(&notifier->counts.rejected);
}

static void receive(struct notifier *notifier, int fd) {
  uint8_t message[WIRE_HEADER_SIZE + 4096];
  for (unsigned i = 0; i < RECEIVE_MOST; i++) {
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    ssize_t size = recvfrom(fd, message, sizeof message, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    if (size < 0 && errno == ECONNREFUSED)
      continue;
    if (size < 0)
      return;
    struct addr addr = {0};
    if (addr_from_sockaddr((struct sockaddr *)&from, &addr) == STATUS_OK)
      take_answer(notifier, message, (size_t)size, &addr);
  }
}

static void *run(void *context) {
  struct notifier *notifier = context;
  struct pollfd waits[3] = {{.fd = notifier->wake, .events = POLLIN},
                            {.fd = notifier->ipv4, .events = POLLIN},
                            {.fd = notifier->ipv6, .events = POLLIN}};
  for (;;) {
    pthread_mutex_lock(&notifier->lock);
    bool is_stopping = notifier->is_stopping;
    int wait_ms = send_due(notifier, mono_now_ms());
    pthread_mutex_unlock(&notifier->lock);
    if (is_stopping)
      return NULL;
    if (poll(waits, 3, wait_ms) <= 0)
      continue;
    eventfd_t ignored;
    if (waits[0].revents)
      eventfd_read(notifier->wake, &ignored);
    pthread_mutex_lock(&notifier->lock);
    for (int i = 1; i < 3; i++)
      if (waits[i].revents)
        receive(notifier, waits[i].fd);
    pthread_mutex_unlock(&notifier->lock);
  }
}

static void free_notifier(struct notifier *notifier) {
  for (size_t i = 0; i < notifier->count; i++)
    free_notice(notifier->notices[i]);
  free(notifier->notices);
  const int fds[] = {notifier->ipv4, notifier->ipv6, notifier->wake};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (fds[i] >= 0)
      close(fds[i]);
  pthread_mutex_destroy(&notifier->lock);
  free(notifier);
}

struct notifier *notifier_new(int64_t repeat_ms, struct errbuf *err) {
  struct notifier *notifier = mem_alloc(sizeof *notifier);
  notifier->repeat_ms = repeat_ms;
  pthread_mutex_init(&notifier->lock, NULL);
  TAILQ_INIT(&notifier->waiting);
  TAILQ_INIT(&notifier->flying);
  notifier->ipv4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  notifier->ipv6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  notifier->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int failure = notifier->wake < 0 || (notifier->ipv4 < 0 && notifier->ipv6 < 0) ? errno : 0;
  if (!failure)
    failure = pthread_create(&notifier->thread, NULL, run, notifier);
  if (!failure)
    return notifier;
  errbuf_set(err, STATUS_IO, "NOTIFY: %s", strerror(failure));
  free_notifier(notifier);
  return NULL;
}

void notifier_free(struct notifier *notifier) {
  if (!notifier)
    return;
  pthread_mutex_lock(&notifier->lock);
  notifier->is_stopping = true;
  pthread_mutex_unlock(&notifier->lock);
  eventfd_write(notifier->wake, 1);
  pthread_join(notifier->thread, NULL);
  free_notifier(notifier);
}

const struct notifier_counts *notifier_counts(const struct notifier *notifier) {
  return &notifier->counts;
}
