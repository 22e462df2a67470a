/* HTTP and HTTPS: a request whose answer has a status among those expected and a body as expected. */
#include "probes/kinds/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

struct probe_run {
  struct probe_call call;
  struct http_transfer *transfer;
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
  const struct config_monitor *monitor = run->call.target->monitor;
  struct probe_result result = {.rtt_us = reply->duration_us, .bytes = reply->bytes};
  char expected[64];
  if (reply->outcome != NET_ANSWERED) {
    probe_result_failed(&result, reply->outcome, reply->detail);
  } else if (!status_is_expected(monitor, reply->status)) {
    format_expected(monitor, expected, sizeof expected);
    probe_result_set(&result, PROBE_STATUS, "status %d, expected %s", reply->status, expected);
  } else if (!probe_expectation_met(&monitor->expect, reply->body, reply->body_length)) {
    probe_result_mismatch(&result, &monitor->expect, "body");
  } else {
    probe_result_set(&result, PROBE_PASSED, "status %d", reply->status);
  }
  run->call.done(run->call.context, &result);
  free(run);
}

static struct probe_run *start(const struct probe_tools *tools, const struct probe_call *call) {
  const struct config_monitor *monitor = call->target->monitor;
  struct probe_run *run = mem_alloc(sizeof *run);
  run->call = *call;
  struct http_request request = {
      .method = monitor->method,
      .address = call->target->address,
      .host = monitor->host ? monitor->host : call->target->service,
      .path = monitor->path,
      .timeout_ms = monitor->timeout_ms,
      .body_most = monitor->body_most,
      .headers = monitor->headers,
      .body = monitor->body,
      .body_size = monitor->body ? strlen(monitor->body) : 0,
      .is_http2 = monitor->is_http2,
      .redirects = monitor->redirects,
      .is_tls = monitor->type == MONITOR_HTTPS,
      .server_name = monitor->tls.server_name,
      .is_unverified = monitor->tls.is_unverified,
      .ca = monitor->tls.ca,
      .certificate = monitor->tls.certificate,
      .key = monitor->tls.key,
  };
  run->transfer = http_client_start(tools->http, &request, finished, run);
  return run;
}

static void cancel(struct probe_run *run) {
  http_client_cancel(run->transfer);
  free(run);
}

const struct probe_kind probe_http = {.start = start, .cancel = cancel};
