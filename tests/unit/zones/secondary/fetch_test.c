#include "zones/secondary/fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "tests/unit/zones/secondary/primary.h"
#include "zones/message/query.h"

#define SOA(serial) "example.org. 3600 IN SOA ns1.example.org. host.example.org. " #serial " 60 30 600 300\n"
#define NS "example.org. 3600 IN NS ns1.example.org.\n"
#define GLUE "ns1.example.org. 3600 IN A 192.0.2.1\n"
#define WWW(last) "www.example.org. 300 IN A 192.0.2." #last "\n"
#define SECRET "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IDEyMw=="
#define OTHER_SECRET "b3RoZXIgc2VjcmV0IG90aGVyIHNlY3JldCBvdGhlciE="

struct fixture {
  struct primary primary;
  struct fetch_limits limits;
  struct name zone;
  struct tsig_key key;
  struct fetch fetch;
  struct content *content;
  bool is_difference;
  struct errbuf err;
};

static int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  fixture->limits = (struct fetch_limits){.reply_ms = 200, .idle_ms = 1000, .total_ms = 20000, .bytes = 1 << 20};
  assert_int_equal(name_from_text("example.org", &fixture->zone), STATUS_OK);
  primary_start(&fixture->primary);
  fixture->fetch = (struct fetch){.zone = &fixture->zone,
                                  .primary = &fixture->primary.addr,
                                  .limits = &fixture->limits,
                                  .cancel = -1};
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  primary_stop(&fixture->primary);
  content_free(fixture->content);
  free(fixture);
  return 0;
}

static void use_key(struct fixture *fixture, const char *secret) {
  const struct config_key config = {.name = "transfer.example", .algorithm = KEY_HMAC_SHA256, .secret = secret};
  assert_int_equal(tsig_key_read(&config, 0, &fixture->key, &fixture->err), STATUS_OK);
  fixture->fetch.key = &fixture->key;
  fixture->primary.key_name = "transfer.example.";
  fixture->primary.key_secret = SECRET;
}

static void add(struct content *content, const char *line) {
  ldns_rr *record;
  struct name owner;
  struct rdata data = {0};
  uint8_t *wire;
  size_t size;
  assert_int_equal(ldns_rr_new_frm_str(&record, line, 0, NULL, NULL), LDNS_STATUS_OK);
  ldns_rdf *name = ldns_rr_owner(record);
  owner.size = (uint8_t)ldns_rdf_size(name);
  memcpy(owner.wire, ldns_rdf_data(name), owner.size);
  assert_int_equal(ldns_rr2wire(&wire, record, LDNS_SECTION_ANSWER, &size), LDNS_STATUS_OK);
  data.size = (uint16_t)(size - owner.size - 10);
  memcpy(data.bytes, wire + owner.size + 10, data.size);
  assert_int_equal(content_add(content, &owner, (uint16_t)ldns_rr_get_type(record), ldns_rr_ttl(record), &data),
                   STATUS_OK);
  free(wire);
  ldns_rr_free(record);
}

/* Serial 1 with www at .10. */
static struct content *held(void) {
  struct content *content = content_new(1 << 20);
  add(content, SOA(1));
  add(content, NS);
  add(content, GLUE);
  add(content, WWW(10));
  return content;
}

static bool has(const struct content *content, const char *line) {
  ldns_rr *record;
  uint8_t *wire;
  size_t size;
  bool is_there = false;
  assert_int_equal(ldns_rr_new_frm_str(&record, line, 0, NULL, NULL), LDNS_STATUS_OK);
  assert_int_equal(ldns_rr2wire(&wire, record, LDNS_SECTION_ANSWER, &size), LDNS_STATUS_OK);
  size_t owner_size = ldns_rdf_size(ldns_rr_owner(record));
  for (const struct content_record *at = content_next(content, NULL); at; at = content_next(content, at))
    is_there |= at->owner_size == owner_size && at->type == ldns_rr_get_type(record) &&
                at->ttl_s == ldns_rr_ttl(record) && at->data_size == size - owner_size - 10 &&
                memcmp(at->bytes, wire, owner_size) == 0 &&
                memcmp(at->bytes + owner_size, wire + owner_size + 10, at->data_size) == 0;
  free(wire);
  ldns_rr_free(record);
  return is_there;
}

static enum status fetch(struct fixture *fixture, struct content *from) {
  return fetch_zone(&fixture->fetch, from, &fixture->content, &fixture->is_difference, &fixture->err);
}

static void assert_failed(struct fixture *fixture, struct content *from, enum status status, const char *text) {
  assert_int_equal(fetch(fixture, from), status);
  assert_null(fixture->content);
  assert_string_equal(fixture->err.text, text);
}

static void assert_serial(const struct fixture *fixture, uint32_t serial, size_t count) {
  struct soa soa;
  const struct content_record *record;
  assert_non_null(fixture->content);
  assert_true(content_soa(fixture->content, &soa, &record));
  assert_int_equal(soa.serial, serial);
  assert_int_equal(content_count(fixture->content), count);
}

static void soa_is_asked_over_udp(void **state) {
  struct fixture *fixture = *state;
  struct soa soa;
  fixture->primary.soa.messages[0] = SOA(4294967295);
  assert_int_equal(fetch_soa(&fixture->fetch, &soa, &fixture->err), STATUS_OK);
  assert_int_equal(soa.serial, UINT32_MAX);
  assert_int_equal(soa.refresh_s, 60);
  assert_int_equal(soa.retry_s, 30);
  assert_int_equal(soa.expire_s, 600);
  assert_int_equal(fixture->primary.soa_count, 1);
}

static void soa_is_asked_over_tcp_when_truncated(void **state) {
  struct fixture *fixture = *state;
  struct soa soa;
  fixture->primary.soa = (struct primary_answer){.messages = {SOA(7)}, .is_truncated = true};
  assert_int_equal(fetch_soa(&fixture->fetch, &soa, &fixture->err), STATUS_OK);
  assert_int_equal(soa.serial, 7);
  assert_int_equal(fixture->primary.soa_count, 2);
}

static void soa_answers_with_another_id_are_not_believed(void **state) {
  struct fixture *fixture = *state;
  struct soa soa;
  fixture->limits.reply_ms = 20;
  fixture->primary.soa = (struct primary_answer){.messages = {SOA(7)}, .has_wrong_id = true};
  assert_int_equal(fetch_soa(&fixture->fetch, &soa, &fixture->err), STATUS_INVALID);
  assert_string_equal(fixture->err.text, "the answer is to another query");
}

static void soa_query_may_be_refused(void **state) {
  struct fixture *fixture = *state;
  struct soa soa;
  fixture->primary.soa = (struct primary_answer){.rcode = RCODE_REFUSED};
  assert_int_equal(fetch_soa(&fixture->fetch, &soa, &fixture->err), STATUS_FORBIDDEN);
}

static void soa_is_verified_with_the_key(void **state) {
  struct fixture *fixture = *state;
  struct soa soa;
  use_key(fixture, SECRET);
  fixture->primary.soa.messages[0] = SOA(7);
  assert_int_equal(fetch_soa(&fixture->fetch, &soa, &fixture->err), STATUS_OK);
  assert_true(fixture->primary.has_verified);
  use_key(fixture, OTHER_SECRET);
  assert_int_equal(fetch_soa(&fixture->fetch, &soa, &fixture->err), STATUS_FORBIDDEN);
  assert_false(fixture->primary.has_verified);
}

static void zone_comes_whole_in_several_messages(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(5) NS, GLUE WWW(10), WWW(11) WWW(10), SOA(5)}};
  assert_int_equal(fetch(fixture, NULL), STATUS_OK);
  assert_serial(fixture, 5, 5);
  assert_false(fixture->is_difference);
  assert_true(has(fixture->content, WWW(10)) && has(fixture->content, WWW(11)) && has(fixture->content, NS));
}

static void differences_are_applied_in_order(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.ixfr = (struct primary_answer){
      .messages = {SOA(3) SOA(1) WWW(10) SOA(2) WWW(11), WWW(12) SOA(2) WWW(11) SOA(3) WWW(10) WWW(13), SOA(3)}};
  assert_int_equal(fetch(fixture, held()), STATUS_OK);
  assert_serial(fixture, 3, 6);
  assert_true(fixture->is_difference);
  assert_true(has(fixture->content, WWW(10)) && has(fixture->content, WWW(12)) && has(fixture->content, WWW(13)));
  assert_false(has(fixture->content, WWW(11)));
  assert_false(has(fixture->content, SOA(1)));
  assert_int_equal(fixture->primary.axfr_count, 0);
}

static void differences_change_a_ttl(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.ixfr = (struct primary_answer){
      .messages = {SOA(2) SOA(1) WWW(10) SOA(2) "www.example.org. 60 IN A 192.0.2.10\n" SOA(2)}};
  assert_int_equal(fetch(fixture, held()), STATUS_OK);
  assert_serial(fixture, 2, 4);
  assert_true(has(fixture->content, "www.example.org. 60 IN A 192.0.2.10"));
}

static void whole_zone_may_answer_an_ixfr(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.ixfr = (struct primary_answer){.messages = {SOA(2), NS GLUE WWW(20) SOA(2)}};
  assert_int_equal(fetch(fixture, held()), STATUS_OK);
  assert_serial(fixture, 2, 4);
  assert_false(fixture->is_difference);
  assert_true(has(fixture->content, WWW(20)));
  assert_false(has(fixture->content, WWW(10)));
}

static void single_soa_says_that_nothing_is_newer(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.ixfr = (struct primary_answer){.messages = {SOA(1)}};
  assert_int_equal(fetch(fixture, held()), STATUS_NODATA);
  assert_int_equal(fixture->primary.axfr_count, 0);
}

static void differences_that_do_not_fit_are_followed_by_an_axfr(void **state) {
  struct fixture *fixture = *state;
  static const char *const misfits[] = {
      SOA(2) SOA(0) SOA(2) WWW(11) SOA(2),      /* from another version */
      SOA(2) SOA(1) WWW(66) SOA(2) SOA(2),      /* removes what is not there */
      SOA(2) SOA(1) SOA(2) WWW(10) SOA(2),      /* adds what is there */
      SOA(3) SOA(1) SOA(2) SOA(1) SOA(3) SOA(3) /* the chain breaks */
  };
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS GLUE WWW(20) SOA(2)}};
  for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++) {
    fixture->primary.ixfr = (struct primary_answer){.messages = {misfits[i]}};
    assert_int_equal(fetch(fixture, held()), STATUS_OK);
    assert_serial(fixture, 2, 4);
    assert_false(fixture->is_difference);
    assert_int_equal(fixture->primary.axfr_count, i + 1);
    content_free(fixture->content);
    fixture->content = NULL;
  }
}

static void refused_ixfr_is_followed_by_an_axfr(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.ixfr = (struct primary_answer){.rcode = RCODE_NOTIMP};
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS GLUE SOA(2)}};
  assert_int_equal(fetch(fixture, held()), STATUS_OK);
  assert_serial(fixture, 2, 3);
}

static void answer_with_another_id_is_refused(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS SOA(2)}, .has_wrong_id = true};
  assert_failed(fixture, NULL, STATUS_INVALID, "the answer has another id than the query");
}

static void answer_to_another_question_is_refused(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS SOA(2)}, .has_wrong_question = true};
  assert_failed(fixture, NULL, STATUS_INVALID, "the answer is to another question");
}

static void answer_that_breaks_off_brings_nothing(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS, GLUE SOA(2)}, .breaks_off = true};
  assert_failed(fixture, NULL, STATUS_INVALID, "the primary closes the connection before the answer is whole");
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS, GLUE}};
  assert_failed(fixture, NULL, STATUS_INVALID, "the primary closes the connection before the answer is whole");
}

static void soa_records_must_frame_the_zone(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.axfr = (struct primary_answer){.messages = {NS SOA(2) NS SOA(2)}};
  assert_failed(fixture, NULL, STATUS_INVALID, "the answer does not begin with the zone's SOA record");
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS SOA(3)}};
  assert_failed(fixture, NULL, STATUS_INVALID, "the SOA record at the end is not that of the beginning");
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS SOA(2) GLUE}};
  assert_failed(fixture, NULL, STATUS_INVALID, "there are records behind the end of the zone");
}

static void records_outside_the_zone_are_passed_over(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.axfr =
      (struct primary_answer){.messages = {SOA(2) NS "www.example.net. 60 IN A 192.0.2.66\n" GLUE SOA(2)}};
  assert_int_equal(fetch(fixture, NULL), STATUS_OK);
  assert_serial(fixture, 2, 3);
  content_free(fixture->content);
  fixture->content = NULL;
  fixture->primary.ixfr =
      (struct primary_answer){.messages = {SOA(2) "www.example.net. 60 IN A 192.0.2.66\n" NS GLUE SOA(2)}};
  assert_int_equal(fetch(fixture, held()), STATUS_OK);
  assert_serial(fixture, 2, 3);
  assert_int_equal(fixture->primary.axfr_count, 1);
}

static void messages_without_records_are_refused(void **state) {
  struct fixture *fixture = *state;
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS, "", SOA(2)}};
  assert_failed(fixture, NULL, STATUS_INVALID, "the answer has a message without records");
}

static void endless_answer_ends_at_the_bound(void **state) {
  struct fixture *fixture = *state;
  fixture->limits.bytes = 100000;
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS, GLUE}, .is_endless = true};
  assert_failed(fixture, NULL, STATUS_INVALID, "the answer is too large");
}

static void endless_answer_ends_in_time(void **state) {
  struct fixture *fixture = *state;
  fixture->limits.total_ms = 100;
  fixture->limits.bytes = (uint64_t)1 << 40;
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS, GLUE}, .is_endless = true};
  assert_failed(fixture, NULL, STATUS_TIMEOUT, "the answer takes too long");
}

static void silent_primary_is_given_up(void **state) {
  struct fixture *fixture = *state;
  fixture->limits.idle_ms = 50;
  fixture->primary.axfr = (struct primary_answer){.is_absent = true};
  assert_failed(fixture, NULL, STATUS_TIMEOUT, "the primary does not answer in time");
}

static void cancelled_fetch_ends_at_once(void **state) {
  struct fixture *fixture = *state;
  fixture->fetch.cancel = eventfd(1, EFD_CLOEXEC);
  fixture->limits.idle_ms = fixture->limits.total_ms = 3600000;
  fixture->primary.axfr = (struct primary_answer){.is_absent = true};
  assert_failed(fixture, NULL, STATUS_TIMEOUT, "given up");
  close(fixture->fetch.cancel);
}

static void signed_messages_are_verified(void **state) {
  struct fixture *fixture = *state;
  use_key(fixture, SECRET);
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS, GLUE, WWW(10), SOA(2)}};
  assert_int_equal(fetch(fixture, NULL), STATUS_OK);
  assert_serial(fixture, 2, 4);
  assert_true(fixture->primary.has_verified);
}

static void wrongly_signed_answer_is_refused(void **state) {
  struct fixture *fixture = *state;
  use_key(fixture, OTHER_SECRET);
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS SOA(2)}};
  assert_failed(fixture, NULL, STATUS_FORBIDDEN, "the answer's signature is wrong");
  /* and an IXFR is not tried again as an AXFR */
  fixture->primary.ixfr = fixture->primary.axfr;
  assert_failed(fixture, held(), STATUS_FORBIDDEN, "the answer's signature is wrong");
  assert_int_equal(fixture->primary.axfr_count, 1);
}

static void unsigned_answer_is_refused(void **state) {
  struct fixture *fixture = *state;
  use_key(fixture, SECRET);
  fixture->primary.key_name = NULL;
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS SOA(2)}};
  assert_failed(fixture, NULL, STATUS_FORBIDDEN, "the answer is not signed (code 0)");
}

static void unsigned_end_is_refused(void **state) {
  struct fixture *fixture = *state;
  use_key(fixture, SECRET);
  fixture->primary.axfr = (struct primary_answer){.messages = {SOA(2) NS, GLUE SOA(2)}, .is_unsigned_end = true};
  assert_failed(fixture, NULL, STATUS_FORBIDDEN, "the end of the answer is not signed");
}

static void absent_primary_is_told(void **state) {
  struct fixture *fixture = *state;
  struct primary gone = {0};
  primary_start(&gone);
  primary_stop(&gone);
  fixture->fetch.primary = &gone.addr;
  assert_failed(fixture, held(), STATUS_IO, "connect: Connection refused");
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      test(soa_is_asked_over_udp),
      test(soa_is_asked_over_tcp_when_truncated),
      test(soa_answers_with_another_id_are_not_believed),
      test(soa_query_may_be_refused),
      test(soa_is_verified_with_the_key),
      test(zone_comes_whole_in_several_messages),
      test(differences_are_applied_in_order),
      test(differences_change_a_ttl),
      test(whole_zone_may_answer_an_ixfr),
      test(single_soa_says_that_nothing_is_newer),
      test(differences_that_do_not_fit_are_followed_by_an_axfr),
      test(refused_ixfr_is_followed_by_an_axfr),
      test(answer_with_another_id_is_refused),
      test(answer_to_another_question_is_refused),
      test(answer_that_breaks_off_brings_nothing),
      test(soa_records_must_frame_the_zone),
      test(records_outside_the_zone_are_passed_over),
      test(messages_without_records_are_refused),
      test(endless_answer_ends_at_the_bound),
      test(endless_answer_ends_in_time),
      test(silent_primary_is_given_up),
      test(cancelled_fetch_ends_at_once),
      test(signed_messages_are_verified),
      test(wrongly_signed_answer_is_refused),
      test(unsigned_answer_is_refused),
      test(unsigned_end_is_refused),
      test(absent_primary_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
