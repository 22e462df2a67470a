/* probes/watch.h
 * Who wants to know: one watch for each monitor that applies to each address of each member of a service, with what is
 * known of it. What is probed for it is a check, which watches may share: those of all addresses of a member with
 * monitor_address have one, and so have equal ones of other services. A service's list is built from how it is now
 * (configured and registered members) and compared with the one before. Belongs to the probe process's thread. */
#ifndef GSLB_PROBES_WATCH_H
#define GSLB_PROBES_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "gslb/model/config.h"
#include "gslb/model/live_rows.h"
#include "gslb/model/records.h"
#include "probes/check.h"
#include "probes/kinds/probe.h"

struct measure;
struct wards;

struct watch {
  struct live_row row;         /* names it (key) and writes record */
  struct health_record record; /* what is known of it; at first what the monitor's starts_as says */
  struct probe_target target;  /* borrows the configuration; the service's name stands in the key */
  struct addr address;         /* that it speaks for; target.address is the one that is probed */

  struct wards *wards; /* the rest is theirs; zero at first */
  size_t service;      /* index */
  struct check *check;
  struct measure *measure; /* of its member */
  LIST_ENTRY(watch) entry; /* of its check's */
};

struct watch_list {     /* of one service */
  struct watch **items; /* in order of keys, each key once */
  size_t count;
};

void watch_list_build(const struct config *config, const struct config_service *service, struct watch_list *out);
/* New watches, owned by the list, that borrow from config and nothing from service. Nobody watches a vacancy or a
 * pattern, and nobody for monitors that are decided and not probed. */
void watch_list_release(struct watch_list *list);
/* Frees the watches too. */

struct watch *watch_list_find(const struct watch_list *list, const struct record_key *key);
/* NULL when there is none. */

const char *watch_member(const struct watch *watch);
/* The member's name; borrowed from the watch. */

#endif
