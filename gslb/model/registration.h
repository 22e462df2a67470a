/* gslb/model/registration.h
 * The stored records of registration as structs, and the one place where they are encoded and decoded, as
 * gslb/model/records does for the others: a version byte first (unknown: STATUS_VERSION), STATUS_INVALID for bytes that
 * do not fit. No I/O. Any thread. */
#ifndef GSLB_MODEL_REGISTRATION_H
#define GSLB_MODEL_REGISTRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/memory.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "gslb/model/metrics.h"
#include "gslb/model/records.h"

#define REGISTRATION_ID_MOST 63u       /* one label of a host name, lower case; it is the member's name too */
#define REGISTRATION_SERVICES_MOST 16u /* of a resource */
#define REGISTRATION_LABELS_MOST 32u
#define REGISTRATION_DOCUMENT_MOST 16384u
#define REGISTRATION_URL_MOST 512u
#define REGISTRATION_PATTERNS_MOST 32u /* in a token */

enum resource_kind { RESOURCE_SERVER, RESOURCE_BALANCER, RESOURCE_CLOUD };
const char *resource_kind_name(enum resource_kind kind);
enum status resource_kind_parse(const char *word, enum resource_kind *out);

/* durable, STORE_DB_RESOURCES: id -> what was registered */
struct resource_record {
  uint64_t revision;     /* of this row, from 1: the ETag */
  uint64_t epoch;        /* new with each registration that was not there; a status must name it */
  int64_t registered_ms; /* house time */
  int64_t changed_ms;
  int64_t lease_ms;         /* 0: unlimited */
  char owner[64];           /* token or client that registered it; "operator" */
  char notice_key[65];      /* hex; signs notices to it */
  bool is_removed;          /* by an operator: registering is answered with 410 */
  int64_t removed_until_ms; /* 0: until an operator allows it again */
  char removed_why[128];
  const char *document; /* JSON as registered and completed (discovery/documents); borrowed from the decoded bytes */
  size_t document_size;
};
uint8_t *resource_encode(const struct resource_record *record, size_t *size);
/* free() it. */
enum status resource_decode(const void *data, size_t size, struct resource_record *out);

/* durable, STORE_DB_MEMBERS: service \0 id -> what readers need of it to answer, probe and show; one row for each
 * service of a resource */
struct member_record {
  enum resource_kind kind;
  struct addr addresses[CONFIG_ADDRESSES_MOST]; /* without ports */
  uint32_t address_count;
  char site[64]; /* "" for none */
  uint32_t weight;
  uint32_t tier;
  uint16_t port; /* 0: none */
  char instance[64];
  const char *const *txt;      /* "key=value", NULL-terminated; in the arena of the decoder; NULL for none */
  const char *utilization_url; /* http or https, at most REGISTRATION_URL_MOST bytes; likewise */
};
uint8_t *member_encode(const struct member_record *record, size_t *size);
/* Version 2. free() it. */
enum status member_decode(const void *data, size_t size, struct arena *arena, struct member_record *out);
/* Version 1, which had no URL, is read too. */

/* live, STORE_DB_LEASES: id -> lease and what the resource says of itself */
enum lease_state {
  LEASE_LIVE,
  LEASE_STALE, /* ended with most others of its service while its probes pass: kept for a while (docs/operating.md) */
  LEASE_ENDED, /* not answered any more; its rows are about to go */
};
const char *lease_state_name(enum lease_state state);

#define LEASE_NO_UTILIZATION (-1.0)

struct lease_record {
  enum lease_state state;
  int64_t end_ms; /* house time; 0: unlimited. Written down at most once a second, so it may be older than the truth */
  int64_t since_ms; /* house time of the last change of state */
  int64_t renewed_ms;
  uint64_t epoch;
  uint64_t sequence;    /* of the last status taken */
  enum health self;     /* HEALTH_UP, HEALTH_DRAINING, HEALTH_DOWN (maint); HEALTH_UNKNOWN: it never said */
  bool is_moved;        /* it is with another balancer now, and renews here no more */
  double utilization;   /* 0 idle to 1 full, may be above; LEASE_NO_UTILIZATION */
  char self_reason[96]; /* last: the facts keep it as far as it goes */
};
const char *lease_word(const struct lease_record *record);
/* For people: its state's name, or "moved". */
size_t lease_encode(const struct lease_record *record, uint8_t out[RECORD_SIZE_MOST]);
enum status lease_decode(const void *data, size_t size, struct lease_record *out);

/* durable, STORE_DB_TOKENS: name -> token. Patterns are names in which "*" stands for any run of characters. */
struct token_record {
  uint8_t hash[32]; /* BLAKE2b of the token; the token itself is kept nowhere */
  int64_t created_ms;
  int64_t until_ms; /* 0: no end */
  bool is_admin;    /* may do what an operator may on the unix socket */
  bool may_read;
  char who[64]; /* created it */
  uint32_t resource_count, service_count;
  char resources[REGISTRATION_PATTERNS_MOST][80];
  char services[REGISTRATION_PATTERNS_MOST][256];
};
uint8_t *token_encode(const struct token_record *record, size_t *size);
/* free() it. */
enum status token_decode(const void *data, size_t size, struct token_record *out);

/* live, STORE_DB_BALANCERS: identity -> a balancer, this one or a peer, as resources are told of it */
struct balancer_record {
  bool is_alive;     /* answers */
  bool is_accepting; /* takes registrations now: alive and not about to go away */
  bool is_own;
  bool is_tls;
  int64_t since_ms;                             /* of the last change of the two */
  int64_t leaves_ms;                            /* house time at which it is going away; 0: not planned */
  char name[64];                                /* one label: its target is <name>.<zone> */
  struct addr addresses[CONFIG_ADDRESSES_MOST]; /* with ports, all the same */
  uint32_t address_count;
  uint16_t priority, weight;
  char reason[96]; /* why it is not alive */
};
size_t balancer_encode(const struct balancer_record *record, uint8_t out[RECORD_SIZE_MOST]);
enum status balancer_decode(const void *data, size_t size, struct balancer_record *out);

/* durable, STORE_DB_LEAVES: start in house time, 8 bytes big-endian -> a planned absence of this balancer */
struct leave_record {
  int64_t at_ms;
  int64_t until_ms;
  char who[64];
  char why[128];
};
size_t leave_encode(const struct leave_record *record, uint8_t out[RECORD_SIZE_MOST]);
enum status leave_decode(const void *data, size_t size, struct leave_record *out);

bool pattern_matches(const char *pattern, const char *text);
/* "*" in pattern stands for any run of characters, also none. Case matters. Linear in their lengths. */

#endif
