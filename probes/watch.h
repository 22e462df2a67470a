/* probes/watch.h
 * What is probed: one watch for each monitor that applies to each address of each member of a service. A service's
 * list is built from how it is now (configured and registered members) and compared with the one before. Belongs to
 * the probe process's thread. */
#ifndef GSLB_PROBES_WATCH_H
#define GSLB_PROBES_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "gslb/model/config.h"
#include "gslb/model/records.h"
#include "probes/journal.h"
#include "probes/probe.h"

struct schedule;

enum watch_stage {
  WATCH_RESTING, /* its timer runs */
  WATCH_WAITING, /* its time has come, and there is no room yet, or the probe before still runs */
};

struct watch {
  struct journal_item item;   /* names it (key), and what is known of it (record) */
  struct probe_target target; /* borrows the monitor from the configuration; the service's name stands in the key */

  struct schedule *schedule; /* the rest is the schedule's; zero at first */
  struct loop_timer *timer;  /* for the next start */
  struct probe_run *run;     /* NULL: none */
  enum watch_stage stage;
  int64_t planned_us; /* mono: the start that the timer or the wait is for; 0: not planned */
  bool is_queued;     /* in the line of those that wait for room */
  TAILQ_ENTRY(watch) entry;
};

struct watch_list {     /* of one service */
  struct watch **items; /* in order of keys, each key once */
  size_t count;
};

void watch_list_build(const struct config *config, const struct config_service *service, struct watch_list *out);
/* New watches, owned by the list, that borrow monitors from config and nothing from service. Nobody watches a vacancy
 * or a pattern. */
void watch_list_release(struct watch_list *list);
/* Frees the watches too. */

struct watch *watch_list_find(const struct watch_list *list, const struct record_key *key);
/* NULL when there is none. */

const char *watch_member(const struct watch *watch);
/* The member's name; borrowed from the watch. */

bool watch_probes_alike(const struct watch *a, const struct watch *b);
/* Whether two watches of one key probe in the same way at the same pace, so that one can go on as the other. */

#endif
