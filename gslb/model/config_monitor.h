/* gslb/model/config_monitor.h
 * The part of the configuration that is about measuring: monitors, which judge, and sources, which bring figures, with
 * the credentials that they use, and load sections, which make one figure of many. Part of struct config
 * (gslb/model/config), immutable. */
#ifndef GSLB_MODEL_CONFIG_MONITOR_H
#define GSLB_MODEL_CONFIG_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/model/match.h"
#include "gslb/model/metrics.h"
#include "gslb/model/position.h"

enum monitor_type {
  MONITOR_HTTP,
  MONITOR_HTTPS,
  MONITOR_TCP,
  MONITOR_UDP,
  MONITOR_DNS,
  MONITOR_PING,
  MONITOR_FTP,
  MONITOR_SNMP,
  MONITOR_EXEC,
  MONITOR_SERVICE,    /* passes while another service has at least so many members up; decided, not probed */
  MONITOR_CALCULATED, /* passes while at least so many of a list of monitors pass; decided, not probed */
};
const char *monitor_type_name(enum monitor_type type);

struct status_range {
  uint16_t first;
  uint16_t last;
};

struct config_expectation { /* of a body, a text or a line */
  const char *text;         /* as given; NULL: none */
  bool is_regex;            /* POSIX extended; otherwise a substring */
  bool is_inverted;         /* must not be there */
  struct match *match;      /* compiled once, at load; the configuration's */
};

struct config_client_tls {
  const char *server_name; /* NULL: host, or the service's name */
  bool is_unverified;      /* said explicitly */
  const char *ca;          /* absolute path, PEM; NULL: the system's */
  const char *certificate; /* absolute path, PEM; NULL: none is shown */
  const char *key;
};

enum snmp_version { SNMP_V2C, SNMP_V3 };
enum snmp_auth { SNMP_AUTH_NONE, SNMP_AUTH_SHA, SNMP_AUTH_SHA256, SNMP_AUTH_SHA512 };
enum snmp_privacy { SNMP_PRIVACY_NONE, SNMP_PRIVACY_AES };

struct config_snmp_access { /* how a device is asked, and who may send traps */
  struct config_pos pos;
  const char *name;
  enum snmp_version version;
  const char *community; /* v2c; read from its file by the bundle */
  const char *user;      /* v3, and the rest */
  enum snmp_auth auth;
  const char *auth_secret; /* at least 8 bytes; likewise */
  enum snmp_privacy privacy;
  const char *privacy_secret;
  const char *context; /* "" for none */
};

enum snmp_comparison { SNMP_EQUAL, SNMP_NOT_EQUAL, SNMP_LESS, SNMP_AT_MOST, SNMP_GREATER, SNMP_AT_LEAST, SNMP_MATCHES };

struct config_monitor {
  struct config_pos pos;
  const char *name;
  enum monitor_type type;
  uint16_t port; /* 0 where the type has none */
  struct addr
      address; /* family 0: the member's; otherwise the subject is this one (a balancer, a gateway), with port */
  int64_t interval_ms;
  int64_t timeout_ms; /* below or equal to the interval */
  uint32_t rise;
  uint32_t fall;
  uint32_t weight;    /* what a pass of it counts towards service.threshold; default 1; 0: only for calculated ones */
  int starts_as;      /* enum health: unknown, up or down until the first result */
  double idle_factor; /* interval times this while nobody asks for the service; 1: as always */

  /* http, https */
  const char *method;         /* default GET */
  const char *path;           /* default "/" */
  const char *host;           /* Host header; NULL: the service's name */
  const char *const *headers; /* "Name: value", NULL-terminated */
  const char *body;           /* sent; NULL: none */
  bool is_http2;
  uint32_t redirects;                 /* followed at most; 0: a redirect is an answer like others */
  uint32_t body_most;                 /* bytes of the answer that are read */
  struct status_range *expect_status; /* default 200-399 */
  size_t expect_status_count;
  struct config_client_tls tls; /* https */

  const char *send; /* tcp, udp: bytes, escapes resolved; NULL: none */
  size_t send_size;
  struct config_expectation expect; /* http(s): of the body; tcp, udp: of what comes; ftp: of the file; exec: of the
                                     * last line; snmp with SNMP_MATCHES: of the value */

  /* dns */
  const char *query_name;
  uint16_t query_type;               /* RR type number */
  int expect_rcode;                  /* default 0 */
  const char *const *expect_answers; /* records' data in presentation form, each of which must be there; NULL: none */
  bool is_whole_answer;              /* and no other may be */
  bool has_serial_least;
  uint32_t serial_least;     /* SOA: not older than this (RFC 1982) */
  int64_t signature_left_ms; /* RRSIG of the answer must be valid for so long still; 0: not looked at */

  const char *user, *password; /* ftp; default anonymous */

  const char *oid; /* snmp: numeric */
  uint32_t access; /* index into snmp accesses */
  enum snmp_comparison comparison;
  const char *value; /* to compare with; as a number where both are */

  const char *const *command; /* exec: program (absolute) and arguments, NULL-terminated; with uses_shell /bin/sh -c and
                               * the line */
  bool uses_shell;            /* said explicitly */

  const char *service; /* service: its name */
  uint32_t *of;        /* calculated: indices of monitors, all below its own */
  size_t of_count;
  uint32_t least; /* service: members up; calculated: monitors passing */
};

enum source_type { SOURCE_UTILIZATION, SOURCE_SCRAPE, SOURCE_AGENT_CHECK, SOURCE_SNMP };
const char *source_type_name(enum source_type type);

struct config_source_metric { /* scrape: which series; snmp: which object of an own table */
  const char *name;           /* ours */
  const char *series;         /* scrape: name in the exposition */
  const char *const *labels;  /* scrape: "name=value", all of which the series must have */
  const char *oid;            /* snmp: numeric */
  const char *where_oid;      /* snmp table: column that is searched for where_value to find the row's index */
  const char *where_value;
  bool is_rate; /* a counter: its growth a second is the value */
  double scale; /* the value is multiplied by this; default 1 */
};

struct config_source {
  struct config_pos pos;
  const char *name;
  enum source_type type;
  uint16_t port;
  struct addr address; /* family 0: the member's */
  int64_t interval_ms; /* 0: not at an interval (utilization with schedule or every_answers) */
  int64_t timeout_ms;
  const char *schedule;   /* utilization: "minute hour day month weekday" (as cron has it); NULL: none */
  uint32_t every_answers; /* utilization: after so many answers with the member; 0: not */
  bool is_tls;
  const char *path, *host;
  struct config_client_tls tls;
  const char *send;  /* agent_check: sent before reading; NULL: nothing */
  const char *table; /* snmp: a ready table's name (gslb/model/snmp_tables); NULL: metrics below */
  uint32_t access;   /* snmp */
  struct config_source_metric *metrics;
  size_t metric_count;
};

enum metric_view { VIEW_LAST, VIEW_MEAN, VIEW_RATE, VIEW_PEAK, VIEW_P95 };
const char *metric_view_name(enum metric_view view);
enum threshold_rule { THRESHOLD_ANY, THRESHOLD_ALL, THRESHOLD_PREFER };

struct config_load_metric {
  const char *name;
  enum metric_source source; /* METRICS_SOURCES: whichever has it, the freshest */
  double weight;             /* above 0; default 1 */
  double ceiling;            /* 0: as the device tells it (metric "<name>_ceiling"), or else 1 */
  bool is_more_better;       /* counts as (ceiling - value) / ceiling */
  enum metric_view view;
  bool has_threshold;
  double threshold; /* of value in view; passed when above (more is better: below) */
  double release;   /* passed no more when below (above); default: threshold */
};

struct config_load {
  struct config_pos pos;
  const char *name;
  int64_t window_ms; /* of the views */
  enum threshold_rule rule;
  struct config_load_metric *metrics; /* none: those that utilization reports have */
  size_t metric_count;
};

#define CONFIG_NO_LOAD UINT32_MAX

#endif
