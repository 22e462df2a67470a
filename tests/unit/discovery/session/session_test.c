#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "discovery/documents/notice.h"
#include "discovery/session/session.h"
#include "gslb/base/clock.h"
#include "tests/unit/discovery/session/fake_balancer.h"

#define DEADLINE_MS 10000
#define LOOK_EVERY_MS 2

struct scene {
  struct loop *loop;
  struct loop_timer *timer;
  struct session *session;
  struct fake a, b;
  bool (*is_reached)(struct scene *scene);
  int64_t deadline_ms;
  bool is_late;
  unsigned registered, firsts, lost, ended, refused, last_refusal;
  int64_t serve_until_ms;
};

static json_t *report(void *context) {
  (void)context;
  return json_pack("{s:s, s:f}", "state", "up", "cpu_utilization", 0.25);
}

static void registered(void *context, const char *balancer, bool is_first) {
  struct scene *scene = context;
  assert_non_null(strchr(balancer, ':'));
  scene->registered++;
  scene->firsts += is_first;
}

static void lost(void *context, const char *balancer, const char *why) {
  struct scene *scene = context;
  assert_true(balancer[0] && why[0]);
  scene->lost++;
}

static void ended(void *context, int64_t serve_until_unix_ms) {
  struct scene *scene = context;
  scene->ended++;
  scene->serve_until_ms = serve_until_unix_ms;
}

static void refused(void *context, unsigned status, const char *detail) {
  struct scene *scene = context;
  assert_true(detail[0]);
  scene->refused++;
  scene->last_refusal = status;
}

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->loop = loop_new();
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  session_free(scene->session);
  fake_stop(&scene->a);
  fake_stop(&scene->b);
  loop_free(scene->loop);
  free(scene);
  return 0;
}

static void begin(struct scene *scene, unsigned balancers) {
  static const struct session_events events = {report, registered, lost, ended, refused};
  fake_start(&scene->a);
  fake_start(&scene->b);
  json_t *registration = json_pack("{s:[s]}", "addresses", "127.0.0.77");
  const struct session_options options = {.id = "app-r1",
                                          .registration = registration,
                                          .place = {.url = scene->a.url},
                                          .token = "gslb_test",
                                          .balancers = balancers,
                                          .timeout_ms = 2000,
                                          .pause_base_ms = 5};
  scene->session = session_new(scene->loop, &options, &events, scene);
  json_decref(registration);
}

static void look(void *context) {
  struct scene *scene = context;
  scene->is_late = mono_now_ms() > scene->deadline_ms;
  if (scene->is_late || scene->is_reached(scene))
    loop_stop(scene->loop);
  else
    loop_timer_after(scene->timer, LOOK_EVERY_MS);
}

static void until(struct scene *scene, bool (*is_reached)(struct scene *scene)) {
  scene->is_reached = is_reached;
  scene->deadline_ms = mono_now_ms() + DEADLINE_MS;
  scene->timer = loop_timer_new(scene->loop, look, scene);
  loop_timer_after(scene->timer, 0);
  loop_run(scene->loop);
  loop_timer_free(scene->timer);
  assert_false(scene->is_late);
}

static bool has_renewed_thrice(struct scene *scene) {
  return fake_count(&scene->a, 'S') >= 3;
}
static bool has_renewed_six_times(struct scene *scene) {
  return fake_count(&scene->a, 'S') >= 6;
}
static bool has_registered_again(struct scene *scene) {
  return fake_count(&scene->a, 'R') >= 2 && fake_count(&scene->a, 'S') >= 4;
}
static bool was_refused(struct scene *scene) {
  return scene->refused >= 1;
}
static bool is_at_b(struct scene *scene) {
  return fake_count(&scene->b, 'S') >= 3;
}
static bool is_at_b_alone(struct scene *scene) {
  return fake_count(&scene->b, 'S') >= 2 && fake_count(&scene->a, 'D') >= 1;
}
static bool is_at_both(struct scene *scene) {
  return fake_count(&scene->a, 'S') >= 2 && fake_count(&scene->b, 'S') >= 2;
}
static bool has_ended(struct scene *scene) {
  return scene->ended >= 1;
}
static bool has_deregistered_thrice(struct scene *scene) {
  return fake_count(&scene->a, 'D') >= 3 && scene->ended;
}

static bool was_asked_twice(struct scene *scene) {
  return fake_count(&scene->a, 'R') >= 2;
}

static void pauses_stay_within_their_bounds(void **state) {
  (void)state;
  struct random random;
  random_seed(&random, 11);
  static const int64_t most[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
  for (unsigned failures = 0; failures < 8; failures++) {
    int64_t least_seen = INT64_MAX, most_seen = 0;
    for (int i = 0; i < 2000; i++) {
      int64_t pause = session_pause_ms(failures, SESSION_PAUSE_BASE_MS, &random);
      assert_in_range(pause, 0, most[failures]);
      least_seen = pause < least_seen ? pause : least_seen;
      most_seen = pause > most_seen ? pause : most_seen;
    }
    assert_true(least_seen < most[failures] / 50);
    assert_true(most_seen > most[failures] - most[failures] / 50);
  }
  assert_in_range(session_pause_ms(UINT32_MAX, 500, &random), 0, 30000);
}

static void times_are_read(void **state) {
  (void)state;
  assert_true(clock_parse_utc("1970-01-01T00:00:01Z") == 1000);
  assert_true(clock_parse_utc("2026-11-21T13:30:00.123Z") == 1795267800123);
  assert_true(clock_parse_utc("2026-11-21T13:30:00.5Z") == 1795267800500);
  assert_true(clock_parse_utc("2026-11-21T13:30:00.123456Z") == 1795267800123);
  assert_true(clock_parse_utc("2026-11-21T13:30:00") == 0);
  assert_true(clock_parse_utc("2026-11-21T13:30:00+01:00") == 0);
  assert_true(clock_parse_utc("soon") == 0);
  assert_true(clock_parse_utc(NULL) == 0);
}

static void it_registers_and_renews_with_a_growing_sequence(void **state) {
  struct scene *scene = *state;
  begin(scene, 1);
  until(scene, has_renewed_thrice);
  assert_int_equal(fake_count(&scene->a, 'R'), 1);
  assert_int_equal(scene->registered, 1);
  assert_int_equal(scene->firsts, 1);
  for (size_t i = 0; i < 3; i++) {
    struct fake_request request = fake_request_of(&scene->a, 'S', i);
    assert_int_equal(request.sequence, 42 + i);
    assert_true(request.has_figures);
    assert_true(request.has_token);
  }
  assert_true(session_wants(scene->session, "cpu_utilization"));
  assert_false(session_wants(scene->session, "load1"));
}

static void an_unknown_lease_is_registered_again_at_once(void **state) {
  struct scene *scene = *state;
  scene->a.report_status = 404;
  scene->a.times = 1;
  begin(scene, 1);
  until(scene, has_registered_again);
  assert_int_equal(scene->lost, 0);
  assert_int_equal(scene->registered, 1);
  assert_int_equal(fake_count(&scene->a, 'R'), 2);
}

static void one_that_an_operator_removed_asks_no_more(void **state) {
  struct scene *scene = *state;
  scene->a.report_status = 410;
  begin(scene, 1);
  fake_name(&scene->a, &scene->b);
  until(scene, was_refused);
  assert_int_equal(scene->last_refusal, 410);
  size_t asked = fake_count(&scene->a, '*');
  session_report_now(scene->session);
  session_leave(scene->session);
  until(scene, has_ended);
  assert_int_equal(fake_count(&scene->a, '*'), asked);
  assert_int_equal(fake_count(&scene->b, '*'), 0);
  assert_true(scene->serve_until_ms == 0);
}

static void a_lost_balancer_is_replaced_by_one_that_it_named(void **state) {
  struct scene *scene = *state;
  scene->a.lease_s = 0.2;
  begin(scene, 1);
  fake_name(&scene->a, &scene->b);
  until(scene, has_renewed_thrice);
  fake_stop(&scene->a);
  until(scene, is_at_b);
  assert_int_equal(scene->lost, 1);
  assert_int_equal(scene->registered, 2);
  assert_int_equal(scene->firsts, 1);
}

static void one_failure_is_no_loss(void **state) {
  struct scene *scene = *state;
  begin(scene, 1);
  scene->a.report_status = 500;
  scene->a.times = 2;
  until(scene, has_renewed_six_times);
  assert_int_equal(scene->lost, 0);
  assert_int_equal(fake_count(&scene->a, 'R'), 1);
}

static void it_registers_at_the_new_one_before_it_lets_go(void **state) {
  struct scene *scene = *state;
  begin(scene, 1);
  until(scene, has_renewed_thrice);
  fake_tell_leave(&scene->a, &scene->b);
  until(scene, is_at_b_alone);
  assert_true(fake_request_of(&scene->b, 'R', 0).turn < fake_request_of(&scene->a, 'D', 0).turn);
  assert_int_equal(fake_count(&scene->a, 'D'), 1);
  assert_int_equal(scene->lost, 0);
}

static void it_goes_to_the_best_of_those_that_are_named(void **state) {
  struct scene *scene = *state;
  struct fake spare = {0};
  begin(scene, 1);
  fake_start(&spare);
  until(scene, has_renewed_thrice);
  pthread_mutex_lock(&scene->a.lock);
  snprintf(scene->a.directive, sizeof scene->a.directive,
           "{\"kind\":\"leave\",\"until_at\":null,\"balancers\":["
           "{\"identity\":\"spare\",\"url\":\"%s\",\"priority\":10,\"weight\":1},"
           "{\"identity\":\"b\",\"url\":\"%s\",\"priority\":0,\"weight\":1}]}",
           spare.url, scene->b.url);
  pthread_mutex_unlock(&scene->a.lock);
  until(scene, is_at_b_alone);
  assert_int_equal(fake_count(&spare, '*'), 0);
  fake_stop(&spare);
}

static bool is_back_at_a_alone(struct scene *scene) {
  return fake_count(&scene->a, 'R') >= 2 && fake_count(&scene->b, 'D') >= 1;
}
static bool is_back_at_a(struct scene *scene) {
  return fake_count(&scene->a, 'R') >= 2;
}

static void tell_stay(struct fake *fake) {
  pthread_mutex_lock(&fake->lock);
  fake->directive[0] = '\0';
  pthread_mutex_unlock(&fake->lock);
}

static void it_goes_back_to_one_that_is_named_again(void **state) {
  struct scene *scene = *state;
  begin(scene, 1);
  until(scene, has_renewed_thrice);
  fake_tell_leave(&scene->a, &scene->b);
  until(scene, is_at_b_alone);
  tell_stay(&scene->a); /* it was started anew, and the other one's turn has come */
  fake_tell_leave(&scene->b, &scene->a);
  until(scene, is_back_at_a_alone);
  assert_int_equal(scene->lost, 0);
}

static void it_goes_back_to_one_that_went_when_nobody_else_is_left(void **state) {
  struct scene *scene = *state;
  scene->b.lease_s = 1;
  begin(scene, 1);
  until(scene, has_renewed_thrice);
  fake_tell_leave(&scene->a, &scene->b);
  until(scene, is_at_b_alone);
  tell_stay(&scene->a);
  fake_stop(&scene->b);
  until(scene, is_back_at_a);
  assert_int_equal(scene->lost, 1);
}

static void it_stays_when_nobody_else_is_there(void **state) {
  struct scene *scene = *state;
  begin(scene, 1);
  fake_tell_leave(&scene->a, NULL);
  until(scene, has_renewed_six_times);
  assert_int_equal(fake_count(&scene->a, 'D'), 0);
  assert_int_equal(fake_count(&scene->a, 'R'), 1);
  assert_int_equal(scene->lost, 0);
}

static void it_is_registered_with_as_many_as_wanted(void **state) {
  struct scene *scene = *state;
  begin(scene, 2);
  fake_name(&scene->a, &scene->b);
  until(scene, is_at_both);
  assert_int_equal(fake_count(&scene->a, 'R'), 1);
  assert_int_equal(fake_count(&scene->b, 'R'), 1);
  session_leave(scene->session);
  until(scene, has_ended);
  assert_int_equal(fake_count(&scene->a, 'D'), 1);
  assert_int_equal(fake_count(&scene->b, 'D'), 1);
}

static void leaving_tells_until_when_clients_may_come(void **state) {
  struct scene *scene = *state;
  begin(scene, 1);
  until(scene, has_renewed_thrice);
  session_leave(scene->session);
  session_leave(scene->session);
  until(scene, has_ended);
  assert_int_equal(scene->ended, 1);
  assert_true(scene->serve_until_ms == clock_parse_utc("2031-01-02T03:04:05.678Z"));
}

static void leaving_does_not_wait_for_ever(void **state) {
  struct scene *scene = *state;
  scene->a.deregister_status = 500;
  begin(scene, 1);
  until(scene, has_renewed_thrice);
  session_leave(scene->session);
  until(scene, has_deregistered_thrice);
  /* it was not told, so its lease runs on */
  assert_true(scene->serve_until_ms > session_unix_ms() + 20000);
}

static void leaving_before_anything_was_found_ends_at_once(void **state) {
  struct scene *scene = *state;
  begin(scene, 1);
  session_leave(scene->session);
  until(scene, has_ended);
  assert_true(scene->serve_until_ms == 0);
  assert_int_equal(fake_count(&scene->a, '*'), 0);
}

static void it_waits_as_long_as_it_is_asked_to(void **state) {
  struct scene *scene = *state;
  scene->a.register_status = 503;
  scene->a.retry_after_s = 1;
  begin(scene, 1);
  until(scene, was_asked_twice);
  int64_t between = fake_request_of(&scene->a, 'R', 1).at_ms - fake_request_of(&scene->a, 'R', 0).at_ms;
  assert_in_range(between, 1000, 4000);
  assert_int_equal(scene->refused, 0);
}

static void a_report_that_is_refused_is_told_without_figures(void **state) {
  struct scene *scene = *state;
  scene->a.report_status = 422;
  scene->a.times = 1;
  begin(scene, 1);
  until(scene, has_renewed_thrice);
  assert_int_equal(scene->refused, 1);
  assert_int_equal(scene->last_refusal, 422);
  assert_true(fake_request_of(&scene->a, 'S', 0).has_figures);
  assert_false(fake_request_of(&scene->a, 'S', 1).has_figures);
  assert_int_equal(fake_count(&scene->a, 'R'), 1);
}

static void a_refusal_is_told_and_tried_slowly(void **state) {
  struct scene *scene = *state;
  scene->a.register_status = 401;
  begin(scene, 1);
  until(scene, was_refused);
  assert_int_equal(scene->last_refusal, 401);
  assert_int_equal(fake_count(&scene->a, 'R'), 1);
}

static void a_signed_notice_is_heeded_and_another_is_not(void **state) {
  struct scene *scene = *state;
  char body[256], header[NOTICE_SIGNATURE_SIZE];
  struct errbuf err;
  begin(scene, 1);
  until(scene, has_renewed_thrice);
  snprintf(body, sizeof body,
           "{\"kind\":\"leave\",\"from\":\"a\",\"id\":\"app-r1\",\"until_at\":null,"
           "\"balancers\":[{\"identity\":\"b\",\"url\":\"%s\"}]}",
           scene->b.url);
  notice_sign(FAKE_KEY, session_unix_ms() / 1000, body, strlen(body), header);
  header[strlen(header) - 1] ^= 1;
  assert_int_equal(session_notice(scene->session, header, body, strlen(body), &err), STATUS_FORBIDDEN);
  notice_sign(FAKE_KEY, session_unix_ms() / 1000, body, strlen(body), header);
  assert_int_equal(session_notice(scene->session, header, body, strlen(body), &err), STATUS_OK);
  until(scene, is_at_b_alone);
  assert_true(fake_request_of(&scene->b, 'R', 0).turn < fake_request_of(&scene->a, 'D', 0).turn);
}

static void a_new_registration_is_told_at_once(void **state) {
  struct scene *scene = *state;
  begin(scene, 1);
  until(scene, has_renewed_thrice);
  json_t *registration = json_pack("{s:[s]}", "addresses", "127.0.0.78");
  session_set_registration(scene->session, registration);
  json_decref(registration);
  until(scene, has_registered_again);
  assert_int_equal(scene->registered, 1);
  assert_int_equal(fake_count(&scene->a, 'R'), 2);
}

int main(void) {
#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pauses_stay_within_their_bounds),
      cmocka_unit_test(times_are_read),
      WITH_SCENE(it_registers_and_renews_with_a_growing_sequence),
      WITH_SCENE(an_unknown_lease_is_registered_again_at_once),
      WITH_SCENE(one_that_an_operator_removed_asks_no_more),
      WITH_SCENE(a_lost_balancer_is_replaced_by_one_that_it_named),
      WITH_SCENE(one_failure_is_no_loss),
      WITH_SCENE(it_registers_at_the_new_one_before_it_lets_go),
      WITH_SCENE(it_goes_to_the_best_of_those_that_are_named),
      WITH_SCENE(it_goes_back_to_one_that_is_named_again),
      WITH_SCENE(it_goes_back_to_one_that_went_when_nobody_else_is_left),
      WITH_SCENE(it_stays_when_nobody_else_is_there),
      WITH_SCENE(it_is_registered_with_as_many_as_wanted),
      WITH_SCENE(leaving_tells_until_when_clients_may_come),
      WITH_SCENE(leaving_does_not_wait_for_ever),
      WITH_SCENE(leaving_before_anything_was_found_ends_at_once),
      WITH_SCENE(it_waits_as_long_as_it_is_asked_to),
      WITH_SCENE(a_report_that_is_refused_is_told_without_figures),
      WITH_SCENE(a_refusal_is_told_and_tried_slowly),
      WITH_SCENE(a_signed_notice_is_heeded_and_another_is_not),
      WITH_SCENE(a_new_registration_is_told_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
