#include "tests/unit/probes/sources_scene.h"

#include <fcntl.h>
#include <poll.h>

struct board *board;
struct board_bell bell;
struct metrics_record record;

int make_board(void **state) {
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

int set_up(void **state) {
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

int tear_down(void **state) {
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

void run_until(struct scene *scene, bool (*is_done)(struct scene *scene)) {
  scene->is_done = is_done;
  scene->until_ms = mono_now_ms() + WAIT_MS;
  scene->look = loop_timer_new(scene->loop, look, scene);
  loop_timer_after(scene->look, 0);
  loop_run(scene->loop);
  loop_timer_free(scene->look);
  assert_true(is_done(scene));
}

bool nothing_runs(struct scene *scene) {
  return sources_running(scene->sources) == 0;
}

bool is_asked(struct scene *scene) {
  return scene->peer.request_size > 0;
}

void listen_with(struct scene *scene, const char *answer) {
  if (!scene->peer.loop)
    peer_open(&scene->peer, scene->loop, SOCK_STREAM, "127.0.0.1");
  scene->peer.answer = answer;
  scene->peer.answer_size = strlen(answer);
  for (int i = 0; i < 3; i++)
    scene->source[i].port = scene->peer.addr.port;
}

void take_config(struct scene *scene) {
  struct muster *before = scene->muster;
  scene->muster = muster_new(&scene->config);
  sources_take(scene->sources, &scene->config, scene->muster);
  muster_free(before);
}

void measure(struct scene *scene, const char *service, const char *member, size_t readers) {
  assert_int_equal(sources_measure(scene->sources, service, member), readers);
  run_until(scene, nothing_runs);
  assert_true(figures_flush(scene->figures));
}

bool stored(struct scene *scene, enum store_db db, const char *service, const char *member) {
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

double figure(const char *name) {
  for (uint32_t i = 0; i < record.count; i++)
    if (strcmp(record.values[i].name, name) == 0)
      return record.values[i].value;
  fail_msg("no figure is called %s", name);
  return 0;
}

int count_marks(struct scene *scene, uint64_t *sequence) {
  char names[512] = "";
  struct store_txn *txn = begin(scene->fixture, false);
  store_changes_since(txn, sequence, note_service, names);
  store_abort(txn);
  int count = 0;
  for (const char *at = names; (at = strchr(at, ' ')); at++)
    count++;
  return count;
}
