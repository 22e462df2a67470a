/* The parents' thread with real stores and facts; the test is the session with the parent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "discovery/balancers/parent.h"
#include "discovery/session/session.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/model/config.h"
#include "gslb/model/records.h"
#include "gslb/model/registration.h"

#define PATIENCE_MS 8000

/* The sessions: each asks for a report every few milliseconds, as at a renewal. */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
  unsigned started, freed, left, registrations;
  char url[128], domain[128], token[64], id[64];
  json_t *registration, *report;
  bool is_deaf; /* a leave is never over */
} seen;

struct session {
  const struct session_events *events;
  void *context;
  struct loop_timer *timer;
};

static void keep(json_t **place, json_t *document) {
  json_decref(*place);
  *place = json_deep_copy(document);
}

static void renew(void *context) {
  struct session *session = context;
  json_t *report = session->events->report(session->context);
  pthread_mutex_lock(&lock);
  keep(&seen.report, report);
  pthread_mutex_unlock(&lock);
  json_decref(report);
  loop_timer_after(session->timer, 20);
}

struct session *session_new(struct loop *loop, const struct session_options *options,
                            const struct session_events *events, void *context) {
  struct session *session = mem_alloc(sizeof *session);
  session->events = events;
  session->context = context;
  session->timer = loop_timer_new(loop, renew, session);
  loop_timer_after(session->timer, 0);
  pthread_mutex_lock(&lock);
  seen.started++;
  snprintf(seen.url, sizeof seen.url, "%s", options->place.url ? options->place.url : "");
  snprintf(seen.domain, sizeof seen.domain, "%s", options->place.domain ? options->place.domain : "");
  snprintf(seen.token, sizeof seen.token, "%s", options->token ? options->token : "");
  snprintf(seen.id, sizeof seen.id, "%s", options->id);
  keep(&seen.registration, options->registration);
  pthread_mutex_unlock(&lock);
  return session;
}

void session_free(struct session *session) {
  loop_timer_free(session->timer);
  free(session);
  pthread_mutex_lock(&lock);
  seen.freed++;
  pthread_mutex_unlock(&lock);
}

void session_set_registration(struct session *session, json_t *registration) {
  (void)session;
  pthread_mutex_lock(&lock);
  seen.registrations++;
  keep(&seen.registration, registration);
  pthread_mutex_unlock(&lock);
}

void session_set_token(struct session *session, const char *token) {
  (void)session;
  pthread_mutex_lock(&lock);
  snprintf(seen.token, sizeof seen.token, "%s", token);
  pthread_mutex_unlock(&lock);
}

void session_leave(struct session *session) {
  pthread_mutex_lock(&lock);
  seen.left++;
  bool is_deaf = seen.is_deaf;
  pthread_mutex_unlock(&lock);
  loop_timer_stop(session->timer);
  if (!is_deaf)
    session->events->ended(session->context, 0);
}

json_t *session_document(const struct session *session) {
  (void)session;
  return json_pack("{s:s}", "state", "registered");
}

struct scene {
  char directory[64], run[80];
  struct house house;
  struct store *durable, *live;
  struct board *board;
  struct board_bell bell;
  struct parents *parents;
};

static int set_up(void **state) {
  struct scene *scene = mem_alloc(sizeof *scene);
  int fd;
  log_setup("test", LOG_LEVEL_ERROR, false);
  memset(&seen, 0, sizeof seen);
  strcpy(scene->directory, "/tmp/gslb-parent-XXXXXX");
  assert_non_null(mkdtemp(scene->directory));
  snprintf(scene->run, sizeof scene->run, "%s/run", scene->directory);
  scene->house = house_start(0);
  assert_int_equal(store_open(scene->directory, STORE_DURABLE, STORE_CREATE, &scene->durable, NULL), STATUS_OK);
  assert_int_equal(store_open(scene->run, STORE_LIVE, STORE_CREATE, &scene->live, NULL), STATUS_OK);
  assert_int_equal(board_create(&scene->board, &scene->bell, &fd, NULL), STATUS_OK);
  board_use_workers(scene->board, 1);
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  parent_stop(scene->parents, true);
  store_close(scene->durable);
  store_close(scene->live);
  json_decref(seen.registration);
  json_decref(seen.report);
  char *command = mem_format("rm -rf '%s'", scene->directory);
  int failed = system(command);
  free(command);
  free(scene);
  return failed;
}

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

/* As the supervisor reads it, with the token's file. */
static char *config_text(const struct scene *scene, const char *parents, size_t *length) {
  char *token = mem_format("%s/token", scene->directory), *path = mem_format("%s/test.yaml", scene->directory);
  char *yaml = mem_format("server: {identity: lb7.example.net, state: %s, run: %s, listen: [\"127.0.0.1@5300\"]}\n"
                          "zones: [{name: example.com, file: example.com.zone}]\n"
                          "parents: [%s]\n"
                          "services:\n"
                          "  - {name: app.example.com, when_down: empty, accept: {tokens: [app]}}\n",
                          scene->directory, scene->run, parents);
  struct problems problems = {0};
  char *text = NULL;
  write_file(token, "gslb_test\n");
  write_file(path, yaml);
  if (config_read_whole(path, &text, length, &problems) != STATUS_OK)
    fail_msg("%s", problems_format(&problems));
  free(token);
  free(path);
  free(yaml);
  return text;
}

#define PARENT                                                                                                         \
  "{address: \"127.0.0.1@8300\", id: lb7, addresses: [127.0.0.53], lease: 30s, token_file: token, "                    \
  "services: [{name: www.example.org, own: app.example.com, port: 53}]}"

static void start(struct scene *scene, const char *parents) {
  struct parent_links links = {scene->durable, scene->live, scene->board, &scene->house};
  struct errbuf err = {""};
  size_t length;
  char *text = config_text(scene, parents, &length), *path = mem_format("%s/test.yaml", scene->directory);
  if (parent_start(&links, path, text, length, &scene->parents, &err) != STATUS_OK)
    fail_msg("%s", err.text);
  free(text);
  free(path);
}

static void configure(struct scene *scene, const char *parents) {
  size_t length;
  char *text = config_text(scene, parents, &length), *path = mem_format("%s/test.yaml", scene->directory);
  parent_configure(scene->parents, path, text, length);
  free(text);
  free(path);
}

static void put(struct store *store, enum store_db db, const void *key, size_t key_size, const void *value, size_t size,
                const char *mark) {
  struct store_txn *txn;
  assert_int_equal(store_begin(store, true, &txn, NULL), STATUS_OK);
  assert_int_equal(store_put(txn, db, (struct store_bytes){key, key_size}, (struct store_bytes){value, size}, NULL),
                   STATUS_OK);
  assert_int_equal(store_mark_changed(txn, mark, NULL), STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
}

static void enter(struct scene *scene, const char *id, enum resource_kind kind, double utilization, uint32_t slot,
                  const char *document) {
  struct resource_record resource = {.revision = 1, .epoch = 1, .document = document};
  struct member_record member = {.kind = kind, .address_count = 1, .weight = 3};
  struct lease_record lease = {.state = LEASE_LIVE, .epoch = 1, .utilization = utilization};
  struct slot_record slots = {slot};
  struct record_key key;
  uint8_t bytes[RECORD_SIZE_MOST];
  size_t size;
  resource.document_size = strlen(document);
  uint8_t *value = resource_encode(&resource, &size);
  put(scene->durable, STORE_DB_RESOURCES, id, strlen(id), value, size, "app.example.com");
  free(value);
  size = lease_encode(&lease, bytes);
  put(scene->live, STORE_DB_LEASES, id, strlen(id), bytes, size, "app.example.com");
  record_key_member("app.example.com", id, &key);
  size = slot_encode(&slots, bytes);
  put(scene->durable, STORE_DB_SLOTS, key.bytes, key.size, bytes, size, "app.example.com");
  addr_parse("127.0.0.30", &member.addresses[0]);
  value = member_encode(&member, &size);
  put(scene->durable, STORE_DB_MEMBERS, key.bytes, key.size, value, size, "app.example.com");
  free(value);
}

/* Waits until a document has this value at a path of members, given as JSON text. */
static void await_value(json_t **document, const char *const *path, const char *wanted) {
  int64_t end_ms = mono_now_ms() + PATIENCE_MS;
  for (bool is_there = false; !is_there; poll(NULL, 0, is_there ? 0 : 5)) {
    pthread_mutex_lock(&lock);
    json_t *value = *document;
    for (size_t i = 0; path[i]; i++)
      value = json_object_get(value, path[i]);
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(4)) : NULL;
    pthread_mutex_unlock(&lock);
    is_there = text && strcmp(text, wanted) == 0;
    if (!is_there && mono_now_ms() > end_ms)
      fail_msg("%s, not %s", text, wanted);
    free(text);
  }
}

#define PATH(...)                                                                                                      \
  (const char *const[]) {                                                                                              \
    __VA_ARGS__, NULL                                                                                                  \
  }
#define AWAIT_SEEN(condition)                                                                                          \
  do {                                                                                                                 \
    int64_t await_end_ms = mono_now_ms() + PATIENCE_MS;                                                                \
    for (bool is_met = false; !is_met; poll(NULL, 0, is_met ? 0 : 5)) {                                                \
      pthread_mutex_lock(&lock);                                                                                       \
      is_met = condition;                                                                                              \
      pthread_mutex_unlock(&lock);                                                                                     \
      assert_true(is_met || mono_now_ms() < await_end_ms);                                                             \
    }                                                                                                                  \
  } while (0)

static void balancer_registers_with_its_parent(void **state) {
  struct scene *scene = *state;
  start(scene, PARENT);
  await_value(&seen.registration, PATH("kind"), "\"balancer\"");
  await_value(&seen.registration, PATH("addresses"), "[\"127.0.0.53\"]");
  await_value(&seen.registration, PATH("services"), "[{\"name\": \"www.example.org\", \"port\": 53}]");
  await_value(&seen.registration, PATH("lease_s"), "30.0");
  await_value(&seen.registration, PATH("path"), "[\"lb7.example.net\"]");
  assert_string_equal(seen.url, "http://127.0.0.1:8300");
  assert_string_equal(seen.id, "lb7");
  assert_string_equal(seen.token, "gslb_test");
  int64_t end_ms = mono_now_ms() + PATIENCE_MS;
  for (size_t shown = 0; shown != 1; poll(NULL, 0, 5)) {
    json_t *document = parent_document(scene->parents);
    shown = json_array_size(json_object_get(document, "parents"));
    json_decref(document);
    assert_true(mono_now_ms() < end_ms);
  }
}

static void without_parents_there_is_no_session(void **state) {
  struct scene *scene = *state;
  start(scene, "");
  json_t *document = parent_document(scene->parents);
  assert_int_equal(json_array_size(json_object_get(document, "parents")), 0);
  json_decref(document);
  parent_stop(scene->parents, true);
  scene->parents = NULL;
  assert_int_equal(seen.started, 0);
}

static void balancer_without_members_asks_for_no_clients(void **state) {
  struct scene *scene = *state;
  start(scene, PARENT);
  await_value(&seen.report, PATH("state"), "\"maint\"");
  await_value(&seen.report, PATH("services", "www.example.org", "members_up"), "0");
}

static void report_sums_up_the_members(void **state) {
  struct scene *scene = *state;
  enter(scene, "app-r1", RESOURCE_SERVER, 0.25, 1, "{\"capacity\": 100.0}");
  enter(scene, "app-r2", RESOURCE_SERVER, 0.75, 2, "{}");
  enter(scene, "app-r3", RESOURCE_SERVER, LEASE_NO_UTILIZATION, 3, "{}");
  start(scene, PARENT);
  await_value(&seen.report, PATH("state"), "\"up\"");
  await_value(&seen.report, PATH("application_utilization"), "0.5");
  await_value(&seen.report, PATH("services", "www.example.org", "members_up"), "3");
  await_value(&seen.report, PATH("services", "www.example.org", "capacity"), "106.0");
  await_value(&seen.report, PATH("services", "www.example.org", "utilization_mean"), "0.5");
  await_value(&seen.report, PATH("services", "www.example.org", "utilization_p95"), "0.75");
}

static void rate_counts_answers_between_reports(void **state) {
  struct scene *scene = *state;
  enter(scene, "app-r1", RESOURCE_SERVER, 0.25, 1, "{}");
  atomic_store(&scene->board->answers[0][1], 1000000);
  start(scene, PARENT);
  await_value(&seen.report, PATH("services", "www.example.org", "rate"), "0.0");
  double most = 0;
  int64_t end_ms = mono_now_ms() + PATIENCE_MS;
  for (; most <= 0; poll(NULL, 0, 1)) {
    atomic_fetch_add(&scene->board->answers[0][1], 1);
    pthread_mutex_lock(&lock);
    most = json_number_value(
        json_object_get(json_object_get(json_object_get(seen.report, "services"), "www.example.org"), "rate"));
    pthread_mutex_unlock(&lock);
    assert_true(mono_now_ms() < end_ms);
  }
  assert_true(most < 10000);
}

static void path_names_the_balancers_below(void **state) {
  struct scene *scene = *state;
  start(scene, PARENT);
  await_value(&seen.registration, PATH("path"), "[\"lb7.example.net\"]");
  enter(scene, "lb9", RESOURCE_BALANCER, 0.1, 1,
        "{\"kind\": \"balancer\", \"path\": [\"lb9.example.net\", \"lb8.example.net\", \"lb7.example.net\"]}");
  await_value(&seen.registration, PATH("path"), "[\"lb7.example.net\", \"lb8.example.net\", \"lb9.example.net\"]");
  assert_int_equal(seen.registrations, 1);
}

static void reload_keeps_the_session_of_a_parent_that_stays(void **state) {
  struct scene *scene = *state;
  start(scene, PARENT);
  AWAIT_SEEN(seen.started == 1);
  configure(scene, "{address: \"127.0.0.1@8300\", id: lb7, addresses: [127.0.0.54], lease: 30s, token_file: token, "
                   "services: [{name: www.example.org, own: app.example.com}]}");
  await_value(&seen.registration, PATH("addresses"), "[\"127.0.0.54\"]");
  await_value(&seen.registration, PATH("services"), "[{\"name\": \"www.example.org\"}]");
  assert_int_equal(seen.started, 1);
  assert_int_equal(seen.left, 0);
}

static void reload_leaves_a_parent_that_goes(void **state) {
  struct scene *scene = *state;
  start(scene, PARENT);
  AWAIT_SEEN(seen.started == 1);
  configure(scene, "{domain: example.org, id: lb7, addresses: [127.0.0.53], token_file: token, services: [{name: "
                   "www.example.org, "
                   "own: app.example.com}]}");
  AWAIT_SEEN(seen.started == 2 && seen.freed == 1);
  assert_int_equal(seen.left, 1);
  assert_string_equal(seen.domain, "example.org");
  assert_string_equal(seen.url, "");
}

static void stop_deregisters(void **state) {
  struct scene *scene = *state;
  start(scene, PARENT);
  AWAIT_SEEN(seen.started == 1);
  parent_stop(scene->parents, true);
  scene->parents = NULL;
  assert_int_equal(seen.left, 1);
  assert_int_equal(seen.freed, 1);
}

static void stop_waits_two_seconds_at_most(void **state) {
  struct scene *scene = *state;
  start(scene, PARENT);
  AWAIT_SEEN(seen.started == 1);
  seen.is_deaf = true;
  int64_t began_ms = mono_now_ms();
  parent_stop(scene->parents, true);
  scene->parents = NULL;
  assert_in_range(mono_now_ms() - began_ms, 1900, 3000);
  assert_int_equal(seen.freed, 1);
}

#define PARENT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      PARENT_TEST(balancer_registers_with_its_parent),
      PARENT_TEST(without_parents_there_is_no_session),
      PARENT_TEST(balancer_without_members_asks_for_no_clients),
      PARENT_TEST(report_sums_up_the_members),
      PARENT_TEST(rate_counts_answers_between_reports),
      PARENT_TEST(path_names_the_balancers_below),
      PARENT_TEST(reload_keeps_the_session_of_a_parent_that_stays),
      PARENT_TEST(reload_leaves_a_parent_that_goes),
      PARENT_TEST(stop_deregisters),
      PARENT_TEST(stop_waits_two_seconds_at_most),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
