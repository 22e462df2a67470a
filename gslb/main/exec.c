#include "gslb/main/exec.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
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
#include "gslb/model/domain.h"
#include "gslb/model/roster.h"

#define COMMANDS_AT_ONCE 4
#define COMMANDS_WAITING 64
#define COMMAND_MOST_MS 30000
#define COMMAND_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define NAME_PREFIX "GSLB_"
#define SERVICE_PREFIX "GSLB_SERVICE="
#define READ_MOST 4096
#define READS_MOST 64 /* of what is left when a command ended */

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
  struct command running[COMMANDS_AT_ONCE];
  struct order waiting[COMMANDS_WAITING]; /* a ring */
  size_t first, count;
  uint64_t dropped; /* since the last line about it */
  bool is_stopping;
};

static bool may_pass(const char *entry) {
  size_t prefix = strlen(NAME_PREFIX);
  if (strncmp(entry, NAME_PREFIX, prefix) != 0)
    return false;
  size_t name = strspn(entry, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  return name > prefix && entry[name] == '=';
}

char **exec_environment(const char *text, size_t length) {
  size_t entries = 0;
  for (size_t i = 0; i < length; i++)
    entries += text[i] == '\0';
  /* the pointers, then the strings; what stands after the last NUL is no whole string and is left out */
  size_t pointers = (entries + 2) * sizeof(char *);
  char *block = mem_alloc(pointers + sizeof COMMAND_PATH + length);
  char **environment = (char **)(void *)block;
  char *strings = block + pointers;
  memcpy(strings, COMMAND_PATH, sizeof COMMAND_PATH);
  memcpy(strings + sizeof COMMAND_PATH, text, length);
  size_t count = 0;
  environment[count++] = strings;
  char *entry = strings + sizeof COMMAND_PATH;
  for (size_t i = 0; i < entries; i++, entry += strlen(entry) + 1)
    if (may_pass(entry))
      environment[count++] = entry;
  environment[count] = NULL;
  return environment;
}

const char *const *exec_find_on_empty(const struct config *config, const char *service) {
  size_t found = config_find_service(config, service);
  if (found == SIZE_MAX)
    found = roster_pattern_of(config, service);
  return found == SIZE_MAX ? NULL : config->services[found].on_empty;
}

void exec_line_add(struct exec_line *line, const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    unsigned char byte = (unsigned char)bytes[i];
    if (byte == '\n') {
      if (strspn(line->next, " ?") < line->used)
        memcpy(line->text, line->next, sizeof line->text);
      line->used = 0;
      line->next[0] = '\0';
    } else if (line->used < EXEC_LINE_MOST && byte != '\r') {
      line->next[line->used++] = byte < ' ' || byte == 0x7f ? '?' : (char)byte;
      line->next[line->used] = '\0';
    }
  }
}

const char *exec_line_last(const struct exec_line *line) {
  return strspn(line->next, " ?") < line->used ? line->next : line->text;
}

/* What the command's output goes to: output, or -1 for where ours goes. */
static int spawn(const char *const *arguments, char **environment, int output, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  int failed = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (!failed)
    failed = posix_spawn_file_actions_adddup2(&files, output < 0 ? STDERR_FILENO : output, STDOUT_FILENO);
  if (!failed && output >= 0)
    failed = posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  if (!failed)
    failed = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  if (!failed)
    failed = posix_spawnp(pid, arguments[0], &files, &attributes, (char *const *)arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed;
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
    failed = spawn(arguments, order->environment, pipes[1], &place->pid);
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

/* At most so many reads; closes the pipe at its end. */
static void read_output(struct command *command, int reads) {
  char bytes[READ_MOST];
  while (command->output >= 0 && reads-- > 0) {
    ssize_t got = read(command->output, bytes, sizeof bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (got > 0) {
      exec_line_add(&command->line, bytes, (size_t)got);
      continue;
    }
    close(command->output);
    command->output = -1;
  }
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
  read_output(command, READS_MOST);
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
    if (!command)
      continue;
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

static bool wait_and_hear(struct exec *exec, struct channel_message *message) {
  struct child *child = exec->child;
  struct pollfd ready[3 + COMMANDS_AT_ONCE] = {
      {.fd = child->channel, .events = POLLIN},
      {.fd = exec->signals, .events = POLLIN},
      {.fd = child->exec, .events = POLLIN},
  };
  for (size_t i = 0; i < COMMANDS_AT_ONCE; i++)
    ready[3 + i] = (struct pollfd){.fd = exec->running[i].pid ? exec->running[i].output : -1, .events = POLLIN};
  if (poll(ready, 3 + COMMANDS_AT_ONCE, next_kill_in_ms(exec, mono_now_ms())) < 0)
    return errno == EINTR;
  kill_overdue(exec, mono_now_ms());
  for (size_t i = 0; i < COMMANDS_AT_ONCE; i++)
    if (ready[3 + i].revents)
      read_output(&exec->running[i], 1);
  if (ready[1].revents)
    reap(exec);
  if (ready[0].revents)
    hear_supervisor(exec, message);
  if (ready[2].revents & POLLIN)
    hear_control(exec, message);
  else if (ready[2].revents)
    child->exec = -1; /* its other end went with the supervisor */
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
  int status = exec->is_stopping ? EXIT_SUCCESS : EXIT_FAILURE;
  if (exec->signals >= 0)
    close(exec->signals);
  config_free(child->config);
  free(message);
  free(exec);
  return status;
}
