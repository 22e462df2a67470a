/* tests/unit/model/roster_config.h
 * A configuration that takes registrations, for the tests of the roster and of facts: a service with members of its
 * own, a narrow one, a closed one, and a pattern with two vacancies. */
#ifndef TESTS_UNIT_MODEL_ROSTER_CONFIG_H
#define TESTS_UNIT_MODEL_ROSTER_CONFIG_H

#include <stdio.h>
#include <string.h>

#include "gslb/model/config.h"
#include "gslb/model/registration.h"

#define ROSTER_MOST 20u

enum { ROSTER_APP, ROSTER_NARROW, ROSTER_CLOSED, ROSTER_PATTERN, ROSTER_VACANCY_1, ROSTER_VACANCY_2, ROSTER_SERVICES };

static struct config_site roster_sites[] = {{.name = "nyc"}, {.name = "fra"}};
static struct config_monitor roster_monitors[] = {{.name = "web"}, {.name = "port"}};
static uint32_t roster_watched[] = {0, 1};
static struct addr roster_addresses[] = {{.family = 4, .bytes = {127, 0, 0, 11}}};
static struct config_member roster_members[] = {
    {.name = "fixed-2", .site = UINT32_MAX, .addresses = roster_addresses, .address_count = 1, .monitors = 3},
    {.name = "fixed-1", .site = 0, .addresses = roster_addresses, .address_count = 1, .monitors = 3},
};
static struct prefix roster_networks[] = {{.family = 4, .bits = 8, .bytes = {127}}};
static uint32_t roster_narrow_sites[] = {1};

#define ROSTER_PATTERN_FIELDS                                                                                          \
  .monitors = roster_watched, .monitor_count = 2, .srv = "_http._tcp",                                                 \
  .accept = {.is_given = true, .members_most = ROSTER_MOST, .services_most = 2, .monitors = 2}

static struct config_service roster_services[ROSTER_SERVICES] = {
    {.name = "app.example.com",
     .monitors = roster_watched,
     .monitor_count = 2,
     .members = roster_members,
     .member_count = 2,
     .accept = {.is_given = true, .members_most = ROSTER_MOST, .monitors = 2},
     .pattern = CONFIG_NO_PATTERN},
    {.name = "narrow.example.com",
     .accept = {.is_given = true,
                .members_most = ROSTER_MOST,
                .sites = roster_narrow_sites,
                .site_count = 1,
                .networks = roster_networks,
                .network_count = 1},
     .pattern = CONFIG_NO_PATTERN},
    {.name = "closed.example.com", .members = roster_members + 1, .member_count = 1, .pattern = CONFIG_NO_PATTERN},
    {.name = "*.on.example.com", ROSTER_PATTERN_FIELDS, .pattern = CONFIG_NO_PATTERN},
    {.name = "", ROSTER_PATTERN_FIELDS, .pattern = ROSTER_PATTERN},
    {.name = "", ROSTER_PATTERN_FIELDS, .pattern = ROSTER_PATTERN},
};
static const struct config roster_config = {.sites = roster_sites,
                                            .site_count = 2,
                                            .monitors = roster_monitors,
                                            .monitor_count = 2,
                                            .services = roster_services,
                                            .service_count = ROSTER_SERVICES};

static const char *const roster_labels[] = {"rack=r7", NULL};

static inline struct member_record roster_record(const char *site, uint32_t weight) {
  struct member_record record = {.addresses = {{.family = 4, .bytes = {127, 0, 0, 77}}},
                                 .address_count = 1,
                                 .weight = weight,
                                 .port = 8080,
                                 .instance = "Web",
                                 .txt = roster_labels};
  snprintf(record.site, sizeof record.site, "%s", site);
  return record;
}

#endif
