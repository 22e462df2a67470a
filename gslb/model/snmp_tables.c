#include "gslb/model/snmp_tables.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

#define ROWS(rows) (rows), sizeof(rows) / sizeof *(rows)

#define HOST "1.3.6.1.2.1.25."                       /* HOST-RESOURCES-MIB (RFC 2790) */
#define UCD "1.3.6.1.4.1.2021."                      /* UCD-SNMP-MIB of net-snmp */
#define INTERFACES "1.3.6.1.2.1.2.2.1."              /* IF-MIB (RFC 2863), ifEntry */
#define INTERFACES_X "1.3.6.1.2.1.31.1.1.1."         /* IF-MIB, ifXEntry */
#define TCP "1.3.6.1.2.1.6."                         /* TCP-MIB (RFC 4022) */
#define NETSCALER "1.3.6.1.4.1.5951.4.1."            /* NS-ROOT-MIB */
#define BIGIP_SYSTEM "1.3.6.1.4.1.3375.2.1."         /* F5-BIGIP-SYSTEM-MIB */
#define BIGIP_LOCAL "1.3.6.1.4.1.3375.2.2."          /* F5-BIGIP-LOCAL-MIB */
#define ALTEON_SWITCH "1.3.6.1.4.1.1872.2.5.1.2."    /* ALTEON-CHEETAH-SWITCH-MIB */
#define ALTEON_LAYER4 "1.3.6.1.4.1.1872.2.5.4.2."    /* ALTEON-CHEETAH-LAYER4-MIB */
#define CISCO_SLB "1.3.6.1.4.1.9.9.161.1."           /* CISCO-SLB-MIB */
#define CISCO_PROCESS "1.3.6.1.4.1.9.9.109.1.1.1.1." /* CISCO-PROCESS-MIB, cpmCPUTotalEntry */

static const struct snmp_row host_resources[] = {
    /* hrProcessorLoad: percent of the last minute, a row a processor */
    {.name = "cpu_utilization", .oid = HOST "3.3.1.2", .pick = SNMP_PICK_MEAN, .scale = 0.01},
    /* hrStorageUsed over hrStorageSize, both in units of the row, where hrStorageType is hrStorageRam */
    {.name = "mem_utilization",
     .oid = HOST "2.3.1.6",
     .pick = SNMP_PICK_WHERE,
     .where_oid = HOST "2.3.1.2",
     .where_value = HOST "2.1.2",
     .over_oid = HOST "2.3.1.5"},
    /* the same where hrStorageType is hrStorageVirtualMemory */
    {.name = "virtual_memory_utilization",
     .oid = HOST "2.3.1.6",
     .pick = SNMP_PICK_WHERE,
     .where_oid = HOST "2.3.1.2",
     .where_value = HOST "2.1.3",
     .over_oid = HOST "2.3.1.5"},
    /* the same for each row, named by hrStorageDescr */
    {.name = "storage_utilization",
     .oid = HOST "2.3.1.6",
     .pick = SNMP_PICK_EACH,
     .label_oid = HOST "2.3.1.3",
     .over_oid = HOST "2.3.1.5"},
    {.name = "uptime_s", .oid = HOST "1.1.0", .scale = 0.01}, /* hrSystemUptime: hundredths of a second */
    {.name = "users", .oid = HOST "1.5.0"},                   /* hrSystemNumUsers */
    {.name = "processes", .oid = HOST "1.6.0"},               /* hrSystemProcesses */
};

static const struct snmp_row ucd[] = {
    {.name = "cpu_utilization", .oid = UCD "11.11.0", .scale = 0.01, .is_complement = true}, /* ssCpuIdle: percent */
    /* memAvailReal over memTotalReal, both in KiB */
    {.name = "mem_utilization", .oid = UCD "4.6.0", .over_oid = UCD "4.5.0", .is_complement = true},
    /* memAvailSwap over memTotalSwap */
    {.name = "swap_utilization", .oid = UCD "4.4.0", .over_oid = UCD "4.3.0", .is_complement = true},
    {.name = "load_1m", .oid = UCD "10.1.5.1", .scale = 0.01},  /* laLoadInt: hundredths */
    {.name = "load_5m", .oid = UCD "10.1.5.2", .scale = 0.01},  /* laLoadInt */
    {.name = "load_15m", .oid = UCD "10.1.5.3", .scale = 0.01}, /* laLoadInt */
    {.name = "mem_cached_kib", .oid = UCD "4.15.0"},            /* memCached */
    {.name = "mem_buffer_kib", .oid = UCD "4.14.0"},            /* memBuffer */
    /* dskPercent, named by dskPath */
    {.name = "disk_utilization", .oid = UCD "9.1.9", .pick = SNMP_PICK_EACH, .label_oid = UCD "9.1.2", .scale = 0.01},
};

static const struct snmp_row if_mib[] = {
    {.name = "network_in_bytes", .oid = INTERFACES_X "6", .pick = SNMP_PICK_SUM, .is_counter = true}, /* ifHCInOctets */
    {.name = "network_out_bytes",
     .oid = INTERFACES_X "10",
     .pick = SNMP_PICK_SUM,
     .is_counter = true}, /* ifHCOutOctets */
    {.name = "network_in_errors", .oid = INTERFACES "14", .pick = SNMP_PICK_SUM, .is_counter = true},  /* ifInErrors */
    {.name = "network_out_errors", .oid = INTERFACES "20", .pick = SNMP_PICK_SUM, .is_counter = true}, /* ifOutErrors */
    {.name = "network_in_discards",
     .oid = INTERFACES "13",
     .pick = SNMP_PICK_SUM,
     .is_counter = true}, /* ifInDiscards */
    {.name = "network_out_discards",
     .oid = INTERFACES "19",
     .pick = SNMP_PICK_SUM,
     .is_counter = true}, /* ifOutDiscards */
    /* ifHCInOctets and ifHCOutOctets, named by ifName; ifHighSpeed, in Mbit/s, is their ceiling in bytes a second */
    {.name = "interface_in_bytes",
     .oid = INTERFACES_X "6",
     .pick = SNMP_PICK_EACH,
     .label_oid = INTERFACES_X "1",
     .is_counter = true},
    {.name = "interface_out_bytes",
     .oid = INTERFACES_X "10",
     .pick = SNMP_PICK_EACH,
     .label_oid = INTERFACES_X "1",
     .is_counter = true},
    {.name = "interface_speed_bytes",
     .oid = INTERFACES_X "15",
     .pick = SNMP_PICK_EACH,
     .label_oid = INTERFACES_X "1",
     .scale = 125000},
};

static const struct snmp_row tcp[] = {
    {.name = "connections", .oid = TCP "9.0"},                                 /* tcpCurrEstab */
    {.name = "connections_accepted", .oid = TCP "6.0", .is_counter = true},    /* tcpPassiveOpens */
    {.name = "connections_opened", .oid = TCP "5.0", .is_counter = true},      /* tcpActiveOpens */
    {.name = "connections_failed", .oid = TCP "7.0", .is_counter = true},      /* tcpAttemptFails */
    {.name = "connections_reset", .oid = TCP "8.0", .is_counter = true},       /* tcpEstabResets */
    {.name = "segments_in", .oid = TCP "10.0", .is_counter = true},            /* tcpInSegs */
    {.name = "segments_out", .oid = TCP "11.0", .is_counter = true},           /* tcpOutSegs */
    {.name = "segments_retransmitted", .oid = TCP "12.0", .is_counter = true}, /* tcpRetransSegs */
};

static const struct snmp_row citrix_adc[] = {
    {.name = "cpu_utilization", .oid = NETSCALER "1.41.1.0", .scale = 0.01}, /* resCpuUsage: percent */
    {.name = "mem_utilization", .oid = NETSCALER "1.41.2.0", .scale = 0.01}, /* resMemUsage: percent */
    {.name = "connections", .oid = NETSCALER "1.46.2.0"},                    /* tcpCurClientConn */
    {.name = "server_connections", .oid = NETSCALER "1.46.1.0"},             /* tcpCurServerConn */
    {.name = "requests", .oid = NETSCALER "1.48.67.0", .is_counter = true},  /* httpTotRequests */
    /* vsvrCurClntConnections, named by vsvrFullName */
    {.name = "virtual_connections",
     .oid = NETSCALER "3.1.1.7",
     .pick = SNMP_PICK_EACH,
     .label_oid = NETSCALER "3.1.1.59"},
};

static const struct snmp_row f5_bigip[] = {
    {.name = "cpu_utilization",
     .oid = BIGIP_SYSTEM "7.5.2.1.27",
     .pick = SNMP_PICK_MEAN,
     .scale = 0.01}, /* sysMultiHostCpuUsageRatio1m */
    /* sysStatMemoryUsed over sysStatMemoryTotal: what traffic management has, in bytes */
    {.name = "mem_utilization", .oid = BIGIP_SYSTEM "1.2.1.45.0", .over_oid = BIGIP_SYSTEM "1.2.1.44.0"},
    {.name = "connections", .oid = BIGIP_SYSTEM "1.2.1.8.0"},         /* sysStatClientCurConns */
    {.name = "server_connections", .oid = BIGIP_SYSTEM "1.2.1.15.0"}, /* sysStatServerCurConns */
    {.name = "tls_connections", .oid = BIGIP_SYSTEM "1.2.9.2.0"},     /* sysClientsslStatCurConns */
    {.name = "connections_accepted", .oid = BIGIP_SYSTEM "1.2.1.7.0", .is_counter = true}, /* sysStatClientTotConns */
    {.name = "requests", .oid = BIGIP_SYSTEM "1.2.1.56.0", .is_counter = true},            /* sysStatHttpRequests */
    {.name = "network_in_bytes", .oid = BIGIP_SYSTEM "1.2.1.3.0", .is_counter = true},     /* sysStatClientBytesIn */
    {.name = "network_out_bytes", .oid = BIGIP_SYSTEM "1.2.1.5.0", .is_counter = true},    /* sysStatClientBytesOut */
    /* ltmVirtualServStatClientCurConns, named by ltmVirtualServStatName */
    {.name = "virtual_connections",
     .oid = BIGIP_LOCAL "10.2.3.1.12",
     .pick = SNMP_PICK_EACH,
     .label_oid = BIGIP_LOCAL "10.2.3.1.1"},
};

static const struct snmp_row radware_alteon[] = {
    {.name = "cpu_utilization", .oid = ALTEON_SWITCH "2.3.0", .scale = 0.01}, /* mpCpuStatsUtil64Seconds: percent */
    /* spStatsCpuUtil64Seconds: percent, a row a switch processor */
    {.name = "switch_cpu_utilization", .oid = ALTEON_SWITCH "4.1.1.4", .pick = SNMP_PICK_MEAN, .scale = 0.01},
    /* mpMemStatsFree over mpMemStatsTotal */
    {.name = "mem_utilization", .oid = ALTEON_SWITCH "8.3.0", .over_oid = ALTEON_SWITCH "8.1.0", .is_complement = true},
    {.name = "sessions", .oid = ALTEON_LAYER4 "5.2.0"},         /* slbStatMaintCurBindings */
    {.name = "sessions_ceiling", .oid = ALTEON_LAYER4 "5.1.0"}, /* slbStatMaintMaximumSessions */
    /* slbStatRServerCurrSessions: a row a real server */
    {.name = "real_sessions", .oid = ALTEON_LAYER4 "2.1.2", .pick = SNMP_PICK_EACH},
    /* slbStatVServerCurrSessions: a row a virtual server */
    {.name = "virtual_sessions", .oid = ALTEON_LAYER4 "4.1.2", .pick = SNMP_PICK_EACH},
};

static const struct snmp_row cisco_slb[] = {
    {.name = "cpu_utilization",
     .oid = CISCO_PROCESS "7",
     .pick = SNMP_PICK_MEAN,
     .scale = 0.01}, /* cpmCPUTotal1minRev */
    /* slbRealNumberOfConnections: a row a real server */
    {.name = "connections", .oid = CISCO_SLB "3.1.1.5", .pick = SNMP_PICK_SUM},
    /* slbStatsCreatedHCConnections, slbStatsEstablishedHCConnections, slbStatsDestroyedHCConnections: a row a module */
    {.name = "connections_created", .oid = CISCO_SLB "1.1.1.7", .pick = SNMP_PICK_SUM, .is_counter = true},
    {.name = "connections_established", .oid = CISCO_SLB "1.1.1.9", .pick = SNMP_PICK_SUM, .is_counter = true},
    {.name = "connections_destroyed", .oid = CISCO_SLB "1.1.1.11", .pick = SNMP_PICK_SUM, .is_counter = true},
    /* slbRealNumberOfConnections and slbVirtualNumberOfConnections for each; the index holds module and name */
    {.name = "real_connections", .oid = CISCO_SLB "3.1.1.5", .pick = SNMP_PICK_EACH},
    {.name = "virtual_connections", .oid = CISCO_SLB "4.1.1.17", .pick = SNMP_PICK_EACH},
};

static const struct snmp_table tables[] = {
    {"host-resources", "any host with HOST-RESOURCES-MIB: processors, memory, storage", ROWS(host_resources)},
    {"ucd", "hosts with net-snmp: processor, memory, swap, load averages, disks", ROWS(ucd)},
    {"if-mib", "network interfaces: bytes, errors, discards", ROWS(if_mib)},
    {"tcp", "TCP connections and segments of the host", ROWS(tcp)},
    {"citrix-adc", "Citrix ADC (NetScaler)", ROWS(citrix_adc)},
    {"f5-bigip", "F5 BIG-IP with Local Traffic Manager", ROWS(f5_bigip)},
    {"radware-alteon", "Radware Alteon", ROWS(radware_alteon)},
    {"cisco-slb", "Cisco server load balancing (CSM, ACE, IOS SLB)", ROWS(cisco_slb)},
};

const struct snmp_table *snmp_table_at(size_t index) {
  return index < sizeof tables / sizeof *tables ? &tables[index] : NULL;
}

const struct snmp_table *snmp_table_find(const char *name) {
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (strcmp(tables[i].name, name) == 0)
      return &tables[i];
  return NULL;
}

static void append(char **text, char *more) {
  char *longer = mem_format("%s%s", *text, more);
  free(*text);
  free(more);
  *text = longer;
}

char *snmp_tables_help(void) {
  char *text = mem_strdup("");
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    append(&text, mem_format("%s  %s\n", tables[i].name, tables[i].about));
    for (size_t r = 0; r < tables[i].count; r++)
      append(&text, mem_format("  %-28s %s\n", tables[i].rows[r].name, tables[i].rows[r].oid));
  }
  return text;
}
