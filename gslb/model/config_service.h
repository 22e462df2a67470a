/* gslb/model/config_service.h
 * The part of the configuration that is about balancing: sites, networks of clients, services and their members. Part
 * of struct config (gslb/model/config), immutable. */
#ifndef GSLB_MODEL_CONFIG_SERVICE_H
#define GSLB_MODEL_CONFIG_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/prefix.h"
#include "gslb/model/config_monitor.h"
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

enum balance_method { METHOD_WEIGHTED, METHOD_ROUND_ROBIN, METHOD_ALL, METHOD_FIRST };
const char *balance_method_name(enum balance_method method);
enum when_down { WHEN_DOWN_ALL, WHEN_DOWN_EMPTY, WHEN_DOWN_LAST };
const char *when_down_name(enum when_down policy);

struct config_member {
  struct config_pos pos;
  const char *name;               /* one label, lower case: <member>.<service> is the target of SRV records */
  uint32_t site;                  /* index into sites; UINT32_MAX for none */
  struct addr *addresses;         /* without ports */
  struct config_pos *address_pos; /* NULL for one that registered */
  size_t address_count;
  uint32_t weight;    /* 0 to 65535; 0 is answered only when nothing else is left */
  uint16_t srv_port;  /* 0: not in SRV answers */
  const char *target; /* answer cname or mx: the name to give; NULL: <member>.<service> (mx only) */
  uint32_t tier;      /* 0 to 255; the lowest that has somebody to answer with is answered, SRV names all of them */
  uint32_t monitors;  /* which of the service's monitors apply: bit i for the i-th */
  struct addr monitor_address; /* family 0: each address is probed itself; otherwise this one stands for all of them */
  uint32_t threshold;          /* 0: the service's */

  /* what only a registered member has (gslb/model/roster) */
  bool is_registered;
  bool is_balancer;       /* its resource is a balancer: it is answered with the balancer's own addresses */
  const char *instance;   /* what DNS-SD calls it, UTF-8, at most 63 bytes; NULL: <member>.<service without the zone> */
  const char *const *txt; /* "key=value", NULL-terminated: the labels, for DNS-SD; NULL for none */
  const char *utilization_url; /* where its figures are read (sources of type utilization); NULL: nowhere */
};

enum service_answer { ANSWER_ADDRESSES, ANSWER_CNAME, ANSWER_MX };

struct config_binding { /* RFC 9460; a record a drawn member with its port and its addresses as hints */
  bool is_given;
  const char *const *alpn; /* NULL-terminated; NULL: the key is left out */
  uint16_t port;           /* 0: the member's srv_port; without that too it is left out, so the client's default */
};

struct config_accept { /* registrations that a service takes */
  bool is_given;
  const char *const *tokens; /* names of tokens and of control.clients, NULL-terminated; at least one */
  uint32_t *sites;           /* a registration must name one of these; none: any configured site, or no site */
  size_t site_count;
  struct prefix *networks; /* every address must lie in one of these; none: any */
  size_t network_count;
  uint32_t members_most;  /* registered members at once */
  uint32_t services_most; /* above 0: the service is a pattern, "*.base", and registrations create services of one label
                           * below base, at most so many at once */
  uint32_t *named_monitors; /* as the file names them: indices into config.monitors */
  size_t named_monitor_count;
  uint32_t monitors; /* which of the service's monitors apply to registered members: bit i for the i-th; default: those
                      * that apply to configured members */
  uint32_t weight_least, weight_most; /* a registration's weight must keep within */
  uint32_t tier_least, tier_most;
  int64_t lease_least_ms, lease_most_ms; /* a lease must keep within; lease_most_ms 0: unlimited ones too */
};

#define CONFIG_NO_PATTERN UINT32_MAX

struct config_service {
  struct config_pos pos;
  const char *name; /* lower case, without the last dot; "" for a vacancy */
  uint32_t zone;    /* index into zones */
  uint32_t ttl_min_s;
  uint32_t ttl_max_s;
  uint32_t answers;
  enum balance_method method;
  enum when_down when_down;
  uint32_t *monitors; /* indices into config.monitors: those of configured members, then what accept.monitors adds */
  size_t monitor_count;
  uint32_t threshold; /* weights of passing monitors that make an address up; 0: all of its monitors' together */
  uint32_t *sources;  /* indices into config.sources: where figures of the members come from */
  size_t source_count;
  uint32_t load; /* index into config.loads; CONFIG_NO_LOAD */
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
  struct config_accept accept;
  /* After the configured services stand the vacancies of the patterns, accept.services_most for each: copies of the
   * pattern with the name "" and no members, which gslb/model/roster fills when registrations come. */
  uint32_t pattern;             /* of a vacancy: index of its pattern; CONFIG_NO_PATTERN otherwise */
  const char *const *on_empty;  /* operator's command and arguments, NULL-terminated, for when no member is left */
  int64_t on_empty_interval_ms; /* at most one run in so long */
};

static inline bool config_service_is_pattern(const struct config_service *service) {
  return service->accept.services_most > 0 && service->pattern == CONFIG_NO_PATTERN;
}
/* A pattern has no members, and is itself neither decided nor answered. */

static inline bool config_service_is_vacancy(const struct config_service *service) {
  return service->pattern != CONFIG_NO_PATTERN;
}

#endif
