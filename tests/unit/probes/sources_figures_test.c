#include <poll.h>

#include "tests/unit/probes/sources_scene.h"

static void utilization_of_a_configured_member_is_stored(void **state) {
  struct scene *scene = *state;
  uint64_t sequence = 0;
  scene->source[0].path = "/load?full=1";
  scene->source[0].interval_ms = 5000000;
  listen_with(scene, HTTP("{\"cpu_utilization\":0.5,\"mem_utilization\":0.25,\"named_metrics\":{\"queue\":7},"
                          "\"services\":{\"a.b\":{\"members_up\":2}},\"jobs\":{\"done\":3},\"note\":\"x\"}"));
  take_config(scene);
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  assert_true(figure("cpu_utilization") == 0.5 && figure("mem_utilization") == 0.25);
  assert_true(figure("named_metrics.queue") == 7 && figure("jobs.done") == 3);
  assert_true(figure("services.a.b.members_up") == 2);
  assert_int_equal(record.count, 5);
  assert_int_equal(record.read, 1);
  assert_int_equal(record.failed, 0);
  assert_int_equal(record.interval_ms, 5000000);
  assert_true(record.at_ms > 0);
  assert_non_null(strstr(scene->peer.request, "GET /load?full=1 HTTP/1.1\r\n"));
  assert_non_null(strstr(scene->peer.request, "\r\nHost: www.example.com\r\n"));
  assert_int_equal(count_marks(scene, &sequence), 0);
}

static void a_load_section_has_the_service_marked_and_views_worked_out(void **state) {
  struct scene *scene = *state;
  uint64_t sequence = 0;
  scene->services[0].load = 0;
  scene->load_metric.view = VIEW_PEAK;
  listen_with(scene, HTTP("{\"cpu_utilization\":0.75,\"eps\":1}"));
  take_config(scene);
  measure(scene, "www.example.com", "muc-1", 1);
  for (int64_t until_ms = mono_now_ms() + 2; mono_now_ms() < until_ms;) /* of one moment the last one counts alone */
    ;
  listen_with(scene, HTTP("{\"cpu_utilization\":0.5,\"eps\":1}"));
  measure(scene, "www.example.com", "muc-1", 1);
  assert_int_equal(count_marks(scene, &sequence), 2);
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  for (int i = 0; i < 2; i++) {
    bool is_viewed = strcmp(record.values[i].name, "cpu_utilization") == 0;
    assert_int_equal(record.values[i].has_views, is_viewed);
    assert_true(!is_viewed || (record.values[i].value == 0.5 && record.values[i].peak == 0.75));
  }
}

static void a_failure_is_counted_and_keeps_the_figures(void **state) {
  struct scene *scene = *state;
  listen_with(scene, HTTP("{\"cpu_utilization\":0.5}"));
  take_config(scene);
  measure(scene, "www.example.com", "muc-1", 1);
  listen_with(scene, "HTTP/1.0 503 Busy\r\n\r\n");
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  assert_true(figure("cpu_utilization") == 0.5);
  assert_int_equal(record.failed, 1);
  assert_string_equal(record.reason, "status 503");
  static const char *const wrong[] =
      {HTTP("{"), HTTP("[1]"), HTTP("{\"a\":\"b\"}"), HTTP("{\"eps\":-1}"), HTTP("{\"a\":1,\"a\":2}"), HTTP("")};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    listen_with(scene, wrong[i]);
    measure(scene, "www.example.com", "muc-1", 1);
    assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
    assert_int_equal(record.failed, i + 2);
    assert_true(record.reason[0]);
  }
  listen_with(scene, HTTP("{\"cpu_utilization\":0.25}"));
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  assert_true(figure("cpu_utilization") == 0.25);
  assert_string_equal(record.reason, "");
}

static int count_refusals(struct scene *scene, char *text, size_t size) {
  static struct channel_message message;
  struct pollfd ready = {.fd = scene->supervisor, .events = POLLIN};
  int count = 0;
  for (; poll(&ready, 1, 0) == 1; count++) {
    assert_int_equal(channel_receive(scene->supervisor, &message), STATUS_OK);
    assert_int_equal(message.kind, CHANNEL_REFUSED);
    for (size_t i = 0; i < message.length && i + 1 < size; i++)
      text[i] = message.text[i] ? message.text[i] : '|';
    text[message.length] = '\0';
  }
  return count;
}

static void what_is_refused_is_told_once_a_minute(void **state) {
  struct scene *scene = *state;
  char text[512] = "";
  listen_with(scene, HTTP("{\"cpu_utilization\":1e301,\"eps\":2}"));
  take_config(scene);
  for (int i = 0; i < 3; i++)
    measure(scene, "www.example.com", "muc-1", 1);
  assert_int_equal(count_refusals(scene, text, sizeof text), 1);
  assert_string_equal(text, "www.example.com|muc-1|\"cpu_utilization\" is 1e+301, which is outside plus and minus "
                            "1e300");
  assert_true(stored(scene, STORE_DB_METRICS_UTILIZATION, "www.example.com", "muc-1"));
  assert_int_equal(record.count, 1);
  assert_true(figure("eps") == 2 && record.reason[0]);
}

static void an_answer_that_is_not_taken_is_told(void **state) {
  struct scene *scene = *state;
  char text[512] = "";
  listen_with(scene, HTTP("{\"cpu_utilization\":-1}"));
  take_config(scene);
  for (int i = 0; i < 3; i++)
    measure(scene, "www.example.com", "muc-1", 1);
  assert_int_equal(count_refusals(scene, text, sizeof text), 1);
  assert_string_equal(text, "www.example.com|muc-1|cpu_utilization is below 0");
}

static void a_status_that_is_no_answer_is_not_told(void **state) {
  struct scene *scene = *state;
  char text[512] = "";
  listen_with(scene, "HTTP/1.0 503 Busy\r\n\r\n");
  take_config(scene);
  measure(scene, "www.example.com", "muc-1", 1);
  assert_int_equal(count_refusals(scene, text, sizeof text), 0);
}

static void agent_check_gives_weight_ceiling_and_self(void **state) {
  struct scene *scene = *state;
  uint64_t sequence = 0;
  scene->source[0].type = SOURCE_AGENT_CHECK;
  scene->source[0].send = "state\n";
  listen_with(scene, "75% drain maxconn:30 #moving house\n");
  take_config(scene);
  measure(scene, "www.example.com", "muc-1", 1);
  assert_string_equal(scene->peer.request, "state\n");
  assert_true(stored(scene, STORE_DB_METRICS_CHECK, "www.example.com", "muc-1"));
  assert_true(figure("weight_percent") == 75 && figure("connections_ceiling") == 30);
  assert_true(record.has_self);
  assert_int_equal(record.self, HEALTH_DRAINING);
  assert_string_equal(record.self_reason, "moving house");
  assert_int_equal(count_marks(scene, &sequence), 1);
  listen_with(scene, "50%\n");
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_CHECK, "www.example.com", "muc-1"));
  assert_true(figure("weight_percent") == 50 && figure("connections_ceiling") == 30);
  assert_int_equal(record.self, HEALTH_DRAINING);
  assert_int_equal(count_marks(scene, &sequence), 1); /* the weight counts in the draw */
  measure(scene, "www.example.com", "muc-1", 1);
  assert_int_equal(count_marks(scene, &sequence), 0);
  listen_with(scene, "up\n");
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_CHECK, "www.example.com", "muc-1"));
  assert_int_equal(record.self, HEALTH_UP);
  assert_int_equal(count_marks(scene, &sequence), 1);
}

static void agent_check_that_fails_leaves_what_was_said(void **state) {
  struct scene *scene = *state;
  scene->source[0].type = SOURCE_AGENT_CHECK;
  scene->source[0].timeout_ms = 50;
  scene->source[0].interval_ms = 3600000; /* none but those asked for */
  listen_with(scene, "maint\n");
  take_config(scene);
  scene->source[0].send = "x";
  measure(scene, "www.example.com", "muc-1", 1);
  scene->peer.answer = NULL;
  scene->peer.keeps_open = true;
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_CHECK, "www.example.com", "muc-1"));
  assert_string_equal(record.reason, "time-out waiting for answer");
  scene->peer.keeps_open = false;
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_CHECK, "www.example.com", "muc-1"));
  assert_int_equal(record.failed, 2);
  assert_int_equal(record.self, HEALTH_DOWN);
  peer_close(&scene->peer);
  scene->peer.loop = NULL;
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_CHECK, "www.example.com", "muc-1"));
  assert_string_equal(record.reason, "connection refused");
}

static void scraped_series_are_summed_scaled_and_turned_into_rates(void **state) {
  struct scene *scene = *state;
  static const char *const idle[] = {"mode=idle", NULL};
  struct config_source_metric metrics[] =
      {{.name = "memory", .series = "node_memory_MemFree_bytes", .scale = 0.001},
       {.name = "idle", .series = "node_cpu_seconds_total", .labels = idle, .scale = 1},
       {.name = "requests_rate", .series = "http_requests_total", .is_rate = true, .scale = 1},
       {.name = "absent", .series = "nothing", .scale = 1}};
  scene->source[0].type = SOURCE_SCRAPE;
  scene->source[0].path = "/metrics";
  scene->source[0].metrics = metrics;
  scene->source[0].metric_count = 4;
  listen_with(scene, HTTP("node_memory_MemFree_bytes 2000\nhttp_requests_total 10\n"
                          "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 5\n"
                          "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 100\n"
                          "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"} 6\n"));
  take_config(scene);
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_SCRAPE, "www.example.com", "muc-1"));
  assert_int_equal(record.count, 2);
  assert_true(figure("memory") == 2 && figure("idle") == 11);
  for (int64_t at_ms = mono_now_ms(); mono_now_ms() - at_ms < 2;) /* a rate needs time to pass */
    ;
  listen_with(scene, HTTP("http_requests_total 1000\n"));
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_SCRAPE, "www.example.com", "muc-1"));
  assert_int_equal(record.count, 1);
  assert_true(figure("requests_rate") > 0);
  listen_with(scene, HTTP("<html>\n"));
  measure(scene, "www.example.com", "muc-1", 1);
  assert_true(stored(scene, STORE_DB_METRICS_SCRAPE, "www.example.com", "muc-1"));
  assert_non_null(strstr(record.reason, "line 1: "));
}

static void two_sources_of_a_type_share_a_row(void **state) {
  struct scene *scene = *state;
  static struct config_source_metric one = {.name = "a", .series = "a", .scale = 1},
                                     two = {.name = "b", .series = "b", .scale = 1};
  for (int i = 0; i < 2; i++) {
    scene->source[i].type = SOURCE_SCRAPE;
    scene->source[i].metrics = i ? &two : &one;
    scene->source[i].metric_count = 1;
    scene->source[i].interval_ms = 5000000 * (i + 1);
  }
  scene->source[1].name = "more";
  scene->services[0].source_count = 2;
  listen_with(scene, HTTP("a 1\nb 2\n"));
  peer_open(&scene->other, scene->loop, SOCK_STREAM, "127.0.0.1");
  scene->other.answer = scene->peer.answer;
  scene->other.answer_size = scene->peer.answer_size;
  scene->source[1].port = scene->other.addr.port;
  take_config(scene);
  measure(scene, "www.example.com", "muc-1", 2);
  assert_true(stored(scene, STORE_DB_METRICS_SCRAPE, "www.example.com", "muc-1"));
  assert_true(figure("a") == 1 && figure("b") == 2);
  assert_int_equal(record.interval_ms, 10000000);
  assert_int_equal(record.read, 2);
}

#define SOURCES_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      SOURCES_TEST(utilization_of_a_configured_member_is_stored),
      SOURCES_TEST(a_load_section_has_the_service_marked_and_views_worked_out),
      SOURCES_TEST(a_failure_is_counted_and_keeps_the_figures),
      SOURCES_TEST(what_is_refused_is_told_once_a_minute),
      SOURCES_TEST(an_answer_that_is_not_taken_is_told),
      SOURCES_TEST(a_status_that_is_no_answer_is_not_told),
      SOURCES_TEST(agent_check_gives_weight_ceiling_and_self),
      SOURCES_TEST(agent_check_that_fails_leaves_what_was_said),
      SOURCES_TEST(scraped_series_are_summed_scaled_and_turned_into_rates),
      SOURCES_TEST(two_sources_of_a_type_share_a_row),
  };
  return cmocka_run_group_tests(tests, make_board, NULL);
}
