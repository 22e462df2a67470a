#include "tests/unit/admin/served.h"

#include "gslb/admin/watchers.h"

static const char text[] = "server: {identity: lb1.example.net, state: ./state, listen: [\"127.0.0.1@5300\"]}\n"
                           "zones:\n"
                           "  - {name: example.com, file: example.com.zone}\n"
                           "services:\n"
                           "  - name: www.example.com\n"
                           "    members:\n"
                           "      - {name: one, addresses: [127.0.0.11]}\n";

struct watched {
  struct served served;
  struct feed *feed;
  struct config *config;
};

static int setup(void **state) {
  struct watched *watched = mem_alloc(sizeof *watched);
  struct errbuf err;
  served_init(&watched->served);
  struct view *view = served_view(&watched->served, text);
  watched->config = (struct config *)(uintptr_t)view_config(view);
  watched->config->control.limits.connections = 8;
  served_start(&watched->served, view);
  watched->feed = feed_new();
  assert_int_equal(watchers_start(watched->feed, &watched->served.routes.watchers, &err), STATUS_OK);
  served_listen(&watched->served);
  *state = watched;
  return 0;
}

static int teardown(void **state) {
  struct watched *watched = *state;
  struct watchers *watchers = watched->served.routes.watchers;
  served_quiesce(&watched->served);
  watchers_stop(watchers);
  int failed = served_stop(&watched->served);
  watchers_free(watchers);
  feed_free(watched->feed);
  free(watched);
  return failed;
}

static void publish(struct watched *watched, const char *kind, const char *resource) {
  feed_publish(watched->feed, &(struct feed_change){.kind = kind,
                                                    .resource = resource,
                                                    .service = "",
                                                    .member = "",
                                                    .detail = json_pack("{s:s}", "change", "registered")});
}

static char *path_since(struct watched *watched, const char *rest) {
  char position[FEED_POSITION_SIZE];
  return mem_format("/v1/watch?since=%s%s", feed_position_format(feed_now(watched->feed), position), rest);
}

/* The answer, the path freed. */
static char *ask(struct watched *watched, char *path) {
  char *answer = served_ask(&watched->served, true, "GET", path, "", "");
  free(path);
  return answer;
}

static int begin(struct watched *watched, char *path, const char *head) {
  int fd = served_send(&watched->served, true, "GET", path, head, "");
  free(path);
  return fd;
}

static char *end(int fd) {
  char *answer = served_read(fd, NULL);
  close(fd);
  return answer;
}

static void without_a_position_the_one_now_is_told(void **state) {
  struct watched *watched = *state;
  char position[FEED_POSITION_SIZE];
  publish(watched, "resource", "app-r1");
  json_t *page = expect_json(ask(watched, mem_strdup("/v1/watch")), 200);
  assert_string_equal(json_string_value(json_object_get(page, "position")),
                      feed_position_format(feed_now(watched->feed), position));
  assert_int_equal(json_array_size(json_object_get(page, "changes")), 0);
  json_decref(page);
}

static void what_happened_since_is_told_at_once(void **state) {
  struct watched *watched = *state;
  char *path = path_since(watched, "&kind=resource&resource=app-r2");
  publish(watched, "resource", "app-r1");
  publish(watched, "resource", "app-r2");
  publish(watched, "notice", "app-r2");
  json_t *page = expect_json(ask(watched, path), 200);
  json_t *changes = json_object_get(page, "changes");
  assert_int_equal(json_array_size(changes), 1);
  assert_string_equal(json_string_value(json_object_get(json_array_get(changes, 0), "change")), "registered");
  json_decref(page);
}

static void a_call_waits_for_what_it_wants(void **state) {
  struct watched *watched = *state;
  int fd = begin(watched, path_since(watched, "&resource=app-r2&wait_s=50"), "");
  publish(watched, "resource", "app-r1");
  publish(watched, "resource", "app-r2");
  json_t *page = expect_json(end(fd), 200);
  json_t *changes = json_object_get(page, "changes");
  assert_int_equal(json_array_size(changes), 1);
  assert_string_equal(json_string_value(json_object_get(json_array_get(changes, 0), "resource")), "app-r2");
  json_decref(page);
}

static void a_wait_ends_without_news(void **state) {
  struct watched *watched = *state;
  json_t *page = expect_json(ask(watched, path_since(watched, "&wait_s=0")), 200);
  assert_int_equal(json_array_size(json_object_get(page, "changes")), 0);
  json_decref(page);
  page = expect_json(ask(watched, path_since(watched, "&wait_s=1")), 200);
  assert_int_equal(json_array_size(json_object_get(page, "changes")), 0);
  json_decref(page);
}

static void wrong_positions_and_lost_ones_are_told_apart(void **state) {
  struct watched *watched = *state;
  expect_in(ask(watched, mem_strdup("/v1/watch?since=now")), 400, "since is a position");
  expect_in(ask(watched, path_since(watched, "&wait_s=56")), 400, "from 0 to 55");
  expect_in(ask(watched, mem_strdup("/v1/watch?since=1.1")), 410, "\"code\":\"gone\"");
}

static void a_stream_tells_each_change_with_its_place(void **state) {
  struct watched *watched = *state;
  struct feed_position now = feed_now(watched->feed);
  char *path = path_since(watched, "");
  publish(watched, "resource", "app-r1");
  int fd = begin(watched, path, "Accept: text/event-stream\r\n");
  char *expected = mem_format("id: %llu.1\nevent: resource\ndata: {", (unsigned long long)now.epoch);
  char *answer = served_read(fd, expected);
  assert_non_null(strstr(answer, "Content-Type: text/event-stream"));
  assert_non_null(strstr(answer, expected));
  free(answer);
  free(expected);
  publish(watched, "notice", "");
  answer = served_read(fd, "event: notice\n");
  assert_non_null(strstr(answer, "event: notice\n"));
  free(answer);
  close(fd);
  publish(watched, "resource", "app-r1");
}

static void a_stream_goes_on_where_it_broke(void **state) {
  struct watched *watched = *state;
  struct feed_position now = feed_now(watched->feed);
  publish(watched, "resource", "app-r1");
  publish(watched, "resource", "app-r2");
  char *head = mem_format("Accept: text/event-stream\r\nLast-Event-ID: %llu.1\r\n", (unsigned long long)now.epoch);
  int fd = begin(watched, mem_strdup("/v1/watch"), head);
  char *answer = served_read(fd, "app-r2");
  assert_non_null(strstr(answer, "app-r2"));
  assert_null(strstr(answer, "app-r1"));
  free(answer);
  free(head);
  close(fd);
}

static void half_of_the_connections_may_wait(void **state) {
  struct watched *watched = *state;
  int fds[4];
  for (int i = 0; i < 4; i++) {
    fds[i] = begin(watched, path_since(watched, ""), "Accept: text/event-stream\r\n");
    free(served_read(fds[i], "nothing new"));
  }
  expect_in(ask(watched, path_since(watched, "&wait_s=55")), 503, "too many wait");
  json_decref(expect_json(ask(watched, mem_strdup("/v1/watch")), 200));
  for (int i = 0; i < 4; i++)
    close(fds[i]);
}

static void a_stop_answers_everyone(void **state) {
  struct watched *watched = *state;
  int call = begin(watched, path_since(watched, "&wait_s=55"), "");
  int stream = begin(watched, path_since(watched, ""), "Accept: text/event-stream\r\n");
  free(served_read(stream, "nothing new"));
  struct watchers *watchers = watched->served.routes.watchers;
  watchers_stop(watchers);
  char *answer = end(call);
  /* it was held, or came too late to be */
  assert_true(strncmp(answer, "HTTP/1.1 200", 12) == 0 || strncmp(answer, "HTTP/1.1 503", 12) == 0);
  free(answer);
  free(end(stream));
  expect_in(ask(watched, path_since(watched, "&wait_s=55")), 503, "is stopping");
  served_quiesce(&watched->served);
  int failed = served_stop(&watched->served);
  watchers_free(watchers);
  feed_free(watched->feed);
  free(watched);
  assert_int_equal(failed, 0);
}

#define WATCHED_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      WATCHED_TEST(without_a_position_the_one_now_is_told),
      WATCHED_TEST(what_happened_since_is_told_at_once),
      WATCHED_TEST(a_call_waits_for_what_it_wants),
      WATCHED_TEST(a_wait_ends_without_news),
      WATCHED_TEST(wrong_positions_and_lost_ones_are_told_apart),
      WATCHED_TEST(a_stream_tells_each_change_with_its_place),
      WATCHED_TEST(a_stream_goes_on_where_it_broke),
      WATCHED_TEST(half_of_the_connections_may_wait),
      cmocka_unit_test_setup(a_stop_answers_everyone, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
