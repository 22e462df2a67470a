/* The balancers' thread with real stores, a committer and a feed; the test is the registry, the peer and the resource
 * that is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "discovery/balancers/balancers.h"
#include "discovery/documents/notice.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/problem.h"

#define PATIENCE_MS 8000

struct listener { /* an HTTP server on a thread, one request a connection */
  int fd;
  struct addr addr;
  pthread_t thread;
  pthread_mutex_t lock;
  char answer[512]; /* body of what is answered with 200; "": the connection is closed without one */
  char request[4096];
  unsigned requests;
};

static void serve(struct listener *listener, int fd) {
  char request[4096] = "", reply[1024];
  size_t used = 0;
  for (ssize_t got; (got = read(fd, request + used, sizeof request - 1 - used)) > 0;) {
    used += (size_t)got;
    request[used] = '\0';
    const char *body = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "content-length:");
    if (body && strlen(body + 4) >= (length ? strtoul(length + 15, NULL, 10) : 0))
      break;
  }
  pthread_mutex_lock(&listener->lock);
  snprintf(listener->request, sizeof listener->request, "%s", request);
  listener->requests++;
  snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
           strlen(listener->answer), listener->answer);
  bool is_silent = !listener->answer[0];
  pthread_mutex_unlock(&listener->lock);
  if (!is_silent && write(fd, reply, strlen(reply)) < 0)
    perror("write");
  close(fd);
}

static void *listen_on(void *context) {
  struct listener *listener = context;
  for (int fd; (fd = accept(listener->fd, NULL, NULL)) >= 0;)
    serve(listener, fd);
  return NULL;
}

static void listener_open(struct listener *listener, const char *answer) {
  struct sockaddr_storage sockaddr;
  addr_parse("127.0.0.1", &listener->addr);
  listener->addr.port = 0;
  socklen_t length = addr_to_sockaddr(&listener->addr, &sockaddr);
  listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(listener->fd, (struct sockaddr *)&sockaddr, length), 0);
  assert_int_equal(listen(listener->fd, 64), 0);
  getsockname(listener->fd, (struct sockaddr *)&sockaddr, &length);
  addr_from_sockaddr((struct sockaddr *)&sockaddr, &listener->addr);
  pthread_mutex_init(&listener->lock, NULL);
  snprintf(listener->answer, sizeof listener->answer, "%s", answer);
  pthread_create(&listener->thread, NULL, listen_on, listener);
}

static void listener_answer(struct listener *listener, const char *answer) {
  pthread_mutex_lock(&listener->lock);
  snprintf(listener->answer, sizeof listener->answer, "%s", answer);
  pthread_mutex_unlock(&listener->lock);
}

static void listener_close(struct listener *listener) {
  shutdown(listener->fd, SHUT_RDWR);
  pthread_join(listener->thread, NULL);
  close(listener->fd);
}

/* The registry */

static struct resource_record resources[2];
static const char *const resource_ids[] = {"app-r1", "app-r2"};
static struct registry_totals totals;

enum status registry_each(struct registry *registry, const struct registry_filter *filter, registry_visit *visit,
                          void *context, struct errbuf *err) {
  (void)registry;
  (void)err;
  struct lease_record lease = {0};
  for (size_t i = 0; i < 2; i++)
    if (resources[i].document && (!filter->after || strcmp(resource_ids[i], filter->after) > 0) &&
        !visit(context, resource_ids[i], &resources[i], &lease))
      break;
  return STATUS_OK;
}

void registry_totals(struct registry *registry, struct registry_totals *out) {
  (void)registry;
  *out = totals;
}

struct scene {
  char directory[64], run[80];
  struct house house;
  struct store *durable, *live;
  struct committer *committer;
  struct feed *feed;
  struct listener peer, resource;
  struct config *config;
  struct balancers *balancers;
  unsigned rings;
};

static void count_ring(void *context) {
  struct scene *scene = context;
  __atomic_add_fetch(&scene->rings, 1, __ATOMIC_RELAXED);
}

static struct config *make_config(const struct scene *scene, const char *control, const char *accept) {
  struct problems problems = {0};
  char *text =
      mem_format("server: {identity: lb1.example.net, state: %s, run: %s, listen: [\"127.0.0.1@5300\"]}\n"
                 "control: {%s}\n"
                 "peers: [{identity: lb2.example.net, address: \"127.0.0.1@%u\", priority: 5, weight: 7}]\n"
                 "zones: [{name: example.com, file: example.com.zone}]\n"
                 "services:\n"
                 "  - {name: web.example.com, when_down: empty, accept: {tokens: [app]}}\n"
                 "  - {name: app.example.com, when_down: empty%s, members: [{name: a, addresses: [127.0.0.9]}]}\n",
                 scene->directory, scene->directory, control, scene->peer.addr.port, accept);
  struct config *config = config_parse("/tmp/test.yaml", text, strlen(text), &problems);
  if (!config)
    fail_msg("%s", problems_format(&problems));
  free(text);
  return config;
}

#define LISTEN "listen: \"127.0.0.1@8300\", leave: 20s"
#define ACCEPT ", accept: {tokens: [app]}"
#define PEER_ACCEPTS "{\"identity\":\"lb2.example.net\",\"accepting\":true,\"leaves_at\":null,\"returns_at\":null}"

static int set_up(void **state) {
  struct scene *scene = mem_alloc(sizeof *scene);
  log_setup("test", LOG_LEVEL_ERROR, false);
  strcpy(scene->directory, "/tmp/gslb-balancers-XXXXXX");
  assert_non_null(mkdtemp(scene->directory));
  snprintf(scene->run, sizeof scene->run, "%s/run", scene->directory);
  scene->house = house_start(0);
  assert_int_equal(store_open(scene->directory, STORE_DURABLE, STORE_CREATE, &scene->durable, NULL), STATUS_OK);
  assert_int_equal(store_open(scene->run, STORE_LIVE, STORE_CREATE, &scene->live, NULL), STATUS_OK);
  assert_int_equal(commit_start(scene->durable, &scene->house, NULL, NULL, &scene->committer, NULL), STATUS_OK);
  scene->feed = feed_new();
  listener_open(&scene->peer, PEER_ACCEPTS);
  listener_open(&scene->resource, "{}");
  memset(resources, 0, sizeof resources);
  totals = (struct registry_totals){0};
  *state = scene;
  return 0;
}

static void start(struct scene *scene) {
  struct errbuf err = {""};
  struct balancers_links links = {.committer = scene->committer,
                                  .durable = scene->durable,
                                  .live = scene->live,
                                  .house = &scene->house,
                                  .feed = scene->feed,
                                  .ring = count_ring,
                                  .context = scene};
  if (!scene->config)
    scene->config = make_config(scene, LISTEN, ACCEPT);
  if (balancers_start(&links, scene->config, &scene->balancers, &err) != STATUS_OK)
    fail_msg("%s", err.text);
}

static void stop(struct scene *scene) {
  balancers_stop(scene->balancers);
  scene->balancers = NULL;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  stop(scene);
  listener_close(&scene->peer);
  listener_close(&scene->resource);
  commit_stop(scene->committer);
  commit_free(scene->committer);
  feed_free(scene->feed);
  store_close(scene->durable);
  store_close(scene->live);
  config_free(scene->config);
  char *command = mem_format("rm -rf '%s'", scene->directory);
  int failed = system(command);
  free(command);
  for (size_t i = 0; i < 2; i++)
    free((char *)resources[i].document);
  free(scene);
  return failed;
}

/* A resource of these services that is told at the listener. */
static void put_resource(struct scene *scene, size_t at, const char *services, bool has_url) {
  char *url = mem_format(", \"notice_url\": \"http://127.0.0.1:%u/told\"", scene->resource.addr.port);
  char *document = mem_format("{\"services\": [%s]%s}", services, has_url ? url : "");
  free(url);
  resources[at] = (struct resource_record){.document = document, .document_size = strlen(document)};
  notice_make_key(resources[at].notice_key);
}

static bool read_row(struct scene *scene, const char *identity, struct balancer_record *record) {
  struct store_txn *txn;
  struct store_bytes value;
  assert_int_equal(store_begin(scene->live, false, &txn, NULL), STATUS_OK);
  enum status status = store_get(txn, STORE_DB_BALANCERS, (struct store_bytes){identity, strlen(identity)}, &value);
  if (status == STATUS_OK)
    assert_int_equal(balancer_decode(value.data, value.size, record), STATUS_OK);
  store_abort(txn);
  return status == STATUS_OK;
}

static bool is_accepting(struct scene *scene) {
  json_t *own = balancers_own(scene->balancers);
  bool is_so = json_is_true(json_object_get(own, "accepting"));
  json_decref(own);
  return is_so;
}

#define AWAIT(condition)                                                                                               \
  do {                                                                                                                 \
    int64_t await_end_ms = mono_now_ms() + PATIENCE_MS;                                                                \
    while (!(condition)) {                                                                                             \
      assert_true(mono_now_ms() < await_end_ms);                                                                       \
      poll(NULL, 0, 5);                                                                                                \
    }                                                                                                                  \
  } while (0)

static bool peer_row_is(struct scene *scene, bool is_alive, bool is_accepting) {
  struct balancer_record record;
  return read_row(scene, "lb2.example.net", &record) && record.is_alive == is_alive &&
         record.is_accepting == is_accepting;
}

static bool was_asked(struct listener *listener, unsigned requests) {
  pthread_mutex_lock(&listener->lock);
  bool was = listener->requests >= requests;
  pthread_mutex_unlock(&listener->lock);
  return was;
}

static void own_row_stands_at_once(void **state) {
  struct scene *scene = *state;
  struct balancer_record record;
  start(scene);
  assert_true(read_row(scene, "lb1.example.net", &record));
  assert_true(record.is_own && record.is_alive && record.is_accepting);
  assert_string_equal(record.name, "gslb-lb1");
  assert_int_equal(record.address_count, 1);
  assert_int_equal(record.addresses[0].port, 8300);
  assert_true(scene->rings > 0);
  assert_true(is_accepting(scene));
  json_t *own = balancers_own(scene->balancers);
  assert_string_equal(json_string_value(json_object_get(own, "identity")), "lb1.example.net");
  assert_true(json_is_true(json_object_get(own, "accepting")));
  assert_true(json_is_null(json_object_get(own, "leaves_at")));
  json_decref(own);
  stop(scene);
  assert_true(read_row(scene, "lb1.example.net", &record));
  assert_false(record.is_accepting);
}

static void balancer_without_an_address_to_tell_has_no_row(void **state) {
  struct scene *scene = *state;
  struct balancer_record record;
  scene->config = make_config(scene, "leave: 20s", ACCEPT);
  start(scene);
  assert_false(read_row(scene, "lb1.example.net", &record));
  assert_true(is_accepting(scene));
}

static void peer_that_answers_is_alive_and_named_to_others(void **state) {
  struct scene *scene = *state;
  struct balancer_record record;
  start(scene);
  AWAIT(peer_row_is(scene, true, true));
  read_row(scene, "lb2.example.net", &record);
  assert_int_equal(record.priority, 5);
  assert_int_equal(record.weight, 7);
  assert_string_equal(record.name, "gslb-lb2");
  json_t *others = balancers_others(scene->balancers);
  char *url = mem_format("http://127.0.0.1:%u", scene->peer.addr.port);
  assert_int_equal(json_array_size(others), 1);
  assert_string_equal(json_string_value(json_object_get(json_array_get(others, 0), "url")), url);
  free(url);
  json_decref(others);
}

static void peer_that_takes_nothing_is_alive_but_not_named(void **state) {
  struct scene *scene = *state;
  struct balancer_record record;
  listener_answer(&scene->peer, "{\"identity\":\"lb2.example.net\",\"accepting\":false,"
                                "\"leaves_at\":\"2026-11-21T13:30:00.123Z\",\"returns_at\":null}");
  start(scene);
  AWAIT(peer_row_is(scene, true, false));
  read_row(scene, "lb2.example.net", &record);
  assert_true(record.leaves_ms == INT64_C(1795267800123));
  json_t *others = balancers_others(scene->balancers);
  assert_int_equal(json_array_size(others), 0);
  json_decref(others);
}

static void peer_is_away_after_two_failures_and_back_at_the_first_answer(void **state) {
  struct scene *scene = *state;
  struct balancer_record record;
  start(scene);
  AWAIT(peer_row_is(scene, true, true));
  unsigned rings = __atomic_load_n(&scene->rings, __ATOMIC_RELAXED);
  listener_answer(&scene->peer, "");
  AWAIT(was_asked(&scene->peer, 2));
  assert_true(peer_row_is(scene, true, true));
  AWAIT(peer_row_is(scene, false, false));
  read_row(scene, "lb2.example.net", &record);
  assert_true(record.reason[0] != '\0');
  assert_int_equal(__atomic_load_n(&scene->rings, __ATOMIC_RELAXED), rings + 1);
  listener_answer(&scene->peer, PEER_ACCEPTS);
  AWAIT(peer_row_is(scene, true, true));
}

static void another_balancer_at_a_peers_address_is_not_the_peer(void **state) {
  struct scene *scene = *state;
  listener_answer(&scene->peer, "{\"identity\":\"lb9.example.net\",\"accepting\":true}");
  start(scene);
  AWAIT(was_asked(&scene->peer, 2));
  assert_false(peer_row_is(scene, true, true));
}

static void peer_counts_as_it_was_until_it_is_asked(void **state) {
  struct scene *scene = *state;
  start(scene);
  AWAIT(peer_row_is(scene, true, true));
  stop(scene);
  listener_answer(&scene->peer, "");
  start(scene);
  assert_true(peer_row_is(scene, true, true));
}

static void rows_of_nobody_are_deleted(void **state) {
  struct scene *scene = *state;
  struct store_txn *txn;
  struct balancer_record record = {.is_alive = true};
  uint8_t value[RECORD_SIZE_MOST];
  assert_int_equal(store_begin(scene->live, true, &txn, NULL), STATUS_OK);
  size_t size = balancer_encode(&record, value);
  store_put(txn, STORE_DB_BALANCERS, (struct store_bytes){"old.example.net", 15}, (struct store_bytes){value, size},
            NULL);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
  start(scene);
  AWAIT(!read_row(scene, "old.example.net", &record));
  assert_true(read_row(scene, "lb1.example.net", &record));
}

static json_t *await_notice(struct scene *scene, const char *id, const char *key) {
  char request[4096], header[NOTICE_SIGNATURE_SIZE] = "";
  struct errbuf err = {""};
  AWAIT(was_asked(&scene->resource, 1));
  pthread_mutex_lock(&scene->resource.lock);
  strcpy(request, scene->resource.request);
  pthread_mutex_unlock(&scene->resource.lock);
  assert_int_equal(strncmp(request, "POST /told HTTP/1.1\r\n", 21), 0);
  const char *body = strstr(request, "\r\n\r\n") + 4, *line = strcasestr(request, "Gslb-Signature: ");
  assert_non_null(line);
  snprintf(header, sizeof header, "%.*s", (int)strcspn(line + 16, "\r"), line + 16);
  if (notice_verify(key, (int64_t)time(NULL), header, body, strlen(body), &err) != STATUS_OK)
    fail_msg("%s", err.text);
  json_t *notice = json_loads(body, 0, NULL);
  assert_non_null(notice);
  assert_string_equal(json_string_value(json_object_get(notice, "id")), id);
  assert_string_equal(json_string_value(json_object_get(notice, "kind")), "leave");
  assert_string_equal(json_string_value(json_object_get(notice, "from")), "lb1.example.net");
  return notice;
}

static void going_tells_resources_and_names_others(void **state) {
  struct scene *scene = *state;
  struct balancer_record record;
  put_resource(scene, 0, "{\"name\": \"app.example.com\"}", false);
  put_resource(scene, 1, "{\"name\": \"app.example.com\"}", true);
  totals.live = 2;
  start(scene);
  AWAIT(peer_row_is(scene, true, true));
  assert_null(balancers_directive(scene->balancers));
  assert_int_equal(balancers_linger_ms(scene->balancers), 0);
  balancers_go(scene->balancers, 0);
  assert_false(is_accepting(scene));
  assert_true(read_row(scene, "lb1.example.net", &record) && !record.is_accepting && record.is_alive);
  json_t *notice = await_notice(scene, "app-r2", resources[1].notice_key);
  assert_int_equal(json_array_size(json_object_get(notice, "balancers")), 1);
  assert_true(json_is_null(json_object_get(notice, "until_at")));
  assert_null(json_object_get(notice, "services"));
  json_decref(notice);
  json_t *directive = balancers_directive(scene->balancers);
  assert_string_equal(json_string_value(json_object_get(directive, "kind")), "leave");
  json_decref(directive);
  assert_in_range(balancers_linger_ms(scene->balancers), 10000, 20000);
  totals.live = 0;
  assert_int_equal(balancers_linger_ms(scene->balancers), 0);
}

static void nobody_lingers_where_no_other_balancer_is(void **state) {
  struct scene *scene = *state;
  listener_answer(&scene->peer, "");
  totals.live = 2;
  start(scene);
  balancers_go(scene->balancers, 0);
  assert_int_equal(balancers_linger_ms(scene->balancers), 0);
}

static void resource_that_does_not_listen_is_told_again(void **state) {
  struct scene *scene = *state;
  put_resource(scene, 0, "{\"name\": \"app.example.com\"}", true);
  listener_answer(&scene->resource, "");
  start(scene);
  balancers_go(scene->balancers, 0);
  AWAIT(was_asked(&scene->resource, 1));
  listener_answer(&scene->resource, "{}");
  AWAIT(was_asked(&scene->resource, 2));
}

static enum status plan(void *context, struct store_txn *txn, struct errbuf *err) {
  return balancers_plan(txn, context, err);
}

static enum status cancel(void *context, struct store_txn *txn, struct errbuf *err) {
  return balancers_cancel(txn, *(int64_t *)context, err);
}

static size_t leave_count(struct scene *scene) {
  json_t *document = balancers_document(scene->balancers);
  size_t count = json_array_size(json_object_get(document, "leaves"));
  json_decref(document);
  return count;
}

static void planned_absence_begins_and_ends_by_itself(void **state) {
  struct scene *scene = *state;
  start(scene);
  int64_t now_ms = house_now_ms(&scene->house);
  struct leave_record leave = {.at_ms = now_ms + 300, .until_ms = now_ms + 900, .who = "ann", .why = "new kernel"};
  assert_int_equal(commit_and_wait(scene->committer, plan, &leave, NULL), STATUS_OK);
  balancers_look(scene->balancers);
  AWAIT(leave_count(scene) == 1);
  json_t *own = balancers_own(scene->balancers);
  assert_true(json_is_string(json_object_get(own, "leaves_at")));
  assert_true(json_is_string(json_object_get(own, "returns_at")));
  json_decref(own);
  AWAIT(!is_accepting(scene));
  assert_true(house_now_ms(&scene->house) >= leave.at_ms);
  AWAIT(is_accepting(scene));
  assert_true(house_now_ms(&scene->house) >= leave.until_ms);
  assert_null(balancers_directive(scene->balancers));
  AWAIT(leave_count(scene) == 0);
}

static void absence_under_way_ends_when_it_is_cancelled(void **state) {
  struct scene *scene = *state;
  int64_t now_ms = house_now_ms(&scene->house);
  struct leave_record leave = {.at_ms = now_ms, .until_ms = now_ms + 60000};
  assert_int_equal(commit_and_wait(scene->committer, plan, &leave, NULL), STATUS_OK);
  start(scene); /* into the absence: no moment in which it would accept */
  assert_false(is_accepting(scene));
  AWAIT(leave_count(scene) == 1);
  assert_int_equal(commit_and_wait(scene->committer, cancel, &leave.at_ms, NULL), STATUS_OK);
  balancers_look(scene->balancers);
  AWAIT(is_accepting(scene));
}

static void absences_do_not_overlap(void **state) {
  struct scene *scene = *state;
  struct leave_record leave = {.at_ms = 1000000, .until_ms = 2000000};
  int64_t other_ms = 5;
  assert_int_equal(commit_and_wait(scene->committer, plan, &leave, NULL), STATUS_OK);
  leave = (struct leave_record){.at_ms = 1500000, .until_ms = 2500000};
  assert_int_equal(commit_and_wait(scene->committer, plan, &leave, NULL), STATUS_CONFLICT);
  leave = (struct leave_record){.at_ms = 2000000, .until_ms = 2500000};
  assert_int_equal(commit_and_wait(scene->committer, plan, &leave, NULL), STATUS_OK);
  leave = (struct leave_record){.at_ms = 3000000, .until_ms = 3000000};
  assert_int_equal(commit_and_wait(scene->committer, plan, &leave, NULL), STATUS_RANGE);
  assert_int_equal(commit_and_wait(scene->committer, cancel, &other_ms, NULL), STATUS_NOTFOUND);
}

static void reload_that_takes_registration_from_a_service_tells_its_resources(void **state) {
  struct scene *scene = *state;
  put_resource(scene, 0, "{\"name\": \"web.example.com\"}", true);
  put_resource(scene, 1, "{\"name\": \"web.example.com\"}, {\"name\": \"app.example.com\"}", true);
  start(scene);
  struct config *next = make_config(scene, LISTEN, "");
  balancers_configure(scene->balancers, next);
  config_free(next);
  json_t *notice = await_notice(scene, "app-r2", resources[1].notice_key);
  json_t *services = json_object_get(notice, "services");
  assert_int_equal(json_array_size(services), 1);
  assert_string_equal(json_string_value(json_array_get(services, 0)), "app.example.com");
  json_decref(notice);
  assert_true(is_accepting(scene));
}

static void changes_are_on_the_feed(void **state) {
  struct scene *scene = *state;
  struct feed_position since = feed_now(scene->feed);
  bool is_lost;
  start(scene);
  AWAIT(peer_row_is(scene, true, true));
  balancers_go(scene->balancers, 0);
  json_t *changes = feed_read(scene->feed, &since, NULL, &is_lost);
  const char *kinds[] = {"balancer", "balancer", "notice"};
  assert_int_equal(json_array_size(changes), 3);
  for (size_t i = 0; i < 3; i++)
    assert_string_equal(json_string_value(json_object_get(json_array_get(changes, i), "kind")), kinds[i]);
  assert_true(json_is_object(json_object_get(json_array_get(changes, 2), "directive")));
  json_decref(changes);
}

#define BALANCERS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      BALANCERS_TEST(own_row_stands_at_once),
      BALANCERS_TEST(balancer_without_an_address_to_tell_has_no_row),
      BALANCERS_TEST(peer_that_answers_is_alive_and_named_to_others),
      BALANCERS_TEST(peer_that_takes_nothing_is_alive_but_not_named),
      BALANCERS_TEST(peer_is_away_after_two_failures_and_back_at_the_first_answer),
      BALANCERS_TEST(another_balancer_at_a_peers_address_is_not_the_peer),
      BALANCERS_TEST(peer_counts_as_it_was_until_it_is_asked),
      BALANCERS_TEST(rows_of_nobody_are_deleted),
      BALANCERS_TEST(going_tells_resources_and_names_others),
      BALANCERS_TEST(nobody_lingers_where_no_other_balancer_is),
      BALANCERS_TEST(resource_that_does_not_listen_is_told_again),
      BALANCERS_TEST(planned_absence_begins_and_ends_by_itself),
      BALANCERS_TEST(absence_under_way_ends_when_it_is_cancelled),
      BALANCERS_TEST(absences_do_not_overlap),
      BALANCERS_TEST(reload_that_takes_registration_from_a_service_tells_its_resources),
      BALANCERS_TEST(changes_are_on_the_feed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
