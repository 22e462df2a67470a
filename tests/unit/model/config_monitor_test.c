#include "gslb/model/config.h"

#include "gslb/model/records.h"
#include "tests/unit/model/config_text.h"

/* the lines that are put behind begin at line 3 */
#define SERVER "server: {state: s, listen: [127.0.0.1@53]}\nzones: [{name: example.com, file: zone}]\n"
#define SNMP SERVER "snmp: [{name: lab, version: v2c, community: public}]\n"
#define MONITORS SNMP "monitors:\n" /* from line 5 on */

static struct config *monitor_config(const char *monitor) {
  char text[4096];
  snprintf(text, sizeof text, MONITORS "- {name: m, %s}\n", monitor);
  return parse(text);
}

static void assert_wrong(const char *monitor, const char *wanted) {
  char text[4096];
  snprintf(text, sizeof text, MONITORS "- {name: m, %s}\n", monitor);
  assert_reports(text, wanted);
}

static void config_loads_http_requests_of_any_kind(void **state) {
  (void)state;
  struct config *config = monitor_config(
      "type: https, method: POST, path: /check, host: www.example.com, headers: ['Accept: text/plain', 'X-Key:1'], "
      "body: \"a=1\\n\", http2: true, redirects: 3, body_most: 1000, weight: 5, starts_as: down, idle_factor: 2.5, "
      "tls: {verify: true, ca: ca.pem, server_name: Other.example.com, certificate: c.pem, key: k.pem}, "
      "expect: {status: 200, regex: '^(ok|fine)', not: true}");
  const struct config_monitor *monitor = &config->monitors[0];
  assert_int_equal(monitor->type, MONITOR_HTTPS);
  assert_int_equal(monitor->port, 443);
  assert_string_equal(monitor->method, "POST");
  assert_string_equal(monitor->headers[1], "X-Key:1");
  assert_null(monitor->headers[2]);
  assert_string_equal(monitor->body, "a=1\n");
  assert_true(monitor->is_http2 && monitor->redirects == 3 && monitor->body_most == 1000);
  assert_true(monitor->weight == 5 && monitor->starts_as == HEALTH_DOWN && monitor->idle_factor == 2.5);
  assert_string_equal(monitor->tls.ca, "/etc/gslb/ca.pem");
  assert_string_equal(monitor->tls.server_name, "other.example.com");
  assert_string_equal(monitor->tls.key, "/etc/gslb/k.pem");
  assert_true(monitor->expect.is_regex && monitor->expect.is_inverted && !monitor->tls.is_unverified);
  assert_true(match_finds(monitor->expect.match, "fine", 4));
  assert_false(match_finds(monitor->expect.match, "not fine", 8));
  config_free(config);
}

static void config_gives_monitors_their_defaults(void **state) {
  (void)state;
  struct config *config = parse(MONITORS "- {name: a, type: http}\n- {name: b, type: ping, interval: 1s}\n"
                                         "- {name: c, type: https, tls: {verify: false}}\n"
                                         "- {name: d, type: ftp, path: /motd}\n");
  const struct config_monitor *http = &config->monitors[0], *ping = &config->monitors[1];
  assert_int_equal(http->port, 80);
  assert_string_equal(http->method, "GET");
  assert_true(http->body_most == 65536 && http->redirects == 0 && !http->is_http2 && http->weight == 1);
  assert_true(http->idle_factor == 1 && http->starts_as == HEALTH_UNKNOWN && !http->address.family);
  assert_null(http->expect.text);
  assert_null(http->expect.match);
  assert_true(ping->port == 0 && ping->timeout_ms == 1000);
  assert_true(config->monitors[2].tls.is_unverified);
  assert_string_equal(config->monitors[3].user, "anonymous");
  assert_string_equal(config->monitors[3].password, "anonymous");
  assert_int_equal(config->monitors[3].port, 21);
  config_free(config);
}

static void config_resolves_escapes_of_what_is_sent(void **state) {
  (void)state;
  struct config *config =
      monitor_config("type: udp, port: 1, address: '2001:db8::1', send: 'a\\x00\\xfF\\r\\n\\t\\\\z', "
                     "expect: {text: 'a.b'}");
  const struct config_monitor *monitor = &config->monitors[0];
  assert_int_equal(monitor->send_size, 8);
  assert_memory_equal(monitor->send, "a\0\xff\r\n\t\\z", 9);
  assert_true(monitor->address.family == 6 && monitor->address.port == 1);
  assert_false(match_finds(monitor->expect.match, "axb", 3));
  config_free(config);
  assert_wrong("type: tcp, port: 1, send: 'a\\q'", "F:5:39: send has a \"\\\" that begins none of \\r, \\n, \\t, \\\\");
  assert_wrong("type: tcp, port: 1, send: 'a\\x1'", "send has a \"\\\"");
  assert_wrong("type: tcp, port: 1, send: 'a\\'", "send has a \"\\\"");
  assert_wrong("type: tcp, port: 1, send: ''", "send stands for 0 bytes; 1 to 1024 are allowed");
  assert_wrong("type: udp, port: 1", "F:5:3: missing key \"send\", which type udp needs");
}

static void config_loads_what_a_dns_answer_must_have(void **state) {
  (void)state;
  struct config *config = parse(
      MONITORS "- {name: a, type: dns, query: {name: x}, expect: {answers: [192.0.2.1, 192.0.2.2], whole: true}}\n"
               "- {name: b, type: dns, query: {name: x}, expect: {answer: 192.0.2.1}}\n"
               "- {name: c, type: dns, query: {name: x, type: SOA}, expect: {serial: 0, signature_left: 3d}}\n");
  const struct config_monitor *monitors = config->monitors;
  assert_string_equal(monitors[0].expect_answers[1], "192.0.2.2");
  assert_null(monitors[0].expect_answers[2]);
  assert_true(monitors[0].is_whole_answer && monitors[0].port == 53);
  assert_string_equal(monitors[1].expect_answers[0], "192.0.2.1");
  assert_null(monitors[1].expect_answers[1]);
  assert_true(monitors[2].has_serial_least && monitors[2].serial_least == 0 && !monitors[0].has_serial_least);
  assert_true(monitors[2].signature_left_ms == INT64_C(3) * 86400000);
  config_free(config);
  assert_wrong("type: dns, query: {name: x}, expect: {answers: [192.0.2.1, '::1']}",
               "F:5:72: answer to a query of type A must be an IPv4 address");
  assert_wrong("type: dns, query: {name: x, type: TXT}, expect: {answers: [a], answer: b}",
               "answer cannot be given together with answers");
  assert_wrong("type: dns, query: {name: x}, expect: {whole: true}", "whole is given, but answers are not");
  assert_wrong("type: dns, query: {name: x}, expect: {serial: 1}", "in the answer to a query of type SOA");
}

static void config_loads_snmp_comparisons(void **state) {
  (void)state;
  struct config *config =
      parse(MONITORS "- {name: a, type: snmp, oid: .1.3.6.1.2.1.1.3.0, access: lab, compare: at_least, value: 0.5}\n"
                     "- {name: b, type: snmp, oid: 1.3.6, access: lab, value: up}\n"
                     "- {name: c, type: snmp, oid: 1.3.6, access: lab, compare: matches, value: '^Li'}\n"
                     "- {name: d, type: snmp, oid: 1.3.6, access: lab, expect: {text: nux, not: true}}\n");
  const struct config_monitor *monitors = config->monitors;
  assert_string_equal(monitors[0].oid, "1.3.6.1.2.1.1.3.0");
  assert_true(monitors[0].comparison == SNMP_AT_LEAST && monitors[0].access == 0 && monitors[0].port == 161);
  assert_true(monitors[1].comparison == SNMP_EQUAL && !monitors[1].expect.match);
  assert_true(monitors[2].comparison == SNMP_MATCHES && match_finds(monitors[2].expect.match, "Linux", 5));
  assert_true(monitors[3].comparison == SNMP_MATCHES && monitors[3].expect.is_inverted);
  config_free(config);
  assert_wrong("type: snmp, oid: sysUpTime, access: lab, value: 1", "oid \"sysUpTime\" is not a numeric object");
  assert_wrong("type: snmp, oid: 3.1, access: lab, value: 1", "oid \"3.1\" is not");
  assert_wrong("type: snmp, oid: 1.40, access: lab, value: 1", "oid \"1.40\" is not");
  assert_wrong("type: snmp, oid: 1.3.4294967296, access: lab, value: 1", "is not a numeric object");
  assert_wrong("type: snmp, oid: 1.3., access: lab, value: 1", "oid \"1.3.\" is not");
  assert_wrong("type: snmp, oid: 1.3, access: lap, value: 1",
               "snmp access \"lap\" is not defined; did you mean \"lab\"?");
  assert_wrong("type: snmp, oid: 1.3, access: lab", "F:5:3: missing key \"value\" or \"expect\"");
  assert_wrong("type: snmp, oid: 1.3, access: lab, compare: less, value: few", "value must be a number");
  assert_wrong("type: snmp, oid: 1.3, access: lab, value: 1, expect: {text: a}", "value cannot be given together with");
  assert_wrong("type: snmp, oid: 1.3, access: lab, compare: matches, value: '('",
               "F:5:73: value \"(\" is no POSIX extended regular expression: ");
}

static void config_loads_commands_with_and_without_a_shell(void **state) {
  (void)state;
  struct config *config = parse(MONITORS "- {name: a, type: exec, command: [./check, -v], expect: {line: OK}}\n"
                                         "- {name: b, type: exec, command: 'test -e /x | cat', shell: true}\n");
  assert_string_equal(config->monitors[0].command[0], "/etc/gslb/check");
  assert_string_equal(config->monitors[0].command[1], "-v");
  assert_null(config->monitors[0].command[2]);
  assert_string_equal(config->monitors[1].command[0], "/bin/sh");
  assert_string_equal(config->monitors[1].command[2], "test -e /x | cat");
  assert_null(config->monitors[1].command[3]);
  assert_true(config->monitors[1].uses_shell);
  config_free(config);
  assert_wrong("type: exec, command: ./check", "F:5:34: command is one text, which needs shell: true");
  assert_wrong("type: exec, command: [./check], shell: true", "command must be one text with shell: true");
  assert_wrong("type: exec, command: []", "command has 0 elements; 1 to 64 are allowed");
  assert_wrong("type: exec, command: ['']", "command has no program");
  assert_wrong("type: exec, command: [a, [b]]", "an element of command must be a single value");
}

static void config_reports_regular_expressions_at_their_place(void **state) {
  (void)state;
  assert_wrong("type: http, expect: {regex: 'a('}", "F:5:41: regex \"a(\" is no POSIX extended regular expression: ");
  assert_wrong("type: http, expect: {regex: a, body: b}", "regex cannot be given together with body");
  assert_wrong("type: http, expect: {not: true}", "not is given, but nothing that must not be there");
  assert_wrong("type: http, expect: {text: a}", "key \"text\" does not belong to type http, only to");
  assert_wrong("type: ping, expect: {}", "key \"expect\" does not belong to type ping");
}

static void config_reports_requests_that_are_wrong(void **state) {
  (void)state;
  assert_wrong("type: http, method: get", "method \"get\" is not one such as GET, HEAD or POST");
  assert_wrong("type: http, method: HEAD, expect: {body: a}", "method HEAD gets no body");
  assert_wrong("type: http, headers: [Accept]", "\"Accept\" is not a header such as");
  assert_wrong("type: http, headers: ['host: x']", "header \"host: x\" cannot be given here; use the key host");
  assert_wrong("type: http, tls: {}", "key \"tls\" does not belong to type http, only to https");
  assert_wrong("type: https, tls: {certificate: a}", "certificate is given, but key is not");
  assert_wrong("type: https, tls: {verify: false, ca: a}", "ca is given, but with verify: false nothing is checked");
  assert_wrong("type: ftp", "missing key \"path\", which type ftp needs");
  assert_wrong("type: ftp, path: /a, user: me", "missing key \"password_file\", which user needs");
  assert_wrong("type: ftp, path: /a, password_file: b", "password_file is given, but user is not");
  assert_wrong("type: tcp", "F:5:3: missing key \"port\"");
  assert_wrong("type: ping, address: 224.0.0.1", "address 224.0.0.1 does not belong to a single host");
  assert_wrong("type: ping, starts_as: draining", "starts_as is \"draining\", which is none of unknown, up, down");
  assert_wrong("type: ping, idle_factor: 0.5", "idle_factor is 0.5; it must be from 1 to 1000");
  assert_wrong("type: ping, idle_factor: 1e3", "idle_factor must be a number such as 3 or 0.5, not \"1e3\"");
  assert_wrong("type: service, service: a.example.com, interval: 1s",
               "key \"interval\" does not belong to type service");
}

/* Monitors of monitors and of services */

#define PINGS SERVER "monitors:\n- {name: a, type: ping, weight: 0}\n- {name: b, type: ping, weight: 0}\n"
#define MEMBER "members: [{name: m, addresses: [192.0.2.1]}]"

static void config_loads_calculated_monitors(void **state) {
  (void)state;
  struct config *config =
      parse(PINGS "- {name: c, type: calculated, of: [B, a], least: 2, weight: 3}\n"
                  "- {name: d, type: calculated, of: [c]}\n"
                  "services: [{name: x.example.com, monitors: [a, b, c, d], threshold: 4, " MEMBER "}]\n");
  const struct config_monitor *both = &config->monitors[2];
  assert_true(both->of_count == 2 && both->of[0] == 1 && both->of[1] == 0 && both->least == 2);
  assert_true(config->monitors[3].least == 1 && config->monitors[3].interval_ms == 0);
  assert_int_equal(config->services[0].threshold, 4);
  config_free(config);
  assert_reports(PINGS "- {name: c, type: calculated, of: [a, d]}\n- {name: d, type: ping}\n",
                 "F:6:39: monitor \"d\" is not defined");
  assert_reports(PINGS "- {name: c, type: calculated, of: [c]}\n", "monitor \"c\" is not defined");
  assert_reports(PINGS "- {name: c, type: calculated, of: [a, A]}\n", "monitor \"A\" is listed twice");
  assert_reports(PINGS "- {name: c, type: calculated, of: [a], least: 2}\n", "least is 2, but of names 1 monitors");
}

static void config_wants_counted_monitors_on_the_same_members(void **state) {
  (void)state;
  assert_only(PINGS "- {name: c, type: calculated, of: [a, b]}\n"
                    "services: [{name: x.example.com, monitors: [a, c], " MEMBER "}]\n",
              "F:7:44: monitor \"c\" counts \"b\", which must be among the monitors here too\n");
  assert_only(PINGS "- {name: c, type: calculated, of: [a, b]}\n"
                    "services: [{name: x.example.com, monitors: [a, b], accept: {tokens: [t], monitors: [c, a]}}]\n",
              "F:7:84: monitor \"c\" counts \"b\", which must be among the monitors here too\n");
}

static void config_wants_thresholds_that_can_be_reached(void **state) {
  (void)state;
  assert_only(PINGS "- {name: c, type: ping, weight: 2}\n"
                    "services:\n"
                    "- {name: x.example.com, monitors: [a, c], threshold: 3, " MEMBER "}\n"
                    "- {name: y.example.com, monitors: [c], threshold: 1, members: [{name: m, addresses: [192.0.2.1], "
                    "threshold: 3}]}\n"
                    "- {name: z.example.com, monitors: [c], threshold: 2, accept: {tokens: [t], monitors: [a]}}\n",
              "F:8:54: threshold is 3, but the weights of the monitors add up to 2\n"
              "F:9:109: threshold is 3, but the weights of the monitors add up to 2\n"
              "F:10:51: threshold is 2, but the weights of the monitors of registered members add up to 0\n");
}

static void config_finds_services_that_depend_on_themselves(void **state) {
  (void)state;
  struct config *config =
      parse(SERVER "monitors:\n- {name: up, type: service, service: B.example.com, least: 2}\n"
                   "- {name: made, type: service, service: x.dyn.example.com}\n"
                   "services:\n"
                   "- {name: a.example.com, monitors: [up, made], " MEMBER "}\n"
                   "- {name: b.example.com, " MEMBER "}\n"
                   "- {name: '*.dyn.example.com', monitors: [up], accept: {tokens: [t], services: 5}}\n");
  assert_string_equal(config->monitors[0].service, "b.example.com");
  assert_int_equal(config->monitors[0].least, 2);
  config_free(config);
  assert_only(SERVER "monitors:\n- {name: a, type: service, service: a.example.com}\n"
                     "- {name: b, type: service, service: b.example.com}\n"
                     "- {name: c, type: service, service: c.example.com}\n"
                     "services:\n"
                     "- {name: a.example.com, monitors: [b], " MEMBER "}\n"
                     "- {name: b.example.com, monitors: [c], " MEMBER "}\n"
                     "- {name: c.example.com, monitors: [a, c], " MEMBER "}\n",
              "F:4:3: monitor \"a\" makes service \"a.example.com\" depend on itself\n"
              "F:6:3: monitor \"c\" makes service \"c.example.com\" depend on itself\n");
  assert_only(SERVER "monitors:\n- {name: a, type: service, service: x.dyn.example.com}\n"
                     "services:\n- {name: '*.dyn.example.com', monitors: [a], accept: {tokens: [t], services: 5}}\n",
              "F:4:3: monitor \"a\" makes service \"*.dyn.example.com\" depend on itself\n");
  assert_only(SERVER "monitors:\n- {name: a, type: service, service: n.example.com}\n"
                     "- {name: b, type: service, service: '*.dyn.example.com'}\n"
                     "services:\n- {name: '*.dyn.example.com', accept: {tokens: [t], services: 5}}\n",
              "F:4:37: service \"n.example.com\" is not defined\n"
              "F:5:37: service \"*.dyn.example.com\" is a pattern, which has no state\n");
}

static void config_loads_the_address_that_stands_for_a_member(void **state) {
  (void)state;
  struct config *config = parse(SERVER "services:\n- name: a.example.com\n  members:\n"
                                       "  - {name: m, addresses: [192.0.2.1], monitor_address: 10.0.0.1}\n"
                                       "  - {name: n, addresses: [192.0.2.2]}\n");
  assert_int_equal(config->services[0].members[0].monitor_address.family, 4);
  assert_int_equal(config->services[0].members[1].monitor_address.family, 0);
  config_free(config);
  assert_reports(SERVER "services:\n- name: a.example.com\n  members:\n"
                        "  - {name: m, addresses: [192.0.2.1], monitor_address: '::'}\n",
                 "F:6:56: address :: does not belong to a single host");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(config_loads_http_requests_of_any_kind),
      cmocka_unit_test(config_gives_monitors_their_defaults),
      cmocka_unit_test(config_resolves_escapes_of_what_is_sent),
      cmocka_unit_test(config_loads_what_a_dns_answer_must_have),
      cmocka_unit_test(config_loads_snmp_comparisons),
      cmocka_unit_test(config_loads_commands_with_and_without_a_shell),
      cmocka_unit_test(config_reports_regular_expressions_at_their_place),
      cmocka_unit_test(config_reports_requests_that_are_wrong),
      cmocka_unit_test(config_loads_calculated_monitors),
      cmocka_unit_test(config_wants_counted_monitors_on_the_same_members),
      cmocka_unit_test(config_wants_thresholds_that_can_be_reached),
      cmocka_unit_test(config_finds_services_that_depend_on_themselves),
      cmocka_unit_test(config_loads_the_address_that_stands_for_a_member),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
