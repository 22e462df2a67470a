#include "discovery/registry/registry.h"

#include "tests/unit/discovery/registry/registry_fixture.h"

#define APP "app.example.com"
#define RESOURCE(address)                                                                                              \
  "{\"site\":\"fra\",\"addresses\":[\"" address "\"],\"lease_s\":5,\"services\":[{\"name\":\"" APP "\",\"port\":8080}" \
  "]}"

static const char first[] = RESOURCE("127.0.0.77");

static bool lease_is(struct fixture *fixture, const void *argument) {
  struct lease_record lease;
  const struct lease_record *wanted = argument;
  return read_lease(fixture, "app-r1", &lease) && lease.state == wanted->state && lease.self == wanted->self &&
         lease.sequence >= wanted->sequence;
}

static bool is_gone(struct fixture *fixture, const void *argument) {
  struct lease_record lease;
  const char *id = argument;
  return !has_resource(fixture, id) && !read_lease(fixture, id, &lease);
}

static void registration_is_durable_and_live_when_it_is_told(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  unsigned rings = fixture->rings;
  put(fixture, "app-r1", first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  assert_true(waited.outcome.is_created);
  assert_int_equal(waited.outcome.resource.revision, 1);
  assert_true(waited.outcome.resource.epoch > 0 && waited.outcome.resource.epoch < UINT64_C(1) << 53);
  assert_string_equal(waited.outcome.resource.owner, "app");
  assert_int_equal(strlen(waited.outcome.resource.notice_key), 64);
  assert_int_equal(waited.outcome.lease.end_ms - waited.outcome.lease.renewed_ms, 5000);
  assert_true(has_resource(fixture, "app-r1"));
  assert_true(has_member(fixture, APP, "app-r1"));
  struct lease_record lease;
  assert_true(read_lease(fixture, "app-r1", &lease));
  assert_int_equal(lease.state, LEASE_LIVE);
  assert_int_equal(lease.epoch, waited.outcome.resource.epoch);
  assert_true(fixture->rings > rings);
}

static void identical_registration_renews_and_keeps_revision_and_epoch(void **state) {
  struct fixture *fixture = *state;
  struct waited before, after;
  put(fixture, "app-r1", first, &before);
  pass_time(fixture, 3000);
  put(fixture, "APP-R1", first, &after);
  assert_int_equal(after.outcome.status, STATUS_OK);
  assert_false(after.outcome.is_created);
  assert_int_equal(after.outcome.resource.revision, 1);
  assert_int_equal(after.outcome.resource.epoch, before.outcome.resource.epoch);
  assert_string_equal(after.outcome.resource.notice_key, before.outcome.resource.notice_key);
  assert_true(after.outcome.lease.end_ms >= before.outcome.lease.end_ms + 3000);
}

static void changed_registration_has_the_next_revision_and_the_same_epoch(void **state) {
  struct fixture *fixture = *state;
  struct waited before, after;
  put(fixture, "app-r1", first, &before);
  put(fixture, "app-r1", RESOURCE("127.0.0.78"), &after);
  assert_int_equal(after.outcome.status, STATUS_OK);
  assert_int_equal(after.outcome.resource.revision, 2);
  assert_int_equal(after.outcome.resource.epoch, before.outcome.resource.epoch);
}

static void dry_run_checks_and_writes_nothing(void **state) {
  struct fixture *fixture = *state;
  struct principal principal = token_named("app", "app-*");
  struct registry_call call = {.id = "app-r1", .principal = &principal, .is_dry_run = true};
  struct waited waited;
  put_as(fixture, &call, false, first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  assert_true(waited.outcome.is_created);
  assert_false(has_resource(fixture, "app-r1"));
  put_as(fixture, &call, false, RESOURCE("localhost"), &waited);
  assert_int_equal(waited.outcome.status, STATUS_RANGE);
  assert_non_null(strstr(waited.errors, "/addresses/0"));
}

static void preconditions_are_checked_inside_the_transaction(void **state) {
  struct fixture *fixture = *state;
  struct principal principal = token_named("app", "*");
  struct registry_call call = {.id = "app-r1", .principal = &principal, .if_revision = 1};
  struct waited waited;
  put_as(fixture, &call, false, first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_CONFLICT);
  call.if_revision = 0;
  call.if_absent = true;
  put_as(fixture, &call, false, first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  put_as(fixture, &call, false, first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_CONFLICT);
  call.if_absent = false;
  call.if_revision = 1;
  put_as(fixture, &call, false, RESOURCE("127.0.0.79"), &waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
}

static void another_principal_may_not_touch_it_and_an_operator_may(void **state) {
  struct fixture *fixture = *state;
  struct principal other = token_named("other", "*"), operator= {.kind = PRINCIPAL_OPERATOR, .name = "root"};
  struct registry_call call = {.id = "app-r1", .principal = &other};
  struct waited waited;
  put(fixture, "app-r1", first, &waited);
  uint64_t epoch = waited.outcome.resource.epoch;
  put_as(fixture, &call, false, first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_FORBIDDEN);
  struct document_status report = {.epoch = epoch, .sequence = 1};
  struct registry_outcome outcome;
  assert_int_equal(registry_status(fixture->registry, &call, &report, &outcome), STATUS_FORBIDDEN);
  waited = (struct waited){.fixture = fixture};
  registry_deregister(fixture->registry, &call, on_done, &waited);
  await(&waited);
  assert_int_equal(waited.outcome.status, STATUS_FORBIDDEN);
  call.principal = &operator;
  put_as(fixture, &call, false, RESOURCE("127.0.0.80"), &waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  assert_string_equal(waited.outcome.resource.owner, "app");
}

static void patch_merges_and_needs_a_resource(void **state) {
  struct fixture *fixture = *state;
  struct principal principal = token_named("app", "*");
  struct registry_call call = {.id = "app-r1", .principal = &principal};
  struct waited waited;
  put_as(fixture, &call, true, "{\"weight\":7}", &waited);
  assert_int_equal(waited.outcome.status, STATUS_NOTFOUND);
  put(fixture, "app-r1", first, &waited);
  put_as(fixture, &call, true, "{\"site\":null,\"labels\":{\"rack\":\"r7\"}}", &waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  assert_int_equal(waited.outcome.resource.revision, 2);
  struct arena arena = {0};
  struct resource_record resource;
  struct lease_record lease;
  assert_int_equal(registry_get(fixture->registry, "app-r1", &arena, &resource, &lease, NULL, &fixture->err),
                   STATUS_OK);
  assert_non_null(strstr(resource.document, "\"site\":null"));
  assert_non_null(strstr(resource.document, "\"rack\":\"r7\""));
  assert_non_null(strstr(resource.document, "127.0.0.77"));
  arena_release(&arena);
}

static void bounds_of_members_count_exactly(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  const char *ids[] = {"r1", "r2", "r3", "r4", "r5"};
  for (size_t i = 0; i < 4; i++) {
    put(fixture, ids[i], first, &waited);
    assert_int_equal(waited.outcome.status, STATUS_OK);
  }
  put(fixture, ids[4], first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_LIMIT);
  assert_true(waited.outcome.retry_after_s > 0);
  put(fixture, ids[3], RESOURCE("127.0.0.90"), &waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  struct principal principal = token_named("app", "*");
  struct registry_call call = {.id = "r1", .principal = &principal};
  waited = (struct waited){.fixture = fixture};
  registry_deregister(fixture->registry, &call, on_done, &waited);
  await(&waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  put(fixture, ids[4], first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
}

static void report_renews_and_its_self_state_is_live_at_once(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  struct registry_outcome outcome;
  put(fixture, "app-r1", first, &waited);
  struct document_status status = {.epoch = waited.outcome.resource.epoch,
                                   .sequence = 4,
                                   .self = HEALTH_DRAINING,
                                   .utilization = 0.4,
                                   .metrics = {.count = 1, .values = {{"cpu_utilization", 0.4}}}};
  assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_OK);
  assert_int_equal(outcome.lease.sequence, 4);
  struct lease_record wanted = {.state = LEASE_LIVE, .self = HEALTH_DRAINING, .sequence = 4};
  assert_true(wait_for(fixture, lease_is, &wanted));
  assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_CONFLICT);
  assert_true(outcome.is_replay);
  status.sequence = 5;
  status.epoch++;
  assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_NOTFOUND);
  assert_int_equal(report(fixture, "app-r2", &status, &outcome), STATUS_NOTFOUND);
  assert_true(outcome.text[0] != '\0');
}

static bool has_mean(struct fixture *fixture, const void *wanted) {
  struct store_txn *txn;
  struct store_bytes value;
  struct metrics_record record = {0};
  assert_int_equal(store_begin(fixture->live, false, &txn, NULL), STATUS_OK);
  if (store_get(txn, STORE_DB_METRICS_AGENT, (struct store_bytes){"app-r1", 6}, &value) == STATUS_OK)
    assert_int_equal(metrics_decode(value.data, value.size, &record), STATUS_OK);
  store_abort(txn);
  return record.read == *(const uint64_t *)wanted && record.values[0].has_views;
}

static bool has_rung_since(struct fixture *fixture, const void *rings) {
  pthread_mutex_lock(&fixture->lock);
  bool has_rung = fixture->rings != *(const unsigned *)rings;
  pthread_mutex_unlock(&fixture->lock);
  return has_rung;
}

static void reports_have_the_views_of_the_load_section_and_are_marked(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  struct registry_outcome outcome;
  struct config_load_metric metric = {.name = "eps", .source = METRICS_SOURCES, .view = VIEW_MEAN};
  struct config_load load = {.window_ms = 60000, .metrics = &metric, .metric_count = 1};
  struct config config = *fixture->config;
  struct config_service *services = mem_array(config.service_count, sizeof *services);
  memcpy(services, config.services, config.service_count * sizeof *services);
  for (size_t i = 0; i < config.service_count; i++)
    services[i].load = 0;
  config.services = services;
  config.loads = &load;
  config.load_count = 1;
  registry_configure(fixture->registry, &config);
  free(services);
  put(fixture, "app-r1", first, &waited);
  struct document_status status = {.epoch = waited.outcome.resource.epoch,
                                   .metrics = {.count = 1, .values = {{"eps", 4}}},
                                   .utilization = LEASE_NO_UTILIZATION};
  for (uint64_t i = 1; i < 4; i++) {
    pthread_mutex_lock(&fixture->lock);
    unsigned rings = fixture->rings;
    pthread_mutex_unlock(&fixture->lock);
    status.sequence = i;
    assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_OK);
    assert_true(wait_for(fixture, has_mean, &i));
    assert_true(wait_for(fixture, has_rung_since, &rings)); /* a row that is not marked does not ring */
  }
}

static void plain_renewals_reach_the_live_store_by_themselves(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  struct registry_outcome outcome;
  put(fixture, "app-r1", first, &waited);
  struct document_status status = {.epoch = waited.outcome.resource.epoch};
  for (status.sequence = 1; status.sequence < 4; status.sequence++)
    assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_OK);
  struct lease_record wanted = {.state = LEASE_LIVE, .sequence = 3};
  assert_true(wait_for(fixture, lease_is, &wanted));
}

static void lease_that_ends_takes_its_rows_along(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  put(fixture, "app-r1", first, &waited);
  struct record_key key;
  record_key_member(APP, "app-r1", &key);
  struct store_txn *txn;
  assert_int_equal(store_begin(fixture->durable, true, &txn, NULL), STATUS_OK);
  assert_int_equal(store_put(txn, STORE_DB_ADMIN, (struct store_bytes){key.bytes, key.size},
                             (struct store_bytes){"x", 1}, NULL),
                   STATUS_OK);
  assert_int_equal(store_put(txn, STORE_DB_SLOTS, (struct store_bytes){key.bytes, key.size},
                             (struct store_bytes){"x", 1}, NULL),
                   STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
  pass_time(fixture, 5100);
  assert_true(wait_for(fixture, is_gone, "app-r1"));
  assert_false(has_member(fixture, APP, "app-r1"));
  assert_false(get_row(fixture->durable, STORE_DB_SLOTS, key.bytes, key.size, NULL, NULL));
  assert_true(get_row(fixture->durable, STORE_DB_ADMIN, key.bytes, key.size, NULL, NULL));
  struct registry_totals totals;
  registry_totals(fixture->registry, &totals);
  assert_int_equal(totals.expired, 1);
  assert_int_equal(totals.live, 0);
  put(fixture, "app-r1", first, &waited);
  assert_true(waited.outcome.is_created);
}

static void restart_gives_every_lease_one_period_and_remembers_self_and_sequence(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  struct registry_outcome outcome;
  put(fixture, "app-r1", first, &waited);
  struct document_status status = {.epoch = waited.outcome.resource.epoch, .sequence = 9, .self = HEALTH_DOWN};
  assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_OK);
  stop_all(fixture);
  fixture->house.offset_ms += 60000;
  start_all(fixture);
  int64_t now_ms = house_now_ms(&fixture->house);
  struct arena arena = {0};
  struct resource_record resource;
  struct lease_record lease;
  assert_int_equal(registry_get(fixture->registry, "app-r1", &arena, &resource, &lease, NULL, &fixture->err),
                   STATUS_OK);
  arena_release(&arena);
  assert_true(lease.end_ms > now_ms + 3000 && lease.end_ms <= now_ms + 5000);
  assert_int_equal(lease.self, HEALTH_DOWN);
  assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_CONFLICT);
  status.sequence = 10;
  assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_OK);
}

static size_t count_state(struct fixture *fixture, bool is_stale) {
  struct registry_totals totals;
  registry_totals(fixture->registry, &totals);
  return is_stale ? totals.stale : totals.live;
}

static bool are_stale(struct fixture *fixture, const void *argument) {
  return count_state(fixture, true) == *(const size_t *)argument;
}

static void mass_expiry_leaves_stale_leases_that_renewing_brings_back(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  const char *ids[] = {"r1", "r2", "r3"};
  uint64_t epoch = 0;
  for (size_t i = 0; i < 3; i++) {
    put(fixture, ids[i], first, &waited);
    epoch = waited.outcome.resource.epoch;
  }
  pass_time(fixture, 5200);
  size_t three = 3, two = 2, none = 0;
  assert_true(wait_for(fixture, are_stale, &three));
  assert_true(has_member(fixture, APP, "r3"));
  struct document_status status = {.epoch = epoch, .sequence = 1};
  struct registry_outcome outcome;
  assert_int_equal(report(fixture, "r3", &status, &outcome), STATUS_OK);
  assert_int_equal(outcome.lease.state, LEASE_LIVE);
  assert_true(are_stale(fixture, &two));
  pthread_mutex_lock(&fixture->lock);
  fixture->probes_pass = false;
  pthread_mutex_unlock(&fixture->lock);
  pass_time(fixture, 1000);
  assert_true(wait_for(fixture, are_stale, &none));
  assert_true(wait_for(fixture, is_gone, "r1"));
  assert_true(has_member(fixture, APP, "r3"));
}

static void removed_resource_is_refused_until_it_is_allowed(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  struct registry_outcome outcome;
  struct principal operator= {.kind = PRINCIPAL_OPERATOR}, token = token_named("app", "*");
  struct registry_call call = {.id = "app-r1", .principal = &token};
  put(fixture, "app-r1", first, &waited);
  struct document_status status = {.epoch = waited.outcome.resource.epoch, .sequence = 1};
  waited = (struct waited){.fixture = fixture};
  registry_remove(fixture->registry, &call, 0, "x", on_done, &waited);
  await(&waited);
  assert_int_equal(waited.outcome.status, STATUS_FORBIDDEN);
  call.principal = &operator;
  waited = (struct waited){.fixture = fixture};
  registry_remove(fixture->registry, &call, 0, "broken disk", on_done, &waited);
  await(&waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  assert_false(has_member(fixture, APP, "app-r1"));
  put(fixture, "app-r1", first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_NODATA);
  assert_non_null(strstr(waited.text, "broken disk"));
  assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_NODATA);
  struct registry_totals totals;
  registry_totals(fixture->registry, &totals);
  assert_int_equal(totals.removed, 1);
  waited = (struct waited){.fixture = fixture};
  registry_allow(fixture->registry, &call, on_done, &waited);
  await(&waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  put(fixture, "app-r1", first, &waited);
  assert_true(waited.outcome.is_created);
}

static void removal_with_a_time_ends_by_itself(void **state) {
  struct fixture *fixture = *state;
  struct waited waited = {.fixture = fixture};
  struct principal operator= {.kind = PRINCIPAL_OPERATOR};
  struct registry_call call = {.id = "app-r1", .principal = &operator};
  registry_remove(fixture->registry, &call, house_now_ms(&fixture->house) + 60000, "", on_done, &waited);
  await(&waited);
  put(fixture, "app-r1", first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_NODATA);
  pass_time(fixture, 60001);
  put(fixture, "app-r1", first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  assert_int_equal(waited.outcome.resource.revision, 2);
}

static void deregistering_says_until_when_clients_may_come_and_then_nodata(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  struct principal principal = token_named("app", "*");
  struct registry_call call = {.id = "app-r1", .principal = &principal};
  put(fixture, "app-r1", first, &waited);
  waited = (struct waited){.fixture = fixture};
  int64_t before_ms = house_now_ms(&fixture->house);
  registry_deregister(fixture->registry, &call, on_done, &waited);
  await(&waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  assert_true(waited.outcome.until_ms >= before_ms + 20000);
  assert_true(is_gone(fixture, "app-r1"));
  waited = (struct waited){.fixture = fixture};
  registry_deregister(fixture->registry, &call, on_done, &waited);
  await(&waited);
  assert_int_equal(waited.outcome.status, STATUS_NODATA);
}

static void balancer_that_has_this_one_below_it_is_a_loop(void **state) {
  struct waited waited;
  put(*state, "lb7",
      "{\"kind\":\"balancer\",\"addresses\":[\"127.0.0.7\"],\"path\":[\"LB1.example.net\"],"
      "\"services\":[{\"name\":\"" APP "\"}]}",
      &waited);
  assert_int_equal(waited.outcome.status, STATUS_CONFLICT);
  assert_true(waited.outcome.is_loop);
}

static void registration_that_no_longer_fits_stays_but_is_not_renewed(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  struct registry_outcome outcome;
  put(fixture, "app-r1", first, &waited);
  struct document_status status = {.epoch = waited.outcome.resource.epoch, .sequence = 1};
  fixture->config->services[0].accept.weight_least = 5;
  registry_configure(fixture->registry, fixture->config);
  assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_FORBIDDEN);
  assert_true(has_member(fixture, APP, "app-r1"));
  fixture->config->services[0].accept.weight_least = 0;
  registry_configure(fixture->registry, fixture->config);
  assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_OK);
}

struct seen {
  char ids[256];
};

static bool note_id(void *context, const char *id, const struct resource_record *resource,
                    const struct lease_record *lease) {
  struct seen *seen = context;
  (void)lease;
  assert_true(resource->document_size == strlen(resource->document));
  strcat(strcat(seen->ids, id), " ");
  return true;
}

static void lists_come_in_order_with_filters_and_pages(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  put(fixture, "c", first, &waited);
  put(fixture, "a", first, &waited);
  put(fixture, "b", "{\"kind\":\"cloud\",\"addresses\":[\"127.0.0.3\"],\"services\":[{\"name\":\"" APP "\"}]}",
      &waited);
  assert_int_equal(waited.outcome.status, STATUS_OK);
  struct seen seen = {""};
  assert_int_equal(registry_each(fixture->registry, NULL, note_id, &seen, &fixture->err), STATUS_OK);
  assert_string_equal(seen.ids, "a b c ");
  struct registry_filter page = {.after = "a", .limit = 1}, site = {.site = "fra"}, kind = {.kind = "cloud"},
                         none = {.state = "stale"}, service = {.service = APP, .owner = "app", .state = "live"};
  struct registry_filter *filters[] = {&page, &site, &kind, &none, &service};
  const char *wanted[] = {"b ", "a c ", "b ", "", "a b c "};
  for (size_t i = 0; i < 5; i++) {
    seen.ids[0] = '\0';
    assert_int_equal(registry_each(fixture->registry, filters[i], note_id, &seen, &fixture->err), STATUS_OK);
    assert_string_equal(seen.ids, wanted[i]);
  }
}

static void changes_of_resources_are_published(void **state) {
  struct fixture *fixture = *state;
  struct feed_position since = feed_now(fixture->feed);
  struct waited waited;
  put(fixture, "app-r1", first, &waited);
  struct feed_filter filter = {.resource = "app-r1", .service = APP};
  bool is_lost;
  json_t *changes = feed_read(fixture->feed, &since, &filter, &is_lost);
  assert_int_equal(json_array_size(changes), 1);
  assert_string_equal(json_string_value(json_object_get(json_array_get(changes, 0), "change")), "registered");
  json_decref(changes);
}

static void calls_after_the_stop_are_refused(void **state) {
  struct fixture *fixture = *state;
  struct waited waited;
  struct registry_outcome outcome;
  struct document_status status = {.epoch = 1, .sequence = 1};
  registry_stop(fixture->registry);
  put(fixture, "app-r1", first, &waited);
  assert_int_equal(waited.outcome.status, STATUS_IO);
  assert_int_equal(report(fixture, "app-r1", &status, &outcome), STATUS_IO);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(registration_is_durable_and_live_when_it_is_told),
      T(identical_registration_renews_and_keeps_revision_and_epoch),
      T(changed_registration_has_the_next_revision_and_the_same_epoch),
      T(dry_run_checks_and_writes_nothing),
      T(preconditions_are_checked_inside_the_transaction),
      T(another_principal_may_not_touch_it_and_an_operator_may),
      T(patch_merges_and_needs_a_resource),
      T(bounds_of_members_count_exactly),
      T(report_renews_and_its_self_state_is_live_at_once),
      T(reports_have_the_views_of_the_load_section_and_are_marked),
      T(plain_renewals_reach_the_live_store_by_themselves),
      T(lease_that_ends_takes_its_rows_along),
      T(restart_gives_every_lease_one_period_and_remembers_self_and_sequence),
      T(mass_expiry_leaves_stale_leases_that_renewing_brings_back),
      T(removed_resource_is_refused_until_it_is_allowed),
      T(removal_with_a_time_ends_by_itself),
      T(deregistering_says_until_when_clients_may_come_and_then_nodata),
      T(balancer_that_has_this_one_below_it_is_a_loop),
      T(registration_that_no_longer_fits_stays_but_is_not_renewed),
      T(lists_come_in_order_with_filters_and_pages),
      T(changes_of_resources_are_published),
      T(calls_after_the_stop_are_refused),
  };
#undef T
  return cmocka_run_group_tests(tests, NULL, NULL);
}
