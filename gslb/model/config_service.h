/* gslb/model/config_service.h
 * The part of the configuration that is about balancing: sites, networks of clients, monitors, services and their
 * members. Part of struct config (gslb/model/config), immutable. */
#ifndef GSLB_MODEL_CONFIG_SERVICE_H
#define GSLB_MODEL_CONFIG_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/prefix.h"
#include "gslb/model/name_index.h"
#include "gslb/model/position.h"

struct config_site {
  struct config_pos pos;
  const char *name;
  bool has_location;
  double latitude;  /* degrees */
  double longitude; /* degrees */
};

struct config_network { /* where clients are */
  struct config_pos pos;
  struct prefix prefix;
  uint32_t *sites; /* nearest first; indices */
  size_t site_count;
};

enum monitor_type { MONITOR_HTTP, MONITOR_TCP, MONITOR_DNS };
const char *monitor_type_name(enum monitor_type type);

struct status_range {
  uint16_t first;
  uint16_t last;
};

struct config_monitor {
  struct config_pos pos;
  const char *name;
  enum monitor_type type;
  uint16_t port;
  int64_t interval_ms;
  int64_t timeout_ms; /* below or equal to the interval */
  uint32_t rise;
  uint32_t fall;

  const char *path;                   /* http, default "/" */
  const char *host;                   /* http: Host header; NULL: the service's name */
  struct status_range *expect_status; /* http; default 200-399 */
  size_t expect_status_count;
  const char *expect_body; /* http: substring; NULL for none */

  const char *query_name;    /* dns */
  uint16_t query_type;       /* dns, RR type number */
  int expect_rcode;          /* dns, default 0 */
  const char *expect_answer; /* dns: one record's data in presentation form; NULL for none */
};

enum balance_method { METHOD_WEIGHTED, METHOD_ROUND_ROBIN, METHOD_ALL, METHOD_FIRST };
const char *balance_method_name(enum balance_method method);
enum when_down { WHEN_DOWN_ALL, WHEN_DOWN_EMPTY, WHEN_DOWN_LAST };
const char *when_down_name(enum when_down policy);

struct config_member {
  struct config_pos pos;
  const char *name;       /* one label, lower case: <member>.<service> is the target of SRV records */
  uint32_t site;          /* index into sites; UINT32_MAX for none */
  struct addr *addresses; /* without ports */
  struct config_pos *address_pos;
  size_t address_count;
  uint32_t weight;    /* 0 to 65535; 0 is answered only when nothing else is left */
  uint16_t srv_port;  /* 0: not in SRV answers */
  const char *target; /* answer cname or mx: the name to give; NULL: <member>.<service> (mx only) */
};

enum service_answer { ANSWER_ADDRESSES, ANSWER_CNAME, ANSWER_MX };

struct config_binding { /* RFC 9460; a record a drawn member with its port and its addresses as hints */
  bool is_given;
  const char *const *alpn; /* NULL-terminated; NULL: the key is left out */
  uint16_t port;           /* 0: the member's srv_port; without that too it is left out, so the client's default */
};

struct config_service {
  struct config_pos pos;
  const char *name; /* lower case, without the last dot */
  uint32_t zone;    /* index into zones */
  uint32_t ttl_min_s;
  uint32_t ttl_max_s;
  uint32_t answers;
  enum balance_method method;
  enum when_down when_down;
  uint32_t *monitors; /* indices into config.monitors */
  size_t monitor_count;
  struct config_member *members;
  size_t member_count;
  const struct name_index *member_index; /* of members by name; NULL: config_find_member goes through them */
  const char *srv;                       /* "_https._tcp", lower case; NULL for none */
  struct config_pos srv_pos;
  uint16_t srv_priority;
  bool is_nearest; /* members at the site nearest to the client are preferred */
  enum service_answer answer;
  struct config_binding https;
  struct config_binding svcb;
};

#endif
