#include "gslb/model/config_rows.h"

#include <stddef.h>

#include "gslb/model/config_check.h"
#include "gslb/model/config_values.h"
#include "gslb/model/domain.h"

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
static const char *const answers[] = {
    [ANSWER_ADDRESSES] = "addresses",
    [ANSWER_CNAME] = "cname",
    [ANSWER_MX] = "mx",
    NULL,
};

const char *balance_method_name(enum balance_method method) {
  return methods[method];
}

const char *when_down_name(enum when_down policy) {
  return when_down_policies[policy];
}

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
    {.key = "target",
     .kind = SCHEMA_DOMAIN,
     ONE(struct config_member, target),
     .standard_help = "<member>.<service>, with answer mx; required with answer cname",
     .help = "Name that answers of kind cname and mx give for this member."},
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

static const struct schema_row https_rows[] = {
    {.key = "alpn",
     .kind = SCHEMA_CUSTOM,
     .is_list = true,
     ONE(struct config_https, alpn),
     .item_size = sizeof(char *),
     .read = config_read_alpn,
     .type_help = "h2 | http/1.1 | h3",
     .list_least = 1,
     .list_most = 3,
     .standard_help = "none",
     .help = "Protocols that the members speak, the best first."},
    {.key = "port",
     .kind = SCHEMA_U16,
     ONE(struct config_https, port),
     .least = 1,
     .most = 65535,
     .standard_help = "none: 443",
     .help = "Port of the members."},
};
static const struct schema_map https_map = {ROWS(https_rows), .check = config_check_https};

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
     .help = "Priority in SRV records; in MX records the preference of the member that is first."},
    {.key = "nearest",
     .kind = SCHEMA_BOOL,
     ONE(struct config_service, is_nearest),
     .standard = "false",
     .help = "Whether members at the site nearest to the client (networks) come before the others."},
    {.key = "answer",
     .kind = SCHEMA_WORD,
     ONE(struct config_service, answer),
     .words = answers,
     .standard = "addresses",
     .help = "What the name has: A and AAAA records, one CNAME, or MX records."},
    {.key = "https",
     .kind = SCHEMA_MAP,
     .map = &https_map,
     ONE(struct config_service, https),
     .help = "Gives the name HTTPS records (RFC 9460), with the members' addresses as hints."},
};
const struct schema_map config_service_map = {ROWS(service_rows), .has_position = true, .check = config_check_service};
