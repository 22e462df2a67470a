/* gslb/main/supervisor_private.h
 * The supervisor's state, shared by gslb/main/supervisor and gslb/main/takeover alone. */
#ifndef GSLB_MAIN_SUPERVISOR_PRIVATE_H
#define GSLB_MAIN_SUPERVISOR_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/main/children.h"
#include "gslb/main/privileges.h"
#include "gslb/main/reload.h"
#include "gslb/main/sockets.h"
#include "gslb/main/watch.h"
#include "gslb/model/board.h"
#include "gslb/model/channel.h"

enum takeover_phase {
  TAKEOVER_IDLE,
  TAKEOVER_COMPILING, /* the compiler runs */
  TAKEOVER_TAKING,    /* the children switch to the new configuration */
};

struct takeover {
  enum takeover_phase phase;
  struct compiler compiler;
  int64_t until_ms;     /* taking: when to go on without those that are not there */
  unsigned askers;      /* requests of control that the present run answers */
  unsigned next_askers; /* those that came since it began */
  bool is_wanted_again;
  int64_t dns_stop_ms;     /* the dns child makes room for one with other sockets; PROCESS_NEVER */
  bool control_restarts;   /* its sockets changed; it goes last, after its askers have their answer */
  int64_t control_stop_ms; /* PROCESS_NEVER */
};

struct supervisor {
  const char *path;
  child_main *const *mains;
  struct candidate current;
  uint64_t generation;
  struct identity identity;
  struct sockets sockets;
  struct board *board;
  struct board_bell bell;
  struct house house;
  int64_t checkpoint_ms; /* of the live store at start; 0: none was used */
  int to_control[2];     /* dns' end, control's end */
  int to_exec[2];        /* control's end, exec's end: kept here, so that what is queued outlives either */
  int to_commands[2];    /* probe's end, exec's end: likewise */
  int ping[2];           /* raw sockets for ICMP and ICMPv6 echo; -1: none, or not needed */
  struct process processes[BOARD_PROCESSES]; /* that of BOARD_SUPERVISOR is not used */
  struct takeover takeover;
  pid_t compiler_pid; /* the last one, until it is waited for; 0 */
  struct watch watch;
  int64_t look_ms; /* when to look at the workers again; mono */
  int64_t began_ms;
  int signals; /* signalfd */
  bool is_ready;
  bool is_leaving;         /* control lets resources move away; names are answered until it has ended, or: */
  int64_t answer_until_ms; /* control said CHANNEL_LEFT; PROCESS_NEVER before */
  bool is_stopping;
  struct channel_message message; /* scratch */
};

#define BOARD_FIRST_CHILD BOARD_DNS

#endif
