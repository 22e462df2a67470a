#include "zones/message/tsig.h"

#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "gslb/base/memory.h"
#include "zones/message/query.h"
#include "zones/message/wire.h"

#define TSIG_FIXED_SIZE 16u    /* of the data: time, fudge, MAC size, original id, error, size of other data */
#define TSIG_OTHER_MOST 6u     /* a time */
#define TSIG_UNSIGNED_MOST 99u /* messages in a row (RFC 8945 section 5.3.1) */
#define TSIG_MAC_POLICY 16u    /* bytes: the shortest truncated MAC that we take */
#define TSIG_MAC_LEAST 10u     /* bytes (RFC 8945 section 5.2.2.1) */

static gnutls_mac_algorithm_t mac_algorithm(enum key_algorithm algorithm) {
  static const gnutls_mac_algorithm_t algorithms[] = {
      [KEY_HMAC_SHA1] = GNUTLS_MAC_SHA1,     [KEY_HMAC_SHA224] = GNUTLS_MAC_SHA224,
      [KEY_HMAC_SHA256] = GNUTLS_MAC_SHA256, [KEY_HMAC_SHA384] = GNUTLS_MAC_SHA384,
      [KEY_HMAC_SHA512] = GNUTLS_MAC_SHA512,
  };
  return algorithms[algorithm];
}

static uint16_t mac_size(const struct tsig_key *key) {
  return (uint16_t)gnutls_hmac_get_len(mac_algorithm(key->algorithm));
}

static void algorithm_name(enum key_algorithm algorithm, struct name *out) {
  name_from_text(key_algorithm_name(algorithm), out);
}

enum status tsig_key_read(const struct config_key *config, uint32_t index, struct tsig_key *out, struct errbuf *err) {
  struct tsig_key key = {.index = index, .algorithm = config->algorithm};
  if (name_from_text(config->name, &key.name) != STATUS_OK)
    return errbuf_set(err, STATUS_INVALID, "key %s: the name is no domain name", config->name);
  size_t length = strlen(config->secret);
  const gnutls_datum_t text = {.data = (unsigned char *)(uintptr_t)config->secret, .size = (unsigned)length};
  gnutls_datum_t secret;
  if (length > 2 * TSIG_SECRET_MOST || gnutls_base64_decode2(&text, &secret) != 0)
    return errbuf_set(err, STATUS_INVALID, "key %s: the secret is no base64", config->name);
  enum status status = STATUS_OK;
  if (secret.size == 0)
    status = errbuf_set(err, STATUS_INVALID, "key %s: the secret is empty", config->name);
  else if (secret.size > TSIG_SECRET_MOST)
    status =
        errbuf_set(err, STATUS_RANGE, "key %s: the secret is longer than %u bytes", config->name, TSIG_SECRET_MOST);
  else
    memcpy(key.secret, secret.data, secret.size);
  key.secret_size = (uint16_t)secret.size;
  gnutls_free(secret.data);
  if (status == STATUS_OK)
    *out = key;
  return status;
}

static int compare_names(const struct name *a, const struct name *b) {
  if (a->size != b->size)
    return a->size < b->size ? -1 : 1;
  return memcmp(a->wire, b->wire, a->size);
}

static int compare_keys(const void *a, const void *b) {
  const struct tsig_key *one = a, *other = b;
  return compare_names(&one->name, &other->name);
}

struct tsig_keys *tsig_keys_new(const struct config_key *keys, size_t count, struct errbuf *err) {
  struct tsig_keys *out = mem_alloc(sizeof *out);
  out->items = mem_array(count, sizeof *out->items);
  for (size_t i = 0; i < count; i++) {
    if (tsig_key_read(&keys[i], (uint32_t)i, &out->items[i], err) != STATUS_OK) {
      tsig_keys_free(out);
      return NULL;
    }
    out->count++;
  }
  if (count)
    qsort(out->items, count, sizeof *out->items, compare_keys);
  return out;
}

void tsig_keys_free(struct tsig_keys *keys) {
  if (!keys)
    return;
  if (keys->count)
    gnutls_memset(keys->items, 0, keys->count * sizeof *keys->items);
  free(keys->items);
  free(keys);
}

static const struct tsig_key *find_key(const struct tsig_keys *keys, const struct tsig *tsig) {
  if (!keys || !keys->count)
    return NULL;
  struct tsig_key wanted = {.name = tsig->key_name};
  const struct tsig_key *key = bsearch(&wanted, keys->items, keys->count, sizeof *keys->items, compare_keys);
  struct name algorithm;
  if (!key)
    return NULL;
  algorithm_name(key->algorithm, &algorithm);
  return compare_names(&algorithm, &tsig->algorithm) == 0 ? key : NULL;
}

/* Reading */

struct found { /* the TSIG record in a message, beyond what struct tsig keeps */
  const uint8_t *other;
  uint16_t other_size;
};

static bool read_lower_name(const uint8_t *message, size_t size, size_t *at, struct name *out) {
  if (!wire_expand_name(message, size, at, out))
    return false;
  for (size_t i = 0; i < out->size; i++)
    out->wire[i] = name_lower(out->wire[i]);
  return true;
}

static bool skip_questions(struct reader *reader, uint16_t count) {
  for (uint16_t i = 0; i < count && !reader->failed; i++) {
    reader_skip_name(reader);
    reader_take(reader, 4);
  }
  return !reader->failed;
}

/* Finds the last record of the message; false when the message is malformed or a TSIG stands anywhere else. *at is 0
 * where there is no record at all. */
static bool find_last(const uint8_t *message, size_t size, size_t *at, uint16_t *type) {
  *at = 0;
  *type = 0;
  if (size < WIRE_HEADER_SIZE)
    return false;
  uint32_t in_other_sections = (uint32_t)wire_get_u16(message + 6) + wire_get_u16(message + 8);
  uint32_t count = in_other_sections + wire_get_u16(message + 10);
  struct reader reader = reader_of(message + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE);
  if (!skip_questions(&reader, wire_get_u16(message + 4)))
    return false;
  for (uint32_t i = 0; i < count; i++) {
    *at = (size_t)(reader.at - message);
    reader_skip_name(&reader);
    *type = reader_u16(&reader);
    reader_take(&reader, 6);
    reader_take(&reader, reader_u16(&reader));
    if (reader.failed || (*type == TYPE_TSIG && (i + 1 < count || i < in_other_sections)))
      return false;
  }
  return *type != TYPE_TSIG || reader_left(&reader) == 0;
}

/* The TSIG record that begins at an offset and ends with the message. */
static bool read_record(const uint8_t *message, size_t size, size_t at, struct tsig *out, struct found *found) {
  out->size = at;
  if (!read_lower_name(message, size, &at, &out->key_name) || size - at < 10)
    return false;
  if (wire_get_u16(message + at + 2) != CLASS_ANY || wire_get_u32(message + at + 4) != 0)
    return false;
  at += 10;
  if (!read_lower_name(message, size, &at, &out->algorithm))
    return false;
  struct reader reader = reader_of(message + at, size - at);
  out->time_s = (uint64_t)reader_u16(&reader) << 32;
  out->time_s |= reader_u32(&reader);
  out->fudge_s = reader_u16(&reader);
  out->mac.size = reader_u16(&reader);
  const uint8_t *mac = reader_take(&reader, out->mac.size);
  if (!mac || out->mac.size > TSIG_MAC_MOST)
    return false;
  memcpy(out->mac.bytes, mac, out->mac.size);
  out->original_id = reader_u16(&reader);
  out->error = reader_u16(&reader);
  found->other_size = reader_u16(&reader);
  found->other = reader_take(&reader, found->other_size);
  return found->other && reader_left(&reader) == 0;
}

/* TSIG_GOOD: there is one, yet to be verified. */
static enum tsig_verdict read_message(const uint8_t *message, size_t size, struct tsig *out, struct found *found) {
  size_t at;
  uint16_t type;
  *out = (struct tsig){.verdict = TSIG_FORMERR, .size = size};
  *found = (struct found){0};
  if (!find_last(message, size, &at, &type))
    return out->verdict;
  if (type != TYPE_TSIG)
    return out->verdict = TSIG_NONE;
  if (read_record(message, size, at, out, found))
    return out->verdict = TSIG_GOOD;
  out->key_name.size = out->algorithm.size = 0;
  return out->verdict;
}

/* HMAC */

static gnutls_hmac_hd_t open_hmac(const struct tsig_key *key) {
  gnutls_hmac_hd_t hmac;
  /* fails only for an algorithm that is not built in, or without memory */
  if (gnutls_hmac_init(&hmac, mac_algorithm(key->algorithm), key->secret, key->secret_size) != 0)
    abort();
  return hmac;
}

static void add_prior(gnutls_hmac_hd_t hmac, const struct tsig_mac *prior) {
  uint8_t size[2];
  wire_set_u16(size, prior->size);
  gnutls_hmac(hmac, size, sizeof size);
  gnutls_hmac(hmac, prior->bytes, prior->size);
}

/* size bytes of the message: without its TSIG record, which its header may count. */
static void add_message(gnutls_hmac_hd_t hmac, const uint8_t *message, size_t size, uint16_t id, bool counts_tsig) {
  uint8_t header[WIRE_HEADER_SIZE];
  memcpy(header, message, sizeof header);
  wire_set_u16(header, id);
  if (counts_tsig)
    wire_set_u16(header + 10, (uint16_t)(wire_get_u16(header + 10) - 1));
  gnutls_hmac(hmac, header, sizeof header);
  gnutls_hmac(hmac, message + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE);
}

static void put_time(struct writer *writer, uint64_t time_s) {
  writer_u16(writer, (uint16_t)(time_s >> 32));
  writer_u32(writer, (uint32_t)time_s);
}

/* RFC 8945 section 4.3.3; section 5.3.1 has only the timers for the later messages of a stream. */
static void add_variables(gnutls_hmac_hd_t hmac, const struct tsig *tsig, const struct found *found,
                          bool has_timers_only) {
  uint8_t bytes[2 * NAME_SIZE_MOST + 32];
  struct writer writer = {.base = bytes, .limit = sizeof bytes};
  if (!has_timers_only) {
    writer_bytes(&writer, tsig->key_name.wire, tsig->key_name.size);
    writer_u16(&writer, CLASS_ANY);
    writer_u32(&writer, 0);
    writer_bytes(&writer, tsig->algorithm.wire, tsig->algorithm.size);
  }
  put_time(&writer, tsig->time_s);
  writer_u16(&writer, tsig->fudge_s);
  if (!has_timers_only) {
    writer_u16(&writer, tsig->error);
    writer_u16(&writer, found->other_size);
  }
  gnutls_hmac(hmac, bytes, writer.used);
  if (!has_timers_only && found->other_size)
    gnutls_hmac(hmac, found->other, found->other_size);
}

static uint64_t distance(uint64_t a, uint64_t b) {
  return a > b ? a - b : b - a;
}

/* Everything about the record but its MAC being right; hmac holds what comes before the message, and is used up. */
static enum tsig_verdict judge(const struct tsig_key *key, gnutls_hmac_hd_t hmac, const uint8_t *message,
                               struct tsig *tsig, const struct found *found, bool has_timers_only, uint64_t now_s) {
  uint8_t mac[TSIG_MAC_MOST] = {0};
  uint16_t whole = mac_size(key);
  size_t least = (whole + 1u) / 2 > TSIG_MAC_LEAST ? (whole + 1u) / 2 : TSIG_MAC_LEAST;
  add_message(hmac, message, tsig->size, tsig->original_id, true);
  add_variables(hmac, tsig, found, has_timers_only);
  gnutls_hmac_deinit(hmac, mac);
  tsig->key = key;
  if (tsig->mac.size > whole || tsig->mac.size < least)
    return TSIG_FORMERR;
  if (gnutls_memcmp(mac, tsig->mac.bytes, tsig->mac.size) != 0)
    return TSIG_BADSIG;
  if (distance(tsig->time_s, now_s) > tsig->fudge_s)
    return TSIG_BADTIME;
  return tsig->mac.size < whole && tsig->mac.size < TSIG_MAC_POLICY ? TSIG_BADTRUNC : TSIG_GOOD;
}

static enum tsig_verdict end_verdict(struct tsig *out, enum tsig_verdict verdict) {
  if (verdict == TSIG_FORMERR)
    out->key_name.size = out->algorithm.size = 0;
  if (verdict == TSIG_FORMERR || verdict == TSIG_BADKEY)
    out->key = NULL;
  return out->verdict = verdict;
}

enum tsig_verdict tsig_verify(const struct tsig_keys *keys, const uint8_t *message, size_t size, uint64_t now_s,
                              struct tsig *out) {
  struct found found;
  if (read_message(message, size, out, &found) != TSIG_GOOD)
    return out->verdict;
  const struct tsig_key *key = find_key(keys, out);
  if (!key)
    return end_verdict(out, TSIG_BADKEY);
  return end_verdict(out, judge(key, open_hmac(key), message, out, &found, false, now_s));
}

static bool is_by(const struct tsig *tsig, const struct tsig_key *key) {
  struct name algorithm;
  algorithm_name(key->algorithm, &algorithm);
  return compare_names(&tsig->key_name, &key->name) == 0 && compare_names(&tsig->algorithm, &algorithm) == 0;
}

enum tsig_verdict tsig_verify_reply(const struct tsig_key *key, const struct tsig_mac *request, const uint8_t *message,
                                    size_t size, uint64_t now_s, struct tsig *out) {
  struct found found;
  if (read_message(message, size, out, &found) != TSIG_GOOD)
    return out->verdict;
  if (!is_by(out, key))
    return end_verdict(out, TSIG_BADKEY);
  gnutls_hmac_hd_t hmac = open_hmac(key);
  add_prior(hmac, request);
  return end_verdict(out, judge(key, hmac, message, out, &found, false, now_s));
}

/* Writing */

/* Puts the record behind the message; 0 when there is no room. */
static size_t append(const struct tsig *tsig, const struct found *found, uint8_t *message, size_t size, size_t room) {
  struct writer writer = {.base = message, .used = size, .limit = room};
  writer_bytes(&writer, tsig->key_name.wire, tsig->key_name.size);
  writer_u16(&writer, TYPE_TSIG);
  writer_u16(&writer, CLASS_ANY);
  writer_u32(&writer, 0);
  writer_u16(&writer, (uint16_t)(tsig->algorithm.size + TSIG_FIXED_SIZE + tsig->mac.size + found->other_size));
  writer_bytes(&writer, tsig->algorithm.wire, tsig->algorithm.size);
  put_time(&writer, tsig->time_s);
  writer_u16(&writer, tsig->fudge_s);
  writer_u16(&writer, tsig->mac.size);
  writer_bytes(&writer, tsig->mac.bytes, tsig->mac.size);
  writer_u16(&writer, tsig->original_id);
  writer_u16(&writer, tsig->error);
  writer_u16(&writer, found->other_size);
  if (found->other_size)
    writer_bytes(&writer, found->other, found->other_size);
  if (writer.failed)
    return 0;
  wire_set_u16(message + 10, (uint16_t)(wire_get_u16(message + 10) + 1));
  return writer.used;
}

/* Signs with what is in tsig but for its MAC, which is stored there. prior may be NULL. */
static size_t sign(const struct tsig_key *key, const struct tsig_mac *prior, bool has_timers_only, struct tsig *tsig,
                   const struct found *found, uint8_t *message, size_t size, size_t room) {
  gnutls_hmac_hd_t hmac = open_hmac(key);
  if (prior)
    add_prior(hmac, prior);
  tsig->original_id = wire_get_u16(message);
  add_message(hmac, message, size, tsig->original_id, false);
  add_variables(hmac, tsig, found, has_timers_only);
  tsig->mac.size = mac_size(key);
  gnutls_hmac_deinit(hmac, tsig->mac.bytes);
  return append(tsig, found, message, size, room);
}

static void begin_record(struct tsig *tsig, const struct tsig_key *key, uint64_t now_s) {
  *tsig = (struct tsig){.key_name = key->name, .time_s = now_s, .fudge_s = TSIG_FUDGE_S};
  algorithm_name(key->algorithm, &tsig->algorithm);
}

uint16_t tsig_rcode(enum tsig_verdict verdict) {
  switch (verdict) {
  case TSIG_NONE:
  case TSIG_GOOD:
    return RCODE_NOERROR;
  case TSIG_FORMERR:
    return RCODE_FORMERR;
  default:
    return RCODE_NOTAUTH;
  }
}

static uint16_t error_of(enum tsig_verdict verdict) {
  switch (verdict) {
  case TSIG_BADKEY:
    return TSIG_ERROR_BADKEY;
  case TSIG_BADSIG:
    return TSIG_ERROR_BADSIG;
  case TSIG_BADTIME:
    return TSIG_ERROR_BADTIME;
  case TSIG_BADTRUNC:
    return TSIG_ERROR_BADTRUNC;
  default:
    return 0;
  }
}

static bool has_no_mac(const struct tsig *request) {
  return request->verdict == TSIG_BADKEY || request->verdict == TSIG_BADSIG;
}

size_t tsig_reply_size(const struct tsig *request) {
  if (request->verdict == TSIG_NONE || request->verdict == TSIG_FORMERR)
    return 0;
  size_t size = request->key_name.size + 10u + request->algorithm.size + TSIG_FIXED_SIZE;
  if (request->verdict == TSIG_BADTIME)
    size += TSIG_OTHER_MOST;
  return has_no_mac(request) ? size : size + mac_size(request->key);
}

size_t tsig_sign_reply(const struct tsig *request, uint8_t *message, size_t size, size_t room, uint64_t now_s) {
  if (request->verdict == TSIG_NONE || request->verdict == TSIG_FORMERR)
    return size;
  struct found found = {0};
  struct tsig reply = {.key_name = request->key_name,
                       .algorithm = request->algorithm,
                       .time_s = now_s,
                       .fudge_s = TSIG_FUDGE_S,
                       .original_id = wire_get_u16(message),
                       .error = error_of(request->verdict)};
  if (has_no_mac(request))
    return append(&reply, &found, message, size, room);
  uint8_t other[TSIG_OTHER_MOST];
  struct writer writer = {.base = other, .limit = sizeof other};
  if (request->verdict == TSIG_BADTIME) {
    /* the client's own time, so that it can verify this, and ours beside it (RFC 8945 section 5.2.3) */
    reply.time_s = request->time_s;
    reply.fudge_s = request->fudge_s;
    put_time(&writer, now_s);
    found = (struct found){.other = other, .other_size = sizeof other};
  }
  return sign(request->key, &request->mac, false, &reply, &found, message, size, room);
}

size_t tsig_sign_query(const struct tsig_key *key, uint8_t *message, size_t size, size_t room, uint64_t now_s,
                       struct tsig_mac *mac) {
  struct tsig tsig;
  struct found found = {0};
  begin_record(&tsig, key, now_s);
  size_t signed_size = sign(key, NULL, false, &tsig, &found, message, size, room);
  if (signed_size)
    *mac = tsig.mac;
  return signed_size;
}

/* Streams */

void tsig_stream_init(struct tsig_stream *stream, const struct tsig_key *key, const struct tsig_mac *request) {
  *stream = (struct tsig_stream){.key = key};
  if (key)
    stream->prior = *request;
}

void tsig_stream_release(struct tsig_stream *stream) {
  if (stream->state)
    gnutls_hmac_deinit(stream->state, NULL);
  *stream = (struct tsig_stream){0};
}

size_t tsig_stream_sign(struct tsig_stream *stream, uint8_t *message, size_t size, size_t room, uint64_t now_s) {
  if (!stream->key)
    return size;
  struct tsig tsig;
  struct found found = {0};
  begin_record(&tsig, stream->key, now_s);
  size_t signed_size = sign(stream->key, &stream->prior, stream->is_begun, &tsig, &found, message, size, room);
  if (!signed_size)
    return 0;
  stream->prior = tsig.mac;
  stream->is_begun = true;
  return signed_size;
}

enum tsig_verdict tsig_stream_verify(struct tsig_stream *stream, const uint8_t *message, size_t size, uint64_t now_s,
                                     struct tsig *out) {
  struct found found;
  if (!stream->key) {
    *out = (struct tsig){.verdict = TSIG_NONE, .size = size};
    return out->verdict;
  }
  enum tsig_verdict verdict = read_message(message, size, out, &found);
  if (verdict == TSIG_FORMERR)
    return verdict;
  if (verdict == TSIG_GOOD && !is_by(out, stream->key))
    return end_verdict(out, TSIG_BADKEY);
  if (verdict == TSIG_NONE && (!stream->is_begun || stream->unsigned_count == TSIG_UNSIGNED_MOST))
    return end_verdict(out, TSIG_BADSIG);
  if (!stream->state) {
    stream->state = open_hmac(stream->key);
    add_prior(stream->state, &stream->prior);
  }
  if (verdict == TSIG_NONE) {
    add_message(stream->state, message, size, wire_get_u16(message), false);
    stream->unsigned_count++;
    return verdict;
  }
  verdict = judge(stream->key, stream->state, message, out, &found, stream->is_begun, now_s);
  stream->state = NULL;
  stream->prior = out->mac;
  stream->is_begun = true;
  stream->unsigned_count = 0;
  return end_verdict(out, verdict);
}

bool tsig_stream_is_verified(const struct tsig_stream *stream) {
  return !stream->key || (stream->is_begun && stream->unsigned_count == 0);
}
