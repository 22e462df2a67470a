/* discovery/publish/publish.h
 * Keeps other DNS servers told, by dynamic update (RFC 2136) with TSIG (RFC 8945), of where to register, of what can be
 * browsed and of the services' SRV records (gslb/decide/directory): at start, on change, again after a failure with a
 * growing pause, and withdrawn at a clean stop. Sends the difference to what it told before; the first time it asks for
 * what an earlier run left there (discovery/publish/leftover). One thread with its own facts, and one for each server
 * and zone (discovery/publish/outlet), so that one that does not answer holds up no other. */
#ifndef GSLB_DISCOVERY_PUBLISH_PUBLISH_H
#define GSLB_DISCOVERY_PUBLISH_PUBLISH_H

#include <stdbool.h>

#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/commit.h"
#include "gslb/model/config.h"
#include "gslb/model/store.h"

struct publisher;

struct publisher_links { /* borrowed until publisher_stop */
  struct store *durable, *live;
  struct committer *committer; /* for events: "publish" with from, to and reason; NULL: none are kept */
  const struct house *house;
};

enum status publisher_start(const struct publisher_links *links, const struct config *config, const char *text,
                            size_t length, struct publisher **out, struct errbuf *err);
/* config with its text (config_parse), from which it makes a configuration of its own. With nothing to publish it
 * sleeps. */
void publisher_configure(struct publisher *publisher, const char *path, const char *text, size_t length);
void publisher_wake(struct publisher *publisher);
/* Facts changed (the bell). Any thread; gathers changes for 100 ms. */
struct json_t *publisher_document(struct publisher *publisher);
/* {"publish":[{"server","zone","records","state","last_at","error","next_at"}]}. */
void publisher_stop(struct publisher *publisher, bool for_good);
/* for_good: withdraws what it told, waiting at most 3 s for the servers. NULL is fine. */

#endif
