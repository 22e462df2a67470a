#include "tests/unit/admin/house.h"

#include <unistd.h>

#include <jansson.h>

#include "gslb/admin/change.h"

static enum status parse(const char *body, struct override_record *out, json_t **errors) {
  struct errbuf err;
  *errors = NULL;
  return change_parse(body, strlen(body), HOUSE_NOW_MS, out, errors, &err);
}

static void override_is_taken_with_its_end(void **state) {
  (void)state;
  struct override_record record;
  json_t *errors;
  assert_int_equal(parse("{\"state\":\"drain\",\"reason\":\"kernel\",\"for_s\":1800}", &record, &errors), STATUS_OK);
  assert_int_equal(record.kind, OVERRIDE_DRAIN);
  assert_string_equal(record.why, "kernel");
  assert_int_equal(record.set_ms, HOUSE_NOW_MS);
  assert_int_equal(record.until_ms, HOUSE_NOW_MS + 1800000);
}

static void override_without_for_has_no_end(void **state) {
  (void)state;
  struct override_record record;
  json_t *errors;
  assert_int_equal(parse("{\"state\":\"up\",\"reason\":\"sure\"}", &record, &errors), STATUS_OK);
  assert_int_equal(record.until_ms, 0);
}

static void every_mistake_is_told_at_once(void **state) {
  (void)state;
  struct override_record record = {.kind = OVERRIDE_UP};
  json_t *errors;
  assert_int_equal(parse("{\"state\":\"off\",\"reason\":\"\",\"for_s\":0,\"who\":\"me\"}", &record, &errors),
                   STATUS_RANGE);
  assert_int_equal(json_array_size(errors), 4);
  assert_string_equal(json_string_value(json_object_get(json_array_get(errors, 0), "pointer")), "/state");
  assert_string_equal(json_string_value(json_object_get(json_array_get(errors, 3), "pointer")), "/who");
  assert_int_equal(record.kind, OVERRIDE_UP);
  json_decref(errors);
}

static void one_wrong_part_is_refused(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "{\"state\":\"none\",\"reason\":\"x\"}",
      "{\"state\":1,\"reason\":\"x\"}",
      "{\"state\":\"up\"}",
      "{\"state\":\"up\",\"reason\":\"two\\nlines\"}",
      "{\"state\":\"up\",\"reason\":\"x\",\"for_s\":\"30m\"}",
      "{\"state\":\"up\",\"reason\":\"x\",\"for_s\":1e300}",
      "{\"state\":\"up\",\"reason\":\"x\",\"for_s\":-1}",
  };
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    struct override_record record;
    json_t *errors;
    assert_int_equal(parse(bodies[i], &record, &errors), STATUS_RANGE);
    assert_int_equal(json_array_size(errors), 1);
    json_decref(errors);
  }
}

static void a_reason_that_does_not_fit_is_refused_whole(void **state) {
  (void)state;
  char body[400];
  struct override_record record;
  json_t *errors;
  snprintf(body, sizeof body, "{\"state\":\"up\",\"reason\":\"%0256d\"}", 0);
  assert_int_equal(parse(body, &record, &errors), STATUS_RANGE);
  json_decref(errors);
  snprintf(body, sizeof body, "{\"state\":\"up\",\"reason\":\"%0255d\"}", 0);
  assert_int_equal(parse(body, &record, &errors), STATUS_OK);
  assert_int_equal(strlen(record.why), 255);
}

static void what_is_not_a_json_object_is_invalid(void **state) {
  (void)state;
  static const char *const bodies[] = {"", "up", "[]", "{\"state\":\"up\"", "{\"state\":\"up\",\"state\":\"down\"}"};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    struct override_record record;
    json_t *errors;
    assert_int_equal(parse(bodies[i], &record, &errors), STATUS_INVALID);
    assert_null(errors);
  }
}

static void who_is_the_peers_user(void **state) {
  (void)state;
  char who[64];
  struct http_peer peer = {.is_unix = true, .uid = 0};
  change_who(&peer, who);
  assert_string_equal(who, "root");
  peer.uid = 3999999999u;
  change_who(&peer, who);
  assert_string_equal(who, "uid 3999999999");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(override_is_taken_with_its_end),
      cmocka_unit_test(override_without_for_has_no_end),
      cmocka_unit_test(every_mistake_is_told_at_once),
      cmocka_unit_test(one_wrong_part_is_refused),
      cmocka_unit_test(a_reason_that_does_not_fit_is_refused_whole),
      cmocka_unit_test(what_is_not_a_json_object_is_invalid),
      cmocka_unit_test(who_is_the_peers_user),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
