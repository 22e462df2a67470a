#include "discovery/registry/token.h"

#include "tests/unit/model/store_fixture.h"

static void put_token(struct fixture *fixture, const char *name, const struct token_record *record,
                      enum status wanted) {
  struct store_txn *txn = begin(fixture, true);
  assert_int_equal(token_put(txn, name, record, &fixture->err), wanted);
  commit(fixture, txn);
}

static struct token_record record_of(const uint8_t hash[32]) {
  struct token_record record = {.created_ms = 1, .may_read = true, .resource_count = 1, .service_count = 1};
  memcpy(record.hash, hash, 32);
  strcpy(record.resources[0], "app-*");
  strcpy(record.services[0], "app.example.com");
  return record;
}

static void token_is_recognised_until_it_is_revoked(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  struct tokens *tokens = tokens_new(fixture->store);
  char text[TOKEN_TEXT_SIZE];
  uint8_t hash[32];
  struct principal principal = {0};
  token_make(text, hash);
  assert_int_equal(strlen(text), 48);
  assert_int_equal(tokens_recognise(tokens, text, 5, &principal, &fixture->err), STATUS_FORBIDDEN);
  struct token_record record = record_of(hash);
  put_token(fixture, "app", &record, STATUS_OK);
  assert_int_equal(tokens_recognise(tokens, text, 5, &principal, &fixture->err), STATUS_OK);
  assert_int_equal(principal.kind, PRINCIPAL_TOKEN);
  assert_string_equal(principal_owner(&principal), "app");
  assert_true(principal.may_read && !principal.may_admin);
  assert_true(principal_may_resource(&principal, "app-1"));
  assert_false(principal_may_resource(&principal, "web-1"));
  assert_true(principal_may_service(&principal, "app.example.com"));
  assert_false(principal_may_service(&principal, "www.example.com"));
  struct store_txn *txn = begin(fixture, true);
  assert_int_equal(token_delete(txn, "app", &fixture->err), STATUS_OK);
  assert_int_equal(token_delete(txn, "app", &fixture->err), STATUS_NOTFOUND);
  commit(fixture, txn);
  assert_int_equal(tokens_recognise(tokens, text, 5, &principal, &fixture->err), STATUS_FORBIDDEN);
  put_token(fixture, "again", &record, STATUS_OK);
  assert_int_equal(tokens_recognise(tokens, text, 5, &principal, &fixture->err), STATUS_OK);
  assert_string_equal(principal.name, "again");
  tokens_free(tokens);
}

static void token_ends_at_its_time(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  struct tokens *tokens = tokens_new(fixture->store);
  char text[TOKEN_TEXT_SIZE];
  uint8_t hash[32];
  struct principal principal = {0};
  token_make(text, hash);
  struct token_record record = record_of(hash);
  record.until_ms = 1000;
  put_token(fixture, "app", &record, STATUS_OK);
  assert_int_equal(tokens_recognise(tokens, text, 999, &principal, &fixture->err), STATUS_OK);
  assert_int_equal(tokens_recognise(tokens, text, 1000, &principal, &fixture->err), STATUS_FORBIDDEN);
  assert_non_null(strstr(fixture->err.text, "over"));
  text[20] ^= 1;
  assert_int_equal(tokens_recognise(tokens, text, 5, &principal, &fixture->err), STATUS_FORBIDDEN);
  tokens_free(tokens);
}

static void names_of_tokens_are_labels_and_unique(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  struct token_record record = record_of((const uint8_t[32]){1});
  put_token(fixture, "app", &record, STATUS_OK);
  put_token(fixture, "app", &record, STATUS_CONFLICT);
  put_token(fixture, "App", &record, STATUS_INVALID);
  put_token(fixture, "a b", &record, STATUS_INVALID);
  put_token(fixture, "operator", &record, STATUS_INVALID);
}

static bool note_name(void *context, const char *name, const struct token_record *record) {
  assert_int_equal(record->resource_count, 1);
  strcat(strcat(context, name), " ");
  return true;
}

static void tokens_are_listed_in_order(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(open_store(fixture, STORE_DURABLE, STORE_CREATE), STATUS_OK);
  struct token_record record = record_of((const uint8_t[32]){1});
  char names[64] = "";
  put_token(fixture, "web", &record, STATUS_OK);
  put_token(fixture, "app", &record, STATUS_OK);
  assert_int_equal(tokens_each(fixture->store, note_name, names, &fixture->err), STATUS_OK);
  assert_string_equal(names, "app web ");
  assert_int_equal(tokens_each(NULL, note_name, names, &fixture->err), STATUS_IO);
}

static void without_a_store_every_token_is_unknown(void **state) {
  struct fixture *fixture = *state;
  struct tokens *tokens = tokens_new(NULL);
  struct principal principal;
  assert_int_equal(tokens_recognise(tokens, "gslb_x", 5, &principal, &fixture->err), STATUS_FORBIDDEN);
  tokens_free(tokens);
}

static void certificate_names_its_own_resources_alone(void **state) {
  (void)state;
  const char *const resources[] = {"{name}-*", "{name}", NULL}, *const services[] = {"*.example.com", NULL};
  struct config_client client = {.name = "fleet", .resources = resources, .services = services};
  struct principal principal = {.kind = PRINCIPAL_CERTIFICATE, .name = "fleet", .subject = "web1", .client = &client};
  assert_true(principal_may_resource(&principal, "web1"));
  assert_true(principal_may_resource(&principal, "web1-b"));
  assert_false(principal_may_resource(&principal, "web2"));
  assert_true(principal_may_service(&principal, "app.example.com"));
  assert_string_equal(principal_owner(&principal), "fleet");
  strcpy(principal.subject, "*");
  assert_false(principal_may_resource(&principal, "web2"));
  principal.subject[0] = '\0';
  assert_false(principal_may_resource(&principal, "-x"));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(token_is_recognised_until_it_is_revoked), T(token_ends_at_its_time),
      T(names_of_tokens_are_labels_and_unique),   T(tokens_are_listed_in_order),
      T(without_a_store_every_token_is_unknown),  T(certificate_names_its_own_resources_alone),
  };
#undef T
  return cmocka_run_group_tests(tests, NULL, NULL);
}
