/* discovery/session/session_private.h
 * What the two files of a session share: the session as a whole chooses balancers (session.c), a link is what there is
 * between it and one of them (session_link.c). For these two alone; the loop's thread. */
#ifndef GSLB_DISCOVERY_SESSION_SESSION_PRIVATE_H
#define GSLB_DISCOVERY_SESSION_SESSION_PRIVATE_H

#include "discovery/documents/notice.h"
#include "discovery/session/finder.h"
#include "discovery/session/session.h"
#include "gslb/base/random.h"
#include "gslb/net/http_client.h"

#define SESSION_REFUSED_PAUSE_MS 60000

enum link_state {
  LINK_NEW,     /* registering; not answered yet */
  LINK_LIVE,    /* registered */
  LINK_MOVING,  /* registered and renewed, until another took us */
  LINK_LEAVING, /* deregistering */
  LINK_REMOVED, /* an operator said no; keeps its place, so that no other takes us in its stead */
};

enum link_request { REQUEST_NONE, REQUEST_REGISTER, REQUEST_STATUS, REQUEST_DEREGISTER };

struct link {
  struct session *session;
  struct link *next;
  struct finder_target target;
  char name[sizeof(((struct finder_target *)NULL)->host) + 8]; /* host:port, for people */
  enum link_state state;
  enum link_request request; /* under way */
  struct http_transfer *transfer;
  struct loop_timer *timer;
  int64_t asked_ms;  /* mono, of the request under way */
  int64_t good_ms;   /* mono, of the last registration or renewal that was taken */
  int64_t moving_ms; /* mono, since it is told to go */
  int64_t lease_ms;  /* 0: unlimited */
  int64_t renew_ms;
  int64_t register_due_ms; /* mono; with must_register */
  uint64_t epoch, sequence, renewals;
  unsigned failures, unknown; /* in a row: unanswered requests; renewals of a lease that it did not know */
  bool must_register;         /* again, with what is the registration now */
  bool must_report;           /* as soon as the request under way is over */
  bool was_sent_away;         /* it leaves because the balancer said so, and is registered with another */
  bool is_bare;               /* reports without figures, since it refused one with them */
  bool has_wanted;
  char **wanted; /* metrics that it asks for; NULL-terminated */
  char notice_key[NOTICE_KEY_SIZE];
  char error[200]; /* the last one; "" when all is well */
};

enum avoid_why {
  AVOID_BUSY, /* it asked to be left alone for a while, or refused us */
  AVOID_LEFT, /* it told us to go; it may be back earlier than it said */
};

struct avoided {
  struct finder_target target;
  enum avoid_why why;
  int64_t until_ms; /* mono */
};

struct session {
  struct loop *loop;
  struct http_client *client;
  struct random random;
  struct session_events events;
  void *context;
  char *id, *url, *domain, *token, *ca, *certificate, *key;
  struct session_place place; /* points to the copies */
  struct addr *servers;
  unsigned wanted;
  int64_t timeout_ms, pause_base_ms;
  struct json_t *registration;
  struct link *links;
  struct json_t *named; /* URLs of balancers as the last answer named them, the first to be tried first */
  struct json_t *leads; /* still to be followed in this round: URLs, null for the place */
  struct finder *finder;
  struct loop_timer *timer; /* of the next round */
  bool is_waiting;          /* for the timer */
  struct finder_target *targets;
  size_t target_count, next_target;
  bool are_named; /* the targets: by a balancer, so that they take registrations now */
  size_t tried;   /* in this round */
  unsigned failures;
  struct avoided *avoided;
  size_t avoided_count, avoided_capacity;
  bool was_registered, is_leaving, has_ended;
  int64_t serve_until_ms; /* Unix time */
  char error[512];        /* why there is no balancer, or the last one went */
};

void session_fill(struct session *session);
/* Starts links until there are as many as wanted, or looks for more balancers. */
void session_settle(struct session *session);
/* A link became live, or there is nobody left to ask: lets go of those that are not needed any more. */
void session_move(struct session *session, struct link *link, const struct json_t *directive);
/* {"kind":"leave",…}: looks for another. */
void session_avoid(struct session *session, const struct finder_target *target, enum avoid_why why, int64_t for_ms);
/* From now on; 0 ms: not any more. */
void session_name_others(struct session *session, const struct json_t *balancers);
/* Keeps the URLs of "balancers", ordered by their priority and weight as SRV records are; of none it keeps what it had.
 */
void session_check_end(struct session *session);

struct link *link_new(struct session *session, const struct finder_target *target);
void link_drop(struct link *link);
/* Frees it and takes it off the list; asks nothing. */
void link_act(struct link *link);
/* Does what its state asks for, now or when the request under way is over. */
void link_register(struct link *link);
/* Anew, at the next occasion. */
void link_leave(struct link *link);
bool link_is_at(const struct link *link, const struct finder_target *target);
bool target_is_same(const struct finder_target *a, const struct finder_target *b);
const char *link_state_name(enum link_state state);

#endif
