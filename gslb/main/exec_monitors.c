#include "gslb/main/exec_monitors.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/main/exec_command.h"

struct errand { /* a command that waits or runs */
  uint64_t id;
  char **arguments; /* a copy, one block: a reload may come while it waits */
  char **environment;
  int64_t until_ms; /* mono */
  int64_t timeout_ms;
  pid_t pid; /* also its process group; 0: it waits */
  bool is_killed;
  int output; /* -1: closed */
  struct exec_line line;
  TAILQ_ENTRY(errand) entry; /* while it waits */
};

struct exec_monitors {
  int channel;
  struct errand *running[EXEC_MONITORS_AT_ONCE]; /* NULL: free */
  TAILQ_HEAD(, errand) waiting;
  size_t waiting_count;
  struct channel_message *message;
};

struct exec_monitors *exec_monitors_new(int channel) {
  struct exec_monitors *monitors = mem_alloc(sizeof *monitors);
  monitors->channel = channel;
  monitors->message = mem_alloc(sizeof *monitors->message);
  TAILQ_INIT(&monitors->waiting);
  return monitors;
}

static void errand_free(struct errand *errand) {
  if (errand->output >= 0)
    close(errand->output);
  free(errand->arguments);
  free(errand->environment);
  free(errand);
}

void exec_monitors_free(struct exec_monitors *monitors) {
  if (!monitors)
    return;
  for (size_t i = 0; i < EXEC_MONITORS_AT_ONCE; i++) {
    if (!monitors->running[i])
      continue;
    kill(-monitors->running[i]->pid, SIGKILL);
    errand_free(monitors->running[i]);
  }
  struct errand *errand;
  while ((errand = TAILQ_FIRST(&monitors->waiting))) {
    TAILQ_REMOVE(&monitors->waiting, errand, entry);
    errand_free(errand);
  }
  free(monitors->message);
  free(monitors);
}

static void tell(struct exec_monitors *monitors, uint64_t id, enum status status, const char *line, const char *format,
                 ...) __attribute__((format(printf, 5, 6)));

static void tell(struct exec_monitors *monitors, uint64_t id, enum status status, const char *line, const char *format,
                 ...) {
  struct channel_message *message = monitors->message;
  va_list values;
  *message = (struct channel_message){.kind = CHANNEL_RAN, .status = status, .generation = id};
  va_start(values, format);
  size_t used = (size_t)vsnprintf(message->text, 256, format, values) + 1;
  va_end(values);
  used = used > 256 ? 256 : used;
  size_t length = strlen(line);
  memcpy(message->text + used, line, length);
  message->length = used + length;
  /* a probe process that does not listen knows by its own timer that nothing came */
  if (channel_send(monitors->channel, message) != STATUS_OK)
    log_debug("probe cannot be told of the end of a command");
}

static char **copy_arguments(const char *const *arguments) {
  size_t count = 0, size = 0;
  for (; arguments[count]; count++)
    size += strlen(arguments[count]) + 1;
  char **block = mem_alloc((count + 1) * sizeof *block + size);
  char *text = (char *)(block + count + 1);
  for (size_t i = 0; i < count; i++) {
    size_t length = strlen(arguments[i]) + 1;
    block[i] = memcpy(text, arguments[i], length);
    text += length;
  }
  return block;
}

/* Whether it runs now; else it was told why not. */
static bool start(struct exec_monitors *monitors, struct errand *errand) {
  int pipes[2];
  int failed = pipe2(pipes, O_CLOEXEC) == 0 ? 0 : errno;
  if (!failed) {
    failed = exec_spawn((const char *const *)errand->arguments, errand->environment, pipes[1], &errand->pid);
    close(pipes[1]);
    if (failed)
      close(pipes[0]);
  }
  if (failed) {
    tell(monitors, errand->id, STATUS_IO, "", "%.150s cannot be run: %s", errand->arguments[0], strerror(failed));
    errand->pid = 0;
    return false;
  }
  fcntl(pipes[0], F_SETFL, O_NONBLOCK);
  errand->output = pipes[0];
  return true;
}

static size_t find_place(const struct exec_monitors *monitors) {
  size_t place = 0;
  while (place < EXEC_MONITORS_AT_ONCE && monitors->running[place])
    place++;
  return place;
}

static void start_waiting(struct exec_monitors *monitors, int64_t now_ms) {
  struct errand *errand;
  while ((errand = TAILQ_FIRST(&monitors->waiting))) {
    size_t place = find_place(monitors);
    bool is_over = errand->until_ms <= now_ms;
    if (!is_over && place == EXEC_MONITORS_AT_ONCE)
      return;
    TAILQ_REMOVE(&monitors->waiting, errand, entry);
    monitors->waiting_count--;
    if (is_over)
      tell(monitors, errand->id, STATUS_LIMIT, "", "not run: %d other commands ran all the time",
           EXEC_MONITORS_AT_ONCE);
    if (!is_over && start(monitors, errand))
      monitors->running[place] = errand;
    else
      errand_free(errand);
  }
}

static const struct config_monitor *find_monitor(const struct config *config, const char *name) {
  for (size_t i = 0; i < config->monitor_count; i++)
    if (config->monitors[i].type == MONITOR_EXEC && strcmp(config->monitors[i].name, name) == 0)
      return &config->monitors[i];
  return NULL;
}

void exec_monitors_run(struct exec_monitors *monitors, const struct config *config,
                       const struct channel_message *message) {
  size_t name = strnlen(message->text, message->length);
  const struct config_monitor *monitor = name < message->length ? find_monitor(config, message->text) : NULL;
  if (!monitor) {
    tell(monitors, message->generation, STATUS_NOTFOUND, "", "no such monitor");
    return;
  }
  if (monitors->waiting_count == EXEC_MONITORS_WAITING) {
    tell(monitors, message->generation, STATUS_LIMIT, "", "not run: too many commands wait");
    return;
  }
  int64_t now_ms = mono_now_ms();
  struct errand *errand = mem_alloc(sizeof *errand);
  errand->id = message->generation;
  errand->arguments = copy_arguments(monitor->command);
  errand->environment = exec_environment(message->text + name + 1, message->length - name - 1);
  errand->timeout_ms = monitor->timeout_ms;
  errand->until_ms = now_ms + monitor->timeout_ms;
  errand->output = -1;
  TAILQ_INSERT_TAIL(&monitors->waiting, errand, entry);
  monitors->waiting_count++;
  start_waiting(monitors, now_ms);
}

void exec_monitors_watch(const struct exec_monitors *monitors, struct pollfd ready[EXEC_MONITORS_AT_ONCE]) {
  for (size_t i = 0; i < EXEC_MONITORS_AT_ONCE; i++)
    ready[i] = (struct pollfd){.fd = monitors->running[i] ? monitors->running[i]->output : -1, .events = POLLIN};
}

void exec_monitors_ready(struct exec_monitors *monitors, const struct pollfd ready[EXEC_MONITORS_AT_ONCE],
                         int64_t now_ms) {
  for (size_t i = 0; i < EXEC_MONITORS_AT_ONCE; i++) {
    struct errand *errand = monitors->running[i];
    if (!errand)
      continue;
    if (ready[i].revents)
      exec_read(&errand->output, &errand->line, 1);
    if (!errand->is_killed && errand->until_ms <= now_ms) {
      kill(-errand->pid, SIGKILL);
      errand->is_killed = true;
    }
  }
  start_waiting(monitors, now_ms);
}

int exec_monitors_due_ms(const struct exec_monitors *monitors, int64_t now_ms) {
  int64_t least_ms = INT64_MAX;
  const struct errand *first = TAILQ_FIRST(&monitors->waiting);
  if (first)
    least_ms = first->until_ms;
  for (size_t i = 0; i < EXEC_MONITORS_AT_ONCE; i++) {
    const struct errand *errand = monitors->running[i];
    if (errand && !errand->is_killed && errand->until_ms < least_ms)
      least_ms = errand->until_ms;
  }
  if (least_ms == INT64_MAX)
    return -1;
  return least_ms > now_ms ? (int)(least_ms - now_ms) : 0;
}

static void tell_end(struct exec_monitors *monitors, const struct errand *errand, int status) {
  const char *line = exec_line_last(&errand->line);
  if (errand->is_killed)
    tell(monitors, errand->id, STATUS_TIMEOUT, line, "killed after %lld ms", (long long)errand->timeout_ms);
  else if (WIFSIGNALED(status))
    tell(monitors, errand->id, STATUS_INVALID, line, "ended by signal %d", WTERMSIG(status));
  else
    tell(monitors, errand->id, WEXITSTATUS(status) ? STATUS_INVALID : STATUS_OK, line, "exit status %d",
         WEXITSTATUS(status));
}

void exec_monitors_reaped(struct exec_monitors *monitors, pid_t pid, int status) {
  for (size_t i = 0; i < EXEC_MONITORS_AT_ONCE; i++) {
    struct errand *errand = monitors->running[i];
    if (!errand || errand->pid != pid)
      continue;
    /* what it left running in the background goes with it: the group is the command's */
    kill(-errand->pid, SIGKILL);
    exec_read(&errand->output, &errand->line, EXEC_READS_MOST);
    tell_end(monitors, errand, status);
    monitors->running[i] = NULL;
    errand_free(errand);
    start_waiting(monitors, mono_now_ms());
    return;
  }
}
