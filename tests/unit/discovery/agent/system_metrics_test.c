#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "discovery/agent/system_metrics.h"

static void idle_and_iowait_are_not_busy(void **state) {
  (void)state;
  struct system_processor processor;
  assert_true(system_parse_stat("cpu  100 20 30 4000 500 6 7 8 90 10\ncpu0 1 1 1 1\n", &processor));
  assert_int_equal(processor.busy, 171);
  assert_int_equal(processor.total, 4671);
  assert_true(system_parse_stat("cpu 1 2 3 4\n", &processor));
  assert_int_equal(processor.total, 10);
  assert_false(system_parse_stat("intr 1 2 3\n", &processor));
  assert_false(system_parse_stat("", &processor));
}

static void memory_is_read_in_bytes(void **state) {
  (void)state;
  struct system_memory memory;
  assert_true(system_parse_meminfo("MemTotal:       8000 kB\nMemFree:         500 kB\nMemAvailable:    6000 kB\n"
                                   "Buffers:          100 kB\nCached:          1000 kB\nSwapCached:      9999 kB\n"
                                   "SwapTotal:       2000 kB\nSwapFree:        1500 kB\nShmem:            300 kB\n",
                                   &memory));
  assert_int_equal(memory.total, 8000 * 1024);
  assert_int_equal(memory.available, 6000 * 1024);
  assert_int_equal(memory.swap_total, 2000 * 1024);
  assert_int_equal(memory.swap_free, 1500 * 1024);
  assert_int_equal(memory.page_cache, 800 * 1024);
  assert_false(system_parse_meminfo("MemTotal: 8000 kB\n", &memory));
  assert_false(system_parse_meminfo("", &memory));
}

static const char net_dev[] =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n"
    "    lo: 1000000    10    0    0    0     0          0         0 1000000    10    0    0    0     0       0        "
    "  0\n"
    "  eth0:    2000    20    0    0    0     0          0         0    300     3    0    0    0     0       0         "
    " 0\n"
    "eth1:40000 4 0 0 0 0 0 0 50000 5 0 0 0 0 0 0\n";

static void all_interfaces_but_lo_are_summed(void **state) {
  (void)state;
  struct system_network network;
  assert_true(system_parse_net_dev(net_dev, NULL, &network));
  assert_int_equal(network.in, 42000);
  assert_int_equal(network.out, 50300);
}

static void named_interfaces_alone_count(void **state) {
  (void)state;
  struct system_network network;
  assert_true(system_parse_net_dev(net_dev, (const char *const[]){"eth0", "lo", NULL}, &network));
  assert_int_equal(network.in, 1002000);
  assert_int_equal(network.out, 1000300);
  assert_false(system_parse_net_dev(net_dev, (const char *const[]){"eth", NULL}, &network));
}

static void connections_stand_under_their_name(void **state) {
  (void)state;
  uint64_t connections;
  assert_true(system_parse_snmp("Ip: Forwarding CurrEstab\nIp: 1 2\n"
                                "Tcp: RtoAlgorithm MaxConn CurrEstab InSegs\nTcp: 1 -1 37 1000\nUdp: InDatagrams\n",
                                &connections));
  assert_int_equal(connections, 37);
  assert_false(system_parse_snmp("Tcp: RtoAlgorithm\nTcp: 1\n", &connections));
  assert_false(system_parse_snmp("Tcp: RtoAlgorithm CurrEstab\nTcp: 1\n", &connections));
  assert_false(system_parse_snmp("", &connections));
}

static void this_machine_has_figures_within_their_bounds(void **state) {
  (void)state;
  struct metric_set set = {0}, again = {0};
  struct system_metrics *metrics = system_metrics_new("/", NULL);
  system_metrics_read(metrics, 1000, &set);
  system_metrics_read(metrics, 1400, &again);
  static const char *const shares[] = {"cpu_utilization", "mem_utilization", "swap_utilization", "disk_utilization"};
  for (size_t i = 0; i < 4; i++) {
    const double *share = metric_set_find(&set, shares[i]);
    assert_non_null(share);
    assert_true(*share >= 0 && *share <= 1);
    assert_true(*share == *metric_set_find(&again, shares[i]));
  }
  assert_non_null(metric_set_find(&set, "load1"));
  assert_non_null(metric_set_find(&set, "page_cache_bytes"));
  assert_null(metric_set_find(&set, "network_in_bytes_per_s"));
  system_metrics_free(metrics);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(idle_and_iowait_are_not_busy),
      cmocka_unit_test(memory_is_read_in_bytes),
      cmocka_unit_test(all_interfaces_but_lo_are_summed),
      cmocka_unit_test(named_interfaces_alone_count),
      cmocka_unit_test(connections_stand_under_their_name),
      cmocka_unit_test(this_machine_has_figures_within_their_bounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
