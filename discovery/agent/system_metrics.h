/* discovery/agent/system_metrics.h
 * How busy this machine is, from /proc and statvfs. The readers of the texts are pure; the rest belongs to one
 * thread. */
#ifndef GSLB_DISCOVERY_AGENT_SYSTEM_METRICS_H
#define GSLB_DISCOVERY_AGENT_SYSTEM_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "discovery/agent/metric_set.h"

struct system_processor { /* in clock ticks since the start of the machine */
  uint64_t busy, total;
};
bool system_parse_stat(const char *text, struct system_processor *out);
/* /proc/stat: all but idle and iowait is busy. */

struct system_memory { /* bytes */
  uint64_t total, available, swap_total, swap_free, page_cache;
};
bool system_parse_meminfo(const char *text, struct system_memory *out);
/* /proc/meminfo. The page cache is Cached and Buffers without Shmem, which cannot be dropped. */

bool system_parse_loadavg(const char *text, double *load1);

struct system_network { /* bytes since the start of the machine */
  uint64_t in, out;
};
bool system_parse_net_dev(const char *text, const char *const *interfaces, struct system_network *out);
/* /proc/net/dev: the sum over the named interfaces (NULL-terminated); NULL: all but lo. */

bool system_parse_snmp(const char *text, uint64_t *connections);
/* /proc/net/snmp: established TCP connections, IPv4 and IPv6. */

struct system_metrics;
struct system_metrics *system_metrics_new(const char *disk, const char *const *interfaces);
/* disk: a path on the file system whose use is told. Both are copied. */
void system_metrics_free(struct system_metrics *metrics);
void system_metrics_read(struct system_metrics *metrics, int64_t now_ms, struct metric_set *out);
/* Adds cpu_utilization (share since the last reading, at first since the start of the machine), mem_utilization,
 * swap_utilization, page_cache_bytes, load1, network_in_bytes, network_out_bytes and both per_s, connections and
 * disk_utilization; what cannot be read is left out. Readings within half a second give the same figures. now_ms:
 * mono. */

#endif
