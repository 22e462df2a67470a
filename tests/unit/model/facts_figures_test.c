#include "gslb/model/facts_figures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/model/facts.h"
#include "gslb/model/load_latch.h"
#include "tests/unit/base/directory.h"

enum { WWW, API, TOP, PATTERN };

static const char text[] = "server: {identity: t, state: /nonexistent, listen: [\"127.0.0.1@53\"]}\n"
                           "zones: [{name: example.com, file: example.com.zone}]\n"
                           "sources: [{name: check, type: agent_check, port: 9}]\n"
                           "monitors:\n"
                           "  - {name: www-up, type: service, service: www.example.com, least: 1}\n"
                           "  - {name: new-up, type: service, service: new.on.example.com, least: 1}\n"
                           "services:\n"
                           "  - name: www.example.com\n"
                           "    load: {metrics: [{name: cpu, threshold: 1}, {name: io, source: snmp}]}\n"
                           "    accept: {tokens: [app]}\n"
                           "    members: [{name: one, addresses: [127.0.0.1]}]\n"
                           "  - name: api.example.com\n"
                           "    members: [{name: one, addresses: [127.0.0.1]}]\n"
                           "  - name: top.example.com\n"
                           "    monitors: [www-up, new-up]\n"
                           "    sources: [check]\n"
                           "    members: [{name: one, addresses: [127.0.0.1]}]\n"
                           "  - name: \"*.on.example.com\"\n"
                           "    accept: {tokens: [app], services: 2}\n";

struct fixture {
  char directory[64];
  struct store *durable, *live;
  struct config *config;
  struct facts *facts;
  unsigned told[8];
};

static int setup(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  struct problems problems = {0};
  struct errbuf err;
  strcpy(fixture->directory, "/tmp/gslb-figures-test-XXXXXX");
  *state = fixture;
  fixture->config = config_parse("/tmp/gslb.yaml", text, strlen(text), &problems);
  if (!fixture->config)
    fail_msg("%s", problems_format(&problems));
  problems_release(&problems);
  if (!mkdtemp(fixture->directory) ||
      store_open(fixture->directory, STORE_DURABLE, STORE_CREATE, &fixture->durable, &err) != STATUS_OK ||
      store_open(fixture->directory, STORE_LIVE, STORE_CREATE, &fixture->live, &err) != STATUS_OK)
    return -1;
  fixture->facts = facts_new(fixture->config, fixture->durable, fixture->live);
  return 0;
}

static int teardown(void **state) {
  struct fixture *fixture = *state;
  facts_free(fixture->facts);
  config_free(fixture->config);
  store_close(fixture->durable);
  store_close(fixture->live);
  directory_remove(fixture->directory);
  free(fixture);
  return 0;
}

static void put(struct store *store, enum store_db db, const char *service, const char *member, const void *value,
                size_t size) {
  struct store_txn *txn;
  struct record_key key = {.size = strlen(member)};
  memcpy(key.bytes, member, key.size);
  if (db != STORE_DB_METRICS_AGENT && db != STORE_DB_LEASES)
    record_key_member(service, member, &key);
  assert_int_equal(store_begin(store, true, &txn, NULL), STATUS_OK);
  struct store_bytes at = {key.bytes, key.size};
  if (size > 0)
    assert_int_equal(store_put(txn, db, at, (struct store_bytes){value, size}, NULL), STATUS_OK);
  else
    assert_int_equal(store_delete(txn, db, at, NULL), STATUS_OK);
  assert_int_equal(store_mark_changed(txn, service, NULL), STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
}

static void tell(struct fixture *fixture, enum store_db db, const char *service, const char *member,
                 const char *const *names) {
  struct metrics_record record = {.at_ms = 5};
  size_t size;
  for (; *names; names++) {
    snprintf(record.values[record.count].name, METRICS_NAME_SIZE, "%s", *names);
    record.values[record.count].value = record.count + 1.0;
    record.count++;
  }
  uint8_t *value = metrics_encode(&record, &size);
  put(fixture->live, db, service, member, value, size);
  free(value);
}

static void join(struct fixture *fixture, const char *service, const char *id) {
  struct member_record record = {.addresses = {{.family = 4, .bytes = {127, 0, 0, 77}}}, .address_count = 1};
  size_t size;
  uint8_t *value = member_encode(&record, &size);
  put(fixture->durable, STORE_DB_MEMBERS, service, id, value, size);
  free(value);
}

static void count(void *context, size_t service) {
  struct fixture *fixture = context;
  if (service < 8)
    fixture->told[service]++;
}

static void refresh(struct fixture *fixture) {
  struct errbuf err;
  memset(fixture->told, 0, sizeof fixture->told);
  assert_int_equal(facts_refresh(fixture->facts, count, fixture, &err), STATUS_OK);
}

static const struct member_facts *member_of(struct fixture *fixture, size_t service, size_t member) {
  return &facts_service(fixture->facts, service)->members[member];
}

static void only_what_the_decision_looks_at_is_kept(void **state) {
  struct fixture *fixture = *state;
  tell(fixture, STORE_DB_METRICS_SCRAPE, "www.example.com", "one",
       (const char *const[]){"other", "cpu", "cpu_ceiling", "cpus", "io", NULL});
  tell(fixture, STORE_DB_METRICS_SNMP, "www.example.com", "one", (const char *const[]){"io", "weight_percent", NULL});
  tell(fixture, STORE_DB_METRICS_SCRAPE, "api.example.com", "one", (const char *const[]){"cpu", NULL});
  tell(fixture, STORE_DB_METRICS_CHECK, "top.example.com", "one", (const char *const[]){"x", "weight_percent", NULL});
  tell(fixture, STORE_DB_METRICS_SCRAPE, "top.example.com", "one", (const char *const[]){"cpu", NULL});
  refresh(fixture);
  const struct metrics_record *scraped = member_of(fixture, WWW, 0)->metrics[METRICS_SCRAPE];
  assert_non_null(scraped);
  assert_int_equal(scraped->count, 2);
  assert_string_equal(scraped->values[0].name, "cpu");
  assert_true(scraped->values[0].value == 2);
  assert_string_equal(scraped->values[1].name, "cpu_ceiling");
  assert_int_equal(member_of(fixture, WWW, 0)->metrics[METRICS_SNMP]->count, 1);
  assert_null(member_of(fixture, WWW, 0)->metrics[METRICS_CHECK]);
  assert_null(member_of(fixture, API, 0)->metrics[METRICS_SCRAPE]);
  assert_int_equal(member_of(fixture, TOP, 0)->metrics[METRICS_CHECK]->count, 1);
  assert_null(member_of(fixture, TOP, 0)->metrics[METRICS_SCRAPE]);
}

static void figures_follow_their_marks_and_go(void **state) {
  struct fixture *fixture = *state;
  refresh(fixture);
  tell(fixture, STORE_DB_METRICS_PROBE, "www.example.com", "one", (const char *const[]){"cpu", NULL});
  refresh(fixture);
  assert_non_null(member_of(fixture, WWW, 0)->metrics[METRICS_PROBE]);
  assert_int_equal(fixture->told[API], 0);
  put(fixture->live, STORE_DB_METRICS_PROBE, "www.example.com", "one", NULL, 0);
  refresh(fixture);
  assert_null(member_of(fixture, WWW, 0)->metrics[METRICS_PROBE]);
}

static void agents_figures_stand_under_the_resource(void **state) {
  struct fixture *fixture = *state;
  refresh(fixture);
  join(fixture, "www.example.com", "app");
  tell(fixture, STORE_DB_METRICS_AGENT, "www.example.com", "app", (const char *const[]){"cpu", NULL});
  refresh(fixture);
  assert_int_equal(facts_service(fixture->facts, WWW)->service->member_count, 2);
  assert_int_equal(member_of(fixture, WWW, 1)->metrics[METRICS_AGENT]->count, 1);
  join(fixture, "www.example.com", "aaa"); /* which moves the other by one */
  refresh(fixture);
  assert_null(member_of(fixture, WWW, 1)->metrics[METRICS_AGENT]);
  assert_int_equal(member_of(fixture, WWW, 2)->metrics[METRICS_AGENT]->count, 1);
}

static void thresholds_that_were_passed_are_read(void **state) {
  struct fixture *fixture = *state;
  uint8_t value[RECORD_SIZE_MOST];
  struct load_latch_record latch = {.since_ms = 5};
  load_latch_pack(&fixture->config->loads[fixture->config->services[WWW].load], 1, &latch);
  size_t size = load_latch_encode(&latch, value);
  put(fixture->durable, STORE_DB_LOAD_LATCHES, "www.example.com", "one", value, size);
  refresh(fixture);
  assert_true(member_of(fixture, WWW, 0)->load_over == 1);
  put(fixture->durable, STORE_DB_LOAD_LATCHES, "www.example.com", "one", NULL, 0);
  refresh(fixture);
  assert_true(member_of(fixture, WWW, 0)->load_over == 0);
}

static void passed_thresholds_stay_with_metrics_that_are_listed_otherwise(void **state) {
  struct fixture *fixture = *state;
  struct config_load *load = &fixture->config->loads[fixture->config->services[WWW].load];
  struct load_latch_record latch = {.since_ms = 5};
  uint8_t value[RECORD_SIZE_MOST];
  assert_int_equal(load->metric_count, 2);
  load_latch_pack(load, 1, &latch);
  put(fixture->durable, STORE_DB_LOAD_LATCHES, "www.example.com", "one", value, load_latch_encode(&latch, value));
  struct config_load_metric first = load->metrics[0];
  load->metrics[0] = load->metrics[1];
  load->metrics[1] = first;
  refresh(fixture);
  assert_true(member_of(fixture, WWW, 0)->load_over == 2);
  load->metrics[1].view = VIEW_PEAK; /* another figure is another metric */
  assert_true(load_latch_unpack(load, &latch) == 0);
}

static void damaged_figures_count_as_not_stored(void **state) {
  struct fixture *fixture = *state;
  put(fixture->live, STORE_DB_METRICS_SCRAPE, "www.example.com", "one", "\2x", 2);
  refresh(fixture);
  assert_null(member_of(fixture, WWW, 0)->metrics[METRICS_SCRAPE]);
}

static void who_looks_at_a_service_is_touched_with_it(void **state) {
  struct fixture *fixture = *state;
  refresh(fixture);
  const struct service_facts *top = facts_service(fixture->facts, TOP);
  assert_ptr_equal(top->watched[0], facts_service(fixture->facts, WWW));
  assert_null(top->watched[1]);
  assert_null(facts_service(fixture->facts, WWW)->watched);
  tell(fixture, STORE_DB_METRICS_PROBE, "www.example.com", "one", (const char *const[]){"cpu", NULL});
  refresh(fixture);
  assert_int_equal(fixture->told[WWW], 1);
  assert_int_equal(fixture->told[TOP], 1);
  assert_int_equal(fixture->told[API], 0);
}

static void created_services_are_seen_while_they_are_there(void **state) {
  struct fixture *fixture = *state;
  refresh(fixture);
  join(fixture, "new.on.example.com", "app");
  refresh(fixture);
  assert_int_equal(fixture->told[TOP], 1);
  const struct service_facts *seen = facts_service(fixture->facts, TOP)->watched[1];
  assert_non_null(seen);
  assert_string_equal(seen->service->name, "new.on.example.com");
  put(fixture->durable, STORE_DB_MEMBERS, "new.on.example.com", "app", NULL, 0);
  refresh(fixture);
  assert_int_equal(fixture->told[TOP], 1);
  assert_null(facts_service(fixture->facts, TOP)->watched[1]);
}

#define FIGURES_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      FIGURES_TEST(only_what_the_decision_looks_at_is_kept),
      FIGURES_TEST(figures_follow_their_marks_and_go),
      FIGURES_TEST(agents_figures_stand_under_the_resource),
      FIGURES_TEST(thresholds_that_were_passed_are_read),
      FIGURES_TEST(passed_thresholds_stay_with_metrics_that_are_listed_otherwise),
      FIGURES_TEST(damaged_figures_count_as_not_stored),
      FIGURES_TEST(who_looks_at_a_service_is_touched_with_it),
      FIGURES_TEST(created_services_are_seen_while_they_are_there),
  };
  return cmocka_run_group_tests_name("figures of members", tests, NULL, NULL);
}
