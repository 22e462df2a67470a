#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "gslb/base/clock.h"
#include "gslb/net/lookup.h"
#include "tests/unit/net/peer.h"

/* A DNS server on the test's own loop that knows these records; additional ones go with every SRV. */
struct name_server {
  struct loop *loop;
  struct loop_poll *poll, *stream_poll, *connection_poll;
  int fd, stream_fd, connection; /* TCP: one at a time */
  struct addr addr;
  const char *const *records, *const *additional;
  ldns_pkt_rcode rcode;
  unsigned silent_type; /* questions of this type get no answer */
  unsigned asked;
};

struct scene {
  struct loop *loop;
  struct name_server servers[2];
  struct addr addrs[2];
  unsigned left;
  enum status status;
  struct lookup_target targets[LOOKUP_TARGETS_MOST];
  size_t target_count, txt_count;
  char txt[4][64], detail[128];
};

static void push(ldns_pkt *answer, ldns_pkt_section section, const char *line, const ldns_rr *question) {
  ldns_rr *record = NULL;
  assert_int_equal(ldns_rr_new_frm_str(&record, line, 60, NULL, NULL), LDNS_STATUS_OK);
  bool is_asked = ldns_rr_get_type(record) == ldns_rr_get_type(question) &&
                  ldns_dname_compare(ldns_rr_owner(record), ldns_rr_owner(question)) == 0;
  if (section == LDNS_SECTION_ADDITIONAL || is_asked)
    ldns_pkt_push_rr(answer, section, record);
  else
    ldns_rr_free(record);
}

/* An answer's size in wire; 0: none. */
static size_t answer_to(struct name_server *server, const uint8_t *bytes, size_t size, uint8_t **wire) {
  ldns_pkt *query = NULL;
  if (ldns_wire2pkt(&query, bytes, size) != LDNS_STATUS_OK)
    return 0;
  size_t answer_size = 0;
  server->asked++;
  const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(query), 0);
  if (ldns_rr_get_type(question) != server->silent_type) {
    ldns_pkt *answer = ldns_pkt_new();
    ldns_pkt_set_id(answer, ldns_pkt_id(query));
    ldns_pkt_set_qr(answer, true);
    ldns_pkt_set_rcode(answer, server->rcode);
    ldns_pkt_push_rr(answer, LDNS_SECTION_QUESTION, ldns_rr_clone(question));
    for (const char *const *line = server->records; line && *line; line++)
      push(answer, LDNS_SECTION_ANSWER, *line, question);
    for (const char *const *line = server->additional; line && *line && ldns_pkt_ancount(answer); line++)
      push(answer, LDNS_SECTION_ADDITIONAL, *line, question);
    assert_int_equal(ldns_pkt2wire(wire, answer, &answer_size), LDNS_STATUS_OK);
    ldns_pkt_free(answer);
  }
  ldns_pkt_free(query);
  return answer_size;
}

static void datagram_came(void *context, int events) {
  (void)events;
  struct name_server *server = context;
  uint8_t bytes[4096], *wire = NULL;
  struct sockaddr_storage from;
  socklen_t from_size = sizeof from;
  ssize_t got = recvfrom(server->fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &from_size);
  size_t size = got > 0 ? answer_to(server, bytes, (size_t)got, &wire) : 0;
  if (size > 1232) { /* cut, as a server does it */
    wire[2] |= 2;
    memset(wire + 6, 0, 6);
    size = 12 + strlen((const char *)wire + 12) + 1 + 4;
  }
  if (size > 0)
    (void)!sendto(server->fd, wire, size, 0, (struct sockaddr *)&from, from_size);
  free(wire);
}

static void hang_up(struct name_server *server) {
  loop_poll_free(server->connection_poll);
  server->connection_poll = NULL;
  if (server->connection > 0)
    close(server->connection);
  server->connection = 0;
}

static void stream_came(void *context, int events) {
  (void)events;
  struct name_server *server = context;
  uint8_t bytes[4096], *wire = NULL;
  ssize_t got = recv(server->connection, bytes, sizeof bytes, 0);
  if (got <= 2) {
    hang_up(server);
    return;
  }
  size_t size = answer_to(server, bytes + 2, (size_t)got - 2, &wire);
  uint8_t prefix[2] = {(uint8_t)(size >> 8), (uint8_t)size};
  (void)!send(server->connection, prefix, 2, MSG_NOSIGNAL | MSG_MORE);
  (void)!send(server->connection, wire, size, MSG_NOSIGNAL);
  free(wire);
}

static void connection_came(void *context, int events) {
  (void)events;
  struct name_server *server = context;
  hang_up(server);
  server->connection = accept(server->stream_fd, NULL, NULL);
  server->connection_poll = loop_poll_new(server->loop, server->connection, stream_came, server);
  loop_poll_watch(server->connection_poll, LOOP_READABLE);
}

static void server_open(struct name_server *server, struct loop *loop) {
  struct sockaddr_storage sockaddr;
  socklen_t length;
  int result = -1;
  server->loop = loop;
  for (int i = 0; i < 50 && result != 0; i++) { /* until TCP has the port that UDP got */
    assert_int_equal(addr_parse("127.0.0.1", &server->addr), STATUS_OK);
    length = addr_to_sockaddr(&server->addr, &sockaddr);
    server->fd = socket(AF_INET, SOCK_DGRAM, 0);
    server->stream_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&sockaddr, length), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&sockaddr, &length), 0);
    result = bind(server->stream_fd, (struct sockaddr *)&sockaddr, length) || listen(server->stream_fd, 4);
    if (result != 0) {
      close(server->fd);
      close(server->stream_fd);
    }
  }
  assert_int_equal(result, 0);
  addr_from_sockaddr((struct sockaddr *)&sockaddr, &server->addr);
  server->poll = loop_poll_new(loop, server->fd, datagram_came, server);
  loop_poll_watch(server->poll, LOOP_READABLE);
  server->stream_poll = loop_poll_new(loop, server->stream_fd, connection_came, server);
  loop_poll_watch(server->stream_poll, LOOP_READABLE);
}

static void server_close(struct name_server *server) {
  hang_up(server);
  loop_poll_free(server->poll);
  loop_poll_free(server->stream_poll);
  close(server->fd);
  close(server->stream_fd);
}

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->loop = loop_new();
  for (int i = 0; i < 2; i++) {
    server_open(&scene->servers[i], scene->loop);
    scene->addrs[i] = scene->servers[i].addr;
  }
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  for (int i = 0; i < 2; i++)
    server_close(&scene->servers[i]);
  loop_free(scene->loop);
  free(scene);
  return 0;
}

static void done(void *context, const struct lookup_answer *answer) {
  struct scene *scene = context;
  scene->status = answer->status;
  scene->target_count = answer->target_count;
  scene->txt_count = answer->txt_count;
  snprintf(scene->detail, sizeof scene->detail, "%s", answer->detail);
  memcpy(scene->targets, answer->targets, answer->target_count * sizeof *answer->targets);
  for (size_t i = 0; i < answer->txt_count && i < 4; i++)
    snprintf(scene->txt[i], sizeof scene->txt[i], "%s", answer->txt[i]);
  scene->left--;
  loop_stop(scene->loop);
}

static void find(struct scene *scene, size_t server_count, int64_t timeout_ms) {
  scene->left = 1;
  lookup_service(scene->loop, "_gslb-register._tcp.example.com", scene->addrs, server_count, timeout_ms, done, scene);
  assert_int_equal(scene->left, 1);
  loop_run(scene->loop);
  assert_int_equal(scene->left, 0);
}

static void find_host(struct scene *scene, const char *name, int64_t timeout_ms) {
  scene->left = 1;
  lookup_host(scene->loop, name, 8300, scene->addrs, 1, timeout_ms, done, scene);
  assert_int_equal(scene->left, 1);
  loop_run(scene->loop);
}

static void assert_address(const struct lookup_target *target, size_t at, const char *expected) {
  char text[ADDR_TEXT_SIZE];
  assert_true(at < target->address_count);
  assert_string_equal(addr_format_port(&target->addresses[at], text), expected);
}

#define SERVICE "_gslb-register._tcp.example.com. 60 "

static const char *const two_targets[] = {SERVICE "SRV 20 5 8301 lb2.example.com.",
                                          SERVICE "SRV 10 7 8300 LB1.example.com.",
                                          SERVICE "TXT \"path=/v1\" \"tls=1\"",
                                          "lb2.example.com. 60 A 192.0.2.2",
                                          "lb2.example.com. 60 AAAA 2001:db8::2",
                                          NULL};
static const char *const one_address[] = {"lb1.example.com. 60 A 192.0.2.1", NULL};

static void targets_come_in_order_with_addresses_and_txt(void **state) {
  struct scene *scene = *state;
  scene->servers[0].records = two_targets;
  scene->servers[0].additional = one_address;
  find(scene, 1, 2000);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(scene->target_count, 2);
  assert_string_equal(scene->targets[0].host, "LB1.example.com");
  assert_int_equal(scene->targets[0].priority, 10);
  assert_int_equal(scene->targets[0].weight, 7);
  assert_int_equal(scene->targets[0].address_count, 1);
  assert_address(&scene->targets[0], 0, "192.0.2.1@8300");
  assert_int_equal(scene->targets[1].address_count, 2);
  assert_int_equal(scene->targets[1].addresses[0].port, 8301);
  assert_int_equal(scene->txt_count, 2);
  assert_string_equal(scene->txt[0], "path=/v1");
  assert_string_equal(scene->txt[1], "tls=1");
  assert_int_equal(scene->servers[0].asked, 4); /* SRV, TXT, and A and AAAA of the one that came without */
}

static void absence_is_no_fault(void **state) {
  struct scene *scene = *state;
  find(scene, 1, 2000);
  assert_int_equal(scene->status, STATUS_NODATA);
  scene->servers[0].rcode = LDNS_RCODE_NXDOMAIN;
  find(scene, 1, 2000);
  assert_int_equal(scene->status, STATUS_NODATA);
  static const char *const root[] = {SERVICE "SRV 0 0 0 .", NULL};
  scene->servers[0].rcode = LDNS_RCODE_NOERROR;
  scene->servers[0].records = root;
  find(scene, 1, 2000);
  assert_int_equal(scene->status, STATUS_NODATA);
  assert_string_equal(scene->detail, "the service is said not to be available");
}

static void target_without_address_is_told_with_none(void **state) {
  struct scene *scene = *state;
  static const char *const lone[] = {SERVICE "SRV 0 1 80 nowhere.example.com.", NULL};
  scene->servers[0].records = lone;
  find(scene, 1, 2000);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(scene->target_count, 1);
  assert_int_equal(scene->targets[0].address_count, 0);
  assert_int_equal(scene->txt_count, 0);
}

static void next_server_is_asked(void **state) {
  struct scene *scene = *state;
  scene->addrs[0] = peer_nobody(SOCK_DGRAM);
  scene->servers[1].records = two_targets;
  find(scene, 2, 4000);
  assert_int_equal(scene->status, STATUS_OK);
  scene->addrs[0] = scene->servers[0].addr;
  scene->servers[0].rcode = LDNS_RCODE_REFUSED;
  find(scene, 2, 4000);
  assert_int_equal(scene->status, STATUS_OK);
  assert_true(scene->servers[0].asked > 0);
}

static void refusal_of_all_is_a_failure(void **state) {
  struct scene *scene = *state;
  scene->servers[0].rcode = LDNS_RCODE_REFUSED;
  find(scene, 1, 2000);
  assert_int_equal(scene->status, STATUS_IO);
  scene->addrs[0] = peer_nobody(SOCK_DGRAM);
  find(scene, 1, 2000);
  assert_true(scene->status == STATUS_IO || scene->status == STATUS_TIMEOUT);
}

static void silence_ends_in_time(void **state) {
  struct scene *scene = *state;
  scene->servers[0].silent_type = LDNS_RR_TYPE_SRV;
  int64_t before_ms = mono_now_ms();
  find(scene, 1, 150);
  assert_int_equal(scene->status, STATUS_TIMEOUT);
  assert_in_range(mono_now_ms() - before_ms, 149, 1000);
}

static void what_is_there_in_time_is_handed_over(void **state) {
  struct scene *scene = *state;
  scene->servers[0].records = two_targets;
  scene->servers[0].additional = one_address;
  scene->servers[0].silent_type = LDNS_RR_TYPE_AAAA;
  find(scene, 1, 150);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(scene->target_count, 2);
  assert_int_equal(scene->targets[0].address_count, 1);
}

static void long_answer_comes_whole_and_loses_its_last_priorities(void **state) {
  struct scene *scene = *state;
  static char lines[90][80];
  static const char *records[91];
  for (int i = 0; i < 90; i++) {
    snprintf(lines[i], sizeof lines[i], "_gslb-register._tcp.example.com. 60 SRV %d 1 80 a.example.com.", 90 - i);
    records[i] = lines[i];
  }
  scene->servers[0].records = records;
  find(scene, 1, 2000);
  assert_int_equal(scene->target_count, LOOKUP_TARGETS_MOST);
  for (unsigned i = 0; i < LOOKUP_TARGETS_MOST; i++)
    assert_int_equal(scene->targets[i].priority, i + 1);
}

static void host_gives_its_addresses(void **state) {
  struct scene *scene = *state;
  scene->servers[0].records = two_targets;
  find_host(scene, "lb2.example.com", 2000);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(scene->target_count, 1);
  assert_int_equal(scene->targets[0].address_count, 2);
  assert_int_equal(scene->targets[0].addresses[1].port, 8300);
  find_host(scene, "lb9.example.com", 2000);
  assert_int_equal(scene->status, STATUS_NODATA);
  find_host(scene, "192.0.2.7", 2000);
  assert_address(&scene->targets[0], 0, "192.0.2.7@8300");
  scene->servers[0].asked = 0;
  find_host(scene, "localhost", 2000);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(scene->servers[0].asked, 0);
}

static void name_that_is_none_is_told(void **state) {
  struct scene *scene = *state;
  char name[400];
  memset(name, 'a', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  find_host(scene, name, 2000);
  assert_int_equal(scene->status, STATUS_IO);
  find_host(scene, "a..b", 2000);
  assert_true(scene->status == STATUS_IO || scene->status == STATUS_NODATA);
}

static void cancelled_lookup_is_silent(void **state) {
  struct scene *scene = *state;
  scene->servers[0].records = two_targets;
  scene->left = 1;
  lookup_cancel(lookup_service(scene->loop, "_x._tcp.example.com", scene->addrs, 1, 2000, done, scene));
  find(scene, 1, 2000);
  assert_int_equal(scene->status, STATUS_OK);
}

#define LOOKUP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      LOOKUP_TEST(targets_come_in_order_with_addresses_and_txt),
      LOOKUP_TEST(absence_is_no_fault),
      LOOKUP_TEST(target_without_address_is_told_with_none),
      LOOKUP_TEST(next_server_is_asked),
      LOOKUP_TEST(refusal_of_all_is_a_failure),
      LOOKUP_TEST(silence_ends_in_time),
      LOOKUP_TEST(what_is_there_in_time_is_handed_over),
      LOOKUP_TEST(long_answer_comes_whole_and_loses_its_last_priorities),
      LOOKUP_TEST(host_gives_its_addresses),
      LOOKUP_TEST(name_that_is_none_is_told),
      LOOKUP_TEST(cancelled_lookup_is_silent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
