#include "tests/unit/admin/served.h"

#include "discovery/registry/registry.h"
#include "gslb/admin/resource_routes.h"
#include "gslb/admin/resource_shown.h"

static const char text[] =
    "server: {identity: lb1.example.net, state: ./state, listen: [\"127.0.0.1@5300\"]}\n"
    "zones:\n"
    "  - {name: example.com, file: example.com.zone}\n"
    "sites:\n"
    "  - {name: fra}\n"
    "services:\n"
    "  - {name: app.example.com, when_down: empty, srv: _http._tcp, accept: {tokens: [app, other]}}\n";

struct registered {
  struct served served;
  struct feed *feed;
  char head[2][128]; /* Authorization of the tokens "app" and "other" */
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

static void add_token(struct registered *registered, size_t number, const char *name) {
  struct token_record record = {.resource_count = 1, .service_count = 1, .resources = {"app-*"}, .services = {"*"}};
  char secret[TOKEN_TEXT_SIZE];
  struct store_txn *txn;
  struct errbuf err;
  token_make(secret, record.hash);
  assert_int_equal(store_begin(registered->served.house->durable, true, &txn, &err), STATUS_OK);
  assert_int_equal(token_put(txn, name, &record, &err), STATUS_OK);
  assert_int_equal(store_commit(txn, &err), STATUS_OK);
  snprintf(registered->head[number], sizeof registered->head[number],
           "Authorization: Bearer %s\r\nContent-Type: application/json\r\n", secret);
}

static int setup(void **state) {
  struct registered *registered = mem_alloc(sizeof *registered);
  struct served *served = &registered->served;
  struct errbuf err;
  served_init(served);
  struct view *view = served_view(served, text);
  served_start(served, view);
  add_token(registered, 0, "app");
  add_token(registered, 1, "other");
  served->routes.tokens = tokens_new(served->house->durable);
  registered->feed = feed_new();
  struct registry_links links = {.committer = served->committer,
                                 .durable = served->house->durable,
                                 .live = served->house->live,
                                 .house = &served->time,
                                 .feed = registered->feed,
                                 .ring = ring,
                                 .probed = passes};
  if (registry_start(&links, view_config(view), &served->routes.registry, &err) != STATUS_OK)
    fail_msg("%s", err.text);
  served_listen(served);
  *state = registered;
  return 0;
}

static int teardown(void **state) {
  struct registered *registered = *state;
  struct routes routes = registered->served.routes;
  served_quiesce(&registered->served);
  registry_stop(routes.registry);
  int failed = served_stop(&registered->served);
  registry_free(routes.registry);
  tokens_free(routes.tokens);
  feed_free(registered->feed);
  free(registered);
  return failed;
}

#define BODY                                                                                                           \
  "{\"site\":\"fra\",\"addresses\":[\"127.0.0.77\"],\"services\":[{\"name\":\"app.example.com\",\"port\":8080}]}"

static char *as_app(void **state, const char *method, const char *path, const char *body) {
  struct registered *registered = *state;
  return served_ask(&registered->served, true, method, path, registered->head[0], body);
}

static char *as_operator(void **state, const char *method, const char *path, const char *body) {
  struct registered *registered = *state;
  return served_ask(&registered->served, false, method, path, "Content-Type: application/json\r\n", body);
}

static json_int_t number(const json_t *document, const char *key) {
  return json_integer_value(json_object_get(document, key));
}

static void a_registration_is_answered_whole(void **state) {
  char *answer = as_app(state, "PUT", "/v1/resources/App-R1", BODY);
  assert_non_null(strstr(answer, "ETag: \"1\"\r\n"));
  assert_non_null(strstr(answer, "Location: /v1/resources/app-r1\r\n"));
  json_t *document = expect_json(answer, 201);
  assert_string_equal(json_string_value(json_object_get(document, "id")), "app-r1");
  assert_string_equal(json_string_value(json_object_get(document, "owner")), "app");
  assert_true(json_number_value(json_object_get(document, "lease_s")) == 30.0);
  assert_true(number(document, "epoch") > 0);
  const json_t *lease = json_object_get(document, "lease");
  assert_string_equal(json_string_value(json_object_get(lease, "state")), "live");
  assert_true(json_number_value(json_object_get(lease, "renew_in_s")) == 10.0);
  assert_int_equal(strlen(json_string_value(json_object_get(document, "notice_key"))), 64);
  assert_int_equal(json_array_size(json_object_get(document, "report")), 3);
  assert_true(json_is_array(json_object_get(document, "balancers")));
  assert_true(json_is_null(json_object_get(document, "directive")));
  json_decref(document);
}

static void the_same_again_renews_and_a_change_counts(void **state) {
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1", BODY), 201, "ETag: \"1\"");
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1", BODY), 200, "ETag: \"1\"");
  expect_in(as_app(state, "PATCH", "/v1/resources/app-r1", "{\"weight\":7}"), 200, "\"weight\":7");
  expect_in(as_app(state, "GET", "/v1/resources/app-r1", ""), 200, "ETag: \"2\"");
  expect_in(as_app(state, "PATCH", "/v1/resources/app-r9", "{\"weight\":7}"), 404, "problem+json");
}

static void conditions_are_kept(void **state) {
  struct registered *registered = *state;
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1", BODY), 201, "ETag: \"1\"");
  static const struct {
    const char *head;
    unsigned status;
  } asked[] = {{"If-Match: \"5\"\r\n", 412},
               {"If-Match: 5\r\n", 400},
               {"If-None-Match: *\r\n", 412},
               {"If-Match: \"1\"\r\n", 200},
               {"If-None-Match: \"1\"\r\n", 400}};
  for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
    char *head = mem_format("%s%s", registered->head[0], asked[i].head);
    expect_in(served_ask(&registered->served, true, "PUT", "/v1/resources/app-r1", head, BODY), asked[i].status, "");
    free(head);
  }
  expect_in(served_ask(&registered->served, true, "GET", "/v1/resources/app-r1", "If-None-Match: \"1\"\r\n", ""), 304,
            "ETag: \"1\"");
}

static void a_dry_run_stores_nothing(void **state) {
  char *answer = as_app(state, "PUT", "/v1/resources/app-r1?dry_run=1", BODY);
  assert_null(strstr(answer, "notice_key"));
  expect_in(answer, 200, "\"lease_s\":30");
  expect_in(as_app(state, "GET", "/v1/resources/app-r1", ""), 404, "no resource is called");
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1?dry_run=maybe", BODY), 400, "dry_run");
}

static void everything_wrong_is_told_with_pointers(void **state) {
  struct registered *registered = *state;
  char *answer =
      as_app(state, "PUT", "/v1/resources/app-r1",
             "{\"addresses\":[\"x\"],\"services\":[{\"name\":\"app.example.com\"}],\"lease_s\":1,\"a/b\":1}");
  assert_non_null(strstr(answer, "\"pointer\":\"/addresses/0\""));
  assert_non_null(strstr(answer, "\"pointer\":\"/a~1b\""));
  expect_in(answer, 422, "\"pointer\":\"/lease_s\"");
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1", "{"), 400, "problem+json");
  expect_in(as_app(state, "PUT", "/v1/resources/app_r1", BODY), 400, "an id is one label");
  char *head =
      mem_format("%.*s\r\nContent-Type: text/plain\r\n", (int)strcspn(registered->head[0], "\r"), registered->head[0]);
  expect_in(served_ask(&registered->served, true, "PUT", "/v1/resources/app-r1", head, BODY), 415,
            "Accept: application");
  free(head);
}

static void scopes_and_owners_are_kept_apart(void **state) {
  struct registered *registered = *state;
  expect_in(as_app(state, "PUT", "/v1/resources/web-r1", BODY), 403, "problem+json");
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1", BODY), 201, "\"owner\":\"app\"");
  expect_in(served_ask(&registered->served, true, "PUT", "/v1/resources/app-r1", registered->head[1], BODY), 403,
            "problem+json");
  expect_in(served_ask(&registered->served, true, "DELETE", "/v1/resources/app-r1", registered->head[1], ""), 403,
            "problem+json");
  expect_in(served_ask(&registered->served, true, "PUT", "/v1/resources/app-r1", "", BODY), 401, "Bearer");
}

static void the_notice_key_is_for_the_owner_and_operators(void **state) {
  struct registered *registered = *state;
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1", BODY), 201, "\"notice_key\":\"");
  expect_in(as_app(state, "GET", "/v1/resources/app-r1", ""), 200, "\"notice_key\":\"");
  expect_in(as_operator(state, "GET", "/v1/resources/app-r1", ""), 200, "\"notice_key\":\"");
  char *answer = served_ask(&registered->served, true, "GET", "/v1/resources/app-r1", registered->head[1], "");
  assert_null(strstr(answer, "notice_key"));
  expect_in(answer, 200, "\"metrics\":{}");
  answer = as_operator(state, "GET", "/v1/resources", "");
  assert_null(strstr(answer, "notice_key"));
  expect_in(answer, 200, "\"id\":\"app-r1\"");
}

static json_int_t register_one(void **state, const char *path) {
  json_t *document = expect_json(as_app(state, "PUT", path, BODY), 201);
  json_int_t epoch = number(document, "epoch");
  json_decref(document);
  return epoch;
}

static void a_status_renews_once_for_each_sequence(void **state) {
  json_int_t epoch = register_one(state, "/v1/resources/app-r1");
  char *body =
      mem_format("{\"epoch\":%lld,\"sequence\":1,\"state\":\"drain\",\"cpu_utilization\":0.5}", (long long)epoch);
  json_t *document = expect_json(as_app(state, "PUT", "/v1/resources/app-r1/status", body), 200);
  assert_true(json_number_value(json_object_get(document, "renew_in_s")) == 10.0);
  assert_true(json_is_string(json_object_get(document, "ends_at")));
  assert_true(json_is_null(json_object_get(document, "directive")));
  json_decref(document);
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1/status", body), 409, "\"code\":\"replayed\"");
  free(body);
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1/status", "{\"epoch\":1,\"sequence\":9}"), 404,
            "\"code\":\"unknown-lease\"");
  expect_in(as_app(state, "PUT", "/v1/resources/app-r2/status", "{\"epoch\":1,\"sequence\":9}"), 404,
            "\"code\":\"unknown-lease\"");
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1/status", "{\"epoch\":true}"), 422, "\"pointer\":\"/epoch\"");
  document = expect_json(as_app(state, "GET", "/v1/resources/app-r1", ""), 200);
  const json_t *lease = json_object_get(document, "lease");
  assert_string_equal(json_string_value(json_object_get(lease, "self")), "drain");
  assert_int_equal(number(lease, "sequence"), 1);
  assert_true(json_number_value(json_object_get(json_object_get(document, "metrics"), "cpu_utilization")) == 0.5);
  json_decref(document);
}

static void lists_come_in_pages(void **state) {
  for (int i = 1; i <= 3; i++) {
    char *path = mem_format("/v1/resources/app-r%d", i);
    register_one(state, path);
    free(path);
  }
  json_t *page = expect_json(as_operator(state, "GET", "/v1/resources?limit=2", ""), 200);
  assert_int_equal(json_array_size(json_object_get(page, "resources")), 2);
  assert_string_equal(json_string_value(json_object_get(page, "next")), "app-r2");
  json_decref(page);
  page = expect_json(as_operator(state, "GET", "/v1/resources?limit=2&after=app-r2&service=APP.example.com.", ""), 200);
  assert_int_equal(json_array_size(json_object_get(page, "resources")), 1);
  assert_true(json_is_null(json_object_get(page, "next")));
  json_decref(page);
  expect_in(as_operator(state, "GET", "/v1/resources?site=ber", ""), 200, "\"resources\":[]");
  expect_in(as_operator(state, "GET", "/v1/resources?state=asleep", ""), 400, "state is live");
  expect_in(as_operator(state, "GET", "/v1/resources?kind=cat", ""), 400, "kind is server");
  expect_in(as_operator(state, "GET", "/v1/resources?limit=0", ""), 400, "limit is a number");
}

static void leaving_tells_how_long_clients_may_come(void **state) {
  register_one(state, "/v1/resources/app-r1");
  expect_in(as_app(state, "DELETE", "/v1/resources/app-r1", ""), 202, "\"clients_until_at\":\"20");
  expect_in(as_app(state, "DELETE", "/v1/resources/app-r1", ""), 204, "");
}

static void an_operator_removes_and_allows(void **state) {
  json_int_t epoch = register_one(state, "/v1/resources/app-r1");
  expect_in(as_app(state, "DELETE", "/v1/resources/app-r1?remove=1", ""), 403, "only an operator removes");
  expect_in(as_operator(state, "DELETE", "/v1/resources/app-r1?remove=1&for_s=-1", ""), 400, "for_s");
  expect_in(as_operator(state, "DELETE", "/v1/resources/app-r1?remove=1&why=broken%20disk", ""), 202,
            "{\"removed\":{\"until_at\":null,\"why\":\"broken disk\"}}");
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1", BODY), 410, "\"code\":\"removed\"");
  char *body = mem_format("{\"epoch\":%lld,\"sequence\":1}", (long long)epoch);
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1/status", body), 410, "problem+json");
  free(body);
  expect_in(as_operator(state, "GET", "/v1/resources?state=removed", ""), 200, "\"why\":\"broken disk\"");
  expect_in(as_app(state, "POST", "/v1/resources/app-r1/allow", ""), 403, "operator");
  expect_in(as_operator(state, "POST", "/v1/resources/app-r1/allow", ""), 204, "");
  expect_in(as_app(state, "PUT", "/v1/resources/app-r1", BODY), 201, "\"id\":\"app-r1\"");
}

static void entity_tags_are_read_as_they_are_written(void **state) {
  (void)state;
  uint64_t revision = 0;
  assert_true(resource_routes_read_match("\"42\"", &revision));
  assert_int_equal(revision, 42);
  static const char *const wrong[] = {"",       "42",      "\"\"", "\"0\"",        "\"4",
                                      "\"4x\"", "W/\"4\"", "*",    "\"1\", \"2\"", "\"99999999999999999999999\"",
                                      "\"-1\""};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_false(resource_routes_read_match(wrong[i], &revision));
  assert_true(resource_routes_knows("W/\"3\", \"42\"", 42));
  assert_true(resource_routes_knows("*", 42));
  assert_false(resource_routes_knows("\"4\", \"2\"", 42));
}

#define REGISTERED_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      REGISTERED_TEST(a_registration_is_answered_whole),
      REGISTERED_TEST(the_same_again_renews_and_a_change_counts),
      REGISTERED_TEST(conditions_are_kept),
      REGISTERED_TEST(a_dry_run_stores_nothing),
      REGISTERED_TEST(everything_wrong_is_told_with_pointers),
      REGISTERED_TEST(scopes_and_owners_are_kept_apart),
      REGISTERED_TEST(the_notice_key_is_for_the_owner_and_operators),
      REGISTERED_TEST(a_status_renews_once_for_each_sequence),
      REGISTERED_TEST(lists_come_in_pages),
      REGISTERED_TEST(leaving_tells_how_long_clients_may_come),
      REGISTERED_TEST(an_operator_removes_and_allows),
      cmocka_unit_test(entity_tags_are_read_as_they_are_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
