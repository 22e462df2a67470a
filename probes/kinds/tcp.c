/* TCP: a connection that comes about; what is to be sent is sent, and when something is expected, it is read until that
 * has come. What must not come is judged when the other side is done, or at the time-out on what came until then. */
#include "probes/kinds/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"

#define ANSWER_MOST 8192u /* it is looked through with each segment, so this bounds the work that a peer can make */

enum stage { STAGE_FAILED, STAGE_CONNECTING, STAGE_SENDING, STAGE_READING };

struct probe_run {
  struct probe_call call;
  struct loop_timer *timer;
  struct loop_poll *poll;
  int fd; /* -1: none could be made */
  enum stage stage;
  int error;   /* errno; of STAGE_FAILED */
  size_t sent; /* bytes of what is to be sent */
  char *answer;
  size_t length;
  int64_t started_us, last_us; /* last_us: when the newest byte came */
};

static void release(struct probe_run *run) {
  loop_poll_free(run->poll);
  loop_timer_free(run->timer);
  if (run->fd >= 0)
    close(run->fd);
  free(run->answer);
  free(run);
}

static struct probe_result result_until(const struct probe_run *run, int64_t now_us) {
  return (struct probe_result){.rtt_us = (uint32_t)(now_us - run->started_us), .bytes = run->length};
}

static void finish(struct probe_run *run, const struct probe_result *result) {
  run->call.done(run->call.context, result);
  release(run);
}

static void fail(struct probe_run *run, enum net_outcome outcome, const char *detail) {
  struct probe_result result = result_until(run, mono_now_us());
  probe_result_failed(&result, outcome, detail);
  finish(run, &result);
}

static bool is_met(const struct probe_run *run) {
  return probe_expectation_met(&run->call.target->monitor->expect, run->answer, run->length);
}

/* No more will come, or no more is wanted. */
static void judge(struct probe_run *run, int64_t now_us) {
  struct probe_result result = result_until(run, now_us);
  if (is_met(run))
    probe_result_set(&result, PROBE_PASSED, "answer of %zu bytes", run->length);
  else
    probe_result_mismatch(&result, &run->call.target->monitor->expect, "answer");
  finish(run, &result);
}

static void read_answer(struct probe_run *run) {
  const struct config_expectation *expectation = &run->call.target->monitor->expect;
  if (!run->answer)
    run->answer = mem_alloc(ANSWER_MOST + 1);
  ssize_t got = recv(run->fd, run->answer + run->length, ANSWER_MOST - run->length, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  int error = errno;
  if (got > 0) {
    run->length += (size_t)got;
    run->last_us = mono_now_us();
  }
  run->answer[run->length] = '\0';
  bool has_come = !expectation->is_inverted ? is_met(run) : !is_met(run);
  if ((got > 0 && has_come) || run->length == ANSWER_MOST || (got == 0 && run->length > 0))
    judge(run, mono_now_us());
  else if (got < 0)
    fail(run, net_outcome_of_errno(error), strerror(error));
  else if (got == 0)
    fail(run, NET_CLOSED, "");
}

static void send_rest(struct probe_run *run) {
  const struct config_monitor *monitor = run->call.target->monitor;
  if (run->sent < monitor->send_size) {
    ssize_t sent = send(run->fd, monitor->send + run->sent, monitor->send_size - run->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      fail(run, net_outcome_of_errno(errno), strerror(errno));
      return;
    }
    run->sent += sent > 0 ? (size_t)sent : 0;
    if (run->sent < monitor->send_size)
      return;
  }
  if (monitor->expect.text) {
    run->stage = STAGE_READING;
    loop_poll_watch(run->poll, LOOP_READABLE);
    return;
  }
  struct probe_result result = result_until(run, mono_now_us());
  probe_result_set(&result, PROBE_PASSED, "connected");
  finish(run, &result);
}

static void connected(struct probe_run *run) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(run->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
    error = errno;
  if (error) {
    fail(run, net_outcome_of_errno(error), strerror(error));
    return;
  }
  run->stage = STAGE_SENDING;
  send_rest(run);
}

static void ready(void *context, int events) {
  (void)events;
  struct probe_run *run = context;
  if (run->stage == STAGE_CONNECTING)
    connected(run);
  else if (run->stage == STAGE_SENDING)
    send_rest(run);
  else
    read_answer(run);
}

static void timed_out(void *context) {
  struct probe_run *run = context;
  if (run->stage == STAGE_FAILED)
    fail(run, net_outcome_of_errno(run->error), strerror(run->error));
  else if (run->stage == STAGE_CONNECTING)
    fail(run, NET_TIMEOUT_CONNECT, "");
  else if (run->length > 0)
    judge(run, run->call.target->monitor->expect.is_inverted ? run->last_us : mono_now_us());
  else
    fail(run, NET_TIMEOUT_ANSWER, "");
}

static void begin_connect(struct probe_run *run, const struct probe_tools *tools, const struct addr *address) {
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(address, &sockaddr);
  run->fd = socket(sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (run->fd < 0 || (connect(run->fd, (struct sockaddr *)&sockaddr, length) < 0 && errno != EINPROGRESS)) {
    run->error = errno;
    return;
  }
  run->poll = loop_poll_start(tools->loop, run->fd, LOOP_WRITABLE, ready, run);
  if (!run->poll) {
    run->error = ENOMEM;
    return;
  }
  run->stage = STAGE_CONNECTING;
}

static struct probe_run *start(const struct probe_tools *tools, const struct probe_call *call) {
  struct probe_run *run = mem_alloc(sizeof *run);
  run->call = *call;
  run->started_us = mono_now_us();
  run->timer = loop_timer_new(tools->loop, timed_out, run);
  begin_connect(run, tools, &call->target->address);
  /* what is known already is told in the next turn: the caller has no handle yet */
  loop_timer_after(run->timer, run->stage == STAGE_FAILED ? 0 : call->target->monitor->timeout_ms);
  return run;
}

const struct probe_kind probe_tcp = {.start = start, .cancel = release};
