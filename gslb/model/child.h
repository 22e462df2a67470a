/* gslb/model/child.h
 * What a child process of gslbd starts with: everything was opened or read by the supervisor before the fork. Owned by
 * the child's main thread. */
#ifndef GSLB_MODEL_CHILD_H
#define GSLB_MODEL_CHILD_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/board.h"
#include "gslb/model/channel.h"
#include "gslb/model/config.h"

struct child {
  struct config *config; /* the child owns it: a CHANNEL_CONFIG replaces it */
  uint64_t generation;
  int channel; /* to the supervisor */
  struct board *board;
  struct board_bell bell;
  struct house house;

  int text;       /* control: sealed memfd of what config was parsed from (child_read_text); else -1 */
  int image;      /* dns and control: the name image's memfd; else -1 */
  const int *udp; /* dns: socket of worker w and listen address a at [w * config->server.listen_count + a] */
  const int *tcp; /* dns: likewise, listening */
  int http_tcp;   /* control: listening, or -1 */
  int http_unix;  /* control: listening */
  int notified;   /* dns: sends CHANNEL_NOTIFIED; control: receives it; else -1 */
  int exec;       /* control: sends CHANNEL_COMMAND; exec: receives it; else -1 */
  int commands;   /* probe: sends CHANNEL_RUN, receives CHANNEL_RAN; exec: the other end; else -1 */
  int trap;       /* probe: bound at traps.listen, or -1; whoever listens there takes it over */
  int ping[2];    /* probe: raw sockets for ICMP and ICMPv6 echo where datagram sockets are not allowed; else -1 */
};

enum status child_read_text(int fd, char **text, size_t *length, struct errbuf *err);
/* What a configuration was parsed from; free() it. Every child shares the descriptor's position, which stays. */

enum status child_parse_config(const struct channel_message *message, struct config **out, struct errbuf *err);
/* From a CHANNEL_CONFIG: parses the text in fds[0] (kept open). The message's text is the configuration's path. */

int child_take_descriptor(struct channel_message *message, size_t index);
/* fds[index], which is the caller's from now on; -1 where the message has none. */

void child_set_log(const struct config *config, enum board_process process);
/* Log level and form as configured, for this process. */

void child_say(const struct child *child, enum channel_kind kind);
/* Sends CHANNEL_READY or CHANNEL_TAKEN with the child's generation. */

#endif
