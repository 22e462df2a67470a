/* Agent-check: a TCP connection on which an agent of HAProxy says one line: weight, state with a reason, and how many
 * connections it takes. */
#include "probes/sources/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gslb/base/memory.h"
#include "probes/sources/agent_check.h"

struct source_run {
  const struct source_target *target;
  struct loop_timer *timer;
  struct loop_poll *poll; /* NULL: connect() itself told the result */
  int fd;                 /* -1: none could be made */
  int error;              /* errno of that */
  bool is_connected;
  size_t sent, got;
  char line[AGENT_CHECK_MOST];
  source_done *done;
  void *context;
};

static void release(struct source_run *run) {
  loop_poll_free(run->poll);
  loop_timer_free(run->timer);
  if (run->fd >= 0)
    close(run->fd);
  free(run);
}

static void fail(struct source_run *run, enum net_outcome outcome, const char *detail) {
  struct source_reading reading = {.weight_percent = SOURCE_NO_WEIGHT};
  source_reading_failed(&reading, outcome, detail);
  run->done(run->context, &reading);
  release(run);
}

static void fail_errno(struct source_run *run, int error) {
  fail(run, net_outcome_of_errno(error), strerror(error));
}

static void take_line(struct source_run *run) {
  struct source_reading reading = {.weight_percent = SOURCE_NO_WEIGHT};
  struct source_value value = {.name = "connections_ceiling"};
  struct agent_check check;
  struct errbuf err = {0};
  if (agent_check_parse(run->line, run->got, &check, &err) != STATUS_OK) {
    source_reading_set(&reading, PROBE_PROTOCOL, err.text);
  } else {
    source_reading_set(&reading, PROBE_PASSED, "");
    reading.has_self = check.has_self;
    reading.self = check.self;
    memcpy(reading.self_reason, check.self_reason, sizeof reading.self_reason);
    reading.weight_percent = check.weight_percent;
    value.value = check.connections_ceiling;
    reading.values = &value;
    reading.count = check.connections_ceiling >= 0;
  }
  run->done(run->context, &reading);
  release(run);
}

static void receive(struct source_run *run) {
  ssize_t got = recv(run->fd, run->line + run->got, sizeof run->line - run->got, MSG_DONTWAIT);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR)
      fail_errno(run, errno);
    return;
  }
  run->got += (size_t)got;
  if (got > 0 && run->got < sizeof run->line && !memchr(run->line, '\n', run->got))
    return;
  if (run->got == 0)
    fail(run, NET_CLOSED, "");
  else
    take_line(run);
}

/* Whether all is sent; the run may be over otherwise. */
static bool send_text(struct source_run *run, const char *text, size_t size) {
  if (run->sent == size)
    return true;
  ssize_t sent = send(run->fd, text + run->sent, size - run->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN && errno != EINTR)
      fail_errno(run, errno);
    return false;
  }
  run->sent += (size_t)sent;
  return run->sent == size;
}

static void moved(void *context, int events) {
  struct source_run *run = context;
  const char *text = run->target->source->send ? run->target->source->send : "";
  size_t size = strlen(text);
  if (!run->is_connected) {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(run->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
      error = errno;
    if (error) {
      fail_errno(run, error);
      return;
    }
    run->is_connected = true;
  }
  if (run->sent < size) {
    if (send_text(run, text, size))
      loop_poll_watch(run->poll, LOOP_READABLE);
    return;
  }
  loop_poll_watch(run->poll, LOOP_READABLE);
  if (events & LOOP_READABLE)
    receive(run);
}

static void timed_out(void *context) {
  struct source_run *run = context;
  if (run->fd < 0 || !run->poll)
    fail_errno(run, run->error);
  else
    fail(run, !run->is_connected ? NET_TIMEOUT_CONNECT : run->got > 0 ? NET_TIMEOUT_BODY : NET_TIMEOUT_ANSWER, "");
}

static void begin_connect(struct source_run *run, const struct probe_tools *tools, const struct addr *address) {
  struct sockaddr_storage sockaddr;
  socklen_t length = addr_to_sockaddr(address, &sockaddr);
  run->fd = socket(sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (run->fd < 0 || (connect(run->fd, (struct sockaddr *)&sockaddr, length) < 0 && errno != EINPROGRESS)) {
    run->error = errno;
    return;
  }
  run->poll = loop_poll_new(tools->loop, run->fd, moved, run);
  if (run->poll)
    loop_poll_watch(run->poll, LOOP_WRITABLE);
  else
    run->error = ENOMEM;
}

static struct source_run *start(const struct probe_tools *tools, const struct source_target *target, source_done *done,
                                void *context) {
  struct source_run *run = mem_alloc(sizeof *run);
  run->target = target;
  run->done = done;
  run->context = context;
  run->timer = loop_timer_new(tools->loop, timed_out, run);
  begin_connect(run, tools, &target->address);
  /* what is known already is told in the next turn: the caller has no handle yet */
  loop_timer_after(run->timer, run->error ? 0 : target->source->timeout_ms);
  return run;
}

const struct source_kind source_agent_check = {.start = start, .cancel = release};
