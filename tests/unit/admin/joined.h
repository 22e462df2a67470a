/* tests/unit/admin/joined.h
 * Registrations for the tests of gslb/admin: a configuration that takes them, and rows as the registry stores them. */
#ifndef TESTS_UNIT_ADMIN_JOINED_H
#define TESTS_UNIT_ADMIN_JOINED_H

#include "tests/unit/admin/house.h"

#include "gslb/model/registration.h"

#define JOINED_EMPTY_INTERVAL_MS 60000

static const char joined_text[] =
    "server: {identity: lb1.example.net, state: ./state, listen: [\"127.0.0.1@5300\"]}\n"
    "zones: [{name: example.com, file: example.com.zone}]\n"
    "sites: [{name: fra, location: [50.11, 8.68]}]\n"
    "monitors:\n"
    "  - {name: port, type: tcp, port: 8080, interval: 1s, timeout: 300ms, rise: 1, fall: 2}\n"
    "services:\n"
    "  - name: app.example.com\n"
    "    when_down: empty\n"
    "    accept: {tokens: [app]}\n"
    "    on_empty: [/bin/true, app]\n"
    "    on_empty_interval: 60s\n"
    "  - name: web.example.com\n"
    "    monitors: [port]\n"
    "    accept: {tokens: [app]}\n"
    "    members: [{name: fixed, addresses: [127.0.0.31]}]\n"
    "  - name: \"*.on.example.com\"\n"
    "    accept: {tokens: [app], services: 2}\n";

static inline struct config *joined_config(void) {
  struct problems problems = {0};
  struct config *config = config_parse("/tmp/gslb.yaml", joined_text, strlen(joined_text), &problems);
  if (!config) {
    char *text = problems_format(&problems);
    fail_msg("%s", text);
  }
  problems_release(&problems);
  return config;
}

static inline void joined_member(struct test_house *house, const char *service, const char *id) {
  static const char *const labels[] = {"rack=r7", "bare", NULL};
  struct member_record record = {.addresses = {{.family = 4, .bytes = {127, 0, 0, 77}}},
                                 .address_count = 1,
                                 .site = "fra",
                                 .weight = 2,
                                 .tier = 1,
                                 .port = 8080,
                                 .instance = "Web 1",
                                 .txt = labels};
  struct record_key key;
  size_t size;
  uint8_t *value = member_encode(&record, &size);
  record_key_member(service, id, &key);
  house_put(house->durable, STORE_DB_MEMBERS, &key, value, size, service);
  free(value);
}

static inline void joined_lease(struct test_house *house, const char *service, const char *id, enum lease_state state,
                                enum health self) {
  struct lease_record record = {.state = state,
                                .end_ms = HOUSE_NOW_MS + 30000,
                                .since_ms = HOUSE_NOW_MS - 3000,
                                .renewed_ms = HOUSE_NOW_MS - 1000,
                                .self = self,
                                .self_reason = "kernel",
                                .utilization = 0.25};
  struct record_key key = {.size = strlen(id)};
  memcpy(key.bytes, id, key.size);
  uint8_t value[RECORD_SIZE_MOST];
  size_t size = lease_encode(&record, value);
  house_put(house->live, STORE_DB_LEASES, &key, value, size, service);
}

static inline void joined_leave(struct test_house *house, const char *service, const char *id) {
  struct record_key key;
  struct store_txn *txn;
  struct errbuf err;
  record_key_member(service, id, &key);
  assert_int_equal(store_begin(house->durable, true, &txn, &err), STATUS_OK);
  assert_int_equal(store_delete(txn, STORE_DB_MEMBERS, (struct store_bytes){key.bytes, key.size}, &err), STATUS_OK);
  assert_int_equal(store_mark_changed(txn, service, &err), STATUS_OK);
  assert_int_equal(store_commit(txn, &err), STATUS_OK);
}

#endif
