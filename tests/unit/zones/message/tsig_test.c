#include "zones/message/tsig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <gnutls/crypto.h>
#include <ldns/ldns.h>

#include "zones/message/query.h"
#include "zones/message/wire.h"

#define SECRET "c2VjcmV0IG9mIHNpeHRlZW4gb3IgbW9yZSBieXRlcw=="
#define ROOM 1000u

static const struct config_key config_keys[] = {
    {.name = "key.example", .algorithm = KEY_HMAC_SHA256, .secret = SECRET},
    {.name = "old.example", .algorithm = KEY_HMAC_SHA1, .secret = SECRET},
    {.name = "long.example", .algorithm = KEY_HMAC_SHA512, .secret = SECRET},
};

static const uint8_t query[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0\7example\3com\0\0\1\0\1";
#define QUERY_SIZE (sizeof query - 1)

static struct tsig_keys *keys;
static struct tsig_key key;

static int set_up(void **state) {
  (void)state;
  struct errbuf err;
  keys = tsig_keys_new(config_keys, sizeof config_keys / sizeof config_keys[0], &err);
  return keys && tsig_key_read(&config_keys[0], 0, &key, &err) == STATUS_OK ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  tsig_keys_free(keys);
  return 0;
}

static uint64_t now(void) {
  return (uint64_t)time(NULL); /* ldns takes no other */
}

static size_t make_query(uint8_t *message) {
  memcpy(message, query, QUERY_SIZE);
  return QUERY_SIZE;
}

static size_t make_signed(uint8_t *message, uint64_t now_s, struct tsig_mac *mac) {
  size_t size = tsig_sign_query(&key, message, make_query(message), ROOM, now_s, mac);
  assert_true(size > QUERY_SIZE);
  return size;
}

static ldns_pkt *decode(const uint8_t *message, size_t size) {
  ldns_pkt *packet;
  assert_int_equal(ldns_wire2pkt(&packet, message, size), LDNS_STATUS_OK);
  return packet;
}

/* Number of the TSIG's data field, as ldns numbers them. */
enum { FIELD_MAC = 3, FIELD_ERROR = 5, FIELD_OTHER = 6 };

static ldns_rdf *field(const ldns_pkt *packet, size_t number) {
  assert_non_null(ldns_pkt_tsig(packet));
  return ldns_rr_rdf(ldns_pkt_tsig(packet), number);
}

static uint16_t tsig_error(const ldns_pkt *packet) {
  return ldns_rdf2native_int16(field(packet, FIELD_ERROR));
}

/* A query that ldns signed, in wire form; *mac: its MAC as ldns wants it for the answer. */
static uint8_t *sign_by_ldns(const char *name, const char *algorithm, size_t *size, ldns_rdf **mac) {
  ldns_pkt *packet =
      ldns_pkt_query_new(ldns_dname_new_frm_str("www.example.com"), LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN, LDNS_RD);
  uint8_t *wire;
  ldns_pkt_set_id(packet, 77);
  assert_int_equal(ldns_pkt_tsig_sign(packet, name, SECRET, 300, algorithm, NULL), LDNS_STATUS_OK);
  assert_int_equal(ldns_pkt2wire(&wire, packet, size), LDNS_STATUS_OK);
  if (mac)
    *mac = ldns_rdf_clone(field(packet, FIELD_MAC));
  ldns_pkt_free(packet);
  return wire;
}

static void query_signed_by_ldns_is_good(void **state) {
  (void)state;
  static const struct {
    const char *name, *algorithm;
    uint32_t index;
  } cases[] = {{"key.example.", "hmac-sha256.", 0},
               {"old.example.", "hmac-sha1.", 1},
               {"long.example.", "hmac-sha512.", 2},
               {"KEY.Example.", "hmac-sha256.", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    size_t size;
    struct tsig tsig;
    uint8_t *wire = sign_by_ldns(cases[i].name, cases[i].algorithm, &size, NULL);
    assert_int_equal(tsig_verify(keys, wire, size, now(), &tsig), TSIG_GOOD);
    assert_int_equal(tsig.key->index, cases[i].index);
    assert_int_equal(tsig.original_id, 77);
    assert_int_equal(tsig.size, WIRE_HEADER_SIZE + 17 + 4);
    free(wire);
  }
}

static void query_of_ours_is_good_to_ldns(void **state) {
  (void)state;
  for (uint32_t i = 0; i < 3; i++) {
    uint8_t message[ROOM];
    struct tsig_mac mac;
    struct tsig_key used;
    char name[64];
    assert_int_equal(tsig_key_read(&config_keys[i], i, &used, NULL), STATUS_OK);
    size_t size = tsig_sign_query(&used, message, make_query(message), ROOM, now(), &mac);
    ldns_pkt *packet = decode(message, size);
    snprintf(name, sizeof name, "%s.", config_keys[i].name);
    assert_true(ldns_pkt_tsig_verify(packet, message, size, name, SECRET, NULL));
    ldns_pkt_free(packet);
  }
}

/* The MACs that another implementation (dnspython) makes of the same query at the same time. */
static void mac_is_the_known_one_for_each_algorithm(void **state) {
  (void)state;
  static const struct {
    enum key_algorithm algorithm;
    size_t size;
    const char *mac;
  } cases[] = {
      {KEY_HMAC_SHA1, 20, "\xff\xaf\x05\xd2\xb7\x79\x17\x47\xfa\xfa\xfe\x3d\xc3\xda\x9e\xe6\x23\x9a\xee\x09"},
      {KEY_HMAC_SHA224, 28,
       "\x32\x93\xde\x47\xa7\x0b\xee\x95\x76\xcb\x84\x4a\x08\x71\xf5\x29\xb1\x1a\x88\x80\xc6\x62\xe2\x37\x46\xa9\x92"
       "\x01"},
      {KEY_HMAC_SHA256, 32,
       "\x8e\x41\x2c\x8f\xfe\x47\x75\xc5\x9f\x7f\x91\x83\x7c\xa3\x37\x46\x3a\x6d\xe7\x2f\x2f\xf8\x7c\x83\x76\x62\x84"
       "\xf4\xb0\xcb\x65\x77"},
      {KEY_HMAC_SHA384, 48,
       "\x88\x32\x84\xd3\xdc\x8d\x7b\x37\x97\x17\x83\x00\x13\x0a\xd3\x1c\x67\x10\xb0\xce\xba\xa4\x3e\xc7\x00\x61\x36"
       "\xe8\xc1\x06\xb6\xb6\x9f\xb2\x2c\xe2\x8f\xae\x05\x4e\x37\x84\x9e\x6c\x64\x5b\xb4\xbd"},
      {KEY_HMAC_SHA512, 64,
       "\x39\xcd\x76\xb1\x0a\x0e\x40\xe7\x59\x9d\x93\xde\x66\x7f\x0c\xe0\x6c\x65\x93\xb8\x52\xf2\x34\x14\xae\x17\xde"
       "\x77\x26\xcb\x77\x84\x73\xee\xd8\x81\xa1\xba\x7a\xd2\x79\xaa\x48\x42\xf5\x9c\x39\x94\x1d\x2f\x5d\xb6\x87\x57"
       "\xe8\x81\x06\xe0\x2f\x86\x12\xe3\x40\xdc"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct config_key config = {.name = "key.example", .algorithm = cases[i].algorithm, .secret = SECRET};
    struct tsig_key used;
    struct tsig_mac mac;
    uint8_t message[ROOM];
    assert_int_equal(tsig_key_read(&config, 0, &used, NULL), STATUS_OK);
    assert_true(tsig_sign_query(&used, message, make_query(message), ROOM, 1700000000, &mac) > 0);
    assert_int_equal(mac.size, cases[i].size);
    assert_memory_equal(mac.bytes, cases[i].mac, mac.size);
  }
}

static void reply_is_good_to_who_has_the_request_mac(void **state) {
  (void)state;
  size_t size;
  ldns_rdf *mac;
  struct tsig tsig;
  uint8_t *wire = sign_by_ldns("key.example.", "hmac-sha256.", &size, &mac), reply[ROOM];
  assert_int_equal(tsig_verify(keys, wire, size, now(), &tsig), TSIG_GOOD);
  memcpy(reply, wire, tsig.size);
  reply[2] |= 0x80;
  wire_set_u16(reply + 10, 0);
  size_t used = tsig_sign_reply(&tsig, reply, tsig.size, ROOM, now());
  assert_int_equal(used, tsig.size + tsig_reply_size(&tsig));
  ldns_pkt *packet = decode(reply, used);
  assert_true(ldns_pkt_tsig_verify(packet, reply, used, "key.example.", SECRET, mac));
  assert_false(ldns_pkt_tsig_verify(packet, reply, used, "key.example.", SECRET, NULL));
  ldns_pkt_free(packet);
  ldns_rdf_deep_free(mac);
  free(wire);
}

/* A reply that ldns signs for a request of ours. */
static uint8_t *reply_by_ldns(const struct tsig_mac *mac, int has_timers_only, size_t *size) {
  uint8_t prior[2 + TSIG_MAC_MOST], *wire;
  wire_set_u16(prior, mac->size);
  memcpy(prior + 2, mac->bytes, mac->size);
  ldns_rdf *request = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_INT16_DATA, mac->size + 2u, prior);
  ldns_pkt *packet = decode(query, QUERY_SIZE);
  ldns_pkt_set_qr(packet, true);
  assert_int_equal(ldns_pkt_tsig_sign_next(packet, "key.example.", SECRET, 300, "hmac-sha256.", request,
                                           has_timers_only),
                   LDNS_STATUS_OK);
  assert_int_equal(ldns_pkt2wire(&wire, packet, size), LDNS_STATUS_OK);
  ldns_pkt_free(packet);
  ldns_rdf_deep_free(request);
  return wire;
}

static void reply_of_ldns_is_verified_with_our_request(void **state) {
  (void)state;
  uint8_t message[ROOM];
  struct tsig_mac mac, other = {.size = 32};
  struct tsig tsig;
  make_signed(message, now(), &mac);
  size_t size;
  uint8_t *wire = reply_by_ldns(&mac, 0, &size);
  assert_int_equal(tsig_verify_reply(&key, &mac, wire, size, now(), &tsig), TSIG_GOOD);
  assert_int_equal(tsig.size, QUERY_SIZE);
  assert_int_equal(tsig_verify_reply(&key, &other, wire, size, now(), &tsig), TSIG_BADSIG);
  free(wire);
  assert_int_equal(tsig_verify_reply(&key, &mac, query, QUERY_SIZE, now(), &tsig), TSIG_NONE);
}

static void stream_is_good_to_ldns_message_by_message(void **state) {
  (void)state;
  size_t size;
  ldns_rdf *prior;
  struct tsig tsig;
  struct tsig_stream stream;
  uint8_t *wire = sign_by_ldns("key.example.", "hmac-sha256.", &size, &prior);
  assert_int_equal(tsig_verify(keys, wire, size, now(), &tsig), TSIG_GOOD);
  free(wire);
  tsig_stream_init(&stream, tsig.key, &tsig.mac);
  for (int i = 0; i < 4; i++) {
    uint8_t message[ROOM];
    size = tsig_stream_sign(&stream, message, make_query(message), ROOM, now());
    ldns_pkt *packet = decode(message, size);
    assert_true(ldns_pkt_tsig_verify_next(packet, message, size, "key.example.", SECRET, prior, i > 0));
    ldns_rdf_deep_free(prior);
    prior = ldns_rdf_clone(field(packet, FIELD_MAC));
    ldns_pkt_free(packet);
  }
  ldns_rdf_deep_free(prior);
  tsig_stream_release(&stream);
}

static void stream_of_ldns_is_good_message_by_message(void **state) {
  (void)state;
  uint8_t message[ROOM];
  struct tsig_mac mac;
  struct tsig tsig;
  struct tsig_stream stream;
  make_signed(message, now(), &mac);
  tsig_stream_init(&stream, &key, &mac);
  assert_false(tsig_stream_is_verified(&stream));
  for (int i = 0; i < 4; i++) {
    size_t size;
    uint8_t *wire = reply_by_ldns(&stream.prior, i > 0, &size);
    assert_int_equal(tsig_stream_verify(&stream, wire, size, now(), &tsig), TSIG_GOOD);
    assert_true(tsig_stream_is_verified(&stream));
    free(wire);
  }
  tsig_stream_release(&stream);
}

/* The MAC over messages of which only the last is signed, put together by hand (RFC 8945 section 5.3.1). */
static void hash_by_hand(const struct tsig_mac *prior, size_t messages, uint64_t time_s, uint8_t *out) {
  uint8_t bytes[8192], timers[8] = {0};
  size_t used = 2u + prior->size;
  wire_set_u16(bytes, prior->size);
  memcpy(bytes + 2, prior->bytes, prior->size);
  for (size_t i = 0; i < messages; i++, used += QUERY_SIZE)
    memcpy(bytes + used, query, QUERY_SIZE);
  wire_set_u16(timers, (uint16_t)(time_s >> 32));
  wire_set_u32(timers + 2, (uint32_t)time_s);
  wire_set_u16(timers + 6, 300);
  memcpy(bytes + used, timers, sizeof timers);
  gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.secret, key.secret_size, bytes, used + sizeof timers, out);
}

static void unsigned_messages_are_covered_by_the_next_signed_one(void **state) {
  (void)state;
  uint8_t message[ROOM];
  struct tsig_mac mac;
  struct tsig tsig;
  struct tsig_stream stream;
  make_signed(message, now(), &mac);
  tsig_stream_init(&stream, &key, &mac);
  size_t size;
  uint8_t *wire = reply_by_ldns(&mac, 0, &size);
  assert_int_equal(tsig_stream_verify(&stream, wire, size, now(), &tsig), TSIG_GOOD);
  free(wire);
  struct tsig_mac prior = stream.prior, ignored;
  for (int i = 0; i < 2; i++)
    assert_int_equal(tsig_stream_verify(&stream, query, QUERY_SIZE, now(), &tsig), TSIG_NONE);
  assert_false(tsig_stream_is_verified(&stream));
  uint64_t time_s = now();
  size = make_signed(message, time_s, &ignored);
  hash_by_hand(&prior, 3, time_s, message + size - 6 - 32);
  assert_int_equal(tsig_stream_verify(&stream, message, size, time_s, &tsig), TSIG_GOOD);
  assert_true(tsig_stream_is_verified(&stream));
  tsig_stream_release(&stream);
}

static void stream_may_not_begin_unsigned_nor_go_on_so_for_ever(void **state) {
  (void)state;
  uint8_t message[ROOM];
  struct tsig_mac mac;
  struct tsig tsig;
  struct tsig_stream stream;
  make_signed(message, now(), &mac);
  tsig_stream_init(&stream, &key, &mac);
  assert_int_equal(tsig_stream_verify(&stream, query, QUERY_SIZE, now(), &tsig), TSIG_BADSIG);
  size_t size;
  uint8_t *wire = reply_by_ldns(&mac, 0, &size);
  assert_int_equal(tsig_stream_verify(&stream, wire, size, now(), &tsig), TSIG_GOOD);
  free(wire);
  for (int i = 0; i < 99; i++)
    assert_int_equal(tsig_stream_verify(&stream, query, QUERY_SIZE, now(), &tsig), TSIG_NONE);
  assert_int_equal(tsig_stream_verify(&stream, query, QUERY_SIZE, now(), &tsig), TSIG_BADSIG);
  tsig_stream_release(&stream);
}

static void stream_without_a_key_passes_as_it_is(void **state) {
  (void)state;
  uint8_t message[ROOM];
  struct tsig tsig;
  struct tsig_stream stream;
  tsig_stream_init(&stream, NULL, NULL);
  size_t size = make_query(message);
  assert_int_equal(tsig_stream_sign(&stream, message, size, ROOM, now()), size);
  assert_int_equal(tsig_stream_verify(&stream, message, size, now(), &tsig), TSIG_NONE);
  assert_int_equal(tsig.size, size);
  assert_true(tsig_stream_is_verified(&stream));
}

/* The error and the TSIG's MAC size in the reply to a query with that verdict. */
static void expect_error(const struct tsig *tsig, uint16_t error, size_t mac_size) {
  uint8_t reply[ROOM];
  size_t size = tsig_sign_reply(tsig, reply, make_query(reply), ROOM, 1700000000);
  assert_int_equal(size, QUERY_SIZE + tsig_reply_size(tsig));
  ldns_pkt *packet = decode(reply, size);
  assert_int_equal(tsig_error(packet), error);
  assert_int_equal(ldns_rdf_size(field(packet, FIELD_MAC)), 2 + mac_size);
  ldns_pkt_free(packet);
  assert_int_equal(tsig_rcode(tsig->verdict), RCODE_NOTAUTH);
}

static void unknown_key_is_told_without_a_signature(void **state) {
  (void)state;
  size_t size;
  struct tsig tsig;
  uint8_t *wire = sign_by_ldns("other.example.", "hmac-sha256.", &size, NULL);
  assert_int_equal(tsig_verify(keys, wire, size, now(), &tsig), TSIG_BADKEY);
  assert_null(tsig.key);
  expect_error(&tsig, TSIG_ERROR_BADKEY, 0);
  assert_int_equal(tsig_verify(NULL, wire, size, now(), &tsig), TSIG_BADKEY);
  free(wire);
  wire = sign_by_ldns("key.example.", "hmac-sha1.", &size, NULL);
  assert_int_equal(tsig_verify(keys, wire, size, now(), &tsig), TSIG_BADKEY);
  free(wire);
}

static void altered_message_is_told_without_a_signature(void **state) {
  (void)state;
  uint8_t message[ROOM];
  struct tsig_mac mac;
  struct tsig tsig;
  size_t size = make_signed(message, now(), &mac);
  message[14] ^= 1;
  assert_int_equal(tsig_verify(keys, message, size, now(), &tsig), TSIG_BADSIG);
  expect_error(&tsig, TSIG_ERROR_BADSIG, 0);
}

static void another_id_on_the_way_does_no_harm(void **state) {
  (void)state;
  uint8_t message[ROOM];
  struct tsig_mac mac;
  struct tsig tsig;
  size_t size = make_signed(message, now(), &mac);
  message[0] ^= 0x55;
  assert_int_equal(tsig_verify(keys, message, size, now(), &tsig), TSIG_GOOD);
  assert_int_equal(tsig.original_id, 0x1234);
}

static void message_out_of_time_is_told_with_our_time_and_a_signature(void **state) {
  (void)state;
  uint8_t message[ROOM], reply[ROOM];
  struct tsig_mac mac;
  struct tsig tsig, verified;
  uint64_t then = 1700000000;
  size_t size = make_signed(message, then, &mac);
  assert_int_equal(tsig_verify(keys, message, size, then + 300, &tsig), TSIG_GOOD);
  assert_int_equal(tsig_verify(keys, message, size, then - 300, &tsig), TSIG_GOOD);
  assert_int_equal(tsig_verify(keys, message, size, then - 301, &tsig), TSIG_BADTIME);
  assert_int_equal(tsig_verify(keys, message, size, then + 301, &tsig), TSIG_BADTIME);
  expect_error(&tsig, TSIG_ERROR_BADTIME, 32);
  size = tsig_sign_reply(&tsig, reply, make_query(reply), ROOM, then + 301);
  ldns_pkt *packet = decode(reply, size);
  assert_memory_equal(ldns_rdf_data(field(packet, FIELD_OTHER)), "\0\6\0\0\x65\x53\xf2\x2d", 8);
  ldns_pkt_free(packet);
  assert_int_equal(tsig_verify_reply(&key, &mac, reply, size, then, &verified), TSIG_GOOD);
  assert_int_equal(verified.error, TSIG_ERROR_BADTIME);
}

/* Cuts the MAC of a message that we signed, whose record ends with MAC, original id, error and other size. */
static size_t cut_mac(uint8_t *message, size_t size, size_t whole, size_t left) {
  size_t mac_at = size - 6 - whole, cut = whole - left;
  wire_set_u16(message + mac_at - 2, (uint16_t)left);
  memmove(message + mac_at + left, message + mac_at + whole, 6);
  size_t data_at = mac_at - 2 - 8 - (whole == 20 ? 11 : 13);
  wire_set_u16(message + data_at - 2, (uint16_t)(wire_get_u16(message + data_at - 2) - cut));
  return size - cut;
}

static enum tsig_verdict verdict_on_cut(uint32_t index, size_t whole, size_t left, struct tsig *tsig) {
  uint8_t message[ROOM];
  struct tsig_key used;
  struct tsig_mac mac;
  assert_int_equal(tsig_key_read(&config_keys[index], index, &used, NULL), STATUS_OK);
  size_t size = tsig_sign_query(&used, message, make_query(message), ROOM, now(), &mac);
  size = cut_mac(message, size, whole, left);
  return tsig_verify(keys, message, size, now(), tsig);
}

static void truncated_mac_is_taken_down_to_half_and_128_bits(void **state) {
  (void)state;
  struct tsig tsig;
  assert_int_equal(verdict_on_cut(0, 32, 32, &tsig), TSIG_GOOD);
  assert_int_equal(verdict_on_cut(0, 32, 16, &tsig), TSIG_GOOD);
  assert_int_equal(verdict_on_cut(0, 32, 15, &tsig), TSIG_FORMERR);
  assert_int_equal(tsig_reply_size(&tsig), 0);
  assert_int_equal(tsig_rcode(TSIG_FORMERR), RCODE_FORMERR);
  assert_int_equal(verdict_on_cut(0, 32, 0, &tsig), TSIG_FORMERR);
  assert_int_equal(verdict_on_cut(1, 20, 16, &tsig), TSIG_GOOD);
  assert_int_equal(verdict_on_cut(1, 20, 9, &tsig), TSIG_FORMERR);
  assert_int_equal(verdict_on_cut(1, 20, 12, &tsig), TSIG_BADTRUNC);
  expect_error(&tsig, TSIG_ERROR_BADTRUNC, 20);
}

static void record_in_the_wrong_place_or_form_is_malformed(void **state) {
  (void)state;
  uint8_t message[ROOM], twice[2 * ROOM];
  struct tsig_mac mac;
  struct tsig tsig;
  size_t size = make_signed(message, now(), &mac);
  size_t record = size - QUERY_SIZE, owner = sizeof "\3key\7example";
  assert_int_equal(tsig_verify(keys, message, size - 1, now(), &tsig), TSIG_FORMERR);

  memcpy(twice, message, size);
  memcpy(twice + size, message + QUERY_SIZE, record);
  wire_set_u16(twice + 10, 2);
  assert_int_equal(tsig_verify(keys, twice, size + record, now(), &tsig), TSIG_FORMERR);
  twice[size] = 0;
  assert_int_equal(tsig_verify(keys, message, size, now(), &tsig), TSIG_GOOD);
  wire_set_u16(twice + 10, 1);
  assert_int_equal(tsig_verify(keys, twice, size + 1, now(), &tsig), TSIG_FORMERR);

  memcpy(twice, message, size); /* in the answer section */
  wire_set_u16(twice + 6, 1);
  wire_set_u16(twice + 10, 0);
  assert_int_equal(tsig_verify(keys, twice, size, now(), &tsig), TSIG_FORMERR);
  memcpy(twice, message, size); /* class IN */
  wire_set_u16(twice + QUERY_SIZE + owner + 2, CLASS_IN);
  assert_int_equal(tsig_verify(keys, twice, size, now(), &tsig), TSIG_FORMERR);
  memcpy(twice, message, size); /* TTL 1 */
  twice[QUERY_SIZE + owner + 7] = 1;
  assert_int_equal(tsig_verify(keys, twice, size, now(), &tsig), TSIG_FORMERR);
  assert_int_equal(tsig_verify(keys, query, QUERY_SIZE, now(), &tsig), TSIG_NONE);
  assert_int_equal(tsig_verify(keys, query, 11, now(), &tsig), TSIG_FORMERR);
}

static void nothing_is_written_without_room(void **state) {
  (void)state;
  uint8_t message[ROOM];
  struct tsig_mac mac;
  struct tsig tsig;
  size_t size = make_signed(message, now(), &mac);
  assert_int_equal(tsig_verify(keys, message, size, now(), &tsig), TSIG_GOOD);
  size_t needed = QUERY_SIZE + tsig_reply_size(&tsig);
  assert_int_equal(tsig_sign_reply(&tsig, message, make_query(message), needed - 1, now()), 0);
  assert_memory_equal(message, query, WIRE_HEADER_SIZE);
  assert_int_equal(tsig_sign_reply(&tsig, message, make_query(message), needed, now()), needed);
  assert_int_equal(tsig_sign_query(&key, message, make_query(message), QUERY_SIZE + 20, now(), &mac), 0);
}

static void secret_must_be_base64(void **state) {
  (void)state;
  struct errbuf err = {""};
  struct tsig_key out;
  struct config_key config = {.name = "k.example", .secret = "not base64!"};
  assert_int_equal(tsig_key_read(&config, 0, &out, &err), STATUS_INVALID);
  assert_string_equal(err.text, "key k.example: the secret is no base64");
  config.secret = "";
  assert_int_equal(tsig_key_read(&config, 0, &out, &err), STATUS_INVALID);
  assert_null(tsig_keys_new(&config, 1, &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(query_signed_by_ldns_is_good),
      cmocka_unit_test(query_of_ours_is_good_to_ldns),
      cmocka_unit_test(mac_is_the_known_one_for_each_algorithm),
      cmocka_unit_test(reply_is_good_to_who_has_the_request_mac),
      cmocka_unit_test(reply_of_ldns_is_verified_with_our_request),
      cmocka_unit_test(stream_is_good_to_ldns_message_by_message),
      cmocka_unit_test(stream_of_ldns_is_good_message_by_message),
      cmocka_unit_test(unsigned_messages_are_covered_by_the_next_signed_one),
      cmocka_unit_test(stream_may_not_begin_unsigned_nor_go_on_so_for_ever),
      cmocka_unit_test(stream_without_a_key_passes_as_it_is),
      cmocka_unit_test(unknown_key_is_told_without_a_signature),
      cmocka_unit_test(altered_message_is_told_without_a_signature),
      cmocka_unit_test(another_id_on_the_way_does_no_harm),
      cmocka_unit_test(message_out_of_time_is_told_with_our_time_and_a_signature),
      cmocka_unit_test(truncated_mac_is_taken_down_to_half_and_128_bits),
      cmocka_unit_test(record_in_the_wrong_place_or_form_is_malformed),
      cmocka_unit_test(nothing_is_written_without_room),
      cmocka_unit_test(secret_must_be_base64),
  };
  return cmocka_run_group_tests_name("tsig", tests, set_up, tear_down);
}
