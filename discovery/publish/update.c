#include "discovery/publish/update.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ldns/ldns.h>

#include "discovery/mdns/ldns_record.h"
#include "gslb/base/clock.h"
#include "gslb/base/random.h"
#include "gslb/net/caller.h"

#define DATAGRAM_MOST 1232u /* avoids fragments on common paths */
#define REPEAT_MS 1000      /* the first time, then twice as long each time */
#define TRIES 3             /* over UDP */
#define RECORD_HEAD 10u
#define FUDGE_S 300
#define MESSAGE_MOST 65535u

struct update {
  const struct update_target *target;
  ldns_rr_list *prerequisites, *changes;
  size_t size;
};

struct exchange { /* one message and the answer to it */
  const struct update_target *target;
  const struct update_patience *patience;
  struct errbuf *err;
  struct caller caller;
  uint16_t id;
  ldns_pkt_opcode opcode;
  uint8_t *query;
  size_t query_size;
  ldns_rdf *mac; /* of the query; NULL: unsigned */
  ldns_pkt *reply;
  uint8_t message[MESSAGE_MOST];
};

struct update *update_new(const struct update_target *target) {
  struct update *update = mem_alloc(sizeof *update);
  update->target = target;
  update->prerequisites = ldns_rr_list_new();
  update->changes = ldns_rr_list_new();
  return update;
}

void update_free(struct update *update) {
  if (!update)
    return;
  ldns_rr_list_deep_free(update->prerequisites);
  ldns_rr_list_deep_free(update->changes);
  free(update);
}

static void push(struct update *update, ldns_rr_list *list, ldns_rr *record, size_t size) {
  ldns_rr_list_push_rr(list, record);
  update->size += size;
}

void update_require_no_set(struct update *update, const struct name *owner, uint16_t type) {
  push(update, update->prerequisites, ldns_record_make(owner, type, LDNS_RR_CLASS_NONE, 0, NULL, 0),
       owner->size + RECORD_HEAD);
}

void update_delete_set(struct update *update, const struct name *owner, uint16_t type) {
  push(update, update->changes, ldns_record_make(owner, type, LDNS_RR_CLASS_ANY, 0, NULL, 0),
       owner->size + RECORD_HEAD);
}

void update_delete(struct update *update, const struct directory_record *record) {
  push(update, update->changes,
       ldns_record_make(&record->owner, record->type, LDNS_RR_CLASS_NONE, 0, record->data, record->size),
       record->owner.size + RECORD_HEAD + record->size);
}

void update_add(struct update *update, const struct directory_record *record) {
  push(update, update->changes,
       ldns_record_make(&record->owner, record->type, LDNS_RR_CLASS_IN, record->ttl_s, record->data, record->size),
       record->owner.size + RECORD_HEAD + record->size);
}

size_t update_size(const struct update *update) {
  return update->size;
}

static const char *signature_error_name(uint16_t code) {
  switch (code) {
  case 16:
    return "BADSIG";
  case 17:
    return "BADKEY";
  case 18:
    return "BADTIME: compare the clocks";
  case 22:
    return "BADTRUNC";
  default:
    return NULL;
  }
}

static enum status check_signature(struct exchange *exchange, size_t size) {
  const struct config_key *key = exchange->target->key;
  ldns_rr *signature = ldns_pkt_tsig(exchange->reply);
  if (!signature)
    return errbuf_set(exchange->err, STATUS_FORBIDDEN, "the answer is not signed (code %d)",
                      (int)ldns_pkt_get_rcode(exchange->reply));
  ldns_rdf *error = ldns_rr_rdf(signature, 5);
  const char *name = error && ldns_rdf_size(error) == 2 ? signature_error_name(ldns_rdf2native_int16(error)) : NULL;
  if (name)
    return errbuf_set(exchange->err, STATUS_FORBIDDEN, "the server does not take our signature: %s", name);
  char *key_name = mem_format("%s.", key->name);
  bool is_right = ldns_pkt_tsig_verify(exchange->reply, exchange->message, size, key_name, key->secret, exchange->mac);
  free(key_name);
  return is_right ? STATUS_OK : errbuf_set(exchange->err, STATUS_FORBIDDEN, "the answer's signature is wrong");
}

/* Whether it may be our answer at all; others are passed over, as anybody may send them. */
static bool is_answer(const struct exchange *exchange, size_t size) {
  return size >= LDNS_HEADER_SIZE && LDNS_ID_WIRE(exchange->message) == exchange->id &&
         LDNS_QR_WIRE(exchange->message) && LDNS_OPCODE_WIRE(exchange->message) == exchange->opcode;
}

static enum status take_answer(struct exchange *exchange, size_t size) {
  if (ldns_wire2pkt(&exchange->reply, exchange->message, size) != LDNS_STATUS_OK) {
    exchange->reply = NULL;
    return errbuf_set(exchange->err, STATUS_INVALID, "the answer is malformed");
  }
  return exchange->target->key ? check_signature(exchange, size) : STATUS_OK;
}

static enum status try_udp(struct exchange *exchange, int64_t wait_ms) {
  int64_t until_ms = mono_now_ms() + wait_ms;
  if (send(exchange->caller.fd, exchange->query, exchange->query_size, MSG_NOSIGNAL) < 0)
    return errbuf_set(exchange->err, STATUS_IO, "send: %s", strerror(errno));
  for (;;) {
    enum status status = caller_wait(&exchange->caller, POLLIN, until_ms - mono_now_ms(), exchange->err);
    if (status != STATUS_OK)
      return status;
    ssize_t size = recv(exchange->caller.fd, exchange->message, sizeof exchange->message, MSG_DONTWAIT);
    if (size < 0 && errno != EAGAIN && errno != EINTR)
      return errbuf_set(exchange->err, STATUS_IO, "receive: %s", strerror(errno));
    if (size >= 0 && is_answer(exchange, (size_t)size))
      return take_answer(exchange, (size_t)size);
  }
}

static enum status open_caller(struct exchange *exchange, int type) {
  return caller_open(&exchange->caller, &exchange->target->server, type, exchange->patience->total_ms, exchange->err);
}

static enum status try_tcp(struct exchange *exchange) {
  uint8_t length[2];
  struct caller *caller = &exchange->caller;
  int64_t wait_ms = exchange->patience->total_ms;
  ldns_write_uint16(length, (uint16_t)exchange->query_size);
  enum status status = open_caller(exchange, SOCK_STREAM);
  if (status == STATUS_OK)
    status = caller_send(caller, length, sizeof length, wait_ms, exchange->err);
  if (status == STATUS_OK)
    status = caller_send(caller, exchange->query, exchange->query_size, wait_ms, exchange->err);
  if (status == STATUS_OK)
    status = caller_receive(caller, length, sizeof length, wait_ms, exchange->err);
  size_t size = status == STATUS_OK ? ldns_read_uint16(length) : 0;
  if (status == STATUS_OK)
    status = caller_receive(caller, exchange->message, size, wait_ms, exchange->err);
  caller_close(&exchange->caller);
  if (status != STATUS_OK)
    return status;
  return is_answer(exchange, size) ? take_answer(exchange, size)
                                   : errbuf_set(exchange->err, STATUS_INVALID, "the answer is to another message");
}

/* The query in wire form, signed. */
static enum status prepare(struct exchange *exchange, ldns_pkt *query) {
  const struct config_key *key = exchange->target->key;
  random_secret(&exchange->id, sizeof exchange->id);
  ldns_pkt_set_id(query, exchange->id);
  exchange->opcode = ldns_pkt_get_opcode(query);
  if (key && (key->algorithm == KEY_HMAC_SHA224 || key->algorithm == KEY_HMAC_SHA384))
    return errbuf_set(exchange->err, STATUS_INVALID, "key %s: updates cannot be signed with %s", key->name,
                      key_algorithm_name(key->algorithm));
  if (key) {
    char *name = mem_format("%s.", key->name), *algorithm = mem_format("%s.", key_algorithm_name(key->algorithm));
    ldns_status code = ldns_pkt_tsig_sign(query, name, key->secret, FUDGE_S, algorithm, NULL);
    free(algorithm);
    free(name);
    if (code != LDNS_STATUS_OK)
      return errbuf_set(exchange->err, STATUS_INVALID, "key %s cannot sign (%s): %s", key->name,
                        key_algorithm_name(key->algorithm), ldns_get_errorstr_by_id(code));
    exchange->mac = ldns_rr_rdf(ldns_pkt_tsig(query), 3);
  }
  ldns_status code = ldns_pkt2wire(&exchange->query, query, &exchange->query_size);
  if (code != LDNS_STATUS_OK || exchange->query_size > MESSAGE_MOST)
    return errbuf_set(exchange->err, STATUS_LIMIT, "the message does not fit: %s", ldns_get_errorstr_by_id(code));
  return STATUS_OK;
}

static enum status perform(struct exchange *exchange) {
  enum status status = STATUS_TIMEOUT;
  if (exchange->query_size <= DATAGRAM_MOST) {
    status = open_caller(exchange, SOCK_DGRAM);
    int64_t wait_ms = REPEAT_MS;
    if (status == STATUS_OK)
      status = STATUS_TIMEOUT;
    for (int i = 0; i < TRIES && status == STATUS_TIMEOUT && mono_now_ms() < exchange->caller.end_ms; i++, wait_ms *= 2)
      status = try_udp(exchange, wait_ms);
    caller_close(&exchange->caller);
    bool is_cut = status == STATUS_OK && ldns_pkt_tc(exchange->reply);
    bool is_final = status != STATUS_TIMEOUT && status != STATUS_OK && status != STATUS_IO;
    if (is_final || (status == STATUS_OK && !is_cut) || mono_now_ms() >= exchange->caller.end_ms)
      return status == STATUS_OK && is_cut ? errbuf_set(exchange->err, STATUS_TIMEOUT, "the answer is cut") : status;
    ldns_pkt_free(exchange->reply);
    exchange->reply = NULL;
  }
  return try_tcp(exchange);
}

/* Takes over the query; *reply is the caller's on success. */
static enum status converse(const struct update_target *target, ldns_pkt *query, const struct update_patience *patience,
                            ldns_pkt **reply, struct errbuf *err) {
  struct exchange *exchange = mem_alloc(sizeof *exchange);
  exchange->target = target;
  exchange->patience = patience;
  exchange->err = err;
  exchange->caller = (struct caller){.fd = -1,
                                     .cancel = patience->cancel,
                                     .end_ms = mono_now_ms() + patience->total_ms,
                                     .peer = "the server"};
  enum status status = prepare(exchange, query);
  if (status == STATUS_OK)
    status = perform(exchange);
  if (status == STATUS_OK)
    *reply = exchange->reply;
  else
    ldns_pkt_free(exchange->reply);
  ldns_pkt_free(query);
  free(exchange->query);
  free(exchange);
  return status;
}

static enum status judge_code(ldns_pkt_rcode code, struct errbuf *err) {
  const ldns_lookup_table *row = ldns_lookup_by_id(ldns_rcodes, code);
  const char *name = row ? row->name : "an unknown code";
  switch (code) {
  case LDNS_RCODE_NOERROR:
    return STATUS_OK;
  case LDNS_RCODE_NXDOMAIN:
  case LDNS_RCODE_YXDOMAIN:
  case LDNS_RCODE_YXRRSET:
  case LDNS_RCODE_NXRRSET:
    return errbuf_set(err, STATUS_CONFLICT, "the server answers %s", name);
  case LDNS_RCODE_REFUSED:
  case LDNS_RCODE_NOTAUTH:
  case LDNS_RCODE_NOTZONE:
    return errbuf_set(err, STATUS_FORBIDDEN, "the server answers %s", name);
  case LDNS_RCODE_SERVFAIL:
    return errbuf_set(err, STATUS_IO, "the server answers %s", name);
  default:
    return errbuf_set(err, STATUS_INVALID, "the server answers %s", name);
  }
}

enum status update_send(struct update *update, const struct update_patience *patience, struct errbuf *err) {
  ldns_pkt *reply, *query = ldns_update_pkt_new(ldns_record_name(&update->target->zone), LDNS_RR_CLASS_IN,
                                                update->prerequisites, update->changes, NULL);
  if (!query)
    return errbuf_set(err, STATUS_LIMIT, "the message does not fit");
  enum status status = converse(update->target, query, patience, &reply, err);
  if (status != STATUS_OK)
    return status;
  status = judge_code(ldns_pkt_get_rcode(reply), err);
  ldns_pkt_free(reply);
  return status;
}

enum status update_ask(const struct update_target *target, const struct name *owner, uint16_t type,
                       const struct update_patience *patience, struct arena *arena, struct directory *out,
                       struct errbuf *err) {
  ldns_pkt *reply, *query = ldns_pkt_query_new(ldns_record_name(owner), type, LDNS_RR_CLASS_IN, 0);
  ldns_pkt_set_edns_udp_size(query, DATAGRAM_MOST);
  enum status status = converse(target, query, patience, &reply, err);
  if (status != STATUS_OK)
    return status;
  ldns_pkt_rcode code = ldns_pkt_get_rcode(reply);
  status = code == LDNS_RCODE_NXDOMAIN ? STATUS_OK : judge_code(code, err);
  const ldns_rr_list *answers = ldns_pkt_answer(reply);
  size_t count = status == STATUS_OK ? ldns_rr_list_rr_count(answers) : 0;
  struct directory found = {.valid_until_ms = INT64_MAX};
  found.records = arena_array(arena, count ? count : 1, sizeof *found.records);
  for (size_t i = 0; i < count; i++) {
    struct directory_record *row = &found.records[found.count];
    ldns_record_read(ldns_rr_list_rr(answers, i), arena, row);
    found.count +=
        row->type == type && row->owner.size == owner->size && memcmp(row->owner.wire, owner->wire, owner->size) == 0;
  }
  ldns_pkt_free(reply);
  if (status == STATUS_OK)
    *out = found;
  return status;
}
