#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "gslb/model/channel.h"
#include "gslb/model/registration.h"
#include "probes/sources.h"
#include "tests/unit/model/store_fixture.h"
#include "tests/unit/net/peer.h"

#define WAIT_MS 5000

struct scene {
  struct fixture *fixture; /* its store is the live one */
  struct store *durable;
  struct loop *loop;
  struct probe_tools tools;
  struct child child;
  int supervisor; /* the other end of the child's channel */
  struct figures *figures;
  struct sources *sources;
  struct peer peer, other;
  struct config config;
  struct config_service services[2];
  struct config_member members[2];
  struct addr addresses[2];
  struct config_source source[3];
  struct config_load load;
  struct config_load_metric load_metric;
  uint32_t indices[3];
  struct muster *muster;
  bool (*is_done)(struct scene *scene);
  struct loop_timer *look;
  int64_t until_ms;
};

static struct board *board;
static struct board_bell bell;
static struct metrics_record record;

static int make_board(void **state) {
  (void)state;
  int fd;
  if (board_create(&board, &bell, &fd, NULL) != STATUS_OK)
    return -1;
  board_use_workers(board, 2);
  return 0;
}

static void make_config(struct scene *scene) {
  for (int i = 0; i < 2; i++)
    addr_parse("127.0.0.1", &scene->addresses[i]);
  scene->members[0] = (struct config_member){.name = "muc-1", .addresses = &scene->addresses[0], .address_count = 1};
  scene->members[1] = (struct config_member){.name = "fra-1", .addresses = &scene->addresses[1], .address_count = 1};
  for (uint32_t i = 0; i < 3; i++) {
    scene->indices[i] = i;
    scene->source[i] = (struct config_source){.name = "load", .type = SOURCE_UTILIZATION, .timeout_ms = 2000};
  }
  for (int i = 0; i < 2; i++)
    scene->services[i] =
        (struct config_service){.pattern = CONFIG_NO_PATTERN, .load = CONFIG_NO_LOAD, .sources = scene->indices};
  scene->services[0].name = "www.example.com";
  scene->services[0].members = scene->members;
  scene->services[0].member_count = 1;
  scene->services[0].source_count = 1;
  scene->services[1].name = "app.example.com";
  scene->services[1].accept.is_given = true;
  scene->services[1].accept.members_most = 4;
  scene->services[1].source_count = 1;
  scene->load_metric = (struct config_load_metric){.name = "cpu_utilization", .source = METRICS_SOURCES};
  scene->load = (struct config_load){.window_ms = 60000, .metrics = &scene->load_metric, .metric_count = 1};
  scene->config = (struct config){.services = scene->services,
                                  .service_count = 2,
                                  .sources = scene->source,
                                  .source_count = 3,
                                  .loads = &scene->load,
                                  .load_count = 1};
}

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  int ends[2];
  void *fixture = NULL;
  if (setup(&fixture) != 0) {
    free(scene);
    return -1;
  }
  scene->fixture = fixture;
  assert_int_equal(open_store(scene->fixture, STORE_LIVE, STORE_CREATE), STATUS_OK);
  assert_int_equal(store_open(scene->fixture->directory, STORE_DURABLE, STORE_CREATE, &scene->durable, NULL),
                   STATUS_OK);
  assert_int_equal(channel_pair(ends, NULL), STATUS_OK);
  scene->supervisor = ends[0];
  scene->child = (struct child){.channel = ends[1], .board = board, .bell = bell, .house = house_start(0)};
  scene->loop = loop_new();
  scene->tools = (struct probe_tools){.loop = scene->loop, .http = http_client_new(scene->loop)};
  scene->figures = figures_new(scene->loop, &scene->child.house, board, &bell);
  figures_attach(scene->figures, scene->fixture->store);
  scene->sources = sources_new(&scene->child, &scene->tools, scene->figures);
  make_config(scene);
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  void *fixture = scene->fixture;
  sources_free(scene->sources);
  figures_free(scene->figures);
  if (scene->peer.loop)
    peer_close(&scene->peer);
  if (scene->other.loop)
    peer_close(&scene->other);
  muster_free(scene->muster);
  http_client_free(scene->tools.http);
  loop_free(scene->loop);
  close(scene->supervisor);
  close(scene->child.channel);
  store_close(scene->durable);
  free(scene);
  return teardown(&fixture);
}

static void look(void *context) {
  struct scene *scene = context;
  if (scene->is_done(scene) || mono_now_ms() > scene->until_ms)
    loop_stop(scene->loop);
  else
    loop_timer_after(scene->look, 1);
}

static void run_until(struct scene *scene, bool (*is_done)(struct scene *scene)) {
  scene->is_done = is_done;
  scene->until_ms = mono_now_ms() + WAIT_MS;
  scene->look = loop_timer_new(scene->loop, look, scene);
  loop_timer_after(scene->look, 0);
  loop_run(scene->loop);
  loop_timer_free(scene->look);
  assert_true(is_done(scene));
}

static bool nothing_runs(struct scene *scene) {
  return sources_running(scene->sources) == 0;
}

static bool is_asked(struct scene *scene) {
  return scene->peer.request_size > 0;
}

static void listen_with(struct scene *scene, const char *answer) {
  if (!scene->peer.loop)
    peer_open(&scene->peer, scene->loop, SOCK_STREAM, "127.0.0.1");
  scene->peer.answer = answer;
  scene->peer.answer_size = strlen(answer);
  for (int i = 0; i < 3; i++)
    scene->source[i].port = scene->peer.addr.port;
}

#define HTTP(body) "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" body

static void take_config(struct scene *scene) {
  struct muster *before = scene->muster;
  scene->muster = muster_new(&scene->config);
  sources_take(scene->sources, &scene->config, scene->muster);
  muster_free(before);
}

static void measure(struct scene *scene, const char *service, const char *member, size_t readers) {
  assert_int_equal(sources_measure(scene->sources, service, member), readers);
  run_until(scene, nothing_runs);
  assert_true(figures_flush(scene->figures));
}

static bool stored(struct scene *scene, enum store_db db, const char *service, const char *member) {
  struct record_key key;
  struct store_bytes value;
  struct store_txn *txn = begin(scene->fixture, false);
  record_key_member(service, member, &key);
  bool is_there = store_get(txn, db, (struct store_bytes){key.bytes, key.size}, &value) == STATUS_OK;
  if (is_there)
    assert_int_equal(metrics_decode(value.data, value.size, &record), STATUS_OK);
  store_abort(txn);
  return is_there;
}

static double figure(const char *name) {
  for (uint32_t i = 0; i < record.count; i++)
    if (strcmp(record.values[i].name, name) == 0)
      return record.values[i].value;
  fail_msg("no figure is called %s", name);
  return 0;
}

static int count_marks(struct scene *scene, uint64_t *sequence) {
  char names[512] = "";
  struct store_txn *txn = begin(scene->fixture, false);
  store_changes_since(txn, sequence, note_service, names);
  store_abort(txn);
  int count = 0;
  for (const char *at = names; (at = strchr(at, ' ')); at++)
    count++;
  return count;
}

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
  struct figures_item items[2] = {{.db = STORE_DB_METRICS_UTILIZATION}, {.db = STORE_DB_METRICS_UTILIZATION}};
  record_key_member("www.example.com", "muc-1", &items[0].key);
  record_key_member("old.example.com", "muc-1", &items[1].key);
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
