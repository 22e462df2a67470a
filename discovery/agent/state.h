/* discovery/agent/state.h
 * What the agent remembers over its own restarts: its id, what it says of itself, and the jobs done. One small JSON
 * file in its state directory, replaced as a whole. One thread. */
#ifndef GSLB_DISCOVERY_AGENT_STATE_H
#define GSLB_DISCOVERY_AGENT_STATE_H

#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/registration.h"

enum self_state { SELF_UP, SELF_DRAIN, SELF_MAINT }; /* the worse, the greater */
const char *self_state_name(enum self_state state);
enum status self_state_parse(const char *word, enum self_state *out);
/* "up", "drain", "maint". */

struct self {
  enum self_state state;
  char reason[96];
};
enum status self_read_file(const char *path, struct self *out, struct errbuf *err);
/* First line: a state, then a reason or nothing. No such file, or an empty one: SELF_UP. STATUS_INVALID, STATUS_IO: out
 * untouched. */

struct jobs {
  uint64_t done;
  double busy_s;
  int64_t last_ended_ms; /* Unix time; 0: none yet */
};
enum status jobs_read_file(const char *path, struct jobs *out, struct errbuf *err);
/* JSON {"done","busy_s","last_ended_at"}, all but done optional. STATUS_NOTFOUND: no such file. STATUS_INVALID,
 * STATUS_IO. */

struct agent_state {
  char id[REGISTRATION_ID_MOST + 1]; /* "": none yet */
  struct self self;
  struct jobs jobs;
};
enum status agent_state_load(const char *directory, struct agent_state *out, struct errbuf *err);
/* STATUS_NOTFOUND: it has none yet; STATUS_INVALID, STATUS_IO. out is untouched then. */
enum status agent_state_save(const char *directory, const struct agent_state *state, struct errbuf *err);
/* Durable when it returns. */

void agent_state_make_id(const char *host_name, char out[REGISTRATION_ID_MOST + 1]);
/* The host name's first label in lower case, with what an id cannot have left out; "r-" and random hexadecimal digits
 * where that says nothing ("localhost"). */

#endif
