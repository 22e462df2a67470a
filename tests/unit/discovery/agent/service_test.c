#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "discovery/agent/ctl.h"
#include "discovery/agent/ctl_client.h"
#include "discovery/agent/service.h"

struct scene {
  struct loop *loop;
  struct loop_timer *timer;
  struct sockaddr_storage address;
  socklen_t length;
  const char *request;
  char answer[2048];
  bool is_answered; /* atomic */
};

/* A client blocks, so it has a thread of its own. */
static void *ask(void *context) {
  struct scene *scene = context;
  int fd = socket(scene->address.ss_family, SOCK_STREAM, 0);
  size_t length = 0;
  ssize_t got;
  if (connect(fd, (struct sockaddr *)&scene->address, scene->length) == 0 &&
      send(fd, scene->request, strlen(scene->request), MSG_NOSIGNAL) > 0)
    while (length < sizeof scene->answer - 1 &&
           (got = recv(fd, scene->answer + length, sizeof scene->answer - 1 - length, 0)) > 0)
      length += (size_t)got;
  close(fd);
  scene->answer[length] = '\0';
  __atomic_store_n(&scene->is_answered, true, __ATOMIC_RELEASE);
  return NULL;
}

static void look(void *context) {
  struct scene *scene = context;
  if (__atomic_load_n(&scene->is_answered, __ATOMIC_ACQUIRE))
    loop_stop(scene->loop);
  else
    loop_timer_after(scene->timer, 1);
}

static const char *said(struct scene *scene, const char *request) {
  pthread_t thread;
  scene->request = request;
  scene->is_answered = false;
  pthread_create(&thread, NULL, ask, scene);
  scene->timer = loop_timer_new(scene->loop, look, scene);
  loop_timer_after(scene->timer, 0);
  loop_run(scene->loop);
  loop_timer_free(scene->timer);
  pthread_join(thread, NULL);
  return scene->answer;
}

static json_t *utilization(void *context) {
  (void)context;
  return json_pack("{s:f}", "cpu_utilization", 0.25);
}

static enum status notice(void *context, const char *signature, const char *body, size_t size, struct errbuf *err) {
  (void)context;
  if (strcmp(signature, "t=1,v1=good") != 0)
    return errbuf_set(err, STATUS_FORBIDDEN, "it is not signed by a balancer of ours");
  return size == 2 && strcmp(body, "{}") == 0 ? STATUS_OK : errbuf_set(err, STATUS_INVALID, "it is no notice");
}

static void the_service_tells_utilization_and_takes_notices(void **state) {
  (void)state;
  static const struct service_handlers handlers = {utilization, notice};
  struct scene scene = {.loop = loop_new()};
  struct service *service;
  struct errbuf err;
  struct addr listen;
  addr_parse("127.0.0.1", &listen);
  assert_int_equal(service_start(scene.loop, &listen, &handlers, &scene, &service, &err), STATUS_OK);
  assert_true(service_address(service)->port > 0);
  scene.length = addr_to_sockaddr(service_address(service), &scene.address);
#define TAIL " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
  assert_non_null(strstr(said(&scene, "GET /utilization" TAIL "\r\n"), "{\"cpu_utilization\":0.25}"));
  assert_non_null(strstr(said(&scene, "POST /utilization" TAIL "Content-Length: 0\r\n\r\n"), " 405 "));
  assert_non_null(strstr(said(&scene, "GET /" TAIL "\r\n"), " 404 "));
#define NOTICE "POST /notice" TAIL "Content-Length: 2\r\n"
  assert_non_null(strstr(said(&scene, NOTICE "\r\n{}"), " 403 "));
  assert_non_null(strstr(said(&scene, NOTICE "Gslb-Signature: t=1,v1=bad\r\n\r\n{}"), " 403 "));
  assert_non_null(strstr(said(&scene, NOTICE "Gslb-Signature: t=1,v1=good\r\n\r\n[]"), " 422 "));
  assert_non_null(strstr(said(&scene, NOTICE "Gslb-Signature: t=1,v1=good\r\n\r\n{}"), " 204 "));
  service_stop(service);
  loop_free(scene.loop);
}

static json_t *obey(void *context, const json_t *request) {
  (void)context;
  return json_pack("{s:O}", "heard", json_object_get(request, "command"));
}

static void the_socket_takes_a_line_and_gives_one(void **state) {
  (void)state;
  char directory[] = "/tmp/gslb-agent-ctl-XXXXXX", path[64];
  snprintf(path, sizeof path, "%s/s", mkdtemp(directory));
  struct scene scene = {.loop = loop_new(), .length = sizeof(struct sockaddr_un)};
  struct sockaddr_un *address = (struct sockaddr_un *)&scene.address;
  address->sun_family = AF_UNIX;
  strcpy(address->sun_path, path);
  struct ctl *ctl, *second;
  struct errbuf err;
  assert_int_equal(ctl_start(scene.loop, path, obey, NULL, &ctl, &err), STATUS_OK);
  assert_int_equal(ctl_start(scene.loop, path, obey, NULL, &second, &err), STATUS_CONFLICT);
  assert_string_equal(said(&scene, "{\"command\":\"drain\"}\n"), "{\"heard\":\"drain\"}\n");
  assert_non_null(strstr(said(&scene, "drain\n"), "error"));
  assert_non_null(strstr(said(&scene, "[]\n"), "error"));
  char *flood = malloc(CTL_LINE_MOST * 2);
  memset(flood, 'x', CTL_LINE_MOST * 2 - 1);
  flood[CTL_LINE_MOST * 2 - 1] = '\0';
  assert_string_equal(said(&scene, flood), "");
  free(flood);
  ctl_stop(ctl);
  assert_int_equal(access(path, F_OK), -1);
  rmdir(directory);
  loop_free(scene.loop);
}

static enum status asked(const char *wanted, const char *const *words) {
  char copies[8][64], *argv[8];
  int count = 0;
  for (; *words; words++, count++) {
    snprintf(copies[count], sizeof copies[count], "%s", *words);
    argv[count] = copies[count];
  }
  json_t *request = NULL;
  struct errbuf err;
  enum status status = ctl_client_request(count, argv, &request, &err);
  json_t *right = wanted ? json_loads(wanted, 0, NULL) : NULL;
  if (status == STATUS_OK)
    assert_true(json_equal(request, right));
  json_decref(right);
  json_decref(request);
  return status;
}
#define ASKED(wanted, ...) assert_int_equal(asked(wanted, (const char *const[]){__VA_ARGS__, NULL}), STATUS_OK)
#define MISUSED(...) assert_int_equal(asked(NULL, (const char *const[]){__VA_ARGS__, NULL}), STATUS_INVALID)

static void words_become_requests(void **state) {
  (void)state;
  ASKED("{\"command\":\"status\"}", "status");
  ASKED("{\"command\":\"up\",\"reason\":\"\"}", "up");
  ASKED("{\"command\":\"maint\",\"reason\":\"new disk\"}", "maint", "new", "disk");
  ASKED("{\"command\":\"report\",\"metrics\":{\"queue\":12.0,\"eps\":0.5}}", "report", "queue=12", "eps=0.5");
  ASKED("{\"command\":\"job\",\"busy_s\":1.5,\"count\":1}", "job", "done", "1.5");
  ASKED("{\"command\":\"job\",\"busy_s\":9.0,\"count\":3}", "job", "done", "9", "3");
  MISUSED("dance");
  MISUSED("status", "x");
  MISUSED("report", "queue");
  MISUSED("report", "queue=many");
  MISUSED("job", "done");
  MISUSED("job", "done", "-1");
  MISUSED("job", "done", "1", "0");
  MISUSED(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_service_tells_utilization_and_takes_notices),
      cmocka_unit_test(the_socket_takes_a_line_and_gives_one),
      cmocka_unit_test(words_become_requests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
