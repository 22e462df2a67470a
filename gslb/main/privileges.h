/* gslb/main/privileges.h
 * Who gslbd runs as and what it may do: the supervisor keeps the right to open ports and raw sockets, its children keep
 * nothing. Called before threads start. */
#ifndef GSLB_MAIN_PRIVILEGES_H
#define GSLB_MAIN_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "gslb/base/status.h"

struct identity {
  uid_t uid;
  gid_t gid;
  bool changes;  /* from what the process started as */
  char name[64]; /* for messages */
};

enum status privileges_find(const char *user, struct identity *out, struct errbuf *err);
/* user: from the configuration; NULL takes `gslb` when the process is root and that user exists, and otherwise the
 * user that the process has. STATUS_NOTFOUND: no such user. STATUS_FORBIDDEN: only root may change to it. */

enum status privileges_keep_network(const struct identity *who, struct errbuf *err);
/* For the supervisor: becomes who, keeps of CAP_NET_BIND_SERVICE, CAP_NET_RAW and CAP_NET_ADMIN those that it has, and
 * can gain no other (no_new_privs). */
enum status privileges_drop(const struct identity *who, struct errbuf *err);
/* For a child: becomes who, without any capability. */

#endif
