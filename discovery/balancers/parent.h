/* discovery/balancers/parent.h
 * This balancer as a resource of its parents (configuration: parents): registers with each as a resource of the kind
 * "balancer", renews, and reports how its services are. One thread with a loop, facts of its own, and a session
 * (discovery/session) a parent. Without parents it sleeps. */
#ifndef GSLB_DISCOVERY_BALANCERS_PARENT_H
#define GSLB_DISCOVERY_BALANCERS_PARENT_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/board.h"
#include "gslb/model/store.h"

struct json_t;
struct parents;

struct parent_links {           /* borrowed until parent_stop */
  struct store *durable, *live; /* either may be NULL */
  const struct board *board;    /* for the rate of answers */
  const struct house *house;
};

enum status parent_start(const struct parent_links *links, const char *path, const char *text, size_t length,
                         struct parents **out, struct errbuf *err);
/* text is a configuration's (config_parse), from which it makes a configuration of its own; copied. */
void parent_configure(struct parents *parents, const char *path, const char *text, size_t length);
/* Likewise. Parents that stay keep their registration, which is renewed with what is new; those that go are told. */
struct json_t *parent_document(struct parents *parents);
/* {"parents":[{"id","domain","address","session":{…}}]}, at most a second old; a new reference. */
void parent_stop(struct parents *parents, bool for_good);
/* for_good: deregisters everywhere, waiting at most 2 s. Otherwise the next process goes on with the registrations.
 * NULL is fine. */

#endif
