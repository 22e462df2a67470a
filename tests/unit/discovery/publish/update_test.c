/* Against a server in a thread that answers one exchange as the test says; ldns reads and signs there. */
#include "discovery/publish/update.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#define SECRET "c2VjcmV0IG9mIHRoZSB0ZXN0cw=="

struct server {
  int udp, tcp;
  struct update_target target;
  struct config_key key;
  pthread_t thread;
  /* how it answers */
  ldns_pkt_rcode code;
  bool is_cut;       /* over UDP */
  bool has_noise;    /* before the answer, others' */
  const char *signs; /* the secret that it signs with; NULL: not */
  bool has_answer;   /* an A record */
  /* what it saw */
  ldns_pkt *query;
  bool came_by_tcp, was_signed_well;
};

static struct server *server;

static uint8_t *make_reply(const uint8_t *wire, size_t size, size_t *reply_size, bool is_udp) {
  uint8_t *reply = NULL;
  ldns_rdf *mac = NULL;
  ldns_pkt_free(server->query);
  assert_int_equal(ldns_wire2pkt(&server->query, wire, size), LDNS_STATUS_OK);
  if (ldns_pkt_tsig(server->query)) {
    server->was_signed_well = ldns_pkt_tsig_verify(server->query, wire, size, "key.", SECRET, NULL);
    mac = ldns_rr_rdf(ldns_pkt_tsig(server->query), 3);
  }
  ldns_pkt *packet = ldns_pkt_new();
  ldns_pkt_set_id(packet, ldns_pkt_id(server->query));
  ldns_pkt_set_opcode(packet, ldns_pkt_get_opcode(server->query));
  ldns_pkt_set_qr(packet, true);
  ldns_pkt_set_rcode(packet, server->code);
  ldns_pkt_set_tc(packet, is_udp && server->is_cut);
  if (server->has_answer) {
    ldns_rr *record = NULL;
    assert_int_equal(ldns_rr_new_frm_str(&record, "A.Example.COM. 30 IN A 127.0.0.5", 0, NULL, NULL), LDNS_STATUS_OK);
    ldns_pkt_push_rr(packet, LDNS_SECTION_ANSWER, record);
  }
  if (server->signs)
    assert_int_equal(ldns_pkt_tsig_sign(packet, "key.", server->signs, 300, "hmac-sha256.", mac), LDNS_STATUS_OK);
  assert_int_equal(ldns_pkt2wire(&reply, packet, reply_size), LDNS_STATUS_OK);
  ldns_pkt_free(packet);
  return reply;
}

static void serve_tcp(void) {
  uint8_t length[2], bytes[65535];
  size_t size;
  int fd = accept(server->tcp, NULL, NULL);
  if (fd < 0)
    return;
  if (recv(fd, length, 2, MSG_WAITALL) == 2 &&
      recv(fd, bytes, ldns_read_uint16(length), MSG_WAITALL) == ldns_read_uint16(length)) {
    server->came_by_tcp = true;
    uint8_t *reply = make_reply(bytes, ldns_read_uint16(length), &size, false);
    ldns_write_uint16(length, (uint16_t)size);
    send(fd, length, 2, MSG_NOSIGNAL | MSG_MORE);
    send(fd, reply, size, MSG_NOSIGNAL);
    free(reply);
  }
  close(fd);
}

static void *serve(void *argument) {
  uint8_t bytes[65535];
  struct sockaddr_storage peer;
  socklen_t length = sizeof peer;
  bool by_tcp_alone = argument != NULL;
  if (!by_tcp_alone) {
    ssize_t got = recvfrom(server->udp, bytes, sizeof bytes, 0, (struct sockaddr *)&peer, &length);
    if (got < 12)
      return NULL;
    if (server->has_noise) {
      sendto(server->udp, "short", 5, 0, (struct sockaddr *)&peer, length);
      uint8_t other[12] = {(uint8_t)(bytes[0] + 1), bytes[1], 0xa8};
      sendto(server->udp, other, sizeof other, 0, (struct sockaddr *)&peer, length);
    }
    size_t size;
    uint8_t *reply = make_reply(bytes, (size_t)got, &size, true);
    sendto(server->udp, reply, size, 0, (struct sockaddr *)&peer, length);
    free(reply);
  }
  if (by_tcp_alone || server->is_cut)
    serve_tcp();
  return NULL;
}

static void start(bool by_tcp_alone) {
  assert_int_equal(pthread_create(&server->thread, NULL, serve, by_tcp_alone ? server : NULL), 0);
}

static int set_up(void **state) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  struct timeval limit = {.tv_sec = 5};
  (void)state;
  server = mem_alloc(sizeof *server);
  for (int i = 0; i < 100; i++) { /* the port must be free for both */
    server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_port = 0;
    if (bind(server->udp, (struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(server->udp, (struct sockaddr *)&address, &length) == 0 &&
        bind(server->tcp, (struct sockaddr *)&address, sizeof address) == 0 && listen(server->tcp, 1) == 0)
      break;
    close(server->udp);
    close(server->tcp);
  }
  setsockopt(server->udp, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(server->tcp, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  addr_from_sockaddr((struct sockaddr *)&address, &server->target.server);
  name_from_text("example.com", &server->target.zone);
  server->key = (struct config_key){.name = "key", .algorithm = KEY_HMAC_SHA256, .secret = SECRET};
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  close(server->udp);
  close(server->tcp);
  ldns_pkt_free(server->query);
  free(server);
  return 0;
}

static struct directory_record record_a(const char *owner) {
  struct directory_record record = {.type = DIRECTORY_A, .ttl_s = 10, .data = (const uint8_t *)"\x7f\0\0\1", .size = 4};
  assert_int_equal(name_from_text(owner, &record.owner), STATUS_OK);
  return record;
}

/* One of each change, sent. */
static enum status send_update(size_t filler, struct errbuf *err) {
  const struct update_patience patience = {4000, -1};
  struct directory_record record = record_a("a.example.com");
  struct update *update = update_new(&server->target);
  update_require_no_set(update, &record.owner, DIRECTORY_PTR);
  update_delete_set(update, &record.owner, DIRECTORY_A);
  update_delete(update, &record);
  update_add(update, &record);
  for (size_t i = 0; i < filler; i++) {
    char owner[64];
    snprintf(owner, sizeof owner, "a-long-first-label-%zu.example.com", i);
    record = record_a(owner);
    update_add(update, &record);
  }
  enum status status = update_send(update, &patience, err);
  update_free(update);
  pthread_join(server->thread, NULL);
  return status;
}

static void an_update_says_what_was_asked_for(void **state) {
  (void)state;
  struct errbuf err;
  start(false);
  assert_int_equal(send_update(0, &err), STATUS_OK);
  assert_int_equal(ldns_pkt_get_opcode(server->query), LDNS_PACKET_UPDATE);
  const ldns_rr_list *changes = ldns_pkt_authority(server->query);
  const ldns_rr *required = ldns_rr_list_rr(ldns_pkt_answer(server->query), 0);
  assert_int_equal(ldns_rr_list_rr_count(changes), 3);
  assert_int_equal(ldns_rr_get_class(required), LDNS_RR_CLASS_NONE);
  assert_int_equal(ldns_rr_get_type(required), LDNS_RR_TYPE_PTR);
  static const ldns_rr_class classes[] = {LDNS_RR_CLASS_ANY, LDNS_RR_CLASS_NONE, LDNS_RR_CLASS_IN};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(ldns_rr_get_class(ldns_rr_list_rr(changes, i)), classes[i]);
    assert_int_equal(ldns_rr_ttl(ldns_rr_list_rr(changes, i)), i == 2 ? 10 : 0);
  }
  assert_false(server->came_by_tcp);
}

static void a_key_signs_and_the_answer_is_checked(void **state) {
  (void)state;
  struct errbuf err;
  server->target.key = &server->key;
  server->signs = SECRET;
  start(false);
  assert_int_equal(send_update(0, &err), STATUS_OK);
  assert_true(server->was_signed_well);
}

static void a_wrong_signature_is_refused(void **state) {
  (void)state;
  struct errbuf err;
  server->target.key = &server->key;
  server->signs = "b3RoZXI=";
  start(false);
  assert_int_equal(send_update(0, &err), STATUS_FORBIDDEN);
  assert_string_equal(err.text, "the answer's signature is wrong");
}

static void a_missing_signature_is_refused(void **state) {
  (void)state;
  struct errbuf err;
  server->target.key = &server->key;
  start(false);
  assert_int_equal(send_update(0, &err), STATUS_FORBIDDEN);
}

static void codes_become_reasons(void **state) {
  (void)state;
  static const struct {
    ldns_pkt_rcode code;
    enum status status;
    const char *text;
  } cases[] = {{LDNS_RCODE_REFUSED, STATUS_FORBIDDEN, "the server answers REFUSED"},
               {LDNS_RCODE_NOTAUTH, STATUS_FORBIDDEN, "the server answers NOTAUTH"},
               {LDNS_RCODE_NOTZONE, STATUS_FORBIDDEN, "the server answers NOTZONE"},
               {LDNS_RCODE_YXRRSET, STATUS_CONFLICT, "the server answers YXRRSET"},
               {LDNS_RCODE_SERVFAIL, STATUS_IO, "the server answers SERVFAIL"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct errbuf err;
    server->code = cases[i].code;
    start(false);
    assert_int_equal(send_update(0, &err), cases[i].status);
    assert_string_equal(err.text, cases[i].text);
  }
}

static void answers_of_others_are_passed_over(void **state) {
  (void)state;
  struct errbuf err;
  server->has_noise = true;
  start(false);
  assert_int_equal(send_update(0, &err), STATUS_OK);
}

static void long_updates_go_by_tcp(void **state) {
  (void)state;
  struct errbuf err;
  start(true);
  assert_int_equal(send_update(200, &err), STATUS_OK);
  assert_true(server->came_by_tcp);
  assert_int_equal(ldns_rr_list_rr_count(ldns_pkt_authority(server->query)), 203);
}

static void too_long_updates_are_not_sent(void **state) {
  (void)state;
  struct errbuf err;
  const struct update_patience patience = {100, -1};
  struct update *update = update_new(&server->target);
  for (size_t i = 0; i < 2500; i++) {
    char owner[64];
    snprintf(owner, sizeof owner, "a-long-first-label-%zu.example.com", i);
    struct directory_record record = record_a(owner);
    update_add(update, &record);
  }
  assert_int_equal(update_send(update, &patience, &err), STATUS_LIMIT);
  update_free(update);
}

static void keys_that_cannot_sign_are_named(void **state) {
  (void)state;
  struct errbuf err;
  const struct update_patience patience = {100, -1};
  struct update *update;
  server->key.algorithm = KEY_HMAC_SHA384;
  server->target.key = &server->key;
  update = update_new(&server->target);
  assert_int_equal(update_send(update, &patience, &err), STATUS_INVALID);
  assert_string_equal(err.text, "key key: updates cannot be signed with hmac-sha384");
  update_free(update);
}

static void questions_are_answered_in_lower_case(void **state) {
  (void)state;
  const struct update_patience patience = {4000, -1};
  struct arena arena = {0};
  struct directory out;
  struct errbuf err;
  struct directory_record record = record_a("a.example.com");
  server->has_answer = server->is_cut = true; /* so asked again by TCP */
  start(false);
  assert_int_equal(update_ask(&server->target, &record.owner, DIRECTORY_A, &patience, &arena, &out, &err), STATUS_OK);
  pthread_join(server->thread, NULL);
  assert_true(server->came_by_tcp);
  assert_int_equal(out.count, 1);
  assert_int_equal(out.records[0].ttl_s, 30);
  assert_memory_equal(out.records[0].data, "\x7f\0\0\5", 4);
  arena_release(&arena);
}

static void a_name_that_is_not_there_has_no_records(void **state) {
  (void)state;
  const struct update_patience patience = {4000, -1};
  struct arena arena = {0};
  struct directory out;
  struct errbuf err;
  struct directory_record record = record_a("b.example.com");
  server->code = LDNS_RCODE_NXDOMAIN;
  start(false);
  assert_int_equal(update_ask(&server->target, &record.owner, DIRECTORY_A, &patience, &arena, &out, &err), STATUS_OK);
  pthread_join(server->thread, NULL);
  assert_int_equal(out.count, 0);
  arena_release(&arena);
}

static void an_exchange_can_be_given_up(void **state) {
  (void)state;
  int ends[2];
  struct errbuf err;
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(write(ends[1], "x", 1), 1);
  const struct update_patience patience = {60000, ends[0]};
  struct update *update = update_new(&server->target);
  assert_int_equal(update_send(update, &patience, &err), STATUS_TIMEOUT);
  update_free(update);
  close(ends[0]);
  close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_update_says_what_was_asked_for),
      TEST(a_key_signs_and_the_answer_is_checked),
      TEST(a_wrong_signature_is_refused),
      TEST(a_missing_signature_is_refused),
      TEST(codes_become_reasons),
      TEST(answers_of_others_are_passed_over),
      TEST(long_updates_go_by_tcp),
      TEST(too_long_updates_are_not_sent),
      TEST(keys_that_cannot_sign_are_named),
      TEST(questions_are_answered_in_lower_case),
      TEST(a_name_that_is_not_there_has_no_records),
      TEST(an_exchange_can_be_given_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
