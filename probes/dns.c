/* DNS: a query whose answer has the response code expected and, when one is given, the record expected. */
#include "probes/probe.h"

#include <stdlib.h>

#include "gslb/base/memory.h"
#include "gslb/net/dns_reply.h"

struct probe_run {
  const struct probe_target *target;
  struct resolver_query *query;
  probe_done *done;
  void *context;
};

static void judge_reply(const struct config_monitor *monitor, const struct resolver_reply *reply,
                        struct probe_result *result) {
  int rcode;
  char got[16], wanted[16];
  if (reply->outcome != NET_ANSWERED)
    probe_result_failed(result, reply->outcome, reply->detail);
  else if (dns_reply_rcode(reply->bytes, reply->length, &rcode) != STATUS_OK)
    probe_result_failed(result, NET_PROTOCOL, "not a response");
  else if (rcode != monitor->expect_rcode)
    probe_result_set(result, PROBE_UNEXPECTED, "rcode %s, expected %s", dns_reply_rcode_text(rcode, got),
                     dns_reply_rcode_text(monitor->expect_rcode, wanted));
  else if (monitor->expect_answer &&
           !dns_reply_has(reply->bytes, reply->length, monitor->query_type, monitor->expect_answer))
    probe_result_set(result, PROBE_UNEXPECTED, "no answer %s", monitor->expect_answer);
  else
    probe_result_set(result, PROBE_PASSED, "rcode %s", dns_reply_rcode_text(rcode, got));
}

static void finished(void *context, const struct resolver_reply *reply) {
  struct probe_run *run = context;
  struct probe_result result = {.rtt_us = reply->duration_us};
  judge_reply(run->target->monitor, reply, &result);
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
  struct resolver_question question = {
      .server = target->address,
      .name = monitor->query_name,
      .type = monitor->query_type,
      .timeout_ms = monitor->timeout_ms,
  };
  run->query = resolver_ask(tools->resolver, &question, finished, run);
  return run;
}

static void cancel(struct probe_run *run) {
  resolver_cancel(run->query);
  free(run);
}

const struct probe_kind probe_dns = {.start = start, .cancel = cancel};
