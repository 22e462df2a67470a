#include "gslb/model/config_rows.h"

#include <stddef.h>

#include "gslb/model/config_check.h"
#include "gslb/model/config_values.h"

#define LEASE_LEAST (5 * SECOND)

static const struct schema_row weight_rows[] = {
    {.key = "least",
     .kind = SCHEMA_U32,
     ONE(struct config_accept, weight_least),
     .least = 0,
     .most = 65535,
     .standard = "0",
     .help = "Least weight that a registration may have."},
    {.key = "most",
     .kind = SCHEMA_U32,
     ONE(struct config_accept, weight_most),
     .least = 0,
     .most = 65535,
     .standard = "65535",
     .help = "Greatest weight that a registration may have."},
};
static const struct schema_map weight_map = {ROWS(weight_rows)};

static const struct schema_row tier_rows[] = {
    {.key = "least",
     .kind = SCHEMA_U32,
     ONE(struct config_accept, tier_least),
     .least = 0,
     .most = 255,
     .standard = "0",
     .help = "Lowest tier that a registration may have."},
    {.key = "most",
     .kind = SCHEMA_U32,
     ONE(struct config_accept, tier_most),
     .least = 0,
     .most = 255,
     .standard = "255",
     .help = "Highest tier that a registration may have."},
};
static const struct schema_map tier_map = {ROWS(tier_rows)};

static const struct schema_row lease_rows[] = {
    {.key = "least",
     .kind = SCHEMA_MILLISECONDS,
     ONE(struct config_accept, lease_least_ms),
     .least = LEASE_LEAST,
     .most = CONFIG_LEASE_MOST_MS,
     .standard = "5s",
     .help = "Shortest lease that a registration may ask for."},
    {.key = "most",
     .kind = SCHEMA_CUSTOM,
     ONE(struct config_accept, lease_most_ms),
     .read = config_read_longest_lease,
     .least = LEASE_LEAST,
     .most = CONFIG_LEASE_MOST_MS,
     .type_help = "duration from 5s to 365d | unlimited",
     .standard = "unlimited",
     .help = "Longest lease that a registration may ask for."},
};
static const struct schema_map lease_map = {ROWS(lease_rows)};

static const struct schema_row accept_rows[] = {
    {.key = "tokens",
     .kind = SCHEMA_LABEL,
     .is_list = true,
     ONE(struct config_accept, tokens),
     .item_size = sizeof(char *),
     .list_least = 1,
     .list_most = 1000,
     .is_required = true,
     .help = "Names of the tokens (gslbctl token create NAME) and of the clients of control that may register."},
    {.key = "sites",
     .kind = SCHEMA_CUSTOM,
     MANY(struct config_accept, sites, site_count),
     .read = config_read_site,
     .type_help = "name of a site",
     .list_most = CONFIG_NETWORK_SITES_MOST,
     .standard_help = "any site, or none",
     .help = "A registration must name one of these sites."},
    {.key = "networks",
     .kind = SCHEMA_NETWORK,
     MANY(struct config_accept, networks, network_count),
     .list_most = 1000,
     .standard_help = "any",
     .help = "Each address of a registration must lie in one of these networks."},
    {.key = "members",
     .kind = SCHEMA_U32,
     ONE(struct config_accept, members_most),
     .least = 1,
     .most = CONFIG_MEMBERS_MOST,
     .standard_help = "1000, or what the configured members leave of 4096",
     .help = "Registered members at once; of a pattern: of each service."},
    {.key = "services",
     .kind = SCHEMA_U32,
     ONE(struct config_accept, services_most),
     .least = 1,
     .most = CONFIG_VACANCIES_MOST,
     .standard_help = "none: the service is no pattern",
     .help =
         "Makes a service *.BASE a pattern: registrations create services of one label below BASE, at most so many at "
         "once."},
    {.key = "monitors",
     .kind = SCHEMA_CUSTOM,
     .read = config_read_monitor,
     .type_help = "name of a monitor",
     MANY(struct config_accept, named_monitors, named_monitor_count),
     .list_most = CONFIG_MONITORS_MOST,
     .standard_help = "the service's monitors",
     .help = "Monitors that each address of a registered member must pass."},
    {.key = "weight", .kind = SCHEMA_MAP, .map = &weight_map, .help = "Weights that a registration may have."},
    {.key = "tier", .kind = SCHEMA_MAP, .map = &tier_map, .help = "Tiers that a registration may have."},
    {.key = "lease", .kind = SCHEMA_MAP, .map = &lease_map, .help = "Leases that a registration may ask for."},
};
const struct schema_map config_accept_map = {ROWS(accept_rows), .check = config_check_accept};
