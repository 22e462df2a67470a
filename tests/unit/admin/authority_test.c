#include "tests/unit/admin/served.h"

#include "discovery/registry/token.h"
#include "gslb/admin/authority.h"
#include "gslb/admin/visit.h"

static const char text[] = "server: {identity: lb1.example.net, state: ./state, listen: [\"127.0.0.1@5300\"]}\n"
                           "zones:\n"
                           "  - {name: example.com, file: example.com.zone}\n"
                           "services:\n"
                           "  - name: www.example.com\n"
                           "    members:\n"
                           "      - {name: one, addresses: [127.0.0.11]}\n";

struct guarded {
  struct served served;
  struct config *config; /* of the view, to be altered before anybody asks */
  char reader[TOKEN_TEXT_SIZE], writer[TOKEN_TEXT_SIZE], admin[TOKEN_TEXT_SIZE], expired[TOKEN_TEXT_SIZE];
};

static void add_token(struct guarded *guarded, const char *name, const struct token_record *like,
                      char out[TOKEN_TEXT_SIZE]) {
  struct token_record record = *like;
  struct store_txn *txn;
  struct errbuf err;
  token_make(out, record.hash);
  assert_int_equal(store_begin(guarded->served.house->durable, true, &txn, &err), STATUS_OK);
  assert_int_equal(token_put(txn, name, &record, &err), STATUS_OK);
  assert_int_equal(store_commit(txn, &err), STATUS_OK);
}

static int setup(void **state) {
  struct guarded *guarded = mem_alloc(sizeof *guarded);
  struct served *served = &guarded->served;
  served_init(served);
  struct view *view = served_view(served, text);
  guarded->config = (struct config *)(uintptr_t)view_config(view);
  guarded->config->control.limits.requests_per_s = 0;
  served_start(served, view);
  served->routes.tokens = tokens_new(served->house->durable);
  served->routes.throttle = throttle_new();
  int64_t now_ms = house_now_ms(&served->time);
  add_token(guarded, "reader", &(struct token_record){.may_read = true}, guarded->reader);
  add_token(guarded, "writer", &(struct token_record){.resource_count = 1, .resources = {"app-*"}}, guarded->writer);
  add_token(guarded, "admin", &(struct token_record){.is_admin = true}, guarded->admin);
  add_token(guarded, "expired", &(struct token_record){.is_admin = true, .until_ms = now_ms - 1}, guarded->expired);
  served_listen(served);
  *state = guarded;
  return 0;
}

static int teardown(void **state) {
  struct guarded *guarded = *state;
  served_quiesce(&guarded->served);
  struct routes routes = guarded->served.routes;
  int failed = served_stop(&guarded->served);
  tokens_free(routes.tokens);
  throttle_free(routes.throttle);
  free(guarded);
  return failed;
}

static char *ask(struct guarded *guarded, const char *method, const char *path, const char *token) {
  char *head = token ? mem_format("Authorization: Bearer %s\r\n", token) : mem_strdup("");
  char *answer = served_ask(&guarded->served, true, method, path, head, "");
  free(head);
  return answer;
}

static void reads_are_open_unless_they_need_a_token(void **state) {
  struct guarded *guarded = *state;
  expect_in(ask(guarded, "GET", "/v1/services", NULL), 200, "www.example.com");
  guarded->config->control.reads_need_token = true;
  expect_in(ask(guarded, "GET", "/v1/services", NULL), 401, "WWW-Authenticate: Bearer\r\n");
  expect_in(ask(guarded, "GET", "/metrics", NULL), 401, "problem+json");
  expect_in(ask(guarded, "GET", "/v1/services", guarded->writer), 403, "may not read");
  expect_in(ask(guarded, "GET", "/v1/services", guarded->reader), 200, "www.example.com");
  expect_in(ask(guarded, "GET", "/v1/services", guarded->admin), 200, "www.example.com");
}

static void some_paths_stay_open_whatever_is_shown(void **state) {
  struct guarded *guarded = *state;
  guarded->config->control.reads_need_token = true;
  expect_in(ask(guarded, "GET", "/healthz", "gslb_wrong"), 200, "ok");
  expect_in(ask(guarded, "GET", "/", NULL), 200, "<!doctype html>");
  expect_in(ask(guarded, "GET", "/v1/openapi.json", NULL), 200, "\"openapi\": \"3.1.0\"");
  expect_in(ask(guarded, "GET", "/v1/balancer", NULL), 503, "problem+json");
}

static void wrong_tokens_are_refused_on_open_reads_too(void **state) {
  struct guarded *guarded = *state;
  expect_in(ask(guarded, "GET", "/v1/services", "gslb_wrong"), 401, "error=\"invalid_token\"");
  expect_in(ask(guarded, "GET", "/v1/services", guarded->expired), 401, "time of the token is over");
  expect_in(served_ask(&guarded->served, true, "GET", "/v1/services", "Authorization: Basic eDp5\r\n", ""), 401,
            "error=\"invalid_request\"");
}

static void operators_alone_see_tokens_and_steer(void **state) {
  struct guarded *guarded = *state;
  expect_in(ask(guarded, "GET", "/v1/tokens", NULL), 401, "problem+json");
  expect_in(ask(guarded, "GET", "/v1/tokens", guarded->reader), 403, "error=\"insufficient_scope\"");
  expect_in(ask(guarded, "GET", "/v1/tokens", guarded->admin), 200, "\"name\":\"reader\"");
  expect_in(ask(guarded, "POST", "/v1/admin/reload", guarded->writer), 403, "operator");
  expect_in(ask(guarded, "POST", "/v1/admin/reload", guarded->admin), 503, "no supervisor here for token admin");
  expect_in(served_ask(&guarded->served, false, "GET", "/v1/tokens", "Authorization: Bearer gslb_wrong\r\n", ""), 200,
            "\"name\":\"reader\"");
}

static void registering_needs_credentials(void **state) {
  struct guarded *guarded = *state;
  expect_in(ask(guarded, "PUT", "/v1/resources/app-r1", NULL), 401, "problem+json");
  expect_in(ask(guarded, "PUT", "/v1/resources/app-r1/status", NULL), 401, "problem+json");
  expect_in(ask(guarded, "DELETE", "/v1/resources/app-r1", guarded->expired), 401, "problem+json");
  expect_in(ask(guarded, "PUT", "/v1/resources/app-r1", guarded->writer), 400, "problem+json");
}

static void changes_of_one_address_are_limited_in_number(void **state) {
  struct guarded *guarded = *state;
  guarded->config->control.limits.requests_per_s = 3;
  unsigned limited = 0;
  for (int i = 0; i < 12; i++) {
    char *answer = ask(guarded, "DELETE", "/v1/tokens/none", NULL);
    if (strstr(answer, "HTTP/1.1 429 ") == answer && strstr(answer, "Retry-After: 1"))
      limited++;
    free(answer);
  }
  assert_true(limited > 0 && limited <= 9);
  expect_in(ask(guarded, "GET", "/v1/services", NULL), 200, "www.example.com");
  expect_in(served_ask(&guarded->served, false, "DELETE", "/v1/tokens/none", "", ""), 404, "problem+json");
}

/* A call over TCP with a certificate, which a server without TLS does not have. */
struct certified {
  const struct config *config;
  struct principal *principal;
  const char *name;
  enum authority_need need;
  bool is_admitted;
};

static void admit(void *context, struct http_call *call, const char *who) {
  struct certified *certified = context;
  assert_non_null(who);
  call->peer.is_unix = false;
  snprintf(call->peer.certificate, sizeof call->peer.certificate, "%s", certified->name);
  certified->is_admitted =
      authority_admit(call, certified->need, NULL, certified->config, HOUSE_NOW_MS, certified->principal);
  if (certified->is_admitted)
    reply_empty(call, 204);
}

static void certified_ask(struct guarded *guarded, struct certified *certified, const char *name,
                          enum authority_need need) {
  certified->name = name;
  certified->need = need;
  guarded->served.routes.reload = admit;
  guarded->served.routes.reload_context = certified;
  free(served_ask(&guarded->served, false, "POST", "/v1/admin/reload", "", ""));
}

static void a_certificate_fits_its_name_or_a_star_for_the_first_label(void **state) {
  (void)state;
  assert_true(authority_certificate_fits("*.web.example.net", "r1.WEB.example.net"));
  assert_true(authority_certificate_fits("r1.example.net", "R1.example.net"));
  assert_false(authority_certificate_fits("*.web.example.net", "web.example.net"));
  assert_false(authority_certificate_fits("*.web.example.net", "a.b.web.example.net"));
  assert_false(authority_certificate_fits("*.web.example.net", ".web.example.net"));
}

static void a_certificate_is_admitted_by_the_entry_that_means_it(void **state) {
  struct config_client clients[] = {{.name = "other", .certificate = "r1.example.net"},
                                    {.name = "web", .certificate = "*.web.example.net"}};
  struct config config = {.control = {.clients = clients, .client_count = 2, .reads_need_token = true}};
  struct guarded *guarded = *state;
  struct principal principal = {0};
  struct certified certified = {.config = &config, .principal = &principal};
  certified_ask(guarded, &certified, "r1.web.example.net", AUTHORITY_REGISTER);
  assert_true(certified.is_admitted);
  assert_int_equal(principal.kind, PRINCIPAL_CERTIFICATE);
  assert_string_equal(principal.name, "web");
  assert_string_equal(principal.subject, "r1");
  assert_true(principal.client == &clients[1]);
  certified_ask(guarded, &certified, "r1.web.example.net", AUTHORITY_READ);
  assert_true(certified.is_admitted);
  certified_ask(guarded, &certified, "r1.web.example.net", AUTHORITY_ADMIN);
  assert_false(certified.is_admitted);
  certified_ask(guarded, &certified, "r2.example.net", AUTHORITY_REGISTER);
  assert_false(certified.is_admitted);
}

static void who_changed_is_named_for_the_audit(void **state) {
  (void)state;
  char who[64];
  visit_who(&(struct principal){.kind = PRINCIPAL_OPERATOR, .name = "ann"}, who);
  assert_string_equal(who, "ann");
  visit_who(&(struct principal){.kind = PRINCIPAL_TOKEN, .name = "app"}, who);
  assert_string_equal(who, "token app");
  visit_who(&(struct principal){.kind = PRINCIPAL_CERTIFICATE, .name = "web"}, who);
  assert_string_equal(who, "client web");
}

#define GUARDED_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      GUARDED_TEST(reads_are_open_unless_they_need_a_token),
      GUARDED_TEST(some_paths_stay_open_whatever_is_shown),
      GUARDED_TEST(wrong_tokens_are_refused_on_open_reads_too),
      GUARDED_TEST(operators_alone_see_tokens_and_steer),
      GUARDED_TEST(registering_needs_credentials),
      GUARDED_TEST(changes_of_one_address_are_limited_in_number),
      cmocka_unit_test(a_certificate_fits_its_name_or_a_star_for_the_first_label),
      GUARDED_TEST(a_certificate_is_admitted_by_the_entry_that_means_it),
      cmocka_unit_test(who_changed_is_named_for_the_audit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
