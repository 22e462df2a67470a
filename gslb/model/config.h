/* gslb/model/config.h
 * The configuration as structs: one immutable tree in one arena, borrowed by everyone until config_free. Loaded from
 * YAML by the schema table (gslb/model/schema). Any thread may read it. */
#ifndef GSLB_MODEL_CONFIG_H
#define GSLB_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/prefix.h"
#include "gslb/base/problem.h"
#include "gslb/base/status.h"
#include "gslb/model/config_control.h"
#include "gslb/model/config_service.h"
#include "gslb/model/config_zone.h"
#include "gslb/model/position.h"

struct name_index;

#define CONFIG_WORKERS_MOST 64u
#define CONFIG_LISTEN_MOST 32u
#define CONFIG_THREADS_MOST 256u /* that answer: workers x (addresses + 1) */
#define CONFIG_MEMBER_NAME_MOST 63u
#define CONFIG_ADDRESSES_MOST 16u /* of a member */
#define CONFIG_MONITORS_MOST 16u  /* of a service */
#define CONFIG_SOURCES_MOST 16u   /* of a service */
#define CONFIG_METRICS_MOST 64u   /* of a source or a load section */
#define CONFIG_OF_MOST 16u        /* monitors that a calculated one names */
#define CONFIG_MEMBERS_MOST 4096u /* of a service */
#define CONFIG_SERVICES_MOST 1000000u
#define CONFIG_ANSWERS_MOST 64u /* records in one balanced answer */
#define CONFIG_PEERS_MOST 32u   /* primaries of a zone, servers that it notifies, other balancers */
#define CONFIG_NETWORK_SITES_MOST 1000u
#define CONFIG_VACANCIES_MOST 100000u /* of a pattern */
#define CONFIG_ID_PATTERN_MOST 79u    /* bytes of a pattern of ids */
#define CONFIG_INTERFACES_MOST 32u    /* with multicast DNS */
#define CONFIG_BALANCER_NAME_SIZE 64u

enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };

struct config_rate_limit {  /* of responses, for each client network and kind of answer */
  uint32_t responses_per_s; /* for one name; 0: no limit */
  uint32_t total_per_s;     /* for all names together; 0: no limit */
  uint32_t slip;            /* each slip-th limited response goes out truncated; 0: all are dropped */
  uint8_t ipv4_bits;        /* what counts as one client */
  uint8_t ipv6_bits;
  struct prefix *exempt;
  size_t exempt_count;
};

struct config_server {
  const char *identity; /* a DNS name in lower case */
  const char *state;    /* directory, absolute */
  const char *run;      /* directory of the unsynced store, absolute; default: $RUNTIME_DIRECTORY, or else state/run */
  const char *user;     /* NULL: as gslbd was started */
  struct addr *listen;  /* with ports */
  size_t listen_count;
  uint32_t workers;
  bool has_cpu_affinity;     /* each worker keeps to its processors, and gets the datagrams that arrive there */
  uint32_t busy_poll_us;     /* how long a receive looks at the network card before it sleeps; 0: not at all */
  uint32_t udp_payload;      /* bytes, both ways */
  bool has_udp_segmentation; /* answers of one size to one port leave as one train */
  uint32_t tcp_connections;  /* a worker */
  uint32_t tcp_per_client;   /* connections of one client address, a worker */
  int64_t tcp_idle_ms;
  const char *nsid;          /* RFC 5001; default: identity; NULL: none is given */
  const char *version;       /* answer to version.bind; NULL: refused */
  bool has_cookies;          /* RFC 7873 */
  const char *cookie_secret; /* absolute path of a file with one secret a line, the current first; NULL: made up */
  struct config_rate_limit rate_limit;
  enum config_log_format log_format;
  int log_level;                /* enum log_level */
  const char *const *on_change; /* operator's command and arguments, NULL-terminated; NULL for none */
};

struct config {
  const char *path; /* as given */
  struct config_server server;
  struct config_control control;
  struct config_zone *zones;
  size_t zone_count;
  struct config_site *sites;
  size_t site_count;
  struct config_key *keys;
  size_t key_count;
  struct config_network *networks;
  size_t network_count;
  struct config_monitor *monitors;
  size_t monitor_count;
  struct config_snmp_access *snmp;
  size_t snmp_count;
  struct addr trap_listen; /* family 0: no traps are taken */
  struct config_source *sources;
  size_t source_count;
  struct config_load *loads;
  size_t load_count;
  bool has_history;
  struct config_service *services; /* vacancies (config_service.h) last */
  size_t service_count;
  struct config_peer *peers;
  size_t peer_count;
  struct config_parent *parents;
  size_t parent_count;
  struct config_publish *publish;
  size_t publish_count;
  struct config_mdns mdns;
  const struct name_index *service_index; /* of services by name; NULL: config_find_service goes through them */
};

struct config *config_parse(const char *path, const char *text, size_t length, struct problems *problems);
/* Parses what config_read_whole made of path, or the text of one file that refers to no other (path is used for
 * messages and as the base of relative paths), and checks its meaning, everything that can be told without opening
 * files. NULL when anything was added to problems. */

struct config *config_load(const char *path, struct problems *problems);
/* config_read_whole, then config_parse. */

enum status config_read_whole(const char *path, char **text, size_t *length, struct problems *problems);
/* Reads the file and all that it refers to and that belongs to the configuration: included files, the names of the
 * zones in a directory, secrets of keys; together at most 64 MiB. One text for config_parse, so that who gets it sees
 * the same as all others and needs no right to read; free() it. It holds secrets. When the file itself cannot be read
 * a problem tells why; what it refers to and cannot be read is reported by config_parse, at the place that does. */

enum status config_read_file(const char *path, char **text, size_t *length, struct errbuf *err);
/* The bytes of a file of at most 64 MiB, NUL-terminated; free() them. */

const char *config_file_at(const struct config *config, struct config_pos pos);
/* The file that the place is in, for messages. */

void config_free(struct config *config);

char *config_help(void);
/* The schema as text for --help-config: every key with type, range, default and help; free() it. */

void config_balancer_name(const char *identity, char out[CONFIG_BALANCER_NAME_SIZE]);
/* The label under which a balancer with this identity stands in each zone, unless it is told another one
 * (control.advertise.name): gslb- and the identity's first label, in letters, digits and "-". */

size_t config_find_service(const struct config *config, const char *name);
/* Index of the configured service, or SIZE_MAX. Case matters not; a last dot is ignored. Services that registrations
 * created are found by gslb/model/roster. */
size_t config_count_services(const struct config *config);
/* Without the vacancies. */
size_t config_find_member(const struct config_service *service, const char *name);
/* Index of the member, or SIZE_MAX. Case matters not. */

#endif
