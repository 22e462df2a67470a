/* gslb/admin/historian.h
 * The thread of control that keeps the history of figures (gslb/model/history) while the configuration wants it
 * (server.history); gslb/admin/history_plan says what it does when. */
#ifndef GSLB_ADMIN_HISTORIAN_H
#define GSLB_ADMIN_HISTORIAN_H

#include "gslb/admin/view.h"
#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/commit.h"

struct historian_links { /* borrowed until historian_stop */
  struct views *views;   /* a new view there counts from the next turn on, a minute later at most */
  struct committer *committer;
  const struct house *house;
};

struct historian;

enum status historian_start(const struct historian_links *links, struct historian **out, struct errbuf *err);
void historian_stop(struct historian *historian);
/* Ends after what was sampled is written. The committer must still run. NULL is fine. */

#endif
