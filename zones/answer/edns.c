#include "zones/answer/edns.h"

#include <time.h>
#include <urcu-qsbr.h>

#include "zones/message/cookie.h"

#define OPT_SIZE 11u
#define OPTION_HEAD_SIZE 4u

static bool gives_cookie(const struct reply *reply) {
  return reply->query->cookie_size && rcu_dereference(reply->book->cookies) != NULL;
}

/* Not for family 0, which says "no network" and which some readers of replies do not know. */
static bool gives_subnet(const struct reply *reply) {
  return reply->query->has_subnet && reply->query->subnet.family && reply->query->rcode == RCODE_NOERROR;
}

static bool gives_keepalive(const struct reply *reply) {
  return reply->query->wants_keepalive && !reply->client->is_udp;
}

size_t edns_size(const struct reply *reply) {
  const struct query *query = reply->query;
  if (!query->has_edns)
    return 0;
  size_t size = OPT_SIZE;
  if (!query->has_options || query->edns_version != 0)
    return size;
  if (query->wants_nsid && reply->book->nsid)
    size += OPTION_HEAD_SIZE + reply->book->nsid_size;
  if (gives_subnet(reply))
    size += OPTION_HEAD_SIZE + subnet_size(&query->subnet);
  if (gives_cookie(reply))
    size += OPTION_HEAD_SIZE + COOKIE_SIZE;
  if (gives_keepalive(reply))
    size += OPTION_HEAD_SIZE + 2;
  return size;
}

static uint8_t *take_option(struct writer *writer, uint16_t code, size_t size) {
  uint8_t *at = writer_take(writer, OPTION_HEAD_SIZE + size);
  if (!at)
    return NULL;
  wire_set_u16(at, code);
  wire_set_u16(at + 2, (uint16_t)size);
  return at + OPTION_HEAD_SIZE;
}

static void put_subnet(struct reply *reply) {
  const struct subnet *subnet = &reply->query->subnet;
  uint8_t *at = take_option(&reply->writer, OPTION_SUBNET, subnet_size(subnet));
  if (at)
    subnet_write(subnet, reply->scope_bits, at);
}

static void put_cookie(struct reply *reply) {
  uint8_t *at = take_option(&reply->writer, OPTION_COOKIE, COOKIE_SIZE);
  if (at)
    cookie_make(rcu_dereference(reply->book->cookies), reply->query->cookie, &reply->client->addr, (uint32_t)time(NULL),
                at);
}

static void put_options(struct reply *reply) {
  const struct query *query = reply->query;
  if (query->wants_nsid && reply->book->nsid) {
    uint8_t *at = take_option(&reply->writer, OPTION_NSID, reply->book->nsid_size);
    if (at)
      memcpy(at, reply->book->nsid, reply->book->nsid_size);
  }
  if (gives_subnet(reply))
    put_subnet(reply);
  if (gives_cookie(reply))
    put_cookie(reply);
  if (gives_keepalive(reply)) { /* RFC 7828: units of 100 ms */
    uint8_t *at = take_option(&reply->writer, OPTION_KEEPALIVE, 2);
    if (at)
      wire_set_u16(at, reply->book->keepalive);
  }
}

static void put_error(struct reply *reply) {
  if (reply->writer.limit - reply->writer.used < OPTION_HEAD_SIZE + 2)
    return;
  uint8_t *at = take_option(&reply->writer, OPTION_ERROR, 2);
  wire_set_u16(at, (uint16_t)reply->error);
}

void edns_put(struct reply *reply) {
  uint8_t *at = writer_take(&reply->writer, OPT_SIZE);
  if (!at)
    return;
  *at = 0;
  wire_set_u16(at + 1, TYPE_OPT);
  wire_set_u16(at + 3, reply->answerer->udp_payload);
  at[5] = (uint8_t)(reply->rcode >> 4);
  at[6] = 0; /* the version that we speak */
  wire_set_u16(at + 7, reply->query->do_bit ? 0x8000 : 0);
  size_t start = reply->writer.used;
  if (reply->query->edns_version == 0) {
    if (reply->query->has_options)
      put_options(reply);
    if (reply->error != ERROR_NONE)
      put_error(reply);
  }
  wire_set_u16(at + 9, (uint16_t)(reply->writer.used - start));
  reply->counts[SECTION_ADDITIONAL]++;
}
