#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "discovery/agent/metric_set.h"

static struct metric_set parsed(const char *text, const char *name) {
  struct metric_set set = {0};
  struct errbuf err;
  assert_int_equal(metric_set_parse(text, strlen(text), name, &set, &err), STATUS_OK);
  return set;
}

static void refused(const char *text) {
  struct metric_set set = {.count = 77};
  struct errbuf err;
  assert_int_equal(metric_set_parse(text, strlen(text), NULL, &set, &err), STATUS_INVALID);
  assert_int_equal(set.count, 77);
}

static void lines_are_read_in_both_forms(void **state) {
  (void)state;
  struct metric_set set =
      parsed("# queue of the mailer\n\nqueue 12\n rps_fractional = 7.5 \r\neps=0.25 # errors\n", NULL);
  assert_int_equal(set.count, 3);
  assert_true(*metric_set_find(&set, "queue") == 12);
  assert_true(*metric_set_find(&set, "rps_fractional") == 7.5);
  assert_true(*metric_set_find(&set, "eps") == 0.25);
}

static void objects_are_read_with_named_metrics(void **state) {
  (void)state;
  struct metric_set set = parsed("{\"application_utilization\":0.5,\"named_metrics\":{\"queue\":3}}\n", NULL);
  assert_int_equal(set.count, 2);
  assert_true(*metric_set_find(&set, "queue") == 3);
}

static void a_number_alone_gets_the_name_given(void **state) {
  (void)state;
  struct metric_set set = parsed(" 42.5\n", "queue");
  assert_true(*metric_set_find(&set, "queue") == 42.5);
  refused("42.5");
}

static void nothing_at_all_is_no_figure_and_no_fault(void **state) {
  (void)state;
  assert_int_equal(parsed("", NULL).count, 0);
  assert_int_equal(parsed("# nothing\n", NULL).count, 0);
}

static void what_is_wrong_is_refused_as_a_whole(void **state) {
  (void)state;
  refused("queue 12\nload\n");
  refused("queue twelve\n");
  refused("queue nan\n");
  refused("queue inf\n");
  refused("que\"ue 1\n");
  refused("{\"a\":1,\"a\":2}");
  refused("{\"a\":\"1\"}");
  refused("{\"named_metrics\":{\"named_metrics\":{\"a\":1}}}");
  refused("{\"a\":1");
}

static void there_is_an_end_to_how_many(void **state) {
  (void)state;
  struct metric_set set = {0};
  char name[16];
  for (unsigned i = 0; i < METRICS_MOST; i++) {
    snprintf(name, sizeof name, "m%u", i);
    assert_true(metric_set_put(&set, name, i));
  }
  assert_false(metric_set_put(&set, "more", 1));
  assert_true(metric_set_put(&set, "m7", 70));
  assert_true(*metric_set_find(&set, "m7") == 70);
  assert_false(metric_set_put(&set, "m7", NAN));
}

static void orca_names_stand_at_the_top(void **state) {
  (void)state;
  struct metric_set set = parsed("cpu_utilization 0.5\nload1 3\n", NULL);
  json_t *status = json_object();
  metric_set_write(&set, status);
  assert_true(json_real_value(json_object_get(status, "cpu_utilization")) == 0.5);
  assert_true(json_real_value(json_object_get(json_object_get(status, "named_metrics"), "load1")) == 3);
  assert_int_equal(json_object_size(status), 2);
  json_decref(status);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_read_in_both_forms),        cmocka_unit_test(objects_are_read_with_named_metrics),
      cmocka_unit_test(a_number_alone_gets_the_name_given),  cmocka_unit_test(nothing_at_all_is_no_figure_and_no_fault),
      cmocka_unit_test(what_is_wrong_is_refused_as_a_whole), cmocka_unit_test(there_is_an_end_to_how_many),
      cmocka_unit_test(orca_names_stand_at_the_top),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
