#include "discovery/documents/document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static struct arena arena;

static int release(void **state) {
  (void)state;
  arena_release(&arena);
  return 0;
}

static json_t *read_json(const char *text) {
  json_t *json = NULL, *errors = NULL;
  struct errbuf err;
  assert_int_equal(document_read(text, strlen(text), &json, &errors, &err), STATUS_OK);
  return json;
}

/* The pointers of what is wrong, each with a blank after it. */
static void pointers_of(json_t *errors, char out[2048]) {
  size_t i;
  json_t *error;
  out[0] = '\0';
  json_array_foreach(errors, i, error) strcat(strcat(out, json_string_value(json_object_get(error, "pointer"))), " ");
  json_decref(errors);
}

static void assert_refused(const char *text, const char *pointers) {
  struct document document;
  json_t *json = read_json(text), *errors = NULL;
  char found[2048];
  assert_int_equal(document_parse_registration(json, &arena, &document, &errors), STATUS_RANGE);
  json_decref(json);
  pointers_of(errors, found);
  assert_string_equal(found, pointers);
}

static void assert_status_refused(const char *text, const char *pointers) {
  static struct document_status status;
  json_t *json = read_json(text), *errors = NULL;
  char found[2048];
  assert_int_equal(document_parse_status(json, &status, &errors), STATUS_RANGE);
  json_decref(json);
  pointers_of(errors, found);
  assert_string_equal(found, pointers);
}

static struct document parse(const char *text) {
  struct document document = {0};
  json_t *json = read_json(text), *errors = NULL;
  enum status status = document_parse_registration(json, &arena, &document, &errors);
  if (status) {
    char *shown = json_dumps(errors, 0);
    print_error("%s\n", shown);
    free(shown);
  }
  assert_int_equal(status, STATUS_OK);
  json_decref(json);
  return document;
}

#define SMALL "\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"],\"services\":[{\"name\":\"App.Example.com.\"}]"

static void smallest_registration_gets_every_default(void **state) {
  (void)state;
  struct document document = parse("{" SMALL "}");
  json_t *json = document_write(&document);
  char *text = json_dumps(json, JSON_COMPACT);
  json_decref(json);
  assert_string_equal(text, "{\"kind\":\"server\",\"site\":null,\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"],"
                            "\"services\":[{\"name\":\"app.example.com\",\"port\":0,\"weight\":1,\"tier\":0}],"
                            "\"lease_s\":30.0,\"weight\":1,\"tier\":0,\"capacity\":null,\"version\":null,"
                            "\"capabilities\":[],\"labels\":{},\"utilization_url\":null,\"notice_url\":null}");
  free(text);
}

static void what_is_written_reads_as_the_same(void **state) {
  (void)state;
  struct document document = parse(
      "{" SMALL ",\"kind\":\"balancer\",\"site\":\"fra\",\"lease_s\":0,\"weight\":7,\"tier\":2,\"capacity\":2.5,"
      "\"version\":\"1.2\",\"capabilities\":[\"tls13\"],\"labels\":{\"b\":\"2\",\"a.b\":\"\xc3\xa4\",\"a\":\"1\"},"
      "\"utilization_url\":\"http://192.0.2.1:9100/load?x=1\",\"notice_url\":\"https://[2001:db8::1]/n\","
      "\"path\":[\"LB7.example.net\"]}");
  assert_string_equal(document.labels[0], "a=1");
  assert_string_equal(document.labels[1], "a.b=\xc3\xa4");
  assert_int_equal(document.services[0].weight, 7);
  assert_int_equal(document.services[0].tier, 2);
  json_t *once = document_write(&document), *errors = NULL;
  struct document again;
  assert_int_equal(document_parse_registration(once, &arena, &again, &errors), STATUS_OK);
  json_t *twice = document_write(&again);
  assert_true(json_equal(once, twice));
  json_decref(once);
  json_decref(twice);
  struct member_record member;
  document_member(&again, 0, &arena, &member);
  assert_int_equal(member.kind, RESOURCE_BALANCER);
  assert_int_equal(member.address_count, 2);
  assert_string_equal(member.site, "fra");
  assert_string_equal(member.txt[2], "b=2");
}

static void everything_that_is_wrong_is_told_at_once(void **state) {
  (void)state;
  assert_refused("{}", "/addresses /services ");
  assert_refused("{" SMALL ",\"a/b~\":1,\"kind\":\"x\",\"lease_s\":4.9,\"weight\":65536,\"tier\":-1,\"site\":5}",
                 "/a~1b~0 /kind /site /weight /tier /lease_s ");
  assert_refused("{\"addresses\":[\"192.0.2.1\",\"192.0.2.1\",\"x\",\"0.0.0.0\",\"224.0.0.1\",\"::ffff:1.2.3.4\",7],"
                 "\"services\":[{\"name\":\"a.example\"},{\"name\":\"A.example\"},{\"port\":70000},4,{\"name\":\"*.x\"}"
                 "]}",
                 "/addresses/1 /addresses/2 /addresses/3 /addresses/4 /addresses/5 /addresses/6 /services/1/name "
                 "/services/2/name /services/2/port /services/3 /services/4/name ");
  assert_refused("{" SMALL ",\"labels\":{\"a b\":\"\",\"c\":1},\"capabilities\":[\"\"],\"path\":[\"a\"]}",
                 "/capabilities/0 /labels/a b /labels/c /path ");
}

static void urls_go_to_the_registered_addresses_alone(void **state) {
  (void)state;
  assert_refused("{" SMALL ",\"notice_url\":\"http://192.0.2.2/\",\"utilization_url\":\"http://localhost/\"}",
                 "/utilization_url /notice_url ");
  assert_refused("{" SMALL ",\"notice_url\":\"http://192.0.2.1@192.0.2.9/\"}", "/notice_url ");
  assert_refused("{" SMALL ",\"notice_url\":\"ftp://192.0.2.1/\"}", "/notice_url ");
  assert_refused("{" SMALL ",\"notice_url\":\"http://192.0.2.1:0/\"}", "/notice_url ");
}

static void bytes_that_are_no_bounded_object_are_refused(void **state) {
  (void)state;
  static char large[REGISTRATION_DOCUMENT_MOST + 2];
  memset(large, ' ', sizeof large - 1);
  large[0] = '{';
  large[sizeof large - 2] = '}';
  const char *texts[] = {"",
                         "[]",
                         "{",
                         "{\"a\":1,\"a\":2}",
                         "[[[[[[[[[]]]]]]]]]",
                         large,
                         "{\"a\":\"\xff\"}",
                         "{}x",
                         "{\"a\":99999999999999999999}"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    json_t *json = NULL, *errors = NULL;
    struct errbuf err;
    assert_int_equal(document_read(texts[i], strlen(texts[i]), &json, &errors, &err), STATUS_INVALID);
    assert_null(json);
    assert_true(err.text[0] != '\0');
  }
  json_decref(read_json("{\"a\":\"[[[[[[[[[[[[\\\"[[[[\"}"));
}

static void merge_does_what_the_rfc_shows(void **state) {
  (void)state;
  /* RFC 7396 appendix A, the rows that are objects */
  const char *rows[][3] = {
      {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
      {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
      {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
      {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
      {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
      {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
      {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *stored = read_json(rows[i][0]), *patch = read_json(rows[i][1]), *wanted = read_json(rows[i][2]);
    json_t *merged = document_merge(stored, patch);
    assert_true(json_equal(merged, wanted));
    json_decref(stored);
    json_decref(patch);
    json_decref(wanted);
    json_decref(merged);
  }
}

static double value_of(const struct document_status *status, const char *name) {
  for (uint32_t i = 0; i < status->metrics.count; i++)
    if (strcmp(status->metrics.values[i].name, name) == 0)
      return status->metrics.values[i].value;
  fail_msg("no %s", name);
  return 0;
}

static void report_is_flattened(void **state) {
  (void)state;
  static struct document_status status;
  json_t *errors = NULL;
  json_t *json =
      read_json("{\"epoch\":5,\"sequence\":1,\"state\":\"maint\",\"reason\":\"disk\",\"cpu_utilization\":0.4,"
                "\"application_utilization\":1.5,\"named_metrics\":{\"swap\":-1},"
                "\"jobs\":{\"done\":3,\"last_ended_at\":\"1970-01-01T01:00:01.5+01:00\"},"
                "\"services\":{\"app.example.com\":{\"members_up\":3}}}");
  assert_int_equal(document_parse_status(json, &status, &errors), STATUS_OK);
  json_decref(json);
  assert_int_equal(status.self, HEALTH_DOWN);
  assert_string_equal(status.self_reason, "disk");
  assert_true(status.utilization == 1.5);
  assert_int_equal(status.metrics.count, 6);
  assert_true(value_of(&status, "named_metrics.swap") == -1);
  assert_true(value_of(&status, "jobs.last_ended_at") == 1.5);
  assert_true(value_of(&status, "services.app.example.com.members_up") == 3);
}

static void report_without_load_has_no_utilization(void **state) {
  (void)state;
  static struct document_status status;
  json_t *errors = NULL, *json = read_json("{\"epoch\":5,\"sequence\":1}");
  assert_int_equal(document_parse_status(json, &status, &errors), STATUS_OK);
  json_decref(json);
  assert_true(status.utilization == LEASE_NO_UTILIZATION);
  assert_int_equal(status.self, HEALTH_UNKNOWN);
}

static void report_that_does_not_fit_is_told_with_pointers(void **state) {
  (void)state;
  assert_status_refused("{}", "/epoch /sequence ");
  assert_status_refused("{\"epoch\":9007199254740992,\"sequence\":0,\"x\":1,\"state\":\"down\"}",
                        "/x /epoch /sequence /state ");
  assert_status_refused("{\"epoch\":1,\"sequence\":1,\"cpu_utilization\":-1,\"named_metrics\":{\"a\":\"b\"},"
                        "\"jobs\":{\"last_ended_at\":\"yesterday\"},\"services\":{\"a\":7}}",
                        "/cpu_utilization /named_metrics/a /jobs/last_ended_at /services/a ");
}

static void too_long_a_name_of_a_figure_is_refused(void **state) {
  (void)state;
  static struct document_status status;
  char name[METRICS_NAME_SIZE + 1], text[sizeof name + 64];
  json_t *errors = NULL;
  memset(name, 'a', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  snprintf(text, sizeof text, "{\"epoch\":1,\"sequence\":1,\"named_metrics\":{\"%s\":1}}", name);
  json_t *json = read_json(text);
  assert_int_equal(document_parse_status(json, &status, &errors), STATUS_RANGE);
  assert_int_equal(json_array_size(errors), 1);
  const char *pointer = json_string_value(json_object_get(json_array_get(errors, 0), "pointer"));
  assert_int_equal(strncmp(pointer, "/named_metrics/aaa", 18), 0); /* the rest may be cut */
  json_decref(errors);
  json_decref(json);
}

static void more_than_64_numbers_are_refused(void **state) {
  (void)state;
  char text[4096] = "{\"epoch\":1,\"sequence\":1,\"named_metrics\":{";
  for (int i = 0; i < 65; i++)
    sprintf(text + strlen(text), "%s\"m%d\":1", i ? "," : "", i);
  strcat(text, "}}");
  assert_status_refused(text, "/named_metrics/m64 ");
}

int main(void) {
#define T(name) cmocka_unit_test_teardown(name, release)
  const struct CMUnitTest tests[] = {
      T(smallest_registration_gets_every_default),
      T(what_is_written_reads_as_the_same),
      T(everything_that_is_wrong_is_told_at_once),
      T(urls_go_to_the_registered_addresses_alone),
      T(bytes_that_are_no_bounded_object_are_refused),
      T(merge_does_what_the_rfc_shows),
      T(report_is_flattened),
      T(report_without_load_has_no_utilization),
      T(report_that_does_not_fit_is_told_with_pointers),
      T(too_long_a_name_of_a_figure_is_refused),
      T(more_than_64_numbers_are_refused),
  };
#undef T
  return cmocka_run_group_tests(tests, NULL, NULL);
}
