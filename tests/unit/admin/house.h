/* tests/unit/admin/house.h
 * A small house for the tests of gslb/admin: a configuration, both stores in a directory of its own, a board. */
#ifndef TESTS_UNIT_ADMIN_HOUSE_H
#define TESTS_UNIT_ADMIN_HOUSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "gslb/model/board.h"
#include "gslb/model/config.h"
#include "gslb/model/records.h"
#include "gslb/model/store.h"

#define HOUSE_NOW_MS 1795000000000

static const char house_text[] =
    "server: {identity: lb1.example.net, state: ./state, listen: [\"127.0.0.1@5300\"]}\n"
    "zones:\n"
    "  - {name: example.com, file: example.com.zone, transfer: {allow: [127.0.0.1], balanced: freeze}}\n"
    "  - {name: copy.example.net, primaries: [127.0.0.9@5353, \"::1@53\"]}\n"
    "  - {name: 0/25.2.0.192.in-addr.arpa, file: reverse.zone}\n"
    "sites:\n"
    "  - {name: fra, location: [50.11, 8.68]}\n"
    "monitors:\n"
    "  - {name: port, type: tcp, port: 8080, interval: 1s, timeout: 300ms, rise: 1, fall: 2}\n"
    "services:\n"
    "  - name: www.example.com\n"
    "    monitors: [port]\n"
    "    when_down: last\n"
    "    members:\n"
    "      - {name: one, site: fra, addresses: [127.0.0.11, \"::1\"], weight: 3}\n"
    "      - {name: two, addresses: [127.0.0.12]}\n"
    "  - name: api.example.com\n"
    "    monitors: [port]\n"
    "    members:\n"
    "      - {name: one, addresses: [127.0.0.21]}\n";

struct test_house {
  char directory[64];
  struct store *durable, *live;
  struct board *board;
  struct board_bell bell;
  int board_fd;
};

static inline struct config *house_config(void) {
  struct problems problems = {0};
  struct config *config = config_parse("/tmp/gslb.yaml", house_text, strlen(house_text), &problems);
  if (!config) {
    char *text = problems_format(&problems);
    fail_msg("%s", text);
  }
  problems_release(&problems);
  return config;
}

static inline int house_setup(void **state) {
  struct test_house *house = mem_alloc(sizeof *house);
  struct errbuf err;
  strcpy(house->directory, "/tmp/gslb-unit-XXXXXX");
  assert_non_null(mkdtemp(house->directory));
  char *path = mem_format("%s/durable", house->directory);
  assert_int_equal(store_open(path, STORE_DURABLE, STORE_CREATE, &house->durable, &err), STATUS_OK);
  free(path);
  path = mem_format("%s/run", house->directory);
  assert_int_equal(store_open(path, STORE_LIVE, STORE_CREATE, &house->live, &err), STATUS_OK);
  free(path);
  assert_int_equal(board_create(&house->board, &house->bell, &house->board_fd, &err), STATUS_OK);
  board_use_workers(house->board, 1);
  *state = house;
  return 0;
}

static inline int house_teardown(void **state) {
  struct test_house *house = *state;
  store_close(house->durable);
  store_close(house->live);
  char *command = mem_format("rm -rf '%s'", house->directory);
  int failed = system(command);
  free(command);
  free(house);
  return failed;
}

static inline void house_put(struct store *store, enum store_db db, const struct record_key *key, const void *value,
                             size_t size, const char *service) {
  struct store_txn *txn;
  struct errbuf err;
  assert_int_equal(store_begin(store, true, &txn, &err), STATUS_OK);
  assert_int_equal(store_put(txn, db, (struct store_bytes){key->bytes, key->size}, (struct store_bytes){value, size},
                             &err),
                   STATUS_OK);
  assert_int_equal(store_mark_changed(txn, service, &err), STATUS_OK);
  assert_int_equal(store_commit(txn, &err), STATUS_OK);
}

/* What the port monitor knows of an address. */
static inline void house_probe(struct test_house *house, const char *service, const char *member, const char *address,
                               enum health state, const char *reason) {
  struct health_record record = {.state = state,
                                 .last_passed = state == HEALTH_UP,
                                 .since_ms = HOUSE_NOW_MS - 5000,
                                 .last_ms = HOUSE_NOW_MS - 200,
                                 .last_good_ms = state == HEALTH_UP ? HOUSE_NOW_MS - 200 : 0,
                                 .rtt_us = 1500,
                                 .rtt_mean_us = 1400};
  snprintf(record.reason, sizeof record.reason, "%s", reason);
  struct addr addr;
  assert_int_equal(addr_parse(address, &addr), STATUS_OK);
  struct record_key key;
  record_key_probe(service, member, &addr, "port", &key);
  uint8_t value[RECORD_SIZE_MOST];
  size_t size = health_encode(&record, value);
  house_put(house->live, STORE_DB_HEALTH, &key, value, size, service);
}

static inline void house_override(struct test_house *house, const char *service, const char *member,
                                  enum override_kind kind, int64_t until_ms) {
  struct override_record record = {.kind = kind,
                                   .set_ms = HOUSE_NOW_MS - 1000,
                                   .until_ms = until_ms,
                                   .who = "ann",
                                   .why = "disk"};
  struct record_key key;
  record_key_member(service, member, &key);
  uint8_t value[RECORD_SIZE_MOST];
  size_t size = override_encode(&record, value);
  house_put(house->durable, STORE_DB_ADMIN, &key, value, size, service);
}

#endif
