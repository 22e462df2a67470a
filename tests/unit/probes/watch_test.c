#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probes/watch.h"

static uint32_t monitor_indices[] = {0, 1};

struct scene {
  struct config config;
  struct config_monitor monitors[2];
  struct config_service services[2];
  struct config_member members[2];
  struct addr addresses[3];
  struct watch_list list;
};

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->monitors[0] = (struct config_monitor){.name = "web", .port = 8080, .interval_ms = 1000, .path = "/"};
  scene->monitors[1] = (struct config_monitor){.name = "port", .type = MONITOR_TCP, .port = 22, .interval_ms = 500};
  addr_parse("127.0.0.11", &scene->addresses[0]);
  addr_parse("::1", &scene->addresses[1]);
  addr_parse("127.0.0.12", &scene->addresses[2]);
  scene->members[0] =
      (struct config_member){.name = "m1", .addresses = scene->addresses, .address_count = 2, .monitors = 3};
  scene->members[1] =
      (struct config_member){.name = "m2", .addresses = scene->addresses + 2, .address_count = 1, .monitors = 3};
  struct config_service both = {.name = "b.example.com",
                                .monitors = monitor_indices,
                                .monitor_count = 2,
                                .members = scene->members,
                                .member_count = 2};
  scene->services[0] = scene->services[1] = both;
  scene->services[1].name = "a.example.com";
  scene->services[1].monitor_count = 1;
  scene->config =
      (struct config){.monitors = scene->monitors, .monitor_count = 2, .services = scene->services, .service_count = 2};
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  watch_list_release(&scene->list);
  free(scene);
  return 0;
}

static void each_address_is_watched_by_each_monitor_of_its_service(void **state) {
  struct scene *scene = *state;
  watch_list_build(&scene->config, &scene->services[0], &scene->list);
  assert_int_equal(scene->list.count, 6);
  for (size_t i = 0; i < scene->list.count; i++) {
    struct watch *watch = scene->list.items[i];
    assert_ptr_equal(watch_list_find(&scene->list, &watch->row.key), watch);
    assert_int_equal(watch->target.address.port, watch->target.monitor->port);
    /* the journal reads the service's name off the key */
    assert_string_equal((const char *)watch->row.key.bytes, watch->target.service);
    assert_true(strcmp(watch_member(watch), "m1") == 0 || strcmp(watch_member(watch), "m2") == 0);
  }
  struct record_key key;
  record_key_probe("a.example.com", "m1", &scene->addresses[0], "port", &key);
  assert_null(watch_list_find(&scene->list, &key));
}

static void monitor_that_does_not_apply_to_a_member_does_not_watch_it(void **state) {
  struct scene *scene = *state;
  scene->members[0].monitors = 2;
  scene->members[1].monitors = 0;
  watch_list_build(&scene->config, &scene->services[0], &scene->list);
  assert_int_equal(scene->list.count, 2);
  assert_string_equal(scene->list.items[0]->target.monitor->name, "port");
  assert_string_equal(watch_member(scene->list.items[0]), "m1");
}

static void what_is_named_twice_is_watched_once(void **state) {
  struct scene *scene = *state;
  scene->members[1] = scene->members[0];
  watch_list_build(&scene->config, &scene->services[0], &scene->list);
  assert_int_equal(scene->list.count, 4);
}

static void list_needs_no_names_of_the_service_that_it_was_built_from(void **state) {
  struct scene *scene = *state;
  char service[] = "b.example.com", member[] = "m1";
  scene->services[0].name = service;
  scene->members[0].name = member;
  watch_list_build(&scene->config, &scene->services[0], &scene->list);
  memset(service, 'x', sizeof service - 1);
  memset(member, 'x', sizeof member - 1);
  assert_string_equal(scene->list.items[0]->target.service, "b.example.com");
  assert_string_equal(watch_member(scene->list.items[0]), "m1");
}

static void vacancies_and_patterns_have_no_watches(void **state) {
  struct scene *scene = *state;
  struct config_service vacancy = scene->services[0], pattern = scene->services[0];
  vacancy.name = "";
  watch_list_build(&scene->config, &vacancy, &scene->list);
  assert_int_equal(scene->list.count, 0);
  pattern.accept.services_most = 4;
  pattern.pattern = CONFIG_NO_PATTERN;
  watch_list_build(&scene->config, &pattern, &scene->list);
  assert_int_equal(scene->list.count, 0);
  struct record_key key;
  record_key_service("a", &key);
  assert_null(watch_list_find(&scene->list, &key));
}

static void monitor_address_is_probed_for_every_address(void **state) {
  struct scene *scene = *state;
  addr_parse("127.0.0.99", &scene->members[0].monitor_address);
  scene->services[0].member_count = 1;
  scene->members[0].monitors = 1;
  watch_list_build(&scene->config, &scene->services[0], &scene->list);
  assert_int_equal(scene->list.count, 2);
  for (size_t i = 0; i < 2; i++) {
    struct addr expected = scene->members[0].monitor_address;
    expected.port = 8080;
    assert_true(addr_equal(&scene->list.items[i]->target.address, &expected));
  }
  assert_int_equal(probe_target_compare(&scene->list.items[0]->target, &scene->list.items[1]->target), 0);
  assert_false(addr_equal(&scene->list.items[0]->address, &scene->list.items[1]->address));
}

static void monitors_that_are_decided_are_not_watched(void **state) {
  struct scene *scene = *state;
  scene->monitors[0].type = MONITOR_SERVICE;
  scene->monitors[1].type = MONITOR_CALCULATED;
  watch_list_build(&scene->config, &scene->services[0], &scene->list);
  assert_int_equal(scene->list.count, 0);
}

static void watch_begins_as_its_monitor_says(void **state) {
  struct scene *scene = *state;
  scene->monitors[0].starts_as = HEALTH_UP;
  watch_list_build(&scene->config, &scene->services[0], &scene->list);
  for (size_t i = 0; i < scene->list.count; i++) {
    const struct watch *watch = scene->list.items[i];
    assert_int_equal(watch->record.state, watch->target.monitor == &scene->monitors[0] ? HEALTH_UP : HEALTH_UNKNOWN);
  }
}

#define WATCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      WATCH_TEST(each_address_is_watched_by_each_monitor_of_its_service),
      WATCH_TEST(what_is_named_twice_is_watched_once),
      WATCH_TEST(monitor_that_does_not_apply_to_a_member_does_not_watch_it),
      WATCH_TEST(list_needs_no_names_of_the_service_that_it_was_built_from),
      WATCH_TEST(vacancies_and_patterns_have_no_watches),
      WATCH_TEST(monitor_address_is_probed_for_every_address),
      WATCH_TEST(monitors_that_are_decided_are_not_watched),
      WATCH_TEST(watch_begins_as_its_monitor_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
