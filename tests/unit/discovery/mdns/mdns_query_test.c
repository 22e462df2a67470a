#include "discovery/mdns/mdns_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SERVICE "_gslb-register._tcp.local"

static struct balancer_facts balancers[2];

static int set_up(void **state) {
  struct arena *arena = mem_alloc(sizeof *arena);
  for (int i = 0; i < 2; i++) {
    strcpy(balancers[i].identity, i ? "lb2" : "lb1");
    strcpy(balancers[i].record.name, i ? "gslb-lb2" : "gslb-lb1");
    balancers[i].record.is_accepting = balancers[i].record.is_own = true;
    balancers[i].record.priority = (uint16_t)(10 + i);
    balancers[i].record.address_count = 1;
    addr_parse_port(i ? "::1@8400" : "127.0.0.1@8300", &balancers[i].record.addresses[0]);
  }
  *state = arena;
  return 0;
}

static int tear_down(void **state) {
  arena_release(*state);
  free(*state);
  return 0;
}

static void collect(struct arena *arena, bool has_register, struct lookup_answer *answer, size_t *usable) {
  struct directory_wish wish = {.origin = "local", .has_register = has_register, .is_multicast = true};
  struct directory heard;
  struct name service;
  assert_int_equal(name_from_text(SERVICE, &service), STATUS_OK);
  directory_build_balancers(balancers, 2, &wish, arena, &heard);
  *usable = mdns_query_collect(&heard, &service, arena, answer);
}

static void check(const struct lookup_answer *answer) {
  assert_int_equal(answer->target_count, 2);
  for (size_t i = 0; i < 2; i++) {
    bool is_second = strcmp(answer->targets[i].host, "gslb-lb2.local") == 0;
    assert_int_equal(answer->targets[i].port, is_second ? 8400 : 8300);
    assert_int_equal(answer->targets[i].priority, is_second ? 11 : 10);
    assert_int_equal(answer->targets[i].address_count, 1);
    assert_true(addr_equal(&answer->targets[i].addresses[0], &balancers[is_second].record.addresses[0]));
  }
  assert_int_equal(answer->txt_count, 3);
  assert_string_equal(answer->txt[0], "path=/v1");
}

static void targets_of_the_service_are_taken_once(void **state) {
  struct lookup_answer answer;
  size_t usable;
  collect(*state, true, &answer, &usable);
  assert_int_equal(usable, 2);
  check(&answer);
}

static void instances_alone_will_do(void **state) {
  struct lookup_answer answer;
  size_t usable;
  collect(*state, false, &answer, &usable);
  assert_int_equal(usable, 2);
  check(&answer);
}

struct ending {
  struct loop *loop;
  enum status status;
  int calls;
};

static void note(void *context, const struct lookup_answer *answer) {
  struct ending *ending = context;
  ending->status = answer->status;
  ending->calls++;
  loop_stop(ending->loop);
}

static void a_name_that_is_none_is_told_by_done(void **state) {
  (void)state;
  struct ending ending = {.loop = loop_new()};
  mdns_query_start(ending.loop, "not..a.name", 1000, note, &ending);
  assert_int_equal(ending.calls, 0); /* never within the call */
  loop_run(ending.loop);
  assert_int_equal(ending.calls, 1);
  assert_int_equal(ending.status, STATUS_INVALID);
  mdns_query_cancel(mdns_query_start(ending.loop, SERVICE, 1000, note, &ending));
  loop_free(ending.loop);
  assert_int_equal(ending.calls, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(targets_of_the_service_are_taken_once),
      TEST(instances_alone_will_do),
      TEST(a_name_that_is_none_is_told_by_done),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
