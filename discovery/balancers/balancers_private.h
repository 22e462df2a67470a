/* discovery/balancers/balancers_private.h
 * What discovery/balancers and the parts of it share: the state, and who may touch it. */
#ifndef GSLB_DISCOVERY_BALANCERS_BALANCERS_PRIVATE_H
#define GSLB_DISCOVERY_BALANCERS_BALANCERS_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "discovery/balancers/accepted.h"
#include "discovery/balancers/balancers.h"
#include "discovery/balancers/courier.h"
#include "discovery/balancers/peer.h"
#include "gslb/model/registration.h"
#include "gslb/net/http_client.h"
#include "gslb/net/loop.h"

struct json_t;

enum going {
  GOING_STAYS,
  GOING_PLANNED, /* an absence is under way: it comes back */
  GOING_ORDERED, /* balancers_go: it does not come back by itself */
};

struct peer_list {
  struct peer **items;
  size_t count;
};

struct balancers {
  struct balancers_links links;
  pthread_t thread;
  int wake; /* eventfd */

  /* the thread's alone */
  struct loop *loop;
  struct loop_poll *woken;
  struct loop_timer *ask, *plan;
  struct http_client *http;
  struct courier *courier;
  struct accepted *told_before, *told_after; /* while resources of lost services are told */

  pthread_mutex_t lock;    /* for all that follows. Held while the feed and the committer are called, never for the
                            * registry, whose callers ask for what is here */
  int64_t write_logged_ms; /* mono; 0: writing works */
  char *identity;
  struct balancer_record own;       /* without addresses it has no row */
  bool is_own_dirty, has_strangers; /* rows that may be of nobody any more */
  struct peer_list peers;           /* the thread frees them, under the lock */
  struct peer_list next_peers;
  bool has_next_peers;
  struct leave_record *leaves;
  size_t leave_count;
  int64_t leave_most_ms; /* control.leave */
  bool has_listen;
  struct accepted *accepted; /* now; replaced, not changed */
  enum going going;
  int64_t until_ms;   /* house time of the return; 0: none is planned */
  int64_t ordered_ms; /* mono */
  bool must_look, must_tell, is_stopping;
  struct accepted *lost_from; /* what was accepted before reloads whose resources are not told yet; NULL: none */
  bool has_lost_listener;
};

/* balancers_rows.c: all with the lock held */
bool balancers_write_rows(struct balancers *balancers, struct errbuf *err);
/* Stores what is dirty, deletes what is nobody's, marks and rings. False: it did not work, and is tried again. */
void balancers_recall(struct balancers *balancers, struct peer_list *peers);
/* Peers go on from what is stored of them. */

/* balancers_shown.c: all with the lock held; new references */
struct json_t *balancers_show_others(const struct balancers *balancers);
struct json_t *balancers_show_directive(const struct balancers *balancers);
void balancers_publish(struct balancers *balancers, const char *identity, const struct balancer_record *record);
/* A "balancer" change on the feed. */

/* balancers_told.c */
void balancers_publish_notice(struct balancers *balancers, const char *service, struct json_t *directive);
/* With the lock held: a "notice" change on the feed, for all resources ("") or those of a service. Takes the
 * reference. */
void balancers_tell_going(struct balancers *balancers);
/* Without the lock, on the thread: what must_tell asks for. */
void balancers_tell_lost(struct balancers *balancers);
/* Likewise: to resources of services that a reload took the registrations from. */

#endif
