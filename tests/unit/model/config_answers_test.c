#include "gslb/model/config.h"

#include "tests/unit/model/config_text.h"

#define SERVER                                                                                                         \
  "server: {state: /var/lib/gslb, listen: [127.0.0.1@53]}\n"                                                           \
  "zones: [{name: example.com, file: zone}]\n"                                                                         \
  "sites: [{name: fra}, {name: nyc}]\n"
/* lines 4 and on */
#define MEMBER "members: [{name: a, addresses: [192.0.2.1]}]"

static void config_loads_networks(void **state) {
  (void)state;
  struct config *config = parse(SERVER "networks:\n"
                                       "- {network: 192.0.2.0/24, sites: [NYC, fra]}\n"
                                       "- {network: 192.0.2.128/25, sites: [fra]}\n"
                                       "- {network: '2001:db8::/32', sites: [nyc]}\n");
  assert_int_equal(config->network_count, 3);
  char text[PREFIX_TEXT_SIZE];
  assert_string_equal(prefix_format(&config->networks[1].prefix, text), "192.0.2.128/25");
  assert_int_equal(config->networks[0].site_count, 2);
  assert_int_equal(config->networks[0].sites[0], 1);
  assert_int_equal(config->networks[0].sites[1], 0);
  assert_int_equal(config->networks[2].pos.line, 7);
  config_free(config);
}

static void config_reports_networks(void **state) {
  (void)state;
  assert_only(SERVER "networks:\n"
                     "- {network: 192.0.2.0/24, sites: [far, fra, FRA]}\n"
                     "- {network: '192.0.2.0/24', sites: []}\n"
                     "- {network: '2001:db8::/32'}\n"
                     "- {network: '2001:0db8::0/32', sites: [nyc]}\n"
                     "- {network: 192.0.2.1/24, sites: [nyc]}\n",
              "F:5:35: site \"far\" is not defined; did you mean \"fra\"?\n"
              "F:5:45: site \"FRA\" is listed twice\n"
              "F:6:13: network 192.0.2.0/24 is listed twice; first at line 5, column 3\n"
              "F:6:36: sites needs at least 1 element\n"
              "F:7:3: missing key \"sites\"\n"
              "F:8:13: network 2001:db8::/32 is listed twice; first at line 7, column 3\n"
              "F:9:13: network \"192.0.2.1/24\" has bits beyond its length, or too great a length\n");
}

static void config_lets_a_service_prefer_the_nearest_site(void **state) {
  (void)state;
  struct config *config =
      parse(SERVER "networks: [{network: 192.0.2.0/24, sites: [fra]}]\n"
                   "services:\n"
                   "- {name: a.example.com, nearest: true, members: [{name: a, addresses: [192.0.2.1]}, "
                   "{name: b, site: nyc, addresses: [192.0.2.2]}]}\n"
                   "- {name: b.example.com, " MEMBER "}\n");
  assert_true(config->services[0].is_nearest);
  assert_false(config->services[1].is_nearest);
  config_free(config);
}

static void config_reports_nearest_without_what_it_needs(void **state) {
  (void)state;
  assert_only(SERVER "services:\n"
                     "- {name: a.example.com, nearest: true, " MEMBER "}\n"
                     "- {name: b.example.com, nearest: maybe, " MEMBER "}\n",
              "F:5:34: nearest is given, but no networks are\n"
              "F:5:34: nearest is given, but no member has a site\n"
              "F:6:34: nearest must be true or false, not \"maybe\"\n");
}

static void config_loads_the_kinds_of_answer(void **state) {
  (void)state;
  struct config *config = parse(
      SERVER "services:\n"
             "- {name: a.example.com, " MEMBER "}\n"
             "- name: b.example.com\n"
             "  answer: cname\n"
             "  members:\n"
             "  - {name: a, addresses: [192.0.2.1], target: Edge.Example.NET.}\n"
             "- name: example.com\n"
             "  answer: mx\n"
             "  srv_priority: 10\n"
             "  members:\n"
             "  - {name: m, addresses: [192.0.2.1]}\n"
             "  - {name: b, addresses: [192.0.2.2], target: mx.example.net}\n"
             "- {name: '*.example.com', answer: cname, members: [{name: a, addresses: [192.0.2.1], target: x}]}\n");
  assert_int_equal(config->services[0].answer, ANSWER_ADDRESSES);
  assert_null(config->services[0].members[0].target);
  assert_int_equal(config->services[1].answer, ANSWER_CNAME);
  assert_string_equal(config->services[1].members[0].target, "edge.example.net");
  assert_int_equal(config->services[2].answer, ANSWER_MX);
  assert_null(config->services[2].members[0].target);
  assert_string_equal(config->services[2].members[1].target, "mx.example.net");
  config_free(config);
}

static void config_reports_what_a_cname_cannot_have(void **state) {
  (void)state;
  assert_only(SERVER
              "services:\n"
              "- name: example.com\n"
              "  answer: cname\n"
              "  method: all\n"
              "  answers: 2\n"
              "  srv: _http._tcp\n"
              "  https: {}\n"
              "  members: [{name: a, addresses: [192.0.2.1], srv_port: 1, target: example.com}, {name: b, addresses: "
              "[192.0.2.2]}]\n",
              "F:6:11: answer cname is impossible at \"example.com\", the top of a zone, where SOA and NS records "
              "stand\n"
              "F:7:11: method all cannot be given with answer cname, which is one record\n"
              "F:8:12: answers is 2; with answer cname there is one only\n"
              "F:9:8: srv cannot be given with answer cname: a name that has a CNAME record has no others (RFC 2181 "
              "section 10.1)\n"
              "F:10:10: https cannot be given with answer cname: a name that has a CNAME record has no others (RFC "
              "2181 "
              "section 10.1)\n"
              "F:11:68: target \"example.com\" is the service itself\n"
              "F:11:82: missing key \"target\", which answer cname needs\n");
}

static void config_reports_targets(void **state) {
  (void)state;
  assert_only(SERVER
              "services:\n"
              "- {name: a.example.com, members: [{name: a, addresses: [192.0.2.1], target: b.example.com}]}\n"
              "- {name: b.example.com, answer: mx, members: [{name: a, addresses: [192.0.2.1], target: 'a b'}]}\n"
              "- {name: '*.example.com', answer: mx, " MEMBER "}\n"
              "- {name: c.example.com, answer: mail, " MEMBER "}\n",
              "F:5:69: key \"target\" needs answer cname or answer mx\n"
              "F:6:89: target \"a b\" has a character that is not allowed in a name (printable ASCII without blanks "
              "and \"\\\")\n"
              "F:7:49: missing key \"target\", which answer mx of a wildcard needs\n"
              "F:8:33: answer is \"mail\", which is none of addresses, cname, mx\n");
}

static void config_reports_names_that_mx_records_need(void **state) {
  (void)state;
  assert_only(SERVER "services:\n"
                     "- {name: example.com, answer: mx, " MEMBER "}\n"
                     "- {name: a.example.com, " MEMBER "}\n",
              "F:5:45: the MX records of \"example.com\" need the name \"a.example.com\", which is a service by itself "
              "(line 6, column 3)\n");
}

static void config_loads_https_records(void **state) {
  (void)state;
  struct config *config = parse(SERVER "services:\n"
                                       "- {name: a.example.com, https: {alpn: [h3, h2], port: 8443}, " MEMBER "}\n"
                                       "- {name: b.example.com, https: {}, " MEMBER "}\n"
                                       "- {name: '*.example.com', https: {alpn: [http/1.1]}, " MEMBER "}\n"
                                       "- {name: c.example.com, " MEMBER "}\n");
  const struct config_binding *https = &config->services[0].https;
  assert_true(https->is_given);
  assert_string_equal(https->alpn[0], "h3");
  assert_string_equal(https->alpn[1], "h2");
  assert_null(https->alpn[2]);
  assert_int_equal(https->port, 8443);
  https = &config->services[1].https;
  assert_true(https->is_given);
  assert_null(https->alpn);
  assert_int_equal(https->port, 0);
  assert_true(config->services[2].https.is_given);
  assert_false(config->services[3].https.is_given);
  config_free(config);
}

static void config_reports_https(void **state) {
  (void)state;
  assert_only(SERVER "services:\n"
                     "- {name: a.example.com, https: {alpn: [h2, spdy, h2], port: 0}, " MEMBER "}\n"
                     "- {name: b.example.com, https: true, " MEMBER "}\n"
                     "- {name: c.example.com, https: {alpn: [], ports: 1}, " MEMBER "}\n",
              "F:5:44: alpn \"spdy\" is none of h2, http/1.1, h3, dot, doq\n"
              "F:5:50: protocol \"h2\" is listed twice\n"
              "F:5:61: port is 0; it must be from 1 to 65535\n"
              "F:6:32: https must be a mapping, not a single value\n"
              "F:7:39: alpn needs at least 1 element\n"
              "F:7:43: unknown key \"ports\"; did you mean \"port\"?\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(config_loads_networks),
      cmocka_unit_test(config_reports_networks),
      cmocka_unit_test(config_lets_a_service_prefer_the_nearest_site),
      cmocka_unit_test(config_reports_nearest_without_what_it_needs),
      cmocka_unit_test(config_loads_the_kinds_of_answer),
      cmocka_unit_test(config_reports_what_a_cname_cannot_have),
      cmocka_unit_test(config_reports_targets),
      cmocka_unit_test(config_reports_names_that_mx_records_need),
      cmocka_unit_test(config_loads_https_records),
      cmocka_unit_test(config_reports_https),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
