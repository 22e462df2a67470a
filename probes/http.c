/* HTTP: a GET whose status is among those expected and whose body holds the text expected. */
#include "probes/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

#define BODY_MOST 65536u

struct probe_run {
  const struct probe_target *target;
  struct http_transfer *transfer;
  probe_done *done;
  void *context;
};

static bool status_is_expected(const struct config_monitor *monitor, int status) {
  for (size_t i = 0; i < monitor->expect_status_count; i++)
    if (status >= monitor->expect_status[i].first && status <= monitor->expect_status[i].last)
      return true;
  return false;
}

static void format_expected(const struct config_monitor *monitor, char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < monitor->expect_status_count && used < size; i++) {
    const struct status_range *range = &monitor->expect_status[i];
    const char *comma = i ? "," : "";
    int written = range->first == range->last
                      ? snprintf(text + used, size - used, "%s%u", comma, range->first)
                      : snprintf(text + used, size - used, "%s%u-%u", comma, range->first, range->last);
    used += (size_t)written;
  }
}

static void finished(void *context, const struct http_reply *reply) {
  struct probe_run *run = context;
  const struct config_monitor *monitor = run->target->monitor;
  struct probe_result result = {.rtt_us = reply->duration_us};
  char expected[64];
  if (reply->outcome != NET_ANSWERED) {
    probe_result_failed(&result, reply->outcome, reply->detail);
  } else if (!status_is_expected(monitor, reply->status)) {
    format_expected(monitor, expected, sizeof expected);
    probe_result_set(&result, PROBE_UNEXPECTED, "status %d, expected %s", reply->status, expected);
  } else if (monitor->expect_body &&
             !memmem(reply->body, reply->body_length, monitor->expect_body, strlen(monitor->expect_body))) {
    probe_result_set(&result, PROBE_UNEXPECTED, "body lacks \"%s\"", monitor->expect_body);
  } else {
    probe_result_set(&result, PROBE_PASSED, "status %d", reply->status);
  }
  run->done(run->context, &result);
  free(run);
}

static struct probe_run *start(const struct probe_tools *tools, const struct probe_target *target, probe_done *done,
                               void *context) {
  const struct config_monitor *monitor = target->monitor;
  struct probe_run *run = mem_alloc(sizeof *run);
  run->target = target;
  run->done = done;
  run->context = context;
  struct http_request request = {
      .address = target->address,
      .host = monitor->host ? monitor->host : target->service,
      .path = monitor->path,
      .timeout_ms = monitor->timeout_ms,
      .body_most = BODY_MOST,
  };
  run->transfer = http_client_start(tools->http, &request, finished, run);
  return run;
}

static void cancel(struct probe_run *run) {
  http_client_cancel(run->transfer);
  free(run);
}

const struct probe_kind probe_http = {.start = start, .cancel = cancel};
