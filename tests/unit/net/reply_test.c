#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "gslb/net/reply.h"
#include "tests/unit/net/listening.h"

static void handle(void *context, struct http_call *call) {
  (void)context;
  static const char *const challenge[] = {"WWW-Authenticate", "Bearer", NULL};
  static const char *const kept[] = {"cache-control", "max-age=9", "ETag", "\"3\"", NULL};
  if (strcmp(call->path, "/problem") == 0)
    reply_problem(call, 412, "it is at %d", 4);
  else if (strcmp(call->path, "/code") == 0)
    reply_problem_with(call, 404, "register again", "code", json_string("unknown-lease"), challenge);
  else if (strcmp(call->path, "/kept") == 0)
    reply_json_with(call, 201, json_pack("{s:i}", "a", 1), kept);
  else
    reply_empty_with(call, 204, challenge);
}

static void ask(const struct listening *at, const char *path, char *answer, size_t size) {
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(&at->addr, &sockaddr);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&sockaddr, length), 0);
  dprintf(fd, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
  size_t got = 0;
  for (ssize_t more; got + 1 < size && (more = recv(fd, answer + got, size - 1 - got, 0)) > 0; got += (size_t)more) {
    /* to the end of the connection */
  }
  answer[got] = '\0';
  close(fd);
}

static int set_up(void **state) {
  struct listening *at = malloc(sizeof *at);
  struct http_limits limits = {.threads = 1, .connections = 20, .idle_s = 5};
  struct errbuf err;
  listening_open(at);
  *state = at;
  return http_server_start(at->fd, &limits, NULL, handle, NULL, &at->server, &err);
}

static int tear_down(void **state) {
  listening_close(*state);
  free(*state);
  return 0;
}

static void problem_says_title_status_and_detail(void **state) {
  char answer[2048];
  ask(*state, "/problem", answer, sizeof answer);
  assert_non_null(strstr(answer, "HTTP/1.1 412 "));
  assert_non_null(strstr(answer, "\r\nContent-Type: application/problem+json\r\n"));
  assert_non_null(strstr(answer, "\r\nCache-Control: no-store\r\n"));
  json_t *document = json_loads(strstr(answer, "\r\n\r\n"), 0, NULL);
  assert_string_equal(json_string_value(json_object_get(document, "title")), "Precondition Failed");
  assert_int_equal(json_integer_value(json_object_get(document, "status")), 412);
  assert_string_equal(json_string_value(json_object_get(document, "detail")), "it is at 4");
  json_decref(document);
}

static void problem_takes_a_code_and_headers(void **state) {
  char answer[2048];
  ask(*state, "/code", answer, sizeof answer);
  assert_non_null(strstr(answer, "\r\nWWW-Authenticate: Bearer\r\n"));
  assert_non_null(strstr(answer, "\r\nCache-Control: no-store\r\n"));
  json_t *document = json_loads(strstr(answer, "\r\n\r\n"), 0, NULL);
  assert_string_equal(json_string_value(json_object_get(document, "code")), "unknown-lease");
  json_decref(document);
}

static void caller_may_let_caches_keep_it(void **state) {
  char answer[2048];
  ask(*state, "/kept", answer, sizeof answer);
  assert_non_null(strstr(answer, "HTTP/1.1 201 "));
  assert_non_null(strstr(answer, "\r\nETag: \"3\"\r\n"));
  assert_non_null(strstr(answer, "max-age=9"));
  assert_null(strstr(answer, "no-store"));
}

static void empty_answer_has_no_type(void **state) {
  char answer[2048];
  ask(*state, "/empty", answer, sizeof answer);
  assert_non_null(strstr(answer, "HTTP/1.1 204 "));
  assert_null(strstr(answer, "\r\nContent-Type:"));
}

#define REPLY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      REPLY_TEST(problem_says_title_status_and_detail),
      REPLY_TEST(problem_takes_a_code_and_headers),
      REPLY_TEST(caller_may_let_caches_keep_it),
      REPLY_TEST(empty_answer_has_no_type),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
