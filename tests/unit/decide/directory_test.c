/* The facts and the evaluation are the test's own: what a directory makes of them is what counts here. */
#include "gslb/decide/directory.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SERVICES 3
#define MEMBERS 3

struct facts {
  struct balancer_facts balancers[3];
  size_t balancer_count;
  struct service_facts services[SERVICES];
};

struct world {
  struct arena arena;
  struct facts facts;
  struct config config;
  struct config_zone zone;
  struct config_service services[SERVICES];
  struct config_member members[SERVICES][MEMBERS];
  struct addr addresses[SERVICES][MEMBERS];
  struct directory_wish wish;
  struct directory directory;
};

static struct member_state states[SERVICES][MEMBERS];
static struct address_state address_states[SERVICES][MEMBERS];
static struct member_state *many; /* in place of the first service's */

const struct balancer_facts *facts_balancers(const struct facts *facts, size_t *count) {
  *count = facts->balancer_count;
  return facts->balancers;
}

const struct service_facts *facts_service(const struct facts *facts, size_t service) {
  return &facts->services[service];
}

void evaluate_service(const struct config *config, const struct service_facts *facts, int64_t now_ms,
                      struct arena *arena, struct evaluation *out) {
  size_t index = (size_t)(facts->service - config->services);
  (void)arena;
  *out = (struct evaluation){.ttl_s = 20 + (uint32_t)index,
                             .valid_until_ms = now_ms + 1000,
                             .members = many ? many : states[index]};
}

static void put_balancer(struct world *world, const char *identity, const char *name, const char *address,
                         bool is_own) {
  struct balancer_facts *balancer = &world->facts.balancers[world->facts.balancer_count++];
  strcpy(balancer->identity, identity);
  strcpy(balancer->record.name, name);
  balancer->record.is_alive = balancer->record.is_accepting = true;
  balancer->record.is_own = is_own;
  balancer->record.priority = 10;
  balancer->record.weight = 5;
  balancer->record.address_count = 1;
  assert_int_equal(addr_parse_port(address, &balancer->record.addresses[0]), STATUS_OK);
}

static int set_up(void **state) {
  static const char *names[SERVICES] = {"app.example.com", "web.example.com", "example.com"};
  struct world *world = mem_alloc(sizeof *world);
  world->zone.name = "example.com";
  world->config =
      (struct config){.zones = &world->zone, .zone_count = 1, .services = world->services, .service_count = SERVICES};
  for (int i = 0; i < SERVICES; i++) {
    world->services[i] = (struct config_service){.name = names[i],
                                                 .srv = "_http._tcp",
                                                 .srv_priority = 1,
                                                 .pattern = CONFIG_NO_PATTERN,
                                                 .members = world->members[i],
                                                 .member_count = i == 0 ? MEMBERS : 1};
    world->facts.services[i].service = &world->services[i];
    for (int j = 0; j < MEMBERS; j++) {
      static const char *member_names[MEMBERS] = {"m1", "m2", "m3"};
      char text[32];
      snprintf(text, sizeof text, "127.0.%d.%d", i, j + 1);
      addr_parse(text, &world->addresses[i][j]);
      world->members[i][j] = (struct config_member){.name = member_names[j],
                                                    .addresses = &world->addresses[i][j],
                                                    .address_count = 1,
                                                    .weight = 10,
                                                    .srv_port = 8080};
      address_states[i][j] = (struct address_state){.is_answered = true};
      states[i][j] =
          (struct member_state){.is_answered = true, .weight = 10, .headroom = 1.0, .addresses = &address_states[i][j]};
    }
  }
  world->wish.origin = "example.com";
  *state = world;
  return 0;
}

static int tear_down(void **state) {
  struct world *world = *state;
  arena_release(&world->arena);
  free(world);
  return 0;
}

static void build(struct world *world) {
  directory_build(&world->config, &world->facts, 0, 500, &world->wish, &world->arena, &world->directory);
}

/* "owner ttl type data", as the tests compare them; wire names in data keep their case. */
static void describe(const struct directory_record *record, char *out, size_t size) {
  char owner[NAME_TEXT_SIZE], data[2 * NAME_TEXT_SIZE] = "";
  const uint8_t *bytes = record->data;
  name_to_text(record->owner.wire, owner);
  switch (record->type) {
  case DIRECTORY_PTR:
    name_to_text(bytes, data);
    break;
  case DIRECTORY_SRV: {
    char target[NAME_TEXT_SIZE];
    snprintf(data, sizeof data, "%d %d %d %s", bytes[0] << 8 | bytes[1], bytes[2] << 8 | bytes[3],
             bytes[4] << 8 | bytes[5], name_to_text(bytes + 6, target));
    break;
  }
  case DIRECTORY_TXT:
    for (size_t at = 0, used = 0; at < record->size; at += 1u + bytes[at])
      used += (size_t)snprintf(data + used, sizeof data - used, "[%.*s]", bytes[at], (const char *)bytes + at + 1);
    break;
  default:
    inet_ntop(record->type == DIRECTORY_A ? AF_INET : AF_INET6, bytes, data, sizeof data);
  }
  snprintf(out, size, "%s %u %u %s", owner, record->ttl_s, record->type, data);
}

static bool has(const struct world *world, const char *expected) {
  char text[3 * NAME_TEXT_SIZE];
  for (size_t i = 0; i < world->directory.count; i++) {
    describe(&world->directory.records[i], text, sizeof text);
    if (strcmp(text, expected) == 0)
      return true;
  }
  print_message("not there: %s\n", expected);
  for (size_t i = 0; i < world->directory.count; i++) {
    describe(&world->directory.records[i], text, sizeof text);
    print_message("  %s\n", text);
  }
  return false;
}

static size_t count_type(const struct world *world, uint16_t type) {
  size_t count = 0;
  for (size_t i = 0; i < world->directory.count; i++)
    count += world->directory.records[i].type == type;
  return count;
}

static void register_names_every_balancer_that_accepts(void **state) {
  struct world *world = *state;
  world->wish.has_register = true;
  put_balancer(world, "lb1.example.net", "gslb-lb1", "127.0.0.1@8300", true);
  put_balancer(world, "lb2.example.net", "gslb-lb2", "::1@8400", false);
  put_balancer(world, "lb3.example.net", "gslb-lb3", "127.0.0.3@8300", false);
  world->facts.balancers[2].record.is_accepting = false;
  build(world);
  assert_int_equal(world->directory.count, 5);
  assert_true(has(world, "_gslb-register._tcp.example.com 10 33 10 5 8300 gslb-lb1.example.com"));
  assert_true(has(world, "_gslb-register._tcp.example.com 10 33 10 5 8400 gslb-lb2.example.com"));
  assert_true(has(world, "_gslb-register._tcp.example.com 10 16 [path=/v1][api=1][tls=0]"));
  assert_true(has(world, "gslb-lb1.example.com 10 1 127.0.0.1"));
  assert_true(has(world, "gslb-lb2.example.com 10 28 ::1"));
}

static void nothing_is_told_when_none_accepts(void **state) {
  struct world *world = *state;
  world->wish.has_register = true;
  put_balancer(world, "lb1.example.net", "gslb-lb1", "127.0.0.1@8300", true);
  world->facts.balancers[0].record.is_accepting = false;
  build(world);
  assert_int_equal(world->directory.count, 0);
}

static void balancers_of_the_other_kind_are_found_as_instances_alone(void **state) {
  struct world *world = *state;
  world->wish.has_register = world->wish.has_browse = true;
  world->config.service_count = 0;
  put_balancer(world, "lb1.example.net", "gslb-lb1", "127.0.0.1@8300", false);
  put_balancer(world, "lb2.example.net", "gslb-lb2", "127.0.0.2@8300", true);
  world->facts.balancers[1].record.is_tls = true;
  build(world);
  assert_true(has(world, "_gslb-register._tcp.example.com 10 33 10 5 8300 gslb-lb2.example.com"));
  assert_true(has(world, "_gslb-register._tcp.example.com 10 16 [path=/v1][api=1][tls=1]"));
  assert_true(has(world, "lb1\\.example\\.net._gslb-register._tcp.example.com 10 16 [path=/v1][api=1][tls=0]"));
  assert_true(has(world, "gslb-lb1.example.com 10 1 127.0.0.1"));
  assert_int_equal(count_type(world, DIRECTORY_SRV), 3);
}

static void browsing_leads_from_types_to_instances(void **state) {
  struct world *world = *state;
  static const char *const labels[] = {"rack=r7", "os=linux", NULL};
  world->wish.has_browse = true;
  world->members[0][0].instance = "Web Server 1.\xc3\xa9";
  world->members[0][0].txt = labels;
  states[0][1].is_answered = false;
  build(world);
  assert_true(has(world, "_services._dns-sd._udp.example.com 10 12 _http._tcp.example.com"));
  assert_true(has(world, "_http._tcp.example.com 20 12 Web\\032Server\\0321\\.\\195\\169._http._tcp.example.com"));
  assert_true(
      has(world, "web\\032server\\0321\\.\\195\\169._http._tcp.example.com 20 33 1 10 8080 m1.app.example.com"));
  assert_true(has(world, "web\\032server\\0321\\.\\195\\169._http._tcp.example.com 20 16 [service=app.example.com]"
                         "[rack=r7][os=linux]"));
  assert_true(has(world, "_http._tcp.example.com 20 12 m3\\.app._http._tcp.example.com"));
  assert_true(has(world, "m1\\.web._http._tcp.example.com 21 16 [service=web.example.com]"));
  assert_true(has(world, "m1._http._tcp.example.com 22 33 1 10 8080 m1.example.com"));
  assert_int_equal(count_type(world, DIRECTORY_PTR), 5);
  assert_int_equal(count_type(world, DIRECTORY_A), 0);
  assert_int_equal(world->directory.valid_until_ms, 1500);
}

static void colliding_instances_fall_back_and_then_vanish(void **state) {
  struct world *world = *state;
  world->wish.has_browse = true;
  world->members[0][0].instance = "m3.app"; /* what m3 would be called */
  world->members[0][1].instance = "M3.APP";
  build(world);
  assert_true(has(world, "m3\\.app._http._tcp.example.com 20 33 1 10 8080 m1.app.example.com"));
  assert_true(has(world, "m2\\.app._http._tcp.example.com 20 33 1 10 8080 m2.app.example.com"));
  assert_int_equal(count_type(world, DIRECTORY_SRV), 4);
}

static void long_instances_are_cut_between_characters(void **state) {
  struct world *world = *state;
  char name[80];
  memset(name, 'a', 62);
  strcpy(name + 62, "\xc3\xa9tail");
  world->wish.has_browse = true;
  world->config.service_count = 1;
  world->services[0].member_count = 1;
  world->members[0][0].instance = name;
  build(world);
  bool is_seen = false;
  for (size_t i = 0; i < world->directory.count; i++)
    is_seen |= world->directory.records[i].owner.wire[0] == 62;
  assert_true(is_seen);
}

static void a_long_service_name_leaves_the_key_out(void **state) {
  struct world *world = *state;
  char name[256] = "";
  for (int i = 0; i < 24; i++)
    strcat(name, "abcdefghi.");
  strcat(name, "abcdef.com"); /* 250 characters: with the key more than a string takes */
  world->zone.name = "com";
  world->wish.origin = "com";
  world->wish.has_browse = true;
  world->config.service_count = 1;
  world->services[0].member_count = 1;
  world->services[0].name = name;
  build(world);
  assert_true(
      has(world,
          "m1\\.abcdefghi\\.abcdefghi\\.abcdefghi\\.abcdefghi\\.abcdefghi\\.abcdefghi\\.._http._tcp.com 20 16 []"));
}

static void services_are_told_with_their_targets_below_another_origin(void **state) {
  struct world *world = *state;
  world->wish.has_services = true;
  world->wish.origin = "other.test";
  world->members[0][1].tier = 2;
  world->members[0][2].srv_port = 0;
  states[0][1].headroom = 0.5;
  build(world);
  assert_true(has(world, "_http._tcp.app.other.test 20 33 1 1000 8080 m1.app.other.test"));
  assert_true(has(world, "_http._tcp.app.other.test 20 33 3 500 8080 m2.app.other.test"));
  assert_true(has(world, "m2.app.other.test 20 1 127.0.0.2"));
  assert_true(has(world, "_http._tcp.other.test 22 33 1 10 8080 m1.other.test"));
  assert_int_equal(count_type(world, DIRECTORY_SRV), 4);
  assert_int_equal(count_type(world, DIRECTORY_A), 4);
}

static void what_agent_checks_say_of_weights_is_told(void **state) {
  struct world *world = *state;
  world->wish.has_services = world->wish.has_browse = true;
  world->config.service_count = 1;
  states[0][0].weight = 1000; /* 100 % of 10 */
  states[0][1].weight = 250;
  states[0][2].weight = 500;
  build(world);
  assert_true(has(world, "_http._tcp.app.example.com 20 33 1 65535 8080 m1.app.example.com"));
  assert_true(has(world, "_http._tcp.app.example.com 20 33 1 16384 8080 m2.app.example.com"));
  assert_true(has(world, "m2\\.app._http._tcp.example.com 20 33 1 16384 8080 m2.app.example.com"));
  assert_true(has(world, "m3\\.app._http._tcp.example.com 20 33 1 32768 8080 m3.app.example.com"));
}

static void patterns_vacancies_and_other_zones_are_passed_over(void **state) {
  struct world *world = *state;
  world->wish.has_services = world->wish.has_browse = true;
  world->services[0].accept.services_most = 3;
  world->services[1].name = "";
  world->services[2].zone = 1;
  build(world);
  assert_int_equal(world->directory.count, 0);
}

static void a_set_stays_within_its_bounds(void **state) {
  struct world *world = *state;
  static struct config_member members[2000];
  static struct member_state answered[2000];
  static char names[2000][16];
  struct config_service *service = &world->services[0];
  world->wish.has_browse = true;
  world->config.service_count = 1;
  for (int i = 0; i < 2000; i++) {
    snprintf(names[i], sizeof names[i], "m%d", i);
    members[i] = (struct config_member){.name = names[i], .weight = 1, .srv_port = 80};
    answered[i] = (struct member_state){.is_answered = true, .weight = 1, .headroom = 1.0};
  }
  service->members = members;
  service->member_count = 2000;
  many = answered;
  build(world);
  many = NULL;
  size_t bytes = 0;
  for (size_t i = 0; i < world->directory.count; i++)
    if (world->directory.records[i].type == DIRECTORY_PTR)
      bytes += 12 + world->directory.records[i].size;
  assert_in_range(count_type(world, DIRECTORY_PTR), 900, 1 + DIRECTORY_INSTANCES_MOST);
  assert_in_range(bytes, 30000, DIRECTORY_SET_BYTES_MOST + 100);
}

static void records_are_in_canonical_order_without_doubles(void **state) {
  struct world *world = *state;
  world->wish.has_register = world->wish.has_browse = world->wish.has_services = true;
  put_balancer(world, "lb1.example.net", "gslb-lb1", "127.0.0.1@8300", true);
  put_balancer(world, "lb2.example.net", "gslb-lb1", "127.0.0.1@8300", false);
  build(world);
  for (size_t i = 1; i < world->directory.count; i++) {
    const struct directory_record *before = &world->directory.records[i - 1], *record = before + 1;
    int order = directory_compare_owners(&before->owner, &record->owner);
    assert_true(order < 0 || (order == 0 && before->type <= record->type));
    if (order == 0 && before->type == record->type) {
      assert_true(before->ttl_s == record->ttl_s);
      assert_false(before->size == record->size && memcmp(before->data, record->data, record->size) == 0);
    }
  }
}

static void owners_compare_label_by_label_from_the_right(void **state) {
  (void)state;
  static const char *const order[] = {"example",         "a.example",      "yljkjljk.a.example",
                                      "z.a.example",     "zabc.a.example", "z.example",
                                      "\\001.z.example", "*.z.example",    "\\200.z.example"};
  for (size_t i = 1; i < sizeof order / sizeof *order; i++) { /* RFC 4034 section 6.1 */
    struct name a, b;
    assert_int_equal(name_from_text(order[i - 1], &a), STATUS_OK);
    assert_int_equal(name_from_text(order[i], &b), STATUS_OK);
    assert_true(directory_compare_owners(&a, &b) < 0);
    assert_true(directory_compare_owners(&b, &a) > 0);
    assert_int_equal(directory_compare_owners(&a, &a), 0);
  }
}

static void multicast_tells_this_balancer_alone(void **state) {
  struct world *world = *state;
  world->wish = (struct directory_wish){.origin = "local", .has_register = true, .is_multicast = true};
  put_balancer(world, "lb1.example.net", "gslb-lb1", "127.0.0.1@8300", true);
  put_balancer(world, "lb2.example.net", "gslb-lb2", "127.0.0.2@8300", false);
  directory_build_balancers(world->facts.balancers, 2, &world->wish, &world->arena, &world->directory);
  assert_int_equal(world->directory.count, 7);
  assert_true(has(world, "_gslb-register._tcp.local 120 33 10 5 8300 gslb-lb1.local"));
  assert_true(has(world, "_gslb-register._tcp.local 4500 16 [path=/v1][api=1][tls=0]"));
  assert_true(has(world, "_gslb-register._tcp.local 4500 12 lb1\\.example\\.net._gslb-register._tcp.local"));
  assert_true(has(world, "_services._dns-sd._udp.local 4500 12 _gslb-register._tcp.local"));
  assert_true(has(world, "gslb-lb1.local 120 1 127.0.0.1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(register_names_every_balancer_that_accepts),
      TEST(nothing_is_told_when_none_accepts),
      TEST(balancers_of_the_other_kind_are_found_as_instances_alone),
      TEST(browsing_leads_from_types_to_instances),
      TEST(colliding_instances_fall_back_and_then_vanish),
      TEST(long_instances_are_cut_between_characters),
      TEST(a_long_service_name_leaves_the_key_out),
      TEST(services_are_told_with_their_targets_below_another_origin),
      TEST(what_agent_checks_say_of_weights_is_told),
      TEST(patterns_vacancies_and_other_zones_are_passed_over),
      TEST(a_set_stays_within_its_bounds),
      TEST(records_are_in_canonical_order_without_doubles),
      TEST(owners_compare_label_by_label_from_the_right),
      TEST(multicast_tells_this_balancer_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
