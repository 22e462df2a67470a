/* zones/message/tsig.h
 * Transaction signatures (RFC 8945): HMAC over messages in wire form, by GnuTLS. Verifies and signs queries, replies
 * and the streams of messages that a transfer is. Times are Unix seconds, and arguments. Keys are immutable and any
 * thread may use them; everything else belongs to one thread. Each HMAC allocates a few hundred bytes for its state,
 * which a message whose key is unknown never comes to. */
#ifndef GSLB_ZONES_MESSAGE_TSIG_H
#define GSLB_ZONES_MESSAGE_TSIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "gslb/model/name.h"

#define TSIG_MAC_MOST 64u
#define TSIG_SECRET_MOST 512u
#define TSIG_FUDGE_S 300u
#define TSIG_RECORD_MOST 620u /* bytes of a TSIG record that we write */

struct tsig_key {
  struct name name;
  uint32_t index; /* of the configuration's keys */
  enum key_algorithm algorithm;
  uint16_t secret_size;
  uint8_t secret[TSIG_SECRET_MOST];
};

struct tsig_keys { /* by name */
  struct tsig_key *items;
  size_t count;
};

enum status tsig_key_read(const struct config_key *config, uint32_t index, struct tsig_key *out, struct errbuf *err);
/* STATUS_INVALID: the name is none, or the secret is no base64 or empty. STATUS_RANGE: over TSIG_SECRET_MOST bytes. */
struct tsig_keys *tsig_keys_new(const struct config_key *keys, size_t count, struct errbuf *err);
/* NULL: one of them cannot be read. */
void tsig_keys_free(struct tsig_keys *keys);

enum tsig_verdict {
  TSIG_NONE,     /* not signed */
  TSIG_GOOD,     /* signed by a key of ours, in time */
  TSIG_FORMERR,  /* the record or the message around it is malformed, or the MAC shorter than RFC 8945 allows */
  TSIG_BADKEY,   /* unknown key, or not with this algorithm */
  TSIG_BADSIG,   /* the MAC is wrong */
  TSIG_BADTIME,  /* signed too long ago or too far ahead */
  TSIG_BADTRUNC, /* the MAC is right and shorter than 128 bits, which we ask for where the whole is not */
};

enum tsig_error { TSIG_ERROR_BADSIG = 16, TSIG_ERROR_BADKEY = 17, TSIG_ERROR_BADTIME = 18, TSIG_ERROR_BADTRUNC = 22 };

struct tsig_mac {
  uint16_t size;
  uint8_t bytes[TSIG_MAC_MOST];
};

struct tsig { /* of a message that was received */
  enum tsig_verdict verdict;
  const struct tsig_key *key;      /* borrowed from the keys; NULL: unknown or unsigned */
  struct name key_name, algorithm; /* lower case; size 0 for TSIG_NONE and TSIG_FORMERR */
  uint64_t time_s;
  uint16_t fudge_s;
  uint16_t original_id;
  uint16_t error; /* what the other side says: enum tsig_error, or 0 */
  struct tsig_mac mac;
  size_t size; /* of the message without it */
};

enum tsig_verdict tsig_verify(const struct tsig_keys *keys, const uint8_t *message, size_t size, uint64_t now_s,
                              struct tsig *out);
/* A query or NOTIFY (RFC 8945 section 5.2). keys may be NULL: none. Returns out->verdict. */
uint16_t tsig_rcode(enum tsig_verdict verdict);
/* NOERROR for TSIG_NONE and TSIG_GOOD, FORMERR or NOTAUTH: how such a query is answered. */
size_t tsig_reply_size(const struct tsig *request);
/* Bytes that the reply's TSIG record needs; 0 where it has none. */
size_t tsig_sign_reply(const struct tsig *request, uint8_t *message, size_t size, size_t room, uint64_t now_s);
/* Adds the TSIG record to the reply, whose rcode the caller has set by tsig_rcode; the MAC is left out where the
 * request's could not be verified (RFC 8945 section 5.3.2). Returns the new size; size itself where the request had no
 * TSIG; 0 when there is no room. */

size_t tsig_sign_query(const struct tsig_key *key, uint8_t *message, size_t size, size_t room, uint64_t now_s,
                       struct tsig_mac *mac);
/* Returns the new size, 0 when there is no room; *mac is what the reply is verified with. */
enum tsig_verdict tsig_verify_reply(const struct tsig_key *key, const struct tsig_mac *request, const uint8_t *message,
                                    size_t size, uint64_t now_s, struct tsig *out);
/* A reply in one message. TSIG_NONE must not be believed when the query was signed. */

struct tsig_stream {          /* the messages of one answer (RFC 8945 section 5.3.1) */
  const struct tsig_key *key; /* NULL: not signed */
  struct tsig_mac prior;      /* the request's, then the last one of the stream */
  bool is_begun;              /* a signed message was there */
  uint32_t unsigned_count;    /* since the last signed one */
  void *state;                /* HMAC over what is not signed yet; NULL: nothing */
};

void tsig_stream_init(struct tsig_stream *stream, const struct tsig_key *key, const struct tsig_mac *request);
/* key (NULL: the answer is not signed) is borrowed, request copied. */
void tsig_stream_release(struct tsig_stream *stream);
size_t tsig_stream_sign(struct tsig_stream *stream, uint8_t *message, size_t size, size_t room, uint64_t now_s);
/* Each message of a stream that is sent. Returns the new size; size itself without a key; 0 when there is no room. */
enum tsig_verdict tsig_stream_verify(struct tsig_stream *stream, const uint8_t *message, size_t size, uint64_t now_s,
                                     struct tsig *out);
/* Each message of a stream that is received: as tsig_verify_reply, but TSIG_NONE is fine for up to 99 messages in a row
 * that are neither the first nor the last; one more is TSIG_BADSIG. Without a key: TSIG_NONE, out->size as received. */
bool tsig_stream_is_verified(const struct tsig_stream *stream);
/* Whether all that was received is signed: to be asked after the last message. True without a key. */

#endif
