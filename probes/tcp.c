/* TCP: a connection that comes about. */
#include "probes/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"

struct probe_run {
  struct loop_timer *timer;
  struct loop_poll *poll; /* NULL: connect() itself told the result */
  int fd;                 /* -1: none could be made */
  int error;              /* errno of connect(), 0 while it is under way */
  int64_t started_us;
  probe_done *done;
  void *context;
};

static void release(struct probe_run *run) {
  loop_poll_free(run->poll);
  loop_timer_free(run->timer);
  if (run->fd >= 0)
    close(run->fd);
  free(run);
}

static void finish(struct probe_run *run, int error) {
  struct probe_result result = {.rtt_us = (uint32_t)(mono_now_us() - run->started_us)};
  if (error)
    probe_result_failed(&result, net_outcome_of_errno(error), strerror(error));
  else
    probe_result_set(&result, PROBE_PASSED, "connected");
  run->done(run->context, &result);
  release(run);
}

static void connected(void *context, int events) {
  (void)events;
  struct probe_run *run = context;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(run->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
    error = errno;
  finish(run, error);
}

static void timed_out(void *context) {
  struct probe_run *run = context;
  if (run->fd >= 0 && run->poll)
    finish(run, ETIMEDOUT);
  else
    finish(run, run->error);
}

static void begin_connect(struct probe_run *run, const struct probe_tools *tools, const struct addr *address) {
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(address, &sockaddr);
  run->fd = socket(sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (run->fd < 0 || (connect(run->fd, (struct sockaddr *)&sockaddr, length) < 0 && errno != EINPROGRESS)) {
    run->error = errno;
    return;
  }
  run->poll = loop_poll_new(tools->loop, run->fd, connected, run);
  if (run->poll)
    loop_poll_watch(run->poll, LOOP_WRITABLE);
  else
    run->error = ENOMEM;
}

static struct probe_run *start(const struct probe_tools *tools, const struct probe_target *target, probe_done *done,
                               void *context) {
  struct probe_run *run = mem_alloc(sizeof *run);
  run->done = done;
  run->context = context;
  run->started_us = mono_now_us();
  run->timer = loop_timer_new(tools->loop, timed_out, run);
  begin_connect(run, tools, &target->address);
  /* what is known already is told in the next turn: the caller has no handle yet */
  loop_timer_after(run->timer, run->error ? 0 : target->monitor->timeout_ms);
  return run;
}

const struct probe_kind probe_tcp = {.start = start, .cancel = release};
