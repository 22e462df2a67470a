#include "tests/unit/probes/sources_scene.h"

static void an_interval_brings_readings_by_itself(void **state) {
  struct scene *scene = *state;
  scene->source[0].interval_ms = 50;
  scene->source[0].timeout_ms = 40;
  listen_with(scene, HTTP("{\"eps\":1}"));
  take_config(scene);
  for (int i = 0; i < 3; i++) {
    run_until(scene, is_asked);
    scene->peer.request_size = 0;
  }
}

static void a_schedule_brings_readings(void **state) {
  struct scene *scene = *state;
  scene->source[0].schedule = "*/10 * * * *";
  listen_with(scene, HTTP("{\"eps\":1}"));
  take_config(scene);
  sources_second(scene->sources, NULL, 1000 * 600 + 1);
  assert_int_equal(sources_running(scene->sources), 0);
  sources_second(scene->sources, NULL, 1001 * 600 - 1);
  assert_int_equal(sources_running(scene->sources), 0);
  sources_second(scene->sources, NULL, 1001 * 600);
  assert_int_equal(sources_running(scene->sources), 1);
  run_until(scene, nothing_runs);
  sources_second(scene->sources, NULL, 1001 * 600 + 1);
  assert_int_equal(sources_running(scene->sources), 0);
  /* set back */
  sources_second(scene->sources, NULL, 1000 * 600 + 1);
  sources_second(scene->sources, NULL, 1001 * 600 + 3);
  assert_int_equal(sources_running(scene->sources), 1);
  run_until(scene, nothing_runs);
  figures_flush(scene->figures);
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  assert_int_equal(record.interval_ms, 600000);
}

static void put_slot(struct scene *scene, const char *service, const char *member, uint32_t slot) {
  struct record_key key;
  struct store_txn *txn;
  uint8_t bytes[RECORD_SIZE_MOST];
  record_key_member(service, member, &key);
  assert_int_equal(store_begin(scene->durable, true, &txn, NULL), STATUS_OK);
  size_t size = slot_encode(&(struct slot_record){slot}, bytes);
  assert_int_equal(store_put(txn, STORE_DB_SLOTS, (struct store_bytes){key.bytes, key.size},
                             (struct store_bytes){bytes, size}, NULL),
                   STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
}

static void so_many_answers_bring_a_reading(void **state) {
  struct scene *scene = *state;
  scene->source[0].every_answers = 100;
  listen_with(scene, HTTP("{\"eps\":1}"));
  take_config(scene);
  atomic_store(&board->answers[1][7], 1000);
  sources_second(scene->sources, scene->durable, 1);
  put_slot(scene, "www.example.com", "muc-1", 7);
  sources_second(scene->sources, scene->durable, 2);
  atomic_store(&board->answers[0][7], 50);
  sources_second(scene->sources, scene->durable, 3);
  atomic_store(&board->answers[1][7], 1049);
  sources_second(scene->sources, scene->durable, 4);
  assert_int_equal(sources_running(scene->sources), 0);
  atomic_store(&board->answers[1][7], 1050);
  sources_second(scene->sources, scene->durable, 5);
  assert_int_equal(sources_running(scene->sources), 1);
  run_until(scene, nothing_runs);
  sources_second(scene->sources, scene->durable, 6);
  assert_int_equal(sources_running(scene->sources), 0);
}

static int64_t interval_after(struct scene *scene, int64_t pause_ms) {
  scene->child.house.offset_ms += pause_ms;
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  return record.interval_ms;
}

static void what_answers_bring_comes_as_often_as_it_came_last(void **state) {
  struct scene *scene = *state;
  scene->source[0].every_answers = 100;
  listen_with(scene, HTTP("{\"eps\":1}"));
  take_config(scene);
  assert_int_equal(interval_after(scene, 0), 10000);
  assert_int_equal(interval_after(scene, 2000), 10000);
  assert_in_range(interval_after(scene, 60000), 60000, 60000 + WAIT_MS);
  take_config(scene);
  assert_true(sources_running(scene->sources) == 0);
  assert_int_equal(interval_after(scene, 3600000), 300000);
  assert_int_equal(interval_after(scene, 20), 10000);
}

static void asked_while_it_reads_it_reads_once_more(void **state) {
  struct scene *scene = *state;
  char text[] = "www.example.com\0muc-1";
  listen_with(scene, HTTP("{\"eps\":1}"));
  take_config(scene);
  for (int i = 0; i < 3; i++)
    sources_asked(scene->sources, text, sizeof text - 1);
  run_until(scene, nothing_runs);
  figures_flush(scene->figures);
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  assert_int_equal(record.read, 2);
  assert_int_equal(sources_measure(scene->sources, "www.example.com", "ber-1"), 0);
  assert_int_equal(sources_measure(scene->sources, "ftp.example.com", "muc-1"), 0);
  sources_asked(scene->sources, "nonsense", 8);
}

static void a_reload_goes_on_with_what_is_read_as_before(void **state) {
  struct scene *scene = *state;
  struct config before = scene->config;
  struct config_source source_before[3];
  memcpy(source_before, scene->source, sizeof source_before);
  listen_with(scene, HTTP("{\"eps\":1}"));
  memcpy(source_before, scene->source, sizeof source_before);
  before.sources = source_before;
  scene->muster = muster_new(&before);
  sources_take(scene->sources, &before, scene->muster);
  measure(scene, "www.example.com", "muc-1", 1);
  sources_measure(scene->sources, "www.example.com", "muc-1");
  scene->services[0].member_count = 2;
  take_config(scene);
  memset(source_before, 0xff, sizeof source_before); /* it is gone */
  run_until(scene, nothing_runs);
  sources_measure(scene->sources, "www.example.com", "fra-1");
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "fra-1"));
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  assert_true(record.read >= 2);
}

static void who_goes_leaves_no_row(void **state) {
  struct scene *scene = *state;
  scene->services[0].member_count = 2;
  listen_with(scene, HTTP("{\"eps\":1}"));
  take_config(scene);
  measure(scene, "www.example.com", "fra-1", 1);
  measure(scene, "www.example.com", "muc-1", 1);
  sources_measure(scene->sources, "www.example.com", "fra-1");
  scene->services[0].member_count = 1;
  take_config(scene);
  assert_int_equal(sources_running(scene->sources), 0);
  assert_true(figures_flush(scene->figures));
  assert_false(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "fra-1"));
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  scene->services[0].source_count = 0;
  take_config(scene);
  assert_true(figures_flush(scene->figures));
  assert_false(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
}

static void register_member(struct scene *scene, const char *id, const char *url) {
  struct member_record member = {.weight = 1, .address_count = 1, .utilization_url = url};
  addr_parse("127.0.0.1", &member.addresses[0]);
  struct store_txn *txn;
  struct record_key key;
  size_t size;
  uint8_t *row = member_encode(&member, &size);
  record_key_member("app.example.com", id, &key);
  assert_int_equal(store_begin(scene->durable, true, &txn, NULL), STATUS_OK);
  assert_int_equal(store_put(txn, STORE_DB_MEMBERS, (struct store_bytes){key.bytes, key.size},
                             (struct store_bytes){row, size}, NULL),
                   STATUS_OK);
  assert_int_equal(store_mark_changed(txn, "app.example.com", NULL), STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
  free(row);
}

static void changed(void *context, size_t service) {
  struct scene *scene = context;
  sources_service_changed(scene->sources, service);
}

static void registered_members_are_read_at_their_url(void **state) {
  struct scene *scene = *state;
  char url[128];
  scene->source[0].path = "/elsewhere";
  listen_with(scene, HTTP("{\"eps\":1}"));
  snprintf(url, sizeof url, "http://127.0.0.1:%u/mine?x=1", scene->peer.addr.port);
  scene->source[0].port = 1;
  take_config(scene);
  assert_int_equal(muster_refresh(scene->muster, scene->durable, changed, scene, NULL), STATUS_OK);
  register_member(scene, "app-1", url);
  register_member(scene, "app-2", NULL);
  assert_int_equal(muster_refresh(scene->muster, scene->durable, changed, scene, NULL), STATUS_OK);
  run_until(scene, is_asked);
  run_until(scene, nothing_runs);
  assert_true(figures_flush(scene->figures));
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "app.example.com", "app-1"));
  assert_int_equal(record.failed, 0);
  assert_non_null(strstr(scene->peer.request, "GET /mine?x=1 HTTP"));
  assert_non_null(strstr(scene->peer.request, "\r\nHost: 127.0.0.1:"));
  assert_int_equal(sources_measure(scene->sources, "app.example.com", "app-2"), 0);
  /* another one that comes does not disturb it */
  sources_measure(scene->sources, "app.example.com", "app-1");
  register_member(scene, "app-3", "http://127.0.0.1:1/");
  assert_int_equal(muster_refresh(scene->muster, scene->durable, changed, scene, NULL), STATUS_OK);
  assert_true(sources_running(scene->sources) >= 1);
  run_until(scene, nothing_runs);
  assert_true(figures_flush(scene->figures));
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "app.example.com", "app-1"));
  assert_int_equal(record.read, 2);
}

static void those_that_are_registered_at_the_start_are_spread(void **state) {
  struct scene *scene = *state;
  scene->source[0].interval_ms = 3600000;
  listen_with(scene, HTTP("{\"eps\":1}"));
  take_config(scene);
  register_member(scene, "app-1", "http://127.0.0.1:1/");
  assert_int_equal(muster_refresh(scene->muster, scene->durable, changed, scene, NULL), STATUS_OK);
  measure(scene, "www.example.com", "muc-1", 1); /* some turns of the loop */
  assert_false(stored(scene, STORE_DB_METRICS_UTILIZATION, "app.example.com", "app-1"));
  measure(scene, "app.example.com", "app-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "app.example.com", "app-1"));
  assert_string_equal(record.reason, "connection refused");
}

static void stored_rows_are_remembered_and_left_ones_deleted(void **state) {
  struct scene *scene = *state;
  struct metrics_record row = {.at_ms = 77, .read = 5, .failed = 2, .count = 1, .values = {{"eps", 3}}};
  struct figures_item items[2] = {{.row.db = STORE_DB_METRICS_UTILIZATION}, {.row.db = STORE_DB_METRICS_UTILIZATION}};
  record_key_member("www.example.com", "muc-1", &items[0].row.key);
  record_key_member("old.example.com", "muc-1", &items[1].row.key);
  for (int i = 0; i < 2; i++)
    figures_put(scene->figures, &items[i], &row, false);
  assert_true(figures_flush(scene->figures));
  take_config(scene);
  assert_int_equal(sources_read_stored(scene->sources, NULL), STATUS_OK);
  assert_true(figures_flush(scene->figures));
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "old.example.com", "muc-1"));
  assert_int_equal(muster_refresh(scene->muster, scene->durable, changed, scene, NULL), STATUS_OK);
  assert_int_equal(sources_read_stored(scene->sources, NULL), STATUS_OK);
  assert_true(figures_flush(scene->figures));
  assert_false(stored(scene, STORE_DB_METRICS_UTILIZATION, "old.example.com", "muc-1"));
  scene->source[0].port = peer_nobody(SOCK_STREAM).port;
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  assert_int_equal(record.at_ms, 77);
  assert_int_equal(record.read, 5);
  assert_int_equal(record.failed, 3);
  assert_true(figure("eps") == 3);
}

#define SOURCES_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      SOURCES_TEST(an_interval_brings_readings_by_itself),
      SOURCES_TEST(a_schedule_brings_readings),
      SOURCES_TEST(so_many_answers_bring_a_reading),
      SOURCES_TEST(what_answers_bring_comes_as_often_as_it_came_last),
      SOURCES_TEST(asked_while_it_reads_it_reads_once_more),
      SOURCES_TEST(a_reload_goes_on_with_what_is_read_as_before),
      SOURCES_TEST(who_goes_leaves_no_row),
      SOURCES_TEST(registered_members_are_read_at_their_url),
      SOURCES_TEST(those_that_are_registered_at_the_start_are_spread),
      SOURCES_TEST(stored_rows_are_remembered_and_left_ones_deleted),
  };
  return cmocka_run_group_tests(tests, make_board, NULL);
}
