/* discovery/documents/document.h
 * The JSON documents of registration (docs/api.md): read from foreign bytes and checked, merged, written. Bounded in
 * size, depth and count before anything is kept. Everything that is wrong is told at once, each with its JSON pointer
 * (RFC 6901). Pure; any thread. */
#ifndef GSLB_DISCOVERY_DOCUMENTS_DOCUMENT_H
#define GSLB_DISCOVERY_DOCUMENTS_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/memory.h"
#include "gslb/base/status.h"
#include "gslb/model/registration.h"

#define DOCUMENT_NESTING_MOST 8u

struct json_t;

struct document_service {
  const char *name;     /* lower case, without the last dot */
  uint16_t port;        /* 0: none */
  uint32_t weight;      /* default: the resource's */
  uint32_t tier;        /* default: the resource's */
  const char *instance; /* NULL: none */
};

struct document { /* a registration; all in the caller's arena */
  enum resource_kind kind;
  const char *site;       /* NULL: none */
  struct addr *addresses; /* without ports */
  size_t address_count;
  struct document_service *services;
  size_t service_count;
  int64_t lease_ms; /* 0: unlimited */
  uint32_t weight;
  uint32_t tier;
  double capacity;                 /* 0: not told */
  const char *version;             /* NULL: not told */
  const char *const *capabilities; /* NULL-terminated */
  const char *const *labels;       /* "key=value", NULL-terminated, in order of keys */
  const char *utilization_url;     /* http or https; NULL */
  const char *notice_url;          /* likewise */
  const char *const *path;         /* of a balancer: the identities below it and its own, NULL-terminated */
};

enum status document_read(const char *text, size_t size, struct json_t **out, struct json_t **errors,
                          struct errbuf *err);
/* JSON from foreign bytes, an object. STATUS_INVALID: err says where it is no JSON, too deep, too long, or has a key
 * twice; *errors untouched. */

enum status document_parse_registration(const struct json_t *json, struct arena *arena, struct document *out,
                                        struct json_t **errors);
/* A registration. STATUS_RANGE: *errors is a new array of {"pointer","detail"}. Unknown members are errors. */

struct json_t *document_merge(const struct json_t *stored, const struct json_t *patch);
/* JSON Merge Patch (RFC 7396); a new reference. */

struct json_t *document_write(const struct document *document);
/* Complete, with every default written out; what resource_record.document holds. */

struct document_status { /* PUT /v1/resources/{id}/status */
  uint64_t epoch;
  uint64_t sequence;
  enum health self; /* HEALTH_UNKNOWN: not told */
  char self_reason[96];
  struct metrics_record metrics; /* at_ms is left 0; ORCA names flattened: "cpu_utilization", "named_metrics.x",
                                  * "services.<name>.members_up" */
  double utilization;            /* application_utilization, or else cpu_utilization; LEASE_NO_UTILIZATION */
};
enum status document_parse_status(const struct json_t *json, struct document_status *out, struct json_t **errors);

void document_member(const struct document *document, size_t service, struct arena *arena, struct member_record *out);
/* The row of one of its services. */

#endif
