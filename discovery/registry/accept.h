/* discovery/registry/accept.h
 * Which registrations the services take: a copy of what the configuration says of it (accept), so that it may be
 * exchanged while registrations are under way, and the judgement of a registration by it, with a reason and a JSON
 * pointer for each refusal. Immutable and counted by reference; any thread. */
#ifndef GSLB_DISCOVERY_REGISTRY_ACCEPT_H
#define GSLB_DISCOVERY_REGISTRY_ACCEPT_H

#include <stddef.h>
#include <stdint.h>

#include "discovery/documents/document.h"
#include "discovery/registry/principal.h"
#include "discovery/registry/tally.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"

struct accept_rules;

struct accept_rules *accept_rules_new(const struct config *config);
/* Copies what it needs. */
struct accept_rules *accept_rules_hold(struct accept_rules *rules);
/* Returns rules. */
void accept_rules_release(struct accept_rules *rules);

enum status accept_check(const struct accept_rules *rules, const struct principal *principal, const char *id,
                         const struct document *document, struct json_t **errors, struct errbuf *err);
/* The scope of who asks, and what each service says of tokens, sites, networks, weight, tier and lease. An operator and
 * an administrator's token need not be among accept.tokens. STATUS_FORBIDDEN: who asks, or where it is, does not fit;
 * STATUS_RANGE: what it says does not fit. Both with all complaints in *errors, and the first of the worse kind in
 * err. */

enum status accept_count(const struct accept_rules *rules, const struct tally *tally,
                         const struct tally_holding *before, const struct tally_holding *after, struct json_t **errors,
                         struct errbuf *err);
/* Whether there is room for what a resource would hold after, where it holds before. STATUS_LIMIT with complaints. */

uint32_t accept_ttl_most_s(const struct accept_rules *rules, const char *service);
/* How long caches keep the service's answers; 0 when it takes no registrations. */

#endif
