#include "zones/answer/answer.h"

#include <time.h>
#include <urcu-qsbr.h>

#include "zones/answer/balanced.h"
#include "zones/answer/chaos.h"
#include "zones/answer/edns.h"
#include "zones/answer/listed.h"
#include "zones/answer/notified.h"
#include "zones/answer/reply.h"
#include "zones/image/find.h"
#include "zones/message/cookie.h"
#include "zones/message/tsig.h"
#include "zones/tables/record.h"
#include "zones/tables/registered.h"
#include "zones/transfer/transfer_answer.h"

#define CHAIN_MOST 16u /* CNAME and DNAME steps followed in one answer */

struct chain { /* the nodes passed by CNAME, so that a chain that bites its tail ends */
  const struct image_node *seen[CHAIN_MOST];
  struct registered made[CHAIN_MOST]; /* one a step, where the name is none of the image's */
  unsigned length;
};

/* RFC 8482 section 4.1: one RRset stands for all. */
static bool answer_any(struct reply *reply, const struct image_node *node, const struct table *table) {
  const struct image_rrset *rrset = image_node_rrsets(node);
  for (uint16_t i = 0; i < node->rrset_count; i++, rrset = image_rrset_next(rrset)) {
    if (rrset->type == TYPE_DS && (node->flags & IMAGE_APEX))
      continue; /* the parent's */
    reply_require_rrset(reply, rrset, reply->name_at, SECTION_ANSWER);
    return true;
  }
  static const uint16_t types[] = {TYPE_A, TYPE_AAAA, TYPE_SRV, TYPE_MX, TYPE_CNAME};
  for (size_t i = 0; table && i < sizeof types / sizeof types[0]; i++)
    if (balanced_answer(reply, node, table, types[i]))
      return true;
  return false;
}

/* Goes on with the name in the data of the record that stands at an offset of the message. */
static bool go_on_at(struct reply *reply, size_t record_at) {
  if (reply->is_truncated || record_at + RECORD_HEAD_SIZE > WIRE_POINTER_MOST)
    return false;
  reply->name_at = (uint16_t)(record_at + RECORD_HEAD_SIZE);
  if (!reply_read_back(reply, reply->name_at, &reply->followed))
    return false;
  reply->name = &reply->followed;
  reply->hash = name_hash(reply->followed.wire, reply->followed.size);
  return true;
}

static bool follow_cname(struct reply *reply, const struct image_rrset *cname) {
  size_t start = reply->writer.used;
  reply_require_rrset(reply, cname, reply->name_at, SECTION_ANSWER);
  return go_on_at(reply, start);
}

static bool follow_alias(struct reply *reply, const struct image_node *node, const struct table *table) {
  size_t start = reply->writer.used;
  if (!balanced_answer(reply, node, table, TYPE_CNAME)) {
    reply_put_negative(reply, balanced_negative_ttl(node, table, reply->query->type));
    return false;
  }
  return go_on_at(reply, start);
}

/* RFC 6672 section 3.1: the DNAME itself, and a CNAME made from it. */
static bool follow_dname(struct reply *reply, const struct image_node *node) {
  const struct image_rrset *dname = image_find_rrset(node, TYPE_DNAME);
  size_t prefix = (size_t)(reply->name->size - node->name_size);
  reply_require_rrset(reply, dname, (uint16_t)(reply->name_at + prefix), SECTION_ANSWER);
  if (reply->is_truncated)
    return false;
  const uint8_t *suffix = image_rrset_data(dname) + RECORD_HEAD_SIZE;
  size_t suffix_size = name_size(suffix), size = prefix + suffix_size;
  if (size > NAME_SIZE_MOST) {
    reply->rcode = RCODE_YXDOMAIN;
    return false;
  }
  size_t start = reply->writer.used;
  uint8_t *at = writer_take(&reply->writer, RECORD_HEAD_SIZE + size);
  if (!at) {
    reply->is_truncated = true;
    return false;
  }
  wire_set_u16(at, 0xc000 | reply->name_at);
  wire_set_u16(at + 2, TYPE_CNAME);
  wire_set_u16(at + 4, CLASS_IN);
  wire_set_u32(at + 6, image_rrset_ttl(dname));
  wire_set_u16(at + 10, (uint16_t)size);
  memcpy(at + RECORD_HEAD_SIZE, reply->name->wire, prefix);
  memcpy(at + RECORD_HEAD_SIZE + prefix, suffix, suffix_size);
  reply->counts[SECTION_ANSWER]++;
  return go_on_at(reply, start);
}

static void refer(struct reply *reply, const struct image_node *cut) {
  const struct image_rrset *ns = image_find_rrset(cut, TYPE_NS);
  uint16_t owner_at = (uint16_t)(reply->name_at + reply->name->size - cut->name_size);
  if (reply->counts[SECTION_ANSWER] == 0)
    reply->is_authoritative = false;
  reply_require_rrset(reply, ns, owner_at, SECTION_AUTHORITY);
}

static inline void answer_node(struct reply *reply, const struct image_node *node, const struct table *table) {
  uint16_t type = reply->query->type;
  if (type == TYPE_ANY) {
    if (!answer_any(reply, node, table) && !listed_answer(reply, type))
      reply_put_negative(reply, listed_negative_ttl(reply));
    return;
  }
  if (table && balanced_answer(reply, node, table, type))
    return;
  const struct image_rrset *rrset = image_find_rrset(node, type);
  if (rrset)
    reply_require_rrset(reply, rrset, reply->name_at, SECTION_ANSWER);
  else if (!listed_answer(reply, type))
    reply_put_negative(reply, table ? balanced_negative_ttl(node, table, type) : listed_negative_ttl(reply));
}

static const struct image_node *find_named(const struct reply *reply) {
  return find_node(&reply->book->image, reply->name->wire, reply->name->size, reply->hash);
}

static void enter_zone(struct reply *reply, const struct image_zone *zone) {
  if (reply->zone == zone)
    return;
  reply->zone = zone;
  reply->apex_at = (uint16_t)(reply->name_at + reply->name->size - zone->name_size);
}

/* What stands at the name: follows an alias and returns true to go on, or answers. */
static bool answer_or_follow(struct reply *reply, const struct image_node *node) {
  uint16_t type = reply->query->type;
  bool may_follow = type != TYPE_CNAME && type != TYPE_ANY;
  const struct table *table = balanced_table(reply, node);
  if (may_follow && table && balanced_is_alias(node, table))
    return follow_alias(reply, node, table);
  if (may_follow && (node->flags & IMAGE_CNAME)) {
    /* what stands beside a CNAME by right (RRSIG, NSEC) is answered as itself */
    const struct image_rrset *cname = image_find_rrset(node, TYPE_CNAME);
    if (cname && !image_find_rrset(node, type))
      return follow_cname(reply, cname);
  }
  answer_node(reply, node, table);
  return false;
}

static void end_outside(struct reply *reply, bool is_first) {
  if (!is_first)
    return; /* the resolver goes on from the alias by itself */
  reply->rcode = RCODE_REFUSED;
  reply->error = ERROR_NOT_AUTHORITATIVE;
  reply->is_authoritative = false;
}

static bool pass(struct chain *chain, const struct image_node *node) {
  for (unsigned i = 0; i < chain->length; i++)
    if (chain->seen[i] == node)
      return false;
  chain->seen[chain->length++] = node;
  return true;
}

/* Names that come and go with registrations, and listed ones, where the image has no such name. Returns how long the
 * absence may be kept when there is none. */
static uint32_t find_beyond_image(struct reply *reply, struct chain *chain, struct find_result *found) {
  const struct book *book = reply->book;
  const struct name *name = reply->name;
  struct registered *made = &chain->made[chain->length];
  uint32_t ttl_most_s = UINT32_MAX;
  switch (registered_find(book, found, name->wire, name->size, made)) {
  case REGISTERED_ABSENT:
    found->kind = FIND_ABSENT;
    found->node = NULL;
    ttl_most_s = made->table->ttl_s;
    break;
  case REGISTERED_NAME:
    found->kind = FIND_NAME;
    found->node = &made->node;
    reply->made = made;
    return ttl_most_s;
  case REGISTERED_FOREIGN:
    break;
  }
  const struct listing *listing = rcu_dereference(book->listing);
  if (listing_find(listing, name->wire, name->size)) {
    *made = (struct registered){.node = {.zone = found->encloser->zone, .service = IMAGE_NONE, .name_size = 1}};
    found->kind = FIND_NAME;
    found->node = &made->node;
    reply->made = made;
  } else if (found->kind == FIND_NAME &&
             listing_has_above(listing, name->wire, name->size, found->encloser->name_size)) {
    found->kind = FIND_ABSENT; /* RFC 4592 section 2.2.1: the closest encloser is a listed name */
    found->node = NULL;
  }
  return ttl_most_s;
}

/* One step of the chain, from the name's own node or NULL; true to take another for the name that it led to. */
static bool take_step(struct reply *reply, const struct image_node *node, struct chain *chain, bool is_first) {
  struct find_result found;
  find_from(&reply->book->image, node, reply->name->wire, reply->name->size, reply->query->type, &found);
  if (found.kind == FIND_OUTSIDE) {
    end_outside(reply, is_first);
    return false;
  }
  enter_zone(reply, found.zone);
  if (!found.zone->soa) { /* a secondary zone of which there is no copy */
    reply->rcode = RCODE_SERVFAIL;
    reply->error = ERROR_NOT_READY;
    reply->is_authoritative = false;
    return false;
  }
  reply->made = NULL;
  uint32_t ttl_most_s = found.encloser ? find_beyond_image(reply, chain, &found) : UINT32_MAX;
  reply->node = found.node;
  switch (found.kind) {
  case FIND_DELEGATION:
    refer(reply, found.node);
    return false;
  case FIND_DNAME:
    return follow_dname(reply, found.node);
  case FIND_NAME:
    return pass(chain, found.node) && answer_or_follow(reply, found.node);
  default:
    reply->rcode = RCODE_NXDOMAIN;
    reply_put_negative(reply, ttl_most_s);
    return false;
  }
}

/* Not inlined, since the chain is large and few names have one. */
static __attribute__((noinline)) void follow_chain(struct reply *reply, const struct image_node *node) {
  struct chain chain;
  chain.length = 0;
  for (unsigned step = 0; step < CHAIN_MOST && take_step(reply, node, &chain, step == 0); step++)
    node = find_named(reply);
}

/* Most names are in the image, and nothing but the name itself decides about them. False: others do, and nothing is
 * done. */
static bool answer_plain(struct reply *reply, const struct image_node *node) {
  const struct image_zone *zone = image_zone(&reply->book->image, node->zone);
  const struct table *table = balanced_table(reply, node);
  if ((node->flags & (IMAGE_LINKED | IMAGE_CNAME)) || reply->query->type == TYPE_DS || !zone->soa ||
      (table && table->is_alias))
    return false;
  enter_zone(reply, zone);
  reply->node = node;
  answer_node(reply, node, table);
  return true;
}

static void look_up(struct reply *reply) {
  const struct image_node *node = find_named(reply);
  reply->is_authoritative = true;
  if (!node || !answer_plain(reply, node))
    follow_chain(reply, node);
}

/* The addresses of a target that is no node. */
static const struct table_row *target_row(const struct reply_target *target, uint16_t type) {
  if (target->kind == TARGET_LISTED) {
    const struct listing_set *set = listing_set(target->at, type);
    return set ? &set->row : NULL;
  }
  const struct table_target *member = target->at;
  const struct table_row *row = type == TYPE_A ? &member->a : &member->aaaa;
  return row->count ? row : NULL;
}

static void add_address(struct reply *reply, const struct reply_target *target, uint16_t type) {
  if (target->kind != TARGET_NODE) {
    const struct table_row *row = target_row(target, type);
    if (row)
      reply_put_row(reply, row, target->name_at, SECTION_ADDITIONAL);
    return;
  }
  const struct image_node *node = target->at;
  const struct table *table = balanced_table(reply, node);
  if (table && !(node->flags & IMAGE_SRV) && balanced_add_address(reply, table, target, type))
    return;
  const struct image_rrset *rrset = image_find_rrset(node, type);
  if (!rrset || reply_put_rrset(reply, rrset, target->name_at, SECTION_ADDITIONAL))
    return;
  /* a referral without the glue that it hangs on is worse than one more round trip (RFC 9471) */
  if ((node->flags & IMAGE_BELOW_CUT) && reply->counts[SECTION_ANSWER] == 0)
    reply->is_truncated = true;
}

static void add_addresses(struct reply *reply) {
  uint32_t count = reply->target_count; /* addresses have no targets of their own */
  for (uint32_t i = 0; i < count && !reply->is_truncated; i++) {
    add_address(reply, &reply->targets[i], TYPE_A);
    add_address(reply, &reply->targets[i], TYPE_AAAA);
  }
}

static void put_header(struct reply *reply) {
  const struct query *query = reply->query;
  uint8_t *at = reply->writer.base;
  uint16_t flags = FLAG_QR | (query->flags & (FLAG_OPCODE | FLAG_RD | FLAG_CD)) | (reply->rcode & 15);
  if (reply->is_authoritative)
    flags |= FLAG_AA;
  if (reply->is_truncated)
    flags |= FLAG_TC;
  memcpy(at, query->packet, 2);
  wire_set_u16(at + 2, flags);
  wire_set_u16(at + 4, query->has_question);
  for (int i = 0; i < SECTIONS; i++)
    wire_set_u16(at + 6 + 2 * i, reply->counts[i]);
}

static void count_reply(const struct reply *reply) {
  static const uint8_t counters[] = {
      [RCODE_NOERROR] = BOARD_NOERROR,   [RCODE_FORMERR] = BOARD_FORMERR, [RCODE_SERVFAIL] = BOARD_SERVFAIL,
      [RCODE_NXDOMAIN] = BOARD_NXDOMAIN, [RCODE_NOTIMP] = BOARD_NOTIMP,   [RCODE_REFUSED] = BOARD_REFUSED,
      [RCODE_NOTAUTH] = BOARD_NOTAUTH,   [RCODE_BADVERS] = BOARD_BADVERS,
  };
  struct board_worker *board = reply->answerer->board;
  if (reply->rcode < sizeof counters && counters[reply->rcode])
    board_count(board, counters[reply->rcode]);
  if (reply->is_truncated)
    board_count(board, BOARD_TRUNCATED);
}

static size_t message_limit(const struct answerer *answerer, const struct query *query, const struct client *client,
                            size_t room) {
  if (!client->is_udp)
    return room;
  size_t limit = query->has_edns ? query->edns_payload : 512;
  if (limit > answerer->udp_payload)
    limit = answerer->udp_payload;
  return limit < room ? limit : room;
}

/* What a client may not flood us for, and by which name (zones/answer/rrl). */
static enum rrl_kind limit_kind(const struct reply *reply, uint64_t *limited) {
  const uint8_t *base = reply->book->image.base;
  *limited = reply->zone ? (uint64_t)((const uint8_t *)reply->zone - base) : 0;
  if (reply->rcode == RCODE_NXDOMAIN)
    return RRL_NXDOMAIN;
  if (reply->rcode != RCODE_NOERROR || !reply->zone)
    return RRL_ERROR;
  if (!reply->is_authoritative)
    return RRL_REFERRAL;
  /* by node: all names that a wildcard makes count as one */
  if (reply->made)
    *limited = reply->hash;
  else if (reply->node)
    *limited = (uint64_t)((const uint8_t *)reply->node - base);
  return reply->counts[SECTION_ANSWER] ? RRL_ANSWER : RRL_NODATA;
}

static enum rrl_verdict judge_rate(const struct reply *reply) {
  struct rrl *rrl = reply->answerer->rrl;
  if (!rrl || !reply->client->is_udp || reply->is_cookie_valid)
    return RRL_SEND;
  uint64_t limited;
  enum rrl_kind kind = limit_kind(reply, &limited);
  return rrl_judge(rrl, &reply->client->addr, kind, limited, reply->answerer->now_ms);
}

/* An IXFR over UDP is answered by the apex' SOA alone: current or not, the client then knows what to do (RFC 1995
 * section 4). */
static void answer_ixfr(struct reply *reply, const struct tsig_key *key) {
  struct transfer_zone zone;
  reply->rcode = transfer_authorize(reply->book, &reply->query->name, &reply->client->addr, key, &zone);
  if (reply->rcode != RCODE_NOERROR) {
    reply->error = ERROR_PROHIBITED;
    return;
  }
  const struct image *image = &reply->book->image;
  const struct query *query = reply->query;
  const struct image_node *apex = find_node(image, query->name.wire, query->name.size, query->hash);
  reply->is_authoritative = true;
  reply->zone = image_zone(image, apex->zone);
  reply->apex_at = reply->name_at;
  reply_require_rrset(reply, image_find_rrset(apex, TYPE_SOA), reply->name_at, SECTION_ANSWER);
}

static void answer_question(struct reply *reply, const struct tsig_key *key) {
  const struct query *query = reply->query;
  if (query->type == TYPE_IXFR && query->rcode == RCODE_REFUSED && reply->client->is_udp)
    answer_ixfr(reply, key);
  if (reply->rcode != RCODE_NOERROR || query->type == TYPE_IXFR)
    return;
  if (query->is_notify)
    notified_answer(reply, key);
  else if (query->class == CLASS_CH)
    chaos_answer(reply);
  else
    look_up(reply);
  if (reply->target_count && !reply->is_truncated)
    add_addresses(reply);
}

static bool has_valid_cookie(const struct book *book, const struct query *query, const struct client *client) {
  const struct cookie_secrets *cookies = rcu_dereference(book->cookies);
  return cookies && cookie_is_valid(cookies, query->cookie, query->cookie_size, &client->addr, (uint32_t)time(NULL));
}

static void init_reply(struct reply *reply, struct answerer *answerer, const struct book *book,
                       const struct query *query, const struct client *client) {
  reply->answerer = answerer;
  reply->book = book;
  reply->query = query;
  reply->client = client;
  reply->rcode = query->rcode;
  reply->is_authoritative = reply->is_truncated = false;
  reply->is_cookie_valid = query->cookie_size > COOKIE_CLIENT_SIZE && has_valid_cookie(book, query, client);
  reply->scope_bits = 0;
  reply->error = ERROR_NONE;
  reply->name = &query->name;
  reply->hash = query->hash;
  reply->name_at = WIRE_HEADER_SIZE;
  reply->zone = NULL;
  reply->node = NULL;
  reply->made = NULL;
  reply->apex_at = 0;
}

/* Everything but a signature; returns the size so far, or 0 for silence. room: what the whole reply may take. */
static size_t answer(struct reply *reply, size_t room, const struct tsig_key *key) {
  const struct query *query = reply->query;
  reply->writer.limit = query->has_edns ? room - edns_size(reply) : room;
  reply_clear(reply);
  wire_copy(reply->writer.base + WIRE_HEADER_SIZE, query->packet + WIRE_HEADER_SIZE, query->question_size);
  answer_question(reply, key);
  enum rrl_verdict verdict = judge_rate(reply);
  if (verdict == RRL_DROP) {
    board_count(reply->answerer->board, BOARD_LIMITED_DROPPED);
    return 0;
  }
  if (verdict == RRL_SLIP) {
    board_count(reply->answerer->board, BOARD_LIMITED_SLIPPED);
    reply->is_truncated = true;
  }
  if (reply->is_truncated) /* nothing partial: the client asks again over TCP */
    reply_clear(reply);
  reply->writer.limit = room;
  reply->writer.failed = false;
  if (query->has_edns)
    edns_put(reply);
  put_header(reply);
  count_reply(reply);
  return reply->writer.used;
}

/* Not inlined, since a tsig is large and few queries have one. */
static __attribute__((noinline)) size_t answer_signed(struct reply *reply, size_t room) {
  const struct query *query = reply->query;
  struct tsig tsig;
  tsig.verdict = TSIG_NONE;
  uint64_t now_s = (uint64_t)time(NULL);
  if (query->rcode != RCODE_FORMERR &&
      tsig_verify(reply->book->keys, query->packet, query->size, now_s, &tsig) != TSIG_GOOD)
    reply->rcode = tsig_rcode(tsig.verdict);
  size_t size = answer(reply, room - tsig_reply_size(&tsig), tsig.verdict == TSIG_GOOD ? tsig.key : NULL);
  return size ? tsig_sign_reply(&tsig, reply->writer.base, size, room, now_s) : 0;
}

size_t answer_query(struct answerer *answerer, const struct book *book, const struct query *query,
                    const struct client *client, uint8_t *out, size_t room) {
  struct reply reply;
  init_reply(&reply, answerer, book, query, client);
  reply.writer.base = out;
  size_t limit = message_limit(answerer, query, client, room);
  return query->tsig_at ? answer_signed(&reply, limit) : answer(&reply, limit, NULL);
}
