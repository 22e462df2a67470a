#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/model/records.h"
#include "gslb/model/registration.h"
#include "probes/muster.h"

static const char text[] =
    "server: {identity: lb1.example.net, state: /tmp, listen: [\"127.0.0.1@5300\"]}\n"
    "zones: [{name: example.com, file: example.com.zone}]\n"
    "services:\n"
    "  - {name: app.example.com, when_down: empty, accept: {tokens: [app]}, "
    "members: [{name: own, addresses: [127.0.0.9]}]}\n"
    "  - {name: web.example.com, when_down: empty, accept: {tokens: [app]}}\n"
    "  - {name: \"*.apps.example.com\", when_down: empty, accept: {tokens: [app], services: 1}}\n";

struct scene {
  char directory[64];
  struct config *config;
  struct store *durable;
  struct muster *muster;
  char changed[256];
};

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  struct problems problems = {0};
  log_setup("test", LOG_LEVEL_ERROR, false);
  strcpy(scene->directory, "/tmp/gslb-muster-XXXXXX");
  assert_non_null(mkdtemp(scene->directory));
  scene->config = config_parse("test.yaml", text, strlen(text), &problems);
  if (!scene->config)
    fail_msg("%s", problems_format(&problems));
  assert_int_equal(store_open(scene->directory, STORE_DURABLE, STORE_CREATE, &scene->durable, NULL), STATUS_OK);
  scene->muster = muster_new(scene->config);
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  muster_free(scene->muster);
  store_close(scene->durable);
  config_free(scene->config);
  char *command = mem_format("rm -rf '%s'", scene->directory);
  int failed = system(command);
  free(command);
  free(scene);
  return failed;
}

/* One transaction: the row with these bytes, or without any. */
static void change(struct scene *scene, const char *service, const char *id, const void *value, size_t size) {
  struct store_txn *txn;
  struct record_key key;
  assert_int_equal(store_begin(scene->durable, true, &txn, NULL), STATUS_OK);
  record_key_member(service, id, &key);
  struct store_bytes row = {key.bytes, key.size};
  if (value)
    assert_int_equal(store_put(txn, STORE_DB_MEMBERS, row, (struct store_bytes){value, size}, NULL), STATUS_OK);
  else
    assert_int_equal(store_delete(txn, STORE_DB_MEMBERS, row, NULL), STATUS_OK);
  assert_int_equal(store_mark_changed(txn, service, NULL), STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
}

static void enter(struct scene *scene, const char *service, const char *id) {
  struct member_record record = {.address_count = 1, .weight = 1};
  size_t size;
  addr_parse("127.0.0.30", &record.addresses[0]);
  uint8_t *value = member_encode(&record, &size);
  change(scene, service, id, value, size);
  free(value);
}

static void leave(struct scene *scene, const char *service, const char *id) {
  change(scene, service, id, NULL, 0);
}

static void note(void *context, size_t service) {
  struct scene *scene = context;
  const char *name = muster_service(scene->muster, service)->name;
  strcat(strcat(scene->changed, name[0] ? name : "vacancy"), " ");
}

static const char *refresh(struct scene *scene) {
  struct errbuf err = {""};
  scene->changed[0] = '\0';
  if (muster_refresh(scene->muster, scene->durable, note, scene, &err) != STATUS_OK)
    fail_msg("%s", err.text);
  return scene->changed;
}

static const struct config_service *service_named(struct scene *scene, const char *name) {
  size_t at = muster_find(scene->muster, name);
  return at == SIZE_MAX ? NULL : muster_service(scene->muster, at);
}

static void before_registrations_are_read_configured_members_are_there(void **state) {
  struct scene *scene = *state;
  assert_false(muster_is_complete(scene->muster));
  assert_int_equal(service_named(scene, "app.example.com")->member_count, 1);
}

static void first_refresh_reads_everything(void **state) {
  struct scene *scene = *state;
  enter(scene, "app.example.com", "r2");
  enter(scene, "app.example.com", "r1");
  enter(scene, "one.apps.example.com", "r1");
  assert_string_equal(refresh(scene), "app.example.com one.apps.example.com ");
  assert_true(muster_is_complete(scene->muster));
  const struct config_service *service = service_named(scene, "app.example.com");
  assert_int_equal(service->member_count, 3);
  assert_string_equal(service->members[0].name, "own");
  assert_string_equal(service->members[1].name, "r1");
  assert_string_equal(service->members[2].name, "r2");
  assert_int_equal(service_named(scene, "one.apps.example.com")->member_count, 1);
}

static void refresh_tells_only_the_services_whose_members_changed(void **state) {
  struct scene *scene = *state;
  enter(scene, "app.example.com", "r1");
  refresh(scene);
  enter(scene, "web.example.com", "r1");
  enter(scene, "app.example.com", "r1");
  assert_string_equal(refresh(scene), "web.example.com ");
  assert_string_equal(refresh(scene), "");
  leave(scene, "app.example.com", "r1");
  assert_string_equal(refresh(scene), "app.example.com ");
  assert_int_equal(service_named(scene, "app.example.com")->member_count, 1);
}

static void vacancy_that_one_service_leaves_is_there_for_another_at_once(void **state) {
  struct scene *scene = *state;
  enter(scene, "one.apps.example.com", "r1");
  refresh(scene);
  enter(scene, "two.apps.example.com", "r1");
  leave(scene, "one.apps.example.com", "r1");
  refresh(scene);
  assert_null(service_named(scene, "one.apps.example.com"));
  assert_int_equal(service_named(scene, "two.apps.example.com")->member_count, 1);
}

static void service_that_takes_no_registrations_has_none(void **state) {
  struct scene *scene = *state;
  enter(scene, "other.example.com", "r1");
  assert_string_equal(refresh(scene), "");
}

static void damaged_registration_counts_as_not_there(void **state) {
  struct scene *scene = *state;
  enter(scene, "app.example.com", "r1");
  refresh(scene);
  change(scene, "app.example.com", "r1", "\1", 1);
  refresh(scene);
  assert_int_equal(service_named(scene, "app.example.com")->member_count, 1);
}

static void registration_of_another_version_leaves_what_was_known(void **state) {
  struct scene *scene = *state;
  struct errbuf err = {""};
  enter(scene, "app.example.com", "r1");
  refresh(scene);
  change(scene, "app.example.com", "r1", "\377abc", 4);
  assert_int_equal(muster_refresh(scene->muster, scene->durable, NULL, NULL, &err), STATUS_VERSION);
  assert_int_equal(service_named(scene, "app.example.com")->member_count, 2);
}

#define MUSTER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      MUSTER_TEST(before_registrations_are_read_configured_members_are_there),
      MUSTER_TEST(first_refresh_reads_everything),
      MUSTER_TEST(refresh_tells_only_the_services_whose_members_changed),
      MUSTER_TEST(vacancy_that_one_service_leaves_is_there_for_another_at_once),
      MUSTER_TEST(service_that_takes_no_registrations_has_none),
      MUSTER_TEST(damaged_registration_counts_as_not_there),
      MUSTER_TEST(registration_of_another_version_leaves_what_was_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
