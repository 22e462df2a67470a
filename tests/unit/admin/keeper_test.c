#include "tests/unit/admin/joined.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include "gslb/admin/command.h"
#include "gslb/admin/keeper.h"

#define WAIT_S 20

struct scene {
  struct test_house *house;
  struct house time;
  struct views views;
  struct committer *committer;
  struct keeper *keeper;
  int ends[2]; /* the keeper's, ours */
  sem_t heard, told;
  struct event_record result; /* the last one of kind on_empty */
  struct channel_message message;
};

static void hear(void *context) {
  struct scene *scene = context;
  sem_post(&scene->heard);
}

static void take_event(void *context, const struct event_record *event) {
  struct scene *scene = context;
  if (strcmp(event->kind, "on_empty") != 0)
    return;
  scene->result = *event;
  sem_post(&scene->told);
}

static void ring(void *context) {
  struct scene *scene = context;
  board_ring(scene->house->board, &scene->house->bell);
}

static int setup(void **state) {
  struct scene *scene = mem_alloc(sizeof *scene);
  struct errbuf err;
  void *house;
  house_setup(&house);
  scene->house = house;
  scene->time = house_start(0);
  sem_init(&scene->heard, 0, 0);
  sem_init(&scene->told, 0, 0);
  assert_int_equal(channel_pair(scene->ends, &err), STATUS_OK);
  struct view_sources sources = {scene->house->durable, scene->house->live, scene->house->board, scene->time, NULL};
  views_init(&scene->views, view_new(joined_config(), 1, &sources));
  assert_int_equal(commit_start(scene->house->durable, &scene->time, ring, scene, &scene->committer, &err), STATUS_OK);
  struct keeper_links links = {.views = &scene->views,
                               .committer = scene->committer,
                               .board = scene->house->board,
                               .bell = &scene->house->bell,
                               .house = &scene->time,
                               .exec = scene->ends[0],
                               .heard = hear,
                               .event = take_event,
                               .context = scene};
  assert_int_equal(keeper_start(&links, &scene->keeper, &err), STATUS_OK);
  *state = scene;
  return 0;
}

static int teardown(void **state) {
  struct scene *scene = *state;
  void *house = scene->house;
  keeper_stop(scene->keeper);
  commit_stop(scene->committer);
  commit_free(scene->committer);
  views_release(&scene->views);
  close(scene->ends[0]);
  if (scene->ends[1] >= 0)
    close(scene->ends[1]);
  sem_destroy(&scene->heard);
  sem_destroy(&scene->told);
  free(scene);
  return house_teardown(&house);
}

static void wait_for(sem_t *event) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += WAIT_S;
  int failed;
  do
    failed = sem_timedwait(event, &until);
  while (failed && errno == EINTR);
  assert_int_equal(failed, 0);
}

static void receive_command(struct scene *scene) {
  struct pollfd ready = {.fd = scene->ends[1], .events = POLLIN};
  assert_int_equal(poll(&ready, 1, WAIT_S * 1000), 1);
  assert_int_equal(channel_receive(scene->ends[1], &scene->message), STATUS_OK);
}

static void the_command_of_an_empty_service_is_run_and_its_result_told(void **state) {
  struct scene *scene = *state;
  receive_command(scene);
  assert_int_equal(scene->message.kind, CHANNEL_COMMAND);
  static const char begin[] = "on_empty\0GSLB_SERVICE=app.example.com\0GSLB_TIME=";
  assert_memory_equal(scene->message.text, begin, sizeof begin - 1);

  static const char result[] = "app.example.com\0exit status 1: no machine\tleft";
  struct channel_message *answer = mem_alloc(sizeof *answer);
  answer->kind = CHANNEL_RESULT;
  answer->status = STATUS_IO;
  answer->length = sizeof result - 1;
  memcpy(answer->text, result, sizeof result);
  assert_int_equal(channel_send(scene->ends[1], answer), STATUS_OK);
  free(answer);
  wait_for(&scene->told);
  assert_string_equal(scene->result.service, "app.example.com");
  assert_string_equal(scene->result.member, "");
  assert_string_equal(scene->result.from, "run");
  assert_string_equal(scene->result.to, "failed");
  assert_string_equal(scene->result.reason, "exit status 1: no machine left");
}

static void the_bell_is_passed_on(void **state) {
  struct scene *scene = *state;
  board_ring(scene->house->board, &scene->house->bell);
  wait_for(&scene->heard);
}

static void an_exec_process_that_is_away_does_not_keep_the_keeper_busy(void **state) {
  struct scene *scene = *state;
  receive_command(scene);
  close(scene->ends[1]);
  scene->ends[1] = -1;
  joined_member(scene->house, "app.example.com", "r1");
  board_ring(scene->house->board, &scene->house->bell);
  wait_for(&scene->heard);
}

static void the_hook_stands_first_in_a_command(void **state) {
  (void)state;
  struct channel_message *message = mem_alloc(sizeof *message);
  struct event_record event = {.at_ms = HOUSE_NOW_MS,
                               .service = "app.example.com",
                               .member = "r1",
                               .from = "up",
                               .to = "down",
                               .reason = "lease ended"};
  command_fill(&event, message);
  static const char expected[] = "on_change\0GSLB_SERVICE=app.example.com\0GSLB_MEMBER=r1\0GSLB_FROM=up\0GSLB_TO=down\0"
                                 "GSLB_REASON=lease ended\0GSLB_TIME=2026-11-18T11:06:40.000Z";
  assert_int_equal(message->length, sizeof expected);
  assert_memory_equal(message->text, expected, sizeof expected);
  free(message);
}

static void a_result_without_text_is_an_event_too(void **state) {
  (void)state;
  struct channel_message *message = mem_alloc(sizeof *message);
  struct event_record event;
  memset(message->text, 'x', CHANNEL_TEXT_MOST);
  message->length = CHANNEL_TEXT_MOST;
  command_take_result(message, HOUSE_NOW_MS, &event);
  assert_int_equal(strlen(event.service), sizeof event.service - 1);
  assert_string_equal(event.to, "done");
  assert_string_equal(event.reason, "");
  assert_true(event.at_ms == HOUSE_NOW_MS);
  free(message);
}

#define KEEPER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      KEEPER_TEST(the_command_of_an_empty_service_is_run_and_its_result_told),
      KEEPER_TEST(the_bell_is_passed_on),
      KEEPER_TEST(an_exec_process_that_is_away_does_not_keep_the_keeper_busy),
      cmocka_unit_test(the_hook_stands_first_in_a_command),
      cmocka_unit_test(a_result_without_text_is_an_event_too),
  };
  return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
