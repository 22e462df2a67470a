#include "gslb/main/exec.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/main/exec_command.h"
#include "gslb/main/exec_monitors.h"
#include "gslb/model/domain.h"
#include "gslb/model/roster.h"

#define COMMANDS_AT_ONCE 4
#define COMMANDS_WAITING 64
#define COMMAND_MOST_MS 30000
#define SERVICE_PREFIX "GSLB_SERVICE="

enum hook { HOOK_ON_CHANGE, HOOK_ON_EMPTY };

struct order { /* a command that waits or runs */
  enum hook hook;
  char **environment;
};

struct command {
  pid_t pid; /* also its process group; 0: free */
  struct order order;
  int64_t kill_ms; /* mono */
  bool is_killed;
  int output; /* on_empty: the end of the pipe that is read; -1 otherwise, and when the command closed its end */
  struct exec_line line;
};

struct exec {
  struct child *child;
  int signals; /* signalfd of SIGCHLD */
  struct exec_monitors *monitors;
  struct command running[COMMANDS_AT_ONCE];
  struct order waiting[COMMANDS_WAITING]; /* a ring */
  size_t first, count;
  uint64_t dropped; /* since the last line about it */
  bool is_stopping;
};

const char *const *exec_find_on_empty(const struct config *config, const char *service) {
  size_t found = config_find_service(config, service);
  if (found == SIZE_MAX)
    found = roster_pattern_of(config, service);
  return found == SIZE_MAX ? NULL : config->services[found].on_empty;
}

static const char *service_of(const struct order *order) {
  for (char **entry = order->environment; *entry; entry++)
    if (strncmp(*entry, SERVICE_PREFIX, strlen(SERVICE_PREFIX)) == 0)
      return *entry + strlen(SERVICE_PREFIX);
  return "";
}

static void tell_result(struct exec *exec, const struct order *order, enum status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Control waits for the end of an on_empty command, however it comes. */
static void tell_result(struct exec *exec, const struct order *order, enum status status, const char *format, ...) {
  if (order->hook != HOOK_ON_EMPTY || exec->child->exec < 0)
    return;
  struct channel_message *message = mem_alloc(sizeof *message);
  *message = (struct channel_message){.kind = CHANNEL_RESULT, .status = status};
  const char *service = service_of(order);
  size_t used = strnlen(service, DOMAIN_TEXT_MOST) + 1;
  memcpy(message->text, service, used - 1);
  va_list values;
  va_start(values, format);
  used += (size_t)vsnprintf(message->text + used, sizeof message->text - used, format, values);
  va_end(values);
  message->length = used;
  if (channel_send(exec->child->exec, message) != STATUS_OK)
    log_warning("control cannot be told of the end of on_empty for %s: %s", service,
                message->text + strlen(message->text) + 1);
  free(message);
}

static struct command *find_command(struct exec *exec, pid_t pid) {
  for (size_t i = 0; i < COMMANDS_AT_ONCE; i++)
    if (exec->running[i].pid == pid)
      return &exec->running[i];
  return NULL;
}

static const char *const *arguments_of(const struct exec *exec, const struct order *order) {
  const struct config *config = exec->child->config;
  return order->hook == HOOK_ON_CHANGE ? config->server.on_change : exec_find_on_empty(config, service_of(order));
}

static void start_order(struct exec *exec, const struct order *order, struct command *place) {
  const char *const *arguments = arguments_of(exec, order);
  int pipes[2] = {-1, -1};
  if (!arguments) { /* a reload took the command away */
    tell_result(exec, order, STATUS_NOTFOUND, "no command is configured");
    free(order->environment);
    return;
  }
  int failed = 0;
  if (order->hook == HOOK_ON_EMPTY && pipe2(pipes, O_CLOEXEC) != 0)
    failed = errno;
  if (!failed)
    failed = exec_spawn(arguments, order->environment, pipes[1], &place->pid);
  if (pipes[1] >= 0)
    close(pipes[1]);
  if (failed) {
    log_error("command %s cannot be run: %s", arguments[0], strerror(failed));
    tell_result(exec, order, STATUS_IO, "cannot be run: %s", strerror(failed));
    if (pipes[0] >= 0)
      close(pipes[0]);
    free(order->environment);
    place->pid = 0;
    return;
  }
  if (pipes[0] >= 0)
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
  *place = (struct command){.pid = place->pid,
                            .order = *order,
                            .kill_ms = mono_now_ms() + COMMAND_MOST_MS,
                            .output = pipes[0]};
}

static void start_waiting(struct exec *exec) {
  struct command *place;
  while (exec->count > 0 && (place = find_command(exec, 0)) != NULL) {
    struct order order = exec->waiting[exec->first];
    exec->first = (exec->first + 1) % COMMANDS_WAITING;
    exec->count--;
    start_order(exec, &order, place);
  }
  if (exec->count < COMMANDS_WAITING && exec->dropped > 0) {
    log_warning("commands are running again; %llu reports were dropped meanwhile", (unsigned long long)exec->dropped);
    exec->dropped = 0;
  }
}

static bool read_order(const struct channel_message *message, struct order *out) {
  size_t name = strnlen(message->text, message->length);
  if (name == message->length)
    return false;
  if (strcmp(message->text, "on_change") == 0)
    out->hook = HOOK_ON_CHANGE;
  else if (strcmp(message->text, "on_empty") == 0)
    out->hook = HOOK_ON_EMPTY;
  else
    return false;
  out->environment = exec_environment(message->text + name + 1, message->length - name - 1);
  return true;
}

static void queue_command(struct exec *exec, const struct channel_message *message) {
  struct order order;
  if (!read_order(message, &order)) {
    log_warning("control asks for a command that is not known");
    return;
  }
  if (order.hook == HOOK_ON_CHANGE && !exec->child->config->server.on_change) {
    free(order.environment);
    return;
  }
  if (exec->count == COMMANDS_WAITING) {
    if (exec->dropped++ == 0)
      log_warning("%d commands run and %d wait: further reports are dropped", COMMANDS_AT_ONCE, COMMANDS_WAITING);
    tell_result(exec, &order, STATUS_LIMIT, "not run: too many commands wait");
    free(order.environment);
    return;
  }
  exec->waiting[(exec->first + exec->count++) % COMMANDS_WAITING] = order;
}

static void tell_end(struct exec *exec, const struct command *command, int status) {
  const char *line = exec_line_last(&command->line), *between = line[0] ? ": " : "";
  if (command->is_killed)
    tell_result(exec, &command->order, STATUS_TIMEOUT, "ended after %d s%s%s", COMMAND_MOST_MS / 1000, between, line);
  else if (WIFSIGNALED(status))
    tell_result(exec, &command->order, STATUS_IO, "ended by signal %d%s%s", WTERMSIG(status), between, line);
  else
    tell_result(exec, &command->order, WEXITSTATUS(status) ? STATUS_IO : STATUS_OK, "exit status %d%s%s",
                WEXITSTATUS(status), between, line);
}

/* What a command left running in the background may hold its pipe open: the rest is not waited for. */
static void end_command(struct exec *exec, struct command *command, int status) {
  exec_read(&command->output, &command->line, EXEC_READS_MOST);
  tell_end(exec, command, status);
  if (command->output >= 0)
    close(command->output);
  free(command->order.environment);
  command->output = -1;
  command->pid = 0;
}

static void reap(struct exec *exec) {
  struct signalfd_siginfo info;
  while (read(exec->signals, &info, sizeof info) > 0)
    continue;
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    struct command *command = find_command(exec, pid);
    if (!command) {
      exec_monitors_reaped(exec->monitors, pid, status);
      continue;
    }
    if (WIFSIGNALED(status))
      log_warning("command (pid %d) ended by signal %d%s", (int)pid, WTERMSIG(status),
                  command->is_killed ? ", its time was over" : "");
    else if (WEXITSTATUS(status) != 0)
      log_warning("command (pid %d) ended with status %d", (int)pid, WEXITSTATUS(status));
    else
      log_info("command (pid %d) ended with status 0", (int)pid);
    end_command(exec, command, status);
  }
}

static void kill_overdue(struct exec *exec, int64_t now_ms) {
  for (size_t i = 0; i < COMMANDS_AT_ONCE; i++) {
    struct command *command = &exec->running[i];
    if (command->pid && !command->is_killed && command->kill_ms <= now_ms) {
      kill(-command->pid, SIGKILL);
      command->is_killed = true;
    }
  }
}

static int next_kill_in_ms(const struct exec *exec, int64_t now_ms) {
  int64_t least = -1;
  for (size_t i = 0; i < COMMANDS_AT_ONCE; i++) {
    const struct command *command = &exec->running[i];
    if (!command->pid || command->is_killed)
      continue;
    int64_t left = command->kill_ms > now_ms ? command->kill_ms - now_ms : 0;
    if (least < 0 || left < least)
      least = left;
  }
  return (int)least;
}

static void take_config(struct exec *exec, const struct channel_message *message) {
  struct child *child = exec->child;
  struct config *config;
  struct errbuf err;
  if (child_parse_config(message, &config, &err) != STATUS_OK) {
    log_error("new configuration not taken: %s", err.text);
    return; /* the supervisor restarts who does not answer */
  }
  config_free(child->config);
  child->config = config;
  child->generation = message->generation;
  child_set_log(config, BOARD_EXEC);
  child_say(child, CHANNEL_TAKEN);
}

static void close_fds(const struct channel_message *message) {
  for (size_t i = 0; i < message->fd_count; i++)
    close(message->fds[i]);
}

static void hear_supervisor(struct exec *exec, struct channel_message *message) {
  enum status status = channel_receive(exec->child->channel, message);
  if (status == STATUS_NODATA || status == STATUS_IO) {
    exec->is_stopping = true;
    return;
  }
  if (status != STATUS_OK)
    return;
  if (message->kind == CHANNEL_STOP)
    exec->is_stopping = true;
  else if (message->kind == CHANNEL_CONFIG)
    take_config(exec, message);
  close_fds(message);
}

static void hear_control(struct exec *exec, struct channel_message *message) {
  if (channel_receive(exec->child->exec, message) != STATUS_OK)
    return;
  if (message->kind == CHANNEL_COMMAND)
    queue_command(exec, message);
  close_fds(message);
}

static void hear_probe(struct exec *exec, struct channel_message *message) {
  if (channel_receive(exec->child->commands, message) != STATUS_OK)
    return;
  if (message->kind == CHANNEL_RUN)
    exec_monitors_run(exec->monitors, exec->child->config, message);
  close_fds(message);
}

static void end_all(struct exec *exec) {
  for (size_t i = 0; i < COMMANDS_AT_ONCE; i++) {
    struct command *command = &exec->running[i];
    if (!command->pid)
      continue;
    kill(-command->pid, SIGKILL);
    log_warning("command (pid %d) ended by force: gslbd stops", (int)command->pid);
    if (command->output >= 0)
      close(command->output);
    free(command->order.environment);
  }
  if (exec->count > 0)
    log_warning("%zu commands that waited are not run: gslbd stops", exec->count);
  for (; exec->count > 0; exec->count--) {
    free(exec->waiting[exec->first].environment);
    exec->first = (exec->first + 1) % COMMANDS_WAITING;
  }
}

enum { READY_SUPERVISOR, READY_SIGNALS, READY_CONTROL, READY_PROBE, READY_COMMANDS };
#define READY_MONITORS (READY_COMMANDS + COMMANDS_AT_ONCE)
#define READY_COUNT (READY_MONITORS + EXEC_MONITORS_AT_ONCE)

static int sooner_ms(int a, int b) {
  if (a < 0 || b < 0)
    return a < 0 ? b : a;
  return a < b ? a : b;
}

static void hear_all(struct exec *exec, const struct pollfd ready[READY_COUNT], struct channel_message *message) {
  struct child *child = exec->child;
  if (ready[READY_SIGNALS].revents)
    reap(exec);
  if (ready[READY_SUPERVISOR].revents)
    hear_supervisor(exec, message);
  if (ready[READY_CONTROL].revents & POLLIN)
    hear_control(exec, message);
  else if (ready[READY_CONTROL].revents)
    child->exec = -1; /* its other end went with the supervisor */
  if (ready[READY_PROBE].revents & POLLIN)
    hear_probe(exec, message);
  else if (ready[READY_PROBE].revents)
    child->commands = -1;
}

static bool wait_and_hear(struct exec *exec, struct channel_message *message) {
  struct child *child = exec->child;
  struct pollfd ready[READY_COUNT] = {
      [READY_SUPERVISOR] = {.fd = child->channel, .events = POLLIN},
      [READY_SIGNALS] = {.fd = exec->signals, .events = POLLIN},
      [READY_CONTROL] = {.fd = child->exec, .events = POLLIN},
      [READY_PROBE] = {.fd = child->commands, .events = POLLIN},
  };
  for (size_t i = 0; i < COMMANDS_AT_ONCE; i++)
    ready[READY_COMMANDS + i] =
        (struct pollfd){.fd = exec->running[i].pid ? exec->running[i].output : -1, .events = POLLIN};
  exec_monitors_watch(exec->monitors, ready + READY_MONITORS);
  int64_t now_ms = mono_now_ms();
  int wait_ms = sooner_ms(next_kill_in_ms(exec, now_ms), exec_monitors_due_ms(exec->monitors, now_ms));
  if (poll(ready, READY_COUNT, wait_ms) < 0)
    return errno == EINTR;
  kill_overdue(exec, mono_now_ms());
  for (size_t i = 0; i < COMMANDS_AT_ONCE; i++)
    if (ready[READY_COMMANDS + i].revents)
      exec_read(&exec->running[i].output, &exec->running[i].line, 1);
  exec_monitors_ready(exec->monitors, ready + READY_MONITORS, mono_now_ms());
  hear_all(exec, ready, message);
  return true;
}

int exec_run(struct child *child) {
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  sigprocmask(SIG_BLOCK, &ended, NULL);
  struct exec *exec = mem_alloc(sizeof *exec);
  struct channel_message *message = mem_alloc(sizeof *message);
  exec->child = child;
  exec->monitors = exec_monitors_new(child->commands);
  exec->signals = signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK);
  if (exec->signals < 0)
    log_error("signalfd: %s", strerror(errno));
  else
    child_say(child, CHANNEL_READY);
  while (exec->signals >= 0 && !exec->is_stopping) {
    start_waiting(exec);
    if (!wait_and_hear(exec, message))
      break;
  }
  end_all(exec);
  exec_monitors_free(exec->monitors);
  int status = exec->is_stopping ? EXIT_SUCCESS : EXIT_FAILURE;
  if (exec->signals >= 0)
    close(exec->signals);
  config_free(child->config);
  free(message);
  free(exec);
  return status;
}
