/* gslb/model/channel.h
 * Messages between the supervisor and a child, from dns to control, from control to exec, and between probe
 * and exec: one SOCK_SEQPACKET socketpair each, one packet a message, with descriptors attached. Any thread may send;
 * one receives. */
#ifndef GSLB_MODEL_CHANNEL_H
#define GSLB_MODEL_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"

#define CHANNEL_TEXT_MOST 60000u
#define CHANNEL_FDS_MOST 4u

enum channel_kind {
  CHANNEL_READY,    /* child to supervisor: I serve, with this generation */
  CHANNEL_CONFIG,   /* supervisor to child: fds[0] configuration text, fds[1] name image (dns and control)
                     * or the socket of traps.listen (probe, where it has one); switch to it */
  CHANNEL_TAKEN,    /* child to supervisor: the generation is in use */
  CHANNEL_STOP,     /* supervisor to child: end cleanly, status 0 */
  CHANNEL_LEAVE,    /* supervisor to control: all of gslbd stops; let resources move away first, then end */
  CHANNEL_LEFT,     /* control to supervisor: resources need this balancer no more; what is left to do is soon done */
  CHANNEL_RELOAD,   /* control to supervisor: read the files again; text says who asks */
  CHANNEL_RELOADED, /* supervisor to control: outcome in status, text for the person */
  CHANNEL_NOTIFIED, /* dns to control: a NOTIFY came in; text: "ZONE ADDRESS" */
  CHANNEL_COMMAND,  /* control to exec: run a command of the configuration; text: "on_change" or "on_empty", then
                     * NAME=VALUE strings, each NUL-terminated; on_empty is the one of the service in GSLB_SERVICE */
  CHANNEL_RESULT,  /* exec to control: an on_empty command ended; status STATUS_OK for exit status 0; text: the service,
                    * NUL, and what to tell people: "exit status 1", "ended after 30 s" and the last line it wrote */
  CHANNEL_RUN,     /* probe to exec: run the command of an exec monitor; generation: the run, chosen by probe; text: the
                    * monitor's name, then NAME=VALUE strings, each NUL-terminated. Exec takes command and time-out from
                    * its own configuration, so nothing else can be run through it */
  CHANNEL_RAN,     /* exec to probe: it ended; generation: the run. STATUS_OK: with exit status 0; STATUS_INVALID: with
                    * another; STATUS_TIMEOUT: killed at its time-out; anything else: it was not run. text: what to tell
                    * people ("exit status 2"), NUL, and the last line that it wrote */
  CHANNEL_MEASURE, /* control to probe, by way of the supervisor: read the member's sources now; text: the service, NUL,
                    * the member */
  CHANNEL_REFUSED, /* probe to control, by way of the supervisor: figures of a member were refused; text: the service,
                    * NUL, the member, NUL, why */
};
#define CHANNEL_KINDS (CHANNEL_REFUSED + 1u)

struct channel_message {
  enum channel_kind kind;
  enum status status;
  uint64_t generation; /* of the configuration, counted from 1 at start */
  size_t length;       /* of text, without the NUL that channel_receive adds */
  size_t fd_count;
  int fds[CHANNEL_FDS_MOST]; /* the receiver owns them */
  char text[CHANNEL_TEXT_MOST + 1];
};

enum status channel_pair(int ends[2], struct errbuf *err);
/* Close-on-exec, blocking; the receiver polls. */
enum status channel_send(int fd, const struct channel_message *message);
/* Never waits: STATUS_LIMIT when the other side's queue is full, STATUS_IO when it is gone. The fds stay the
 * caller's. */
enum status channel_receive(int fd, struct channel_message *message);
/* Waits for a message; *message stays untouched without one. STATUS_NODATA: the other side is gone. STATUS_INVALID: not
 * a message of ours (dropped). STATUS_TIMEOUT: none there, when the descriptor was made non-blocking. STATUS_IO. */

#endif
