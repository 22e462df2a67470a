#include "gslb/model/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/model/roster_config.h"
#include "tests/unit/base/directory.h"

struct fixture {
  char directory[64];
  struct errbuf err;
  struct store *durable;
  struct store *live;
  struct facts *facts;
  unsigned told[ROSTER_SERVICES];
  unsigned told_balancers;
};

static int setup(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  strcpy(fixture->directory, "/tmp/gslb-facts-test-XXXXXX");
  *state = fixture;
  if (!mkdtemp(fixture->directory) ||
      store_open(fixture->directory, STORE_DURABLE, STORE_CREATE, &fixture->durable, &fixture->err) != STATUS_OK ||
      store_open(fixture->directory, STORE_LIVE, STORE_CREATE, &fixture->live, &fixture->err) != STATUS_OK)
    return -1;
  fixture->facts = facts_new(&roster_config, fixture->durable, fixture->live);
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
  if (service == FACTS_BALANCERS)
    fixture->told_balancers++;
  else
    fixture->told[service]++;
}

static enum status refresh(struct fixture *fixture) {
  memset(fixture->told, 0, sizeof fixture->told);
  fixture->told_balancers = 0;
  return facts_refresh(fixture->facts, count, fixture, &fixture->err);
}

/* value NULL: deletes the row. mark NULL: none. */
static void store_row(struct store *store, enum store_db db, struct store_bytes key, const uint8_t *value, size_t size,
                      const char *mark) {
  struct store_txn *txn;
  assert_int_equal(store_begin(store, true, &txn, NULL), STATUS_OK);
  if (value)
    assert_int_equal(store_put(txn, db, key, (struct store_bytes){value, size}, NULL), STATUS_OK);
  else
    assert_int_equal(store_delete(txn, db, key, NULL), STATUS_OK);
  if (mark)
    assert_int_equal(store_mark_changed(txn, mark, NULL), STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
}

static struct store_bytes bytes_of(const struct record_key *key) {
  return (struct store_bytes){key->bytes, key->size};
}

static struct store_bytes text_of(const char *text) {
  return (struct store_bytes){text, strlen(text)};
}

static void put_member(struct fixture *fixture, const char *service, const char *id, uint32_t weight) {
  struct member_record record = roster_record("fra", weight);
  record.kind = RESOURCE_CLOUD;
  struct record_key key;
  size_t size;
  uint8_t *value = member_encode(&record, &size);
  record_key_member(service, id, &key);
  store_row(fixture->durable, STORE_DB_MEMBERS, bytes_of(&key), value, size, service);
  free(value);
}

static void delete_member(struct fixture *fixture, const char *service, const char *id) {
  struct record_key key;
  record_key_member(service, id, &key);
  store_row(fixture->durable, STORE_DB_MEMBERS, bytes_of(&key), NULL, 0, service);
}

static void put_lease(struct fixture *fixture, const char *id, enum lease_state lease, const char *mark) {
  struct lease_record record = {.state = lease, .sequence = 5, .utilization = 0.5};
  uint8_t value[RECORD_SIZE_MOST];
  size_t size = lease_encode(&record, value);
  store_row(fixture->live, STORE_DB_LEASES, text_of(id), value, size, mark);
}

static void put_health(struct fixture *fixture, const char *service, const char *id, enum health health,
                       const char *mark) {
  const struct addr address = roster_record("", 1).addresses[0];
  struct health_record record = {.state = health};
  uint8_t value[RECORD_SIZE_MOST];
  struct record_key key;
  record_key_probe(service, id, &address, "port", &key);
  size_t size = health_encode(&record, value);
  store_row(fixture->live, STORE_DB_HEALTH, bytes_of(&key), value, size, mark);
}

static void put_slot(struct fixture *fixture, const char *service, const char *id, uint32_t slot) {
  uint8_t value[RECORD_SIZE_MOST];
  struct record_key key;
  record_key_member(service, id, &key);
  size_t size = slot_encode(&(struct slot_record){slot}, value);
  store_row(fixture->durable, STORE_DB_SLOTS, bytes_of(&key), value, size, service);
}

static const struct service_facts *app(const struct fixture *fixture) {
  return facts_service(fixture->facts, ROSTER_APP);
}

static void registered_member_appears_with_all_that_is_known_of_it(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(app(fixture)->revision, 0);
  put_health(fixture, "app.example.com", "r1", HEALTH_UP, NULL); /* was there before, and marks nothing */
  put_lease(fixture, "r1", LEASE_LIVE, NULL);
  put_slot(fixture, "app.example.com", "r1", 12);
  put_member(fixture, "app.example.com", "r1", 3);
  assert_int_equal(refresh(fixture), STATUS_OK);
  for (int i = 0; i < ROSTER_SERVICES; i++)
    assert_int_equal(fixture->told[i], i == ROSTER_APP);
  const struct service_facts *known = app(fixture);
  assert_int_equal(known->revision, 1);
  assert_int_equal(known->service->member_count, 3);
  size_t at = facts_find_member(fixture->facts, ROSTER_APP, "R1");
  assert_int_equal(at, 2);
  const struct member_facts *member = &known->members[at];
  assert_non_null(member->lease);
  assert_int_equal(member->lease->sequence, 5);
  assert_int_equal(member->kind, RESOURCE_CLOUD);
  assert_int_equal(member->slot, 12);
  assert_int_equal(member->addresses[0].probes[1].state, HEALTH_UP);
  assert_null(known->members[0].lease);
}

static void first_refresh_reads_registrations_of_all_services(void **state) {
  struct fixture *fixture = *state;
  put_member(fixture, "app.example.com", "r1", 3);
  put_member(fixture, "blue.on.example.com", "r1", 3);
  put_member(fixture, "closed.example.com", "r1", 3);
  put_member(fixture, "foreign.example.org", "r1", 3);
  put_lease(fixture, "r1", LEASE_LIVE, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(app(fixture)->service->member_count, 3);
  size_t blue = facts_find_service(fixture->facts, "blue.on.example.com");
  assert_int_equal(blue, ROSTER_VACANCY_1);
  assert_non_null(facts_service(fixture->facts, blue)->members[0].lease);
  assert_int_equal(facts_service(fixture->facts, ROSTER_CLOSED)->service->member_count, 1);
  assert_string_equal(facts_service(fixture->facts, ROSTER_VACANCY_2)->service->name, "");
  assert_int_equal(refresh(fixture), STATUS_OK);
  for (int i = 0; i < ROSTER_SERVICES; i++)
    assert_int_equal(fixture->told[i], 0);
}

static void lease_is_followed_by_the_mark_of_its_service(void **state) {
  struct fixture *fixture = *state;
  put_member(fixture, "app.example.com", "r1", 3);
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_null(app(fixture)->members[2].lease);
  put_lease(fixture, "r1", LEASE_STALE, "app.example.com");
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(app(fixture)->members[2].lease->state, LEASE_STALE);
  assert_int_equal(app(fixture)->revision, 1);
  store_row(fixture->live, STORE_DB_LEASES, text_of("r1"), NULL, 0, "app.example.com");
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_null(app(fixture)->members[2].lease);
}

static void members_that_stay_keep_what_is_known_when_indices_move(void **state) {
  struct fixture *fixture = *state;
  put_member(fixture, "app.example.com", "b", 3);
  put_lease(fixture, "b", LEASE_LIVE, NULL);
  put_health(fixture, "app.example.com", "b", HEALTH_DOWN, NULL);
  put_slot(fixture, "app.example.com", "b", 9);
  put_slot(fixture, "app.example.com", "fixed-1", 7);
  assert_int_equal(refresh(fixture), STATUS_OK);
  put_member(fixture, "app.example.com", "a", 3);
  put_member(fixture, "app.example.com", "c", 3);
  assert_int_equal(refresh(fixture), STATUS_OK);
  const struct service_facts *known = app(fixture);
  assert_int_equal(known->revision, 2);
  assert_int_equal(facts_find_member(fixture->facts, ROSTER_APP, "b"), 3);
  assert_int_equal(known->members[3].slot, 9);
  assert_int_equal(known->members[1].slot, 7);
  assert_int_equal(known->members[3].addresses[0].probes[1].state, HEALTH_DOWN);
  assert_true(known->members[3].lease && !known->members[2].lease);
  delete_member(fixture, "app.example.com", "a");
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(app(fixture)->members[2].slot, 9);
}

static void live_facts_outlive_a_live_store_that_cannot_be_read(void **state) {
  struct fixture *fixture = *state;
  put_member(fixture, "app.example.com", "b", 3);
  put_lease(fixture, "b", LEASE_LIVE, NULL);
  put_health(fixture, "app.example.com", "b", HEALTH_UP, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  put_member(fixture, "app.example.com", "a", 3);
  store_row(fixture->live, STORE_DB_LEASES, text_of("a"), (const uint8_t *)"\x63", 1, NULL);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(refresh(fixture), STATUS_VERSION);
    assert_int_equal(app(fixture)->service->member_count, 4);
    assert_null(app(fixture)->members[2].lease);
    assert_non_null(app(fixture)->members[3].lease);
    assert_int_equal(app(fixture)->members[3].addresses[0].probes[1].state, HEALTH_UP);
  }
  put_lease(fixture, "a", LEASE_LIVE, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_non_null(app(fixture)->members[2].lease);
}

static void service_comes_and_goes_with_its_registrations(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(refresh(fixture), STATUS_OK);
  put_member(fixture, "blue.on.example.com", "a", 3);
  put_lease(fixture, "a", LEASE_LIVE, "blue.on.example.com"); /* read in the same round */
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(fixture->told[ROSTER_VACANCY_1], 1);
  const struct service_facts *blue = facts_service(fixture->facts, ROSTER_VACANCY_1);
  assert_string_equal(blue->service->name, "blue.on.example.com");
  assert_non_null(blue->members[0].lease);
  assert_int_equal(facts_reread(fixture->facts, ROSTER_VACANCY_1, &fixture->err), STATUS_OK);
  assert_non_null(facts_service(fixture->facts, ROSTER_VACANCY_1)->members[0].lease);
  delete_member(fixture, "blue.on.example.com", "a");
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(fixture->told[ROSTER_VACANCY_1], 1);
  blue = facts_service(fixture->facts, ROSTER_VACANCY_1);
  assert_string_equal(blue->service->name, "");
  assert_int_equal(blue->revision, 2);
  assert_true(facts_find_service(fixture->facts, "blue.on.example.com") == SIZE_MAX);
  assert_int_equal(facts_reread(fixture->facts, ROSTER_VACANCY_1, &fixture->err), STATUS_OK);
}

static void vacancy_left_in_a_round_is_taken_in_the_same(void **state) {
  struct fixture *fixture = *state;
  put_member(fixture, "blue.on.example.com", "a", 3);
  put_member(fixture, "green.on.example.com", "a", 3);
  put_member(fixture, "white.on.example.com", "a", 3);
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_true(facts_find_service(fixture->facts, "white.on.example.com") == SIZE_MAX);
  put_member(fixture, "red.on.example.com", "a", 3);
  delete_member(fixture, "green.on.example.com", "a");
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(facts_find_service(fixture->facts, "red.on.example.com"), ROSTER_VACANCY_2);
  assert_true(facts_find_service(fixture->facts, "green.on.example.com") == SIZE_MAX);
}

static void reread_sees_members_that_were_not_marked(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(refresh(fixture), STATUS_OK);
  put_member(fixture, "app.example.com", "a", 3);
  put_lease(fixture, "a", LEASE_LIVE, NULL);
  assert_int_equal(facts_reread(fixture->facts, ROSTER_APP, &fixture->err), STATUS_OK);
  assert_non_null(app(fixture)->members[2].lease);
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(fixture->told[ROSTER_APP], 1);
  assert_int_equal(app(fixture)->revision, 1);
}

static void damaged_member_counts_as_not_stored_and_a_newer_one_keeps_the_old(void **state) {
  struct fixture *fixture = *state;
  struct record_key key;
  put_member(fixture, "app.example.com", "a", 3);
  record_key_member("app.example.com", "b", &key);
  store_row(fixture->durable, STORE_DB_MEMBERS, bytes_of(&key), (const uint8_t *)"\1x", 2, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(app(fixture)->service->member_count, 3);
  store_row(fixture->durable, STORE_DB_MEMBERS, bytes_of(&key), (const uint8_t *)"\3x", 2, "app.example.com");
  delete_member(fixture, "app.example.com", "a");
  assert_int_equal(refresh(fixture), STATUS_VERSION);
  assert_int_equal(app(fixture)->service->member_count, 3);
  delete_member(fixture, "app.example.com", "b");
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_ptr_equal(app(fixture)->service, &roster_services[ROSTER_APP]);
}

static void balancers_are_told_by_their_mark(void **state) {
  struct fixture *fixture = *state;
  struct balancer_record record = {.is_alive = true, .name = "gslb-lb1", .priority = 1};
  uint8_t value[RECORD_SIZE_MOST];
  size_t size = balancer_encode(&record, value), known;
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(fixture->told_balancers, 0);
  assert_null(facts_balancers(fixture->facts, &known));
  assert_int_equal(known, 0);
  store_row(fixture->live, STORE_DB_BALANCERS, text_of("lb2.example.net"), value, size, NULL);
  store_row(fixture->live, STORE_DB_BALANCERS, text_of("lb1.example.net"), value, size, STORE_BALANCERS);
  store_row(fixture->live, STORE_DB_BALANCERS, text_of("lb3.example.net"), (const uint8_t *)"\1", 1, NULL);
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(fixture->told_balancers, 1);
  assert_int_equal(fixture->told[ROSTER_APP], 0);
  const struct balancer_facts *balancers = facts_balancers(fixture->facts, &known);
  assert_int_equal(known, 2);
  assert_string_equal(balancers[0].identity, "lb1.example.net");
  assert_string_equal(balancers[1].identity, "lb2.example.net");
  assert_string_equal(balancers[1].record.name, "gslb-lb1");
  put_lease(fixture, "r1", LEASE_LIVE, "app.example.com");
  assert_int_equal(refresh(fixture), STATUS_OK);
  assert_int_equal(fixture->told_balancers, 0);
  facts_balancers(fixture->facts, &known);
  assert_int_equal(known, 2);
  store_row(fixture->live, STORE_DB_BALANCERS, text_of("lb1.example.net"), (const uint8_t *)"\2", 1, STORE_BALANCERS);
  assert_int_equal(refresh(fixture), STATUS_VERSION);
  facts_balancers(fixture->facts, &known);
  assert_int_equal(known, 2);
}

#define FACTS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      FACTS_TEST(registered_member_appears_with_all_that_is_known_of_it),
      FACTS_TEST(first_refresh_reads_registrations_of_all_services),
      FACTS_TEST(lease_is_followed_by_the_mark_of_its_service),
      FACTS_TEST(members_that_stay_keep_what_is_known_when_indices_move),
      FACTS_TEST(live_facts_outlive_a_live_store_that_cannot_be_read),
      FACTS_TEST(service_comes_and_goes_with_its_registrations),
      FACTS_TEST(vacancy_left_in_a_round_is_taken_in_the_same),
      FACTS_TEST(reread_sees_members_that_were_not_marked),
      FACTS_TEST(damaged_member_counts_as_not_stored_and_a_newer_one_keeps_the_old),
      FACTS_TEST(balancers_are_told_by_their_mark),
  };
  return cmocka_run_group_tests_name("facts of registered members", tests, NULL, NULL);
}
