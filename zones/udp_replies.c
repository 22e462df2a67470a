#include "zones/udp_replies.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"

/* What every path carries unfragmented: 1,280 bytes less the IPv6 and UDP headers (RFC 9715). A datagram of a train
 * cannot be fragmented. */
#define TRAIN_DATAGRAM_MOST 1232u
#define TRAIN_BYTES_MOST 60000u /* of a train; one send takes less than 64 KiB */
#define SLOTS 64u               /* a power of two */
#define CONTROL_MOST 96u        /* of a query, and the size of a train's datagrams */

/* Where a batch of so many has no trains, since each client asks but once, the next few are not searched for any. */
#define TRAINS_SEEN_IN 8u
#define TRAINS_PAUSE 15u

struct train { /* replies of one size to one client; what is sent for it stands in out */
  uint32_t size;
  uint32_t count;
  uint32_t next; /* where the next of its replies stands */
};

struct udp_replies {
  int fd;
  bool may_segment;
  unsigned pause; /* batches to go before trains are searched for again */
  size_t payload;
  unsigned count, train_count;
  uint8_t slots[SLOTS]; /* by hash of client and size: a train's number and one; 0: none */
  uint8_t train_of[UDP_REPLIES_MOST];
  struct train trains[UDP_REPLIES_MOST];
  struct iovec made[UDP_REPLIES_MOST];    /* in the order of their queries */
  struct iovec ordered[UDP_REPLIES_MOST]; /* one train after the other */
  struct mmsghdr out[UDP_REPLIES_MOST];
  _Alignas(struct cmsghdr) uint8_t control[UDP_REPLIES_MOST][CONTROL_MOST];
  uint8_t *bytes; /* UDP_REPLIES_MOST of payload */
};

static bool knows_trains(int fd) {
  int size = 0;
  socklen_t length = sizeof size;
  return getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, &length) == 0;
}

struct udp_replies *udp_replies_new(int fd, size_t payload, bool may_segment) {
  struct udp_replies *replies = mem_alloc(sizeof *replies);
  replies->fd = fd;
  replies->may_segment = may_segment && knows_trains(fd);
  replies->payload = payload;
  replies->bytes = mem_array(UDP_REPLIES_MOST, payload);
  return replies;
}

void udp_replies_free(struct udp_replies *replies) {
  if (!replies)
    return;
  free(replies->bytes);
  free(replies);
}

uint8_t *udp_replies_room(struct udp_replies *replies) {
  return replies->bytes + replies->count * replies->payload;
}

/* Family and port, and the address of IPv4, are in the first eight bytes of a socket address. */
static unsigned slot_of(const struct msghdr *query, size_t size) {
  uint64_t client;
  memcpy(&client, query->msg_name, sizeof client);
  return (unsigned)((client + size) * 0x9e3779b97f4a7c15u >> 32) % SLOTS;
}

static bool takes(const struct udp_replies *replies, unsigned number, const struct msghdr *query, size_t size) {
  const struct train *train = &replies->trains[number];
  const struct msghdr *out = &replies->out[number].msg_hdr;
  return train->size == size && size * (train->count + 1) <= TRAIN_BYTES_MOST &&
         out->msg_namelen == query->msg_namelen && out->msg_controllen == query->msg_controllen &&
         memcmp(out->msg_name, query->msg_name, query->msg_namelen) == 0 &&
         (!query->msg_controllen || memcmp(out->msg_control, query->msg_control, query->msg_controllen) == 0);
}

static unsigned begin_train(struct udp_replies *replies, const struct msghdr *query, size_t size) {
  struct msghdr *out = &replies->out[replies->train_count].msg_hdr;
  out->msg_name = query->msg_name;
  out->msg_namelen = query->msg_namelen;
  out->msg_control = query->msg_control;
  out->msg_controllen = query->msg_controllen;
  replies->trains[replies->train_count] = (struct train){.size = (uint32_t)size};
  return replies->train_count++;
}

static unsigned train_for(struct udp_replies *replies, const struct msghdr *query, size_t size) {
  if (!replies->may_segment || replies->pause || size > TRAIN_DATAGRAM_MOST)
    return begin_train(replies, query, size);
  uint8_t *slot = &replies->slots[slot_of(query, size)];
  if (!*slot || !takes(replies, *slot - 1u, query, size))
    *slot = (uint8_t)(begin_train(replies, query, size) + 1);
  return *slot - 1u;
}

void udp_replies_add(struct udp_replies *replies, const struct msghdr *query, size_t size) {
  unsigned train = train_for(replies, query, size);
  replies->made[replies->count] = (struct iovec){.iov_base = udp_replies_room(replies), .iov_len = size};
  replies->train_of[replies->count++] = (uint8_t)train;
  replies->trains[train].count++;
}

/* The query's control data, which name the address to send from, and the size at which the kernel parts the train. */
static void put_segment_size(struct msghdr *out, uint8_t *control, const struct train *train) {
  size_t used = out->msg_controllen;
  if (used)
    memcpy(control, out->msg_control, used);
  struct cmsghdr *part = (struct cmsghdr *)(void *)(control + used);
  *part = (struct cmsghdr){.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(uint16_t))};
  uint16_t datagram = (uint16_t)train->size;
  memcpy(CMSG_DATA(part), &datagram, sizeof datagram);
  out->msg_control = control;
  out->msg_controllen = used + CMSG_SPACE(sizeof(uint16_t));
}

/* Where each train's replies stand one after the other. Trains of one are as they were made. */
static struct iovec *put_in_order(struct udp_replies *replies) {
  if (replies->train_count == replies->count)
    return replies->made;
  unsigned at = 0;
  for (unsigned i = 0; i < replies->train_count; i++) {
    replies->trains[i].next = at;
    at += replies->trains[i].count;
  }
  for (unsigned i = 0; i < replies->count; i++)
    replies->ordered[replies->trains[replies->train_of[i]].next++] = replies->made[i];
  return replies->ordered;
}

static void load_trains(struct udp_replies *replies, struct iovec *parts) {
  for (unsigned i = 0; i < replies->train_count; i++) {
    const struct train *train = &replies->trains[i];
    struct msghdr *out = &replies->out[i].msg_hdr;
    out->msg_iov = parts;
    out->msg_iovlen = train->count;
    if (train->count > 1)
      put_segment_size(out, replies->control[i], train);
    parts += train->count;
  }
}

/* Where a train cannot go, over a device that computes no checksums or a narrow one, its replies do so by themselves,
 * and so do all that follow. Returns how many were not taken. */
static unsigned send_parts(struct udp_replies *replies, const struct train *train, struct msghdr out) {
  out.msg_controllen -= CMSG_SPACE(sizeof(uint16_t)); /* the size, which is the last */
  out.msg_iovlen = 1;
  unsigned failed = 0;
  for (unsigned i = 0; i < train->count; i++, out.msg_iov++)
    failed += sendmsg(replies->fd, &out, MSG_DONTWAIT) < 0;
  if (failed < train->count) { /* so it was for the train */
    replies->may_segment = false;
    log_info("answers leave one by one: the kernel does not take them as a train");
  }
  return failed;
}

static bool is_refused_as_train(const struct train *train) {
  return train->count > 1 && (errno == EINVAL || errno == EIO || errno == EOPNOTSUPP || errno == EMSGSIZE);
}

static void plan_search(struct udp_replies *replies) {
  if (replies->pause)
    replies->pause--;
  else if (replies->count >= TRAINS_SEEN_IN && replies->train_count == replies->count)
    replies->pause = TRAINS_PAUSE;
}

unsigned udp_replies_send(struct udp_replies *replies) {
  load_trains(replies, put_in_order(replies));
  unsigned failed = 0;
  for (unsigned sent = 0; sent < replies->train_count;) {
    int done = sendmmsg(replies->fd, replies->out + sent, replies->train_count - sent, MSG_DONTWAIT);
    if (done > 0) {
      sent += (unsigned)done;
    } else if (errno != EINTR) { /* this one cannot be sent; the next may */
      const struct train *train = &replies->trains[sent];
      failed += is_refused_as_train(train) ? send_parts(replies, train, replies->out[sent].msg_hdr) : train->count;
      sent++;
    }
  }
  if (!replies->pause)
    memset(replies->slots, 0, sizeof replies->slots);
  plan_search(replies);
  replies->count = replies->train_count = 0;
  return failed;
}
