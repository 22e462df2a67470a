#include "discovery/agent/system_metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "gslb/base/memory.h"

#define FILE_MOST 262144u
#define SAME_WITHIN_MS 500

struct system_metrics {
  char *disk;
  char **interfaces; /* NULL: all but lo */
  char *text;        /* of the file being read */
  bool has_processor, has_network;
  struct system_processor processor;
  struct system_network network;
  int64_t read_ms;
  bool was_read;
  struct metric_set last;
};

bool system_parse_stat(const char *text, struct system_processor *out) {
  uint64_t user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0;
  /* guest times are within user and nice */
  int fields =
      sscanf(text, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
             &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal);
  if (fields < 4)
    return false;
  out->busy = user + nice + system + irq + softirq + steal;
  out->total = out->busy + idle + iowait;
  return true;
}

static const char *line_after(const char *text) {
  const char *end = strchr(text, '\n');
  return end ? end + 1 : NULL;
}

bool system_parse_meminfo(const char *text, struct system_memory *out) {
  struct system_memory memory = {0};
  uint64_t cached = 0, buffers = 0, shared = 0;
  bool has_available = false;
  const struct {
    const char *key;
    uint64_t *value;
  } rows[] = {{"MemTotal:", &memory.total},
              {"MemAvailable:", &memory.available},
              {"SwapTotal:", &memory.swap_total},
              {"SwapFree:", &memory.swap_free},
              {"Cached:", &cached},
              {"Buffers:", &buffers},
              {"Shmem:", &shared}};
  for (const char *line = text; line && *line; line = line_after(line))
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
      size_t length = strlen(rows[i].key);
      if (strncmp(line, rows[i].key, length) == 0 && sscanf(line + length, " %" SCNu64 " kB", rows[i].value) == 1) {
        *rows[i].value *= 1024;
        has_available |= rows[i].value == &memory.available;
      }
    }
  uint64_t cache = cached + buffers;
  memory.page_cache = cache > shared ? cache - shared : 0;
  if (memory.total == 0 || !has_available)
    return false;
  *out = memory;
  return true;
}

bool system_parse_loadavg(const char *text, double *load1) {
  return sscanf(text, "%lf", load1) == 1;
}

static bool is_counted(const char *name, size_t length, const char *const *interfaces) {
  if (!interfaces)
    return length != 2 || strncmp(name, "lo", 2) != 0;
  for (; *interfaces; interfaces++)
    if (strlen(*interfaces) == length && strncmp(*interfaces, name, length) == 0)
      return true;
  return false;
}

bool system_parse_net_dev(const char *text, const char *const *interfaces, struct system_network *out) {
  struct system_network sum = {0};
  bool has_any = false;
  for (const char *line = text; line && *line; line = line_after(line)) {
    line += strspn(line, " ");
    size_t length = strcspn(line, ":\n");
    uint64_t in, sent;
    if (line[length] != ':' || !is_counted(line, length, interfaces) ||
        sscanf(line + length + 1, " %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &in, &sent) != 2)
      continue;
    sum.in += in;
    sum.out += sent;
    has_any = true;
  }
  if (has_any)
    *out = sum;
  return has_any;
}

bool system_parse_snmp(const char *text, uint64_t *connections) {
  /* a line of names, then one of numbers in the same order */
  const char *names = NULL;
  for (const char *line = text; line && *line; line = line_after(line)) {
    if (strncmp(line, "Tcp:", 4) != 0)
      continue;
    if (!names) {
      names = line;
      continue;
    }
    const char *name = names + 4, *value = line + 4;
    for (;;) {
      name += strspn(name, " ");
      value += strspn(value, " ");
      size_t length = strcspn(name, " \n");
      if (length == 0 || *value == '\n' || *value == '\0')
        return false;
      if (length == 9 && strncmp(name, "CurrEstab", 9) == 0)
        return sscanf(value, "%" SCNu64, connections) == 1;
      name += length;
      value += strcspn(value, " \n");
    }
  }
  return false;
}

struct system_metrics *system_metrics_new(const char *disk, const char *const *interfaces) {
  struct system_metrics *metrics = mem_alloc(sizeof *metrics);
  metrics->disk = mem_strdup(disk);
  metrics->text = mem_alloc(FILE_MOST);
  size_t count = 0;
  while (interfaces && interfaces[count])
    count++;
  if (count) {
    metrics->interfaces = mem_array(count + 1, sizeof *metrics->interfaces);
    for (size_t i = 0; i < count; i++)
      metrics->interfaces[i] = mem_strdup(interfaces[i]);
  }
  return metrics;
}

void system_metrics_free(struct system_metrics *metrics) {
  if (!metrics)
    return;
  for (size_t i = 0; metrics->interfaces && metrics->interfaces[i]; i++)
    free(metrics->interfaces[i]);
  free(metrics->interfaces);
  free(metrics->disk);
  free(metrics->text);
  free(metrics);
}

/* The file's text; empty when it cannot be read. */
static const char *slurp(struct system_metrics *metrics, const char *path) {
  size_t length = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t got;
    while (length < FILE_MOST - 1 && (got = read(fd, metrics->text + length, FILE_MOST - 1 - length)) > 0)
      length += (size_t)got;
    close(fd);
  }
  metrics->text[length] = '\0';
  return metrics->text;
}

static void read_processor(struct system_metrics *metrics, struct metric_set *out) {
  struct system_processor now;
  if (!system_parse_stat(slurp(metrics, "/proc/stat"), &now))
    return;
  struct system_processor since = metrics->has_processor ? metrics->processor : (struct system_processor){0};
  if (now.total > since.total && now.busy >= since.busy)
    metric_set_put(out, "cpu_utilization", (double)(now.busy - since.busy) / (double)(now.total - since.total));
  metrics->processor = now;
  metrics->has_processor = true;
}

static void read_memory(struct system_metrics *metrics, struct metric_set *out) {
  struct system_memory memory;
  if (!system_parse_meminfo(slurp(metrics, "/proc/meminfo"), &memory))
    return;
  metric_set_put(out, "mem_utilization", 1.0 - (double)memory.available / (double)memory.total);
  metric_set_put(out, "swap_utilization",
                 memory.swap_total ? 1.0 - (double)memory.swap_free / (double)memory.swap_total : 0.0);
  metric_set_put(out, "page_cache_bytes", (double)memory.page_cache);
}

static void read_network(struct system_metrics *metrics, int64_t now_ms, struct metric_set *out) {
  struct system_network now;
  uint64_t connections;
  if (system_parse_net_dev(slurp(metrics, "/proc/net/dev"), (const char *const *)metrics->interfaces, &now)) {
    double seconds = (double)(now_ms - metrics->read_ms) / 1000.0;
    /* counters begin anew when an interface is made anew */
    if (metrics->has_network && seconds > 0 && now.in >= metrics->network.in && now.out >= metrics->network.out) {
      metric_set_put(out, "network_in_bytes_per_s", (double)(now.in - metrics->network.in) / seconds);
      metric_set_put(out, "network_out_bytes_per_s", (double)(now.out - metrics->network.out) / seconds);
    }
    metric_set_put(out, "network_in_bytes", (double)now.in);
    metric_set_put(out, "network_out_bytes", (double)now.out);
    metrics->network = now;
    metrics->has_network = true;
  }
  if (system_parse_snmp(slurp(metrics, "/proc/net/snmp"), &connections))
    metric_set_put(out, "connections", (double)connections);
}

static void read_disk(const struct system_metrics *metrics, struct metric_set *out) {
  struct statvfs disk;
  if (statvfs(metrics->disk, &disk) != 0)
    return;
  /* what is kept back for root counts as used for all others */
  double used = (double)(disk.f_blocks - disk.f_bfree), free_for_us = (double)disk.f_bavail;
  if (used + free_for_us > 0)
    metric_set_put(out, "disk_utilization", used / (used + free_for_us));
}

void system_metrics_read(struct system_metrics *metrics, int64_t now_ms, struct metric_set *out) {
  if (!metrics->was_read || now_ms - metrics->read_ms >= SAME_WITHIN_MS) {
    struct metric_set set = {0};
    double load1;
    read_processor(metrics, &set);
    read_memory(metrics, &set);
    if (system_parse_loadavg(slurp(metrics, "/proc/loadavg"), &load1))
      metric_set_put(&set, "load1", load1);
    read_network(metrics, now_ms, &set);
    read_disk(metrics, &set);
    metrics->last = set;
    metrics->read_ms = now_ms;
    metrics->was_read = true;
  }
  metric_set_add(out, &metrics->last);
}
