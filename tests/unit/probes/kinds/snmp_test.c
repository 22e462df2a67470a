#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probes/kinds/probe.h"
#include "probes/sources/source.h"
#include "tests/unit/net/snmpd.h"

#define OWN "1.3.6.1.4.1.8072.9999.9999."

static const char lines[] = "sysname device-1\n"
                            "override ." OWN "1.0 integer 42\n"
                            "override ." OWN "2.0 octet_str \"in service\"\n"
                            "override .1.3.6.1.4.1.3375.2.1.1.2.1.8.0 integer 77\n"
                            "override .1.3.6.1.4.1.3375.2.1.1.2.1.44.0 integer 4000\n"
                            "override .1.3.6.1.4.1.3375.2.1.1.2.1.45.0 integer 1000\n"
                            "override .1.3.6.1.4.1.3375.2.2.10.2.3.1.1.1 octet_str \"/Common/vs\"\n"
                            "override .1.3.6.1.4.1.3375.2.2.10.2.3.1.12.1 integer 12\n";

struct scene {
  struct loop *loop;
  struct probe_tools tools;
  struct snmpd snmpd;
  struct config_snmp_access access[2];
  struct config config;
  unsigned left;
};

static int set_up(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  scene->loop = loop_new();
  scene->tools = (struct probe_tools){.loop = scene->loop, .snmp = snmp_client_new(scene->loop)};
  scene->access[0] = (struct config_snmp_access){.name = "v2c", .version = SNMP_V2C, .community = "measure"};
  scene->access[1] = (struct config_snmp_access){.name = "v3",
                                                 .version = SNMP_V3,
                                                 .user = "probe",
                                                 .auth = SNMP_AUTH_SHA256,
                                                 .auth_secret = "authentic-secret",
                                                 .privacy = SNMP_PRIVACY_AES,
                                                 .privacy_secret = "private-secret",
                                                 .context = ""};
  scene->config.snmp = scene->access;
  scene->config.snmp_count = 2;
  if (snmpd_is_installed())
    snmpd_start(&scene->snmpd, scene->loop, scene->tools.snmp, lines);
  *state = scene;
  return 0;
}

static int tear_down(void **state) {
  struct scene *scene = *state;
  snmpd_stop(&scene->snmpd);
  snmp_client_free(scene->tools.snmp);
  loop_free(scene->loop);
  free(scene);
  return 0;
}

struct seen {
  struct scene *scene;
  struct probe_result result;
  struct source_reading reading;
  char names[16][64];
  double values[16];
};

static void probed(void *context, const struct probe_result *result) {
  struct seen *seen = context;
  seen->result = *result;
  loop_stop(seen->scene->loop);
}

static struct seen probe(struct scene *scene, uint32_t access, const char *oid, enum snmp_comparison comparison,
                         const char *value) {
  struct config_monitor monitor = {.type = MONITOR_SNMP,
                                   .oid = oid,
                                   .access = access,
                                   .comparison = comparison,
                                   .value = value,
                                   .timeout_ms = 5000};
  struct probe_target target = {.config = &scene->config,
                                .monitor = &monitor,
                                .service = "www",
                                .address = scene->snmpd.addr};
  struct seen seen = {.scene = scene};
  if (!snmpd_is_installed())
    skip();
  assert_non_null(probe_snmp.start(&scene->tools, &(struct probe_call){&target, probed, &seen}));
  loop_run(scene->loop);
  return seen;
}

static void object_is_compared_as_a_number(void **state) {
  static const struct {
    enum snmp_comparison comparison;
    const char *value;
    bool passes;
  } cases[] = {
      {SNMP_EQUAL, "42", true},      {SNMP_EQUAL, "42.0", true},    {SNMP_EQUAL, "43", false},
      {SNMP_NOT_EQUAL, "43", true},  {SNMP_NOT_EQUAL, "42", false}, {SNMP_LESS, "100", true},
      {SNMP_LESS, "42", false},      {SNMP_AT_MOST, "42", true},    {SNMP_AT_MOST, "9", false},
      {SNMP_GREATER, "9", true},     {SNMP_GREATER, "42", false},   {SNMP_AT_LEAST, "42", true},
      {SNMP_AT_LEAST, "100", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct seen seen = probe(*state, 0, OWN "1.0", cases[i].comparison, cases[i].value);
    assert_int_equal(seen.result.reason, cases[i].passes ? PROBE_PASSED : PROBE_NO_MATCH);
  }
}

static void reason_tells_value_and_wish(void **state) {
  struct seen seen = probe(*state, 1, OWN "1.0", SNMP_AT_LEAST, "50");
  assert_string_equal(seen.result.text, "42, expected at least 50");
  seen = probe(*state, 1, OWN "2.0", SNMP_EQUAL, "in service");
  assert_string_equal(seen.result.text, "value in service");
  assert_true(seen.result.rtt_us > 0);
  seen = probe(*state, 0, OWN "3.0", SNMP_EQUAL, "1");
  assert_int_equal(seen.result.reason, PROBE_NO_MATCH);
  assert_string_equal(seen.result.text, "the device has no object " OWN "3.0");
}

static void read_values(void *context, const struct source_reading *reading) {
  struct seen *seen = context;
  seen->reading = *reading;
  for (size_t i = 0; i < reading->count && i < 16; i++) {
    snprintf(seen->names[i], sizeof seen->names[i], "%s", reading->values[i].name);
    seen->values[i] = reading->values[i].value;
  }
  if (--seen->scene->left == 0)
    loop_stop(seen->scene->loop);
}

static double value_of(const struct seen *seen, const char *name) {
  for (size_t i = 0; i < seen->reading.count; i++)
    if (strcmp(seen->names[i], name) == 0)
      return seen->values[i];
  fail_msg("no figure %s", name);
  return 0;
}

static struct source_run *read_source(struct scene *scene, struct seen *seen, const struct source_target *target) {
  *seen = (struct seen){.scene = scene};
  scene->left++;
  return source_snmp.start(&scene->tools, target, read_values, seen);
}

static void ready_table_is_read(void **state) {
  struct scene *scene = *state;
  struct config_source source = {.type = SOURCE_SNMP, .table = "f5-bigip", .access = 1, .timeout_ms = 5000};
  struct source_target target = {.config = &scene->config, .source = &source, .address = scene->snmpd.addr};
  struct seen first, second, third;
  if (!snmpd_is_installed())
    skip();
  /* two members on one device, and one that is given up */
  read_source(scene, &first, &target);
  read_source(scene, &second, &target);
  source_snmp.cancel(read_source(scene, &third, &target));
  scene->left--;
  loop_run(scene->loop);
  assert_int_equal(first.reading.reason, PROBE_PASSED);
  assert_int_equal(first.reading.count, 3);
  assert_string_equal(first.reading.text, "3 figures");
  assert_true(value_of(&first, "connections") == 77);
  assert_true(value_of(&first, "mem_utilization") == 0.25);
  assert_true(value_of(&second, "virtual_connections./Common/vs") == 12);
}

static void device_without_the_objects_fails(void **state) {
  struct scene *scene = *state;
  struct config_source source = {.type = SOURCE_SNMP, .table = "cisco-slb", .timeout_ms = 5000};
  struct source_target target = {.config = &scene->config, .source = &source, .address = scene->snmpd.addr};
  struct seen seen;
  if (!snmpd_is_installed())
    skip();
  read_source(scene, &seen, &target);
  loop_run(scene->loop);
  assert_int_equal(seen.reading.reason, PROBE_NO_MATCH);
  assert_string_equal(seen.reading.text, "the device has none of these objects");
}

static void device_that_is_not_there_fails(void **state) {
  struct scene *scene = *state;
  struct config_source source = {.type = SOURCE_SNMP, .table = "tcp", .timeout_ms = 5000};
  struct source_target target = {.config = &scene->config, .source = &source, .address = peer_nobody(SOCK_DGRAM)};
  struct seen seen;
  read_source(scene, &seen, &target);
  loop_run(scene->loop);
  assert_int_equal(seen.reading.reason, PROBE_REFUSED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(object_is_compared_as_a_number),
      cmocka_unit_test(reason_tells_value_and_wish),
      cmocka_unit_test(ready_table_is_read),
      cmocka_unit_test(device_without_the_objects_fails),
      cmocka_unit_test(device_that_is_not_there_fails),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
