/* discovery/publish/outlet.h
 * One zone at another DNS server that is kept told: a thread that holds what it told, and sends the difference to what
 * is wanted now. What a run before this one left behind is looked for once, in the places where we put things, and
 * taken back. Weights of SRV records alone are sent at most every 30 s, everything else at once; after a failure again
 * with a growing pause; everything anew every 5 minutes, as somebody else may have changed it. */
#ifndef GSLB_DISCOVERY_PUBLISH_OUTLET_H
#define GSLB_DISCOVERY_PUBLISH_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/clock.h"
#include "gslb/decide/directory.h"
#include "gslb/model/config.h"
#include "gslb/model/name.h"

struct json_t;
struct outlet;

enum outlet_state { OUTLET_STARTING, OUTLET_TOLD, OUTLET_FAILING, OUTLET_WITHDRAWN };
const char *outlet_state_name(enum outlet_state state);
/* "starting", "told", "failing", "withdrawn". */

struct outlet_options {
  struct addr server; /* with port */
  const char *zone;
  const struct config_key *key; /* NULL: unsigned */
  const struct house *house;    /* borrowed until outlet_free */
  void (*changed)(void *context, const char *label, enum outlet_state from, enum outlet_state to, const char *reason);
  /* From its thread. label: "example.com at 127.0.0.1@53". */
  void *context;
};

struct outlet *outlet_new(const struct outlet_options *options);
/* Copies options. NULL: no thread, or the zone is no name. */
void outlet_tell(struct outlet *outlet, const struct directory *wanted, const struct name *services, size_t count);
/* Copied. services: the owners of services' SRV records that it may have been told, now or by an earlier run. Records
 * outside the zone are not sent. Any thread; never waits. */
struct json_t *outlet_document(struct outlet *outlet);
/* {"server","zone","records","state","last_at","error","next_at"}; a new reference. */
void outlet_withdraw(struct outlet *outlet, int64_t deadline_ms);
/* Takes everything back, until the deadline (mono), once, and ends. Returns at once. */
void outlet_free(struct outlet *outlet);
/* Waits for its end; without outlet_withdraw before, what was told stays. NULL is fine. */

#endif
