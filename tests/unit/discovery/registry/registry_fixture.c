#include "tests/unit/discovery/registry/registry_fixture.h"

#include <time.h>
#include <unistd.h>

#include "tests/unit/base/directory.h"

#define WAIT_S 20

static const char config_text[] = "server:\n"
                                  "  identity: lb1.example.net\n"
                                  "  state: /tmp/none\n"
                                  "  listen: [127.0.0.1@5300]\n"
                                  "zones: [{name: example.com, file: example.com.zone}]\n"
                                  "sites: [{name: fra}, {name: muc}]\n"
                                  "services:\n"
                                  "  - name: app.example.com\n"
                                  "    ttl: {min: 5s, max: 20s}\n"
                                  "    accept: {tokens: [app], members: 4}\n";

static void on_ring(void *context) {
  struct fixture *fixture = context;
  pthread_mutex_lock(&fixture->lock);
  fixture->rings++;
  pthread_cond_broadcast(&fixture->moved);
  pthread_mutex_unlock(&fixture->lock);
}

static void on_probed(void *context, const char *service, const char *id, bool *passes) {
  struct fixture *fixture = context;
  (void)service;
  (void)id;
  pthread_mutex_lock(&fixture->lock);
  *passes = fixture->probes_pass;
  pthread_mutex_unlock(&fixture->lock);
}

static void start_registry(struct fixture *fixture) {
  struct registry_links links = {.committer = fixture->committer,
                                 .durable = fixture->durable,
                                 .live = fixture->live,
                                 .house = &fixture->house,
                                 .feed = fixture->feed,
                                 .ring = on_ring,
                                 .probed = on_probed,
                                 .context = fixture};
  assert_int_equal(registry_start(&links, fixture->config, &fixture->registry, &fixture->err), STATUS_OK);
}

void stop_all(struct fixture *fixture) {
  registry_stop(fixture->registry);
  commit_stop(fixture->committer);
  registry_free(fixture->registry);
  commit_free(fixture->committer);
  fixture->registry = NULL;
  fixture->committer = NULL;
}

void start_all(struct fixture *fixture) {
  assert_int_equal(commit_start(fixture->durable, &fixture->house, NULL, NULL, &fixture->committer, &fixture->err),
                   STATUS_OK);
  start_registry(fixture);
}

static struct config *make_config(const char *text) {
  struct problems problems = {0};
  struct config *config = config_parse("F", text, strlen(text), &problems);
  char *report = problems_format(&problems);
  if (!config)
    print_error("%s", report);
  free(report);
  problems_release(&problems);
  assert_non_null(config);
  return config;
}

int setup(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  strcpy(fixture->directory, "/tmp/gslb-registry-test-XXXXXX");
  *state = fixture;
  if (!mkdtemp(fixture->directory))
    return -1;
  pthread_mutex_init(&fixture->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&fixture->moved, &attributes);
  pthread_condattr_destroy(&attributes);
  fixture->probes_pass = true;
  fixture->house = house_start(0);
  fixture->config = make_config(config_text);
  fixture->feed = feed_new();
  assert_int_equal(store_open(fixture->directory, STORE_DURABLE, STORE_CREATE, &fixture->durable, &fixture->err),
                   STATUS_OK);
  assert_int_equal(store_open(fixture->directory, STORE_LIVE, STORE_CREATE, &fixture->live, &fixture->err), STATUS_OK);
  start_all(fixture);
  return 0;
}

int teardown(void **state) {
  struct fixture *fixture = *state;
  stop_all(fixture);
  feed_free(fixture->feed);
  config_free(fixture->config);
  store_close(fixture->durable);
  store_close(fixture->live);
  directory_remove(fixture->directory);
  pthread_cond_destroy(&fixture->moved);
  pthread_mutex_destroy(&fixture->lock);
  free(fixture);
  return 0;
}

void pass_time(struct fixture *fixture, int64_t ms) {
  __atomic_add_fetch(&fixture->house.offset_ms, ms, __ATOMIC_RELAXED);
  registry_configure(fixture->registry, fixture->config);
}

bool wait_for(struct fixture *fixture, condition *is_true, const void *argument) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  for (time_t end = now.tv_sec + WAIT_S; now.tv_sec < end; clock_gettime(CLOCK_MONOTONIC, &now)) {
    if (is_true(fixture, argument))
      return true;
    now.tv_nsec += 5000000;
    now.tv_sec += now.tv_nsec / 1000000000;
    now.tv_nsec %= 1000000000;
    pthread_mutex_lock(&fixture->lock);
    pthread_cond_timedwait(&fixture->moved, &fixture->lock, &now);
    pthread_mutex_unlock(&fixture->lock);
  }
  return false;
}

struct principal token_named(const char *name, const char *resources) {
  struct principal principal = {.kind = PRINCIPAL_TOKEN};
  strcpy(principal.name, name);
  strcpy(principal.token.resources[0], resources);
  strcpy(principal.token.services[0], "*");
  principal.token.resource_count = principal.token.service_count = 1;
  return principal;
}

void on_done(void *context, const struct registry_outcome *outcome) {
  struct waited *waited = context;
  pthread_mutex_lock(&waited->fixture->lock);
  waited->outcome = *outcome;
  snprintf(waited->text, sizeof waited->text, "%.500s", outcome->text ? outcome->text : "");
  char *errors = outcome->errors ? json_dumps(outcome->errors, JSON_COMPACT) : NULL;
  snprintf(waited->errors, sizeof waited->errors, "%s", errors ? errors : "");
  free(errors);
  waited->outcome.errors = NULL;
  waited->is_done = true;
  pthread_cond_broadcast(&waited->fixture->moved);
  pthread_mutex_unlock(&waited->fixture->lock);
}

void await(struct waited *waited) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += WAIT_S;
  int code = 0;
  pthread_mutex_lock(&waited->fixture->lock);
  while (!waited->is_done && code == 0)
    code = pthread_cond_timedwait(&waited->fixture->moved, &waited->fixture->lock, &until);
  pthread_mutex_unlock(&waited->fixture->lock);
  assert_true(waited->is_done);
}

void put_as(struct fixture *fixture, const struct registry_call *call, bool is_patch, const char *text,
            struct waited *waited) {
  json_t *json = json_loads(text, 0, NULL);
  assert_non_null(json);
  *waited = (struct waited){.fixture = fixture};
  registry_register(fixture->registry, call, json, is_patch, on_done, waited);
  json_decref(json);
  await(waited);
}

void put(struct fixture *fixture, const char *id, const char *text, struct waited *waited) {
  struct principal principal = token_named("app", "*");
  struct registry_call call = {.id = id, .principal = &principal, .identity = "lb1.example.net"};
  put_as(fixture, &call, false, text, waited);
}

enum status report(struct fixture *fixture, const char *id, const struct document_status *report,
                   struct registry_outcome *outcome) {
  struct principal principal = token_named("app", "*");
  struct registry_call call = {.id = id, .principal = &principal};
  return registry_status(fixture->registry, &call, report, outcome);
}

bool get_row(struct store *store, enum store_db db, const void *key, size_t size, void *copy, size_t *length) {
  struct store_txn *txn;
  struct store_bytes value;
  assert_int_equal(store_begin(store, false, &txn, NULL), STATUS_OK);
  enum status status = store_get(txn, db, (struct store_bytes){key, size}, &value);
  if (status == STATUS_OK && copy) {
    assert_true(value.size <= *length);
    memcpy(copy, value.data, value.size);
    *length = value.size;
  }
  store_abort(txn);
  return status == STATUS_OK;
}

bool has_member(struct fixture *fixture, const char *service, const char *id) {
  struct record_key key;
  record_key_member(service, id, &key);
  return get_row(fixture->durable, STORE_DB_MEMBERS, key.bytes, key.size, NULL, NULL);
}

bool has_resource(struct fixture *fixture, const char *id) {
  return get_row(fixture->durable, STORE_DB_RESOURCES, id, strlen(id), NULL, NULL);
}

bool read_lease(struct fixture *fixture, const char *id, struct lease_record *out) {
  uint8_t row[RECORD_SIZE_MOST];
  size_t size = sizeof row;
  return get_row(fixture->live, STORE_DB_LEASES, id, strlen(id), row, &size) &&
         lease_decode(row, size, out) == STATUS_OK;
}
