#include "gslb/model/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "tests/unit/model/config_text.h"

#define COMPLETE "tests/fuzz/corpus/config/complete.yaml"

#define SERVER                                                                                                         \
  "server: {state: /var/lib/gslb, listen: [127.0.0.1@53]}\n"                                                           \
  "zones: [{name: Example.COM., file: zone}]\n"                                                                        \
  "sites: [{name: fra}]\n"                                                                                             \
  "monitors: [{name: web, type: http, port: 80}]\n"
/* the lines that are put behind begin at line 5 */
#define SERVICES SERVER "services:\n"

static void config_loads_a_complete_file_with_paths_relative_to_it(void **state) {
  (void)state;
  struct problems problems = {0};
  struct config *config = config_load(COMPLETE, &problems);
  assert_non_null(config);
  assert_int_equal(problems.count, 0);
  char here[4096], path[8192];
  assert_non_null(getcwd(here, sizeof here));
  snprintf(path, sizeof path, "%s/tests/fuzz/corpus/config/state", here);
  assert_string_equal(config->server.state, path);
  snprintf(path, sizeof path, "%s/tests/fuzz/corpus/config/control.sock", here);
  assert_string_equal(config->control.socket, path);
  snprintf(path, sizeof path, "%s/tests/fuzz/corpus/config/example.com.zone", here);
  assert_string_equal(config->zones[0].file, path);
  assert_string_equal(config->server.identity, "lb1.example.net");
  assert_int_equal(config->server.listen_count, 2);
  assert_int_equal(config->server.listen[1].family, 6);
  assert_int_equal(config->server.listen[1].port, 5300);
  assert_int_equal(config->server.workers, 2);
  assert_true(config->control.has_listen);
  assert_int_equal(config->sites[1].longitude * 100, -7401);
  config_free(config);
}

static void config_loads_monitors_of_every_type(void **state) {
  (void)state;
  struct problems problems = {0};
  struct config *config = config_load(COMPLETE, &problems);
  assert_non_null(config);
  assert_int_equal(config->monitor_count, 3);
  const struct config_monitor *web = &config->monitors[0], *port = &config->monitors[1], *dns = &config->monitors[2];
  assert_int_equal(web->type, MONITOR_HTTP);
  assert_string_equal(web->path, "/health");
  assert_int_equal(web->interval_ms, 1000);
  assert_int_equal(web->timeout_ms, 500);
  assert_int_equal(web->expect_status_count, 1);
  assert_int_equal(web->expect_status[0].first, 200);
  assert_int_equal(web->expect_status[0].last, 200);
  assert_string_equal(web->expect.text, "ok");
  assert_int_equal(port->type, MONITOR_TCP);
  assert_int_equal(port->rise, 1);
  assert_null(port->path);
  assert_int_equal(dns->type, MONITOR_DNS);
  assert_string_equal(dns->query_name, "probe.example.net");
  assert_int_equal(dns->query_type, 1);
  assert_int_equal(dns->expect_rcode, 0);
  assert_string_equal(dns->expect_answers[0], "192.0.2.53");
  assert_int_equal(dns->rise, 2);
  assert_int_equal(dns->fall, 3);
  config_free(config);
}

static void config_loads_services_with_references_resolved(void **state) {
  (void)state;
  struct problems problems = {0};
  struct config *config = config_load(COMPLETE, &problems);
  assert_non_null(config);
  const struct config_service *www = &config->services[0], *api = &config->services[1];
  assert_int_equal(config->service_count, 2);
  assert_int_equal(www->ttl_max_s, 30);
  assert_int_equal(www->ttl_min_s, 5);
  assert_int_equal(www->monitor_count, 1);
  assert_int_equal(www->monitors[0], 0);
  assert_int_equal(www->members[1].site, 1);
  assert_int_equal(www->members[0].address_count, 2);
  assert_int_equal(www->members[0].addresses[1].family, 6);
  assert_int_equal(www->members[0].weight, 3);
  assert_int_equal(www->pos.line, 28);
  assert_int_equal(www->pos.column, 5);
  assert_int_equal(www->members[0].address_pos[1].line, 35);
  assert_int_equal(www->members[0].address_pos[1].column, 58);
  assert_int_equal(api->method, METHOD_ROUND_ROBIN);
  assert_int_equal(api->when_down, WHEN_DOWN_EMPTY);
  assert_int_equal(api->answers, 2);
  assert_int_equal(api->monitors[0], 1);
  assert_int_equal(api->members[2].srv_port, 8443);
  assert_string_equal(api->srv, "_https._tcp");
  assert_int_equal(api->srv_pos.line, 47);
  config_free(config);
}

static void config_fills_defaults(void **state) {
  (void)state;
  unsetenv("RUNTIME_DIRECTORY");
  struct config *config = parse(SERVICES "- {name: www.example.com, members: [{name: A, addresses: [192.0.2.1]}]}\n");
  assert_string_equal(config->server.run, "/var/lib/gslb/run");
  assert_string_equal(config->control.socket, "/var/lib/gslb/control.sock");
  assert_false(config->control.has_listen);
  assert_true(config->server.workers >= 1 && config->server.workers <= 64);
  assert_int_equal(config->server.udp_payload, 1232);
  assert_int_equal(config->server.tcp_connections, 1000);
  assert_int_equal(config->server.tcp_idle_ms, 10000);
  assert_int_equal(config->server.log_level, LOG_LEVEL_INFO);
  assert_int_equal(config->server.log_format, CONFIG_LOG_TEXT);
  assert_non_null(config->server.identity);
  assert_null(config->server.user);
  assert_null(config->server.on_change);
  assert_string_equal(config->zones[0].name, "example.com");
  assert_string_equal(config->zones[0].file, "/etc/gslb/zone");
  assert_false(config->sites[0].has_location);
  const struct config_monitor *monitor = &config->monitors[0];
  assert_int_equal(monitor->interval_ms, 10000);
  assert_int_equal(monitor->timeout_ms, 2000);
  assert_string_equal(monitor->path, "/");
  assert_null(monitor->host);
  assert_int_equal(monitor->expect_status[0].first, 200);
  assert_int_equal(monitor->expect_status[0].last, 399);
  const struct config_service *service = &config->services[0];
  assert_int_equal(service->ttl_max_s, 60);
  assert_int_equal(service->ttl_min_s, 5);
  assert_int_equal(service->answers, 1);
  assert_int_equal(service->method, METHOD_WEIGHTED);
  assert_int_equal(service->when_down, WHEN_DOWN_ALL);
  assert_int_equal(service->monitor_count, 0);
  assert_null(service->srv);
  assert_string_equal(service->members[0].name, "a");
  assert_true(service->members[0].site == UINT32_MAX);
  assert_int_equal(service->members[0].weight, 1);
  assert_int_equal(service->members[0].srv_port, 0);
  config_free(config);
}

static void config_takes_the_first_runtime_directory(void **state) {
  (void)state;
  setenv("RUNTIME_DIRECTORY", "/run/gslb:/run/other", 1);
  struct config *config = parse(SERVER);
  unsetenv("RUNTIME_DIRECTORY");
  assert_string_equal(config->server.run, "/run/gslb");
  config_free(config);
}

static void config_keeps_timeout_and_ttl_defaults_within_what_is_given(void **state) {
  (void)state;
  struct config *config = parse("server: {state: s, listen: ['::@53']}\n"
                                "zones: [{name: '.', file: root}]\n"
                                "monitors: [{name: m, type: tcp, port: 1, interval: 500ms}]\n"
                                "services: [{name: x, ttl: {max: 2s}, members: [{name: a, addresses: ['::1']}]}]\n");
  assert_int_equal(config->monitors[0].timeout_ms, 500);
  assert_int_equal(config->services[0].ttl_min_s, 2);
  assert_string_equal(config->zones[config->services[0].zone].name, ".");
  config_free(config);
}

static void config_accepts_empty_lists_of_zones_and_services(void **state) {
  (void)state;
  struct config *config =
      parse("server: {state: s, listen: [127.0.0.1@53], on_change: [./hook, -v]}\nzones: []\nservices: []\n");
  assert_int_equal(config->zone_count, 0);
  assert_int_equal(config->service_count, 0);
  assert_string_equal(config->server.on_change[0], "/etc/gslb/hook");
  assert_string_equal(config->server.on_change[1], "-v");
  assert_null(config->server.on_change[2]);
  config_free(config);
}

static void config_gives_a_service_its_longest_zone(void **state) {
  (void)state;
  struct config *config = parse("server: {state: s, listen: [127.0.0.1@53]}\n"
                                "zones: [{name: example.com, file: a}, {name: eu.example.com, file: b}]\n"
                                "services:\n"
                                "- {name: www.EU.example.com., members: [{name: a, addresses: [192.0.2.1]}]}\n"
                                "- {name: wwweu.example.com, members: [{name: a, addresses: [192.0.2.1]}]}\n"
                                "- {name: '*.example.com', members: [{name: a, addresses: [192.0.2.1]}]}\n"
                                "- {name: example.com, members: [{name: a, addresses: [192.0.2.1]}]}\n");
  assert_int_equal(config->services[0].zone, 1);
  assert_int_equal(config->services[1].zone, 0);
  assert_int_equal(config->services[2].zone, 0);
  assert_int_equal(config->services[3].zone, 0);
  config_free(config);
}

static void config_reads_status_ranges_and_query_types(void **state) {
  (void)state;
  struct config *config =
      parse("server: {state: s, listen: [127.0.0.1@53]}\n"
            "monitors:\n"
            "- {name: a, type: http, port: 80, expect: {status: '200-299, 301'}}\n"
            "- {name: b, type: http, port: 80, expect: {status: 204}}\n"
            "- {name: c, type: dns, port: 53, query: {name: ., type: soa}, expect: {rcode: REFUSED}}\n"
            "- {name: d, type: dns, port: 53, query: {name: x, type: TYPE65}}\n"
            "- {name: e, type: dns, port: 53, query: {name: x, type: CAA}}\n");
  assert_int_equal(config->monitors[0].expect_status_count, 2);
  assert_int_equal(config->monitors[0].expect_status[0].last, 299);
  assert_int_equal(config->monitors[0].expect_status[1].first, 301);
  assert_int_equal(config->monitors[1].expect_status[0].last, 204);
  assert_int_equal(config->monitors[2].query_type, 6);
  assert_int_equal(config->monitors[2].expect_rcode, 5);
  assert_int_equal(config->monitors[3].query_type, 65);
  assert_int_equal(config->monitors[4].query_type, 257);
  config_free(config);
}

static void config_finds_services_and_members_whatever_their_case(void **state) {
  (void)state;
  struct problems problems = {0};
  struct config *config = config_load(COMPLETE, &problems);
  assert_non_null(config);
  assert_int_equal(config_find_service(config, "API.example.com."), 1);
  assert_true(config_find_service(config, "nowhere.example.com") == SIZE_MAX);
  assert_true(config_find_service(config, "") == SIZE_MAX);
  assert_int_equal(config_find_member(&config->services[0], "NYC-1"), 1);
  assert_true(config_find_member(&config->services[0], "a1") == SIZE_MAX);
  config->service_index = NULL;
  config->services[0].member_index = NULL;
  assert_int_equal(config_find_service(config, "API.example.com."), 1);
  assert_true(config_find_service(config, "nowhere.example.com") == SIZE_MAX);
  assert_int_equal(config_find_member(&config->services[0], "NYC-1"), 1);
  config_free(config);
}

static void config_tells_everything_that_is_wrong_in_order_in_one_run(void **state) {
  (void)state;
  assert_only("server:\n"
              "  state: s\n"
              "  listen: [127.0.0.1@53, 127.0.0.1@53, localhost@53, 127.0.0.1@0]\n"
              "  workers: 65\n"
              "  udp_payload: big\n"
              "zones:\n"
              "  - name: example.com\n"
              "    fille: x\n"
              "monitors:\n"
              "  - {name: web, type: http, port: 80, intervall: 1s}\n"
              "services:\n"
              "  - name: www.example.org\n"
              "    method: wieghted\n"
              "    monitors: [wbe]\n"
              "    members:\n"
              "      - {name: a, addresses: [127.0.0.300]}\n",
              "F:3:26: address 127.0.0.1@53 is listed twice\n"
              "F:3:40: \"localhost@53\" is not an IP address with a port, such as 192.0.2.1@53 or 2001:db8::1@53\n"
              "F:3:54: \"127.0.0.1@0\" has a port outside 1 to 65535\n"
              "F:4:12: workers is 65; it must be from 1 to 64\n"
              "F:5:16: udp_payload must be a whole number from 512 to 4096, not \"big\"\n"
              "F:7:5: missing key \"file\"\n"
              "F:8:5: unknown key \"fille\"; did you mean \"file\"?\n"
              "F:10:39: unknown key \"intervall\"; did you mean \"interval\"?\n"
              "F:12:11: service \"www.example.org\" lies outside every zone\n"
              "F:13:13: method is \"wieghted\", which is none of weighted, round_robin, all, first; did you mean "
              "\"weighted\"?\n"
              "F:14:16: monitor \"wbe\" is not defined; did you mean \"web\"?\n"
              "F:16:31: \"127.0.0.300\" is not an IP address\n");
}

static void config_places_syntax_errors(void **state) {
  (void)state;
  assert_reports("server:\n  listen: [1\nzones: 2\n", "F:3:6: YAML: ");
  assert_reports("server:\n\tstate: x\n", "F:2:1: YAML: found character that cannot start any token");
  assert_reports("a: \xff\n", "F:1:4: YAML: ");
  assert_reports("a: b\n---\nc: d\n", "F:2:1: a second YAML document begins here");
  assert_reports("a: {b: [::1]}\n", "; a value that begins with \":\" needs quotes");
  assert_reports("", "F:1:1: the configuration is empty");
  assert_reports("- a\n", "F:1:1: the configuration must be a mapping, not a list");
  assert_reports("{[a]: b}\n", "F:1:2: a key must be a word");
}

static void config_refuses_what_makes_documents_explode(void **state) {
  (void)state;
  assert_reports("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "F:2:8: YAML aliases (*name) are not supported");
  assert_reports("a: &a x\n", "F:1:4: YAML anchors (&name) are not supported");
  assert_reports("a: !!str x\n", "F:1:4: YAML tags (!name) are not supported");
  char deep[200001];
  memset(deep, '[', sizeof deep - 1);
  deep[sizeof deep - 1] = '\0';
  assert_only(deep, "F:1:33: nested too deeply (at most 32 levels)\n");
}

static void config_stops_listing_at_a_bound(void **state) {
  (void)state;
  size_t count = 50000;
  char *text = mem_alloc(count * 16 + 1);
  char *at = text;
  for (size_t i = 0; i < count; i++)
    at += sprintf(at, "workerss%zu: 1\n", i % 10000);
  struct problems problems = {0};
  assert_null(config_parse("F", text, strlen(text), &problems));
  assert_int_equal(problems.count, 1000);
  /* a full list takes no more, and yet nothing is loaded */
  assert_null(config_parse("F", text, strlen(text), &problems));
  problems_release(&problems);
  free(text);
}

static void config_reports_keys_that_are_wrong(void **state) {
  (void)state;
  assert_reports("server: {state: a, state: b}\n", "F:1:20: key \"state\" stands twice; first at line 1, column 10");
  assert_reports("server: {state: a, colour: b}\n",
                 "F:1:20: unknown key \"colour\"; the keys here are identity, state,");
  assert_reports("server: {state: a}\n", "F:1:9: missing key \"listen\"");
  assert_reports("zones: []\n", "F:1:1: missing key \"server\"");
  assert_reports("server: {state: a, listen: []}\n", "F:1:28: listen needs at least 1 element");
  assert_reports("server: {state: , listen: [127.0.0.1@1]}\n", "F:1:17: state has no value");
  assert_reports("zones:\n", "F:1:7: zones has no value; an empty list is written []");
}

static void config_reports_wrong_types(void **state) {
  (void)state;
  assert_reports("server: 1\n", "F:1:9: server must be a mapping, not a single value");
  assert_reports("server: {state: [a]}\n", "F:1:17: state must be a single value, not a list");
  assert_reports("zones: {name: x}\n", "F:1:8: zones must be a list, not a mapping");
  assert_reports("zones: [x]\n", "F:1:9: an element of zones must be a mapping, not a single value");
  assert_reports("sites: [{name: a, location: 5}]\n", "F:1:29: location must be [latitude, longitude] in degrees");
  assert_reports("sites: [{name: a, location: [x, 181]}]\n",
                 "F:1:30: latitude must be a number of degrees such as 50.11\n"
                 "F:1:33: longitude is 181; it must be from -180 to 180");
  assert_reports("server: {state: \"a\\nb\"}\n", "F:1:17: state contains a control character");
  assert_reports("server: {state: \"a\\0b\"}\n", "F:1:17: a value cannot contain the character NUL");
  assert_reports("server: {workers: 010}\n", "workers must be a whole number from 1 to 64, not \"010\"");
  assert_reports("server: {workers: -99999999999999999999}\n", "it must be from 1 to 64");
}

static void config_reports_durations(void **state) {
  (void)state;
  assert_reports("server: {tcp: {idle: 10}}\n", "F:1:22: idle \"10\" has no unit; write 10ms, 10s, 10m, 10h or 10d");
  assert_reports("server: {tcp: {idle: 0}}\n", "idle \"0\" has no unit");
  assert_reports("server: {tcp: {idle: soon}}\n", "idle \"soon\" is not a duration such as 500ms");
  assert_reports("server: {tcp: {idle: 3w}}\n", "idle \"3w\" has an unknown unit");
  assert_reports("server: {tcp: {idle: 1.5s}}\n", "idle \"1.5s\" is not a whole number");
  assert_reports("server: {tcp: {idle: 99999999999999999999d}}\n", "; it must be from 100ms to 1h");
  assert_reports("services: [{ttl: {max: 1500ms}}]\n", "max is 1500ms; it must be a whole number of seconds");
  assert_reports("monitors: [{interval: 99ms}]\n", "F:1:23: interval is 99ms; it must be from 100ms to 1d");
}

static void config_bounds_the_threads_that_answer(void **state) {
  (void)state;
  assert_reports("server:\n  state: s\n  listen: [127.0.0.1@53, \"::1@53\", 127.0.0.2@53, 127.0.0.3@53]\n  workers: "
                 "52\n",
                 "F:4:12: 52 workers on 4 addresses are more than 256 threads: at most 51");
}

static void config_reports_the_control_listener(void **state) {
  (void)state;
  assert_reports("control: {listen: 0.0.0.0@8300}\n", "F:1:19: listen 0.0.0.0@8300 is not a loopback address; another "
                                                      "one needs TLS and tokens");
  assert_reports("server: {state: s, listen: [127.0.0.1@53]}\ncontrol: {listen: 127.0.0.1@53}\n",
                 "F:2:19: listen 127.0.0.1@53 is taken by server.listen");
  char text[400], long_name[201];
  memset(long_name, 'x', 200);
  long_name[200] = '\0';
  snprintf(text, sizeof text, "control: {socket: /%s}\n", long_name);
  assert_reports(text, "F:1:19: control.socket has a path of 201 bytes");
  snprintf(text, sizeof text, "server: {state: /%s, listen: [127.0.0.1@53]}\n", long_name);
  assert_reports(text, "F:1:17: control.socket has a path of 214 bytes");
}

static void config_reports_duplicates_with_the_first_place(void **state) {
  (void)state;
  assert_reports("zones:\n- {name: a, file: x}\n- {name: A., file: y}\n",
                 "F:3:10: zone \"a\" is defined twice; first at line 2, column 3");
  assert_reports("sites: [{name: a}, {name: A}]\n", "site \"a\" is defined twice; first at line 1, column 9");
  assert_reports("monitors: [{name: a}, {name: a}]\n", "monitor \"a\" is defined twice; first at line 1, column 12");
  assert_only(SERVICES "- {name: a.example.com, members: [{name: m, addresses: [192.0.2.1]},\n"
                       "   {name: M, addresses: [192.0.2.2, 192.0.2.1, 192.0.2.2]}]}\n"
                       "- {name: A.example.com, members: [{name: m, addresses: [192.0.2.1]}], monitors: [web, web]}\n",
              "F:7:11: member \"m\" is defined twice; first at line 6, column 35\n"
              "F:7:37: address 192.0.2.1 belongs to member \"m\" already (line 6, column 57)\n"
              "F:7:48: address 192.0.2.2 is listed twice; first at line 7, column 26\n"
              "F:8:10: service \"a.example.com\" is defined twice; first at line 6, column 3\n"
              "F:8:87: monitor \"web\" is listed twice\n");
}

static void config_reports_names_that_are_none(void **state) {
  (void)state;
  assert_reports("zones: [{name: a..b}]\n", "F:1:16: name \"a..b\" has an empty label");
  assert_reports("zones: [{name: '*.b'}]\n", "name \"*.b\" has a \"*\" where no wildcard is allowed");
  assert_reports("zones: [{name: 'a b'}]\n", "has a character that is not allowed in a name");
  assert_reports("zones: [{name: 'a\\.b'}]\n", "has a character that is not allowed in a name");
  assert_reports("services: [{name: .}]\n", "name \".\" is the root, which is not allowed here");
  assert_reports("services: [{name: 'a.*.b'}]\n", "has a \"*\" where no wildcard is allowed");
  assert_reports("sites: [{name: a.b}]\n", "name \"a.b\" may only have letters, digits, \"-\" and \"_\"");
  assert_reports("sites: [{name: -a}]\n", "must not begin or end with \"-\"");
}

static void config_reports_monitors_that_contradict_themselves(void **state) {
  (void)state;
  assert_only(SERVER "services:\n"
                     "- {name: a.example.com, monitors: [nothing], members: [{name: a, site: far, addresses: "
                     "[192.0.2.1]}]}\n",
              "F:6:36: monitor \"nothing\" is not defined\n"
              "F:6:72: site \"far\" is not defined; did you mean \"fra\"?\n");
  assert_only("server: {state: s, listen: [127.0.0.1@53]}\n"
              "monitors:\n"
              "- {name: a, type: tcp, port: 1, interval: 1s, timeout: 1100ms, path: /, expect: {status: 200}}\n"
              "- {name: b, type: dns, port: 53, expect: {status: 200, answer: x}}\n"
              "- {name: c, type: dns, port: 53, query: {name: x}, expect: {rcode: NXDOMAIN, answer: '::1'}}\n"
              "- {name: d, type: icmp, port: 0, path: /, query: {}}\n"
              "- {name: e, type: http, port: 80, path: x, expect: {status: 99-x}}\n"
              "- {name: f, type: dns, port: 53, query: {name: x, type: TYPE255}}\n"
              "- {name: g, type: dns, port: 53, query: {name: x, type: AAAAA}}\n",
              "F:3:56: timeout 1100ms is longer than interval 1s\n"
              "F:3:64: key \"path\" does not belong to type tcp, only to http, https, ftp\n"
              "F:3:82: key \"status\" does not belong to type tcp, only to http, https\n"
              "F:4:3: missing key \"query\"\n"
              "F:4:43: key \"status\" does not belong to type dns, only to http, https\n"
              "F:5:86: answer can only be expected with rcode NOERROR\n"
              "F:5:86: answer to a query of type A must be an IPv4 address\n"
              "F:6:19: type is \"icmp\", which is none of http, https, tcp, udp, dns, ping, ftp, snmp, exec, service, "
              "calculated\n"
              "F:6:31: port is 0; it must be from 1 to 65535\n"
              "F:6:50: missing key \"name\"\n"
              "F:7:41: path must begin with \"/\" and have printable ASCII without blanks (write others as %20 and "
              "the like)\n"
              "F:7:61: status \"99-x\" is not a list of status codes (100 to 599) such as 200 or 200-299,301\n"
              "F:8:57: type TYPE255 is no type of data; TYPE1 to TYPE65535 without TYPE41 and TYPE128 to "
              "TYPE255\n"
              "F:9:57: type \"AAAAA\" is unknown; known are A, AAAA, SOA, NS, TXT, MX, SRV, CNAME, PTR, CAA, and "
              "any other as TYPE and its number\n");
}

static void config_reports_services_that_contradict_themselves(void **state) {
  (void)state;
  assert_only(SERVICES
              "- {name: a.example.com, ttl: {min: 10s, max: 5s}, members: [], srv: https}\n"
              "- {name: b.example.com, srv: _http._tcp, members: [{name: m, addresses: [192.0.2.1]}]}\n"
              "- {name: '*.example.com', srv: _http._tcp, members: [{name: m, addresses: [0.0.0.0, 224.0.0.1], "
              "srv_port: 1, weight: 65536}]}\n",
              "F:6:36: ttl.min 10s is longer than ttl.max 5s\n"
              "F:6:60: members needs at least 1 element, unless accept is given\n"
              "F:6:69: srv \"https\" is not of the form _service._proto, such as _https._tcp\n"
              "F:7:30: srv is given, but no member has srv_port\n"
              "F:8:32: srv cannot be given for a wildcard\n"
              "F:8:76: address 0.0.0.0 does not belong to a single host\n"
              "F:8:85: address 224.0.0.1 does not belong to a single host\n"
              "F:8:118: weight is 65536; it must be from 0 to 65535\n");
}

static void config_reports_names_that_srv_records_need(void **state) {
  (void)state;
  assert_only(
      "server: {state: s, listen: [127.0.0.1@53]}\n"
      "zones: [{name: example.com, file: a}, {name: n.b.example.com, file: b}]\n"
      "services:\n"
      "- {name: a.example.com, srv: _http._tcp, members: [{name: m, addresses: [192.0.2.1], srv_port: 80}]}\n"
      "- {name: _http._tcp.a.example.com, members: [{name: m, addresses: [192.0.2.1]}]}\n"
      "- {name: m.a.example.com, members: [{name: m, addresses: [192.0.2.1]}]}\n"
      "- {name: b.example.com, srv: _http._tcp, members: [{name: n, addresses: [192.0.2.1], srv_port: 80}]}\n",
      "F:4:30: the SRV records of \"a.example.com\" need the name \"_http._tcp.a.example.com\", which is a service by "
      "itself (line 5, column 3)\n"
      "F:4:52: the SRV records of \"a.example.com\" need the name \"m.a.example.com\", which is a service by itself "
      "(line 6, column 3)\n"
      "F:7:52: the SRV records of \"b.example.com\" need the name \"n.b.example.com\", which lies in another zone, "
      "\"n.b.example.com\"\n");
}

static void config_bounds_the_members_of_a_service(void **state) {
  (void)state;
  char *text = mem_alloc(1 << 20), *at = text;
  at += sprintf(at, "%s", SERVICES "- name: a.example.com\n  members:\n");
  for (unsigned i = 0; i < CONFIG_MEMBERS_MOST; i++)
    at += sprintf(at, "  - {name: m%u, addresses: [10.0.%u.%u]}\n", i, i >> 8, i & 255);
  struct config *config = parse(text);
  assert_int_equal(config->services[0].member_count, CONFIG_MEMBERS_MOST);
  assert_int_equal(config_find_member(&config->services[0], "m4095"), 4095);
  config_free(config);
  sprintf(at, "  - {name: more, addresses: [10.1.0.0]}\n");
  assert_only(text, "F:4104:5: members has 4097 elements; at most 4096 are allowed\n");
  free(text);
}

static void config_load_says_why_a_file_cannot_be_read(void **state) {
  (void)state;
  struct problems problems = {0};
  assert_null(config_load("/nonexistent/gslb.yaml", &problems));
  assert_null(config_load("/", &problems));
  char *report = problems_format(&problems);
  assert_string_equal(report, "/nonexistent/gslb.yaml: cannot be opened: No such file or directory\n"
                              "/: cannot be read: it is a directory\n");
  free(report);
  problems_release(&problems);
}

static void config_help_and_the_reference_have_every_key(void **state) {
  (void)state;
  char *help = config_help();
  assert_non_null(strstr(help, "server.udp_payload: number from 512 to 4096 bytes; default 1232\n    Largest"));
  assert_non_null(strstr(help, "monitors[].expect.rcode: NOERROR | FORMERR"));
  assert_non_null(strstr(help, "; only with type dns; default NOERROR\n"));
  assert_non_null(
      strstr(help, "monitors[].rise: number from 1 to 100; not with type service, calculated; default 2\n"));
  assert_non_null(strstr(help, "monitors[].idle_factor: decimal number from 1 to 1000; not with"));
  assert_non_null(strstr(help, "services[].members[].addresses[]: IP address; list of 1 to 16; required\n"));
  char *reference = NULL;
  size_t length;
  assert_int_equal(config_read_file("docs/configuration.md", &reference, &length, NULL), STATUS_OK);
  char *rest = NULL;
  for (char *line = strtok_r(help, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    if (*line == ' ')
      continue;
    char wanted[160];
    snprintf(wanted, sizeof wanted, "`%.*s`", (int)strcspn(line, ":"), line);
    if (!strstr(reference, wanted))
      print_error("docs/configuration.md lacks %s\n", wanted);
    assert_non_null(strstr(reference, wanted));
  }
  free(reference);
  free(help);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(config_loads_a_complete_file_with_paths_relative_to_it),
      cmocka_unit_test(config_loads_monitors_of_every_type),
      cmocka_unit_test(config_loads_services_with_references_resolved),
      cmocka_unit_test(config_fills_defaults),
      cmocka_unit_test(config_takes_the_first_runtime_directory),
      cmocka_unit_test(config_keeps_timeout_and_ttl_defaults_within_what_is_given),
      cmocka_unit_test(config_accepts_empty_lists_of_zones_and_services),
      cmocka_unit_test(config_gives_a_service_its_longest_zone),
      cmocka_unit_test(config_reads_status_ranges_and_query_types),
      cmocka_unit_test(config_finds_services_and_members_whatever_their_case),
      cmocka_unit_test(config_tells_everything_that_is_wrong_in_order_in_one_run),
      cmocka_unit_test(config_places_syntax_errors),
      cmocka_unit_test(config_refuses_what_makes_documents_explode),
      cmocka_unit_test(config_stops_listing_at_a_bound),
      cmocka_unit_test(config_reports_keys_that_are_wrong),
      cmocka_unit_test(config_reports_wrong_types),
      cmocka_unit_test(config_reports_durations),
      cmocka_unit_test(config_bounds_the_threads_that_answer),
      cmocka_unit_test(config_reports_the_control_listener),
      cmocka_unit_test(config_reports_duplicates_with_the_first_place),
      cmocka_unit_test(config_reports_names_that_are_none),
      cmocka_unit_test(config_reports_monitors_that_contradict_themselves),
      cmocka_unit_test(config_reports_services_that_contradict_themselves),
      cmocka_unit_test(config_reports_names_that_srv_records_need),
      cmocka_unit_test(config_bounds_the_members_of_a_service),
      cmocka_unit_test(config_load_says_why_a_file_cannot_be_read),
      cmocka_unit_test(config_help_and_the_reference_have_every_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
