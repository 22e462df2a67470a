#include "discovery/registry/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static struct config_site sites[] = {{.name = "fra"}, {.name = "muc"}};
static uint32_t only_fra[] = {0};
static struct prefix network = {.family = 4, .bits = 24, .bytes = {192, 0, 2}};
static const char *const tokens[] = {"app", NULL};
static struct config_member configured[] = {{.name = "fixed"}};
static struct config_service services[] = {
    {.name = "app.example.com",
     .ttl_max_s = 30,
     .pattern = CONFIG_NO_PATTERN,
     .members = configured,
     .member_count = 1,
     .accept = {.is_given = true,
                .tokens = tokens,
                .sites = only_fra,
                .site_count = 1,
                .networks = &network,
                .network_count = 1,
                .members_most = 2,
                .weight_least = 1,
                .weight_most = 10,
                .tier_most = 1,
                .lease_least_ms = 10000,
                .lease_most_ms = 60000}},
    {.name = "closed.dyn.example.com", .pattern = CONFIG_NO_PATTERN},
    {.name = "open.dyn.example.com",
     .pattern = CONFIG_NO_PATTERN,
     .accept = {.is_given = true, .tokens = tokens, .members_most = 9, .weight_most = 9, .tier_most = 9}},
    {.name = "*.dyn.example.com",
     .ttl_max_s = 60,
     .pattern = CONFIG_NO_PATTERN,
     .accept =
         {.is_given = true, .tokens = tokens, .members_most = 9, .services_most = 2, .weight_most = 9, .tier_most = 9}},
    {.name = "", .pattern = 3, .accept = {.is_given = true, .tokens = tokens, .services_most = 2}},
};
static const struct config config = {.sites = sites,
                                     .site_count = 2,
                                     .services = services,
                                     .service_count = sizeof services / sizeof *services,
                                     .control = {.limits = {.resources = 4, .resources_per_token = 3}}};
static struct accept_rules *rules;

static int make_rules(void **state) {
  (void)state;
  rules = accept_rules_new(&config);
  return 0;
}

static int release_rules(void **state) {
  (void)state;
  accept_rules_release(rules);
  return 0;
}

static struct addr inside = {.family = 4, .bytes = {192, 0, 2, 7}}, outside = {.family = 4, .bytes = {192, 0, 3, 7}};

static struct principal token_named(const char *name) {
  struct principal principal = {.kind = PRINCIPAL_TOKEN};
  strcpy(principal.name, name);
  strcpy(principal.token.resources[0], "app-*");
  strcpy(principal.token.services[0], "*");
  principal.token.resource_count = principal.token.service_count = 1;
  return principal;
}

struct trial {
  struct document_service service;
  struct document document;
};

/* A registration that fits app.example.com. */
static void fitting(struct trial *trial) {
  trial->service = (struct document_service){.name = "app.example.com", .weight = 1};
  trial->document = (struct document){.site = "fra",
                                      .addresses = &inside,
                                      .address_count = 1,
                                      .services = &trial->service,
                                      .service_count = 1,
                                      .lease_ms = 30000};
}

static void assert_checked(const struct trial *trial, const struct principal *principal, const char *id,
                           enum status wanted, const char *pointer) {
  json_t *errors = NULL;
  struct errbuf err;
  assert_int_equal(accept_check(rules, principal, id, &trial->document, &errors, &err), wanted);
  if (pointer)
    assert_string_equal(json_string_value(json_object_get(json_array_get(errors, 0), "pointer")), pointer);
  else
    assert_null(errors);
  json_decref(errors);
}

static void registration_within_everything_is_taken(void **state) {
  (void)state;
  struct trial trial;
  struct principal app = token_named("app");
  fitting(&trial);
  assert_checked(&trial, &app, "app-1", STATUS_OK, NULL);
}

static void scope_and_tokens_are_asked(void **state) {
  (void)state;
  struct trial trial;
  struct principal app = token_named("app"), other = token_named("other"), operator= {.kind = PRINCIPAL_OPERATOR},
                   nobody = {0};
  fitting(&trial);
  assert_checked(&trial, &app, "web-1", STATUS_FORBIDDEN, "");
  assert_checked(&trial, &other, "app-1", STATUS_FORBIDDEN, "/services/0/name");
  assert_checked(&trial, &nobody, "app-1", STATUS_FORBIDDEN, "");
  assert_checked(&trial, &operator, "web-1", STATUS_OK, NULL);
  strcpy(app.token.services[0], "www.*");
  assert_checked(&trial, &app, "app-1", STATUS_FORBIDDEN, "/services/0/name");
}

static void sites_and_networks_are_asked(void **state) {
  (void)state;
  struct trial trial;
  struct principal app = token_named("app");
  fitting(&trial);
  trial.document.site = "muc";
  assert_checked(&trial, &app, "app-1", STATUS_FORBIDDEN, "/site");
  trial.document.site = NULL;
  assert_checked(&trial, &app, "app-1", STATUS_FORBIDDEN, "/site");
  fitting(&trial);
  trial.document.addresses = &outside;
  assert_checked(&trial, &app, "app-1", STATUS_FORBIDDEN, "/addresses/0");
  fitting(&trial);
  trial.service.name = "x.dyn.example.com";
  trial.document.site = "nowhere";
  assert_checked(&trial, &app, "app-1", STATUS_RANGE, "/site");
}

static void bounds_are_told_with_their_pointers(void **state) {
  (void)state;
  struct trial trial;
  struct principal app = token_named("app"), operator= {.kind = PRINCIPAL_OPERATOR};
  fitting(&trial);
  trial.service.weight = 0;
  assert_checked(&trial, &app, "app-1", STATUS_RANGE, "/services/0/weight");
  trial.service.weight = 10;
  trial.service.tier = 2;
  assert_checked(&trial, &app, "app-1", STATUS_RANGE, "/services/0/tier");
  trial.service.tier = 1;
  const int64_t leases[] = {0, 9999, 60001};
  for (size_t i = 0; i < 3; i++) {
    trial.document.lease_ms = leases[i];
    assert_checked(&trial, &app, "app-1", STATUS_RANGE, "/lease_s");
  }
  fitting(&trial);
  assert_checked(&trial, &operator, "fixed", STATUS_RANGE, "/services/0/name");
}

static void pattern_takes_what_is_one_label_below_and_not_configured(void **state) {
  (void)state;
  struct trial trial;
  struct principal app = token_named("app");
  fitting(&trial);
  trial.document.lease_ms = 0;
  trial.service.name = "x.dyn.example.com";
  assert_checked(&trial, &app, "app-1", STATUS_OK, NULL);
  assert_int_equal(accept_ttl_most_s(rules, "x.dyn.example.com"), 60);
  const char *refused[] = {"x.y.dyn.example.com", "dyn.example.com", "closed.dyn.example.com", "other.example.com"};
  for (size_t i = 0; i < 4; i++) {
    trial.service.name = refused[i];
    assert_checked(&trial, &app, "app-1", STATUS_RANGE, "/services/0/name");
  }
}

static enum status count(const struct tally *tally, const struct tally_holding *before, const char *owner,
                         const char *service) {
  const char *names[] = {service};
  struct tally_holding none = {0}, after = {owner, names, 1};
  json_t *errors = NULL;
  struct errbuf err;
  enum status status = accept_count(rules, tally, before ? before : &none, &after, &errors, &err);
  assert_int_equal(json_array_size(errors) > 0, status != STATUS_OK);
  json_decref(errors);
  return status;
}

static void add(struct tally *tally, const char *owner, const char *service) {
  const char *names[] = {service};
  struct tally_holding holding = {owner, names, 1};
  tally_add(tally, &holding);
}

static void room_is_counted_in_all_by_owner_and_by_service(void **state) {
  (void)state;
  struct tally *tally = tally_new();
  assert_int_equal(count(tally, NULL, "app", "app.example.com"), STATUS_OK);
  add(tally, "app", "app.example.com");
  add(tally, "app", "app.example.com");
  assert_int_equal(count(tally, NULL, "app", "app.example.com"), STATUS_LIMIT);
  const char *held[] = {"app.example.com"};
  struct tally_holding before = {"app", held, 1};
  assert_int_equal(count(tally, &before, "app", "app.example.com"), STATUS_OK);
  add(tally, "app", "open.dyn.example.com");
  assert_int_equal(count(tally, NULL, "app", "open.dyn.example.com"), STATUS_LIMIT);
  assert_int_equal(count(tally, NULL, "other", "open.dyn.example.com"), STATUS_OK);
  add(tally, "other", "open.dyn.example.com");
  assert_int_equal(count(tally, NULL, "third", "open.dyn.example.com"), STATUS_LIMIT);
  tally_free(tally);
}

static void services_that_registrations_create_are_counted_without_the_configured(void **state) {
  (void)state;
  struct tally *tally = tally_new();
  add(tally, "a", "open.dyn.example.com");
  add(tally, "b", "x.dyn.example.com");
  const char *two[] = {"y.dyn.example.com", "z.dyn.example.com"};
  struct tally_holding none = {0}, after = {"c", two, 2};
  json_t *errors = NULL;
  struct errbuf err;
  assert_int_equal(accept_count(rules, tally, &none, &after, &errors, &err), STATUS_LIMIT);
  assert_string_equal(json_string_value(json_object_get(json_array_get(errors, 0), "pointer")), "/services/1");
  json_decref(errors);
  assert_int_equal(count(tally, NULL, "c", "y.dyn.example.com"), STATUS_OK);
  add(tally, "c", "y.dyn.example.com");
  assert_int_equal(tally_count(tally, TALLY_BELOW, "dyn.example.com"), 3);
  const char *held[] = {"x.dyn.example.com"};
  struct tally_holding before = {"b", held, 1};
  assert_int_equal(count(tally, &before, "b", "z.dyn.example.com"), STATUS_LIMIT);
  assert_int_equal(count(tally, &before, "b", "y.dyn.example.com"), STATUS_OK);
  tally_free(tally);
}

static void counts_of_a_transaction_that_was_given_up_are_taken_back(void **state) {
  (void)state;
  struct tally *tally = tally_new();
  const char *names[] = {"s.example.com"}, *others[] = {"t.example.com"};
  struct tally_change first = {.after = {"a", names, 1}},
                      second = {.before = {"a", names, 1}, .after = {"a", others, 1}};
  tally_begin(tally, &first);
  tally_apply(tally, &first);
  tally_begin(tally, &second);
  tally_apply(tally, &second);
  assert_int_equal(tally_count(tally, TALLY_SERVICE, "s.example.com"), 0);
  assert_int_equal(tally_count(tally, TALLY_SERVICE, "t.example.com"), 1);
  tally_begin(tally, &first);
  assert_int_equal(tally_count(tally, TALLY_RESOURCES, ""), 0);
  tally_apply(tally, &first);
  tally_settle(tally, &first, true);
  tally_begin(tally, &second);
  tally_apply(tally, &second);
  tally_settle(tally, &second, false);
  assert_int_equal(tally_count(tally, TALLY_OWNER, "a"), 1);
  assert_int_equal(tally_count(tally, TALLY_SERVICE, "s.example.com"), 1);
  assert_int_equal(tally_count(tally, TALLY_BELOW, "example.com"), 1);
  tally_free(tally);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(registration_within_everything_is_taken),
      cmocka_unit_test(scope_and_tokens_are_asked),
      cmocka_unit_test(sites_and_networks_are_asked),
      cmocka_unit_test(bounds_are_told_with_their_pointers),
      cmocka_unit_test(pattern_takes_what_is_one_label_below_and_not_configured),
      cmocka_unit_test(room_is_counted_in_all_by_owner_and_by_service),
      cmocka_unit_test(services_that_registrations_create_are_counted_without_the_configured),
      cmocka_unit_test(counts_of_a_transaction_that_was_given_up_are_taken_back),
  };
  return cmocka_run_group_tests(tests, make_rules, release_rules);
}
