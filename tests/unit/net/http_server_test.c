#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "gslb/base/clock.h"
#include "gslb/net/http_client.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/listening.h"

#define PATIENCE_S 10

struct scene {
  struct listening at;
  struct http_tls tls;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct http_call *held;
  struct http_stream *stream;
  bool closes_in_gone;
  unsigned gone;
  struct http_peer peer; /* of the newest request */
};

static void on_gone(void *context) {
  struct scene *scene = context;
  pthread_mutex_lock(&scene->lock);
  scene->gone++;
  if (scene->closes_in_gone)
    http_stream_close(scene->stream);
  pthread_cond_broadcast(&scene->changed);
  pthread_mutex_unlock(&scene->lock);
}

static void handle(void *context, struct http_call *call) {
  struct scene *scene = context;
  pthread_mutex_lock(&scene->lock);
  scene->peer = call->peer;
  bool is_held = strncmp(call->path, "/held", 5) == 0;
  if (is_held) {
    http_hold(call);
    scene->held = call;
  }
  bool is_stream = strcmp(call->path, "/stream") == 0;
  if (is_stream)
    scene->stream = http_stream_open(call, "text/event-stream", on_gone, scene);
  pthread_cond_broadcast(&scene->changed);
  pthread_mutex_unlock(&scene->lock);
  if (!is_held && !is_stream)
    tell_request(NULL, call);
}

/* With a deadline: true when *what came to be set. */
static bool wait_for(struct scene *scene, const void *what, size_t size) {
  static const char zeroes[16];
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += PATIENCE_S;
  pthread_mutex_lock(&scene->lock);
  int result = 0;
  while (memcmp(what, zeroes, size) == 0 && result == 0)
    result = pthread_cond_timedwait(&scene->changed, &scene->lock, &until);
  pthread_mutex_unlock(&scene->lock);
  return result == 0;
}

#define WAIT_FOR(scene, member) assert_true(wait_for(scene, &(scene)->member, sizeof(scene)->member))

static void serve(struct scene *scene, struct http_limits limits) {
  struct errbuf err;
  assert_int_equal(http_server_start(scene->at.fd, &limits, scene->tls.certificate ? &scene->tls : NULL, handle, scene,
                                     &scene->at.server, &err),
                   STATUS_OK);
}

static const struct http_limits usual = {.threads = 2, .connections = 100, .idle_s = 30};

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  pthread_mutex_init(&scene->lock, NULL);
  pthread_cond_init(&scene->changed, NULL);
  listening_open(&scene->at);
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  listening_close(&scene->at);
  pthread_cond_destroy(&scene->changed);
  pthread_mutex_destroy(&scene->lock);
  free(scene);
  return 0;
}

static int dial(const struct scene *scene) {
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(&scene->at.addr, &sockaddr);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct timeval patience = {.tv_sec = PATIENCE_S};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  assert_int_equal(connect(fd, (struct sockaddr *)&sockaddr, length), 0);
  return fd;
}

static void say(int fd, const char *text) {
  (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Reads until the text is there; false when the connection ends before. */
static bool hear(int fd, const char *text) {
  char got[8192];
  size_t length = 0;
  while (length + 1 < sizeof got) {
    ssize_t more = recv(fd, got + length, sizeof got - 1 - length, 0);
    if (more <= 0)
      return false;
    length += (size_t)more;
    got[length] = '\0';
    if (strstr(got, text))
      return true;
  }
  return false;
}

static bool is_served(int fd) {
  say(fd, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
  return hear(fd, "GET /now plain");
}

static void methods_and_bodies_arrive(void **state) {
  struct scene *scene = *state;
  serve(scene, usual);
  int fd = dial(scene);
  say(fd, "PATCH /a%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  assert_true(hear(fd, "PATCH /a b plain <> hello"));
  say(fd, "DELETE /x HTTP/1.1\r\nHost: x\r\n\r\n");
  assert_true(hear(fd, "DELETE /x plain <> "));
  assert_int_equal(scene->peer.addr.family, 4);
  close(fd);
}

static void unix_peer_is_told_by_the_kernel(void **state) {
  struct scene *scene = *state;
  struct sockaddr_un local = {.sun_family = AF_UNIX};
  socklen_t size = sizeof local.sun_family; /* Linux makes up an abstract name */
  close(scene->at.fd);
  scene->at.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(scene->at.fd, (struct sockaddr *)&local, size), 0);
  assert_int_equal(listen(scene->at.fd, 4), 0);
  size = sizeof local;
  getsockname(scene->at.fd, (struct sockaddr *)&local, &size);
  serve(scene, usual);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&local, size), 0);
  assert_true(is_served(fd));
  assert_true(scene->peer.is_unix);
  assert_int_equal(scene->peer.uid, getuid());
  assert_int_equal(scene->peer.pid, getpid());
  close(fd);
}

static void large_body_is_refused(void **state) {
  struct scene *scene = *state;
  serve(scene, usual);
  int fd = dial(scene);
  say(fd, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n");
  assert_true(hear(fd, "HTTP/1.1 413 "));
  close(fd);
}

static void large_head_is_refused(void **state) {
  struct scene *scene = *state;
  serve(scene, usual);
  int fd = dial(scene);
  char filling[2048];
  memset(filling, 'x', sizeof filling - 1);
  filling[sizeof filling - 1] = '\0';
  say(fd, "GET / HTTP/1.1\r\nHost: x\r\n");
  for (int i = 0; i < 20; i++) {
    say(fd, "X-Filling: ");
    say(fd, filling);
    say(fd, "\r\n");
  }
  say(fd, "\r\n");
  assert_true(hear(fd, "HTTP/1.1 4"));
  close(fd);
}

static void held_request_is_answered_by_another_thread(void **state) {
  struct scene *scene = *state;
  serve(scene, usual);
  int fd = dial(scene);
  say(fd, "PUT /held HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
  WAIT_FOR(scene, held);
  tell_request(NULL, scene->held);
  assert_true(hear(fd, "PUT /held plain <> hi"));
  assert_true(is_served(fd));
  close(fd);
}

static void open_stream(struct scene *scene, int *fd) {
  *fd = dial(scene);
  say(*fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  WAIT_FOR(scene, stream);
}

static void stream_sends_what_is_written_and_ends(void **state) {
  struct scene *scene = *state;
  serve(scene, usual);
  int fd;
  open_stream(scene, &fd);
  assert_true(hear(fd, "text/event-stream"));
  http_stream_write(scene->stream, "data: one\n\n", 11);
  assert_true(hear(fd, "data: one\n\n"));
  http_stream_write(scene->stream, "data: two\n\n", 11);
  http_stream_close(scene->stream);
  assert_true(hear(fd, "data: two\n\n\r\n0\r\n\r\n"));
  assert_true(is_served(fd));
  close(fd);
  assert_int_equal(scene->gone, 0);
}

static void stream_may_begin_while_held(void **state) {
  struct scene *scene = *state;
  serve(scene, usual);
  int fd = dial(scene);
  say(fd, "GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
  WAIT_FOR(scene, held);
  struct http_stream *stream = http_stream_open(scene->held, "text/plain", on_gone, scene);
  http_stream_write(stream, "now", 3);
  assert_true(hear(fd, "now"));
  http_stream_close(stream);
  assert_true(hear(fd, "0\r\n\r\n"));
  close(fd);
}

static void client_that_leaves_a_stream_is_noticed(void **state) {
  struct scene *scene = *state;
  serve(scene, usual);
  int fd;
  open_stream(scene, &fd);
  assert_true(hear(fd, "text/event-stream"));
  close(fd);
  WAIT_FOR(scene, gone);
  http_stream_write(scene->stream, "nobody", 6);
  http_stream_close(scene->stream);
  assert_int_equal(scene->gone, 1);
}

static void stream_may_be_closed_in_gone(void **state) {
  struct scene *scene = *state;
  serve(scene, usual);
  scene->closes_in_gone = true;
  int fd;
  open_stream(scene, &fd);
  close(fd);
  WAIT_FOR(scene, gone);
}

static void client_that_does_not_read_loses_its_stream(void **state) {
  struct scene *scene = *state;
  serve(scene, usual);
  int fd;
  open_stream(scene, &fd);
  char *text = calloc(1, 65536);
  memset(text, 'x', 65536);
  bool is_gone = false;
  for (int i = 0; i < 10000 && !is_gone; i++) {
    http_stream_write(scene->stream, text, 65536);
    pthread_mutex_lock(&scene->lock);
    is_gone = scene->gone > 0;
    pthread_mutex_unlock(&scene->lock);
  }
  free(text);
  WAIT_FOR(scene, gone);
  http_stream_close(scene->stream);
  close(fd);
}

static void stop_ends_streams(void **state) {
  struct scene *scene = *state;
  serve(scene, usual);
  scene->closes_in_gone = true;
  int fd;
  open_stream(scene, &fd);
  int64_t before_ms = mono_now_ms();
  http_server_stop(scene->at.server);
  scene->at.server = NULL;
  assert_int_equal(scene->gone, 1);
  assert_true(mono_now_ms() - before_ms < 1900);
  close(fd);
}

static void idle_connections_keep_nobody_out(void **state) {
  struct scene *scene = *state;
  serve(scene, (struct http_limits){.threads = 2, .connections = 40, .idle_s = 30});
  int idle[400];
  int first = dial(scene);
  assert_true(is_served(first));
  for (int i = 0; i < 400; i++)
    idle[i] = dial(scene);
  int fd = dial(scene);
  assert_true(is_served(fd));
  assert_true(is_served(first)); /* it rests, and those that asked nothing went before it */
  for (int i = 0; i < 400; i++)
    close(idle[i]);
  close(first);
  close(fd);
}

static void client_above_its_limit_is_cut(void **state) {
  struct scene *scene = *state;
  serve(scene, (struct http_limits){.threads = 1, .connections = 40, .per_client = 2, .idle_s = 30});
  int fds[3];
  for (int i = 0; i < 3; i++) {
    fds[i] = dial(scene);
    assert_true(is_served(fds[i]));
  }
  assert_false(is_served(fds[0]));
  assert_true(is_served(fds[1]));
  for (int i = 0; i < 3; i++)
    close(fds[i]);
}

static void more_than_1024_descriptors_work(void **state) {
  struct scene *scene = *state;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 4000)
    skip();
  serve(scene, (struct http_limits){.threads = 2, .connections = 2000, .idle_s = 30});
  static int fds[1300];
  for (int i = 0; i < 1300; i++) {
    fds[i] = dial(scene);
    assert_true(is_served(fds[i]));
  }
  assert_true(is_served(fds[0]));
  for (int i = 0; i < 1300; i++)
    close(fds[i]);
}

/* TLS */

struct asked {
  struct loop *loop;
  struct http_client *client;
  enum net_outcome outcome;
  int status;
  char body[256];
};

static void on_reply(void *context, const struct http_reply *reply) {
  struct asked *asked = context;
  asked->outcome = reply->outcome;
  asked->status = reply->status;
  snprintf(asked->body, sizeof asked->body, "%s", reply->outcome == NET_ANSWERED ? reply->body : reply->detail);
  loop_stop(asked->loop);
}

struct estate { /* an authority, what it signed, and a client */
  struct certificates made;
  char ca[160], server[160], server_key[160];
  struct asked asked;
};

static void estate_open(struct estate *estate, struct scene *scene) {
  certificates_open(&estate->made);
  struct authority authority = authority_make(&estate->made, "ca");
  certificate_make(&estate->made, &authority, "server", "lb", "lb1.example.com", GNUTLS_KP_TLS_WWW_SERVER);
  certificate_make(&estate->made, &authority, "named", "ignored", "Web-1.Example.com", GNUTLS_KP_TLS_WWW_CLIENT);
  certificate_make(&estate->made, &authority, "common", "Web-2", NULL, GNUTLS_KP_TLS_WWW_CLIENT);
  certificate_make(&estate->made, &authority, "nameless", NULL, NULL, GNUTLS_KP_TLS_WWW_CLIENT);
  authority_release(&authority);
  struct authority stranger = authority_make(&estate->made, "stranger");
  certificate_make(&estate->made, &stranger, "forged", "x", "web-1.example.com", GNUTLS_KP_TLS_WWW_CLIENT);
  certificate_make(&estate->made, &stranger, "renewed", "lb", "lb1.example.com", GNUTLS_KP_TLS_WWW_SERVER);
  authority_release(&stranger);
  scene->tls = (struct http_tls){certificate_path(&estate->made, "server", estate->server),
                                 certificate_path(&estate->made, "server-key", estate->server_key),
                                 certificate_path(&estate->made, "ca", estate->ca)};
  estate->asked.loop = loop_new();
  estate->asked.client = http_client_new(estate->asked.loop);
}

static void estate_close(struct estate *estate) {
  http_client_free(estate->asked.client);
  loop_free(estate->asked.loop);
  certificates_close(&estate->made);
}

/* certificate, a name of the estate's; NULL: none. */
static const struct asked *ask(struct estate *estate, const struct scene *scene, const char *ca,
                               const char *certificate, bool may_reuse) {
  char ca_path[160], path[160], key_name[64], key_path[160];
  snprintf(key_name, sizeof key_name, "%s-key", certificate ? certificate : "");
  struct http_request request = {.address = scene->at.addr,
                                 .host = "lb1.example.com",
                                 .path = "/who",
                                 .timeout_ms = 5000,
                                 .body_most = 200,
                                 .is_tls = true,
                                 .ca = certificate_path(&estate->made, ca, ca_path),
                                 .certificate = certificate ? certificate_path(&estate->made, certificate, path) : NULL,
                                 .key = certificate ? certificate_path(&estate->made, key_name, key_path) : NULL,
                                 .may_reuse = may_reuse};
  http_client_start(estate->asked.client, &request, on_reply, &estate->asked);
  loop_run(estate->asked.loop);
  return &estate->asked;
}

static void client_certificate_gives_its_name(void **state) {
  struct scene *scene = *state;
  struct estate estate;
  estate_open(&estate, scene);
  serve(scene, usual);
  assert_string_equal(ask(&estate, scene, "ca", NULL, false)->body, "GET /who tls <> ");
  assert_string_equal(ask(&estate, scene, "ca", "named", false)->body, "GET /who tls <web-1.example.com> ");
  assert_string_equal(ask(&estate, scene, "ca", "common", false)->body, "GET /who tls <web-2> ");
  estate_close(&estate);
}

static void certificate_that_does_not_verify_is_refused(void **state) {
  struct scene *scene = *state;
  struct estate estate;
  estate_open(&estate, scene);
  serve(scene, usual);
  assert_int_equal(ask(&estate, scene, "ca", "forged", false)->status, 403);
  assert_int_equal(ask(&estate, scene, "ca", "nameless", false)->status, 403);
  /* of the authority, but made for servers */
  assert_int_equal(ask(&estate, scene, "ca", "server", false)->status, 403);
  assert_int_equal(ask(&estate, scene, "ca", "named", false)->status, 200);
  estate_close(&estate);
}

static void clients_are_not_asked_without_an_authority(void **state) {
  struct scene *scene = *state;
  struct estate estate;
  estate_open(&estate, scene);
  scene->tls.client_ca = NULL;
  serve(scene, usual);
  assert_string_equal(ask(&estate, scene, "ca", "named", false)->body, "GET /who tls <> ");
  estate_close(&estate);
}

static void renewal_is_for_new_connections(void **state) {
  struct scene *scene = *state;
  struct estate estate;
  struct errbuf err;
  char certificate[160], key[160], ca[160];
  estate_open(&estate, scene);
  serve(scene, usual);
  assert_int_equal(ask(&estate, scene, "ca", NULL, true)->status, 200);
  struct http_tls renewed = {certificate_path(&estate.made, "renewed", certificate),
                             certificate_path(&estate.made, "renewed-key", key),
                             certificate_path(&estate.made, "stranger", ca)};
  assert_int_equal(http_server_renew_tls(scene->at.server, &renewed, &err), STATUS_OK);
  assert_int_equal(ask(&estate, scene, "ca", NULL, true)->status, 200); /* on the kept connection */
  assert_int_equal(ask(&estate, scene, "ca", NULL, false)->outcome, NET_CERTIFICATE);
  assert_string_equal(ask(&estate, scene, "stranger", "forged", false)->body, "GET /who tls <web-1.example.com> ");

  renewed.key = scene->tls.key;
  assert_int_equal(http_server_renew_tls(scene->at.server, &renewed, &err), STATUS_INVALID);
  renewed.certificate = "/proc/nonexistent";
  assert_int_equal(http_server_renew_tls(scene->at.server, &renewed, &err), STATUS_IO);
  assert_string_equal(err.text, "/proc/nonexistent: No such file or directory");
  assert_int_equal(ask(&estate, scene, "stranger", NULL, false)->status, 200);
  estate_close(&estate);
}

static void start_fails_without_its_files(void **state) {
  struct scene *scene = *state;
  struct errbuf err;
  struct http_tls tls = {"/proc/nonexistent", "/proc/nonexistent", NULL};
  assert_int_equal(http_server_start(scene->at.fd, &usual, &tls, handle, scene, &scene->at.server, &err), STATUS_IO);
  assert_null(scene->at.server);
}

static void silent_handshakes_keep_nobody_out(void **state) {
  struct scene *scene = *state;
  struct estate estate;
  estate_open(&estate, scene);
  serve(scene, (struct http_limits){.threads = 2, .connections = 40, .idle_s = 30});
  int idle[200];
  for (int i = 0; i < 200; i++) {
    idle[i] = dial(scene);
    say(idle[i], "\x16\x03\x01");
  }
  assert_int_equal(ask(&estate, scene, "ca", NULL, false)->status, 200);
  for (int i = 0; i < 200; i++)
    close(idle[i]);
  estate_close(&estate);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      SERVER_TEST(methods_and_bodies_arrive),
      SERVER_TEST(unix_peer_is_told_by_the_kernel),
      SERVER_TEST(large_body_is_refused),
      SERVER_TEST(large_head_is_refused),
      SERVER_TEST(held_request_is_answered_by_another_thread),
      SERVER_TEST(stream_sends_what_is_written_and_ends),
      SERVER_TEST(stream_may_begin_while_held),
      SERVER_TEST(client_that_leaves_a_stream_is_noticed),
      SERVER_TEST(stream_may_be_closed_in_gone),
      SERVER_TEST(client_that_does_not_read_loses_its_stream),
      SERVER_TEST(stop_ends_streams),
      SERVER_TEST(idle_connections_keep_nobody_out),
      SERVER_TEST(client_above_its_limit_is_cut),
      SERVER_TEST(more_than_1024_descriptors_work),
      SERVER_TEST(client_certificate_gives_its_name),
      SERVER_TEST(certificate_that_does_not_verify_is_refused),
      SERVER_TEST(clients_are_not_asked_without_an_authority),
      SERVER_TEST(renewal_is_for_new_connections),
      SERVER_TEST(start_fails_without_its_files),
      SERVER_TEST(silent_handshakes_keep_nobody_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
