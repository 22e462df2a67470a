#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "gslb/net/ftp_client.h"
#include "tests/unit/net/peer.h"

enum manner { SERVES, HANGS_IN_DATA };

struct server { /* a thread of its own that talks to one client */
  pthread_t thread;
  int fd;
  struct addr addr;
  enum manner manner;
  char asked[64];
};

struct scene {
  struct loop *loop;
  struct ftp_client *client;
  struct server server;
  struct ftp_request request;
  enum net_outcome outcome;
  int status;
  char body[256];
  size_t body_length;
};

static int listen_at(struct addr *addr) {
  struct sockaddr_storage sockaddr;
  addr_parse("127.0.0.1", addr);
  socklen_t length = addr_to_sockaddr(addr, &sockaddr);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = bind(fd, (struct sockaddr *)&sockaddr, length);
  result |= listen(fd, 4);
  result |= getsockname(fd, (struct sockaddr *)&sockaddr, &length);
  assert_int_equal(result, 0);
  addr_from_sockaddr((struct sockaddr *)&sockaddr, addr);
  return fd;
}

static void say(int fd, const char *text) {
  ssize_t sent = send(fd, text, strlen(text), MSG_NOSIGNAL);
  (void)sent;
}

static void retrieve(struct server *server, int fd, int data, const char *name) {
  snprintf(server->asked, sizeof server->asked, "%.60s", name);
  if (strncmp(name, "state.txt", 9) != 0) {
    say(fd, "550 no such file\r\n");
    return;
  }
  say(fd, "150 here it comes\r\n");
  int connection = accept(data, NULL, NULL);
  say(connection, "all is well\n");
  char byte;
  if (server->manner == HANGS_IN_DATA)
    while (recv(connection, &byte, 1, 0) > 0)
      continue;
  close(connection);
  say(fd, "226 done\r\n");
}

static void *serve(void *context) {
  struct server *server = context;
  struct addr data_addr;
  char line[512], reply[128];
  int data = listen_at(&data_addr);
  int fd = accept(server->fd, NULL, NULL);
  FILE *in = fdopen(fd, "r");
  say(fd, "220 ready\r\n");
  while (fgets(line, sizeof line, in)) {
    if (strncasecmp(line, "USER", 4) == 0)
      say(fd, "331 password\r\n");
    else if (strncasecmp(line, "PASS", 4) == 0)
      say(fd, strstr(line, "wrong") ? "530 no\r\n" : "230 in\r\n");
    else if (strncasecmp(line, "PWD", 3) == 0)
      say(fd, "257 \"/\"\r\n");
    else if (strncasecmp(line, "EPSV", 4) == 0) {
      snprintf(reply, sizeof reply, "229 entering (|||%u|)\r\n", data_addr.port);
      say(fd, reply);
    } else if (strncasecmp(line, "RETR ", 5) == 0)
      retrieve(server, fd, data, line + 5);
    else if (strncasecmp(line, "SIZE", 4) == 0)
      say(fd, "500 what\r\n");
    else
      say(fd, "200 fine\r\n");
  }
  fclose(in);
  close(data);
  return NULL;
}

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->loop = loop_new();
  scene->client = ftp_client_new(scene->loop);
  scene->server.fd = listen_at(&scene->server.addr);
  scene->request =
      (struct ftp_request){.address = scene->server.addr, .path = "/state.txt", .timeout_ms = 2000, .body_most = 1000};
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  ftp_client_free(scene->client);
  if (scene->server.thread)
    pthread_join(scene->server.thread, NULL);
  close(scene->server.fd);
  loop_free(scene->loop);
  free(scene);
  return 0;
}

static void done(void *context, const struct ftp_reply *reply) {
  struct scene *scene = context;
  scene->outcome = reply->outcome;
  scene->status = reply->status;
  scene->body_length = reply->body_length;
  snprintf(scene->body, sizeof scene->body, "%s", reply->outcome == NET_ANSWERED ? reply->body : reply->detail);
  loop_stop(scene->loop);
}

static void get(struct scene *scene, bool is_served) {
  if (is_served)
    pthread_create(&scene->server.thread, NULL, serve, &scene->server);
  ftp_client_start(scene->client, &scene->request, done, scene);
  loop_run(scene->loop);
}

static void file_comes_after_the_login(void **state) {
  struct scene *scene = *state;
  get(scene, true);
  assert_int_equal(scene->outcome, NET_ANSWERED);
  assert_int_equal(scene->status, 226);
  assert_string_equal(scene->body, "all is well\n");
}

static void refused_login_is_an_answer(void **state) {
  struct scene *scene = *state;
  scene->request.user = "monitor";
  scene->request.password = "wrong";
  get(scene, true);
  assert_int_equal(scene->outcome, NET_ANSWERED);
  assert_int_equal(scene->status, 530);
}

static void missing_file_is_an_answer(void **state) {
  struct scene *scene = *state;
  scene->request.path = "/other;type=i#x";
  get(scene, true);
  assert_int_equal(scene->outcome, NET_ANSWERED);
  assert_int_equal(scene->status, 550);
  assert_string_equal(scene->server.asked, "other;type=i#x\r\n");
}

static void escaped_bytes_of_the_path_are_sent_as_they_are(void **state) {
  struct scene *scene = *state;
  scene->request.path = "/the%20state%25.txt";
  get(scene, true);
  assert_int_equal(scene->status, 550);
  assert_string_equal(scene->server.asked, "the state%.txt\r\n");
}

static void file_is_cut_at_its_bound(void **state) {
  struct scene *scene = *state;
  scene->request.body_most = 3;
  get(scene, true);
  assert_int_equal(scene->outcome, NET_ANSWERED);
  assert_string_equal(scene->body, "all");
}

static void file_that_does_not_end_times_out(void **state) {
  struct scene *scene = *state;
  scene->server.manner = HANGS_IN_DATA;
  scene->request.timeout_ms = 300;
  get(scene, true);
  assert_int_equal(scene->outcome, NET_TIMEOUT_BODY);
}

static void server_that_is_silent_times_out(void **state) {
  struct scene *scene = *state;
  scene->request.timeout_ms = 60;
  get(scene, false);
  assert_int_equal(scene->outcome, NET_TIMEOUT_ANSWER);
}

static void nobody_there_is_a_refusal(void **state) {
  struct scene *scene = *state;
  scene->request.address = peer_nobody(SOCK_STREAM);
  get(scene, false);
  assert_int_equal(scene->outcome, NET_REFUSED);
}

#define FTP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      FTP_TEST(file_comes_after_the_login),      FTP_TEST(refused_login_is_an_answer),
      FTP_TEST(missing_file_is_an_answer),       FTP_TEST(escaped_bytes_of_the_path_are_sent_as_they_are),
      FTP_TEST(file_is_cut_at_its_bound),        FTP_TEST(file_that_does_not_end_times_out),
      FTP_TEST(server_that_is_silent_times_out), FTP_TEST(nobody_there_is_a_refusal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
