#include "gslb/main/exec.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define COMMANDS_AT_ONCE 4
#define COMMANDS_WAITING 64
#define COMMAND_MOST_MS 30000
#define COMMAND_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define NAME_PREFIX "GSLB_"

struct command {
  pid_t pid;       /* also its process group; 0: free */
  int64_t kill_ms; /* mono */
  bool is_killed;
};

struct exec {
  struct child *child;
  int signals; /* signalfd of SIGCHLD */
  struct command running[COMMANDS_AT_ONCE];
  char **waiting[COMMANDS_WAITING]; /* a ring of environments */
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

static int spawn(const char *const *arguments, char **environment, pid_t *pid) {
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
    failed = posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
  if (!failed)
    failed = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  if (!failed)
    failed = posix_spawnp(pid, arguments[0], &files, &attributes, (char *const *)arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed;
}

static struct command *find_command(struct exec *exec, pid_t pid) {
  for (size_t i = 0; i < COMMANDS_AT_ONCE; i++)
    if (exec->running[i].pid == pid)
      return &exec->running[i];
  return NULL;
}

static void start_waiting(struct exec *exec) {
  struct command *place;
  while (exec->count > 0 && (place = find_command(exec, 0)) != NULL) {
    char **environment = exec->waiting[exec->first];
    exec->first = (exec->first + 1) % COMMANDS_WAITING;
    exec->count--;
    const char *const *arguments = exec->child->config->server.on_change;
    int failed = arguments ? spawn(arguments, environment, &place->pid) : 0;
    if (failed) {
      place->pid = 0;
      log_error("command %s cannot be run: %s", arguments[0], strerror(failed));
    } else if (arguments) {
      place->kill_ms = mono_now_ms() + COMMAND_MOST_MS;
      place->is_killed = false;
    }
    free(environment);
  }
  if (exec->count < COMMANDS_WAITING && exec->dropped > 0) {
    log_warning("commands are running again; %llu reports were dropped meanwhile", (unsigned long long)exec->dropped);
    exec->dropped = 0;
  }
}

static void queue_command(struct exec *exec, const struct channel_message *message) {
  if (!exec->child->config->server.on_change)
    return;
  if (exec->count == COMMANDS_WAITING) {
    if (exec->dropped++ == 0)
      log_warning("%d commands run and %d wait: further reports are dropped", COMMANDS_AT_ONCE, COMMANDS_WAITING);
    return;
  }
  exec->waiting[(exec->first + exec->count++) % COMMANDS_WAITING] = exec_environment(message->text, message->length);
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
    command->pid = 0;
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
  for (size_t i = 0; i < COMMANDS_AT_ONCE; i++)
    if (exec->running[i].pid) {
      kill(-exec->running[i].pid, SIGKILL);
      log_warning("command (pid %d) ended by force: gslbd stops", (int)exec->running[i].pid);
    }
  if (exec->count > 0)
    log_warning("%zu commands that waited are not run: gslbd stops", exec->count);
  for (; exec->count > 0; exec->count--) {
    free(exec->waiting[exec->first]);
    exec->first = (exec->first + 1) % COMMANDS_WAITING;
  }
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
    struct pollfd ready[] = {
        {.fd = child->channel, .events = POLLIN},
        {.fd = exec->signals, .events = POLLIN},
        {.fd = child->exec, .events = POLLIN},
    };
    if (poll(ready, 3, next_kill_in_ms(exec, mono_now_ms())) < 0 && errno != EINTR)
      break;
    kill_overdue(exec, mono_now_ms());
    if (ready[1].revents)
      reap(exec);
    if (ready[0].revents)
      hear_supervisor(exec, message);
    if (ready[2].revents & POLLIN)
      hear_control(exec, message);
    else if (ready[2].revents)
      child->exec = -1; /* its other end went with the supervisor */
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
