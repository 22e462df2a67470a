#include "gslb/model/config_schema.h"

#include <stddef.h>

#include "gslb/model/config_check.h"
#include "gslb/model/config_values.h"
#include "gslb/model/domain.h"

#define MILLISECOND 1
#define SECOND 1000
#define DAY 86400000

#define ONLY_HTTP (1u << MONITOR_HTTP)
#define ONLY_DNS (1u << MONITOR_DNS)

#define ROWS(table) .rows = (table), .count = sizeof(table) / sizeof(table)[0]
#define ONE(type, field) .offset = offsetof(type, field)
#define MANY(type, field, counter)                                                                                     \
  .is_list = true, .offset = offsetof(type, field), .count_offset = offsetof(type, counter),                           \
  .item_size = sizeof *((type *)NULL)->field

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const log_formats[] = {
    [CONFIG_LOG_TEXT] = "text",
    [CONFIG_LOG_JSON] = "json",
    NULL,
};
static const char *const monitor_types[] = {
    [MONITOR_HTTP] = "http",
    [MONITOR_TCP] = "tcp",
    [MONITOR_DNS] = "dns",
    NULL,
};
static const char *const rcodes[] = {"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
                                     "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE", NULL};
static const char *const methods[] = {
    [METHOD_WEIGHTED] = "weighted",
    [METHOD_ROUND_ROBIN] = "round_robin",
    [METHOD_ALL] = "all",
    [METHOD_FIRST] = "first",
    NULL,
};
static const char *const when_down_policies[] = {
    [WHEN_DOWN_ALL] = "all",
    [WHEN_DOWN_EMPTY] = "empty",
    [WHEN_DOWN_LAST] = "last",
    NULL,
};

const char *monitor_type_name(enum monitor_type type) {
  return monitor_types[type];
}

const char *balance_method_name(enum balance_method method) {
  return methods[method];
}

const char *when_down_name(enum when_down policy) {
  return when_down_policies[policy];
}

static const struct schema_row tcp_rows[] = {
    {.key = "connections",
     .kind = SCHEMA_U32,
     ONE(struct config_server, tcp_connections),
     .least = 1,
     .most = 100000,
     .standard = "1000",
     .help = "Open TCP connections of a worker; further ones are closed at once."},
    {.key = "idle",
     .kind = SCHEMA_MILLISECONDS,
     ONE(struct config_server, tcp_idle_ms),
     .least = 100 * MILLISECOND,
     .most = 3600 * SECOND,
     .standard = "10s",
     .help = "How long a TCP connection may stay without a query."},
};
static const struct schema_map tcp_map = {ROWS(tcp_rows)};

static const struct schema_row log_rows[] = {
    {.key = "level",
     .kind = SCHEMA_WORD,
     ONE(struct config_server, log_level),
     .words = log_levels,
     .standard = "info",
     .help = "The least severe messages that are logged."},
    {.key = "format",
     .kind = SCHEMA_WORD,
     ONE(struct config_server, log_format),
     .words = log_formats,
     .standard = "text",
     .help = "How each line of the log is written."},
};
static const struct schema_map log_map = {ROWS(log_rows)};

static const struct schema_row server_rows[] = {
    {.key = "identity",
     .kind = SCHEMA_DOMAIN,
     ONE(struct config_server, identity),
     .standard_help = "the host's name",
     .help = "Name of this server, shown on the page and in the API."},
    {.key = "state",
     .kind = SCHEMA_PATH,
     ONE(struct config_server, state),
     .is_required = true,
     .help = "Directory of what must survive a restart."},
    {.key = "run",
     .kind = SCHEMA_PATH,
     ONE(struct config_server, run),
     .standard_help = "$RUNTIME_DIRECTORY, or run in the state directory",
     .help = "Directory of what changes often and is rebuilt after a boot; best on tmpfs."},
    {.key = "user",
     .kind = SCHEMA_TEXT,
     ONE(struct config_server, user),
     .most = 64,
     .standard_help = "the user that started gslbd",
     .help = "User whose rights the processes other than the supervisor keep."},
    {.key = "listen",
     .kind = SCHEMA_ENDPOINT,
     MANY(struct config_server, listen, listen_count),
     .list_least = 1,
     .list_most = CONFIG_LISTEN_MOST,
     .is_required = true,
     .help = "Addresses and ports where DNS is answered over UDP and TCP."},
    {.key = "workers",
     .kind = SCHEMA_U32,
     ONE(struct config_server, workers),
     .least = 1,
     .most = CONFIG_WORKERS_MOST,
     .standard_help = "the number of cores",
     .help = "Threads that answer queries."},
    {.key = "udp_payload",
     .kind = SCHEMA_U32,
     ONE(struct config_server, udp_payload),
     .least = 512,
     .most = 4096,
     .unit = "bytes",
     .standard = "1232",
     .help = "Largest UDP message that is sent or announced by EDNS."},
    {.key = "tcp", .kind = SCHEMA_MAP, .map = &tcp_map, .help = "Limits of DNS over TCP."},
    {.key = "log", .kind = SCHEMA_MAP, .map = &log_map, .help = "What is written to standard error."},
    {.key = "on_change",
     .kind = SCHEMA_TEXT,
     .is_list = true,
     ONE(struct config_server, on_change),
     .item_size = sizeof(char *),
     .list_least = 1,
     .list_most = 64,
     .help = "Program and arguments, run at each change of a member's state."},
};
static const struct schema_map server_map = {ROWS(server_rows), .check = config_check_server};

static const struct schema_row control_rows[] = {
    {.key = "listen",
     .kind = SCHEMA_ENDPOINT,
     ONE(struct config_control, listen),
     .standard_help = "none",
     .help = "Loopback address and port of the page and the HTTP API (reading only)."},
    {.key = "socket",
     .kind = SCHEMA_PATH,
     ONE(struct config_control, socket),
     .standard_help = "control.sock in the state directory",
     .help = "Unix socket of the HTTP API (reading and changing), used by gslbctl."},
};
static const struct schema_map control_map = {ROWS(control_rows), .check = config_check_control};

static const struct schema_row zone_rows[] = {
    {.key = "name",
     .kind = SCHEMA_DOMAIN,
     ONE(struct config_zone, name),
     .allowed = DOMAIN_ROOT,
     .is_required = true,
     .help = "Name of a zone that is answered with authority."},
    {.key = "file",
     .kind = SCHEMA_PATH,
     ONE(struct config_zone, file),
     .is_required = true,
     .help = "Master file of the zone (RFC 1035)."},
};
static const struct schema_map zone_map = {ROWS(zone_rows), .has_position = true, .check = config_check_zone};

static const struct schema_row site_rows[] = {
    {.key = "name",
     .kind = SCHEMA_LABEL,
     ONE(struct config_site, name),
     .is_required = true,
     .help = "Name of a place where members stand."},
    {.key = "location",
     .kind = SCHEMA_CUSTOM,
     .read = config_read_location,
     .type_help = "[latitude, longitude] in degrees",
     .standard_help = "none",
     .help = "Where the site is: -90 to 90 north, -180 to 180 east."},
};
static const struct schema_map site_map = {ROWS(site_rows), .has_position = true, .check = config_check_site};

static const struct schema_row query_rows[] = {
    {.key = "name",
     .kind = SCHEMA_DOMAIN,
     ONE(struct config_monitor, query_name),
     .allowed = DOMAIN_ROOT,
     .is_required = true,
     .help = "Name that is asked for."},
    {.key = "type",
     .kind = SCHEMA_CUSTOM,
     ONE(struct config_monitor, query_type),
     .read = config_read_query_type,
     .type_help = "A, AAAA, SOA, NS, TXT, MX, SRV, CNAME, PTR, CAA or TYPEnnn",
     .standard = "A",
     .help = "Record type that is asked for."},
};
static const struct schema_map query_map = {ROWS(query_rows)};

static const struct schema_row expect_rows[] = {
    {.key = "status",
     .kind = SCHEMA_CUSTOM,
     .read = config_read_status_ranges,
     .variants = ONLY_HTTP,
     .type_help = "status codes and ranges such as 200 or 200-299,301",
     .standard = "200-399",
     .help = "Status codes that pass."},
    {.key = "body",
     .kind = SCHEMA_LINES,
     ONE(struct config_monitor, expect_body),
     .variants = ONLY_HTTP,
     .standard_help = "any",
     .help = "Text that must stand somewhere in the body."},
    {.key = "rcode",
     .kind = SCHEMA_WORD,
     ONE(struct config_monitor, expect_rcode),
     .variants = ONLY_DNS,
     .words = rcodes,
     .standard = "NOERROR",
     .help = "Response code that passes."},
    {.key = "answer",
     .kind = SCHEMA_TEXT,
     ONE(struct config_monitor, expect_answer),
     .variants = ONLY_DNS,
     .standard_help = "any",
     .help = "Data of one record that must be among the answers, as a master file writes it."},
};
static const struct schema_map expect_map = {ROWS(expect_rows)};

static const struct schema_row monitor_rows[] = {
    {.key = "name",
     .kind = SCHEMA_LABEL,
     ONE(struct config_monitor, name),
     .is_required = true,
     .help = "Name of the monitor, by which services refer to it."},
    {.key = "type",
     .kind = SCHEMA_WORD,
     ONE(struct config_monitor, type),
     .words = monitor_types,
     .is_required = true,
     .help = "What is done: an HTTP request, a TCP connection, a DNS query."},
    {.key = "port",
     .kind = SCHEMA_U16,
     ONE(struct config_monitor, port),
     .least = 1,
     .most = 65535,
     .is_required = true,
     .help = "Port of each address that is probed."},
    {.key = "interval",
     .kind = SCHEMA_MILLISECONDS,
     ONE(struct config_monitor, interval_ms),
     .least = 100 * MILLISECOND,
     .most = DAY,
     .standard = "10s",
     .help = "Time from one probe of an address to the next."},
    {.key = "timeout",
     .kind = SCHEMA_MILLISECONDS,
     ONE(struct config_monitor, timeout_ms),
     .least = 10 * MILLISECOND,
     .most = DAY,
     .standard_help = "2s, or the interval where that is shorter",
     .help = "After this a probe without an answer has failed; at most the interval."},
    {.key = "rise",
     .kind = SCHEMA_U32,
     ONE(struct config_monitor, rise),
     .least = 1,
     .most = 100,
     .standard = "2",
     .help = "Passing probes in a row that make an address up."},
    {.key = "fall",
     .kind = SCHEMA_U32,
     ONE(struct config_monitor, fall),
     .least = 1,
     .most = 100,
     .standard = "3",
     .help = "Failing probes in a row that make an address down."},
    {.key = "path",
     .kind = SCHEMA_TEXT,
     ONE(struct config_monitor, path),
     .variants = ONLY_HTTP,
     .most = 2048,
     .standard = "/",
     .help = "Path, and query where there is one, of the request."},
    {.key = "host",
     .kind = SCHEMA_TEXT,
     ONE(struct config_monitor, host),
     .variants = ONLY_HTTP,
     .most = 255,
     .standard_help = "the service's name",
     .help = "Host header of the request."},
    {.key = "query",
     .kind = SCHEMA_MAP,
     .map = &query_map,
     .variants = ONLY_DNS,
     .is_required = true,
     .help = "What is asked."},
    {.key = "expect", .kind = SCHEMA_MAP, .map = &expect_map, .variants = ONLY_HTTP | ONLY_DNS, .help = "What passes."},
};
static const struct schema_map monitor_map = {ROWS(monitor_rows), .has_position = true, .variant_key = "type",
                                              .check = config_check_monitor};

static const struct schema_row member_rows[] = {
    {.key = "name",
     .kind = SCHEMA_LABEL,
     ONE(struct config_member, name),
     .is_required = true,
     .help = "Name of the member, unique within its service."},
    {.key = "site",
     .kind = SCHEMA_CUSTOM,
     ONE(struct config_member, site),
     .read = config_read_site,
     .type_help = "name of a site",
     .standard_help = "none",
     .help = "Where the member stands."},
    {.key = "addresses",
     .kind = SCHEMA_ADDRESS,
     MANY(struct config_member, addresses, address_count),
     .pos_offset = offsetof(struct config_member, address_pos),
     .list_least = 1,
     .list_most = CONFIG_ADDRESSES_MOST,
     .is_required = true,
     .help = "IPv4 and IPv6 addresses of the member; each is probed and answered by itself."},
    {.key = "weight",
     .kind = SCHEMA_U32,
     ONE(struct config_member, weight),
     .least = 0,
     .most = 65535,
     .standard = "1",
     .help = "Share of the answers among the members; 0: only when nothing else is left."},
    {.key = "srv_port",
     .kind = SCHEMA_U16,
     ONE(struct config_member, srv_port),
     .least = 1,
     .most = 65535,
     .standard_help = "none: not in SRV answers",
     .help = "Port of the member in SRV answers."},
};
static const struct schema_map member_map = {ROWS(member_rows), .has_position = true, .check = config_check_member};

static const struct schema_row ttl_rows[] = {
    {.key = "max",
     .kind = SCHEMA_SECONDS,
     ONE(struct config_service, ttl_max_s),
     .least = SECOND,
     .most = DAY,
     .standard = "60s",
     .help = "TTL of answers while all is calm."},
    {.key = "min",
     .kind = SCHEMA_SECONDS,
     ONE(struct config_service, ttl_min_s),
     .least = SECOND,
     .most = DAY,
     .standard_help = "5s, or max where that is shorter",
     .help = "TTL of answers while a change of state is near."},
};
static const struct schema_map ttl_map = {ROWS(ttl_rows)};

static const struct schema_row service_rows[] = {
    {.key = "name",
     .kind = SCHEMA_DOMAIN,
     ONE(struct config_service, name),
     .allowed = DOMAIN_WILDCARD,
     .is_required = true,
     .help = "Balanced name; it must lie in one of the zones."},
    {.key = "ttl", .kind = SCHEMA_MAP, .map = &ttl_map, .help = "How long resolvers may keep answers."},
    {.key = "answers",
     .kind = SCHEMA_U32,
     ONE(struct config_service, answers),
     .least = 1,
     .most = CONFIG_ANSWERS_MOST,
     .standard = "1",
     .help = "Members in one answer; method all takes no notice of it."},
    {.key = "method",
     .kind = SCHEMA_WORD,
     ONE(struct config_service, method),
     .words = methods,
     .standard = "weighted",
     .help = "How members are chosen among those that may be answered."},
    {.key = "monitors",
     .kind = SCHEMA_CUSTOM,
     .read = config_read_monitor,
     .type_help = "name of a monitor",
     MANY(struct config_service, monitors, monitor_count),
     .list_most = CONFIG_MONITORS_MOST,
     .standard_help = "none: members count as up",
     .help = "Monitors that each address must pass."},
    {.key = "when_down",
     .kind = SCHEMA_WORD,
     ONE(struct config_service, when_down),
     .words = when_down_policies,
     .standard = "all",
     .help = "What is answered while all members are down: all, nothing, or those that were good last."},
    {.key = "members",
     .kind = SCHEMA_MAP,
     .map = &member_map,
     MANY(struct config_service, members, member_count),
     .list_least = 1,
     .list_most = CONFIG_MEMBERS_MOST,
     .is_required = true,
     .help = "Servers that answers point to."},
    {.key = "srv",
     .kind = SCHEMA_TEXT,
     ONE(struct config_service, srv),
     .pos_offset = offsetof(struct config_service, srv_pos),
     .most = 128,
     .standard_help = "none",
     .help = "Service type as _service._proto: SRV records stand at _service._proto.<name>."},
    {.key = "srv_priority",
     .kind = SCHEMA_U16,
     ONE(struct config_service, srv_priority),
     .least = 0,
     .most = 65535,
     .standard = "0",
     .help = "Priority in SRV records."},
};
static const struct schema_map service_map = {ROWS(service_rows), .has_position = true, .check = config_check_service};

static const struct schema_row root_rows[] = {
    {.key = "server",
     .kind = SCHEMA_MAP,
     .map = &server_map,
     ONE(struct config, server),
     .is_required = true,
     .help = "This server: where it listens and keeps its data."},
    {.key = "control",
     .kind = SCHEMA_MAP,
     .map = &control_map,
     ONE(struct config, control),
     .help = "Page, HTTP API and the socket of gslbctl."},
    {.key = "zones",
     .kind = SCHEMA_MAP,
     .map = &zone_map,
     MANY(struct config, zones, zone_count),
     .list_most = 100000,
     .help = "Zones, read from master files."},
    {.key = "sites",
     .kind = SCHEMA_MAP,
     .map = &site_map,
     MANY(struct config, sites, site_count),
     .list_most = 10000,
     .help = "Places where members stand."},
    {.key = "monitors",
     .kind = SCHEMA_MAP,
     .map = &monitor_map,
     MANY(struct config, monitors, monitor_count),
     .list_most = 10000,
     .help = "Ways to tell whether an address works."},
    {.key = "services",
     .kind = SCHEMA_MAP,
     .map = &service_map,
     MANY(struct config, services, service_count),
     .list_most = CONFIG_SERVICES_MOST,
     .help = "Balanced names."},
};
const struct schema_map config_schema = {ROWS(root_rows), .check = config_check_all};
