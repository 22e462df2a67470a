/* The probe process as a child of the test, which is its supervisor, its members, and a reader of its store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/model/records.h"
#include "gslb/model/registration.h"
#include "gslb/model/store.h"
#include "probes/schedule.h"
#include "tests/unit/base/directory.h"

#define PATIENCE_MS 10000
#define INTERVAL_MS 100
#define FALL 2
#define TIMEOUT_MS 90

struct scene {
  char directory[64];
  struct child child;
  pid_t pid;
  int channel;
  struct store *store;
  int listeners[2];
  uint16_t port;
  int interval_ms;
};

static struct board *board;
static struct board_bell bell;
static struct channel_message message;

static int make_board(void **state) {
  (void)state;
  int fd;
  log_setup("test", LOG_LEVEL_ERROR, false);
  return board_create(&board, &bell, &fd, NULL) != STATUS_OK;
}

/* Member a is 127.0.0.21, b is 127.0.0.22, both on one port. */
static void member_listens(struct scene *scene, int member) {
  struct addr addr;
  struct sockaddr_storage sockaddr;
  addr_parse(member == 0 ? "127.0.0.21" : "127.0.0.22", &addr);
  addr.port = scene->port;
  socklen_t length = addr_to_sockaddr(&addr, &sockaddr);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  assert_int_equal(bind(fd, (struct sockaddr *)&sockaddr, length), 0);
  assert_int_equal(listen(fd, 4096), 0);
  getsockname(fd, (struct sockaddr *)&sockaddr, &length);
  addr_from_sockaddr((struct sockaddr *)&sockaddr, &addr);
  scene->port = addr.port;
  scene->listeners[member] = fd;
}

static char *config_text(const struct scene *scene, bool has_b) {
  return mem_format("server: {identity: lb1.example.net, state: %s, run: %s, listen: [\"127.0.0.1@5300\"]}\n"
                    "zones: [{name: example.com, file: example.com.zone}]\n"
                    "monitors: [{name: port, type: tcp, port: %u, interval: %dms, timeout: %dms, rise: 1, fall: %d}]\n"
                    "services:\n"
                    "  - name: api.example.com\n"
                    "    monitors: [port]\n"
                    "    members:\n"
                    "      - {name: a, addresses: [127.0.0.21]}\n%s",
                    scene->directory, scene->directory, scene->port, scene->interval_ms, TIMEOUT_MS, FALL,
                    has_b ? "      - {name: b, addresses: [127.0.0.22]}\n" : "");
}

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  snprintf(scene->directory, sizeof scene->directory, "/tmp/gslb-schedule-XXXXXX");
  assert_non_null(mkdtemp(scene->directory));
  scene->interval_ms = INTERVAL_MS;
  member_listens(scene, 0);
  member_listens(scene, 1);
  *state = scene;
  return 0;
}

static void start_with(struct scene *scene, char *text, rlim_t descriptors) {
  struct problems problems = {0};
  struct config *config = config_parse("test.yaml", text, strlen(text), &problems);
  if (!config)
    fail_msg("%s", problems_format(&problems));
  free(text);
  int ends[2];
  assert_int_equal(channel_pair(ends, NULL), STATUS_OK);
  scene->channel = ends[0];
  scene->child = (struct child){.config = config,
                                .generation = 1,
                                .channel = ends[1],
                                .board = board,
                                .bell = bell,
                                .house = house_start(0),
                                .image = -1,
                                .exec = -1,
                                .commands = -1,
                                .trap = -1,
                                .ping = {-1, -1}};
  /* a store must not be carried over a fork */
  if (scene->store)
    store_close(scene->store);
  scene->store = NULL;
  fflush(NULL);
  scene->pid = fork();
  assert_true(scene->pid >= 0);
  if (scene->pid == 0) {
    close(ends[0]);
    close(scene->listeners[0]);
    close(scene->listeners[1]);
    struct rlimit limit = {descriptors, descriptors};
    if (descriptors)
      setrlimit(RLIMIT_NOFILE, &limit);
    int result = probe_run(&scene->child);
    config_free(scene->child.config);
    free(scene);
    exit(result);
  }
  close(ends[1]);
  config_free(config);
}

static void start(struct scene *scene, bool has_b) {
  start_with(scene, config_text(scene, has_b), 0);
}

static void await_message(struct scene *scene, enum channel_kind kind, uint64_t generation) {
  struct pollfd ready = {.fd = scene->channel, .events = POLLIN};
  assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
  assert_int_equal(channel_receive(scene->channel, &message), STATUS_OK);
  assert_int_equal(message.kind, kind);
  assert_int_equal(message.generation, generation);
}

static void await_end(struct scene *scene) {
  int status;
  assert_int_equal(waitpid(scene->pid, &status, 0), scene->pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  close(scene->channel);
  scene->pid = 0;
}

static void stop(struct scene *scene) {
  message = (struct channel_message){.kind = CHANNEL_STOP};
  assert_int_equal(channel_send(scene->channel, &message), STATUS_OK);
  await_end(scene);
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  if (scene->pid) {
    close(scene->channel);
    waitpid(scene->pid, NULL, 0);
  }
  for (int i = 0; i < 2; i++)
    if (scene->listeners[i] >= 0)
      close(scene->listeners[i]);
  if (scene->store)
    store_close(scene->store);
  int result = directory_remove(scene->directory);
  free(scene);
  return result;
}

static void create_one_store(struct scene *scene, enum store_kind kind) {
  struct store *store;
  struct errbuf err = {0};
  if (store_open(scene->directory, kind, STORE_CREATE, &store, &err) != STATUS_OK)
    fail_msg("%s", err.text);
  store_close(store);
}

static void create_store(struct scene *scene) {
  create_one_store(scene, STORE_DURABLE);
  create_one_store(scene, STORE_LIVE);
}

/* Registers a member at 127.0.0.22, or takes it away, as control does. */
static void change_registration(struct scene *scene, const char *service, const char *id, bool is_there) {
  struct store *store;
  struct store_txn *txn;
  struct record_key key;
  struct member_record record = {.kind = RESOURCE_SERVER, .address_count = 1, .weight = 1};
  assert_int_equal(addr_parse("127.0.0.22", &record.addresses[0]), STATUS_OK);
  assert_int_equal(store_open(scene->directory, STORE_DURABLE, STORE_WRITE, &store, NULL), STATUS_OK);
  assert_int_equal(store_begin(store, true, &txn, NULL), STATUS_OK);
  record_key_member(service, id, &key);
  struct store_bytes row = {key.bytes, key.size};
  if (is_there) {
    size_t size;
    uint8_t *value = member_encode(&record, &size);
    assert_int_equal(store_put(txn, STORE_DB_MEMBERS, row, (struct store_bytes){value, size}, NULL), STATUS_OK);
    free(value);
  } else {
    assert_int_equal(store_delete(txn, STORE_DB_MEMBERS, row, NULL), STATUS_OK);
  }
  assert_int_equal(store_mark_changed(txn, service, NULL), STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
  store_close(store);
  board_ring(board, &bell);
}

static bool read_record_of(struct scene *scene, const char *service, const char *member, struct health_record *record) {
  struct store_txn *txn;
  struct store_bytes value;
  struct record_key key;
  struct addr addr;
  if (!scene->store)
    assert_int_equal(store_open(scene->directory, STORE_LIVE, STORE_READ, &scene->store, NULL), STATUS_OK);
  addr_parse(strcmp(member, "a") == 0 ? "127.0.0.21" : "127.0.0.22", &addr);
  record_key_probe(service, member, &addr, "port", &key);
  assert_int_equal(store_begin(scene->store, false, &txn, NULL), STATUS_OK);
  enum status status = store_get(txn, STORE_DB_HEALTH, (struct store_bytes){key.bytes, key.size}, &value);
  if (status == STATUS_OK)
    assert_int_equal(health_decode(value.data, value.size, record), STATUS_OK);
  store_abort(txn);
  return status == STATUS_OK;
}

static bool read_record(struct scene *scene, const char *member, struct health_record *record) {
  return read_record_of(scene, "api.example.com", member, record);
}

/* Looks whenever the bell rings, and each few milliseconds for what does not ring it. */
static struct health_record await_record_of(struct scene *scene, const char *service, const char *member,
                                            enum health health, uint64_t passed) {
  int64_t end_ms = mono_now_ms() + PATIENCE_MS;
  struct health_record record = {0};
  struct pollfd ear = {.fd = bell.ears[BOARD_EAR_DNS], .events = POLLIN};
  while (!read_record_of(scene, service, member, &record) || record.state != health || record.passed < passed) {
    assert_true(mono_now_ms() < end_ms);
    poll(&ear, 1, 5);
    board_hear(&bell, BOARD_EAR_DNS);
  }
  return record;
}

static struct health_record await_record(struct scene *scene, const char *member, enum health health, uint64_t passed) {
  return await_record_of(scene, "api.example.com", member, health, passed);
}

static void await_no_record(struct scene *scene, const char *service, const char *member) {
  int64_t end_ms = mono_now_ms() + PATIENCE_MS;
  struct health_record record;
  while (read_record_of(scene, service, member, &record)) {
    assert_true(mono_now_ms() < end_ms);
    poll(NULL, 0, 5);
  }
}

static void dead_member_is_down_within_the_promised_time(void **state) {
  struct scene *scene = *state;
  create_store(scene);
  start(scene, true);
  await_message(scene, CHANNEL_READY, 1);
  await_record(scene, "a", HEALTH_UP, 1);
  await_record(scene, "b", HEALTH_UP, 2);
  close(scene->listeners[1]);
  scene->listeners[1] = -1;
  struct health_record record = await_record(scene, "b", HEALTH_DOWN, 0);
  assert_in_range(house_now_ms(&scene->child.house) - record.last_good_ms, 0, FALL * INTERVAL_MS + TIMEOUT_MS + 100);
  assert_string_equal(record.reason, "connection refused");
  member_listens(scene, 1);
  await_record(scene, "b", HEALTH_UP, 1);
  assert_true(atomic_load(&board->gauges[BOARD_PROBE_RESULTS]) > 4);
  assert_int_equal(atomic_load(&board->gauges[BOARD_PROBE_GENERATION]), 1);
  stop(scene);
}

static void state_goes_on_over_a_restart(void **state) {
  struct scene *scene = *state;
  create_store(scene);
  start(scene, true);
  await_message(scene, CHANNEL_READY, 1);
  struct health_record before = await_record(scene, "a", HEALTH_UP, 2);
  assert_int_equal(shutdown(scene->channel, SHUT_RDWR), 0);
  await_end(scene);
  start(scene, true);
  await_message(scene, CHANNEL_READY, 1);
  struct health_record after = await_record(scene, "a", HEALTH_UP, before.passed + 2);
  assert_int_equal(after.since_ms, before.since_ms);
  assert_int_equal(after.failed, 0);
  stop(scene);
}

static void send_config(struct scene *scene, const char *text, uint64_t generation) {
  int fd = memfd_create("config", MFD_CLOEXEC);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  message = (struct channel_message){.kind = CHANNEL_CONFIG, .generation = generation, .fd_count = 1, .fds = {fd}};
  message.length = (size_t)snprintf(message.text, sizeof message.text, "test.yaml");
  assert_int_equal(channel_send(scene->channel, &message), STATUS_OK);
  close(fd);
}

static void reload_keeps_what_stays_and_drops_what_goes(void **state) {
  struct scene *scene = *state;
  struct health_record record;
  create_store(scene);
  start(scene, true);
  await_message(scene, CHANNEL_READY, 1);
  struct health_record before = await_record(scene, "a", HEALTH_UP, 2);
  await_record(scene, "b", HEALTH_UP, 1);
  char *text = config_text(scene, false);
  send_config(scene, text, 2);
  await_message(scene, CHANNEL_TAKEN, 2);
  struct health_record after = await_record(scene, "a", HEALTH_UP, before.passed + 2);
  assert_int_equal(after.since_ms, before.since_ms);
  assert_false(read_record(scene, "b", &record));
  free(text);
  text = config_text(scene, true);
  send_config(scene, text, 3);
  await_message(scene, CHANNEL_TAKEN, 3);
  await_record(scene, "b", HEALTH_UP, 1);
  free(text);
  stop(scene);
}

static void rows_of_what_is_no_longer_configured_go_at_start(void **state) {
  struct scene *scene = *state;
  struct health_record record;
  create_store(scene);
  start(scene, true);
  await_message(scene, CHANNEL_READY, 1);
  await_record(scene, "a", HEALTH_UP, 1);
  await_record(scene, "b", HEALTH_UP, 1);
  stop(scene);
  start(scene, false);
  await_message(scene, CHANNEL_READY, 1);
  stop(scene);
  assert_false(read_record(scene, "b", &record));
  assert_true(read_record(scene, "a", &record));
}

/* The configured text, with services that take registrations. */
static char *accepting_text(const struct scene *scene) {
  char *text = config_text(scene, false);
  char *longer = mem_format("%s"
                            "  - {name: app.example.com, monitors: [port], when_down: empty, accept: {tokens: [app]}}\n"
                            "  - {name: \"*.apps.example.com\", monitors: [port], when_down: empty, "
                            "accept: {tokens: [app], services: 4}}\n",
                            text);
  free(text);
  return longer;
}

static void registered_member_is_probed_at_once(void **state) {
  struct scene *scene = *state;
  scene->interval_ms = 5000;
  create_store(scene);
  start_with(scene, accepting_text(scene), 0);
  await_message(scene, CHANNEL_READY, 1);
  int64_t began_ms = mono_now_ms();
  change_registration(scene, "app.example.com", "app-r1", true);
  await_record_of(scene, "app.example.com", "app-r1", HEALTH_UP, 1);
  assert_in_range(mono_now_ms() - began_ms, 0, 1000);
  change_registration(scene, "one.apps.example.com", "app-r2", true);
  await_record_of(scene, "one.apps.example.com", "app-r2", HEALTH_UP, 1);
  assert_in_range(mono_now_ms() - began_ms, 0, 2000);
  stop(scene);
}

static void member_that_goes_is_no_longer_probed(void **state) {
  struct scene *scene = *state;
  create_store(scene);
  change_registration(scene, "app.example.com", "app-r1", true);
  change_registration(scene, "app.example.com", "app-r2", true);
  change_registration(scene, "one.apps.example.com", "app-r3", true);
  start_with(scene, accepting_text(scene), 0);
  await_message(scene, CHANNEL_READY, 1);
  await_record_of(scene, "app.example.com", "app-r1", HEALTH_UP, 1);
  struct health_record before = await_record_of(scene, "app.example.com", "app-r2", HEALTH_UP, 1);
  await_record_of(scene, "one.apps.example.com", "app-r3", HEALTH_UP, 1);
  change_registration(scene, "app.example.com", "app-r1", false);
  change_registration(scene, "one.apps.example.com", "app-r3", false);
  await_no_record(scene, "app.example.com", "app-r1");
  await_no_record(scene, "one.apps.example.com", "app-r3");
  struct health_record after = await_record_of(scene, "app.example.com", "app-r2", HEALTH_UP, before.passed + 3);
  assert_int_equal(after.since_ms, before.since_ms);
  struct health_record record;
  assert_false(read_record_of(scene, "app.example.com", "app-r1", &record));
  stop(scene);
}

static void reload_and_restart_keep_what_is_known_of_registered_members(void **state) {
  struct scene *scene = *state;
  create_store(scene);
  change_registration(scene, "app.example.com", "app-r1", true);
  start_with(scene, accepting_text(scene), 0);
  await_message(scene, CHANNEL_READY, 1);
  struct health_record before = await_record_of(scene, "app.example.com", "app-r1", HEALTH_UP, 2);
  char *text = accepting_text(scene);
  send_config(scene, text, 2);
  free(text);
  await_message(scene, CHANNEL_TAKEN, 2);
  struct health_record after = await_record_of(scene, "app.example.com", "app-r1", HEALTH_UP, before.passed + 2);
  assert_int_equal(after.since_ms, before.since_ms);
  stop(scene);
  start_with(scene, accepting_text(scene), 0);
  await_message(scene, CHANNEL_READY, 1);
  after = await_record_of(scene, "app.example.com", "app-r1", HEALTH_UP, after.passed + 2);
  assert_int_equal(after.since_ms, before.since_ms);
  text = config_text(scene, false);
  send_config(scene, text, 2);
  free(text);
  await_message(scene, CHANNEL_TAKEN, 2);
  await_no_record(scene, "app.example.com", "app-r1");
  stop(scene);
}

static void rows_of_registered_members_stay_while_registrations_cannot_be_read(void **state) {
  struct scene *scene = *state;
  struct health_record record;
  create_store(scene);
  change_registration(scene, "app.example.com", "app-r1", true);
  start_with(scene, accepting_text(scene), 0);
  await_message(scene, CHANNEL_READY, 1);
  struct health_record before = await_record_of(scene, "app.example.com", "app-r1", HEALTH_UP, 1);
  stop(scene);
  char from[96], to[96];
  snprintf(from, sizeof from, "%s/store", scene->directory);
  snprintf(to, sizeof to, "%s/away", scene->directory);
  assert_int_equal(rename(from, to), 0);
  int64_t results = atomic_load(&board->gauges[BOARD_PROBE_RESULTS]);
  start_with(scene, accepting_text(scene), 0);
  await_message(scene, CHANNEL_READY, 1);
  int64_t end_ms = mono_now_ms() + PATIENCE_MS;
  while (atomic_load(&board->gauges[BOARD_PROBE_RESULTS]) < results + 3) {
    assert_true(mono_now_ms() < end_ms);
    poll(NULL, 0, 5);
  }
  assert_true(read_record_of(scene, "app.example.com", "app-r1", &record));
  assert_int_equal(rename(to, from), 0);
  record = await_record_of(scene, "app.example.com", "app-r1", HEALTH_UP, before.passed + 2);
  assert_int_equal(record.since_ms, before.since_ms);
  stop(scene);
}

static void process_lives_without_a_store_and_writes_when_there_is_one(void **state) {
  struct scene *scene = *state;
  int64_t before = atomic_load(&board->gauges[BOARD_PROBE_RESULTS]);
  start(scene, true);
  await_message(scene, CHANNEL_READY, 1);
  int64_t end_ms = mono_now_ms() + PATIENCE_MS;
  while (atomic_load(&board->gauges[BOARD_PROBE_RESULTS]) < before + 4) {
    assert_true(mono_now_ms() < end_ms);
    poll(NULL, 0, 5);
  }
  create_store(scene);
  struct health_record record = await_record(scene, "a", HEALTH_UP, 2);
  assert_true(record.since_ms < record.last_ms);
  stop(scene);
}

static void no_more_run_at_once_than_there_is_room_for(void **state) {
  struct scene *scene = *state;
  enum { MEMBERS = 150, DESCRIPTORS = 160, ROOM = DESCRIPTORS - 64 };
  /* every address is served by a listener whose backlog is full, so that each probe lasts as long as its time-out */
  close(scene->listeners[0]);
  close(scene->listeners[1]);
  scene->listeners[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(scene->port)};
  assert_int_equal(bind(scene->listeners[0], (struct sockaddr *)&any, sizeof any), 0);
  assert_int_equal(listen(scene->listeners[0], 0), 0);
  scene->listeners[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  connect(scene->listeners[1], (struct sockaddr *)&any, sizeof any);

  char *text = config_text(scene, true);
  for (int i = 1; i <= MEMBERS; i++) {
    char *longer = mem_format("%s      - {name: m%d, addresses: [127.0.1.%d]}\n", text, i, i);
    free(text);
    text = longer;
  }
  create_store(scene);
  int64_t results = atomic_load(&board->gauges[BOARD_PROBE_RESULTS]), most = 0;
  atomic_store(&board->gauges[BOARD_PROBE_LATE_US], 0);
  start_with(scene, text, DESCRIPTORS);
  await_message(scene, CHANNEL_READY, 1);
  int64_t end_ms = mono_now_ms() + PATIENCE_MS;
  while (atomic_load(&board->gauges[BOARD_PROBE_RESULTS]) < results + 2 * MEMBERS ||
         atomic_load(&board->gauges[BOARD_PROBE_LATE_US]) < TIMEOUT_MS * 100) {
    assert_true(mono_now_ms() < end_ms);
    int64_t running = atomic_load(&board->gauges[BOARD_PROBE_RUNNING]);
    most = running > most ? running : most;
    poll(NULL, 0, 1);
  }
  assert_int_equal(most, ROOM);
  stop(scene);
  assert_int_equal(atomic_load(&board->gauges[BOARD_PROBE_RUNNING]), 0);
}

#define SCHEDULE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      SCHEDULE_TEST(dead_member_is_down_within_the_promised_time),
      SCHEDULE_TEST(state_goes_on_over_a_restart),
      SCHEDULE_TEST(reload_keeps_what_stays_and_drops_what_goes),
      SCHEDULE_TEST(rows_of_what_is_no_longer_configured_go_at_start),
      SCHEDULE_TEST(registered_member_is_probed_at_once),
      SCHEDULE_TEST(member_that_goes_is_no_longer_probed),
      SCHEDULE_TEST(reload_and_restart_keep_what_is_known_of_registered_members),
      SCHEDULE_TEST(rows_of_registered_members_stay_while_registrations_cannot_be_read),
      SCHEDULE_TEST(no_more_run_at_once_than_there_is_room_for),
      SCHEDULE_TEST(process_lives_without_a_store_and_writes_when_there_is_one),
  };
  return cmocka_run_group_tests(tests, make_board, NULL);
}
