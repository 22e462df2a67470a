#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "gslb/net/http_client.h"
#include "tests/unit/net/peer.h"

struct scene {
  struct loop *loop;
  struct http_client *client;
  struct peer peer;
  unsigned left; /* answers to wait for */
  enum net_outcome outcome;
  int status;
  char body[256], detail[256];
  size_t body_length;
  uint32_t duration_us;
};

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->loop = loop_new();
  scene->client = http_client_new(scene->loop);
  peer_open(&scene->peer, scene->loop, SOCK_STREAM, "127.0.0.1");
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  peer_close(&scene->peer);
  http_client_free(scene->client);
  loop_free(scene->loop);
  free(scene);
  return 0;
}

static void done(void *context, const struct http_reply *reply) {
  struct scene *scene = context;
  scene->outcome = reply->outcome;
  scene->status = reply->status;
  scene->body_length = reply->body_length;
  scene->duration_us = reply->duration_us;
  snprintf(scene->body, sizeof scene->body, "%s", reply->body ? reply->body : "");
  snprintf(scene->detail, sizeof scene->detail, "%s", reply->detail);
  if (--scene->left == 0)
    loop_stop(scene->loop);
}

static struct http_request request_to(struct addr address) {
  return (struct http_request){address, "www.example.com", "/health?full=1", 2000, 4096};
}

static void get(struct scene *scene, struct http_request request) {
  scene->left = 1;
  http_client_start(scene->client, &request, done, scene);
  assert_int_equal(scene->left, 1);
  loop_run(scene->loop);
}

static void answer(struct scene *scene, const char *text) {
  scene->peer.answer = text;
  scene->peer.answer_size = strlen(text);
}

static void answer_comes_with_status_and_body(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  get(scene, request_to(scene->peer.addr));
  assert_int_equal(scene->outcome, NET_ANSWERED);
  assert_int_equal(scene->status, 200);
  assert_string_equal(scene->body, "ok");
  assert_true(scene->duration_us > 0);
  assert_memory_equal(scene->peer.request, "GET /health?full=1 HTTP/1.1\r\n", 29);
  assert_non_null(strstr(scene->peer.request, "\r\nHost: www.example.com\r\n"));
  assert_non_null(strstr(scene->peer.request, "\r\nUser-Agent: gslb\r\n"));
}

static void ipv6_address_is_reached(void **state) {
  struct scene *scene = *state;
  peer_close(&scene->peer);
  peer_open(&scene->peer, scene->loop, SOCK_STREAM, "::1");
  answer(scene, "HTTP/1.1 204 No Content\r\n\r\n");
  get(scene, request_to(scene->peer.addr));
  assert_int_equal(scene->status, 204);
}

static void redirect_is_not_followed(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  get(scene, request_to(scene->peer.addr));
  assert_int_equal(scene->outcome, NET_ANSWERED);
  assert_int_equal(scene->status, 302);
}

static void proxy_of_the_environment_is_ignored(void **state) {
  struct scene *scene = *state;
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  get(scene, request_to(scene->peer.addr));
  unsetenv("http_proxy");
  assert_int_equal(scene->status, 200);
}

static void body_is_cut_at_its_bound(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n0123456789");
  scene->peer.keeps_open = true;
  struct http_request request = request_to(scene->peer.addr);
  request.body_most = 4;
  get(scene, request);
  assert_int_equal(scene->outcome, NET_ANSWERED);
  assert_int_equal(scene->body_length, 4);
  assert_string_equal(scene->body, "0123");
}

static void endless_head_breaks_the_protocol(void **state) {
  struct scene *scene = *state;
  size_t size = HTTP_CLIENT_HEAD_MOST + 4096;
  char *text = malloc(size);
  size_t used = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\n");
  while (used + 64 < size)
    used += (size_t)sprintf(text + used, "X-Filling: 0123456789012345678901234567890123456789\r\n");
  scene->peer.answer = text;
  scene->peer.answer_size = used;
  scene->peer.keeps_open = true;
  get(scene, request_to(scene->peer.addr));
  assert_int_equal(scene->outcome, NET_PROTOCOL);
  assert_string_equal(scene->detail, "header fields too long");
  free(text);
}

static void refusal_is_told_at_once(void **state) {
  struct scene *scene = *state;
  int64_t before_ms = mono_now_ms();
  get(scene, request_to(peer_nobody(SOCK_STREAM)));
  assert_int_equal(scene->outcome, NET_REFUSED);
  assert_true(mono_now_ms() - before_ms < 1000);
}

static void silence_ends_at_the_time_out(void **state) {
  struct scene *scene = *state;
  scene->peer.keeps_open = true;
  struct http_request request = request_to(scene->peer.addr);
  request.timeout_ms = 60;
  int64_t before_ms = mono_now_ms();
  get(scene, request);
  assert_int_equal(scene->outcome, NET_TIMEOUT_ANSWER);
  assert_in_range(mono_now_ms() - before_ms, 59, 1000);
}

static void connection_that_hangs_ends_at_the_time_out(void **state) {
  struct scene *scene = *state;
  /* a full backlog lets further connections hang */
  loop_poll_watch(scene->peer.poll, 0);
  assert_int_equal(listen(scene->peer.fd, 0), 0);
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(&scene->peer.addr, &sockaddr);
  int fds[4];
  for (int i = 0; i < 4; i++) {
    fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(fds[i], (struct sockaddr *)&sockaddr, length);
    (void)result;
  }
  struct http_request request = request_to(scene->peer.addr);
  request.timeout_ms = 60;
  get(scene, request);
  assert_int_equal(scene->outcome, NET_TIMEOUT_CONNECT);
  for (int i = 0; i < 4; i++)
    close(fds[i]);
}

static void connection_closed_early_is_told(void **state) {
  struct scene *scene = *state;
  get(scene, request_to(scene->peer.addr));
  assert_int_equal(scene->outcome, NET_CLOSED);
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok");
  get(scene, request_to(scene->peer.addr));
  assert_int_equal(scene->outcome, NET_CLOSED);
}

static void what_is_no_http_breaks_the_protocol(void **state) {
  struct scene *scene = *state;
  answer(scene, "220 mail.example.net ESMTP\r\n");
  get(scene, request_to(scene->peer.addr));
  assert_int_equal(scene->outcome, NET_PROTOCOL);
}

static void cancelled_transfer_is_silent(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  struct http_request request = request_to(scene->peer.addr);
  scene->left = 1;
  http_client_cancel(http_client_start(scene->client, &request, done, scene));
  assert_int_equal(scene->left, 1);
  get(scene, request);
  assert_int_equal(scene->status, 200);
}

static void many_run_at_once_and_handles_are_used_again(void **state) {
  struct scene *scene = *state;
  struct http_request request = request_to(peer_nobody(SOCK_STREAM));
  for (int round = 0; round < 3; round++) {
    scene->left = 300;
    for (int i = 0; i < 300; i++)
      http_client_start(scene->client, &request, done, scene);
    loop_run(scene->loop);
    assert_int_equal(scene->left, 0);
    assert_int_equal(scene->outcome, NET_REFUSED);
  }
}

#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      HTTP_TEST(answer_comes_with_status_and_body),
      HTTP_TEST(ipv6_address_is_reached),
      HTTP_TEST(redirect_is_not_followed),
      HTTP_TEST(proxy_of_the_environment_is_ignored),
      HTTP_TEST(body_is_cut_at_its_bound),
      HTTP_TEST(endless_head_breaks_the_protocol),
      HTTP_TEST(refusal_is_told_at_once),
      HTTP_TEST(silence_ends_at_the_time_out),
      HTTP_TEST(connection_that_hangs_ends_at_the_time_out),
      HTTP_TEST(connection_closed_early_is_told),
      HTTP_TEST(what_is_no_http_breaks_the_protocol),
      HTTP_TEST(cancelled_transfer_is_silent),
      HTTP_TEST(many_run_at_once_and_handles_are_used_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
