#include "gslb/main/children.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/main/descriptors.h"
#include "gslb/model/channel.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 5000
#define LIFE_THAT_FORGIVES_MS 60000
#define STOP_PATIENCE_MS 5000
#define ABORT_PATIENCE_MS 500
#define KILL_PATIENCE_MS 1000
#define ORPHAN_PATIENCE_S 3

int64_t process_backoff_ms(unsigned deaths) {
  if (deaths <= 1)
    return 0;
  int64_t wait_ms = BACKOFF_FIRST_MS;
  for (unsigned i = 2; i < deaths && wait_ms < BACKOFF_MOST_MS; i++)
    wait_ms *= 2;
  return wait_ms < BACKOFF_MOST_MS ? wait_ms : BACKOFF_MOST_MS;
}

void process_init(struct process *process, enum board_process role, int64_t now_ms) {
  *process = (struct process){.role = role,
                              .state = PROCESS_ABSENT,
                              .channel = -1,
                              .due_ms = now_ms,
                              .taking_until_ms = PROCESS_NEVER};
}

static void close_what_is_not_its_own(const struct child *child) {
  size_t sockets = child->udp ? child->config->server.workers * child->config->server.listen_count : 0;
  const int single[] = {child->channel,   child->text,     child->image, child->http_tcp,
                        child->http_unix, child->notified, child->exec,  child->commands,
                        child->ping[0],   child->ping[1],  child->trap};
  int *kept = mem_array(2 * sockets + BOARD_EARS + sizeof single / sizeof single[0], sizeof *kept);
  size_t count = 0;
  for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
    kept[count++] = single[i];
  for (size_t i = 0; i < BOARD_EARS; i++)
    kept[count++] = child->bell.ears[i];
  for (size_t i = 0; i < sockets; i++) {
    kept[count++] = child->udp[i];
    kept[count++] = child->tcp[i];
  }
  descriptors_close_all_but(kept, count);
  free(kept);
}

static void outlive_not_long(int signal_number) {
  (void)signal_number;
  alarm(ORPHAN_PATIENCE_S);
}

static void set_signals(void) {
  static const int ignored[] = {SIGINT, SIGHUP, SIGPIPE, SIGTERM};
  for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
    signal(ignored[i], SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
  /* the parent's death closes the channel, and the child ends cleanly; this is for one that does not look */
  struct sigaction orphaned = {.sa_handler = outlive_not_long, .sa_flags = SA_RESTART};
  sigaction(SIGUSR2, &orphaned, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become_child(enum board_process role, const struct launch *launch, int channel, pid_t parent) {
  const char *name = board_process_name(role);
  child_set_log(launch->child.config, role);
  char title[16];
  snprintf(title, sizeof title, "gslb-%s", name);
  prctl(PR_SET_NAME, title, 0, 0, 0);
  set_signals();
  /* one that wakes up waits for its turn, and takes the processor from no worker that answers */
  if (role != BOARD_DNS)
    sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
  struct child child = launch->child;
  child.channel = channel;
  close_what_is_not_its_own(&child);

  struct errbuf err = {0};
  if (privileges_drop(launch->identity, &err) != STATUS_OK) {
    log_error("%s", err.text);
    exit(EXIT_FAILURE);
  }
  /* after the change of user, which would clear it */
  prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0);
  if (getppid() != parent)
    exit(EXIT_SUCCESS);
  if (sandbox_enter(launch->sandbox, launch->child.config, &err) != STATUS_OK)
    log_warning("runs without one of its fences: %s", err.text);
  exit(launch->main(&child));
}

static void close_channel(struct process *process) {
  if (process->channel >= 0)
    close(process->channel);
  process->channel = -1;
}

static void become_absent(struct process *process, bool is_death, int64_t now_ms) {
  close_channel(process);
  process->pid = 0;
  process->state = PROCESS_ABSENT;
  process->is_killed = false;
  process->taking_until_ms = PROCESS_NEVER;
  if (!is_death || now_ms - process->started_ms >= LIFE_THAT_FORGIVES_MS)
    process->deaths = 0;
  if (is_death)
    process->deaths++;
  process->due_ms = now_ms + process_backoff_ms(process->deaths);
}

static void count_failed_start(struct process *process, int64_t now_ms, const char *what, const char *reason) {
  process->started_ms = now_ms;
  become_absent(process, true, now_ms);
  if (process->deaths == 1) /* what failed here will fail again at once */
    process->due_ms = now_ms + BACKOFF_FIRST_MS;
  log_error("%s cannot be started: %s%s; again in %lld ms", board_process_name(process->role), what, reason,
            (long long)(process->due_ms - now_ms));
}

void process_start(struct process *process, const struct launch *launch, int64_t now_ms) {
  struct errbuf err = {0};
  int ends[2];
  if (channel_pair(ends, &err) != STATUS_OK) {
    count_failed_start(process, now_ms, "", err.text);
    return;
  }
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0)
    become_child(process->role, launch, ends[1], parent);
  close(ends[1]);
  if (pid < 0) {
    int reason = errno;
    close(ends[0]);
    count_failed_start(process, now_ms, "fork: ", strerror(reason));
    return;
  }
  process->pid = pid;
  process->channel = ends[0];
  process->state = PROCESS_STARTING;
  process->generation = launch->child.generation;
  process->started_ms = now_ms;
  process->due_ms = PROCESS_NEVER;
  process->taking_until_ms = PROCESS_NEVER;
}

static void say_end(struct process *process, enum channel_kind kind, int64_t due_ms) {
  process->taking_until_ms = PROCESS_NEVER;
  process->state = PROCESS_STOPPING;
  process->due_ms = due_ms;
  struct channel_message *message = mem_alloc(sizeof *message);
  message->kind = kind;
  if (process->channel < 0 || channel_send(process->channel, message) != STATUS_OK)
    close_channel(process); /* it ends when it sees that */
  free(message);
}

void process_stop(struct process *process, int64_t now_ms) {
  process->taking_until_ms = PROCESS_NEVER;
  if (process->state == PROCESS_ABSENT)
    process->due_ms = PROCESS_NEVER;
  else if (process->is_killed)
    process->due_ms = now_ms + KILL_PATIENCE_MS;
  else
    say_end(process, CHANNEL_STOP, now_ms + STOP_PATIENCE_MS);
}

void process_leave(struct process *process, int64_t patience_ms, int64_t now_ms) {
  say_end(process, CHANNEL_LEAVE, now_ms + patience_ms + STOP_PATIENCE_MS);
}

void process_left(struct process *process, int64_t now_ms) {
  if (process->state == PROCESS_STOPPING && !process->is_killed)
    process->due_ms = now_ms + STOP_PATIENCE_MS;
}

void process_abort(struct process *process, int64_t now_ms) {
  if (process->state == PROCESS_ABSENT)
    return;
  process->state = PROCESS_ENDING;
  process->due_ms = now_ms + ABORT_PATIENCE_MS;
  process->taking_until_ms = PROCESS_NEVER;
  kill(process->pid, SIGABRT);
}

void process_kill(struct process *process, int64_t now_ms) {
  if (process->state == PROCESS_ABSENT)
    return;
  if (process->state != PROCESS_STOPPING)
    process->state = PROCESS_ENDING;
  process->due_ms = now_ms + KILL_PATIENCE_MS;
  process->taking_until_ms = PROCESS_NEVER;
  process->is_killed = true;
  kill(process->pid, SIGKILL);
}

void process_await(struct process *process) {
  process->due_ms = PROCESS_NEVER;
}

void process_abandon(struct process *process, int64_t now_ms) {
  become_absent(process, false, now_ms);
}

void process_reaped(struct process *process, int status, int64_t now_ms) {
  const char *name = board_process_name(process->role);
  pid_t pid = process->pid;
  bool is_death = process->state != PROCESS_STOPPING;
  become_absent(process, is_death, now_ms);

  char how[96];
  if (WIFSIGNALED(status))
    snprintf(how, sizeof how, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else
    snprintf(how, sizeof how, "status %d", WEXITSTATUS(status));
  if (!is_death)
    log_info("%s (pid %d) ended with %s", name, (int)pid, how);
  else if (process->due_ms <= now_ms)
    log_error("%s (pid %d) died with %s; restarted at once", name, (int)pid, how);
  else
    log_error("%s (pid %d) died with %s; restarted in %lld ms", name, (int)pid, how,
              (long long)(process->due_ms - now_ms));
}

bool process_is_overdue(const struct process *process, int64_t now_ms) {
  if (process->taking_until_ms <= now_ms)
    return true;
  return (process->state == PROCESS_STOPPING || process->state == PROCESS_ENDING) && process->due_ms <= now_ms;
}
