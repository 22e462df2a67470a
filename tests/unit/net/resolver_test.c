#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "gslb/net/dns_reply.h"
#include "gslb/net/resolver.h"
#include "tests/unit/net/peer.h"

/* a.b A 192.0.2.53, and its refusal */
static const uint8_t good[] = {0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0,  1, 'a', 1,   'b', 0, 0, 1,
                               0, 1, 0xc0, 12,   0, 1, 0, 1, 0, 0, 0, 60, 0, 4,   192, 0,   2, 53};
static const uint8_t refused[] = {0, 0, 0x81, 0x85, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 1, 'b', 0, 0, 1, 0, 1};

struct scene {
  struct loop *loop;
  struct resolver *resolver;
  struct peer peer;
  unsigned left;
  enum net_outcome outcome;
  uint8_t bytes[512];
  size_t length;
};

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->loop = loop_new();
  scene->resolver = resolver_new(scene->loop);
  peer_open(&scene->peer, scene->loop, SOCK_DGRAM, "127.0.0.1");
  scene->peer.is_dns = true;
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  peer_close(&scene->peer);
  resolver_free(scene->resolver);
  loop_free(scene->loop);
  free(scene);
  return 0;
}

static void done(void *context, const struct resolver_reply *reply) {
  struct scene *scene = context;
  scene->outcome = reply->outcome;
  scene->length = reply->length;
  if (reply->length <= sizeof scene->bytes && reply->length > 0)
    memcpy(scene->bytes, reply->bytes, reply->length);
  if (--scene->left == 0)
    loop_stop(scene->loop);
}

static void ask(struct scene *scene, struct addr server, const char *name, int64_t timeout_ms) {
  struct resolver_question question = {server, name, 1, timeout_ms, false};
  scene->left = 1;
  resolver_ask(scene->resolver, &question, done, scene);
  assert_int_equal(scene->left, 1);
  loop_run(scene->loop);
}

static void answer(struct scene *scene, const void *bytes, size_t size) {
  scene->peer.answer = bytes;
  scene->peer.answer_size = size;
}

static void reply_is_handed_over_as_it_came(void **state) {
  struct scene *scene = *state;
  answer(scene, good, sizeof good);
  ask(scene, scene->peer.addr, "a.b.", 2000);
  assert_int_equal(scene->outcome, NET_ANSWERED);
  assert_int_equal(scene->length, sizeof good);
  assert_memory_equal(scene->bytes + 2, good + 2, sizeof good - 2);
  assert_true(dns_reply_has(scene->bytes, scene->length, 1, "192.0.2.53"));
  assert_int_equal(scene->peer.request[2], 1); /* RD */
}

static void reply_with_an_error_is_a_reply(void **state) {
  struct scene *scene = *state;
  int rcode = -1;
  answer(scene, refused, sizeof refused);
  ask(scene, scene->peer.addr, "a.b", 2000);
  assert_int_equal(scene->outcome, NET_ANSWERED);
  assert_int_equal(dns_reply_rcode(scene->bytes, scene->length, &rcode), STATUS_OK);
  assert_int_equal(rcode, 5);
}

static void servers_change_from_query_to_query(void **state) {
  struct scene *scene = *state;
  answer(scene, good, sizeof good);
  ask(scene, scene->peer.addr, "a.b", 2000);
  struct addr first = scene->peer.addr;
  peer_close(&scene->peer);
  peer_open(&scene->peer, scene->loop, SOCK_DGRAM, "::1");
  scene->peer.is_dns = true;
  answer(scene, good, sizeof good);
  ask(scene, scene->peer.addr, "a.b", 2000);
  assert_int_equal(scene->outcome, NET_ANSWERED);
  ask(scene, first, "a.b", 2000);
  assert_int_equal(scene->outcome, NET_REFUSED);
}

static void closed_port_is_refused_at_once(void **state) {
  struct scene *scene = *state;
  int64_t before_ms = mono_now_ms();
  ask(scene, peer_nobody(SOCK_DGRAM), "a.b", 2000);
  assert_int_equal(scene->outcome, NET_REFUSED);
  assert_true(mono_now_ms() - before_ms < 1000);
}

static void silence_ends_at_the_time_out(void **state) {
  struct scene *scene = *state;
  int64_t before_ms = mono_now_ms();
  ask(scene, scene->peer.addr, "a.b", 60);
  assert_int_equal(scene->outcome, NET_TIMEOUT_ANSWER);
  assert_in_range(mono_now_ms() - before_ms, 59, 1000);
}

static void reply_with_another_id_or_question_is_not_taken(void **state) {
  struct scene *scene = *state;
  answer(scene, good, sizeof good);
  ask(scene, scene->peer.addr, "b.a", 60);
  assert_int_equal(scene->outcome, NET_TIMEOUT_ANSWER);
  scene->peer.is_dns = false;
  ask(scene, scene->peer.addr, "a.b", 60);
  assert_int_equal(scene->outcome, NET_TIMEOUT_ANSWER);
}

static void truncated_reply_is_asked_for_again_by_tcp(void **state) {
  struct scene *scene = *state;
  uint8_t cut[sizeof refused];
  memcpy(cut, refused, sizeof cut);
  cut[2] |= 2;
  answer(scene, cut, sizeof cut);
  /* nobody listens there by TCP, so the second attempt is refused */
  ask(scene, scene->peer.addr, "a.b", 2000);
  assert_int_equal(scene->outcome, NET_REFUSED);
}

static void unusable_name_fails_in_the_next_turn(void **state) {
  struct scene *scene = *state;
  ask(scene, scene->peer.addr, "a..b", 2000);
  assert_int_equal(scene->outcome, NET_PROTOCOL);
}

static void cancelled_query_is_silent(void **state) {
  struct scene *scene = *state;
  struct resolver_question question = {scene->peer.addr, "a.b", 1, 2000, false};
  answer(scene, good, sizeof good);
  scene->left = 1;
  resolver_cancel(resolver_ask(scene->resolver, &question, done, scene));
  assert_int_equal(scene->left, 1);
  ask(scene, scene->peer.addr, "a.b", 2000);
  assert_int_equal(scene->outcome, NET_ANSWERED);
}

static void many_run_at_once(void **state) {
  struct scene *scene = *state;
  struct resolver_question question = {peer_nobody(SOCK_DGRAM), "a.b", 1, 2000, false};
  for (int round = 0; round < 3; round++) {
    scene->left = 300;
    for (int i = 0; i < 300; i++)
      resolver_ask(scene->resolver, &question, done, scene);
    loop_run(scene->loop);
    assert_int_equal(scene->left, 0);
    assert_int_equal(scene->outcome, NET_REFUSED);
  }
}

#define RESOLVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      RESOLVER_TEST(reply_is_handed_over_as_it_came),
      RESOLVER_TEST(reply_with_an_error_is_a_reply),
      RESOLVER_TEST(servers_change_from_query_to_query),
      RESOLVER_TEST(closed_port_is_refused_at_once),
      RESOLVER_TEST(silence_ends_at_the_time_out),
      RESOLVER_TEST(reply_with_another_id_or_question_is_not_taken),
      RESOLVER_TEST(truncated_reply_is_asked_for_again_by_tcp),
      RESOLVER_TEST(unusable_name_fails_in_the_next_turn),
      RESOLVER_TEST(cancelled_query_is_silent),
      RESOLVER_TEST(many_run_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
