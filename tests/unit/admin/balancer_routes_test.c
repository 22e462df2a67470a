#include "tests/unit/admin/served.h"

#include "gslb/admin/balancer_routes.h"

static const char text[] = "server: {identity: lb1.example.net, state: ./state, listen: [\"127.0.0.1@5300\"]}\n"
                           "zones:\n"
                           "  - {name: example.com, file: example.com.zone}\n"
                           "services:\n"
                           "  - name: www.example.com\n"
                           "    members:\n"
                           "      - {name: one, addresses: [127.0.0.11]}\n";

struct balanced {
  struct served served;
  struct feed *feed;
};

static void ring(void *context) {
  (void)context;
}

static void passes(void *context, const char *service, const char *id, bool *out) {
  (void)context;
  (void)service;
  (void)id;
  *out = true;
}

static int setup(void **state) {
  struct balanced *balanced = mem_alloc(sizeof *balanced);
  struct served *served = &balanced->served;
  struct errbuf err;
  served_init(served);
  struct view *view = served_view(served, text);
  served_start(served, view);
  balanced->feed = feed_new();
  struct registry_links registry = {.committer = served->committer,
                                    .durable = served->house->durable,
                                    .live = served->house->live,
                                    .house = &served->time,
                                    .feed = balanced->feed,
                                    .ring = ring,
                                    .probed = passes};
  if (registry_start(&registry, view_config(view), &served->routes.registry, &err) != STATUS_OK)
    fail_msg("%s", err.text);
  struct balancers_links links = {.committer = served->committer,
                                  .durable = served->house->durable,
                                  .live = served->house->live,
                                  .house = &served->time,
                                  .feed = balanced->feed,
                                  .registry = served->routes.registry,
                                  .ring = ring};
  if (balancers_start(&links, view_config(view), &served->routes.balancers, &err) != STATUS_OK)
    fail_msg("%s", err.text);
  served_listen(served);
  *state = balanced;
  return 0;
}

static int teardown(void **state) {
  struct balanced *balanced = *state;
  struct routes routes = balanced->served.routes;
  served_quiesce(&balanced->served);
  http_server_stop(balanced->served.tcp);
  http_server_stop(balanced->served.local);
  balanced->served.tcp = balanced->served.local = NULL;
  balancers_stop(routes.balancers);
  registry_stop(routes.registry);
  int failed = served_stop(&balanced->served);
  registry_free(routes.registry);
  feed_free(balanced->feed);
  free(balanced);
  return failed;
}

static char *ask(void **state, bool over_tcp, const char *method, const char *path, const char *body) {
  return served_ask(*state, over_tcp, method, path, "", body);
}

static void a_balancer_tells_of_itself_to_anyone(void **state) {
  expect_in(ask(state, true, "GET", "/v1/balancer", ""), 200,
            "{\"identity\":\"lb1.example.net\",\"accepting\":true,\"leaves_at\":null,\"returns_at\":null}");
  expect_in(ask(state, true, "GET", "/v1/peers", ""), 200, "\"own\":true");
}

static void an_absence_is_planned_shown_and_cancelled(void **state) {
  expect_in(ask(state, true, "PUT", "/v1/admin/leave", "{\"at_s\":3600,\"for_s\":60}"), 401, "problem+json");
  char *answer =
      ask(state, false, "PUT", "/v1/admin/leave", "{\"at_s\":3600,\"for_s\":1200,\"reason\":\"new kernel\"}");
  assert_non_null(strstr(answer, "Location: /v1/admin/leave/"));
  json_t *document = expect_json(answer, 201);
  assert_string_equal(json_string_value(json_object_get(document, "why")), "new kernel");
  expect_in(ask(state, false, "GET", "/v1/peers", ""), 200, "\"why\":\"new kernel\"");
  expect_in(ask(state, false, "PUT", "/v1/admin/leave", "{\"at_s\":3700,\"for_s\":1200}"), 409, "problem+json");
  char *path = mem_format("/v1/admin/leave/%lld", (long long)json_integer_value(json_object_get(document, "id")));
  expect_in(ask(state, false, "DELETE", path, ""), 204, "");
  expect_in(ask(state, false, "DELETE", path, ""), 404, "problem+json");
  expect_in(ask(state, false, "GET", "/v1/peers", ""), 200, "\"leaves\":[]");
  expect_in(ask(state, false, "DELETE", "/v1/admin/leave/tomorrow", ""), 404, "Unix milliseconds");
  free(path);
  json_decref(document);
}

static void what_is_wrong_with_a_plan_is_told_with_pointers(void **state) {
  expect_in(ask(state, false, "PUT", "/v1/admin/leave", "{}"), 422, "\"pointer\":\"/for_s\"");
  expect_in(ask(state, false, "PUT", "/v1/admin/leave", "{\"for_s\":0}"), 422, "\"pointer\":\"/for_s\"");
  expect_in(ask(state, false, "PUT", "/v1/admin/leave", "{\"for_s\":9,\"at_s\":\"02:00\"}"), 422,
            "\"pointer\":\"/at_s\"");
  expect_in(ask(state, false, "PUT", "/v1/admin/leave", "{\"for_s\":9,\"reason\":\"a\\u0007\"}"), 422,
            "\"pointer\":\"/reason\"");
  expect_in(ask(state, false, "PUT", "/v1/admin/leave", "{\"for_s\":9,\"until\":1}"), 422, "\"pointer\":\"/until\"");
}

#define BALANCED_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      BALANCED_TEST(a_balancer_tells_of_itself_to_anyone),
      BALANCED_TEST(an_absence_is_planned_shown_and_cancelled),
      BALANCED_TEST(what_is_wrong_with_a_plan_is_told_with_pointers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
