/* DNS: a query whose answer has the response code expected and, when they are given, the records expected (all of them,
 * or all and no other), a serial that is not too old, and signatures that hold for a while still. */
#include "probes/kinds/probe.h"

#include <stdlib.h>
#include <time.h>

#include "gslb/base/memory.h"
#include "gslb/net/dns_reply.h"

struct probe_run {
  struct probe_call call;
  struct resolver_query *query;
};

/* The first thing that is not as expected, if any. */
static bool judge_answers(const struct config_monitor *monitor, const struct resolver_reply *reply,
                          struct probe_result *result) {
  const char *const *wanted = monitor->expect_answers;
  for (const char *const *data = wanted; data && *data; data++)
    if (!dns_reply_has(reply->bytes, reply->length, monitor->query_type, *data)) {
      probe_result_set(result, PROBE_NO_MATCH, "no answer %s", *data);
      return false;
    }
  if (wanted && monitor->is_whole_answer &&
      !dns_reply_has_whole(reply->bytes, reply->length, monitor->query_type, wanted)) {
    probe_result_set(result, PROBE_NO_MATCH, "the answer has other records besides");
    return false;
  }
  return true;
}

static bool judge_serial(const struct config_monitor *monitor, const struct resolver_reply *reply,
                         struct probe_result *result) {
  uint32_t serial;
  if (!monitor->has_serial_least)
    return true;
  if (dns_reply_serial(reply->bytes, reply->length, &serial) != STATUS_OK) {
    probe_result_set(result, PROBE_NO_MATCH, "no SOA in the answer");
    return false;
  }
  if (dns_serial_is_older(serial, monitor->serial_least)) {
    probe_result_set(result, PROBE_NO_MATCH, "serial %u, expected %u or later", serial, monitor->serial_least);
    return false;
  }
  return true;
}

static bool judge_signatures(const struct config_monitor *monitor, const struct resolver_reply *reply,
                             struct probe_result *result) {
  int64_t until_s, now_s = time(NULL), least_s = monitor->signature_left_ms / 1000;
  if (monitor->signature_left_ms == 0)
    return true;
  if (dns_reply_signed_until(reply->bytes, reply->length, monitor->query_type, now_s, &until_s) != STATUS_OK) {
    probe_result_set(result, PROBE_NO_MATCH, "the answer is not signed");
    return false;
  }
  if (until_s - now_s < least_s) {
    probe_result_set(result, PROBE_NO_MATCH, "a signature ends in %lld s, expected %lld s or more",
                     (long long)(until_s - now_s), (long long)least_s);
    return false;
  }
  return true;
}

static void judge_reply(const struct config_monitor *monitor, const struct resolver_reply *reply,
                        struct probe_result *result) {
  int rcode;
  char got[16], wanted[16];
  if (reply->outcome != NET_ANSWERED)
    probe_result_failed(result, reply->outcome, reply->detail);
  else if (dns_reply_rcode(reply->bytes, reply->length, &rcode) != STATUS_OK)
    probe_result_failed(result, NET_PROTOCOL, "not a response");
  else if (rcode != monitor->expect_rcode)
    probe_result_set(result, PROBE_STATUS, "rcode %s, expected %s", dns_reply_rcode_text(rcode, got),
                     dns_reply_rcode_text(monitor->expect_rcode, wanted));
  else if (judge_answers(monitor, reply, result) && judge_serial(monitor, reply, result) &&
           judge_signatures(monitor, reply, result))
    probe_result_set(result, PROBE_PASSED, "rcode %s", dns_reply_rcode_text(rcode, got));
}

static void finished(void *context, const struct resolver_reply *reply) {
  struct probe_run *run = context;
  struct probe_result result = {.rtt_us = reply->duration_us, .bytes = reply->length};
  judge_reply(run->call.target->monitor, reply, &result);
  run->call.done(run->call.context, &result);
  free(run);
}

static struct probe_run *start(const struct probe_tools *tools, const struct probe_call *call) {
  const struct config_monitor *monitor = call->target->monitor;
  struct probe_run *run = mem_alloc(sizeof *run);
  run->call = *call;
  struct resolver_question question = {
      .server = call->target->address,
      .name = monitor->query_name,
      .type = monitor->query_type,
      .timeout_ms = monitor->timeout_ms,
      .wants_dnssec = monitor->signature_left_ms > 0,
  };
  run->query = resolver_ask(tools->resolver, &question, finished, run);
  return run;
}

static void cancel(struct probe_run *run) {
  resolver_cancel(run->query);
  free(run);
}

const struct probe_kind probe_dns = {.start = start, .cancel = cancel};
