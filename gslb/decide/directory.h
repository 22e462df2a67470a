/* gslb/decide/directory.h
 * What a zone tells machines and browsers beside the services' own answers, as neutral records: where to register
 * (_gslb-register._tcp: SRV, TXT and the balancers' addresses), DNS-SD (RFC 6763: _services._dns-sd._udp, PTR, SRV and
 * TXT of instances), and, for other servers, the services' SRV records with their members' addresses. The responder
 * answers them, dynamic update pushes them, mDNS answers the first part: all from here.
 * Pure: no I/O, no clock, no random; results live in the caller's arena. Any thread. */
#ifndef GSLB_DECIDE_DIRECTORY_H
#define GSLB_DECIDE_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/decide/evaluate.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"
#include "gslb/model/name.h"

#define DIRECTORY_REGISTER_TTL_S 10u
#define DIRECTORY_API_VERSION "1"
#define DIRECTORY_API_PATH "/v1"
#define DIRECTORY_INSTANCES_MOST 1000u  /* in one PTR set */
#define DIRECTORY_SET_BYTES_MOST 60000u /* of one set of PTR or SRV records: more would not fit into a message */

enum directory_type {
  DIRECTORY_A = 1,
  DIRECTORY_PTR = 12,
  DIRECTORY_TXT = 16,
  DIRECTORY_AAAA = 28,
  DIRECTORY_SRV = 33
};

/* Where the parts stand, under the origin. */
#define DIRECTORY_REGISTER "_gslb-register._tcp"
#define DIRECTORY_TYPES "_services._dns-sd._udp"

struct directory_record { /* one resource record, class IN */
  struct name owner;
  uint16_t type;
  uint32_t ttl_s;
  const uint8_t *data; /* RDATA, names in it not compressed */
  uint16_t size;
};

struct directory { /* in order of owner (RFC 4034 section 6.1), type, data; no doubles; one TTL in a set */
  struct directory_record *records;
  size_t count;
  int64_t valid_until_ms; /* house time of the next change by time alone; INT64_MAX: none */
};

struct directory_wish {
  const char *origin; /* the zone that the names are to stand in: the zone's own, another server's, or "local" */
  bool has_register;
  bool has_browse;
  bool has_services;
  bool is_multicast; /* RFC 6762: this balancer alone, as an instance too; no services; TTLs of section 10 */
};

/* The registration service names those balancers that accept registrations and that can be talked to as its one TXT
 * record says: with TLS or without, as this balancer does, or, while it takes none, the first that does. Others are
 * found by their instances under DNS-SD, each with a TXT record of its own, and by the answers to resources.
 * Instances are named as they were registered, or <member>.<service without the zone>; where two of a type have the
 * same name (case matters not) the later one, in order of service and member, gets the second form, and with that taken
 * too it is left out. So is what makes no valid name, and what is beyond the bounds above. */
void directory_build(const struct config *config, const struct facts *facts, size_t zone, int64_t now_ms,
                     const struct directory_wish *wish, struct arena *arena, struct directory *out);
/* Of the services of one zone of the configuration and of the balancers that accept registrations now. SRV records name
 * <member>.<service>; with has_services the same below the origin, where their addresses are then given. */

void directory_build_balancers(const struct balancer_facts *balancers, size_t count, const struct directory_wish *wish,
                               struct arena *arena, struct directory *out);
/* The same of the balancers alone: has_services counts as false. */

void directory_sort(struct directory *directory);
/* Brings records into that order, drops doubles, and gives every set the least of its TTLs (RFC 2181 section 5.2). */
bool directory_is_same_set(const struct directory_record *a, const struct directory_record *b);
/* Owner and type. */

bool directory_target(const struct directory_record *record, struct name *out);
/* The name that the data of a PTR or SRV record ends with, in lower case. False: another type, or malformed data. */

int directory_compare_owners(const struct name *a, const struct name *b);
/* In the order of RFC 4034 section 6.1; both lower case. */

#endif
