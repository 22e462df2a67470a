/* gslb/main/children.h
 * The child processes: fork, life, restart with back-off. A struct process is one place in the house (dns, probe, …)
 * that children fill one after the other. Supervisor only, one thread; nothing here waits. Times are mono, in
 * milliseconds. */
#ifndef GSLB_MAIN_CHILDREN_H
#define GSLB_MAIN_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gslb/main/privileges.h"
#include "gslb/main/sandbox.h"
#include "gslb/model/board.h"
#include "gslb/model/child.h"

enum process_state {
  PROCESS_ABSENT,   /* none runs; start it at due_ms */
  PROCESS_STARTING, /* forked; has not said CHANNEL_READY */
  PROCESS_SERVING,
  PROCESS_STOPPING, /* told to end, which is no fault; ended by force at due_ms */
  PROCESS_ENDING,   /* being ended for a fault; by force at due_ms */
};

#define PROCESS_NEVER INT64_MAX

struct process {
  enum board_process role;
  enum process_state state;
  pid_t pid;           /* 0 when absent */
  int channel;         /* -1 when absent or closed by the child */
  uint64_t generation; /* of the configuration that it has in use */
  int64_t started_ms;
  int64_t due_ms;          /* what is due then depends on state; PROCESS_NEVER */
  int64_t taking_until_ms; /* by when it has to say CHANNEL_TAKEN; PROCESS_NEVER when it owes none */
  unsigned deaths;         /* in a row, with less than a minute of life each */
  bool is_killed;          /* by process_kill, and not waited for yet */
};

typedef int child_main(struct child *child);

struct launch { /* what a child starts with; borrowed for the call */
  child_main *main;
  enum sandbox_role sandbox;
  const struct identity *identity;
  struct child child; /* channel is filled in */
};

int64_t process_backoff_ms(unsigned deaths);
/* How long to wait before the next start after so many deaths in a row: 0, 100, 200, … at most 5,000. */

void process_init(struct process *process, enum board_process role, int64_t now_ms);
/* Absent, and due at once. */

void process_start(struct process *process, const struct launch *launch, int64_t now_ms);
/* Forks. In the child this never returns: it closes what is not its own, drops its rights, fences itself in, runs
 * launch->main and exits with what that returns. When no process can be made, that counts as a death. */

void process_stop(struct process *process, int64_t now_ms);
/* Says CHANNEL_STOP, and ends it by force 5 s later. Absent: it will not be started. */
void process_leave(struct process *process, int64_t patience_ms, int64_t now_ms);
/* Control alone, and not absent: says CHANNEL_LEAVE, and ends it by force when it has not ended patience_ms and what
 * process_stop grants later. */
void process_left(struct process *process, int64_t now_ms);
/* Control said CHANNEL_LEFT: what remains takes no longer than what process_stop grants. */
void process_abort(struct process *process, int64_t now_ms);
/* SIGABRT, and SIGKILL half a second later. */
void process_kill(struct process *process, int64_t now_ms);
/* SIGKILL; overdue when it is not gone a second later. A process that waits for a disk ends when that lets it. */
void process_await(struct process *process);
/* It is overdue no more, however long it takes to be gone. */
void process_abandon(struct process *process, int64_t now_ms);
/* Absent from now on, although its pid was not waited for. */

void process_reaped(struct process *process, int status, int64_t now_ms);
/* Its pid was waited for: logs how it ended and sets when the next one is due. */

bool process_is_overdue(const struct process *process, int64_t now_ms);
/* Its time is over: it was told to end, was killed, or owes CHANNEL_TAKEN. */

#endif
