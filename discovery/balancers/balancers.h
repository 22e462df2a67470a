/* discovery/balancers/balancers.h
 * This balancer and its peers as resources are told of them: asks each configured peer every few seconds whether it
 * takes registrations (GET /v1/balancer), writes what it learns and what this balancer itself is up to (planned
 * absences, a stop) to the live store, and sends notices to resources before this balancer goes away. One thread with a
 * loop of its own. */
#ifndef GSLB_DISCOVERY_BALANCERS_BALANCERS_H
#define GSLB_DISCOVERY_BALANCERS_BALANCERS_H

#include <stdbool.h>
#include <stdint.h>

#include "discovery/registry/feed.h"
#include "discovery/registry/registry.h"
#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/commit.h"
#include "gslb/model/config.h"
#include "gslb/model/store.h"

struct balancers;

struct balancers_links { /* borrowed until balancers_stop */
  struct committer *committer;
  struct store *durable, *live; /* either may be NULL: no plans; nothing is written */
  const struct house *house;
  struct feed *feed;
  struct registry *registry; /* whose resources are told */
  registry_ring *ring;
  void *context;
};

enum status balancers_start(const struct balancers_links *links, const struct config *config, struct balancers **out,
                            struct errbuf *err);
/* config is copied as far as needed. The own row stands before this returns, unless there is no address to tell. A peer
 * counts as it was stored until it is asked. */
void balancers_configure(struct balancers *balancers, const struct config *config);
/* Likewise. Resources of services that accept no more are told to leave, each with those of its services that are
 * concerned ("services" in the directive); all are told, without "services", when the listener is taken away. */

void balancers_go(struct balancers *balancers, int64_t until_ms);
/* This balancer is about to go away (0: for good): is named to no resource from now on, tells every resource, naming
 * others. Who registers all the same is taken and told to go in the answer: there may be nobody else. Returns at
 * once. */
int64_t balancers_linger_ms(struct balancers *balancers);
/* While it goes: how much longer to keep serving, at most control.leave; 0 as soon as no resource is left or no other
 * balancer is alive. */

enum status balancers_plan(struct store_txn *txn, const struct leave_record *leave, struct errbuf *err);
/* A planned absence, inside a committer's transaction; balancers_look afterwards. STATUS_CONFLICT: overlaps one.
 * STATUS_RANGE: ends before it begins. */
enum status balancers_cancel(struct store_txn *txn, int64_t at_ms, struct errbuf *err);
/* STATUS_NOTFOUND. One under way ends. */
void balancers_look(struct balancers *balancers);
/* The plans changed. */

struct json_t *balancers_document(struct balancers *balancers);
/* {"balancers":[…],"leaves":[…]}, as GET /v1/peers shows it. */
struct json_t *balancers_own(struct balancers *balancers);
/* GET /v1/balancer: {"identity","accepting","leaves_at","returns_at"}. */
struct json_t *balancers_others(struct balancers *balancers);
/* For answers to resources: a new array of {"identity","url","priority","weight"} of live peers that accept. */
struct json_t *balancers_directive(struct balancers *balancers);
/* What resources are told while this balancer goes: {"kind":"leave","until_at":…,"balancers":[…]}, or NULL. */

void balancers_stop(struct balancers *balancers);
/* The own row says that it takes nothing any more. NULL is fine. */

#endif
