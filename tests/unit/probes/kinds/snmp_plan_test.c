#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "probes/kinds/snmp_plan.h"

#define VALUES_MOST 32

struct device { /* what a device has, as text */
  struct {
    const char *name, *text;
    double number;
    bool is_number;
  } objects[VALUES_MOST];
};

struct answered {
  struct snmp_plan *plan;
  struct snmp_request request;
  struct snmp_value values[VALUES_MOST], sorted[VALUES_MOST][VALUES_MOST], absent;
  const struct snmp_value *objects[VALUES_MOST];
  struct snmp_rows rows[VALUES_MOST];
  const struct source_value *figures;
  size_t count;
};

static void answer(struct answered *answered, struct snmp_plan *plan, const struct device *device) {
  size_t count = 0;
  *answered = (struct answered){.plan = plan, .absent = {.kind = SNMP_KIND_ABSENT, .text = ""}};
  for (; device->objects[count].name; count++) {
    struct snmp_value *value = &answered->values[count];
    assert_int_equal(object_id_parse(device->objects[count].name, &value->name), STATUS_OK);
    value->is_number = device->objects[count].is_number || !device->objects[count].text;
    value->kind = device->objects[count].text ? SNMP_KIND_TEXT : SNMP_KIND_GAUGE;
    value->number = device->objects[count].number;
    value->text = device->objects[count].text ? device->objects[count].text : "";
    value->text_size = strlen(value->text);
  }
  snmp_plan_request(plan, &answered->request);
  for (size_t o = 0; o < answered->request.object_count; o++) {
    answered->objects[o] = &answered->absent;
    for (size_t i = 0; i < count; i++)
      if (object_id_compare(&answered->values[i].name, &answered->request.objects[o]) == 0)
        answered->objects[o] = &answered->values[i];
  }
  for (size_t r = 0; r < answered->request.root_count; r++) {
    answered->rows[r].values = answered->sorted[r];
    for (size_t i = 0; i < count; i++)
      if (object_id_is_below(&answered->values[i].name, &answered->request.roots[r]))
        answered->sorted[r][answered->rows[r].count++] = answered->values[i];
  }
  struct snmp_answer told = {.outcome = NET_ANSWERED, .objects = answered->objects, .rows = answered->rows};
  answered->count = snmp_plan_values(plan, &told, &answered->figures);
}

static void assert_figure(const struct answered *answered, const char *name, double value) {
  for (size_t i = 0; i < answered->count; i++)
    if (strcmp(answered->figures[i].name, name) == 0) {
      assert_true(answered->figures[i].value > value - 1e-9 && answered->figures[i].value < value + 1e-9);
      return;
    }
  fail_msg("no figure %s", name);
}

static struct snmp_plan *plan_of_table(const char *name) {
  const struct snmp_table *table = snmp_table_find(name);
  return snmp_plan_new(table->rows, table->count);
}

static void host_resources_become_utilizations(void **state) {
  (void)state;
  static const struct device device = {{
      {.name = "1.3.6.1.2.1.25.1.1.0", .number = 12345},
      {.name = "1.3.6.1.2.1.25.2.3.1.2.1", .text = "1.3.6.1.2.1.25.2.1.2"},
      {.name = "1.3.6.1.2.1.25.2.3.1.2.31", .text = "1.3.6.1.2.1.25.2.1.4"},
      {.name = "1.3.6.1.2.1.25.2.3.1.3.1", .text = "Physical memory"},
      {.name = "1.3.6.1.2.1.25.2.3.1.3.31", .text = "/"},
      {.name = "1.3.6.1.2.1.25.2.3.1.5.1", .number = 4000},
      {.name = "1.3.6.1.2.1.25.2.3.1.5.31", .number = 100},
      {.name = "1.3.6.1.2.1.25.2.3.1.6.1", .number = 1000},
      {.name = "1.3.6.1.2.1.25.2.3.1.6.31", .number = 90},
      {.name = "1.3.6.1.2.1.25.3.3.1.2.196608", .number = 10},
      {.name = "1.3.6.1.2.1.25.3.3.1.2.196609", .number = 50},
  }};
  struct answered answered;
  struct snmp_plan *plan = plan_of_table("host-resources");
  answer(&answered, plan, &device);
  assert_figure(&answered, "cpu_utilization", 0.3);
  assert_figure(&answered, "mem_utilization", 0.25);
  assert_figure(&answered, "storage_utilization.Physical_memory", 0.25);
  assert_figure(&answered, "storage_utilization./", 0.9);
  assert_figure(&answered, "uptime_s", 123.45);
  assert_int_equal(answered.count, 5); /* what the device does not have is left out */
  snmp_plan_free(plan);
}

static void ucd_counts_what_is_idle_and_free_from_one(void **state) {
  (void)state;
  static const struct device device = {{
      {.name = "1.3.6.1.4.1.2021.4.3.0", .number = 0}, /* no swap */
      {.name = "1.3.6.1.4.1.2021.4.4.0", .number = 0},
      {.name = "1.3.6.1.4.1.2021.4.5.0", .number = 8000},
      {.name = "1.3.6.1.4.1.2021.4.6.0", .number = 2000},
      {.name = "1.3.6.1.4.1.2021.10.1.5.1", .number = 150},
      {.name = "1.3.6.1.4.1.2021.11.11.0", .number = 80},
  }};
  struct answered answered;
  struct snmp_plan *plan = plan_of_table("ucd");
  answer(&answered, plan, &device);
  assert_figure(&answered, "cpu_utilization", 0.2);
  assert_figure(&answered, "mem_utilization", 0.75);
  assert_figure(&answered, "load_1m", 1.5);
  assert_int_equal(answered.count, 3);
  snmp_plan_free(plan);
}

static void columns_are_summed_and_told_apart(void **state) {
  (void)state;
  static const struct device device = {{
      {.name = "1.3.6.1.2.1.31.1.1.1.1.1", .text = "lo"},
      {.name = "1.3.6.1.2.1.31.1.1.1.1.2", .text = "eth 0"},
      {.name = "1.3.6.1.2.1.31.1.1.1.6.1", .number = 5},
      {.name = "1.3.6.1.2.1.31.1.1.1.6.2", .number = 7},
      {.name = "1.3.6.1.2.1.31.1.1.1.6.3", .number = 9},
  }};
  struct answered answered;
  struct snmp_plan *plan = plan_of_table("if-mib");
  answer(&answered, plan, &device);
  assert_figure(&answered, "network_in_bytes", 21);
  assert_true(answered.figures[0].is_counter);
  assert_figure(&answered, "interface_in_bytes.lo", 5);
  assert_figure(&answered, "interface_in_bytes.eth_0", 7);
  assert_figure(&answered, "interface_in_bytes.3", 9);
  assert_int_equal(answered.count, 4);
  snmp_plan_free(plan);
}

static void own_metrics_are_objects_or_rows_found_by_a_value(void **state) {
  (void)state;
  static const struct device device = {{
      {.name = "1.3.6.1.4.1.99.1.0", .number = 40},
      {.name = "1.3.6.1.4.1.99.2.1.1.7", .text = "web"},
      {.name = "1.3.6.1.4.1.99.2.1.1.9", .text = "mail"},
      {.name = "1.3.6.1.4.1.99.2.1.2.7", .number = 70},
      {.name = "1.3.6.1.4.1.99.2.1.2.9", .number = 90},
  }};
  struct config_source_metric metrics[] = {
      {.name = "first", .oid = ".1.3.6.1.4.1.99.1.0", .scale = 0.5},
      {.name = "mails",
       .oid = "1.3.6.1.4.1.99.2.1.2",
       .where_oid = "1.3.6.1.4.1.99.2.1.1",
       .where_value = "mail",
       .is_rate = true,
       .scale = 1},
      {.name = "none",
       .oid = "1.3.6.1.4.1.99.2.1.2",
       .where_oid = "1.3.6.1.4.1.99.2.1.1",
       .where_value = "ftp",
       .scale = 1},
      {.name = "absent", .oid = "1.3.6.1.4.1.99.3.0", .scale = 1},
      {.name = "no object", .oid = "sysUpTime.0", .scale = 1},
  };
  struct config_source source = {.type = SOURCE_SNMP, .metrics = metrics, .metric_count = 5};
  struct answered answered;
  struct snmp_plan *plan = snmp_plan_of_source(&source);
  answer(&answered, plan, &device);
  assert_int_equal(answered.request.object_count, 2);
  assert_int_equal(answered.request.root_count, 2); /* shared by two metrics */
  assert_int_equal(answered.count, 2);
  assert_figure(&answered, "first", 20);
  assert_figure(&answered, "mails", 90);
  assert_true(answered.figures[1].is_counter);
  snmp_plan_free(plan);
}

static void texts_are_no_figures_and_figures_have_a_bound(void **state) {
  (void)state;
  struct snmp_value values[METRICS_MOST + 10];
  struct snmp_row rows[] = {{.name = "each", .oid = "1.3.6.1.4.1.99.2", .pick = SNMP_PICK_EACH}};
  struct snmp_plan *plan = snmp_plan_new(rows, 1);
  const struct source_value *figures;
  for (uint32_t i = 0; i < METRICS_MOST + 10; i++) {
    values[i] = (struct snmp_value){.kind = SNMP_KIND_TEXT, .is_number = i != 1, .number = i, .text = "x"};
    char name[64];
    snprintf(name, sizeof name, "1.3.6.1.4.1.99.2.%u", i);
    object_id_parse(name, &values[i].name);
  }
  struct snmp_rows found = {values, METRICS_MOST + 10, false};
  struct snmp_answer told = {.outcome = NET_ANSWERED, .rows = &found};
  assert_int_equal(snmp_plan_values(plan, &told, &figures), METRICS_MOST);
  assert_string_equal(figures[1].name, "each.2");
  snmp_plan_free(plan);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(host_resources_become_utilizations),
      cmocka_unit_test(ucd_counts_what_is_idle_and_free_from_one),
      cmocka_unit_test(columns_are_summed_and_told_apart),
      cmocka_unit_test(own_metrics_are_objects_or_rows_found_by_a_value),
      cmocka_unit_test(texts_are_no_figures_and_figures_have_a_bound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
