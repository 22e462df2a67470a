/* UDP: a datagram, and one that comes back with the text expected; any that comes back when none is given. What must
 * not come is judged on the first that comes. */
#include "probes/kinds/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"

#define DATAGRAM_MOST 65535u

struct probe_run {
  struct probe_call call;
  struct loop_timer *timer;
  struct loop_poll *poll;
  int fd;    /* -1: none could be made */
  int error; /* errno of what failed at the start; 0 */
  uint64_t bytes;
  int64_t started_us;
};

static void release(struct probe_run *run) {
  loop_poll_free(run->poll);
  loop_timer_free(run->timer);
  if (run->fd >= 0)
    close(run->fd);
  free(run);
}

static void finish(struct probe_run *run, struct probe_result *result) {
  result->rtt_us = (uint32_t)(mono_now_us() - run->started_us);
  result->bytes = run->bytes;
  run->call.done(run->call.context, result);
  release(run);
}

static void fail(struct probe_run *run, enum net_outcome outcome, const char *detail) {
  struct probe_result result = {0};
  probe_result_failed(&result, outcome, detail);
  finish(run, &result);
}

static void ready(void *context, int events) {
  (void)events;
  struct probe_run *run = context;
  const struct config_expectation *expectation = &run->call.target->monitor->expect;
  char datagram[DATAGRAM_MOST + 1];
  ssize_t got = recv(run->fd, datagram, DATAGRAM_MOST, 0);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR)
      fail(run, net_outcome_of_errno(errno), strerror(errno));
    return;
  }
  datagram[got] = '\0';
  run->bytes += (uint64_t)got;
  struct probe_result result = {0};
  if (probe_expectation_met(expectation, datagram, (size_t)got))
    probe_result_set(&result, PROBE_PASSED, "answer of %zd bytes", got);
  else if (expectation->is_inverted)
    probe_result_mismatch(&result, expectation, "answer");
  else
    return; /* the one that is wanted may be on its way */
  finish(run, &result);
}

static void timed_out(void *context) {
  struct probe_run *run = context;
  struct probe_result result = {0};
  if (run->error) {
    fail(run, net_outcome_of_errno(run->error), strerror(run->error));
  } else if (run->bytes > 0) {
    probe_result_mismatch(&result, &run->call.target->monitor->expect, "answer");
    finish(run, &result);
  } else {
    fail(run, NET_TIMEOUT_ANSWER, "");
  }
}

static int begin(struct probe_run *run, const struct probe_tools *tools) {
  const struct config_monitor *monitor = run->call.target->monitor;
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(&run->call.target->address, &sockaddr);
  run->fd = socket(sockaddr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  /* connected, so that nobody else's datagrams are taken and a refusal is told */
  if (run->fd < 0 || connect(run->fd, (struct sockaddr *)&sockaddr, length) < 0)
    return errno;
  run->poll = loop_poll_start(tools->loop, run->fd, LOOP_READABLE, ready, run);
  if (!run->poll)
    return ENOMEM;
  return send(run->fd, monitor->send ? monitor->send : "", monitor->send_size, MSG_NOSIGNAL) < 0 ? errno : 0;
}

static struct probe_run *start(const struct probe_tools *tools, const struct probe_call *call) {
  struct probe_run *run = mem_alloc(sizeof *run);
  run->call = *call;
  run->started_us = mono_now_us();
  run->timer = loop_timer_new(tools->loop, timed_out, run);
  run->error = begin(run, tools);
  /* what is known already is told in the next turn: the caller has no handle yet */
  loop_timer_after(run->timer, run->error ? 0 : call->target->monitor->timeout_ms);
  return run;
}

const struct probe_kind probe_udp = {.start = start, .cancel = release};
