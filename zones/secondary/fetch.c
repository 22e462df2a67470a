#include "zones/secondary/fetch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "gslb/net/caller.h"
#include "zones/message/query.h"
#include "zones/message/wire.h"
#include "zones/records/expand.h"
#include "zones/secondary/intake.h"

#define QUERY_ROOM (2u + WIRE_HEADER_SIZE + NAME_SIZE_MOST + 4 + 12 + 2 * NAME_SIZE_MOST + 20 + TSIG_RECORD_MOST)
#define LENGTH_SIZE 2u
#define RCODE_BITS 0x000fu

const struct fetch_limits fetch_limits_default = {.reply_ms = 2000,
                                                  .idle_ms = 10000,
                                                  .total_ms = 600000,
                                                  .bytes = (uint64_t)1 << 30};

struct exchange { /* one query and what comes back */
  const struct fetch *fetch;
  struct errbuf *err;
  struct caller caller;
  uint16_t id;
  uint16_t type;
  bool is_refused; /* for a reason that another query would meet as well: the signature, the connection */
  struct tsig_mac mac;
  size_t query_size; /* without the length before it */
  uint8_t query[QUERY_ROOM];
  uint8_t message[WIRE_MESSAGE_MOST];
};

/* held: of an IXFR, the SOA record that is there (RFC 1995 section 3). */
static enum status write_query(struct exchange *exchange, uint16_t type, const struct content_record *held) {
  const struct fetch *fetch = exchange->fetch;
  struct writer writer = {.base = exchange->query + LENGTH_SIZE, .limit = QUERY_ROOM - LENGTH_SIZE};
  uint8_t *header = writer_take(&writer, WIRE_HEADER_SIZE);
  random_secret(&exchange->id, sizeof exchange->id);
  exchange->type = type;
  memset(header, 0, WIRE_HEADER_SIZE);
  wire_set_u16(header, exchange->id);
  wire_set_u16(header + 4, 1);
  wire_set_u16(header + 8, held ? 1 : 0);
  writer_bytes(&writer, fetch->zone->wire, fetch->zone->size);
  writer_u16(&writer, type);
  writer_u16(&writer, CLASS_IN);
  if (held) {
    writer_u16(&writer, 0xc000 | WIRE_HEADER_SIZE);
    writer_u16(&writer, TYPE_SOA);
    writer_u16(&writer, CLASS_IN);
    writer_u32(&writer, held->ttl_s);
    writer_u16(&writer, held->data_size);
    writer_bytes(&writer, held->bytes + held->owner_size, held->data_size);
  }
  size_t size = writer.used;
  if (fetch->key && !writer.failed)
    size = tsig_sign_query(fetch->key, writer.base, size, writer.limit, (uint64_t)time(NULL), &exchange->mac);
  if (writer.failed || !size)
    return errbuf_set(exchange->err, STATUS_LIMIT, "the query does not fit");
  exchange->query_size = size;
  wire_set_u16(exchange->query, (uint16_t)size);
  return STATUS_OK;
}

static bool is_question_ours(const struct exchange *exchange, size_t size, size_t *at) {
  struct name name;
  const struct name *zone = exchange->fetch->zone;
  *at = WIRE_HEADER_SIZE;
  if (wire_get_u16(exchange->message + 4) != 1 || !wire_expand_name(exchange->message, size, at, &name) ||
      size - *at < 4)
    return false;
  for (size_t i = 0; i < name.size; i++)
    name.wire[i] = name_lower(name.wire[i]);
  bool is_ours = name.size == zone->size && memcmp(name.wire, zone->wire, name.size) == 0 &&
                 wire_get_u16(exchange->message + *at) == exchange->type &&
                 wire_get_u16(exchange->message + *at + 2) == CLASS_IN;
  *at += 4;
  return is_ours;
}

/* The zone's own SOA record among the answers from at on. */
static enum status find_soa(struct exchange *exchange, size_t size, size_t at, struct soa *out) {
  const struct name *zone = exchange->fetch->zone;
  struct expanded *record = mem_alloc(sizeof *record);
  enum status status = STATUS_INVALID;
  uint16_t count = wire_get_u16(exchange->message + 6);
  for (uint16_t i = 0; i < count && status != STATUS_OK; i++) {
    if (!expand_record(exchange->message, size, &at, record))
      break;
    if (record->type == TYPE_SOA && record->class == CLASS_IN && record->owner.size == zone->size &&
        memcmp(record->owner.wire, zone->wire, zone->size) == 0 && soa_read(record->data.bytes, record->data.size, out))
      status = STATUS_OK;
  }
  free(record);
  return status == STATUS_OK ? status : errbuf_set(exchange->err, status, "the answer has no SOA record of the zone");
}

static enum status refuse_signature(struct exchange *exchange, const struct tsig *tsig) {
  exchange->is_refused = true;
  if (!tsig->key_name.size && tsig->verdict != TSIG_FORMERR)
    return errbuf_set(exchange->err, STATUS_FORBIDDEN, "the answer is not signed (code %u)",
                      wire_get_u16(exchange->message + 2) & RCODE_BITS);
  if (tsig->error)
    return errbuf_set(exchange->err, STATUS_FORBIDDEN, "the primary does not take our signature: TSIG error %u",
                      tsig->error);
  return errbuf_set(exchange->err, STATUS_FORBIDDEN,
                    tsig->verdict == TSIG_BADTIME ? "the answer was not signed in time: compare the clocks"
                                                  : "the answer's signature is wrong");
}

/* A whole answer to the SOA query. STATUS_NODATA: truncated. */
static enum status judge_soa(struct exchange *exchange, size_t size, struct soa *out) {
  const struct tsig_key *key = exchange->fetch->key;
  uint16_t flags = wire_get_u16(exchange->message + 2);
  struct tsig tsig;
  if (key) {
    tsig_verify_reply(key, &exchange->mac, exchange->message, size, (uint64_t)time(NULL), &tsig);
    if (tsig.verdict != TSIG_GOOD)
      return refuse_signature(exchange, &tsig);
    size = tsig.size;
  }
  if (flags & FLAG_TC)
    return STATUS_NODATA;
  if (flags & RCODE_BITS)
    return errbuf_set(exchange->err, STATUS_FORBIDDEN, "the primary answers with code %u", flags & RCODE_BITS);
  size_t at;
  if (!is_question_ours(exchange, size, &at))
    return errbuf_set(exchange->err, STATUS_INVALID, "the answer is to another question");
  if (!(flags & FLAG_AA))
    return errbuf_set(exchange->err, STATUS_INVALID, "the primary is not authoritative for the zone");
  return find_soa(exchange, size, at, out);
}

/* Whether it may be our answer at all; others are passed over, as anybody may send them. */
static bool is_answer(const struct exchange *exchange, size_t size) {
  return size >= WIRE_HEADER_SIZE && wire_get_u16(exchange->message) == exchange->id &&
         (wire_get_u16(exchange->message + 2) & (FLAG_QR | FLAG_OPCODE)) == FLAG_QR;
}

static enum status try_udp(struct exchange *exchange, struct soa *out) {
  int64_t until_ms = mono_now_ms() + exchange->fetch->limits->reply_ms;
  if (send(exchange->caller.fd, exchange->query + LENGTH_SIZE, exchange->query_size, MSG_NOSIGNAL) < 0)
    return errbuf_set(exchange->err, STATUS_IO, "send: %s", strerror(errno));
  for (;;) {
    enum status status = caller_wait(&exchange->caller, POLLIN, until_ms - mono_now_ms(), exchange->err);
    if (status != STATUS_OK)
      return status;
    ssize_t size = recv(exchange->caller.fd, exchange->message, sizeof exchange->message, MSG_DONTWAIT);
    if (size < 0 && errno != EAGAIN && errno != EINTR)
      return errbuf_set(exchange->err, STATUS_IO, "receive: %s", strerror(errno));
    if (size >= 0 && is_answer(exchange, (size_t)size))
      return judge_soa(exchange, (size_t)size, out);
  }
}

static enum status receive_message(struct exchange *exchange, size_t *size) {
  uint8_t length[LENGTH_SIZE];
  int64_t idle_ms = exchange->fetch->limits->idle_ms;
  enum status status = caller_receive(&exchange->caller, length, sizeof length, idle_ms, exchange->err);
  if (status != STATUS_OK)
    return status;
  *size = wire_get_u16(length);
  return caller_receive(&exchange->caller, exchange->message, *size, idle_ms, exchange->err);
}

static enum status open_caller(struct exchange *exchange, int type) {
  const struct fetch *fetch = exchange->fetch;
  return caller_open(&exchange->caller, fetch->primary, type, fetch->limits->idle_ms, exchange->err);
}

static enum status open_connection(struct exchange *exchange) {
  int64_t idle_ms = exchange->fetch->limits->idle_ms;
  enum status status = open_caller(exchange, SOCK_STREAM);
  if (status != STATUS_OK) {
    exchange->is_refused = true;
    return status;
  }
  return caller_send(&exchange->caller, exchange->query, exchange->query_size + LENGTH_SIZE, idle_ms, exchange->err);
}

static enum status try_tcp(struct exchange *exchange, struct soa *out) {
  size_t size;
  enum status status = open_connection(exchange);
  if (status == STATUS_OK)
    status = receive_message(exchange, &size);
  if (status != STATUS_OK)
    return status;
  if (!is_answer(exchange, size))
    return errbuf_set(exchange->err, STATUS_INVALID, "the answer is to another query");
  status = judge_soa(exchange, size, out);
  return status == STATUS_NODATA ? errbuf_set(exchange->err, STATUS_INVALID, "the answer is truncated") : status;
}

static struct exchange *exchange_new(const struct fetch *fetch, int64_t total_ms, struct errbuf *err) {
  struct exchange *exchange = mem_alloc(sizeof *exchange);
  exchange->fetch = fetch;
  exchange->err = err;
  exchange->caller =
      (struct caller){.fd = -1, .cancel = fetch->cancel, .end_ms = mono_now_ms() + total_ms, .peer = "the primary"};
  return exchange;
}

static void exchange_free(struct exchange *exchange) {
  caller_close(&exchange->caller);
  free(exchange);
}

static bool is_cancelled(const struct fetch *fetch) {
  struct pollfd ready = {.fd = fetch->cancel, .events = POLLIN};
  return poll(&ready, 1, 0) > 0;
}

enum status fetch_soa(const struct fetch *fetch, struct soa *out, struct errbuf *err) {
  const struct fetch_limits *limits = fetch->limits;
  struct exchange *exchange = exchange_new(fetch, FETCH_TRIES * limits->reply_ms + 3 * limits->idle_ms, err);
  enum status status = write_query(exchange, TYPE_SOA, NULL);
  if (status == STATUS_OK)
    status = open_caller(exchange, SOCK_DGRAM);
  if (status == STATUS_OK) {
    status = STATUS_TIMEOUT;
    for (int i = 0; i < FETCH_TRIES && status == STATUS_TIMEOUT && !is_cancelled(fetch); i++)
      status = try_udp(exchange, out);
  }
  caller_close(&exchange->caller);
  bool is_open = status == STATUS_NODATA || status == STATUS_TIMEOUT || status == STATUS_IO;
  if (is_open && !is_cancelled(fetch))
    status = try_tcp(exchange, out);
  exchange_free(exchange);
  return status;
}

/* One message of the answer. STATUS_NODATA: more must follow. */
static enum status take_message(struct exchange *exchange, struct tsig_stream *stream, struct intake *intake,
                                bool *is_current) {
  size_t size;
  struct tsig tsig;
  enum status status = receive_message(exchange, &size);
  if (status != STATUS_OK)
    return status;
  enum tsig_verdict verdict = tsig_stream_verify(stream, exchange->message, size, (uint64_t)time(NULL), &tsig);
  bool is_signed = verdict == TSIG_GOOD || (verdict == TSIG_NONE && stream->is_begun);
  if (exchange->fetch->key && !is_signed)
    return refuse_signature(exchange, &tsig);
  enum intake_result result =
      intake_message(intake, exchange->message, exchange->fetch->key ? tsig.size : size, exchange->err);
  if (result == INTAKE_FAILED)
    return STATUS_INVALID;
  if (result == INTAKE_MORE)
    return STATUS_NODATA;
  if (!tsig_stream_is_verified(stream)) {
    exchange->is_refused = true;
    return errbuf_set(exchange->err, STATUS_FORBIDDEN, "the end of the answer is not signed");
  }
  *is_current = result == INTAKE_CURRENT;
  return STATUS_OK;
}

static enum status take_answer(struct exchange *exchange, struct intake *intake, struct content **out,
                               bool *is_difference) {
  struct tsig_stream stream;
  bool is_current = false;
  tsig_stream_init(&stream, exchange->fetch->key, &exchange->mac);
  enum status status = open_connection(exchange);
  if (status == STATUS_OK) {
    do
      status = take_message(exchange, &stream, intake, &is_current);
    while (status == STATUS_NODATA);
  }
  if (status == STATUS_OK && is_current)
    status = STATUS_NODATA;
  else if (status == STATUS_OK)
    *out = intake_take(intake, is_difference);
  tsig_stream_release(&stream);
  return status;
}

/* One transfer query; *is_final: another one would fare no better. */
static enum status transfer(const struct fetch *fetch, struct content *held, struct content **out, bool *is_difference,
                            bool *is_final, struct errbuf *err) {
  struct soa numbers;
  const struct content_record *soa = NULL;
  if (held && !content_soa(held, &numbers, &soa)) {
    content_free(held);
    held = NULL;
  }
  struct exchange *exchange = exchange_new(fetch, fetch->limits->total_ms, err);
  enum status status = write_query(exchange, held ? TYPE_IXFR : TYPE_AXFR, soa);
  if (status == STATUS_OK) {
    struct intake *intake = intake_new(fetch->zone, exchange->id, held, fetch->limits->bytes);
    held = NULL;
    status = take_answer(exchange, intake, out, is_difference);
    intake_free(intake);
  }
  content_free(held);
  *is_final = exchange->is_refused;
  exchange_free(exchange);
  return status;
}

enum status fetch_zone(const struct fetch *fetch, struct content *held, struct content **out, bool *is_difference,
                       struct errbuf *err) {
  bool was_held = held != NULL, is_final;
  *is_difference = false;
  enum status status = transfer(fetch, held, out, is_difference, &is_final, err);
  if (status == STATUS_OK || status == STATUS_NODATA || !was_held || is_final || is_cancelled(fetch))
    return status;
  log_debug("IXFR: %s; the whole zone is asked for", err->text);
  return transfer(fetch, NULL, out, is_difference, &is_final, err);
}
