#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/model/records.h"
#include "probes/demand.h"
#include "tests/unit/base/directory.h"

struct scene {
  char directory[64];
  struct store *store;
  struct board *board;
  struct config config;
  struct config_monitor monitor;
  uint32_t monitors[1];
  struct config_member member;
  struct config_service service;
  struct demand *demand;
};

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  struct board_bell bell;
  int fd;
  snprintf(scene->directory, sizeof scene->directory, "/tmp/gslb-demand-XXXXXX");
  assert_non_null(mkdtemp(scene->directory));
  assert_int_equal(store_open(scene->directory, STORE_DURABLE, STORE_CREATE, &scene->store, NULL), STATUS_OK);
  assert_int_equal(board_create(&scene->board, &bell, &fd, NULL), STATUS_OK);
  board_use_workers(scene->board, 1);
  scene->monitor.idle_factor = 4;
  scene->member.name = "m1";
  scene->service = (struct config_service){.name = "www.example.com",
                                           .monitors = scene->monitors,
                                           .monitor_count = 1,
                                           .members = &scene->member,
                                           .member_count = 1};
  scene->config =
      (struct config){.monitors = &scene->monitor, .monitor_count = 1, .services = &scene->service, .service_count = 1};
  scene->demand = demand_new(&scene->config, scene->board, 1000);
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  demand_free(scene->demand);
  store_close(scene->store);
  int result = directory_remove(scene->directory);
  free(scene);
  return result;
}

static const struct config_service *service_at(const void *context, size_t service) {
  const struct scene *scene = context;
  assert_int_equal(service, 0);
  return &scene->service;
}

static void look(struct scene *scene, int64_t now_ms) {
  demand_look(scene->demand, scene->store, service_at, scene, now_ms);
}

static void give_slot(struct scene *scene, uint32_t slot) {
  struct store_txn *txn;
  struct record_key key;
  uint8_t bytes[RECORD_SIZE_MOST];
  record_key_member("www.example.com", "m1", &key);
  size_t size = slot_encode(&(struct slot_record){.slot = slot}, bytes);
  assert_int_equal(store_begin(scene->store, true, &txn, NULL), STATUS_OK);
  assert_int_equal(store_put(txn, STORE_DB_SLOTS, (struct store_bytes){key.bytes, key.size},
                             (struct store_bytes){bytes, size}, NULL),
                   STATUS_OK);
  assert_int_equal(store_commit(txn, NULL), STATUS_OK);
}

static void service_whose_counters_are_not_known_counts_as_asked_for(void **state) {
  struct scene *scene = *state;
  look(scene, 2000);
  look(scene, 90000);
  assert_int_equal(demand_quiet_ms(scene->demand, 0, 90000), 0);
}

static void quiet_counts_from_the_last_answer(void **state) {
  struct scene *scene = *state;
  give_slot(scene, 17);
  look(scene, 2000);
  look(scene, 9000);
  assert_int_equal(demand_quiet_ms(scene->demand, 0, 9000), 8000);
  atomic_store(&scene->board->answers[0][17], 1);
  look(scene, 10000);
  assert_int_equal(demand_quiet_ms(scene->demand, 0, 10000), 0);
  look(scene, 12000);
  assert_int_equal(demand_quiet_ms(scene->demand, 0, 12000), 2000);
}

static void slots_that_come_later_are_found(void **state) {
  struct scene *scene = *state;
  look(scene, 2000);
  give_slot(scene, 3);
  look(scene, 9000);
  look(scene, 11000);
  assert_int_equal(demand_quiet_ms(scene->demand, 0, 11000), 9000);
  demand_members_changed(scene->demand, 0);
  assert_int_equal(demand_quiet_ms(scene->demand, 0, 11000), 0);
}

#define DEMAND_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      DEMAND_TEST(service_whose_counters_are_not_known_counts_as_asked_for),
      DEMAND_TEST(quiet_counts_from_the_last_answer),
      DEMAND_TEST(slots_that_come_later_are_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
