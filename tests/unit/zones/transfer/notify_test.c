#include "zones/transfer/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/unit/zones/transfer/shared_book.h"

#define ZONE_TEXT(serial) "$TTL 300\n@ SOA ns1 admin " serial " 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n"
#define REPEAT_MS 20

/* A secondary that hears NOTIFY. */
struct listener {
  int fd;
  uint16_t port;
  uint8_t message[2048];
  size_t size;
  struct sockaddr_in from;
};

static void listen_here(struct listener *listener) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof here;
  listener->fd = socket(AF_INET, SOCK_DGRAM, 0);
  assert_int_equal(bind(listener->fd, (struct sockaddr *)&here, sizeof here), 0);
  assert_int_equal(getsockname(listener->fd, (struct sockaddr *)&here, &length), 0);
  listener->port = ntohs(here.sin_port);
}

static ldns_pkt *hear(struct listener *listener) {
  struct pollfd wait = {.fd = listener->fd, .events = POLLIN};
  socklen_t length = sizeof listener->from;
  assert_int_equal(poll(&wait, 1, 10000), 1);
  ssize_t size = recvfrom(listener->fd, listener->message, sizeof listener->message, 0,
                          (struct sockaddr *)&listener->from, &length);
  assert_true(size > 0);
  listener->size = (size_t)size;
  ldns_pkt *packet;
  assert_int_equal(ldns_wire2pkt(&packet, listener->message, listener->size), LDNS_STATUS_OK);
  return packet;
}

static void send_to_notifier(const struct listener *listener, int fd, const ldns_pkt *packet) {
  uint8_t *wire;
  size_t size;
  assert_int_equal(ldns_pkt2wire(&wire, packet, &size), LDNS_STATUS_OK);
  assert_int_equal(sendto(fd, wire, size, 0, (const struct sockaddr *)&listener->from, sizeof listener->from), size);
  free(wire);
}

/* Answers what was heard last; key NULL: unsigned. */
static void answer(const struct listener *listener, int fd, uint16_t id_change, ldns_pkt_rcode rcode, const char *key) {
  ldns_pkt *heard, *reply = ldns_pkt_new();
  assert_int_equal(ldns_wire2pkt(&heard, listener->message, listener->size), LDNS_STATUS_OK);
  ldns_pkt_set_id(reply, ldns_pkt_id(heard) ^ id_change);
  ldns_pkt_set_qr(reply, true);
  ldns_pkt_set_aa(reply, true);
  ldns_pkt_set_opcode(reply, LDNS_PACKET_NOTIFY);
  ldns_pkt_set_rcode(reply, (uint8_t)rcode);
  ldns_pkt_push_rr(reply, LDNS_SECTION_QUESTION, ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_question(heard), 0)));
  if (key)
    assert_int_equal(ldns_pkt_tsig_sign(reply, key, SHARED_SECRET, 300, "hmac-sha256.",
                                        ldns_rr_rdf(ldns_pkt_tsig(heard), 3)),
                     LDNS_STATUS_OK);
  send_to_notifier(listener, fd, reply);
  ldns_pkt_free(heard);
  ldns_pkt_free(reply);
}

static void wait_for_count(const _Atomic uint64_t *counter, uint64_t expected) {
  for (int i = 0; i < 5000 && atomic_load(counter) < expected; i++)
    poll(NULL, 0, 1); /* until the other thread has seen it; given up after five seconds */
  assert_int_equal(atomic_load(counter), expected);
}

static void update(struct notifier *notifier, const char *text, const char *options) {
  struct shared_book shared;
  const struct shared_zone zone = {"example.com", text, options};
  shared_book_make(&shared, &zone, 1, "");
  notifier_update(notifier, shared.config, &shared.book->image);
  shared_book_release(&shared);
}

static struct notifier *start(int64_t repeat_ms) {
  struct errbuf err;
  struct notifier *notifier = notifier_new(repeat_ms, &err);
  assert_non_null(notifier);
  return notifier;
}

static void news_is_told_with_the_soa_and_once_it_is_answered_no_more(void **state) {
  (void)state;
  struct listener listener;
  char options[128];
  listen_here(&listener);
  snprintf(options, sizeof options, ", notify: [\"127.0.0.1@%u\"]", listener.port);
  struct notifier *notifier = start(60000);
  update(notifier, ZONE_TEXT("5"), options);
  ldns_pkt *packet = hear(&listener);
  assert_int_equal(ldns_pkt_get_opcode(packet), LDNS_PACKET_NOTIFY);
  assert_true(ldns_pkt_aa(packet));
  assert_false(ldns_pkt_qr(packet));
  assert_null(ldns_pkt_tsig(packet));
  char *question = ldns_rr2str(ldns_rr_list_rr(ldns_pkt_question(packet), 0));
  char *soa = ldns_rr2str(ldns_rr_list_rr(ldns_pkt_answer(packet), 0));
  assert_string_equal(question, "example.com.\tIN\tSOA\n");
  assert_string_equal(soa, "example.com.\t300\tIN\tSOA\tns1.example.com. admin.example.com. 5 3600 600 86400 60\n");
  free(question);
  free(soa);
  ldns_pkt_free(packet);
  answer(&listener, listener.fd, 0, LDNS_RCODE_NOERROR, NULL);
  wait_for_count(&notifier_counts(notifier)->answered, 1);

  update(notifier, ZONE_TEXT("5"), options);
  update(notifier, ZONE_TEXT("6"), options);
  packet = hear(&listener);
  assert_int_equal(ldns_rdf2native_int32(ldns_rr_rdf(ldns_rr_list_rr(ldns_pkt_answer(packet), 0), 2)), 6);
  ldns_pkt_free(packet);
  answer(&listener, listener.fd, 0, LDNS_RCODE_REFUSED, NULL);
  wait_for_count(&notifier_counts(notifier)->rejected, 1);
  assert_int_equal(notifier_counts(notifier)->sent, 2);
  notifier_free(notifier);
  close(listener.fd);
}

static void silence_is_met_by_six_notices_in_all(void **state) {
  (void)state;
  struct listener listener;
  char options[128];
  listen_here(&listener);
  snprintf(options, sizeof options, ", notify: [\"127.0.0.1@%u\"]", listener.port);
  struct notifier *notifier = start(REPEAT_MS);
  update(notifier, ZONE_TEXT("5"), options);
  uint16_t id = 0;
  for (unsigned i = 0; i < NOTIFY_SENDS_MOST; i++) {
    ldns_pkt *packet = hear(&listener);
    if (i == 0)
      id = ldns_pkt_id(packet);
    assert_int_equal(ldns_pkt_id(packet), id);
    ldns_pkt_free(packet);
  }
  wait_for_count(&notifier_counts(notifier)->unanswered, 1);
  assert_int_equal(notifier_counts(notifier)->sent, NOTIFY_SENDS_MOST);
  notifier_free(notifier);
  close(listener.fd);
}

static void answers_from_elsewhere_or_to_something_else_do_not_count(void **state) {
  (void)state;
  struct listener listener, other;
  char options[128];
  listen_here(&listener);
  listen_here(&other);
  snprintf(options, sizeof options, ", notify: [\"127.0.0.1@%u\"]", listener.port);
  struct notifier *notifier = start(60000);
  update(notifier, ZONE_TEXT("5"), options);
  ldns_pkt_free(hear(&listener));
  answer(&listener, listener.fd, 1, LDNS_RCODE_REFUSED, NULL);
  answer(&listener, other.fd, 0, LDNS_RCODE_REFUSED, NULL);
  answer(&listener, listener.fd, 0, LDNS_RCODE_NOERROR, NULL);
  wait_for_count(&notifier_counts(notifier)->answered, 1);
  assert_int_equal(notifier_counts(notifier)->rejected, 0);
  notifier_free(notifier);
  close(listener.fd);
  close(other.fd);
}

static void signed_notice_wants_a_signed_answer(void **state) {
  (void)state;
  struct listener listener;
  char options[128];
  listen_here(&listener);
  snprintf(options, sizeof options, ", notify: [\"127.0.0.1@%u\"], notify_key: first.key", listener.port);
  struct notifier *notifier = start(REPEAT_MS);
  update(notifier, ZONE_TEXT("5"), options);
  ldns_pkt *packet = hear(&listener);
  assert_true(ldns_pkt_tsig_verify(packet, listener.message, listener.size, "first.key.", SHARED_SECRET, NULL));
  ldns_pkt_free(packet);
  answer(&listener, listener.fd, 0, LDNS_RCODE_NOERROR, NULL);
  answer(&listener, listener.fd, 0, LDNS_RCODE_NOERROR, "second.key.");
  ldns_pkt_free(hear(&listener)); /* again */
  answer(&listener, listener.fd, 0, LDNS_RCODE_NOERROR, "first.key.");
  wait_for_count(&notifier_counts(notifier)->answered, 1);
  assert_int_equal(notifier_counts(notifier)->rejected, 0);
  notifier_free(notifier);
  close(listener.fd);
}

static void address_that_is_new_hears_what_others_heard(void **state) {
  (void)state;
  struct listener first, second;
  char options[128];
  listen_here(&first);
  listen_here(&second);
  struct notifier *notifier = start(60000);
  snprintf(options, sizeof options, ", notify: [\"127.0.0.1@%u\"]", first.port);
  update(notifier, ZONE_TEXT("5"), options);
  ldns_pkt_free(hear(&first));
  answer(&first, first.fd, 0, LDNS_RCODE_NOERROR, NULL);
  wait_for_count(&notifier_counts(notifier)->answered, 1);
  snprintf(options, sizeof options, ", notify: [\"127.0.0.1@%u\", \"127.0.0.1@%u\"]", first.port, second.port);
  update(notifier, ZONE_TEXT("5"), options);
  ldns_pkt_free(hear(&second));
  update(notifier, ZONE_TEXT("5"), ""); /* what is under way is dropped with its zone's list */
  answer(&second, second.fd, 0, LDNS_RCODE_NOERROR, NULL);
  assert_int_equal(notifier_counts(notifier)->sent, 2);
  notifier_free(notifier);
  close(first.fd);
  close(second.fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(news_is_told_with_the_soa_and_once_it_is_answered_no_more),
      cmocka_unit_test(silence_is_met_by_six_notices_in_all),
      cmocka_unit_test(answers_from_elsewhere_or_to_something_else_do_not_count),
      cmocka_unit_test(signed_notice_wants_a_signed_answer),
      cmocka_unit_test(address_that_is_new_hears_what_others_heard),
  };
  return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
