#include "tests/unit/admin/served.h"

#include "gslb/admin/token_routes.h"

static const char text[] = "server: {identity: lb1.example.net, state: ./state, listen: [\"127.0.0.1@5300\"]}\n"
                           "zones:\n"
                           "  - {name: example.com, file: example.com.zone}\n"
                           "services:\n"
                           "  - name: www.example.com\n"
                           "    members:\n"
                           "      - {name: one, addresses: [127.0.0.11]}\n";

static int setup(void **state) {
  struct served *served = mem_alloc(sizeof *served);
  served_init(served);
  served_start(served, served_view(served, text));
  served->routes.tokens = tokens_new(served->house->durable);
  served_listen(served);
  *state = served;
  return 0;
}

static int teardown(void **state) {
  struct served *served = *state;
  struct tokens *tokens = served->routes.tokens;
  served_quiesce(served);
  int failed = served_stop(served);
  tokens_free(tokens);
  free(served);
  return failed;
}

static char *ask(void **state, const char *method, const char *path, const char *body) {
  return served_ask(*state, false, method, path, "", body);
}

/* What the token may do over TCP. */
static void expect_with(void **state, const char *token, const char *path, unsigned status) {
  char *head = mem_format("Authorization: Bearer %s\r\n", token);
  expect_in(served_ask(*state, true, "GET", path, head, ""), status, "");
  free(head);
}

static void a_token_is_told_once_and_good_until_it_is_deleted(void **state) {
  char *answer = ask(state, "POST", "/v1/tokens", "{\"name\":\"Root\",\"admin\":true}");
  assert_non_null(strstr(answer, "Location: /v1/tokens/root\r\n"));
  json_t *document = expect_json(answer, 201);
  const char *token = json_string_value(json_object_get(document, "token"));
  assert_int_equal(strlen(token), 48);
  assert_string_equal(json_string_value(json_object_get(document, "name")), "root");
  expect_with(state, token, "/v1/tokens", 200);
  answer = ask(state, "GET", "/v1/tokens", "");
  assert_null(strstr(answer, "gslb_"));
  expect_in(answer, 200, "\"admin\":true");
  expect_in(ask(state, "DELETE", "/v1/tokens/root", ""), 204, "");
  expect_with(state, token, "/v1/tokens", 401);
  expect_in(ask(state, "DELETE", "/v1/tokens/root", ""), 404, "problem+json");
  json_decref(document);
}

static void a_name_is_given_once(void **state) {
  expect_in(ask(state, "POST", "/v1/tokens", "{\"name\":\"app\",\"resources\":[\"app-*\"]}"), 201,
            "\"services\":[\"*\"]");
  expect_in(ask(state, "POST", "/v1/tokens", "{\"name\":\"app\",\"resources\":[\"app-*\"]}"), 409, "problem+json");
}

static bool note_row(void *context, struct store_bytes key, struct store_bytes value) {
  struct audit_record audit;
  char *seen = context;
  (void)key;
  assert_int_equal(audit_decode(value.data, value.size, &audit), STATUS_OK);
  size_t used = strlen(seen);
  snprintf(seen + used, 512 - used, "%s: %s;", audit.action, audit.subject);
  return true;
}

static void every_change_is_audited(void **state) {
  struct served *served = *state;
  free(ask(state, "POST", "/v1/tokens", "{\"name\":\"app\",\"resources\":[\"app-*\"]}"));
  free(ask(state, "DELETE", "/v1/tokens/app", ""));
  char seen[512] = "";
  struct store_txn *txn;
  assert_int_equal(store_begin(served->house->durable, false, &txn, NULL), STATUS_OK);
  assert_int_equal(store_scan(txn, STORE_DB_AUDIT, (struct store_bytes){0}, note_row, seen), STATUS_OK);
  store_abort(txn);
  assert_string_equal(seen, "token create: token app;token delete: token app;");
}

static void parse(const char *body, enum status expected, const char *pointer) {
  struct token_record record;
  char name[DOMAIN_LABEL_MOST + 1];
  json_t *json = json_loads(body, 0, NULL), *errors = NULL;
  assert_non_null(json);
  assert_int_equal(token_routes_parse(json, HOUSE_NOW_MS, name, &record, &errors), expected);
  if (pointer) {
    char *dumped = json_dumps(errors, JSON_COMPACT);
    char *wanted = mem_format("\"pointer\":\"%s\"", pointer);
    if (!strstr(dumped, wanted))
      fail_msg("%s: no %s in %s", body, wanted, dumped);
    free(wanted);
    free(dumped);
  }
  json_decref(errors);
  json_decref(json);
}

static void what_is_wrong_with_a_wish_is_told_with_pointers(void **state) {
  (void)state;
  parse("{\"name\":\"app\",\"resources\":[\"APP-*\"],\"services\":[\"*.example.com.\"],\"for_s\":60}", STATUS_OK, NULL);
  parse("{\"name\":\"app\"}", STATUS_OK, NULL);
  parse("{\"resources\":[\"a\"]}", STATUS_RANGE, "/name");
  parse("{\"name\":\"operator\",\"resources\":[\"a\"]}", STATUS_RANGE, "/name");
  parse("{\"name\":\"a.b\",\"resources\":[\"a\"]}", STATUS_RANGE, "/name");
  parse("{\"name\":\"app\",\"resources\":\"a\"}", STATUS_RANGE, "/resources");
  parse("{\"name\":\"app\",\"resources\":[\"a\",\"b c\"]}", STATUS_RANGE, "/resources/1");
  parse("{\"name\":\"app\",\"resources\":[\"\"]}", STATUS_RANGE, "/resources/0");
  parse("{\"name\":\"app\",\"services\":[\"b/c\"]}", STATUS_RANGE, "/services/0");
  parse("{\"name\":\"app\",\"admin\":1}", STATUS_RANGE, "/admin");
  parse("{\"name\":\"app\",\"for_s\":-1}", STATUS_RANGE, "/for_s");
  parse("{\"name\":\"app\",\"read\":false}", STATUS_RANGE, "/resources");
  parse("{\"name\":\"app\",\"a/b\":1}", STATUS_RANGE, "/a~1b");
}

#define SERVED_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      SERVED_TEST(a_token_is_told_once_and_good_until_it_is_deleted),
      SERVED_TEST(a_name_is_given_once),
      SERVED_TEST(every_change_is_audited),
      cmocka_unit_test(what_is_wrong_with_a_wish_is_told_with_pointers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
