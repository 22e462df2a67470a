/* discovery/session/session.h
 * The side of a resource: finds a balancer (SRV, mDNS or a given URL), registers there, renews and reports at the pace
 * that it asks for, fails over to the next with back-off and full jitter, and moves when told to go, registering at the
 * new one before it lets go of the old. Used by gslb-agent and by a balancer that registers with its parent. Belongs to
 * its loop's thread. */
#ifndef GSLB_DISCOVERY_SESSION_SESSION_H
#define GSLB_DISCOVERY_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/random.h"
#include "gslb/base/status.h"
#include "gslb/net/loop.h"

#define SESSION_ALL_BALANCERS UINT32_MAX
#define SESSION_PAUSE_BASE_MS 500
#define SESSION_PAUSE_MOST_MS 30000

struct json_t;
struct session;

struct session_place {        /* where balancers are looked for; the first that is given counts */
  const char *url;            /* "https://lb1.example.net:8300": this one, and those that it names when it goes */
  const char *domain;         /* _gslb-register._tcp.<domain> by DNS */
  bool is_multicast;          /* _gslb-register._tcp.local by multicast */
  const struct addr *servers; /* DNS servers with ports; none: the system's */
  size_t server_count;
};

struct session_events { /* any may be NULL; none may free the session, except ended */
  struct json_t *(*report)(void *context);
  /* The status to tell: state, reason and utilization; without epoch and sequence. A new reference. */
  void (*registered)(void *context, const char *balancer, bool is_first);
  void (*lost)(void *context, const char *balancer, const char *why);
  void (*ended)(void *context, int64_t serve_until_unix_ms);
  /* After session_leave: every balancer was told, and clients may come until then (0: none will). */
  void (*refused)(void *context, unsigned status, const char *detail);
  /* For good: 410, or what is wrong with the registration; it tries again in a minute (410: never). */
};

struct session_options {
  const char *id;
  struct json_t *registration; /* without lease defaults filled in; borrowed */
  struct session_place place;
  const char *token;       /* NULL: none */
  const char *ca;          /* PEM file; NULL: the system's */
  const char *certificate; /* PEM file of the client, with key; NULL: none */
  const char *key;
  unsigned balancers;    /* how many to be registered with at once, at least 1; SESSION_ALL_BALANCERS */
  int64_t timeout_ms;    /* of one request */
  int64_t pause_base_ms; /* back-off; 0: SESSION_PAUSE_BASE_MS */
};

struct session *session_new(struct loop *loop, const struct session_options *options,
                            const struct session_events *events, void *context);
/* Copies options (the JSON is held); starts with the loop. Never NULL. */
void session_free(struct session *session);
/* Registrations stay until their leases end. NULL is fine. */
void session_report_now(struct session *session);
/* As when the own state changed. */
void session_set_registration(struct session *session, struct json_t *registration);
/* Registers anew with it; borrowed. */
void session_set_token(struct session *session, const char *token);
/* For requests from now on; copied; NULL: none. */
void session_leave(struct session *session);
/* Deregisters everywhere, then calls ended, from the loop. */
enum status session_notice(struct session *session, const char *signature, const char *body, size_t size,
                           struct errbuf *err);
/* A notice came in at the notice URL. STATUS_FORBIDDEN: no balancer of ours signed it. STATUS_INVALID: no notice. */

bool session_wants(const struct session *session, const char *metric);
/* Whether a balancer asked for this metric in its reports, or none has said yet what it wants. */
bool session_balancer(const struct session *session, struct addr *out);
/* Address of a balancer that it is registered with; false: none now. */
struct json_t *session_document(const struct session *session);
/* For people: balancers with state, epoch, renewals, last error. A new reference. */

int64_t session_pause_ms(unsigned failures, int64_t base_ms, struct random *random);
/* Full jitter: uniform from 0 to min(SESSION_PAUSE_MOST_MS, base_ms * 2^failures). */
int64_t session_unix_ms(void);
/* What the wall clock says, in which balancers name times. */

#endif
