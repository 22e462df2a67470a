#include "zones/answer/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "tests/unit/zones/small_book.h"
#include "zones/message/wire.h"

static const char zone_text[] =
    "$ORIGIN example.com.\n$TTL 300\n"
    "@ SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\n@ NS ns2\n@ MX 10 post\n"
    "ns1 A 192.0.2.1\nns2 AAAA 2001:db8::2\npost A 192.0.2.3\nwww TXT \"beside\"\nalias CNAME www\nchain CNAME alias\n"
    "loop CNAME pool\npool CNAME loop\naway CNAME www.example.net.\ndangling CNAME nothing\ntofull CNAME "
    "_http._tcp.full\n*.wild TXT \"any\"\n"
    "*.wildc CNAME alias\ndeep.under.here TXT \"x\"\nsub NS ns.sub\nsub DS 1 8 2 "
    "0000000000000000000000000000000000000000000000000000000000000000\nns.sub A 192.0.2.9\n"
    "old DNAME wild\n"
    "big TXT "
    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n"
    "big TXT "
    "\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"\n"
    "big TXT \"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\"\n"
    "big TXT \"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\"\n"
    "big TXT "
    "\"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\"\n";

static const char services_text[] =
    "sites: [{name: fra}, {name: nyc}]\n"
    "networks: [{network: 192.0.2.0/24, sites: [fra, nyc]}, {network: 192.0.2.128/25, sites: [nyc]}, {network: "
    "\"2001:db8::/32\", sites: [nyc, fra]}]\n"
    "services:\n"
    "  - {name: www.example.com, answers: 1, srv: _http._tcp, ttl: {max: 30s, min: 5s}, members: [{name: a, "
    "addresses: [127.0.0.11, \"::1\"], srv_port: 80}, {name: b, addresses: [127.0.0.12], srv_port: 81, weight: 3}]}\n"
    "  - {name: full.example.com, srv: _http._tcp, ttl: {max: 30s, min: 5s}, members: [{name: m0, addresses: "
    "[127.0.1.1], srv_port: 80}, {name: m1, addresses: [127.0.1.2, 127.0.1.3, \"::11\"], srv_port: 80}, {name: m2, "
    "addresses: [127.0.1.4, \"::12\", \"::13\"], srv_port: 80}, {name: m3, addresses: [127.0.1.5, 127.0.1.6], "
    "srv_port: "
    "80}]}\n"
    "  - {name: turn.example.com, answers: 2, method: round_robin, members: [{name: a, addresses: [127.0.0.21]}, "
    "{name: b, addresses: [127.0.0.22]}, {name: c, addresses: [127.0.0.23]}]}\n"
    "  - {name: mail.example.com, answer: mx, srv_priority: 10, members: [{name: m1, addresses: [127.0.0.41]}, {name: "
    "m2, "
    "addresses: [127.0.0.42], target: relay.example.net}]}\n"
    "  - {name: cdn.example.com, answer: cname, members: [{name: one, addresses: [127.0.0.51], target: "
    "alias.example.com}]}\n"
    "  - {name: web.example.com, answers: 1, https: {alpn: [h2, h3], port: 8443}, members: [{name: a, addresses: "
    "[127.0.0.61, \"::61\"]}]}\n"
    "  - {name: _dns.example.com, svcb: {alpn: [dot]}, members: [{name: a, addresses: [127.0.0.62], srv_port: 853}]}\n"
    "  - {name: near.example.com, nearest: true, answers: 1, members: [{name: f, site: fra, addresses: [127.0.0.71]}, "
    "{name: n, site: nyc, addresses: [127.0.0.72]}]}\n"
    "  - {name: \"*.app.example.com\", method: all, members: [{name: a, addresses: [127.0.0.31]}, {name: b, addresses: "
    "[127.0.0.32]}]}\n";

static struct small_book small;

static int set_up(void **state) {
  (void)state;
  small_book_make(&small, services_text, zone_text);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  small_book_release(&small);
  return 0;
}

/* Asks by ldns, answers by ours, reads the reply by ldns. */
static ldns_pkt *ask_over(const char *name, ldns_rr_type type, uint16_t edns, bool is_udp) {
  static uint8_t reply[WIRE_MESSAGE_MOST];
  ldns_pkt *packet = ldns_pkt_query_new(ldns_dname_new_frm_str(name), type, LDNS_RR_CLASS_IN, LDNS_RD);
  if (edns)
    ldns_pkt_set_edns_udp_size(packet, edns);
  uint8_t *wire;
  size_t size;
  assert_int_equal(ldns_pkt2wire(&wire, packet, &size), LDNS_STATUS_OK);
  ldns_pkt_free(packet);
  struct query query;
  struct client client = {.is_udp = is_udp};
  assert_int_equal(query_parse(wire, size, &query), QUERY_FINE);
  size_t length = answer_query(&small.answerer, small.book, &query, &client, reply, sizeof reply);
  free(wire);
  assert_int_equal(ldns_wire2pkt(&packet, reply, length), LDNS_STATUS_OK);
  return packet;
}

static ldns_pkt *ask(const char *name, ldns_rr_type type) {
  return ask_over(name, type, 1232, true);
}

/* The records of a section as one text, "owner ttl class type data|…", in order. */
static const char *section_text(ldns_rr_list *list) {
  static char texts[4][4096];
  static int next;
  char *text = texts[next++ % 4];
  text[0] = '\0';
  for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
    char *record = ldns_rr2str(ldns_rr_list_rr(list, i));
    for (char *at = record; *at; at++)
      if (*at == '\t')
        *at = ' ';
    record[strcspn(record, "\n")] = '\0';
    strcat(strcat(text, i ? "|" : ""), record);
    free(record);
  }
  return text;
}

static void expect(ldns_pkt *packet, ldns_pkt_rcode rcode, bool is_authoritative, const char *answer,
                   const char *authority, const char *additional) {
  assert_int_equal(ldns_pkt_get_rcode(packet), rcode);
  assert_int_equal(ldns_pkt_aa(packet), is_authoritative);
  assert_string_equal(section_text(ldns_pkt_answer(packet)), answer);
  assert_string_equal(section_text(ldns_pkt_authority(packet)), authority);
  if (additional)
    assert_string_equal(section_text(ldns_pkt_additional(packet)), additional);
  ldns_pkt_free(packet);
}

#define SOA "example.com. 60 IN SOA ns1.example.com. admin.example.com. 7 3600 600 86400 60"

static void static_records_come_with_their_addresses(void **state) {
  (void)state;
  expect(ask("example.com", LDNS_RR_TYPE_MX), LDNS_RCODE_NOERROR, true, "example.com. 300 IN MX 10 post.example.com.",
         "", "post.example.com. 300 IN A 192.0.2.3");
  expect(ask("example.com", LDNS_RR_TYPE_NS), LDNS_RCODE_NOERROR, true,
         "example.com. 300 IN NS ns1.example.com.|example.com. 300 IN NS ns2.example.com.", "",
         "ns1.example.com. 300 IN A 192.0.2.1|ns2.example.com. 300 IN AAAA 2001:db8::2");
}

static void absent_names_and_types_bring_the_soa(void **state) {
  (void)state;
  expect(ask("nothing.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NXDOMAIN, true, "", SOA, "");
  expect(ask("under.here.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NOERROR, true, "", SOA, "");
  expect(ask("post.example.com", LDNS_RR_TYPE_TXT), LDNS_RCODE_NOERROR, true, "", SOA, "");
}

static void names_outside_are_refused(void **state) {
  (void)state;
  expect(ask("www.example.net", LDNS_RR_TYPE_A), LDNS_RCODE_REFUSED, false, "", "", "");
  expect(ask("com", LDNS_RR_TYPE_A), LDNS_RCODE_REFUSED, false, "", "", "");
}

static void delegations_refer_with_glue(void **state) {
  (void)state;
  const char *ns = "sub.example.com. 300 IN NS ns.sub.example.com.", *glue = "ns.sub.example.com. 300 IN A 192.0.2.9";
  expect(ask("a.b.sub.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NOERROR, false, "", ns, glue);
  expect(ask("sub.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NOERROR, false, "", ns, glue);
  expect(ask("ns.sub.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NOERROR, false, "", ns, glue);
  ldns_pkt *packet = ask("sub.example.com", LDNS_RR_TYPE_DS);
  assert_true(ldns_pkt_aa(packet));
  assert_int_equal(ldns_pkt_ancount(packet), 1);
  ldns_pkt_free(packet);
}

static void aliases_are_followed_to_the_end(void **state) {
  (void)state;
  expect(ask("chain.example.com", LDNS_RR_TYPE_TXT), LDNS_RCODE_NOERROR, true,
         "chain.example.com. 300 IN CNAME alias.example.com.|alias.example.com. 300 IN CNAME www.example.com.|"
         "www.example.com. 300 IN TXT \"beside\"",
         "", "");
  expect(ask("dangling.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NXDOMAIN, true,
         "dangling.example.com. 300 IN CNAME nothing.example.com.", SOA, "");
  expect(ask("away.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NOERROR, true,
         "away.example.com. 300 IN CNAME www.example.net.", "", "");
  expect(ask("loop.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NOERROR, true,
         "loop.example.com. 300 IN CNAME pool.example.com.|pool.example.com. 300 IN CNAME loop.example.com.", "", "");
  ldns_pkt *packet = ask("chain.example.com", LDNS_RR_TYPE_A);
  assert_int_equal(ldns_pkt_ancount(packet), 3);
  ldns_pkt_free(packet);
}

static void wildcards_stand_for_names_that_are_not_there(void **state) {
  (void)state;
  expect(ask("x.y.wild.example.com", LDNS_RR_TYPE_TXT), LDNS_RCODE_NOERROR, true,
         "x.y.wild.example.com. 300 IN TXT \"any\"", "", "");
  expect(ask("x.wild.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NOERROR, true, "", SOA, "");
  expect(ask("wild.example.com", LDNS_RR_TYPE_TXT), LDNS_RCODE_NOERROR, true, "", SOA, "");
  expect(ask("x.wildc.example.com", LDNS_RR_TYPE_TXT), LDNS_RCODE_NOERROR, true,
         "x.wildc.example.com. 300 IN CNAME alias.example.com.|alias.example.com. 300 IN CNAME www.example.com.|"
         "www.example.com. 300 IN TXT \"beside\"",
         "", "");
}

static void dname_moves_what_is_below_it(void **state) {
  (void)state;
  expect(ask("q.old.example.com", LDNS_RR_TYPE_TXT), LDNS_RCODE_NOERROR, true,
         "old.example.com. 300 IN DNAME wild.example.com.|q.old.example.com. 300 IN CNAME q.wild.example.com.|"
         "q.wild.example.com. 300 IN TXT \"any\"",
         "", "");
  expect(ask("old.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NOERROR, true, "", SOA, "");
}

static void balanced_name_is_a_node_like_any_other(void **state) {
  (void)state;
  expect(ask("www.example.com", LDNS_RR_TYPE_TXT), LDNS_RCODE_NOERROR, true, "www.example.com. 300 IN TXT \"beside\"",
         "", "");
  expect(ask("www.example.com", LDNS_RR_TYPE_MX), LDNS_RCODE_NOERROR, true, "", SOA, "");
  expect(ask("www.example.com", LDNS_RR_TYPE_AAAA), LDNS_RCODE_NOERROR, true, "www.example.com. 30 IN AAAA ::1", "",
         "");
  expect(ask("nothing.www.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NXDOMAIN, true, "", SOA, "");
  expect(ask("turn.example.com", LDNS_RR_TYPE_AAAA), LDNS_RCODE_NOERROR, true, "", SOA, ""); /* max 60 s too */
}

static void round_robin_hands_out_each_member_equally(void **state) {
  (void)state;
  int seen[3] = {0};
  for (int i = 0; i < 300; i++) {
    ldns_pkt *packet = ask("turn.example.com", LDNS_RR_TYPE_A);
    assert_int_equal(ldns_pkt_ancount(packet), 2);
    for (size_t j = 0; j < 2; j++)
      seen[ldns_rdf_data(ldns_rr_rdf(ldns_rr_list_rr(ldns_pkt_answer(packet), j), 0))[3] - 21]++;
    ldns_pkt_free(packet);
  }
  for (int i = 0; i < 3; i++)
    assert_int_equal(seen[i], 200);
}

static void balanced_wildcard_answers_any_name_below(void **state) {
  (void)state;
  ldns_pkt *packet = ask("x.y.app.example.com", LDNS_RR_TYPE_A);
  assert_int_equal(ldns_pkt_ancount(packet), 2);
  ldns_pkt_free(packet);
}

static void srv_targets_resolve_and_come_along(void **state) {
  (void)state;
  ldns_pkt *packet = ask("_http._tcp.www.example.com", LDNS_RR_TYPE_SRV);
  const char *answer = section_text(ldns_pkt_answer(packet)), *additional = section_text(ldns_pkt_additional(packet));
  assert_non_null(strstr(answer, "_http._tcp.www.example.com. 30 IN SRV 0 1 80 a.www.example.com."));
  assert_non_null(strstr(answer, "_http._tcp.www.example.com. 30 IN SRV 0 3 81 b.www.example.com."));
  assert_non_null(strstr(additional, "a.www.example.com. 30 IN A 127.0.0.11"));
  assert_non_null(strstr(additional, "a.www.example.com. 30 IN AAAA ::1"));
  assert_non_null(strstr(additional, "b.www.example.com. 30 IN A 127.0.0.12"));
  ldns_pkt_free(packet);
  expect(ask("a.www.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NOERROR, true, "a.www.example.com. 30 IN A 127.0.0.11",
         "", "");
  expect(ask("b.www.example.com", LDNS_RR_TYPE_AAAA), LDNS_RCODE_NOERROR, true, "",
         "example.com. 30 IN SOA ns1.example.com. admin.example.com. 7 3600 600 86400 60", "");
}

/* Which member the SRV record names, "m0" to "m3". */
static int full_member(const ldns_pkt *packet, size_t record) {
  return ldns_rdf_data(ldns_rr_rdf(ldns_rr_list_rr(ldns_pkt_answer(packet), record), 3))[2] - '0';
}

/* The RRsets of the members' addresses, from that of first on, that fit into so many bytes one after the other. */
static const char *full_addresses(int first, size_t room) {
  static const struct {
    const char *text;
    size_t size;
  } rrsets[4][2] = {
      {{"m0.full.example.com. 30 IN A 127.0.1.1", 16}},
      {{"m1.full.example.com. 30 IN A 127.0.1.2|m1.full.example.com. 30 IN A 127.0.1.3", 32},
       {"m1.full.example.com. 30 IN AAAA ::11", 28}},
      {{"m2.full.example.com. 30 IN A 127.0.1.4", 16},
       {"m2.full.example.com. 30 IN AAAA ::12|m2.full.example.com. 30 IN AAAA ::13", 56}},
      {{"m3.full.example.com. 30 IN A 127.0.1.5|m3.full.example.com. 30 IN A 127.0.1.6", 32}},
  };
  static char text[1024];
  text[0] = '\0';
  for (int i = 0; i < 8; i++) {
    int member = (first + i / 2) % 4;
    if (!rrsets[member][i % 2].text || rrsets[member][i % 2].size > room)
      continue;
    room -= rrsets[member][i % 2].size;
    strcat(strcat(text, text[0] ? "|" : ""), rrsets[member][i % 2].text);
  }
  return text;
}

static void srv_answers_hold_all_members_whoever_comes_first(void **state) {
  (void)state;
  unsigned seen[4] = {0};
  uint64_t before = atomic_load(&small.answers[2]); /* of the first member of the second service */
  for (int i = 0; i < 100; i++) {
    ldns_pkt *packet = ask("_http._tcp.full.example.com", LDNS_RR_TYPE_SRV);
    int first = full_member(packet, 0);
    assert_int_equal(ldns_pkt_ancount(packet), 4);
    for (size_t k = 1; k < 4; k++)
      assert_int_equal(full_member(packet, k), (first + (int)k) % 4);
    assert_string_equal(section_text(ldns_pkt_additional(packet)), full_addresses(first, SIZE_MAX));
    seen[first]++;
    ldns_pkt_free(packet);
  }
  assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
  for (size_t member = 0; member < 4; member++)
    assert_int_equal(atomic_load(&small.answers[2 + member]), before + 100);
}

static void addresses_of_srv_targets_come_along_as_far_as_they_fit(void **state) {
  (void)state;
  /* header, question, four SRV records of these targets, OPT */
  const size_t others =
      12 + sizeof "_http._tcp.full.example.com" + 1 + 4 + 4 * (12 + 6 + sizeof "m0.full.example.com" + 1) + 11;
  for (uint16_t room = 0; room <= 200; room++) {
    uint16_t payload = small.answerer.udp_payload;
    small.answerer.udp_payload = (uint16_t)(others + room);
    ldns_pkt *packet = ask("_http._tcp.full.example.com", LDNS_RR_TYPE_SRV);
    small.answerer.udp_payload = payload;
    assert_false(ldns_pkt_tc(packet));
    assert_int_equal(ldns_pkt_ancount(packet), 4);
    assert_string_equal(section_text(ldns_pkt_additional(packet)), full_addresses(full_member(packet, 0), room));
    ldns_pkt_free(packet);
  }
}

static void srv_behind_an_alias_points_to_its_own_name(void **state) {
  (void)state;
  ldns_pkt *packet = ask("tofull.example.com", LDNS_RR_TYPE_SRV);
  assert_int_equal(ldns_pkt_ancount(packet), 5);
  for (size_t k = 1; k < 5; k++) {
    char *owner = ldns_rdf2str(ldns_rr_owner(ldns_rr_list_rr(ldns_pkt_answer(packet), k)));
    assert_string_equal(owner, "_http._tcp.full.example.com.");
    free(owner);
  }
  assert_string_equal(section_text(ldns_pkt_additional(packet)), full_addresses(full_member(packet, 1), SIZE_MAX));
  ldns_pkt_free(packet);
}

static void what_does_not_fit_is_truncated_whole(void **state) {
  (void)state;
  ldns_pkt *packet = ask_over("big.example.com", LDNS_RR_TYPE_TXT, 0, true);
  assert_true(ldns_pkt_tc(packet));
  assert_int_equal(ldns_pkt_ancount(packet), 0);
  ldns_pkt_free(packet);
  packet = ask_over("big.example.com", LDNS_RR_TYPE_TXT, 0, false);
  assert_false(ldns_pkt_tc(packet));
  assert_int_equal(ldns_pkt_ancount(packet), 5);
  ldns_pkt_free(packet);
}

static void any_is_answered_by_one_rrset(void **state) {
  (void)state;
  ldns_pkt *packet = ask("example.com", LDNS_RR_TYPE_ANY);
  assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_NOERROR);
  ldns_rr_list *answer = ldns_pkt_answer(packet);
  for (size_t i = 1; i < ldns_rr_list_rr_count(answer); i++)
    assert_int_equal(ldns_rr_get_type(ldns_rr_list_rr(answer, i)), ldns_rr_get_type(ldns_rr_list_rr(answer, 0)));
  assert_true(ldns_rr_list_rr_count(answer) > 0);
  ldns_pkt_free(packet);
}

/* A query with EDNS options as given; returns the reply's OPT data, and its other records in *packet. */
static ldns_buffer *ask_options(const char *name, ldns_rr_type type, const void *options, size_t size, bool is_udp,
                                ldns_pkt **packet) {
  static uint8_t wire[512], reply[WIRE_MESSAGE_MOST];
  struct name qname;
  assert_int_equal(name_from_text(name, &qname), STATUS_OK);
  struct writer writer = {.base = wire, .limit = sizeof wire};
  writer_bytes(&writer, "\0\1\0\0\0\1\0\0\0\0\0\1", 12);
  writer_bytes(&writer, qname.wire, qname.size);
  writer_u16(&writer, (uint16_t)type);
  writer_u16(&writer, CLASS_IN);
  writer_bytes(&writer, "\0\0\x29\4\xd0\0\0\0\0", 9);
  writer_u16(&writer, (uint16_t)size);
  writer_bytes(&writer, options, size);
  struct query query;
  struct client client = {.addr = {.family = 4, .bytes = {127, 0, 0, 1}}, .is_udp = is_udp};
  assert_int_equal(query_parse(wire, writer.used, &query), QUERY_FINE);
  size_t length = answer_query(&small.answerer, small.book, &query, &client, reply, sizeof reply);
  assert_int_equal(ldns_wire2pkt(packet, reply, length), LDNS_STATUS_OK);
  ldns_buffer *data = ldns_buffer_new(512);
  ldns_rdf *edns = ldns_pkt_edns_data(*packet);
  if (edns)
    ldns_buffer_write(data, ldns_rdf_data(edns), ldns_rdf_size(edns));
  return data;
}

static void expect_options(const char *name, const void *options, size_t size, bool is_udp, const void *wanted,
                           size_t wanted_size) {
  ldns_pkt *packet;
  ldns_buffer *data = ask_options(name, LDNS_RR_TYPE_A, options, size, is_udp, &packet);
  assert_int_equal(ldns_buffer_position(data), wanted_size);
  assert_memory_equal(ldns_buffer_begin(data), wanted, wanted_size);
  ldns_buffer_free(data);
  ldns_pkt_free(packet);
}

static void scope_says_what_the_decision_depended_on(void **state) {
  (void)state;
  /* 192.0.2.0/24 to a static name, to a service without places, and to one with: there the /25 within decides */
  static const char option[] = "\0\x08\0\7\0\1\x18\0\xc0\0\2";
  expect_options("ns1.example.com", option, 11, true, option, 11);
  expect_options("turn.example.com", option, 11, true, option, 11);
  expect_options("near.example.com", option, 11, true, "\0\x08\0\7\0\1\x18\x19\xc0\0\2", 11);
  /* a client that does not want its network used */
  expect_options("near.example.com", "\0\x08\0\4\0\1\0\0", 8, true, "\0\x08\0\4\0\1\0\0", 8);
}

static void nearest_site_answers_each_network(void **state) {
  (void)state;
  static const struct {
    const char *option;
    size_t size;
    uint8_t last;
  } rows[] = {
      {"\0\x08\0\10\0\1\x20\0\xc0\0\2\1", 12, 71},
      {"\0\x08\0\10\0\1\x20\0\xc0\0\2\x81", 12, 72},
      {"\0\x08\0\10\0\2\x20\0\x20\1\x0d\xb8", 12, 72},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (int round = 0; round < 20; round++) {
      ldns_pkt *packet;
      ldns_buffer_free(ask_options("near.example.com", LDNS_RR_TYPE_A, rows[i].option, rows[i].size, true, &packet));
      ldns_rr *record = ldns_rr_list_rr(ldns_pkt_answer(packet), 0);
      assert_int_equal(ldns_rdf_data(ldns_rr_rdf(record, 0))[3], rows[i].last);
      ldns_pkt_free(packet);
    }
}

static void malformed_options_are_formerr(void **state) {
  (void)state;
  static const struct {
    const char *option;
    size_t size;
  } rows[] = {
      {"\0\x08\0\10\0\1\x21\0\xc0\0\2\1", 12}, /* 33 bits of IPv4 */
      {"\0\x08\0\7\0\1\x18\x18\xc0\0\2", 11},  /* a scope in a query */
      {"\0\x0a\0\7abcdefg", 11},               /* a cookie of 7 bytes */
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    ldns_pkt *packet;
    ldns_buffer_free(ask_options("www.example.com", LDNS_RR_TYPE_A, rows[i].option, rows[i].size, true, &packet));
    assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_FORMERR);
    ldns_pkt_free(packet);
  }
}

static void nsid_and_keepalive_come_when_asked_for(void **state) {
  (void)state;
  expect_options("www.example.com", "\0\3\0\0", 4, true, "\0\3\0\1t", 5); /* the identity */
  expect_options("www.example.com", "\0\x0b\0\0", 4, true, "", 0);
  expect_options("www.example.com", "\0\x0b\0\0", 4, false, "\0\x0b\0\2\0\x64", 6); /* 10 s */
}

static void refusal_says_why(void **state) {
  (void)state;
  expect_options("www.example.net", "", 0, true, "\0\x0f\0\2\0\x14", 6); /* not authoritative */
}

static void balanced_mx_cname_and_https_are_answered(void **state) {
  (void)state;
  ldns_pkt *packet = ask("mail.example.com", LDNS_RR_TYPE_MX);
  const char *answer = section_text(ldns_pkt_answer(packet));
  assert_non_null(strstr(answer, "mail.example.com. 60 IN MX 10 m1.mail.example.com."));
  assert_non_null(strstr(answer, "mail.example.com. 60 IN MX 10 relay.example.net."));
  assert_string_equal(section_text(ldns_pkt_additional(packet)), "m1.mail.example.com. 60 IN A 127.0.0.41");
  ldns_pkt_free(packet);
  expect(ask("mail.example.com", LDNS_RR_TYPE_A), LDNS_RCODE_NOERROR, true, "", SOA, "");
  expect(ask("cdn.example.com", LDNS_RR_TYPE_TXT), LDNS_RCODE_NOERROR, true,
         "cdn.example.com. 60 IN CNAME alias.example.com.|alias.example.com. 300 IN CNAME www.example.com.|"
         "www.example.com. 300 IN TXT \"beside\"",
         "", "");
  expect(ask("cdn.example.com", LDNS_RR_TYPE_CNAME), LDNS_RCODE_NOERROR, true,
         "cdn.example.com. 60 IN CNAME alias.example.com.", "", "");
  expect(ask("web.example.com", LDNS_RR_TYPE_HTTPS), LDNS_RCODE_NOERROR, true,
         "web.example.com. 60 IN HTTPS 1 a.web.example.com. alpn=h2,h3 port=8443 ipv4hint=127.0.0.61 "
         "ipv6hint=::61",
         "", "a.web.example.com. 60 IN A 127.0.0.61|a.web.example.com. 60 IN AAAA ::61");
  /* the port is the member's where the service names none */
  expect(ask("_dns.example.com", LDNS_RR_TYPE_SVCB), LDNS_RCODE_NOERROR, true,
         "_dns.example.com. 60 IN SVCB 1 a._dns.example.com. alpn=dot port=853 ipv4hint=127.0.0.62", "",
         "a._dns.example.com. 60 IN A 127.0.0.62");
}

static void reply_keeps_the_case_and_flags_of_the_query(void **state) {
  (void)state;
  static const uint8_t packet[] = "\x12\x34\x01\x10\0\1\0\0\0\0\0\0\3wWw\7eXample\3COM\0\0\1\0\1";
  uint8_t reply[512];
  struct query query;
  struct client client = {.is_udp = true};
  assert_int_equal(query_parse(packet, sizeof packet - 1, &query), QUERY_FINE);
  size_t size = answer_query(&small.answerer, small.book, &query, &client, reply, sizeof reply);
  assert_int_equal(size, sizeof packet - 1 + 16);
  assert_memory_equal(reply + 12, packet + 12, sizeof packet - 13);
  assert_memory_equal(reply, "\x12\x34\x85\x10\0\1\0\1\0\0\0\0", 12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(static_records_come_with_their_addresses),
      cmocka_unit_test(absent_names_and_types_bring_the_soa),
      cmocka_unit_test(names_outside_are_refused),
      cmocka_unit_test(delegations_refer_with_glue),
      cmocka_unit_test(aliases_are_followed_to_the_end),
      cmocka_unit_test(wildcards_stand_for_names_that_are_not_there),
      cmocka_unit_test(dname_moves_what_is_below_it),
      cmocka_unit_test(balanced_name_is_a_node_like_any_other),
      cmocka_unit_test(round_robin_hands_out_each_member_equally),
      cmocka_unit_test(balanced_wildcard_answers_any_name_below),
      cmocka_unit_test(srv_targets_resolve_and_come_along),
      cmocka_unit_test(srv_answers_hold_all_members_whoever_comes_first),
      cmocka_unit_test(addresses_of_srv_targets_come_along_as_far_as_they_fit),
      cmocka_unit_test(srv_behind_an_alias_points_to_its_own_name),
      cmocka_unit_test(what_does_not_fit_is_truncated_whole),
      cmocka_unit_test(any_is_answered_by_one_rrset),
      cmocka_unit_test(scope_says_what_the_decision_depended_on),
      cmocka_unit_test(nearest_site_answers_each_network),
      cmocka_unit_test(malformed_options_are_formerr),
      cmocka_unit_test(nsid_and_keepalive_come_when_asked_for),
      cmocka_unit_test(refusal_says_why),
      cmocka_unit_test(balanced_mx_cname_and_https_are_answered),
      cmocka_unit_test(reply_keeps_the_case_and_flags_of_the_query),
  };
  return cmocka_run_group_tests_name("answer", tests, set_up, tear_down);
}
