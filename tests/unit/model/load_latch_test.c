#include "gslb/model/load_latch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct config_load_metric cpu = {.name = "cpu", .source = METRICS_SOURCES}, io = {.name = "io"},
                                 snmp_cpu = {.name = "cpu", .source = METRICS_SNMP},
                                 peak_cpu = {.name = "cpu", .source = METRICS_SOURCES, .view = VIEW_PEAK};

static struct config_load section(struct config_load_metric *metrics, size_t count) {
  return (struct config_load){.metrics = metrics, .metric_count = count};
}

static void what_is_packed_comes_back(void **state) {
  (void)state;
  struct config_load_metric metrics[64];
  char names[64][4];
  for (int i = 0; i < 64; i++) {
    names[i][0] = 'm';
    names[i][1] = (char)('0' + i / 10);
    names[i][2] = (char)('0' + i % 10);
    names[i][3] = '\0';
    metrics[i] = (struct config_load_metric){.name = names[i]};
  }
  struct config_load load = section(metrics, 64);
  static const uint64_t cases[] = {0, 1, UINT64_C(0x8000000000000001), UINT64_MAX};
  for (size_t i = 0; i < 4; i++) {
    struct load_latch_record record;
    load_latch_pack(&load, cases[i], &record);
    assert_true(load_latch_unpack(&load, &record) == cases[i]);
  }
}

static void a_metric_is_found_wherever_it_is_listed(void **state) {
  (void)state;
  struct config_load_metric before[] = {cpu, io, snmp_cpu, peak_cpu}, after[] = {io, peak_cpu, snmp_cpu, cpu};
  struct config_load first = section(before, 4), second = section(after, 4);
  struct load_latch_record record;
  load_latch_pack(&first, 1u << 0 | 1u << 1, &record);
  assert_true(load_latch_unpack(&second, &record) == (1u << 3 | 1u << 0));
  load_latch_pack(&first, 1u << 2, &record);
  assert_true(load_latch_unpack(&second, &record) == 1u << 2);
}

static void what_is_listed_no_more_has_no_bit(void **state) {
  (void)state;
  struct config_load_metric before[] = {cpu, io}, after[] = {io};
  struct config_load first = section(before, 2), second = section(after, 1);
  struct load_latch_record record;
  load_latch_pack(&first, 3, &record);
  assert_true(load_latch_unpack(&second, &record) == 1);
  assert_true(load_latch_unpack(NULL, &record) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_packed_comes_back),
      cmocka_unit_test(a_metric_is_found_wherever_it_is_listed),
      cmocka_unit_test(what_is_listed_no_more_has_no_bit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
