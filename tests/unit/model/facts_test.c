#include "gslb/model/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/base/directory.h"

#define MANY 40u

static struct addr addresses[] = {
    {.family = 4, .bytes = {127, 0, 0, 11}},
    {.family = 6, .bytes = {[15] = 1}},
};
static struct config_monitor monitors[] = {{.name = "web"}, {.name = "port"}, {.name = "other"}};
static struct config_member www_members[] = {
    {.name = "fra-1", .addresses = addresses, .address_count = 2},
    {.name = "nyc-1", .addresses = addresses, .address_count = 1},
};
static struct config_member many_members[MANY];
static char many_names[MANY][8];
static struct config_service services[] = {
    {.name = "www.example.com",
     .monitors = (uint32_t[]){1, 0},
     .monitor_count = 2,
     .members = www_members,
     .member_count = 2},
    {.name = "api.example.com",
     .monitors = (uint32_t[]){1},
     .monitor_count = 1,
     .members = many_members,
     .member_count = MANY},
    {.name = "bare.example.com", .members = www_members, .member_count = 1},
};
static const struct config config = {.monitors = monitors,
                                     .monitor_count = 3,
                                     .services = services,
                                     .service_count = 3};

enum { WWW, API, BARE };

struct fixture {
  char directory[64];
  struct errbuf err;
  struct store *durable;
  struct store *live;
  struct facts *facts;
  unsigned told[3];
};

static int setup(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  for (size_t i = 0; i < MANY; i++) {
    snprintf(many_names[i], sizeof many_names[i], "m%zu", i);
    many_members[i] = (struct config_member){.name = many_names[i], .addresses = addresses, .address_count = 1};
  }
  strcpy(fixture->directory, "/tmp/gslb-facts-test-XXXXXX");
  *state = fixture;
  if (!mkdtemp(fixture->directory) ||
      store_open(fixture->directory, STORE_DURABLE, STORE_CREATE, &fixture->durable, &fixture->err) != STATUS_OK ||
      store_open(fixture->directory, STORE_LIVE, STORE_CREATE, &fixture->live, &fixture->err) != STATUS_OK)
    return -1;
  fixture->facts = facts_new(&config, fixture->durable, fixture->live);
  return 0;
}

static int teardown(void **state) {
  struct fixture *fixture = *state;
  facts_free(fixture->facts);
  store_close(fixture->durable);
  store_close(fixture->live);
  directory_remove(fixture->directory);
  free(fixture);
  return 0;
}

static void count(void *context, size_t service) {
  struct fixture *fixture = context;
  fixture->told[service]++;
}

static enum status refresh(struct fixture *fixture) {
  memset(fixture->told, 0, sizeof fixture->told);
  return facts_refresh(fixture->facts, count, fixture, &fixture->err);
}

static void expect_told(const struct fixture *fixture, unsigned www, unsigned api, unsigned bare) {
  assert_int_equal(fixture->told[WWW], www);
  assert_int_equal(fixture->told[API], api);
  assert_int_equal(fixture->told[BARE], bare);
}

static void store_row(struct store *store, enum store_db db, const struct record_key *key, const uint8_t *value,
                      size_t size, const char *mark) {
  struct store_txn *txn;
  assert_int_equal(store_begin(store, true, &txn, NULL), STATUS_OK);
  struct store_bytes at = {key->bytes, key->size};
  if (size > 0)
    assert_int_equal(store_put(txn, db, at, (struct store_bytes){value, size}, NULL), STATUS_OK);
  else
    assert_int_equal(store_delete(txn, db, at, NULL), STATUS_OK);
  if (mark)
    assert_int_equal(store_mark_changed(txn, mark, NULL), STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
}

static void put_health(struct fixture *fixture, size_t service, const char *member, size_t address, const char *monitor,
                       enum health health, const char *mark) {
  struct record_key key;
  uint8_t bytes[RECORD_SIZE_MOST];
  struct health_record record = {.state = health, .passed = 1};
  record_key_probe(services[service].name, member, &addresses[address], monitor, &key);
  store_row(fixture->live, STORE_DB_HEALTH, &key, bytes, health_encode(&record, bytes), mark);
}

static void put_override(struct fixture *fixture, size_t service, const char *member, enum override_kind kind,
                         const char *mark) {
  struct record_key key;
  uint8_t bytes[RECORD_SIZE_MOST];
  struct override_record record = {.kind = kind, .why = "because"};
  record_key_member(services[service].name, member, &key);
  store_row(fixture->durable, STORE_DB_ADMIN, &key, bytes, kind == OVERRIDE_NONE ? 0 : override_encode(&record, bytes),
            mark);
}

static enum health health_of(const struct fixture *fixture, size_t service, size_t member, size_t address,
                             size_t monitor) {
  return facts_service(fixture->facts, service)->members[member].addresses[address].probes[monitor].state;
}

static void first_refresh_tells_every_service_and_knows_nothing(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(refresh(fixture), STATUS_OK);
  expect_told(fixture, 1, 1, 1);
  const struct service_facts *www = facts_service(fixture->facts, WWW);
  assert_ptr_equal(www->service, &services[WWW]);
  assert_null(www->members[1].override);
  assert_true(www->members[1].slot == FACTS_NO_SLOT);
  assert_int_equal(health_of(fixture, WWW, 0, 1, 1), HEALTH_UNKNOWN);
  assert_int_equal(refresh(fixture), STATUS_OK);
  expect_told(fixture, 0, 0, 0);
}

static void every_kind_of_fact_comes_to_its_place(void **state) {
  struct fixture *fixture = *state;
  struct record_key key;
  uint8_t bytes[RECORD_SIZE_MOST];
  put_health(fixture, WWW, "fra-1", 1, "web", HEALTH_DOWN, NULL);
  put_health(fixture, API, "m33", 0, "port", HEALTH_UP, NULL);
  put_override(fixture, WWW, "nyc-1", OVERRIDE_DRAIN, NULL);
  record_key_address(services[WWW].name, "fra-1", &addresses[1], &key);
  store_row(fixture->durable, STORE_DB_LATCHES, &key, bytes,
            latch_encode(&(struct latch_record){.last_good = true}, bytes), NULL);
  record_key_member(services[API].name, "m39", &key);
  store_row(fixture->durable, STORE_DB_SLOTS, &key, bytes, slot_encode(&(struct slot_record){.slot = 12}, bytes), NULL);

  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(health_of(fixture, WWW, 0, 1, 1), HEALTH_DOWN); /* web is the service's second monitor */
  assert_int_equal(health_of(fixture, WWW, 0, 1, 0), HEALTH_UNKNOWN);
  assert_int_equal(health_of(fixture, WWW, 0, 0, 1), HEALTH_UNKNOWN);
  assert_int_equal(health_of(fixture, API, 33, 0, 0), HEALTH_UP);
  const struct service_facts *www = facts_service(fixture->facts, WWW);
  assert_int_equal(www->members[1].override->kind, OVERRIDE_DRAIN);
  assert_string_equal(www->members[1].override->why, "because");
  assert_true(www->members[0].addresses[1].latch.last_good);
  assert_false(www->members[0].addresses[0].latch.last_good);
  assert_true(facts_service(fixture->facts, API)->members[39].slot == 12);
  assert_true(facts_service(fixture->facts, API)->members[38].slot == FACTS_NO_SLOT);
}

static void rows_of_what_is_not_configured_are_ignored(void **state) {
  struct fixture *fixture = *state;
  struct record_key key = {.size = 3, .bytes = "a\0b"};
  put_health(fixture, WWW, "gone", 0, "web", HEALTH_UP, "gone.example.com");
  put_health(fixture, WWW, "nyc-1", 1, "web", HEALTH_UP, NULL);
  put_health(fixture, WWW, "fra-1", 0, "other", HEALTH_UP, NULL);
  put_health(fixture, BARE, "fra-1", 0, "web", HEALTH_UP, NULL);
  store_row(fixture->live, STORE_DB_HEALTH, &key, (const uint8_t *)"x", 1, NULL);
  key = (struct record_key){.size = 9, .bytes = "a\0b\0c\0d\0e"};
  store_row(fixture->live, STORE_DB_HEALTH, &key, (const uint8_t *)"x", 1, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  for (size_t i = 0; i < 2; i++)
    assert_int_equal(health_of(fixture, WWW, 0, 0, i), HEALTH_UNKNOWN);
}

static void only_a_marked_service_is_read_and_told(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(refresh(fixture), STATUS_OK);
  put_health(fixture, WWW, "fra-1", 0, "web", HEALTH_UP, NULL);
  put_health(fixture, API, "m1", 0, "port", HEALTH_UP, "api.example.com");
  put_health(fixture, API, "m2", 0, "port", HEALTH_DOWN, "api.example.com");
  put_override(fixture, API, "m2", OVERRIDE_UP, "api.example.com");
  assert_int_equal(refresh(fixture), STATUS_OK);
  expect_told(fixture, 0, 1, 0);
  assert_int_equal(health_of(fixture, API, 1, 0, 0), HEALTH_UP);
  assert_int_equal(health_of(fixture, API, 2, 0, 0), HEALTH_DOWN);
  assert_int_equal(facts_service(fixture->facts, API)->members[2].override->kind, OVERRIDE_UP);
  assert_int_equal(health_of(fixture, WWW, 0, 0, 1), HEALTH_UNKNOWN);
}

static void mark_for_all_reads_everything(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(refresh(fixture), STATUS_OK);
  put_health(fixture, WWW, "fra-1", 0, "web", HEALTH_UP, "");
  assert_int_equal(refresh(fixture), STATUS_OK);
  expect_told(fixture, 1, 1, 1);
  assert_int_equal(health_of(fixture, WWW, 0, 0, 1), HEALTH_UP);
}

static void trimmed_marks_read_everything(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(refresh(fixture), STATUS_OK);
  put_health(fixture, WWW, "fra-1", 0, "web", HEALTH_UP, NULL);
  struct store_txn *txn;
  assert_int_equal(store_begin(fixture->live, true, &txn, NULL), STATUS_OK);
  for (int i = 0; i < 65537; i++)
    if (store_mark_changed(txn, "api.example.com", NULL) != STATUS_OK)
      fail();
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
  assert_int_equal(refresh(fixture), STATUS_OK);
  expect_told(fixture, 1, 1, 1);
  assert_int_equal(health_of(fixture, WWW, 0, 0, 1), HEALTH_UP);
}

static void deleted_row_is_forgotten(void **state) {
  struct fixture *fixture = *state;
  put_override(fixture, WWW, "fra-1", OVERRIDE_DOWN, NULL);
  put_health(fixture, WWW, "fra-1", 0, "web", HEALTH_UP, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  put_override(fixture, WWW, "fra-1", OVERRIDE_NONE, "www.example.com");
  assert_int_equal(refresh(fixture), STATUS_OK);
  expect_told(fixture, 1, 0, 0);
  assert_null(facts_service(fixture->facts, WWW)->members[0].override);
  assert_int_equal(health_of(fixture, WWW, 0, 0, 1), HEALTH_UP);
}

static void unknown_version_keeps_what_was_known_until_it_is_gone(void **state) {
  struct fixture *fixture = *state;
  struct record_key key;
  put_health(fixture, WWW, "fra-1", 0, "web", HEALTH_UP, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  put_health(fixture, WWW, "fra-1", 0, "web", HEALTH_DOWN, "www.example.com");
  record_key_probe("www.example.com", "fra-1", &addresses[1], "web", &key);
  store_row(fixture->live, STORE_DB_HEALTH, &key, (const uint8_t *)"\2new", 4, "www.example.com");
  put_override(fixture, API, "m1", OVERRIDE_UP, "api.example.com");
  for (int i = 0; i < 2; i++) {
    assert_int_equal(refresh(fixture), STATUS_VERSION);
    expect_told(fixture, 0, i == 0, 0);
    assert_int_equal(health_of(fixture, WWW, 0, 0, 1), HEALTH_UP);
  }
  assert_non_null(strstr(fixture->err.text, "live store: "));
  assert_int_equal(facts_reread(fixture->facts, WWW, &fixture->err), STATUS_VERSION);
  put_health(fixture, WWW, "fra-1", 1, "web", HEALTH_UP, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  expect_told(fixture, 1, 1, 1);
  assert_int_equal(health_of(fixture, WWW, 0, 0, 1), HEALTH_DOWN);
}

static void damaged_row_counts_as_not_stored(void **state) {
  struct fixture *fixture = *state;
  struct record_key key;
  put_health(fixture, WWW, "fra-1", 0, "web", HEALTH_UP, NULL);
  record_key_probe("www.example.com", "fra-1", &addresses[1], "web", &key);
  store_row(fixture->live, STORE_DB_HEALTH, &key, (const uint8_t *)"\1\1", 2, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(health_of(fixture, WWW, 0, 0, 1), HEALTH_UP);
  assert_int_equal(health_of(fixture, WWW, 0, 1, 1), HEALTH_UNKNOWN);
}

static void reread_sees_what_was_not_marked(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(refresh(fixture), STATUS_OK);
  put_health(fixture, WWW, "fra-1", 0, "web", HEALTH_UP, NULL);
  put_health(fixture, API, "m1", 0, "port", HEALTH_UP, NULL);
  assert_int_equal(facts_reread(fixture->facts, WWW, &fixture->err), STATUS_OK);
  assert_int_equal(health_of(fixture, WWW, 0, 0, 1), HEALTH_UP);
  assert_int_equal(health_of(fixture, API, 1, 0, 0), HEALTH_UNKNOWN);
  assert_int_equal(facts_reread(fixture->facts, BARE, &fixture->err), STATUS_OK);
}

static void without_stores_everything_is_unknown(void **state) {
  struct fixture *fixture = *state;
  facts_free(fixture->facts);
  fixture->facts = facts_new(&config, NULL, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  expect_told(fixture, 1, 1, 1);
  assert_int_equal(refresh(fixture), STATUS_OK);
  expect_told(fixture, 0, 0, 0);
  assert_int_equal(facts_reread(fixture->facts, WWW, &fixture->err), STATUS_OK);
  assert_int_equal(health_of(fixture, WWW, 0, 0, 0), HEALTH_UNKNOWN);
}

static void one_store_is_enough_for_its_facts(void **state) {
  struct fixture *fixture = *state;
  put_health(fixture, WWW, "fra-1", 0, "web", HEALTH_UP, NULL);
  put_override(fixture, WWW, "fra-1", OVERRIDE_DOWN, NULL);
  facts_free(fixture->facts);
  fixture->facts = facts_new(&config, NULL, fixture->live);
  assert_int_equal(facts_refresh(fixture->facts, NULL, NULL, &fixture->err), STATUS_OK);
  assert_int_equal(health_of(fixture, WWW, 0, 0, 1), HEALTH_UP);
  assert_null(facts_service(fixture->facts, WWW)->members[0].override);
}

#define FACTS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      FACTS_TEST(first_refresh_tells_every_service_and_knows_nothing),
      FACTS_TEST(every_kind_of_fact_comes_to_its_place),
      FACTS_TEST(rows_of_what_is_not_configured_are_ignored),
      FACTS_TEST(only_a_marked_service_is_read_and_told),
      FACTS_TEST(mark_for_all_reads_everything),
      FACTS_TEST(trimmed_marks_read_everything),
      FACTS_TEST(deleted_row_is_forgotten),
      FACTS_TEST(unknown_version_keeps_what_was_known_until_it_is_gone),
      FACTS_TEST(damaged_row_counts_as_not_stored),
      FACTS_TEST(reread_sees_what_was_not_marked),
      FACTS_TEST(without_stores_everything_is_unknown),
      FACTS_TEST(one_store_is_enough_for_its_facts),
  };
  return cmocka_run_group_tests_name("facts", tests, NULL, NULL);
}
