/* FTP: a login and a file that comes, with the text expected when one is given. */
#include "probes/kinds/probe.h"

#include <stdlib.h>

#include "gslb/base/memory.h"

#define STATUS_TRANSFERRED 226
#define FILE_MOST 65536u /* so much of the file is looked through */

struct probe_run {
  struct probe_call call;
  struct ftp_transfer *transfer;
};

static void finished(void *context, const struct ftp_reply *reply) {
  struct probe_run *run = context;
  const struct config_expectation *expectation = &run->call.target->monitor->expect;
  struct probe_result result = {.rtt_us = reply->duration_us, .bytes = reply->body_length};
  if (reply->outcome != NET_ANSWERED)
    probe_result_failed(&result, reply->outcome, reply->detail);
  else if (reply->status == 530 || reply->status == 430)
    probe_result_set(&result, PROBE_STATUS, "login refused (%d)", reply->status);
  else if (reply->status != STATUS_TRANSFERRED)
    probe_result_set(&result, PROBE_STATUS, "file refused (%d)", reply->status);
  else if (!probe_expectation_met(expectation, reply->body, reply->body_length))
    probe_result_mismatch(&result, expectation, "file");
  else
    probe_result_set(&result, PROBE_PASSED, "%zu bytes", reply->body_length);
  run->call.done(run->call.context, &result);
  free(run);
}

static struct probe_run *start(const struct probe_tools *tools, const struct probe_call *call) {
  const struct config_monitor *monitor = call->target->monitor;
  struct probe_run *run = mem_alloc(sizeof *run);
  run->call = *call;
  struct ftp_request request = {
      .address = call->target->address,
      .user = monitor->user,
      .password = monitor->password,
      .path = monitor->path,
      .timeout_ms = monitor->timeout_ms,
      .body_most = FILE_MOST,
  };
  run->transfer = ftp_client_start(tools->ftp, &request, finished, run);
  return run;
}

static void cancel(struct probe_run *run) {
  ftp_client_cancel(run->transfer);
  free(run);
}

const struct probe_kind probe_ftp = {.start = start, .cancel = cancel};
