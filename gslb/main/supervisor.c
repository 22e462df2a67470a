#include "gslb/main/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/main/stores.h"
#include "gslb/main/supervisor_private.h"
#include "gslb/main/takeover.h"

#define LOOK_EVERY_MS 1000
#define DNS_START_MOST_MS 60000
#define READY_WITHOUT_CONTROL_MS 20000
#define SILENT_CHILD_MOST_MS 5000
#define ANSWER_MORE_MS 1000 /* while control takes back what it published; its disk may take longer */

static const enum sandbox_role sandboxes[BOARD_PROCESSES] = {
    [BOARD_DNS] = SANDBOX_DNS,
    [BOARD_PROBE] = SANDBOX_PROBE,
    [BOARD_CONTROL] = SANDBOX_CONTROL,
    [BOARD_EXEC] = SANDBOX_NONE,
};

static void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static int watch_signals(void) {
  signal(SIGPIPE, SIG_IGN);
  sigset_t watched;
  sigemptyset(&watched);
  static const int numbers[] = {SIGHUP, SIGTERM, SIGINT, SIGCHLD};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    sigaddset(&watched, numbers[i]);
  sigprocmask(SIG_BLOCK, &watched, NULL);
  return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool is_told_to_end(int signals) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
      return true;
  return false;
}

enum start { START_DONE, START_FAILED, START_CALLED_OFF };

static enum start compile_first(struct supervisor *supervisor, const struct config *first) {
  struct compiler compiler = COMPILER_NONE;
  struct errbuf err = {0};
  const struct reload reload = {.path = supervisor->path,
                                .who = &supervisor->identity,
                                .config = first,
                                .running = &supervisor->current};
  if (reload_start(&compiler, &reload, &err) != STATUS_OK) {
    log_error("%s", err.text);
    return START_FAILED;
  }
  supervisor->compiler_pid = compiler.pid;
  struct pollfd ready[] = {{.fd = compiler.channel, .events = POLLIN}, {.fd = supervisor->signals, .events = POLLIN}};
  while (!ready[0].revents && mono_now_ms() < compiler.until_ms) {
    if (poll(ready, 2, 1000) > 0 && ready[1].revents && is_told_to_end(supervisor->signals)) {
      reload_cancel(&compiler);
      return START_CALLED_OFF;
    }
  }
  char *problems = NULL;
  if (reload_finish(&compiler, supervisor->path, &supervisor->current, &problems) != STATUS_OK) {
    fputs(problems, stderr);
    free(problems);
    if (supervisor->identity.changes)
      fprintf(stderr, "(read as user %s)\n", supervisor->identity.name);
    return START_FAILED;
  }
  if (reload_check(first, supervisor->current.config, &err) != STATUS_OK) {
    log_error("%s changed while gslbd started: %s", supervisor->path, err.text);
    return START_FAILED;
  }
  return START_DONE;
}

static enum status open_all(struct supervisor *supervisor, struct errbuf *err) {
  int board_fd;
  enum status status = board_create(&supervisor->board, &supervisor->bell, &board_fd, err);
  if (status != STATUS_OK)
    return status;
  supervisor->board->house_offset_ms = supervisor->house.offset_ms;
  atomic_store(&supervisor->board->gauges[BOARD_CHECKPOINT_MS], supervisor->checkpoint_ms);
  struct board_process_row *row = &supervisor->board->processes[BOARD_SUPERVISOR];
  atomic_store(&row->pid, (int32_t)getpid());
  atomic_store(&row->started_ms, house_now_ms(&supervisor->house));
  status = sockets_open(supervisor->current.config, supervisor->identity.uid, supervisor->identity.gid, NULL,
                        &supervisor->sockets, err);
  if (status == STATUS_OK) {
    sockets_tune(&supervisor->sockets, &supervisor->current.config->server);
    status = channel_pair(supervisor->to_exec, err);
  }
  if (status == STATUS_OK)
    status = channel_pair(supervisor->to_control, err);
  if (status == STATUS_OK)
    status = channel_pair(supervisor->to_commands, err);
  if (status == STATUS_OK)
    sockets_open_ping(supervisor->identity.gid, supervisor->ping);
  if (status == STATUS_OK)
    status = privileges_keep_network(&supervisor->identity, err);
  return status;
}

static enum start start_with(struct supervisor *supervisor, const struct config *first) {
  struct errbuf err = {0};
  if (privileges_find(first->server.user, &supervisor->identity, &err) != STATUS_OK) {
    log_error("%s", err.text);
    return START_FAILED;
  }
  if (supervisor->identity.uid == 0 && !first->server.user)
    log_warning("runs as root, without its capabilities: server.user is not set and there is no user gslb");
  struct stores_found found = {0};
  if (stores_prepare(first, &supervisor->identity, &found, &err) != STATUS_OK)
    log_warning("%s; names are answered from the configuration alone", err.text);
  supervisor->house = house_start(found.newest_ms);
  supervisor->checkpoint_ms = found.checkpoint_ms;
  enum start outcome = compile_first(supervisor, first);
  if (outcome != START_DONE)
    return outcome;
  if (open_all(supervisor, &err) != STATUS_OK) {
    log_error("%s", err.text);
    return START_FAILED;
  }
  return START_DONE;
}

static enum start start(struct supervisor *supervisor) {
  struct problems problems = {0};
  struct config *first = config_load(supervisor->path, &problems);
  if (!first) {
    problems_sort(&problems);
    char *text = problems_format(&problems);
    fputs(text, stderr);
    free(text);
    problems_release(&problems);
    return START_FAILED;
  }
  child_set_log(first, BOARD_SUPERVISOR);
  raise_file_limit();
  supervisor->signals = watch_signals();
  enum start outcome = START_FAILED;
  if (supervisor->signals < 0)
    log_error("signalfd: %s", strerror(errno));
  else
    outcome = start_with(supervisor, first);
  config_free(first);
  return outcome;
}

static int reopen(int fd) {
  /* a file description of its own, read-only, for a child that outlives this one's use */
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int own = open(path, O_RDONLY | O_CLOEXEC);
  return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void start_process(struct supervisor *supervisor, struct process *process, int64_t now_ms) {
  enum board_process role = process->role;
  struct launch launch = {
      .main = supervisor->mains[role],
      .sandbox = sandboxes[role],
      .identity = &supervisor->identity,
      .child =
          {
              .config = supervisor->current.config,
              .generation = supervisor->generation,
              .board = supervisor->board,
              .bell = supervisor->bell,
              .house = supervisor->house,
              .image = role == BOARD_DNS || role == BOARD_CONTROL ? reopen(supervisor->current.image) : -1,
              .text = role == BOARD_CONTROL ? reopen(supervisor->current.text) : -1,
              .udp = role == BOARD_DNS ? supervisor->sockets.udp : NULL,
              .tcp = role == BOARD_DNS ? supervisor->sockets.tcp : NULL,
              .http_tcp = role == BOARD_CONTROL ? supervisor->sockets.http_tcp : -1,
              .http_unix = role == BOARD_CONTROL ? supervisor->sockets.http_unix : -1,
              .notified = role == BOARD_DNS       ? supervisor->to_control[0]
                          : role == BOARD_CONTROL ? supervisor->to_control[1]
                                                  : -1,
              .exec = role == BOARD_CONTROL ? supervisor->to_exec[0]
                      : role == BOARD_EXEC  ? supervisor->to_exec[1]
                                            : -1,
              .commands = role == BOARD_PROBE  ? supervisor->to_commands[0]
                          : role == BOARD_EXEC ? supervisor->to_commands[1]
                                               : -1,
              .trap = role == BOARD_PROBE ? supervisor->sockets.trap : -1,
              .ping = {role == BOARD_PROBE ? supervisor->ping[0] : -1, role == BOARD_PROBE ? supervisor->ping[1] : -1},
          },
  };
  bool is_restart = process->deaths > 0;
  process_start(process, &launch, now_ms);
  if (launch.child.image >= 0)
    close(launch.child.image);
  if (launch.child.text >= 0)
    close(launch.child.text);
  if (process->state == PROCESS_ABSENT)
    return;
  struct board_process_row *row = &supervisor->board->processes[role];
  atomic_store(&row->pid, (int32_t)process->pid);
  atomic_store(&row->started_ms, house_now_ms(&supervisor->house));
  if (is_restart)
    atomic_fetch_add(&row->restarts, 1);
  if (role == BOARD_DNS)
    watch_reset(&supervisor->watch);
  log_debug("%s started (pid %d)", board_process_name(role), (int)process->pid);
}

static void start_due(struct supervisor *supervisor, int64_t now_ms) {
  for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++) {
    struct process *process = &supervisor->processes[i];
    bool may_start = !supervisor->is_stopping && !(supervisor->is_leaving && i == BOARD_CONTROL);
    if (process->state == PROCESS_ABSENT && process->due_ms <= now_ms && may_start)
      start_process(supervisor, process, now_ms);
  }
}

static void reap_all(struct supervisor *supervisor, int64_t now_ms) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == supervisor->compiler_pid) {
      supervisor->compiler_pid = 0;
      if (WIFSIGNALED(status))
        log_error("the compiler (pid %d) died with signal %d (%s)", (int)pid, WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
      continue;
    }
    for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++) {
      if (supervisor->processes[i].pid != pid)
        continue;
      process_reaped(&supervisor->processes[i], status, now_ms);
      atomic_store(&supervisor->board->processes[i].pid, 0);
      if (i == BOARD_CONTROL)
        takeover_forget_askers(supervisor);
    }
  }
}

static const char *fault(const struct process *process, int64_t now_ms) {
  if (process->taking_until_ms <= now_ms)
    return "does not take the new configuration";
  if (process_is_overdue(process, now_ms))
    return process->state == PROCESS_STOPPING ? "does not stop" : "does not end";
  if (process->role == BOARD_DNS && process->state == PROCESS_STARTING &&
      now_ms - process->started_ms >= DNS_START_MOST_MS)
    return "does not begin to serve";
  return NULL;
}

/* Nothing that was acknowledged is lost with it; all that it still holds is in the way of the next start. */
static void leave_behind(struct supervisor *supervisor, struct process *process, int64_t now_ms) {
  log_error("%s (pid %d) was killed and is not gone: it waits for its disk, and is left behind",
            board_process_name(process->role), (int)process->pid);
  if (process->role == BOARD_CONTROL && supervisor->sockets.http_tcp >= 0)
    shutdown(supervisor->sockets.http_tcp, SHUT_RDWR);
  process_abandon(process, now_ms);
}

static void end_overdue(struct supervisor *supervisor, int64_t now_ms) {
  for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++) {
    struct process *process = &supervisor->processes[i];
    const char *why = fault(process, now_ms);
    if (!why)
      continue;
    if (process->is_killed) {
      if (supervisor->is_stopping)
        leave_behind(supervisor, process, now_ms);
      else
        process_await(process); /* two at once would be in each other's way */
      continue;
    }
    log_error("%s (pid %d) %s: ended by force", board_process_name(process->role), (int)process->pid, why);
    process_kill(process, now_ms);
  }
}

static void look_at_workers(struct supervisor *supervisor, int64_t now_ms) {
  if (now_ms < supervisor->look_ms)
    return;
  supervisor->look_ms = now_ms + LOOK_EVERY_MS;
  struct process *dns = &supervisor->processes[BOARD_DNS];
  if (dns->state != PROCESS_SERVING)
    return;
  const struct sockets *sockets = &supervisor->sockets;
  bool is_waiting[BOARD_WORKERS_MOST];
  size_t workers = watch_sockets(sockets->udp, sockets->tcp, sockets->worker_count, sockets->listen_count, is_waiting);
  size_t still = watch_look(&supervisor->watch, supervisor->board, is_waiting, workers);
  if (still == WATCH_ALL_MOVE)
    return;
  log_error("dns (pid %d): worker %zu stands still while queries wait for it: ended by force", (int)dns->pid, still);
  process_abort(dns, now_ms);
}

static void announce(struct supervisor *supervisor, bool has_control) {
  const struct config *config = supervisor->current.config;
  char text[2048] = "", address[ADDR_TEXT_SIZE];
  size_t used = 0;
  for (size_t i = 0; i < config->server.listen_count && used < sizeof text; i++)
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "",
                             addr_format_port(&config->server.listen[i], address));
  supervisor->is_ready = true;
  log_info("ready: names at %s; control at %s%s%s%s", text, config->control.socket,
           config->control.has_listen ? ", " : "",
           config->control.has_listen ? addr_format_port(&config->control.listen, address) : "",
           has_control ? "" : " (not yet there)");
  sd_notifyf(0, "READY=1\nSTATUS=serving generation %llu%s", (unsigned long long)supervisor->generation,
             has_control ? "" : " without control");
}

static void announce_if_ready(struct supervisor *supervisor, int64_t now_ms) {
  if (supervisor->is_ready || supervisor->is_stopping || supervisor->processes[BOARD_DNS].state != PROCESS_SERVING)
    return;
  bool has_control = supervisor->processes[BOARD_CONTROL].state == PROCESS_SERVING;
  /* answering names must not wait for the rest of the house */
  if (has_control || now_ms - supervisor->began_ms >= READY_WITHOUT_CONTROL_MS)
    announce(supervisor, has_control);
}

/* What one child has for another that it has no channel to. A message that the other has no room for, or nobody is
 * there to take, is dropped: both kinds can be sent again. */
static void hand_on(struct supervisor *supervisor, enum board_process to) {
  const struct process *process = &supervisor->processes[to];
  supervisor->message.fd_count = 0;
  if (process->channel >= 0 && process->state == PROCESS_SERVING)
    (void)channel_send(process->channel, &supervisor->message);
}

static void hear(struct supervisor *supervisor, struct process *process, int64_t now_ms) {
  struct channel_message *message = &supervisor->message;
  enum status status = channel_receive(process->channel, message);
  if (status == STATUS_NODATA || status == STATUS_IO) {
    close(process->channel);
    process->channel = -1;
    if (process->state == PROCESS_STARTING || process->state == PROCESS_SERVING) {
      process->state = PROCESS_ENDING;
      process->due_ms = now_ms + SILENT_CHILD_MOST_MS;
      process->taking_until_ms = PROCESS_NEVER;
    }
    return;
  }
  if (status != STATUS_OK)
    return;
  for (size_t i = 0; i < message->fd_count; i++)
    close(message->fds[i]);
  if (message->kind == CHANNEL_READY && process->state == PROCESS_STARTING) {
    process->state = PROCESS_SERVING;
  } else if (message->kind == CHANNEL_LEFT && process->role == BOARD_CONTROL) {
    process_left(process, now_ms);
    supervisor->answer_until_ms = now_ms + ANSWER_MORE_MS;
  } else if (message->kind == CHANNEL_TAKEN && message->generation == supervisor->generation) {
    process->generation = message->generation;
    process->taking_until_ms = PROCESS_NEVER;
  } else if (message->kind == CHANNEL_RELOAD && process->role == BOARD_CONTROL) {
    takeover_request(supervisor, message->length > 0 ? message->text : "control", true);
  } else if (message->kind == CHANNEL_MEASURE && process->role == BOARD_CONTROL) {
    hand_on(supervisor, BOARD_PROBE);
  } else if (message->kind == CHANNEL_REFUSED && process->role == BOARD_PROBE) {
    hand_on(supervisor, BOARD_CONTROL);
  }
}

static void stop_all(struct supervisor *supervisor, int64_t now_ms) {
  supervisor->is_stopping = true;
  for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++)
    process_stop(&supervisor->processes[i], now_ms);
}

static bool is_answered_enough(const struct supervisor *supervisor, int64_t now_ms) {
  const struct process *control = &supervisor->processes[BOARD_CONTROL];
  return control->state == PROCESS_ABSENT || control->is_killed || supervisor->answer_until_ms <= now_ms;
}

static void begin_stop(struct supervisor *supervisor, int64_t now_ms) {
  if (supervisor->is_leaving || supervisor->is_stopping) { /* asked twice: at once */
    supervisor->is_stopping = true;
    for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++)
      process_kill(&supervisor->processes[i], now_ms);
    return;
  }
  log_info("stopping");
  int64_t leave_ms = supervisor->current.config->control.leave_ms;
  sd_notifyf(0, "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%lld", (long long)(leave_ms + 15000) * 1000);
  reload_cancel(&supervisor->takeover.compiler);
  struct process *control = &supervisor->processes[BOARD_CONTROL];
  if (control->state != PROCESS_SERVING) {
    stop_all(supervisor, now_ms);
    return;
  }
  supervisor->is_leaving = true;
  process_leave(control, leave_ms, now_ms);
}

static void take_signals(struct supervisor *supervisor, int64_t now_ms) {
  struct signalfd_siginfo info;
  while (read(supervisor->signals, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGCHLD)
      reap_all(supervisor, now_ms);
    else if (info.ssi_signo == SIGHUP && !supervisor->is_stopping && !supervisor->is_leaving)
      takeover_request(supervisor, "SIGHUP", false);
    else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
      begin_stop(supervisor, now_ms);
  }
}

static int64_t earlier(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int next_timeout_ms(const struct supervisor *supervisor, int64_t now_ms) {
  int64_t due_ms = PROCESS_NEVER;
  if (!supervisor->is_stopping)
    due_ms = earlier(supervisor->answer_until_ms, earlier(supervisor->look_ms, takeover_due_ms(supervisor)));
  for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++) {
    const struct process *process = &supervisor->processes[i];
    if (process->state == PROCESS_ABSENT && (supervisor->is_stopping || (supervisor->is_leaving && i == BOARD_CONTROL)))
      continue;
    due_ms = earlier(due_ms, earlier(process->due_ms, process->taking_until_ms));
  }
  if (due_ms == PROCESS_NEVER)
    return -1;
  return due_ms > now_ms ? (int)earlier(due_ms - now_ms, 60000) : 0;
}

static void turn(struct supervisor *supervisor) {
  struct pollfd ready[BOARD_PROCESSES + 1];
  size_t compiler = BOARD_PROCESSES;
  ready[BOARD_SUPERVISOR] = (struct pollfd){.fd = supervisor->signals, .events = POLLIN};
  for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++)
    ready[i] = (struct pollfd){.fd = supervisor->processes[i].channel, .events = POLLIN};
  ready[compiler] = (struct pollfd){.fd = supervisor->takeover.compiler.channel, .events = POLLIN};
  if (poll(ready, BOARD_PROCESSES + 1, next_timeout_ms(supervisor, mono_now_ms())) < 0)
    return;

  int64_t now_ms = mono_now_ms();
  /* what children said before they died is heard before they are reaped */
  for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++)
    if (ready[i].revents)
      hear(supervisor, &supervisor->processes[i], now_ms);
  if (ready[BOARD_SUPERVISOR].revents)
    take_signals(supervisor, now_ms);
  end_overdue(supervisor, now_ms);
  if (supervisor->is_leaving && !supervisor->is_stopping && is_answered_enough(supervisor, now_ms))
    stop_all(supervisor, now_ms);
  if (supervisor->is_stopping)
    return;
  if (supervisor->is_leaving) { /* no more reloads */
    look_at_workers(supervisor, now_ms);
    start_due(supervisor, now_ms);
    return;
  }
  const struct takeover *takeover = &supervisor->takeover;
  if (takeover->phase == TAKEOVER_COMPILING && (ready[compiler].revents || takeover->compiler.until_ms <= now_ms))
    takeover_compiled(supervisor, now_ms);
  look_at_workers(supervisor, now_ms);
  takeover_progress(supervisor, now_ms);
  announce_if_ready(supervisor, now_ms);
  start_due(supervisor, now_ms);
}

static bool is_anyone_left(const struct supervisor *supervisor) {
  for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++)
    if (supervisor->processes[i].state != PROCESS_ABSENT)
      return true;
  return false;
}

static void supervise(struct supervisor *supervisor) {
  int64_t now_ms = mono_now_ms();
  supervisor->began_ms = supervisor->look_ms = now_ms;
  for (size_t i = BOARD_FIRST_CHILD; i < BOARD_PROCESSES; i++)
    process_init(&supervisor->processes[i], (enum board_process)i, now_ms);
  reap_all(supervisor, now_ms); /* those of the start: their signal was read already */
  start_due(supervisor, now_ms);
  while (!supervisor->is_stopping || is_anyone_left(supervisor))
    turn(supervisor);
  log_info("stopped");
}

int supervisor_run(const char *path, child_main *const mains[BOARD_PROCESSES]) {
  struct supervisor *supervisor = mem_alloc(sizeof *supervisor);
  *supervisor = (struct supervisor){
      .path = path,
      .mains = mains,
      .current = CANDIDATE_NONE,
      .generation = 1,
      .sockets = SOCKETS_NONE,
      .to_control = {-1, -1},
      .to_exec = {-1, -1},
      .to_commands = {-1, -1},
      .ping = {-1, -1},
      .signals = -1,
      .answer_until_ms = PROCESS_NEVER,
  };
  takeover_init(supervisor);
  enum start outcome = start(supervisor);
  if (outcome == START_DONE)
    supervise(supervisor);
  sockets_release(&supervisor->sockets, NULL);
  candidate_release(&supervisor->current);
  for (size_t i = 0; i < 2; i++) {
    if (supervisor->to_control[i] >= 0)
      close(supervisor->to_control[i]);
    if (supervisor->to_exec[i] >= 0)
      close(supervisor->to_exec[i]);
    if (supervisor->to_commands[i] >= 0)
      close(supervisor->to_commands[i]);
    if (supervisor->ping[i] >= 0)
      close(supervisor->ping[i]);
  }
  if (supervisor->signals >= 0)
    close(supervisor->signals);
  free(supervisor);
  return outcome == START_FAILED ? EXIT_FAILURE : EXIT_SUCCESS;
}
