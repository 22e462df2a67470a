#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "gslb/model/channel.h"
#include "probes/kinds/commands.h"
#include "probes/kinds/pinger.h"
#include "probes/kinds/probe.h"
#include "tests/unit/net/peer.h"

struct scene {
  struct probe_tools tools;
  struct peer peer;
  struct config_monitor monitor;
  struct status_range ranges[2];
  struct probe_result result;
  int results;
};

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->tools.loop = loop_new();
  scene->tools.http = http_client_new(scene->tools.loop);
  scene->tools.ftp = ftp_client_new(scene->tools.loop);
  scene->tools.resolver = resolver_new(scene->tools.loop);
  scene->tools.pinger = pinger_new(scene->tools.loop, (const int[]){-1, -1});
  scene->ranges[0] = (struct status_range){200, 200};
  scene->ranges[1] = (struct status_range){301, 303};
  scene->monitor = (struct config_monitor){
      .timeout_ms = 2000,
      .path = "/health",
      .body_most = 65536,
      .expect_status = scene->ranges,
      .expect_status_count = 2,
      .query_name = "a.b",
      .query_type = 1,
  };
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  if (scene->peer.loop)
    peer_close(&scene->peer);
  http_client_free(scene->tools.http);
  resolver_free(scene->tools.resolver);
  ftp_client_free(scene->tools.ftp);
  pinger_free(scene->tools.pinger);
  commands_free(scene->tools.commands);
  match_free(scene->monitor.expect.match);
  loop_free(scene->tools.loop);
  free(scene);
  return 0;
}

static void expect(struct scene *scene, const char *text, bool is_regex, bool is_inverted) {
  struct config_expectation *expectation = &scene->monitor.expect;
  match_free(expectation->match);
  *expectation = (struct config_expectation){.text = text, .is_regex = is_regex, .is_inverted = is_inverted};
  assert_int_equal(match_new(text, is_regex, &expectation->match, NULL), STATUS_OK);
}

static void done(void *context, const struct probe_result *result) {
  struct scene *scene = context;
  scene->result = *result;
  scene->results++;
  loop_stop(scene->tools.loop);
}

static void probe_at(struct scene *scene, enum monitor_type type, struct addr address) {
  struct probe_target target = {NULL, &scene->monitor, "www.example.com", address};
  scene->results = 0;
  scene->monitor.type = type;
  probe_kind_of(type)->start(&scene->tools, &(struct probe_call){&target, done, scene});
  assert_int_equal(scene->results, 0);
  loop_run(scene->tools.loop);
  assert_int_equal(scene->results, 1);
}

static void probe_http_answer(struct scene *scene, const char *answer) {
  if (!scene->peer.loop)
    peer_open(&scene->peer, scene->tools.loop, SOCK_STREAM, "127.0.0.1");
  scene->peer.answer = answer;
  scene->peer.answer_size = strlen(answer);
  probe_at(scene, MONITOR_HTTP, scene->peer.addr);
}

static void http_passes_on_expected_status_and_body(void **state) {
  struct scene *scene = *state;
  expect(scene, "ok", false, false);
  probe_http_answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall is ok");
  assert_int_equal(scene->result.reason, PROBE_PASSED);
  assert_string_equal(scene->result.text, "status 200");
  assert_true(scene->result.rtt_us > 0);
  assert_non_null(strstr(scene->peer.request, "\r\nHost: www.example.com\r\n"));
}

static void http_sends_the_host_of_the_monitor(void **state) {
  struct scene *scene = *state;
  scene->monitor.host = "inside.example.net";
  probe_http_answer(scene, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
  assert_string_equal(scene->result.text, "status 302");
  assert_int_equal(scene->result.reason, PROBE_PASSED);
  assert_non_null(strstr(scene->peer.request, "\r\nHost: inside.example.net\r\n"));
}

static void http_fails_on_another_status(void **state) {
  struct scene *scene = *state;
  probe_http_answer(scene, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  assert_int_equal(scene->result.reason, PROBE_STATUS);
  assert_string_equal(scene->result.text, "status 503, expected 200,301-303");
}

static void http_fails_on_another_body(void **state) {
  struct scene *scene = *state;
  expect(scene, "o\nk", false, false);
  probe_http_answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nko");
  assert_int_equal(scene->result.reason, PROBE_NO_MATCH);
  assert_string_equal(scene->result.text, "body lacks \"o k\"");
}

static void http_fails_when_refused_or_silent(void **state) {
  struct scene *scene = *state;
  probe_at(scene, MONITOR_HTTP, peer_nobody(SOCK_STREAM));
  assert_int_equal(scene->result.reason, PROBE_REFUSED);
  assert_string_equal(scene->result.text, "connection refused");
  scene->monitor.timeout_ms = 50;
  peer_open(&scene->peer, scene->tools.loop, SOCK_STREAM, "127.0.0.1");
  scene->peer.keeps_open = true;
  probe_at(scene, MONITOR_HTTP, scene->peer.addr);
  assert_int_equal(scene->result.reason, PROBE_TIMEOUT_ANSWER);
  assert_string_equal(scene->result.text, "time-out waiting for answer");
}

static void tcp_passes_when_connected(void **state) {
  struct scene *scene = *state;
  peer_open(&scene->peer, scene->tools.loop, SOCK_STREAM, "::1");
  probe_at(scene, MONITOR_TCP, scene->peer.addr);
  assert_int_equal(scene->result.reason, PROBE_PASSED);
  assert_string_equal(scene->result.text, "connected");
}

static void tcp_fails_at_once_when_refused(void **state) {
  struct scene *scene = *state;
  int64_t before_ms = mono_now_ms();
  probe_at(scene, MONITOR_TCP, peer_nobody(SOCK_STREAM));
  assert_int_equal(scene->result.reason, PROBE_REFUSED);
  assert_true(mono_now_ms() - before_ms < 1000);
}

static void tcp_that_hangs_is_a_time_out(void **state) {
  struct scene *scene = *state;
  peer_open(&scene->peer, scene->tools.loop, SOCK_STREAM, "127.0.0.1");
  loop_poll_watch(scene->peer.poll, 0);
  assert_int_equal(listen(scene->peer.fd, 0), 0);
  scene->monitor.timeout_ms = 50;
  /* the first ones fill the backlog */
  for (int i = 0; i < 4; i++)
    probe_at(scene, MONITOR_TCP, scene->peer.addr);
  int64_t before_ms = mono_now_ms();
  probe_at(scene, MONITOR_TCP, scene->peer.addr);
  assert_int_equal(scene->result.reason, PROBE_TIMEOUT_CONNECT);
  assert_string_equal(scene->result.text, "time-out in connect");
  assert_in_range(mono_now_ms() - before_ms, 49, 1000);
}

static void cancelled_probes_are_silent(void **state) {
  struct scene *scene = *state;
  struct probe_target target = {NULL, &scene->monitor, "www.example.com", peer_nobody(SOCK_STREAM)};
  for (int type = MONITOR_HTTP; type <= MONITOR_EXEC; type++) {
    if (type == MONITOR_SNMP)
      continue;
    const struct probe_kind *kind = probe_kind_of((enum monitor_type)type);
    kind->cancel(kind->start(&scene->tools, &(struct probe_call){&target, done, scene}));
  }
  assert_int_equal(scene->results, 0);
  probe_at(scene, MONITOR_TCP, target.address);
}

static const uint8_t dns_answer[] = {0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0,  1, 'a', 1,   'b', 0, 0, 1,
                                     0, 1, 0xc0, 12,   0, 1, 0, 1, 0, 0, 0, 60, 0, 4,   192, 0,   2, 53};

static void probe_dns_answer(struct scene *scene, int rcode, uint8_t flags) {
  static uint8_t answer[sizeof dns_answer];
  memcpy(answer, dns_answer, sizeof answer);
  answer[2] = flags;
  answer[3] |= (uint8_t)rcode;
  if (!scene->peer.loop)
    peer_open(&scene->peer, scene->tools.loop, SOCK_DGRAM, "127.0.0.1");
  scene->peer.is_dns = true;
  scene->peer.answer = answer;
  scene->peer.answer_size = sizeof answer;
  probe_at(scene, MONITOR_DNS, scene->peer.addr);
}

static void dns_passes_on_expected_rcode_and_answer(void **state) {
  struct scene *scene = *state;
  probe_dns_answer(scene, 0, 0x81);
  assert_int_equal(scene->result.reason, PROBE_PASSED);
  assert_string_equal(scene->result.text, "rcode NOERROR");
  scene->monitor.expect_answers = (const char *const[]){"192.0.2.53", NULL};
  scene->monitor.is_whole_answer = true;
  probe_dns_answer(scene, 0, 0x81);
  assert_int_equal(scene->result.reason, PROBE_PASSED);
  scene->monitor.expect_answers = NULL;
  scene->monitor.expect_rcode = 3;
  probe_dns_answer(scene, 3, 0x81);
  assert_int_equal(scene->result.reason, PROBE_PASSED);
}

static void dns_fails_on_another_rcode_or_answer(void **state) {
  struct scene *scene = *state;
  probe_dns_answer(scene, 2, 0x81);
  assert_int_equal(scene->result.reason, PROBE_STATUS);
  assert_string_equal(scene->result.text, "rcode SERVFAIL, expected NOERROR");
  scene->monitor.expect_answers = (const char *const[]){"192.0.2.54", NULL};
  probe_dns_answer(scene, 0, 0x81);
  assert_int_equal(scene->result.reason, PROBE_NO_MATCH);
  assert_string_equal(scene->result.text, "no answer 192.0.2.54");
}

static void dns_query_that_comes_back_is_no_answer(void **state) {
  struct scene *scene = *state;
  probe_dns_answer(scene, 0, 0x01);
  assert_int_equal(scene->result.reason, PROBE_PROTOCOL);
  assert_string_equal(scene->result.text, "answer breaks the protocol: not a response");
}

static void dns_fails_when_refused(void **state) {
  struct scene *scene = *state;
  probe_at(scene, MONITOR_DNS, peer_nobody(SOCK_DGRAM));
  assert_int_equal(scene->result.reason, PROBE_REFUSED);
}

static void talk(struct scene *scene, const char *answer, bool keeps_open) {
  if (!scene->peer.loop)
    peer_open(&scene->peer, scene->tools.loop, SOCK_STREAM, "127.0.0.1");
  scene->peer.answer = answer;
  scene->peer.answer_size = answer ? strlen(answer) : 0;
  scene->peer.keeps_open = keeps_open;
  scene->monitor.send = "PING\r\n";
  scene->monitor.send_size = 6;
  probe_at(scene, MONITOR_TCP, scene->peer.addr);
}

static void tcp_sends_and_reads_until_it_has_what_it_expects(void **state) {
  struct scene *scene = *state;
  expect(scene, "^\\+PONG", true, false);
  talk(scene, "+PONG\r\n", true);
  assert_int_equal(scene->result.reason, PROBE_PASSED);
  assert_int_equal(scene->result.bytes, 7);
  assert_string_equal(scene->peer.request, "PING\r\n");
  talk(scene, "-ERR\r\n", false);
  assert_int_equal(scene->result.reason, PROBE_NO_MATCH);
}

static void tcp_without_the_answer_ends_at_the_time_out(void **state) {
  struct scene *scene = *state;
  scene->monitor.timeout_ms = 60;
  expect(scene, "PONG", false, false);
  talk(scene, NULL, true);
  assert_int_equal(scene->result.reason, PROBE_TIMEOUT_ANSWER);
  talk(scene, "+PO", true);
  assert_int_equal(scene->result.reason, PROBE_NO_MATCH);
  talk(scene, NULL, false);
  assert_int_equal(scene->result.reason, PROBE_CLOSED);
}

static void tcp_judges_what_must_not_come_when_nothing_more_comes(void **state) {
  struct scene *scene = *state;
  scene->monitor.timeout_ms = 60;
  expect(scene, "maintenance", false, true);
  talk(scene, "220 ready\r\n", true);
  assert_int_equal(scene->result.reason, PROBE_PASSED);
  assert_true(scene->result.rtt_us < 55000);
  talk(scene, "220 in maintenance\r\n", true);
  assert_int_equal(scene->result.reason, PROBE_NO_MATCH);
}

static void endless_answer_ends_at_its_bound(void **state) {
  struct scene *scene = *state;
  char *text = calloc(1, 200001);
  memset(text, 'x', 200000);
  expect(scene, "PONG", false, false);
  talk(scene, text, true);
  assert_int_equal(scene->result.reason, PROBE_NO_MATCH);
  free(text);
}

static void udp_passes_on_the_datagram_expected(void **state) {
  struct scene *scene = *state;
  peer_open(&scene->peer, scene->tools.loop, SOCK_DGRAM, "127.0.0.1");
  scene->peer.answer = "pong";
  scene->peer.answer_size = 4;
  scene->monitor.send = "ping";
  scene->monitor.send_size = 4;
  scene->monitor.timeout_ms = 60;
  probe_at(scene, MONITOR_UDP, scene->peer.addr);
  assert_int_equal(scene->result.reason, PROBE_PASSED);
  expect(scene, "other", false, false);
  probe_at(scene, MONITOR_UDP, scene->peer.addr);
  assert_int_equal(scene->result.reason, PROBE_NO_MATCH);
  scene->peer.answer = NULL;
  probe_at(scene, MONITOR_UDP, scene->peer.addr);
  assert_int_equal(scene->result.reason, PROBE_TIMEOUT_ANSWER);
  probe_at(scene, MONITOR_UDP, peer_nobody(SOCK_DGRAM));
  assert_int_equal(scene->result.reason, PROBE_REFUSED);
}

static void ping_of_this_machine_is_answered(void **state) {
  struct scene *scene = *state;
  static const char *const addresses[] = {"127.0.0.1", "::1"};
  int raw[2] = {socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP),
                socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6)};
  pinger_free(scene->tools.pinger);
  scene->tools.pinger = pinger_new(scene->tools.loop, raw);
  for (int i = 0; i < 2; i++) {
    struct addr addr;
    addr_parse(addresses[i], &addr);
    probe_at(scene, MONITOR_PING, addr);
    if (raw[i] < 0 && scene->result.reason == PROBE_NOT_MADE)
      continue; /* neither raw sockets nor those of the kernel's are allowed here */
    assert_int_equal(scene->result.reason, PROBE_PASSED);
    assert_true(scene->result.rtt_us > 0);
  }
  pinger_free(scene->tools.pinger);
  scene->tools.pinger = NULL;
  for (int i = 0; i < 2; i++)
    if (raw[i] >= 0)
      close(raw[i]);
}

static struct channel_message message;

static void exec_answers(void *context, int events) {
  (void)events;
  int *channel = context;
  assert_int_equal(channel_receive(*channel, &message), STATUS_OK);
  assert_int_equal(message.kind, CHANNEL_RUN);
  assert_string_equal(message.text, "script");
  message.kind = CHANNEL_RAN;
  message.status = STATUS_INVALID;
  message.length = (size_t)snprintf(message.text, sizeof message.text, "exit status 2%cdisk is full", 0);
  assert_int_equal(channel_send(*channel, &message), STATUS_OK);
}

static void exec_has_the_last_line_as_its_reason(void **state) {
  struct scene *scene = *state;
  int ends[2];
  struct addr addr = peer_nobody(SOCK_STREAM);
  assert_int_equal(channel_pair(ends, NULL), STATUS_OK);
  scene->tools.commands = commands_new(scene->tools.loop, ends[0]);
  struct loop_poll *poll = loop_poll_new(scene->tools.loop, ends[1], exec_answers, &ends[1]);
  scene->monitor.name = "script";
  scene->monitor.timeout_ms = 50;
  loop_poll_watch(poll, LOOP_READABLE);
  probe_at(scene, MONITOR_EXEC, addr);
  assert_int_equal(scene->result.reason, PROBE_STATUS);
  assert_string_equal(scene->result.text, "exit status 2: disk is full");
  loop_poll_watch(poll, 0);
  probe_at(scene, MONITOR_EXEC, addr);
  assert_int_equal(scene->result.reason, PROBE_NOT_MADE);
  loop_poll_free(poll);
  commands_free(scene->tools.commands);
  scene->tools.commands = NULL;
  close(ends[0]);
  close(ends[1]);
}

#define PROBE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      PROBE_TEST(http_passes_on_expected_status_and_body),
      PROBE_TEST(http_sends_the_host_of_the_monitor),
      PROBE_TEST(http_fails_on_another_status),
      PROBE_TEST(http_fails_on_another_body),
      PROBE_TEST(http_fails_when_refused_or_silent),
      PROBE_TEST(tcp_passes_when_connected),
      PROBE_TEST(tcp_fails_at_once_when_refused),
      PROBE_TEST(tcp_that_hangs_is_a_time_out),
      PROBE_TEST(cancelled_probes_are_silent),
      PROBE_TEST(dns_passes_on_expected_rcode_and_answer),
      PROBE_TEST(dns_fails_on_another_rcode_or_answer),
      PROBE_TEST(dns_query_that_comes_back_is_no_answer),
      PROBE_TEST(dns_fails_when_refused),
      PROBE_TEST(tcp_sends_and_reads_until_it_has_what_it_expects),
      PROBE_TEST(tcp_without_the_answer_ends_at_the_time_out),
      PROBE_TEST(tcp_judges_what_must_not_come_when_nothing_more_comes),
      PROBE_TEST(endless_answer_ends_at_its_bound),
      PROBE_TEST(udp_passes_on_the_datagram_expected),
      PROBE_TEST(ping_of_this_machine_is_answered),
      PROBE_TEST(exec_has_the_last_line_as_its_reason),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
