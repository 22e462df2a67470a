#include "gslb/model/config.h"

#include "gslb/base/memory.h"
#include "tests/unit/model/config_text.h"

#define COMPLETE "tests/fuzz/corpus/config/registration.yaml"
#define SERVER                                                                                                         \
  "server: {state: s, listen: [127.0.0.1@53], identity: lb1.example.net}\n"                                            \
  "control: {listen: 127.0.0.1@8300}\n"                                                                                \
  "zones: [{name: example.com, file: zone}, {name: example.net, file: other}]\n"                                       \
  "sites: [{name: fra}]\n"                                                                                             \
  "monitors: [{name: m0, type: tcp, port: 1}, {name: m1, type: tcp, port: 1}, {name: m2, type: tcp, port: 1}]\n"       \
  "services:\n"
/* lines 7 and on */

static struct config *complete(void) {
  struct problems problems = {0};
  struct config *config = config_load(COMPLETE, &problems);
  char *report = problems_format(&problems);
  if (!config)
    print_error("%s", report);
  assert_non_null(config);
  free(report);
  return config;
}

static void config_loads_what_a_service_accepts(void **state) {
  (void)state;
  struct config *config = complete();
  const struct config_service *app = &config->services[0];
  const struct config_accept *accept = &app->accept;
  assert_true(accept->is_given);
  assert_string_equal(accept->tokens[0], "app");
  assert_string_equal(accept->tokens[1], "racks");
  assert_null(accept->tokens[2]);
  assert_int_equal(accept->site_count, 2);
  assert_int_equal(accept->sites[1], 1);
  assert_int_equal(accept->network_count, 2);
  assert_int_equal(accept->networks[1].bits, 32);
  assert_int_equal(accept->members_most, 200);
  assert_int_equal(accept->services_most, 0);
  assert_int_equal(accept->weight_least, 1);
  assert_int_equal(accept->weight_most, 10);
  assert_int_equal(accept->tier_most, 1);
  assert_int_equal(accept->lease_least_ms, 10000);
  assert_int_equal(accept->lease_most_ms, 86400000);
  assert_int_equal(app->members[0].tier, 0);
  assert_int_equal(app->members[1].tier, 1);
  assert_string_equal(app->on_empty[1], "app");
  assert_int_equal(app->on_empty[0][0], '/');
  assert_int_equal(app->on_empty_interval_ms, 300000);
  assert_false(config_service_is_pattern(app));
  config_free(config);
}

static void config_fills_the_defaults_of_accept(void **state) {
  (void)state;
  struct config *config = parse(SERVER "- {name: a.example.com, accept: {tokens: [App]}, srv: _http._tcp}\n"
                                       "- {name: b.example.com, members: [{name: m, addresses: [192.0.2.1]}]}\n");
  const struct config_service *service = &config->services[0];
  assert_int_equal(service->member_count, 0);
  assert_string_equal(service->accept.tokens[0], "app");
  assert_int_equal(service->accept.site_count, 0);
  assert_int_equal(service->accept.members_most, 1000);
  assert_int_equal(service->accept.monitors, 0);
  assert_int_equal(service->accept.weight_least, 0);
  assert_int_equal(service->accept.weight_most, 65535);
  assert_int_equal(service->accept.tier_least, 0);
  assert_int_equal(service->accept.tier_most, 255);
  assert_int_equal(service->accept.lease_least_ms, 5000);
  assert_int_equal(service->accept.lease_most_ms, 0);
  assert_null(service->on_empty);
  assert_int_equal(service->on_empty_interval_ms, 60000);
  assert_true(service->pattern == CONFIG_NO_PATTERN);
  assert_false(config->services[1].accept.is_given);
  assert_int_equal(config->service_count, 2);
  config_free(config);
}

static void config_unites_the_monitors_of_members_and_of_registrations(void **state) {
  (void)state;
  struct config *config = parse(
      SERVER
      "- {name: a.example.com, monitors: [m0, m1], accept: {tokens: [t], monitors: [m2, m1]},\n"
      "   members: [{name: a, addresses: [192.0.2.1]}, {name: b, addresses: [192.0.2.2]}]}\n"
      "- {name: b.example.com, monitors: [m0, m1], accept: {tokens: [t]}}\n"
      "- {name: c.example.com, monitors: [m1], accept: {tokens: [t], monitors: []}}\n"
      "- {name: d.example.com, accept: {tokens: [t], monitors: [m2]}, members: [{name: a, addresses: ['::1']}]}\n");
  const struct config_service *services = config->services;
  assert_int_equal(services[0].monitor_count, 3);
  assert_int_equal(services[0].monitors[2], 2);
  assert_int_equal(services[0].members[0].monitors, 3);
  assert_int_equal(services[0].members[1].monitors, 3);
  assert_int_equal(services[0].accept.monitors, 6);
  assert_int_equal(services[1].monitor_count, 2);
  assert_int_equal(services[1].accept.monitors, 3);
  assert_int_equal(services[2].monitor_count, 1);
  assert_int_equal(services[2].accept.monitors, 0);
  assert_int_equal(services[3].monitor_count, 1);
  assert_int_equal(services[3].monitors[0], 2);
  assert_int_equal(services[3].members[0].monitors, 0);
  assert_int_equal(services[3].accept.monitors, 1);
  config_free(config);
}

static void config_bounds_the_united_monitors(void **state) {
  (void)state;
  char text[2048], *at = text;
  at += sprintf(at, "server: {state: s, listen: [127.0.0.1@53]}\nzones: [{name: x, file: f}]\nmonitors:\n");
  for (int i = 0; i < 17; i++)
    at += sprintf(at, "- {name: m%d, type: tcp, port: 1}\n", i);
  sprintf(at, "services:\n- name: a.x\n  monitors: [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, "
              "m13, m14, m15]\n"
              "  accept: {tokens: [t], monitors: [m0, m16]}\n");
  assert_only(text, "F:24:35: monitors and accept.monitors name 17 monitors together; at most 16 are allowed\n");
}

static void config_leaves_registrations_the_room_that_members_leave(void **state) {
  (void)state;
  char *text = mem_alloc(1 << 20), *at = text;
  at += sprintf(at, SERVER "- name: a.example.com\n  accept: {tokens: [t]}\n  members:\n");
  for (unsigned i = 0; i < 4000; i++)
    at += sprintf(at, "  - {name: m%u, addresses: [10.0.%u.%u]}\n", i, i >> 8, i & 255);
  struct config *config = parse(text);
  assert_int_equal(config->services[0].accept.members_most, 96);
  config_free(config);
  memcpy(strstr(text, "{tokens: [t]}"), "{members: 97}", 13);
  assert_only(text, "F:8:11: missing key \"tokens\"\n"
                    "F:8:21: members is 97; besides 4000 configured members there is room for 96\n");
  free(text);
}

/* Patterns */

static void config_makes_vacancies_of_a_pattern_behind_all_services(void **state) {
  (void)state;
  struct config *config = parse(
      SERVER "- {name: '*.Dyn.example.com', monitors: [m1], accept: {tokens: [t], services: 2}, srv: _http._tcp}\n"
             "- {name: a.example.com, members: [{name: m, addresses: [192.0.2.1]}]}\n"
             "- {name: '*.net.example.net', accept: {tokens: [t], services: 1}, members: []}\n");
  assert_int_equal(config->service_count, 6);
  assert_true(config_service_is_pattern(&config->services[0]));
  assert_false(config_service_is_pattern(&config->services[1]));
  assert_true(config_service_is_pattern(&config->services[2]));
  for (size_t i = 3; i < 6; i++) {
    const struct config_service *vacancy = &config->services[i], *pattern = &config->services[vacancy->pattern];
    assert_int_equal(vacancy->pattern, i < 5 ? 0 : 2);
    assert_string_equal(vacancy->name, "");
    assert_int_equal(vacancy->member_count, 0);
    assert_int_equal(vacancy->zone, pattern->zone);
    assert_int_equal(vacancy->monitor_count, pattern->monitor_count);
    assert_int_equal(vacancy->accept.members_most, 1000);
    assert_false(config_service_is_pattern(vacancy));
  }
  assert_string_equal(config->services[3].srv, "_http._tcp");
  assert_int_equal(config_find_service(config, "*.dyn.example.com"), 0);
  assert_true(config_find_service(config, "") == SIZE_MAX);
  config->service_index = NULL;
  assert_true(config_find_service(config, "") == SIZE_MAX);
  assert_int_equal(config_find_service(config, "a.example.com"), 1);
  config_free(config);
}

static void config_reports_patterns(void **state) {
  (void)state;
  assert_only(SERVER "- {name: dyn.example.com, accept: {tokens: [t], services: 2}}\n"
                     "- {name: '*.a.example.com', accept: {tokens: [t], services: 0}}\n"
                     "- {name: '*.b.example.com', accept: {tokens: [t], services: 2},\n"
                     "   members: [{name: m, addresses: [192.0.2.1]}]}\n"
                     "- {name: '*.c.example.com', accept: {tokens: [t]}, srv: _http._tcp}\n",
              "F:7:59: services makes the service a pattern, which needs a name such as *.dyn.example.com, not "
              "\"dyn.example.com\"\n"
              "F:8:61: services is 0; it must be from 1 to 100000\n"
              "F:10:13: members cannot be given together with accept.services: a pattern has none\n"
              "F:11:57: srv cannot be given for a wildcard\n");
}

static void config_bounds_the_services_that_patterns_may_create(void **state) {
  (void)state;
  char text[4096], *at = text;
  at += sprintf(at, SERVER);
  for (int i = 0; i < 10; i++)
    at += sprintf(at, "- {name: '*.p%d.example.com', accept: {tokens: [t], services: 100000}}\n", i);
  assert_only(text, "F:16:62: services makes 1000010 services possible together with those before it; at most "
                    "1000000 are allowed\n");
}

static void config_reports_services_that_accept_what_they_cannot(void **state) {
  (void)state;
  assert_only(SERVER
              "- {name: a.example.com}\n"
              "- {name: b.example.com, members: []}\n"
              "- {name: c.example.com, accept: {}}\n"
              "- {name: d.example.com, accept: {tokens: []}}\n"
              "- name: e.example.com\n"
              "  accept: {tokens: [t, T, a.b], sites: [fra, far], networks: [10.0.0.1/8], monitors: [m9],\n"
              "    weight: {least: 5, most: 4}, tier: {least: 256}, lease: {least: 10s, most: 5s}, members: 0}\n"
              "- {name: f.example.com, accept: {tokens: [t], lease: {most: forever}}, answer: cname}\n"
              "- {name: g.example.com, accept: {tokens: [t], lease: {most: 4s}, weight: {least: 1, most: 65536}}}\n"
              "- {name: '*.h.example.com', accept: {tokens: [t]}, answer: mx}\n"
              "- {name: i.example.com, accept: {tokens: [t], tier: {least: 2, most: 1}}, on_empty_interval: 1ms}\n",
              "F:7:3: missing key \"members\" or \"accept\"\n"
              "F:8:34: members needs at least 1 element, unless accept is given\n"
              "F:9:33: missing key \"tokens\"\n"
              "F:10:42: tokens needs at least 1 element\n"
              "F:12:24: token \"T\" is listed twice\n"
              "F:12:27: tokens \"a.b\" may only have letters, digits, \"-\" and \"_\"\n"
              "F:12:46: site \"far\" is not defined; did you mean \"fra\"?\n"
              "F:12:63: network \"10.0.0.1/8\" has bits beyond its length, or too great a length\n"
              "F:12:87: monitor \"m9\" is not defined; did you mean \"m0\"?\n"
              "F:13:21: weight.least 5 is greater than weight.most 4\n"
              "F:13:48: least is 256; it must be from 0 to 255\n"
              "F:13:69: lease.least 10s is longer than lease.most 5s\n"
              "F:13:94: members is 0; it must be from 1 to 4096\n"
              "F:14:33: accept cannot be given with answer cname: a registered member has no target\n"
              "F:14:61: most \"forever\" is not a duration such as 500ms, 2s, 30m, 1h or 1d; or write unlimited\n"
              "F:15:61: most is 4s; it must be from 5s to 365d, or unlimited\n"
              "F:15:91: most is 65536; it must be from 0 to 65535\n"
              "F:16:37: accept cannot be given with answer mx of a wildcard: a registered member has no target\n"
              "F:17:61: tier.least 2 is greater than tier.most 1\n"
              "F:17:94: on_empty_interval is 1ms; it must be from 1s to 1d\n");
}

/* Zones */

static void config_tells_zones_from_their_services_what_they_publish(void **state) {
  (void)state;
  struct config *config = parse(SERVER "- {name: '*.a.example.com', accept: {tokens: [t], services: 1}}\n");
  assert_true(config->zones[0].has_register);
  assert_true(config->zones[0].has_browse);
  assert_false(config->zones[1].has_register);
  assert_false(config->zones[1].has_browse);
  config_free(config);
  config = parse("server: {state: s, listen: [127.0.0.1@53]}\n"
                 "zones: [{name: a, file: f, browse: false}, {name: b, file: f, browse: true}, {name: c, file: f}]\n"
                 "services: [{name: x.a, accept: {tokens: [t]}}, {name: x.c, accept: {tokens: [t]}}]\n");
  assert_false(config->zones[0].has_register); /* nowhere to register: control has no listener */
  assert_false(config->zones[0].has_browse);
  assert_true(config->zones[1].has_browse);
  assert_true(config->zones[2].has_browse);
  config_free(config);
  config = complete();
  assert_true(config->zones[0].has_register);
  assert_false(config->zones[0].has_browse);
  assert_true(config->zones[1].has_register);
  assert_false(config->zones[1].has_browse);
  config_free(config);
}

static void config_reports_names_that_registration_needs(void **state) {
  (void)state;
  assert_only(SERVER "- {name: gslb-lb1.example.com, members: [{name: m, addresses: [192.0.2.1]}]}\n"
                     "- {name: _gslb-register._tcp.example.com, accept: {tokens: [t]}}\n",
              "F:3:9: the registration records of \"example.com\" need the name \"_gslb-register._tcp.example.com\", "
              "which is a service by itself (line 8, column 3)\n"
              "F:3:9: the registration records of \"example.com\" need the name \"gslb-lb1.example.com\", which is a "
              "service by itself (line 7, column 3)\n");
  assert_only("server: {state: s, listen: [127.0.0.1@53]}\n"
              "control: {listen: '127.0.0.1@8300', advertise: {name: b}}\n"
              "zones: [{name: ., file: f, register: true}, {name: b, file: f}]\n",
              "F:3:38: the registration records of \".\" need the name \"b\", which lies in another zone, \"b\"\n");
  assert_only("server: {state: s, listen: [127.0.0.1@53]}\n"
              "control: {listen: '0.0.0.0@8300', insecure: true}\n"
              "zones: [{name: a, file: f, register: true}, {name: b, file: f, register: maybe}]\n",
              "F:3:38: register is given, but nobody can be told of: there are no peers, and neither control.listen "
              "(other than 0.0.0.0 and ::) nor control.advertise.addresses\n"
              "F:3:74: register must be true or false, not \"maybe\"\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(config_loads_what_a_service_accepts),
      cmocka_unit_test(config_fills_the_defaults_of_accept),
      cmocka_unit_test(config_unites_the_monitors_of_members_and_of_registrations),
      cmocka_unit_test(config_bounds_the_united_monitors),
      cmocka_unit_test(config_leaves_registrations_the_room_that_members_leave),
      cmocka_unit_test(config_makes_vacancies_of_a_pattern_behind_all_services),
      cmocka_unit_test(config_reports_patterns),
      cmocka_unit_test(config_bounds_the_services_that_patterns_may_create),
      cmocka_unit_test(config_reports_services_that_accept_what_they_cannot),
      cmocka_unit_test(config_tells_zones_from_their_services_what_they_publish),
      cmocka_unit_test(config_reports_names_that_registration_needs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
