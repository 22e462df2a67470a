#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "gslb/net/http_client.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/listening.h"
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
  unsigned retry_after_s;
  char etag[64];
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
  scene->retry_after_s = reply->retry_after_s;
  snprintf(scene->etag, sizeof scene->etag, "%s", reply->etag);
  snprintf(scene->body, sizeof scene->body, "%s", reply->body ? reply->body : "");
  snprintf(scene->detail, sizeof scene->detail, "%s", reply->detail);
  if (--scene->left == 0)
    loop_stop(scene->loop);
}

static struct http_request request_to(struct addr address) {
  return (struct http_request){.address = address,
                               .host = "www.example.com",
                               .path = "/health?full=1",
                               .timeout_ms = 2000,
                               .body_most = 4096};
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

static void redirect_stays_at_the_address_whatever_host_it_names(void **state) {
  struct scene *scene = *state;
  char text[256];
  snprintf(text, sizeof text,
           "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example.net:%u/next?a=1\r\nContent-Length: 0\r\n\r\n",
           scene->peer.addr.port);
  answer(scene, text);
  struct http_request request = request_to(scene->peer.addr);
  request.redirects = 2;
  get(scene, request);
  assert_int_equal(scene->outcome, NET_PROTOCOL); /* it never ends, so the bound is met */
  assert_memory_equal(scene->peer.request, "GET /next?a=1 HTTP/1.1\r\n", 24);
  assert_non_null(strstr(scene->peer.request, "\r\nHost: elsewhere.example.net:"));
}

static void redirect_within_the_host_keeps_its_name(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 301 Moved\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
  struct http_request request = request_to(scene->peer.addr);
  request.redirects = 1;
  get(scene, request);
  assert_memory_equal(scene->peer.request, "GET /other HTTP/1.1\r\n", 21);
  assert_non_null(strstr(scene->peer.request, "\r\nHost: www.example.com\r\n"));
}

static void redirect_to_another_protocol_is_not_followed(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n");
  struct http_request request = request_to(scene->peer.addr);
  request.redirects = 3;
  get(scene, request);
  assert_int_equal(scene->outcome, NET_PROTOCOL);
}

static void time_out_tells_the_phase(void **state) {
  struct scene *scene = *state;
  struct http_request request = request_to(scene->peer.addr);
  scene->peer.keeps_open = true;
  request.timeout_ms = 60;
  request.is_tls = true;
  get(scene, request);
  assert_int_equal(scene->outcome, NET_TIMEOUT_TLS);
  request.is_tls = false;
  get(scene, request);
  assert_int_equal(scene->outcome, NET_TIMEOUT_ANSWER);
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok");
  get(scene, request);
  assert_int_equal(scene->outcome, NET_TIMEOUT_BODY);
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Le");
  get(scene, request);
  assert_int_equal(scene->outcome, NET_TIMEOUT_BODY);
}

static void http_1_is_no_answer_when_http_2_is_wanted(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  struct http_request request = request_to(scene->peer.addr);
  request.is_http2 = true;
  get(scene, request);
  assert_int_not_equal(scene->outcome, NET_ANSWERED);
  assert_memory_equal(scene->peer.request, "PRI * HTTP/2.0", 14);
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

static void endless_header_line_breaks_the_protocol(void **state) {
  struct scene *scene = *state;
  size_t size = 200000; /* beyond libcurl's own bound of a line */
  char *text = malloc(size);
  size_t used = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\nX-Filling: ");
  memset(text + used, 'x', size - used);
  scene->peer.answer = text;
  scene->peer.answer_size = size;
  scene->peer.keeps_open = true;
  get(scene, request_to(scene->peer.addr));
  assert_int_equal(scene->outcome, NET_PROTOCOL);
  assert_string_equal(scene->detail, "header fields too long");
  free(text);
}

static void connection_closed_in_the_handshake_is_told(void **state) {
  struct scene *scene = *state;
  scene->peer.keeps_open = false;
  struct http_request request = request_to(scene->peer.addr);
  request.is_tls = true;
  get(scene, request);
  assert_int_equal(scene->outcome, NET_CLOSED);
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
  request.is_tls = true;
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

static void method_headers_and_body_are_sent(void **state) {
  struct scene *scene = *state;
  static const char *const headers[] = {"Content-Type: application/json", "Authorization: Bearer gslb_x", NULL};
  answer(scene, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  struct http_request request = request_to(scene->peer.addr);
  request.method = "PUT";
  request.headers = headers;
  request.body = "{\"a\":1}";
  request.body_size = 7;
  get(scene, request);
  assert_int_equal(scene->status, 201);
  assert_memory_equal(scene->peer.request, "PUT /health?full=1 HTTP/1.1\r\n", 29);
  assert_non_null(strstr(scene->peer.request, "\r\nContent-Type: application/json\r\n"));
  assert_non_null(strstr(scene->peer.request, "\r\nAuthorization: Bearer gslb_x\r\n"));
  assert_non_null(strstr(scene->peer.request, "\r\nContent-Length: 7\r\n"));
  assert_null(strstr(scene->peer.request, "Expect"));
  assert_non_null(strstr(scene->peer.request, "\r\n\r\n{\"a\":1}"));
}

static void methods_without_body_say_so(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
  struct http_request request = request_to(scene->peer.addr);
  request.method = "POST";
  get(scene, request);
  assert_non_null(strstr(scene->peer.request, "\r\nContent-Length: 0\r\n"));
  request.method = "DELETE";
  get(scene, request);
  assert_memory_equal(scene->peer.request, "DELETE ", 7);
  assert_null(strstr(scene->peer.request, "Content-"));
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
  request.method = "HEAD";
  get(scene, request);
  assert_int_equal(scene->outcome, NET_ANSWERED);
  assert_int_equal(scene->body_length, 0);
}

static void no_option_goes_from_one_request_to_the_next(void **state) {
  struct scene *scene = *state;
  static const char *const headers[] = {"X-Mine: 1", NULL};
  struct http_request plain = request_to(scene->peer.addr), other = plain;
  other.method = "PUT";
  other.path = "/there";
  other.headers = headers;
  other.body = "{}";
  other.body_size = 2;
  other.redirects = 1;
  other.may_reuse = true;
  for (int round = 0; round < 2; round++) {
    answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    get(scene, plain);
    assert_memory_equal(scene->peer.request, "GET /health?full=1 HTTP/1.1\r\n", 29);
    assert_null(strstr(scene->peer.request, "X-Mine"));
    assert_null(strstr(scene->peer.request, "Content-Length"));
    assert_non_null(strstr(scene->peer.request, "\r\nConnection: close\r\n"));
    answer(scene, "HTTP/1.1 301 Moved\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
    get(scene, other); /* of the request before it would have the target, whatever is followed */
    assert_memory_equal(scene->peer.request, "PUT /other HTTP/1.1\r\n", 21);
    assert_null(strstr(scene->peer.request, "Connection: close"));
  }
}

static void etag_and_retry_after_are_told(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 429 Too Many Requests\r\netag: \"17\"\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n");
  get(scene, request_to(scene->peer.addr));
  assert_string_equal(scene->etag, "\"17\"");
  assert_int_equal(scene->retry_after_s, 30);
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  get(scene, request_to(scene->peer.addr));
  assert_string_equal(scene->etag, "");
  assert_int_equal(scene->retry_after_s, 0);
}

static void connection_is_kept_when_it_may(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  scene->peer.keeps_open = true;
  struct http_request request = request_to(scene->peer.addr);
  request.may_reuse = true;
  get(scene, request);
  struct loop_poll *first = scene->peer.connection_poll;
  assert_null(strstr(scene->peer.request, "Connection: close"));
  get(scene, request);
  assert_ptr_equal(scene->peer.connection_poll, first);
  request.may_reuse = false;
  get(scene, request);
  assert_int_equal(scene->status, 200);
  assert_ptr_not_equal(scene->peer.connection_poll, first);
}

static void kept_connection_that_was_closed_is_made_anew(void **state) {
  struct scene *scene = *state;
  answer(scene, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  struct http_request request = request_to(scene->peer.addr);
  request.may_reuse = true;
  request.method = "PUT";
  request.body = "x";
  request.body_size = 1;
  for (int i = 0; i < 3; i++) {
    get(scene, request); /* the peer hangs up after each answer */
    assert_int_equal(scene->status, 200);
  }
}

static void tls_verifies_authority_and_name(void **state) {
  struct scene *scene = *state;
  struct certificates made;
  char ca[160], stranger[160], certificate[160], key[160];
  certificates_open(&made);
  struct authority authority = authority_make(&made, "ca"), other = authority_make(&made, "stranger");
  certificate_make(&made, &authority, "server", "lb", "lb1.example.com", GNUTLS_KP_TLS_WWW_SERVER);
  certificate_path(&made, "ca", ca);
  certificate_path(&made, "stranger", stranger);
  struct http_tls tls = {certificate_path(&made, "server", certificate), certificate_path(&made, "server-key", key),
                         NULL};
  struct http_limits limits = {.threads = 1, .connections = 20, .idle_s = 5};
  struct listening at;
  struct errbuf err;
  listening_open(&at);
  assert_int_equal(http_server_start(at.fd, &limits, &tls, tell_request, NULL, &at.server, &err), STATUS_OK);

  struct http_request request = request_to(at.addr);
  request.is_tls = true;
  request.host = "lb1.example.com:8300";
  request.ca = ca;
  get(scene, request);
  assert_string_equal(scene->body, "GET /health tls <> ");
  request.host = "lb2.example.com";
  get(scene, request);
  assert_int_equal(scene->outcome, NET_NAME);
  request.server_name = "lb1.example.com";
  get(scene, request);
  assert_int_equal(scene->status, 200);
  request.server_name = NULL;
  request.is_unverified = true;
  get(scene, request);
  assert_int_equal(scene->status, 200);
  request.is_unverified = false;
  request.host = "lb1.example.com";
  request.ca = stranger;
  get(scene, request);
  assert_int_equal(scene->outcome, NET_CERTIFICATE);
  request.ca = NULL;
  get(scene, request);
  assert_int_equal(scene->outcome, NET_CERTIFICATE);
  request.ca = "/nonexistent";
  get(scene, request);
  assert_int_equal(scene->outcome, NET_LOCAL);

  listening_close(&at);
  authority_release(&authority);
  authority_release(&other);
  certificates_close(&made);
}

#define HTTP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      HTTP_TEST(answer_comes_with_status_and_body),
      HTTP_TEST(ipv6_address_is_reached),
      HTTP_TEST(redirect_is_not_followed),
      HTTP_TEST(redirect_stays_at_the_address_whatever_host_it_names),
      HTTP_TEST(redirect_within_the_host_keeps_its_name),
      HTTP_TEST(redirect_to_another_protocol_is_not_followed),
      HTTP_TEST(time_out_tells_the_phase),
      HTTP_TEST(http_1_is_no_answer_when_http_2_is_wanted),
      HTTP_TEST(proxy_of_the_environment_is_ignored),
      HTTP_TEST(body_is_cut_at_its_bound),
      HTTP_TEST(endless_head_breaks_the_protocol),
      HTTP_TEST(endless_header_line_breaks_the_protocol),
      HTTP_TEST(connection_closed_in_the_handshake_is_told),
      HTTP_TEST(refusal_is_told_at_once),
      HTTP_TEST(silence_ends_at_the_time_out),
      HTTP_TEST(connection_that_hangs_ends_at_the_time_out),
      HTTP_TEST(connection_closed_early_is_told),
      HTTP_TEST(what_is_no_http_breaks_the_protocol),
      HTTP_TEST(cancelled_transfer_is_silent),
      HTTP_TEST(many_run_at_once_and_handles_are_used_again),
      HTTP_TEST(method_headers_and_body_are_sent),
      HTTP_TEST(methods_without_body_say_so),
      HTTP_TEST(no_option_goes_from_one_request_to_the_next),
      HTTP_TEST(etag_and_retry_after_are_told),
      HTTP_TEST(connection_is_kept_when_it_may),
      HTTP_TEST(kept_connection_that_was_closed_is_made_anew),
      HTTP_TEST(tls_verifies_authority_and_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
