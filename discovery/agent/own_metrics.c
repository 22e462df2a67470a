#include "discovery/agent/own_metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/net/http_client.h"
#include "gslb/net/url.h"

#define AGE_MOST_INTERVALS 3

struct source {
  struct own_metrics *own;
  const struct settings_metric *settings;
  struct loop_timer *timer; /* of the next reading, or of its time-out */
  struct http_transfer *transfer;
  int fd; /* pipe or socket; -1: none */
  struct loop_poll *poll;
  pid_t pid; /* of the command, its process group too; 0: none */
  int pidfd;
  struct loop_poll *exit_poll;
  bool is_at_end, has_exited, was_tried;
  int exit_status;
  int64_t started_ms;
  char *text;
  size_t length;
  struct metric_set last;
  int64_t last_ms; /* mono; 0: never */
  bool was_told;   /* that it fails */
};

struct own_metrics {
  struct loop *loop;
  struct http_client *client;
  struct source *sources;
  size_t count;
  own_metrics_changed *first;
  void *context;
};

extern char **environ;

static void begin(void *context);

static const char *name_of(const struct source *source) {
  const struct settings_metric *settings = source->settings;
  return settings->source == SOURCE_COMMAND ? settings->command[0]
         : settings->source == SOURCE_URL   ? settings->url
                                            : settings->path;
}

static void close_source(struct source *source) {
  loop_poll_free(source->poll);
  loop_poll_free(source->exit_poll);
  source->poll = source->exit_poll = NULL;
  if (source->fd >= 0)
    close(source->fd);
  if (source->transfer)
    http_client_cancel(source->transfer);
  source->transfer = NULL;
  if (source->pid && !source->has_exited) {
    siginfo_t info;
    kill(-source->pid, SIGKILL);
    waitid(P_PID, (id_t)source->pid, &info, WEXITED);
  }
  if (source->pidfd >= 0)
    close(source->pidfd);
  source->fd = source->pidfd = -1;
  source->pid = 0;
}

static void tell_first(struct own_metrics *own) {
  for (size_t i = 0; i < own->count; i++)
    if (!own->sources[i].was_tried)
      return;
  own_metrics_changed *first = own->first;
  own->first = NULL;
  if (first)
    first(own->context);
}

/* The end of a reading: why is NULL when text and length hold what the source said. */
static void finish(struct source *source, const char *why, const char *text, size_t length) {
  struct errbuf err;
  int64_t now = mono_now_ms();
  if (!why && metric_set_parse(text, length, source->settings->name, &source->last, &err) != STATUS_OK)
    why = err.text;
  if (!why)
    source->last_ms = now;
  if (why && !source->was_told)
    log_warning("metrics of %s: %s", name_of(source), why);
  else if (!why && source->was_told)
    log_info("metrics of %s: there again", name_of(source));
  source->was_told = why != NULL;
  close_source(source);
  loop_timer_free(source->timer);
  source->timer = loop_timer_new(source->own->loop, begin, source);
  int64_t rest = source->started_ms + source->settings->interval_ms - now;
  loop_timer_after(source->timer, rest > 0 ? rest : 0);
  source->was_tried = true;
  tell_first(source->own);
}

static void timed_out(void *context) {
  finish(context, "no answer in time", NULL, 0);
}

static void check_command(struct source *source) {
  if (!source->is_at_end || (source->pid && !source->has_exited))
    return;
  if (source->exit_status)
    finish(source, "the command failed", NULL, 0);
  else
    finish(source, NULL, source->text, source->length);
}

static void read_more(void *context, int events) {
  (void)events;
  struct source *source = context;
  ssize_t got;
  while ((got = read(source->fd, source->text + source->length, OWN_METRICS_TEXT_MOST - source->length)) > 0) {
    source->length += (size_t)got;
    if (source->length == OWN_METRICS_TEXT_MOST) {
      finish(source, "it says too much", NULL, 0);
      return;
    }
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (got < 0) {
    finish(source, strerror(errno), NULL, 0);
    return;
  }
  loop_poll_watch(source->poll, 0);
  source->is_at_end = true;
  check_command(source);
}

static void command_ended(void *context, int events) {
  (void)events;
  struct source *source = context;
  siginfo_t info = {0};
  if (waitid(P_PID, (id_t)source->pid, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
    return;
  loop_poll_watch(source->exit_poll, 0);
  source->has_exited = true;
  source->exit_status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  check_command(source);
}

static int spawn(const char *const *command, int out, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  int failed = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (!failed)
    failed = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
  if (!failed)
    failed = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  if (!failed)
    failed = posix_spawnp(pid, command[0], &files, &attributes, (char *const *)command, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed;
}

static const char *watch(struct source *source) {
  source->poll = loop_poll_new(source->own->loop, source->fd, read_more, source);
  if (!source->poll)
    return "cannot be waited for";
  loop_poll_watch(source->poll, LOOP_READABLE);
  return NULL;
}

static const char *begin_command(struct source *source) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return strerror(errno);
  int failed = spawn(source->settings->command, ends[1], &source->pid);
  close(ends[1]);
  source->fd = ends[0];
  if (failed) {
    source->pid = 0;
    return strerror(failed);
  }
  source->pidfd = pidfd_open(source->pid, 0);
  source->exit_poll =
      source->pidfd >= 0 ? loop_poll_new(source->own->loop, source->pidfd, command_ended, source) : NULL;
  if (!source->exit_poll)
    return "its end cannot be waited for";
  loop_poll_watch(source->exit_poll, LOOP_READABLE);
  return watch(source);
}

static const char *begin_socket(struct source *source) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(source->settings->path) >= sizeof address.sun_path)
    return "the path is too long";
  strcpy(address.sun_path, source->settings->path);
  source->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (source->fd < 0 || connect(source->fd, (struct sockaddr *)&address, sizeof address) != 0)
    return strerror(errno);
  return watch(source);
}

static void read_file(struct source *source) {
  /* one that is no file must not be waited for */
  int fd = open(source->settings->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  ssize_t got = 0;
  while (fd >= 0 && source->length < OWN_METRICS_TEXT_MOST &&
         (got = read(fd, source->text + source->length, OWN_METRICS_TEXT_MOST - source->length)) > 0)
    source->length += (size_t)got;
  int error = errno;
  if (fd >= 0)
    close(fd);
  if (fd < 0 || got < 0)
    finish(source, strerror(error), NULL, 0);
  else if (source->length == OWN_METRICS_TEXT_MOST)
    finish(source, "it says too much", NULL, 0);
  else
    finish(source, NULL, source->text, source->length);
}

static void url_answered(void *context, const struct http_reply *reply) {
  struct source *source = context;
  char why[128];
  source->transfer = NULL;
  if (reply->outcome != NET_ANSWERED)
    snprintf(why, sizeof why, "%s", net_outcome_text(reply->outcome));
  else
    snprintf(why, sizeof why, "status %d", reply->status);
  bool is_good = reply->outcome == NET_ANSWERED && reply->status == 200;
  finish(source, is_good ? NULL : why, reply->body, reply->body_length);
}

static void begin_url(struct source *source) {
  struct url url;
  struct errbuf err;
  if (url_parse(source->settings->url, &url, &err) != STATUS_OK) { /* the schema has seen it */
    finish(source, err.text, NULL, 0);
    return;
  }
  char address[ADDR_TEXT_SIZE], host[ADDR_TEXT_SIZE + 2];
  bool is_v6 = url.address.family == 6;
  snprintf(host, sizeof host, "%s%s%s", is_v6 ? "[" : "", addr_format(&url.address, address), is_v6 ? "]" : "");
  const struct http_request request = {.address = url.address,
                                       .host = host,
                                       .path = url.target,
                                       .timeout_ms = source->settings->timeout_ms,
                                       .body_most = OWN_METRICS_TEXT_MOST,
                                       .is_tls = url.is_tls};
  source->transfer = http_client_start(source->own->client, &request, url_answered, source);
}

static void begin(void *context) {
  struct source *source = context;
  source->is_at_end = source->has_exited = false;
  source->exit_status = 0;
  source->length = 0;
  source->started_ms = mono_now_ms();
  const char *why = NULL;
  switch (source->settings->source) {
  case SOURCE_FILE:
    read_file(source);
    return;
  case SOURCE_URL: /* has a time-out of its own */
    begin_url(source);
    return;
  case SOURCE_COMMAND:
    why = begin_command(source);
    break;
  case SOURCE_SOCKET:
    why = begin_socket(source);
    break;
  }
  if (why) {
    finish(source, why, NULL, 0);
    return;
  }
  loop_timer_free(source->timer);
  source->timer = loop_timer_new(source->own->loop, timed_out, source);
  loop_timer_after(source->timer, source->settings->timeout_ms);
}

struct own_metrics *own_metrics_new(struct loop *loop, const struct settings_metric *sources, size_t count,
                                    own_metrics_changed *first, void *context) {
  struct own_metrics *own = mem_alloc(sizeof *own);
  own->loop = loop;
  own->client = http_client_new(loop);
  own->count = count;
  own->sources = mem_array(count ? count : 1, sizeof *own->sources);
  own->first = first;
  own->context = context;
  for (size_t i = 0; i < count; i++) {
    struct source *source = &own->sources[i];
    *source = (struct source){.own = own, .settings = &sources[i], .fd = -1, .pidfd = -1};
    source->text = mem_alloc(OWN_METRICS_TEXT_MOST);
    source->timer = loop_timer_new(loop, begin, source);
    loop_timer_after(source->timer, 0);
  }
  return own;
}

void own_metrics_free(struct own_metrics *own) {
  if (!own)
    return;
  for (size_t i = 0; i < own->count; i++) {
    close_source(&own->sources[i]);
    loop_timer_free(own->sources[i].timer);
    free(own->sources[i].text);
  }
  http_client_free(own->client);
  free(own->sources);
  free(own);
}

void own_metrics_read(const struct own_metrics *own, int64_t now_ms, struct metric_set *out) {
  for (size_t i = 0; i < own->count; i++) {
    const struct source *source = &own->sources[i];
    if (source->last_ms && now_ms - source->last_ms <= AGE_MOST_INTERVALS * source->settings->interval_ms)
      metric_set_add(out, &source->last);
  }
}
