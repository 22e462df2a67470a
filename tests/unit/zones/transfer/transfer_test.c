#include "zones/transfer/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <poll.h>
#include <sys/socket.h>
#include <urcu-qsbr.h>

#include "tests/unit/zones/transfer/shared_book.h"
#include "zones/transfer/transfer_answer.h"

#define SOA "example.com. 300 IN SOA ns1.example.com. admin.example.com. 7 3600 600 86400 60\n"

static const char zone_text[] =
    "$TTL 300\n@ SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\n@ NS ns2.sub\n@ MX 10 Mail\nns1 A 192.0.2.1\n"
    "Mail A 192.0.2.3\nalias CNAME mail\nold DNAME wild\n*.wild TXT \"any\"\ncut NS ns.cut\nns.cut A 192.0.2.9\n"
    "cut DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000\ncut TXT \"hidden\"\n"
    "sub DS 2 8 2 0000000000000000000000000000000000000000000000000000000000000000\nodd TYPE65280 \\# 2 C00C\n"
    "www TXT \"beside\"\n_s._tcp SRV 0 0 1 mail\n";
static const char child_text[] = "$TTL 60\n@ SOA ns2 admin 1 3600 600 86400 60\n@ NS ns2\n@ NS ns1.example.com.\n"
                                 "ns2 A 192.0.2.2\nns2 AAAA 2001:db8::2\nother A 192.0.2.4\n";
static const char services_text[] =
    "services:\n"
    "  - {name: www.example.com, srv: _http._tcp, ttl: {max: 50s, min: 5s}, members: [{name: a, addresses: "
    "[127.0.0.11, \"::1\"], srv_port: 80}, {name: b, addresses: [127.0.0.12], srv_port: 81, weight: 3}]}\n";

#define STATIC_TEXT                                                                                                    \
  "*.wild.example.com. 300 IN TXT \"any\"\n_s._tcp.example.com. 300 IN SRV 0 0 1 mail.example.com.\n"                  \
  "alias.example.com. 300 IN CNAME mail.example.com.\n"                                                                \
  "cut.example.com. 300 IN DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000\n"                \
  "cut.example.com. 300 IN NS ns.cut.example.com.\nexample.com. 300 IN MX 10 Mail.example.com.\n"                      \
  "example.com. 300 IN NS ns1.example.com.\nexample.com. 300 IN NS ns2.sub.example.com.\n" SOA SOA                     \
  "mail.example.com. 300 IN A 192.0.2.3\nns.cut.example.com. 300 IN A 192.0.2.9\nns1.example.com. 300 IN A "           \
  "192.0.2.1\n"                                                                                                        \
  "ns2.sub.example.com. 60 IN A 192.0.2.2\nns2.sub.example.com. 60 IN AAAA 2001:db8::2\n"                              \
  "odd.example.com. 300 IN TYPE65280 \\# 2 c00c\nold.example.com. 300 IN DNAME wild.example.com.\n"                    \
  "sub.example.com. 300 IN DS 2 8 2 0000000000000000000000000000000000000000000000000000000000000000\n"                \
  "sub.example.com. 60 IN NS ns1.example.com.\nsub.example.com. 60 IN NS ns2.sub.example.com.\n"

static struct shared_texts texts;

static void make_with(struct shared_book *shared, const char *options) {
  const struct shared_zone zones[] = {{"example.com", zone_text, options}, {"sub.example.com", child_text, options}};
  shared_book_make(shared, zones, 2, services_text);
}

struct asked { /* how a query goes out */
  const char *name;
  ldns_rr_type type;
  uint32_t serial; /* of IXFR */
  const char *key; /* NULL: unsigned */
  const char *peer;
};

static uint8_t *write_query(const struct asked *asked, size_t *size, ldns_rdf **mac) {
  ldns_pkt *packet = ldns_pkt_query_new(ldns_dname_new_frm_str(asked->name), asked->type, LDNS_RR_CLASS_IN, 0);
  uint8_t *wire;
  ldns_pkt_set_id(packet, 4711);
  if (asked->type == LDNS_RR_TYPE_IXFR) {
    char soa[256];
    ldns_rr *record;
    snprintf(soa, sizeof soa, "%s 300 IN SOA . . %u 1 1 1 1", asked->name, asked->serial);
    assert_int_equal(ldns_rr_new_frm_str(&record, soa, 0, NULL, NULL), LDNS_STATUS_OK);
    ldns_pkt_push_rr(packet, LDNS_SECTION_AUTHORITY, record);
  }
  if (asked->key)
    assert_int_equal(ldns_pkt_tsig_sign(packet, asked->key, SHARED_SECRET, 300, "hmac-sha256.", NULL), LDNS_STATUS_OK);
  assert_int_equal(ldns_pkt2wire(&wire, packet, size), LDNS_STATUS_OK);
  if (mac)
    *mac = asked->key ? ldns_rdf_clone(ldns_rr_rdf(ldns_pkt_tsig(packet), 3)) : NULL;
  ldns_pkt_free(packet);
  return wire;
}

/* Verifies the message as the next one behind *mac, which it replaces. */
static void check_signature(ldns_pkt *packet, const uint8_t *wire, size_t size, const char *key, ldns_rdf **mac,
                            bool is_first) {
  assert_true(ldns_pkt_tsig_verify_next(packet, wire, size, key, SHARED_SECRET, *mac, !is_first));
  ldns_rdf_deep_free(*mac);
  *mac = ldns_rdf_clone(ldns_rr_rdf(ldns_pkt_tsig(packet), 3));
}

/* Adds the message's records to texts; returns its rcode. */
static ldns_pkt_rcode read_message(const uint8_t *wire, size_t size, const struct asked *asked, ldns_rdf **mac,
                                   bool is_first) {
  ldns_pkt *packet;
  assert_int_equal(ldns_wire2pkt(&packet, wire, size), LDNS_STATUS_OK);
  assert_int_equal(ldns_pkt_id(packet), 4711);
  assert_int_equal(ldns_pkt_qdcount(packet), is_first);
  ldns_pkt_rcode rcode = ldns_pkt_get_rcode(packet);
  assert_int_equal(ldns_pkt_aa(packet), rcode == LDNS_RCODE_NOERROR);
  for (size_t i = 0; i < ldns_pkt_ancount(packet); i++)
    shared_texts_add_rr(&texts, ldns_rr_list_rr(ldns_pkt_answer(packet), i));
  if (*mac)
    check_signature(packet, wire, size, asked->key, mac, is_first);
  ldns_pkt_free(packet);
  return rcode;
}

/* Asks the book; texts hold the answer's records. */
static ldns_pkt_rcode ask(const struct shared_book *shared, struct differences *differences,
                          const struct asked *asked) {
  struct transfer_answer answer;
  struct addr peer = {0};
  size_t size;
  ldns_rdf *mac;
  ldns_pkt_rcode rcode = LDNS_RCODE_NOERROR;
  uint8_t *query = write_query(asked, &size, &mac);
  assert_int_equal(addr_parse(asked->peer ? asked->peer : "127.0.0.1", &peer), STATUS_OK);
  uint64_t now_s = (uint64_t)time(NULL);
  assert_true(transfer_answer_make(&answer, shared->book, differences, query, size, &peer, now_s));
  for (struct transfer_message *message = answer.messages.first; message; message = message->next) {
    size = transfer_answer_sign(&answer, message, now_s);
    assert_in_range(size, WIRE_HEADER_SIZE, WIRE_MESSAGE_MOST);
    rcode = read_message(message->bytes, size, asked, &mac, message == answer.messages.first);
  }
  transfer_answer_release(&answer);
  ldns_rdf_deep_free(mac);
  free(query);
  return rcode;
}

static void expect_refused(const struct shared_book *shared, const struct asked *asked, ldns_pkt_rcode rcode) {
  assert_int_equal(ask(shared, NULL, asked), rcode);
  assert_int_equal(texts.count, 0);
}

static void whole_zone_has_glue_and_delegations_and_no_balanced_names(void **state) {
  (void)state;
  struct shared_book shared;
  make_with(&shared, ", transfer: {allow: [127.0.0.0/8]}");
  const struct asked asked = {.name = "Example.COM.", .type = LDNS_RR_TYPE_AXFR};
  assert_int_equal(ask(&shared, NULL, &asked), LDNS_RCODE_NOERROR);
  assert_string_equal(texts.lines[0], SOA);
  assert_string_equal(texts.lines[texts.count - 1], SOA);
  assert_string_equal(shared_texts_end(&texts, true), STATIC_TEXT "www.example.com. 300 IN TXT \"beside\"\n");
  shared_book_release(&shared);
}

static void child_zone_leaves_its_ds_to_the_parent(void **state) {
  (void)state;
  struct shared_book shared;
  make_with(&shared, ", transfer: {allow: [127.0.0.0/8]}");
  const struct asked asked = {.name = "sub.example.com.", .type = LDNS_RR_TYPE_AXFR};
  assert_int_equal(ask(&shared, NULL, &asked), LDNS_RCODE_NOERROR);
  assert_int_equal(texts.count, 7);
  assert_null(strstr(shared_texts_end(&texts, true), " DS "));
  shared_book_release(&shared);
}

static void frozen_names_have_all_configured_members_once(void **state) {
  (void)state;
  struct shared_book shared;
  make_with(&shared, ", transfer: {allow: [127.0.0.0/8], balanced: freeze}");
  const struct asked asked = {.name = "example.com.", .type = LDNS_RR_TYPE_AXFR};
  assert_int_equal(ask(&shared, NULL, &asked), LDNS_RCODE_NOERROR);
  const char *text = shared_texts_end(&texts, true);
  const char *www = strstr(text, "www.example.com. 300 IN TXT");
  assert_string_equal(www, "www.example.com. 300 IN TXT \"beside\"\nwww.example.com. 50 IN A 127.0.0.11\n"
                           "www.example.com. 50 IN A 127.0.0.12\nwww.example.com. 50 IN AAAA ::1\n");
  assert_non_null(strstr(text, "_http._tcp.www.example.com. 50 IN SRV 0 1 80 a.www.example.com.\n"));
  assert_non_null(strstr(text, "_http._tcp.www.example.com. 50 IN SRV 0 3 81 b.www.example.com.\n"));
  assert_non_null(strstr(text, "b.www.example.com. 50 IN A 127.0.0.12\n"));
  shared_book_release(&shared);
}

static void who_may_not_is_refused(void **state) {
  (void)state;
  struct shared_book nobody, network, both, key;
  make_with(&nobody, "");
  make_with(&network, ", transfer: {allow: [127.1.0.0/16]}");
  make_with(&both, ", transfer: {allow: [127.1.0.0/16], keys: [first.key]}");
  make_with(&key, ", transfer: {keys: [first.key]}");
  struct asked asked = {.name = "example.com.", .type = LDNS_RR_TYPE_AXFR, .peer = "127.1.0.1"};
  struct asked with_key = asked, with_other = asked, from_else = asked;
  with_key.key = "first.key.";
  with_other.key = "second.key.";
  from_else.key = "first.key.";
  from_else.peer = "127.2.0.1";
  expect_refused(&nobody, &asked, LDNS_RCODE_REFUSED);
  expect_refused(&nobody, &with_key, LDNS_RCODE_REFUSED);
  expect_refused(&network, &from_else, LDNS_RCODE_REFUSED);
  expect_refused(&both, &asked, LDNS_RCODE_REFUSED);
  expect_refused(&both, &with_other, LDNS_RCODE_REFUSED);
  expect_refused(&both, &from_else, LDNS_RCODE_REFUSED);
  expect_refused(&key, &asked, LDNS_RCODE_REFUSED);
  assert_int_equal(ask(&network, NULL, &asked), LDNS_RCODE_NOERROR);
  assert_int_equal(ask(&both, NULL, &with_key), LDNS_RCODE_NOERROR);
  assert_int_equal(ask(&key, NULL, &from_else), LDNS_RCODE_NOERROR);
  assert_int_equal(texts.count, 3 * 21);
  shared_texts_end(&texts, false);
  shared_book_release(&nobody);
  shared_book_release(&network);
  shared_book_release(&both);
  shared_book_release(&key);
}

static void names_that_are_no_zone_are_not_ours(void **state) {
  (void)state;
  struct shared_book shared;
  make_with(&shared, ", transfer: {allow: [127.0.0.0/8]}");
  expect_refused(&shared, &(struct asked){.name = "mail.example.com.", .type = LDNS_RR_TYPE_AXFR}, LDNS_RCODE_NOTAUTH);
  expect_refused(&shared, &(struct asked){.name = "example.net.", .type = LDNS_RR_TYPE_AXFR}, LDNS_RCODE_NOTAUTH);
  shared_book_release(&shared);
}

/* Asks by a query that ldns signed with a key that we do not have. */
static void unknown_key_is_told(void **state) {
  (void)state;
  struct shared_book shared;
  struct transfer_answer answer;
  struct addr peer = {.family = 4, .bytes = {127, 0, 0, 1}};
  const struct asked asked = {.name = "example.com.", .type = LDNS_RR_TYPE_AXFR, .key = "third.key."};
  size_t size;
  make_with(&shared, ", transfer: {allow: [127.0.0.0/8]}");
  uint8_t *query = write_query(&asked, &size, NULL);
  uint64_t now_s = (uint64_t)time(NULL);
  assert_true(transfer_answer_make(&answer, shared.book, NULL, query, size, &peer, now_s));
  assert_int_equal(answer.rcode, RCODE_NOTAUTH);
  size = transfer_answer_sign(&answer, answer.messages.first, now_s);
  ldns_pkt *packet;
  assert_int_equal(ldns_wire2pkt(&packet, answer.messages.first->bytes, size), LDNS_STATUS_OK);
  assert_int_equal(ldns_pkt_ancount(packet), 0);
  assert_int_equal(ldns_rdf2native_int16(ldns_rr_rdf(ldns_pkt_tsig(packet), 5)), TSIG_ERROR_BADKEY);
  ldns_pkt_free(packet);
  free(query);
  query = write_query(&(struct asked){.name = "example.com.", .type = LDNS_RR_TYPE_AXFR}, &size, NULL);
  query[2] |= 0x80;
  transfer_answer_release(&answer);
  assert_false(transfer_answer_make(&answer, shared.book, NULL, query, size, &peer, now_s));
  free(query);
  shared_book_release(&shared);
}

static void large_zone_takes_many_messages_all_signed(void **state) {
  (void)state;
  struct shared_book shared;
  const size_t count = 400;
  char *text = malloc(400 * 1000 + 1000), *at = text;
  at = stpcpy(at, "$TTL 300\n@ SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n");
  for (size_t i = 0; i < count; i++) {
    at += sprintf(at, "n%zu TXT", i);
    for (int j = 0; j < 3; j++)
      at += sprintf(at, " \"%0200zu\"", i);
    at = stpcpy(at, "\n");
  }
  const struct shared_zone zone = {"example.com", text, ", transfer: {keys: [first.key]}"};
  shared_book_make(&shared, &zone, 1, "");
  const struct asked asked = {.name = "example.com.", .type = LDNS_RR_TYPE_AXFR, .key = "first.key."};
  assert_int_equal(ask(&shared, NULL, &asked), LDNS_RCODE_NOERROR);
  assert_int_equal(texts.count, count + 4);
  for (size_t i = 0; i < texts.count; i++)
    free(texts.lines[i]);
  texts.count = 0;
  shared_book_release(&shared);
  free(text);
}

static void ixfr_gives_steps_or_the_soa_or_the_whole_zone(void **state) {
  (void)state;
  struct shared_book old, fresh;
  struct differences *differences = differences_new();
  char *newer = mem_strdup(zone_text), *serial = strstr(newer, "admin 7");
  serial[6] = '9';
  const struct shared_zone child = {"sub.example.com", child_text, ""};
  const struct shared_zone before[] = {{"example.com", zone_text, ", transfer: {allow: [127.0.0.0/8]}"}, child};
  const struct shared_zone after[] = {{"example.com", newer, ", transfer: {allow: [127.0.0.0/8]}"}, child};
  shared_book_make(&old, before, 2, "");
  shared_book_make(&fresh, after, 2, "");
  differences_follow(differences, old.book, fresh.book);
  struct asked asked = {.name = "example.com.", .type = LDNS_RR_TYPE_IXFR, .serial = 7};
  static const char new_soa[] = "example.com. 300 IN SOA ns1.example.com. admin.example.com. 9 3600 600 86400 60\n";
  char expected[1024];
  snprintf(expected, sizeof expected, "%s%s%s%s", new_soa, SOA, new_soa, new_soa);
  assert_int_equal(ask(&fresh, differences, &asked), LDNS_RCODE_NOERROR);
  assert_string_equal(shared_texts_end(&texts, false), expected);
  for (asked.serial = 9; asked.serial < 12; asked.serial++) {
    assert_int_equal(ask(&fresh, differences, &asked), LDNS_RCODE_NOERROR);
    assert_string_equal(shared_texts_end(&texts, false), new_soa);
  }
  asked.serial = 6;
  assert_int_equal(ask(&fresh, differences, &asked), LDNS_RCODE_NOERROR);
  assert_string_equal(texts.lines[0], new_soa);
  assert_string_equal(texts.lines[texts.count - 1], new_soa);
  assert_true(texts.count > 15);
  shared_texts_end(&texts, false);
  differences_free(differences);
  shared_book_release(&old);
  shared_book_release(&fresh);
  free(newer);
}

static void ixfr_without_its_soa_is_malformed(void **state) {
  (void)state;
  struct shared_book shared;
  struct transfer_answer answer;
  struct addr peer = {.family = 4, .bytes = {127, 0, 0, 1}};
  size_t size;
  make_with(&shared, ", transfer: {allow: [127.0.0.0/8]}");
  uint8_t *query = write_query(&(struct asked){.name = "example.com.", .type = LDNS_RR_TYPE_AXFR}, &size, NULL);
  query[size - 3] = 251;
  assert_true(transfer_answer_make(&answer, shared.book, NULL, query, size, &peer, 1));
  assert_int_equal(answer.rcode, RCODE_FORMERR);
  assert_int_equal(answer.messages.first->size, size);
  transfer_answer_release(&answer);
  free(query);
  shared_book_release(&shared);
}

/* The service itself */

static bool receive(int fd, uint8_t *out, size_t size) {
  for (size_t got = 0; got < size;) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 10000), 1);
    ssize_t more = recv(fd, out + got, size - got, 0);
    if (more <= 0)
      return false;
    got += (size_t)more;
  }
  return true;
}

static struct transfers *start(const struct shared_book *shared, uint32_t waiting_most) {
  static struct book *current;
  struct errbuf err;
  current = shared->book;
  const struct transfers_options options = {.book = &current,
                                            .threads = 1,
                                            .waiting_most = waiting_most,
                                            .write_ms = 10000,
                                            .total_ms = 20000};
  struct transfers *transfers = transfers_new(&options, &err);
  assert_non_null(transfers);
  return transfers;
}

static void connection_is_answered_and_closed(void **state) {
  (void)state;
  struct shared_book shared;
  int ends[2];
  size_t size;
  ldns_rdf *mac;
  struct addr peer = {.family = 4, .bytes = {127, 0, 0, 1}};
  const struct asked asked = {.name = "example.com.", .type = LDNS_RR_TYPE_AXFR, .key = "first.key."};
  make_with(&shared, ", transfer: {keys: [first.key]}");
  struct transfers *transfers = start(&shared, 4);
  uint8_t *query = write_query(&asked, &size, &mac), length[2], message[WIRE_MESSAGE_MOST];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  assert_true(transfers_take(transfers, ends[0], query, size, &peer));
  close(ends[0]);
  assert_true(receive(ends[1], length, sizeof length));
  assert_true(receive(ends[1], message, wire_get_u16(length)));
  assert_int_equal(read_message(message, wire_get_u16(length), &asked, &mac, true), LDNS_RCODE_NOERROR);
  assert_false(receive(ends[1], length, 1));
  close(ends[1]);
  assert_string_equal(shared_texts_end(&texts, true), STATIC_TEXT "www.example.com. 300 IN TXT \"beside\"\n");
  assert_int_equal(transfers_counts(transfers)->whole, 1);
  transfers_free(transfers);
  ldns_rdf_deep_free(mac);
  free(query);
  shared_book_release(&shared);
}

static void more_than_may_wait_are_not_taken(void **state) {
  (void)state;
  struct shared_book shared;
  int ends[2];
  make_with(&shared, "");
  struct transfers *transfers = start(&shared, 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  assert_false(transfers_take(transfers, ends[0], (const uint8_t *)"", 0, &(struct addr){.family = 4}));
  assert_int_equal(transfers_counts(transfers)->busy, 1);
  close(ends[0]);
  close(ends[1]);
  transfers_free(transfers);
  shared_book_release(&shared);
}

static void peer_that_does_not_read_holds_nothing_up(void **state) {
  (void)state;
  struct shared_book shared;
  int ends[2], small = 4096;
  size_t size;
  char *text = malloc(300 * 1000 + 1000), *at = text;
  at = stpcpy(at, "$TTL 300\n@ SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n");
  for (unsigned i = 0; i < 1000; i++)
    at += sprintf(at, "n%u TXT \"%0200u\"\n", i, i);
  const struct shared_zone zone = {"example.com", text, ", transfer: {allow: [127.0.0.0/8]}"};
  shared_book_make(&shared, &zone, 1, "");
  struct transfers *transfers = start(&shared, 1);
  uint8_t *query = write_query(&(struct asked){.name = "example.com.", .type = LDNS_RR_TYPE_AXFR}, &size, NULL);
  uint8_t first[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  assert_true(transfers_take(transfers, ends[0], query, size, &(struct addr){.family = 4, .bytes = {127}}));
  close(ends[0]);
  assert_true(receive(ends[1], first, sizeof first));
  transfers_free(transfers); /* ends though the peer would have had ten seconds */
  close(ends[1]);
  free(query);
  free(text);
  shared_book_release(&shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_zone_has_glue_and_delegations_and_no_balanced_names),
      cmocka_unit_test(child_zone_leaves_its_ds_to_the_parent),
      cmocka_unit_test(frozen_names_have_all_configured_members_once),
      cmocka_unit_test(who_may_not_is_refused),
      cmocka_unit_test(names_that_are_no_zone_are_not_ours),
      cmocka_unit_test(unknown_key_is_told),
      cmocka_unit_test(large_zone_takes_many_messages_all_signed),
      cmocka_unit_test(ixfr_gives_steps_or_the_soa_or_the_whole_zone),
      cmocka_unit_test(ixfr_without_its_soa_is_malformed),
      cmocka_unit_test(connection_is_answered_and_closed),
      cmocka_unit_test(more_than_may_wait_are_not_taken),
      cmocka_unit_test(peer_that_does_not_read_holds_nothing_up),
  };
  return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
