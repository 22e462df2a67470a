#include "zones/answer.h"

#include <urcu-qsbr.h>

#include "zones/find.h"
#include "zones/wire.h"

#define CHAIN_MOST 16u   /* CNAME and DNAME steps followed in one answer */
#define TARGETS_MOST 64u /* names whose addresses go into the additional section */
#define OPT_SIZE 11u
#define RECORD_HEAD_SIZE 12u
#define RCODE_YXDOMAIN 6u /* RFC 6672 section 2.2 */

enum section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL, SECTIONS };

struct target { /* a name in the message whose addresses are wanted */
  const struct image_node *node;
  uint16_t name_at;
};

struct reply {
  struct answerer *answerer;
  const struct book *book;
  const struct query *query;
  struct writer writer;
  uint16_t counts[SECTIONS];
  uint16_t rcode;
  bool is_authoritative;
  bool is_truncated;
  /* the name being looked up, and where in the message it stands */
  struct name name;
  uint16_t name_at;
  const struct image_zone *zone;
  uint16_t apex_at; /* where the zone's name stands in the message */
  uint32_t target_count;
  struct target targets[TARGETS_MOST];
};

static void note_target(struct reply *reply, const struct image_node *node, size_t name_at) {
  if (reply->target_count == TARGETS_MOST || name_at > WIRE_POINTER_MOST)
    return;
  for (uint32_t i = 0; i < reply->target_count; i++)
    if (reply->targets[i].node == node)
      return;
  reply->targets[reply->target_count++] = (struct target){.node = node, .name_at = (uint16_t)name_at};
}

/* Copies a whole RRset, or nothing and returns false. */
static bool put_rrset(struct reply *reply, const struct image_rrset *rrset, uint16_t owner_at, enum section section) {
  size_t start = reply->writer.used;
  if (reply->writer.limit - start < rrset->data_size)
    return false;
  uint8_t *at = writer_take(&reply->writer, rrset->data_size);
  memcpy(at, image_rrset_data(rrset), rrset->data_size);
  const struct image_patch *patches = image_rrset_patches(rrset);
  for (uint16_t i = 0; i < rrset->patch_count; i++)
    wire_set_u16(at + patches[i].at, 0xc000 | (patches[i].is_apex ? reply->apex_at : owner_at));
  const struct image_target *targets = image_rrset_targets(rrset);
  for (uint16_t i = 0; i < rrset->target_count; i++)
    note_target(reply, image_node(&reply->book->image, (uint64_t)targets[i].node * 8), start + targets[i].at);
  reply->counts[section] += rrset->record_count;
  return true;
}

/* As put_rrset for what the answer cannot do without. */
static void require_rrset(struct reply *reply, const struct image_rrset *rrset, uint16_t owner_at,
                          enum section section) {
  if (!put_rrset(reply, rrset, owner_at, section))
    reply->is_truncated = true;
}

static void put_negative(struct reply *reply, uint32_t ttl_most_s) {
  const struct image_rrset *soa = image_rrset(&reply->book->image, reply->zone->soa);
  size_t start = reply->writer.used;
  require_rrset(reply, soa, reply->apex_at, SECTION_AUTHORITY);
  if (!reply->is_truncated && ttl_most_s < soa->ttl_s)
    wire_set_u32(reply->writer.base + start + 6, ttl_most_s);
}

static bool put_row(struct reply *reply, const struct table_row *row, uint16_t owner_at, enum section section) {
  if (reply->writer.limit - reply->writer.used < row->size)
    return false;
  uint8_t *at = writer_take(&reply->writer, row->size);
  memcpy(at, row->records, row->size);
  if (owner_at != WIRE_HEADER_SIZE)
    for (size_t offset = 0; offset < row->size; offset += RECORD_HEAD_SIZE + wire_get_u16(at + offset + 10))
      wire_set_u16(at + offset, 0xc000 | owner_at);
  reply->counts[section] += row->count;
  return true;
}

static const struct table *table_of(const struct reply *reply, const struct image_node *node) {
  return rcu_dereference(reply->book->tables[node->service]);
}

static const struct table_row *member_row(const struct reply *reply, const struct image_node *node, uint16_t type) {
  const struct table *table = table_of(reply, node);
  if (node->member >= table->target_count)
    return NULL;
  const struct table_target *target = &table->targets[node->member];
  const struct table_row *row = type == TYPE_A ? &target->a : &target->aaaa;
  return row->count ? row : NULL;
}

/* The set of a balanced node for a type; NULL when the type is none of its. */
static const struct table_set *balanced_set(const struct reply *reply, const struct image_node *node, uint16_t type) {
  const struct table *table = table_of(reply, node);
  if (node->flags & IMAGE_SRV)
    return type == TYPE_SRV ? &table->srv : NULL;
  if (type == TYPE_A)
    return &table->a;
  return type == TYPE_AAAA ? &table->aaaa : NULL;
}

static void note_srv_target(struct reply *reply, const struct table_row *row, size_t start) {
  const uint8_t *target = row->records + TABLE_SRV_TARGET_AT;
  const struct image_node *node = find_node(&reply->book->image, target, name_size(target));
  if (node)
    note_target(reply, node, start + TABLE_SRV_TARGET_AT);
}

/* Draws from the set and puts the drawn members' records; returns whether there were any to draw. */
static bool put_drawn(struct reply *reply, const struct image_node *node, const struct table_set *set,
                      uint16_t owner_at, enum section section) {
  struct answerer *answerer = reply->answerer;
  uint32_t drawn[TABLE_RECORDS_MOST];
  uint32_t *turn = &reply->book->turns[answerer->worker][node->service];
  uint32_t count = table_draw(set, &answerer->random, turn, drawn);
  uint32_t records = 0;
  size_t start = reply->writer.used;
  for (uint32_t i = 0; i < count; i++) {
    const struct table_row *row = &set->rows[drawn[i]];
    size_t row_at = reply->writer.used;
    records += row->count;
    if (records > TABLE_RECORDS_MOST && i > 0)
      break;
    if (!put_row(reply, row, owner_at, section)) {
      reply->writer.used = start; /* whole RRsets only */
      reply->counts[section] = 0;
      reply->target_count = 0;
      reply->is_truncated |= section == SECTION_ANSWER;
      return true;
    }
    if ((node->flags & IMAGE_SRV) && section == SECTION_ANSWER)
      note_srv_target(reply, row, row_at);
  }
  if (section == SECTION_ANSWER) {
    for (uint32_t i = 0; i < count; i++)
      if (set->rows[drawn[i]].slot < BOARD_SLOTS) {
        _Atomic uint64_t *counter = &answerer->answers[set->rows[drawn[i]].slot];
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
      }
    board_count(answerer->board, BOARD_ANSWERS_BALANCED);
  }
  return count > 0;
}

/* The balanced part of a node for one type; false when the node has none of it, so static data or NODATA follow. */
static bool answer_balanced(struct reply *reply, const struct image_node *node, uint16_t type) {
  if (node->flags & IMAGE_MEMBER) {
    const struct table_row *row = type == TYPE_A || type == TYPE_AAAA ? member_row(reply, node, type) : NULL;
    if (!row)
      return false;
    reply->is_truncated |= !put_row(reply, row, reply->name_at, SECTION_ANSWER);
    return true;
  }
  const struct table_set *set = balanced_set(reply, node, type);
  return set && put_drawn(reply, node, set, reply->name_at, SECTION_ANSWER);
}

/* RFC 8482 section 4.1: one RRset stands for all. */
static bool answer_any(struct reply *reply, const struct image_node *node) {
  const struct image_ref *refs = image_node_refs(node);
  for (uint16_t i = 0; i < node->rrset_count; i++) {
    if (refs[i].type == TYPE_DS && (node->flags & IMAGE_APEX))
      continue; /* the parent's */
    require_rrset(reply, image_rrset(&reply->book->image, (uint64_t)refs[i].rrset * 8), reply->name_at, SECTION_ANSWER);
    return true;
  }
  static const uint16_t types[] = {TYPE_A, TYPE_AAAA, TYPE_SRV};
  for (size_t i = 0; node->service != IMAGE_NONE && i < sizeof types / sizeof types[0]; i++)
    if (answer_balanced(reply, node, types[i]))
      return true;
  return false;
}

/* Reads the name at an offset of our own message, lower-cased, following pointers; bounded although we wrote it. */
static bool read_back(const struct reply *reply, size_t at, struct name *out) {
  const uint8_t *base = reply->writer.base;
  size_t used = 0;
  for (unsigned steps = 0; steps < 160 && at < reply->writer.used; steps++) {
    uint8_t length = base[at];
    if ((length & 0xc0) == 0xc0) {
      at = wire_get_u16(base + at) & WIRE_POINTER_MOST;
      continue;
    }
    if (used + length + 1u > NAME_SIZE_MOST)
      return false;
    out->wire[used++] = length;
    if (length == 0) {
      out->size = (uint8_t)used;
      return true;
    }
    for (uint8_t i = 1; i <= length; i++)
      out->wire[used++] = name_lower(base[at + i]);
    at += length + 1u;
  }
  return false;
}

static bool follow_cname(struct reply *reply, const struct image_rrset *cname) {
  size_t start = reply->writer.used;
  require_rrset(reply, cname, reply->name_at, SECTION_ANSWER);
  if (reply->is_truncated || start + RECORD_HEAD_SIZE > WIRE_POINTER_MOST)
    return false;
  reply->name_at = (uint16_t)(start + RECORD_HEAD_SIZE);
  return read_back(reply, reply->name_at, &reply->name);
}

/* RFC 6672 section 3.1: the DNAME itself, and a CNAME made from it. */
static bool follow_dname(struct reply *reply, const struct image_node *node) {
  const struct image_rrset *dname = image_find_rrset(&reply->book->image, node, TYPE_DNAME);
  size_t prefix = (size_t)(reply->name.size - node->name_size);
  require_rrset(reply, dname, (uint16_t)(reply->name_at + prefix), SECTION_ANSWER);
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
  wire_set_u32(at + 6, dname->ttl_s);
  wire_set_u16(at + 10, (uint16_t)size);
  memcpy(at + RECORD_HEAD_SIZE, reply->name.wire, prefix);
  memcpy(at + RECORD_HEAD_SIZE + prefix, suffix, suffix_size);
  reply->counts[SECTION_ANSWER]++;
  reply->name_at = (uint16_t)(start + RECORD_HEAD_SIZE);
  return read_back(reply, reply->name_at, &reply->name);
}

static void refer(struct reply *reply, const struct image_node *cut) {
  const struct image_rrset *ns = image_find_rrset(&reply->book->image, cut, TYPE_NS);
  uint16_t owner_at = (uint16_t)(reply->name_at + reply->name.size - cut->name_size);
  if (reply->counts[SECTION_ANSWER] == 0)
    reply->is_authoritative = false;
  require_rrset(reply, ns, owner_at, SECTION_AUTHORITY);
}

/* Whether a node that has no records of the type now may have balanced ones soon. */
static bool may_be_balanced(const struct image_node *node, uint16_t type) {
  if (node->service == IMAGE_NONE)
    return false;
  return node->flags & IMAGE_SRV ? type == TYPE_SRV : type == TYPE_A || type == TYPE_AAAA;
}

static void answer_node(struct reply *reply, const struct image_node *node) {
  uint16_t type = reply->query->type;
  if (type == TYPE_ANY) {
    if (!answer_any(reply, node))
      put_negative(reply, UINT32_MAX);
    return;
  }
  if (node->service != IMAGE_NONE && answer_balanced(reply, node, type))
    return;
  const struct image_rrset *rrset = image_find_rrset(&reply->book->image, node, type);
  if (rrset) {
    require_rrset(reply, rrset, reply->name_at, SECTION_ANSWER);
    return;
  }
  put_negative(reply, may_be_balanced(node, type) ? table_of(reply, node)->ttl_s : UINT32_MAX);
}

static void enter_zone(struct reply *reply, const struct image_zone *zone) {
  if (reply->zone == zone)
    return;
  reply->zone = zone;
  reply->apex_at = (uint16_t)(reply->name_at + reply->name.size - zone->name_size);
}

static void look_up(struct reply *reply) {
  const struct image *image = &reply->book->image;
  const struct image_node *seen[CHAIN_MOST];
  reply->is_authoritative = true;
  for (unsigned step = 0; step < CHAIN_MOST; step++) {
    struct find_result found;
    find_name(image, reply->name.wire, reply->name.size, reply->query->type, &found);
    if (found.kind == FIND_OUTSIDE) {
      if (step == 0) {
        reply->rcode = RCODE_REFUSED;
        reply->is_authoritative = false;
      }
      return;
    }
    enter_zone(reply, found.zone);
    if (found.kind == FIND_DELEGATION) {
      refer(reply, found.node);
      return;
    }
    if (found.kind == FIND_ABSENT) {
      reply->rcode = RCODE_NXDOMAIN;
      put_negative(reply, UINT32_MAX);
      return;
    }
    for (unsigned i = 0; i < step; i++)
      if (seen[i] == found.node && found.kind == FIND_NAME)
        return; /* the chain bites its tail */
    seen[step] = found.node;
    if (found.kind == FIND_DNAME) {
      if (!follow_dname(reply, found.node))
        return;
      continue;
    }
    bool is_alias =
        (found.node->flags & IMAGE_CNAME) && reply->query->type != TYPE_CNAME && reply->query->type != TYPE_ANY;
    const struct image_rrset *cname = is_alias ? image_find_rrset(image, found.node, TYPE_CNAME) : NULL;
    /* what stands beside a CNAME by right (RRSIG, NSEC) is answered as itself */
    if (!cname || image_find_rrset(image, found.node, reply->query->type)) {
      answer_node(reply, found.node);
      return;
    }
    if (!follow_cname(reply, cname))
      return;
  }
}

static void add_address(struct reply *reply, const struct target *target, uint16_t type) {
  const struct image_node *node = target->node;
  if (node->service != IMAGE_NONE && !(node->flags & IMAGE_SRV)) {
    if (node->flags & IMAGE_MEMBER) {
      const struct table_row *row = member_row(reply, node, type);
      if (row)
        put_row(reply, row, target->name_at, SECTION_ADDITIONAL);
    } else {
      const struct table_set *set = balanced_set(reply, node, type);
      uint32_t drawn[TABLE_RECORDS_MOST], turn = 0;
      uint32_t count = table_draw(set, &reply->answerer->random, &turn, drawn);
      for (uint32_t i = 0; i < count; i++)
        put_row(reply, &set->rows[drawn[i]], target->name_at, SECTION_ADDITIONAL);
    }
    return;
  }
  const struct image_rrset *rrset = image_find_rrset(&reply->book->image, node, type);
  if (!rrset || put_rrset(reply, rrset, target->name_at, SECTION_ADDITIONAL))
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

static void put_opt(struct reply *reply) {
  uint8_t *at = writer_take(&reply->writer, OPT_SIZE);
  if (!at)
    return;
  *at = 0;
  wire_set_u16(at + 1, TYPE_OPT);
  wire_set_u16(at + 3, reply->answerer->udp_payload);
  at[5] = (uint8_t)(reply->rcode >> 4);
  at[6] = 0; /* the version that we speak */
  wire_set_u16(at + 7, reply->query->do_bit ? 0x8000 : 0);
  wire_set_u16(at + 9, 0);
  reply->counts[SECTION_ADDITIONAL]++;
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
  };
  struct board_worker *board = reply->answerer->board;
  if (reply->rcode == RCODE_BADVERS)
    board_count(board, BOARD_BADVERS);
  else if (reply->rcode < sizeof counters)
    board_count(board, counters[reply->rcode]);
  if (reply->is_truncated)
    board_count(board, BOARD_TRUNCATED);
}

static size_t udp_limit(const struct answerer *answerer, const struct query *query, size_t room) {
  size_t limit = query->has_edns ? query->edns_payload : 512;
  if (limit > answerer->udp_payload)
    limit = answerer->udp_payload;
  return limit < room ? limit : room;
}

size_t answer_query(struct answerer *answerer, const struct book *book, const struct query *query, bool is_udp,
                    uint8_t *out, size_t room) {
  size_t limit = is_udp ? udp_limit(answerer, query, room) : room;
  struct reply reply;
  reply.answerer = answerer;
  reply.book = book;
  reply.query = query;
  reply.counts[0] = reply.counts[1] = reply.counts[2] = 0;
  reply.rcode = query->rcode;
  reply.is_authoritative = reply.is_truncated = false;
  reply.name_at = WIRE_HEADER_SIZE;
  reply.zone = NULL;
  reply.apex_at = 0;
  reply.target_count = 0;
  size_t fixed = WIRE_HEADER_SIZE + query->question_size;
  reply.writer = (struct writer){.base = out, .used = fixed, .limit = limit - (query->has_edns ? OPT_SIZE : 0)};
  memcpy(out + WIRE_HEADER_SIZE, query->packet + WIRE_HEADER_SIZE, query->question_size);

  if (query->rcode == RCODE_NOERROR) {
    reply.name = query->name;
    look_up(&reply);
    if (reply.target_count && !reply.is_truncated)
      add_addresses(&reply);
  }
  if (reply.is_truncated) { /* nothing partial: the client asks again over TCP */
    reply.writer.used = fixed;
    reply.counts[0] = reply.counts[1] = reply.counts[2] = 0;
  }
  reply.writer.limit = limit;
  reply.writer.failed = false;
  if (query->has_edns)
    put_opt(&reply);
  put_header(&reply);
  count_reply(&reply);
  return reply.writer.used;
}
