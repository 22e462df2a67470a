#include "zones/tables/registered.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ldns/ldns.h>
#include <urcu-qsbr.h>

#include "gslb/model/registration.h"
#include "gslb/model/store.h"
#include "tests/unit/base/directory.h"
#include "tests/unit/zones/small_book.h"
#include "zones/message/wire.h"

static const char zone_text[] = "$ORIGIN example.com.\n$TTL 300\n@ SOA ns1 admin 7 3600 600 86400 60\n@ NS ns1\n"
                                "ns1 A 192.0.2.1\n_sip._tcp TXT \"static\"\n* TXT \"any\"\n";

static const char services_text[] =
    "control: {listen: \"127.0.0.1@8300\"}\n"
    "services:\n"
    "  - {name: app.example.com, accept: {tokens: [t]}, when_down: empty, srv: _http._tcp, ttl: {max: 30s, min: 5s}}\n"
    "  - {name: www.example.com, accept: {tokens: [t]}, srv: _http._tcp, answers: 8, ttl: {max: 30s}, members: [{name: "
    "own, addresses: [192.0.2.10], srv_port: 80}, {name: spare, addresses: [192.0.2.11], srv_port: 80, tier: 1}]}\n"
    "  - {name: \"*.dyn.example.com\", accept: {tokens: [t], services: 2}, when_down: empty, srv: _http._tcp, ttl: "
    "{max: "
    "30s, min: 5s}}\n";

struct fixture {
  char directory[32];
  struct store *durable, *live;
  struct small_book small;
};

/* What the builder thread does, on this one. */
static void rebuild(struct fixture *fixture) {
  struct small_book *small = &fixture->small;
  struct book *book = small->book;
  assert_int_equal(facts_refresh(small->facts, NULL, NULL, NULL), STATUS_OK);
  for (size_t i = 0; i < small->config->service_count; i++) {
    struct arena arena = {0};
    struct evaluation evaluation;
    const struct service_facts *facts = facts_service(small->facts, i);
    table_free(book->tables[i]);
    if (config_service_is_pattern(&small->config->services[i])) {
      book->tables[i] = table_build_pattern(small->config, small->facts, i);
      continue;
    }
    evaluate_service(small->config, facts, 1, &arena, &evaluation);
    book->tables[i] = table_build(facts->service, facts, &evaluation, topology_of(book->topology, i));
    arena_release(&arena);
  }
  listing_free(book->listing);
  book->listing = listing_build(small->config, small->facts, 1);
}

static int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  struct errbuf err;
  *state = fixture;
  rcu_register_thread();
  strcpy(fixture->directory, "/tmp/gslb-registered-XXXXXX");
  assert_non_null(mkdtemp(fixture->directory));
  assert_int_equal(store_open(fixture->directory, STORE_DURABLE, STORE_CREATE, &fixture->durable, &err), STATUS_OK);
  assert_int_equal(store_open(fixture->directory, STORE_LIVE, STORE_CREATE, &fixture->live, &err), STATUS_OK);
  small_book_make(&fixture->small, services_text, zone_text);
  facts_free(fixture->small.facts);
  fixture->small.facts = facts_new(fixture->small.config, fixture->durable, fixture->live);
  rebuild(fixture);
  return 0;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  listing_free(fixture->small.book->listing);
  small_book_release(&fixture->small);
  store_close(fixture->durable);
  store_close(fixture->live);
  directory_remove(fixture->directory);
  free(fixture);
  rcu_unregister_thread();
  return 0;
}

static void put(struct store *store, enum store_db db, struct store_bytes key, const uint8_t *value, size_t size,
                const char *mark) {
  struct store_txn *txn;
  assert_int_equal(store_begin(store, true, &txn, NULL), STATUS_OK);
  assert_int_equal(store_put(txn, db, key, (struct store_bytes){value, size}, NULL), STATUS_OK);
  assert_int_equal(store_mark_changed(txn, mark, NULL), STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
}

static void register_member(struct fixture *fixture, const char *service, const char *id, const char *address) {
  struct member_record member = {.address_count = 1, .weight = 1, .port = 8080, .instance = ""};
  assert_int_equal(addr_parse(address, &member.addresses[0]), STATUS_OK);
  struct record_key key;
  size_t size;
  uint8_t *value = member_encode(&member, &size), lease[RECORD_SIZE_MOST];
  record_key_member(service, id, &key);
  put(fixture->durable, STORE_DB_MEMBERS, (struct store_bytes){key.bytes, key.size}, value, size, service);
  free(value);
  struct lease_record record = {.state = LEASE_LIVE, .utilization = LEASE_NO_UTILIZATION};
  size = lease_encode(&record, lease);
  put(fixture->live, STORE_DB_LEASES, (struct store_bytes){id, strlen(id)}, lease, size, service);
}

static void announce_balancer(struct fixture *fixture, bool is_accepting) {
  struct balancer_record balancer = {.is_alive = true,
                                     .is_own = true,
                                     .weight = 1,
                                     .is_accepting = is_accepting,
                                     .address_count = 1};
  strcpy(balancer.name, "gslb-t");
  assert_int_equal(addr_parse_port("192.0.2.53@8300", &balancer.addresses[0]), STATUS_OK);
  uint8_t value[RECORD_SIZE_MOST];
  size_t size = balancer_encode(&balancer, value);
  put(fixture->live, STORE_DB_BALANCERS, (struct store_bytes){"t", 1}, value, size, STORE_BALANCERS);
}

static void forget_member(struct fixture *fixture, const char *service, const char *id) {
  struct store_txn *txn;
  struct record_key key;
  record_key_member(service, id, &key);
  assert_int_equal(store_begin(fixture->durable, true, &txn, NULL), STATUS_OK);
  assert_int_equal(store_delete(txn, STORE_DB_MEMBERS, (struct store_bytes){key.bytes, key.size}, NULL), STATUS_OK);
  assert_int_equal(store_mark_changed(txn, service, NULL), STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
}

/* "RCODE: answer; TTL of the SOA; additional", by ldns. */
static const char *ask(struct fixture *fixture, const char *name, ldns_rr_type type) {
  static uint8_t reply[WIRE_MESSAGE_MOST];
  static char text[8192];
  ldns_pkt *packet = ldns_pkt_query_new(ldns_dname_new_frm_str(name), type, LDNS_RR_CLASS_IN, LDNS_RD);
  uint8_t *wire;
  size_t size;
  assert_int_equal(ldns_pkt2wire(&wire, packet, &size), LDNS_STATUS_OK);
  ldns_pkt_free(packet);
  struct query query;
  struct client client = {.is_udp = true};
  assert_int_equal(query_parse(wire, size, &query), QUERY_FINE);
  size_t length = answer_query(&fixture->small.answerer, fixture->small.book, &query, &client, reply, sizeof reply);
  free(wire);
  assert_int_equal(ldns_wire2pkt(&packet, reply, length), LDNS_STATUS_OK);
  ldns_lookup_table *code = ldns_lookup_by_id(ldns_rcodes, (int)ldns_pkt_get_rcode(packet));
  char *at = stpcpy(text, code ? code->name : "?");
  ldns_rr_list *const sections[] = {ldns_pkt_answer(packet), ldns_pkt_additional(packet)};
  for (size_t s = 0; s < 2; s++) {
    ldns_rr_list_sort(sections[s]);
    for (size_t i = 0; i < ldns_rr_list_rr_count(sections[s]); i++) {
      char *record = ldns_rr2str(ldns_rr_list_rr(sections[s], i));
      record[strcspn(record, "\n")] = '\0';
      for (char *tab = record; *tab; tab++)
        if (*tab == '\t')
          *tab = ' ';
      at += sprintf(at, "%s%s", s ? " + " : " | ", record);
      free(record);
    }
  }
  if (ldns_rr_list_rr_count(ldns_pkt_authority(packet)))
    sprintf(at, " soa %u", ldns_rr_ttl(ldns_rr_list_rr(ldns_pkt_authority(packet), 0)));
  ldns_pkt_free(packet);
  return text;
}

static void a_registered_member_is_answered_and_has_a_name(void **state) {
  struct fixture *fixture = *state;
  assert_string_equal(ask(fixture, "app.example.com", LDNS_RR_TYPE_A), "NOERROR soa 5");
  assert_string_equal(ask(fixture, "r1.app.example.com", LDNS_RR_TYPE_A), "NXDOMAIN soa 5");
  register_member(fixture, "app.example.com", "r1", "192.0.2.77");
  rebuild(fixture);
  assert_string_equal(ask(fixture, "app.example.com", LDNS_RR_TYPE_A), "NOERROR | app.example.com. 30 IN A 192.0.2.77");
  assert_string_equal(ask(fixture, "R1.app.example.com", LDNS_RR_TYPE_A),
                      "NOERROR | R1.app.example.com. 30 IN A 192.0.2.77");
  assert_string_equal(ask(fixture, "r1.app.example.com", LDNS_RR_TYPE_TXT), "NOERROR soa 60");
  assert_string_equal(ask(fixture, "r2.app.example.com", LDNS_RR_TYPE_A), "NXDOMAIN soa 30");
  assert_string_equal(ask(fixture, "_http._tcp.app.example.com", LDNS_RR_TYPE_SRV),
                      "NOERROR | _http._tcp.app.example.com. 30 IN SRV 0 1 8080 r1.app.example.com. + "
                      "r1.app.example.com. 30 IN A 192.0.2.77");
  forget_member(fixture, "app.example.com", "r1");
  rebuild(fixture);
  assert_string_equal(ask(fixture, "r1.app.example.com", LDNS_RR_TYPE_A), "NXDOMAIN soa 5");
}

static void registered_members_stand_beside_configured_ones(void **state) {
  struct fixture *fixture = *state;
  register_member(fixture, "www.example.com", "a", "192.0.2.9");
  rebuild(fixture);
  /* the spare one waits in its tier, and SRV tells clients so */
  assert_string_equal(ask(fixture, "www.example.com", LDNS_RR_TYPE_A),
                      "NOERROR | www.example.com. 30 IN A 192.0.2.9 | www.example.com. 30 IN A 192.0.2.10");
  assert_string_equal(ask(fixture, "a.www.example.com", LDNS_RR_TYPE_A),
                      "NOERROR | a.www.example.com. 30 IN A 192.0.2.9");
  assert_string_equal(ask(fixture, "own.www.example.com", LDNS_RR_TYPE_A),
                      "NOERROR | own.www.example.com. 30 IN A 192.0.2.10");
  const char *srv = ask(fixture, "_http._tcp.www.example.com", LDNS_RR_TYPE_SRV);
  assert_non_null(strstr(srv, "SRV 0 1 8080 a.www.example.com."));
  assert_non_null(strstr(srv, "SRV 0 1 80 own.www.example.com."));
  assert_non_null(strstr(srv, "SRV 1 1 80 spare.www.example.com."));
  assert_non_null(strstr(srv, "+ spare.www.example.com. 30 IN A 192.0.2.11"));
}

static void services_come_and_go_below_a_pattern(void **state) {
  struct fixture *fixture = *state;
  assert_string_equal(ask(fixture, "x.dyn.example.com", LDNS_RR_TYPE_A), "NXDOMAIN soa 5");
  register_member(fixture, "x.dyn.example.com", "r1", "192.0.2.20");
  rebuild(fixture);
  assert_string_equal(ask(fixture, "x.dyn.example.com", LDNS_RR_TYPE_A),
                      "NOERROR | x.dyn.example.com. 30 IN A 192.0.2.20");
  assert_string_equal(ask(fixture, "r1.x.dyn.example.com", LDNS_RR_TYPE_A),
                      "NOERROR | r1.x.dyn.example.com. 30 IN A 192.0.2.20");
  assert_string_equal(ask(fixture, "_http._tcp.x.dyn.example.com", LDNS_RR_TYPE_SRV),
                      "NOERROR | _http._tcp.x.dyn.example.com. 30 IN SRV 0 1 8080 r1.x.dyn.example.com. + "
                      "r1.x.dyn.example.com. 30 IN A 192.0.2.20");
  assert_string_equal(ask(fixture, "_tcp.x.dyn.example.com", LDNS_RR_TYPE_SRV), "NOERROR soa 60");
  assert_string_equal(ask(fixture, "_udp.x.dyn.example.com", LDNS_RR_TYPE_SRV), "NXDOMAIN soa 30");
  assert_string_equal(ask(fixture, "deep.r1.x.dyn.example.com", LDNS_RR_TYPE_A), "NXDOMAIN soa 30");
  assert_string_equal(ask(fixture, "y.dyn.example.com", LDNS_RR_TYPE_A), "NXDOMAIN soa 5");
  forget_member(fixture, "x.dyn.example.com", "r1");
  rebuild(fixture);
  assert_string_equal(ask(fixture, "x.dyn.example.com", LDNS_RR_TYPE_A), "NXDOMAIN soa 5");
}

static void the_place_of_registering_is_listed_while_it_accepts(void **state) {
  struct fixture *fixture = *state;
  assert_string_equal(ask(fixture, "_gslb-register._tcp.example.com", LDNS_RR_TYPE_SRV), "NOERROR soa 10");
  announce_balancer(fixture, true);
  rebuild(fixture);
  assert_string_equal(ask(fixture, "_gslb-register._tcp.example.com", LDNS_RR_TYPE_SRV),
                      "NOERROR | _gslb-register._tcp.example.com. 10 IN SRV 0 1 8300 gslb-t.example.com. + "
                      "gslb-t.example.com. 10 IN A 192.0.2.53");
  assert_string_equal(ask(fixture, "gslb-t.example.com", LDNS_RR_TYPE_A),
                      "NOERROR | gslb-t.example.com. 10 IN A 192.0.2.53");
  announce_balancer(fixture, false);
  rebuild(fixture);
  assert_string_equal(ask(fixture, "_gslb-register._tcp.example.com", LDNS_RR_TYPE_SRV), "NOERROR soa 10");
}

static void instances_can_be_browsed_beside_static_names(void **state) {
  struct fixture *fixture = *state;
  register_member(fixture, "app.example.com", "r1", "192.0.2.77");
  rebuild(fixture);
  assert_non_null(
      strstr(ask(fixture, "_http._tcp.example.com", LDNS_RR_TYPE_PTR), "PTR r1\\.app._http._tcp.example.com."));
  assert_string_equal(ask(fixture, "r1\\.app._http._tcp.example.com", LDNS_RR_TYPE_SRV),
                      "NOERROR | r1\\.app._http._tcp.example.com. 30 IN SRV 0 1 8080 r1.app.example.com. + "
                      "r1.app.example.com. 30 IN A 192.0.2.77");
  assert_string_equal(ask(fixture, "_sip._tcp.example.com", LDNS_RR_TYPE_TXT),
                      "NOERROR | _sip._tcp.example.com. 300 IN TXT \"static\"");
  /* listed names are closer than the zone's wildcard */
  assert_string_equal(ask(fixture, "loose.example.com", LDNS_RR_TYPE_TXT),
                      "NOERROR | loose.example.com. 300 IN TXT \"any\"");
  assert_string_equal(ask(fixture, "none._http._tcp.example.com", LDNS_RR_TYPE_TXT), "NXDOMAIN soa 60");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_registered_member_is_answered_and_has_a_name, set_up, tear_down),
      cmocka_unit_test_setup_teardown(registered_members_stand_beside_configured_ones, set_up, tear_down),
      cmocka_unit_test_setup_teardown(services_come_and_go_below_a_pattern, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_place_of_registering_is_listed_while_it_accepts, set_up, tear_down),
      cmocka_unit_test_setup_teardown(instances_can_be_browsed_beside_static_names, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
