#include "gslb/model/config.h"

#include <unistd.h>

#include "gslb/base/memory.h"
#include "tests/unit/model/config_text.h"

#define COMPLETE "tests/fuzz/corpus/config/registration.yaml"
#define PARENTS "tests/fuzz/corpus/config/parents"
#define SERVER "server: {state: s, listen: [192.0.2.1@53, '::@53'], identity: lb1.example.net}\n"

static bool is_address(const struct addr *addr, const char *text) {
  char printed[ADDR_TEXT_SIZE];
  return strcmp(addr_format_port(addr, printed), text) == 0;
}

static bool ends_with(const char *text, const char *end) {
  return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static struct config *complete(void) {
  struct problems problems = {0};
  struct config *config = config_load(COMPLETE, &problems);
  assert_non_null(config);
  assert_int_equal(problems.count, 0);
  return config;
}

/* Control */

static void config_loads_control(void **state) {
  (void)state;
  struct config *config = complete();
  const struct config_control *control = &config->control;
  assert_true(control->tls.is_given);
  assert_true(ends_with(control->tls.certificate, "/corpus/config/tls/lb1.pem"));
  assert_true(ends_with(control->tls.key, "/tls/lb1.key"));
  assert_true(ends_with(control->tls.client_ca, "/tls/clients.pem"));
  assert_true(control->reads_need_token);
  assert_false(control->is_insecure);
  assert_int_equal(control->client_count, 2);
  assert_string_equal(control->clients[0].certificate, "*.rack.example.net");
  assert_string_equal(control->clients[0].resources[1], "{name}-*");
  assert_null(control->clients[0].resources[2]);
  assert_string_equal(control->clients[0].services[0], "*.example.com");
  assert_string_equal(control->clients[1].resources[0], "{name}");
  assert_null(control->clients[1].resources[1]);
  assert_string_equal(control->clients[1].services[0], "*");
  assert_int_equal(control->limits.connections, 4000);
  assert_int_equal(control->limits.connections_per_client, 500);
  assert_int_equal(control->limits.requests_per_s, 2000);
  assert_int_equal(control->limits.resources, 300000);
  assert_int_equal(control->limits.resources_per_token, 5000);
  assert_string_equal(control->advertise_name, "lb1");
  assert_int_equal(control->advertise_count, 2);
  assert_true(is_address(&control->advertise[1], "2001:db8::1@8300"));
  assert_int_equal(control->advertise_priority, 10);
  assert_int_equal(control->advertise_weight, 5);
  assert_int_equal(control->leave_ms, 20000);
  config_free(config);
}

static void config_fills_the_defaults_of_control(void **state) {
  (void)state;
  struct config *config = parse(SERVER "control: {listen: '127.0.0.1@8300'}\n");
  const struct config_control *control = &config->control;
  assert_false(control->tls.is_given);
  assert_false(control->reads_need_token);
  assert_int_equal(control->limits.connections, 2000);
  assert_int_equal(control->limits.connections_per_client, 1000);
  assert_int_equal(control->limits.requests_per_s, 0);
  assert_int_equal(control->limits.resources, 200000);
  assert_int_equal(control->limits.resources_per_token, 100000);
  assert_string_equal(control->advertise_name, "gslb-lb1");
  assert_int_equal(control->advertise_count, 1);
  assert_true(is_address(&control->advertise[0], "127.0.0.1@8300"));
  assert_int_equal(control->advertise_priority, 0);
  assert_int_equal(control->advertise_weight, 1);
  assert_int_equal(control->leave_ms, 10000);
  assert_int_equal(config->peer_count + config->parent_count + config->publish_count, 0);
  assert_null(config->mdns.interfaces);
  config_free(config);
  config = parse(SERVER);
  assert_int_equal(config->control.advertise_count, 0);
  assert_int_equal(config->control.limits.connections, 2000);
  assert_string_equal(config->control.advertise_name, "gslb-lb1");
  config_free(config);
}

static void config_does_not_advertise_an_unspecified_address(void **state) {
  (void)state;
  struct config *config = parse(SERVER "control: {listen: '0.0.0.0@8300', insecure: true}\n");
  assert_true(config->control.has_listen);
  assert_int_equal(config->control.advertise_count, 0);
  config_free(config);
}

static void config_names_a_balancer_after_its_identity(void **state) {
  (void)state;
  char name[CONFIG_BALANCER_NAME_SIZE], identity[80];
  config_balancer_name("lb1.example.net", name);
  assert_string_equal(name, "gslb-lb1");
  config_balancer_name("a_b!", name);
  assert_string_equal(name, "gslb-a-b");
  config_balancer_name("_", name);
  assert_string_equal(name, "gslb");
  memset(identity, 'x', 63);
  identity[57] = '-';
  identity[63] = '\0';
  config_balancer_name(identity, name);
  assert_int_equal(strlen(name), 62);
  assert_true(ends_with(name, "x"));
}

static void config_wants_tls_and_tokens_beyond_loopback(void **state) {
  (void)state;
#define REFUSED                                                                                                        \
  "is not a loopback address; another one needs TLS and tokens (tls, and reads: token), or insecure: true\n"
  assert_only(SERVER "control: {listen: 192.0.2.1@8300}\n", "F:2:19: listen 192.0.2.1@8300 " REFUSED);
  assert_only(SERVER "control: {listen: '::@8300', reads: token}\n", "F:2:19: listen ::@8300 " REFUSED);
  assert_only(SERVER "control: {listen: 192.0.2.1@8300, tls: {certificate: c, key: k}, insecure: false}\n",
              "F:2:19: listen 192.0.2.1@8300 " REFUSED);
  config_free(parse(SERVER "control: {listen: 192.0.2.1@8300, tls: {certificate: c, key: k}, reads: token}\n"));
  config_free(parse(SERVER "control: {listen: 192.0.2.1@8300, insecure: true}\n"));
}

static void config_reports_control(void **state) {
  (void)state;
  assert_only(SERVER "control:\n"
                     "  tls: {certificate: c}\n"
                     "  reads: everyone\n"
                     "  insecure: yes\n"
                     "  clients:\n"
                     "  - {name: a, certificate: a.example, resources: ['{nam}', 'a b', A-*], services: ['a b', '']}\n"
                     "  - {name: A, certificate: A.example., resources: []}\n"
                     "  limits: {connections: 0, resources: 1000001}\n"
                     "  advertise: {name: a.b, addresses: [192.0.2.1@1, 192.0.2.1@1, '::1@2', 0.0.0.0@1], weight: 0}\n"
                     "  leave: 11m\n",
              "F:3:3: tls is given, but listen is not\n"
              "F:3:8: missing key \"key\"\n"
              "F:4:10: reads is \"everyone\", which is none of anyone, token\n"
              "F:5:13: insecure must be true or false, not \"yes\"\n"
              "F:6:3: clients are given, but tls.client_ca, which their certificates need, is not\n"
              "F:7:51: \"{nam}\" is no pattern of ids: 1 to 79 letters, digits, \"-\", \"_\", \"*\" for any of them, "
              "and "
              "{name}\n"
              "F:7:60: \"a b\" is no pattern of ids: 1 to 79 letters, digits, \"-\", \"_\", \"*\" for any of them, and "
              "{name}\n"
              "F:7:84: \"a b\" is no pattern of names, such as www.example.com or *.dyn.example.com\n"
              "F:7:91: \"\" is no pattern of names, such as www.example.com or *.dyn.example.com\n"
              "F:8:12: client \"a\" is defined twice; first at line 7, column 5\n"
              "F:8:28: certificate \"a.example\" is defined twice; first at line 7, column 5\n"
              "F:8:51: resources needs at least 1 element\n"
              "F:9:25: connections is 0; it must be from 1 to 100000\n"
              "F:9:39: resources is 1000001; it must be from 1 to 1000000\n"
              "F:10:21: name \"a.b\" may only have letters, digits, \"-\" and \"_\"\n"
              "F:10:51: address 192.0.2.1@1 is listed twice\n"
              "F:10:64: address ::1 has port 2, the first one has 1; all must have the same\n"
              "F:10:73: address 0.0.0.0 does not belong to a single host\n"
              "F:10:93: weight is 0; it must be from 1 to 65535\n"
              "F:11:10: leave is 11m; it must be from 0ms to 10m\n");
}

static void config_reports_interfaces(void **state) {
  (void)state;
  assert_only(SERVER "mdns: {interfaces: [eth0, 'a b', eth0, '', aaaaaaaaaaaaaaaa]}\n",
              "F:2:27: \"a b\" is not the name of a network interface\n"
              "F:2:34: interface \"eth0\" is listed twice\n"
              "F:2:40: interfaces is empty\n"
              "F:2:44: interfaces has 16 bytes; 1 to 15 are allowed\n");
  char text[1024], *at = text;
  at += sprintf(at, SERVER "mdns: {interfaces: [");
  for (int i = 0; i < 40; i++)
    at += sprintf(at, "e%d, ", i);
  strcpy(at, "x]}\n");
  assert_reports(text, "interfaces has 41 elements; at most 32 are allowed");
}

/* Other balancers and servers */

static void config_loads_peers_and_publishing(void **state) {
  (void)state;
  struct config *config = complete();
  assert_int_equal(config->peer_count, 2);
  assert_string_equal(config->peers[0].identity, "lb2.example.net");
  assert_true(is_address(&config->peers[0].address, "192.0.2.2@8300"));
  assert_true(config->peers[0].is_tls);
  assert_true(ends_with(config->peers[0].ca, "/tls/ca.pem"));
  assert_int_equal(config->peers[0].priority, 10);
  assert_int_equal(config->peers[0].weight, 5);
  assert_false(config->peers[1].is_tls);
  assert_null(config->peers[1].ca);
  assert_int_equal(config->peers[1].weight, 1);
  assert_int_equal(config->publish_count, 2);
  assert_true(is_address(&config->publish[0].server, "192.0.2.53@53"));
  assert_string_equal(config->publish[0].zone, "corp.example");
  assert_int_equal(config->publish[0].key, 0);
  assert_int_equal(config->publish[0].from, 1);
  assert_false(config->publish[0].has_services);
  assert_true(config->publish[0].has_browsing);
  assert_true(is_address(&config->publish[1].server, "192.0.2.53@5353"));
  assert_true(config->publish[1].key == CONFIG_NO_KEY);
  assert_int_equal(config->publish[1].from, 0);
  assert_true(config->publish[1].has_services);
  assert_string_equal(config->mdns.interfaces[0], "eth0");
  assert_string_equal(config->mdns.interfaces[1], "br-lan");
  assert_null(config->mdns.interfaces[2]);
  config_free(config);
}

static void config_reports_peers_and_publishing(void **state) {
  (void)state;
  assert_only(SERVER "control: {listen: 127.0.0.1@8300}\n"
                     "zones: [{name: a, file: f}]\n"
                     "peers:\n"
                     "- {identity: lb1.example.net, address: 127.0.0.1@8300}\n"
                     "- {identity: lb2, address: 0.0.0.0@1, ca: x}\n"
                     "- {identity: LB2, address: 192.0.2.1@1}\n"
                     "- {identity: lb3, address: 192.0.2.1@1}\n"
                     "- {address: 192.0.2.1}\n"
                     "publish:\n"
                     "- {server: 192.0.2.1, zone: z, key: k, from: b}\n"
                     "- {server: 192.0.2.1@53, zone: Z.}\n"
                     "- {server: '::', zone: z}\n",
              "F:5:14: identity \"lb1.example.net\" is this server's own\n"
              "F:5:40: address 127.0.0.1@8300 is this server's control.listen\n"
              "F:6:28: address 0.0.0.0 does not belong to a single host\n"
              "F:6:39: ca is given, but tls: true is not\n"
              "F:7:14: peer \"lb2\" is defined twice; first at line 6, column 3\n"
              "F:8:28: peer \"192.0.2.1@1\" is defined twice; first at line 7, column 3\n"
              "F:9:3: missing key \"identity\"\n"
              "F:9:13: \"192.0.2.1\" is not an IP address with a port, such as 192.0.2.1@53 or 2001:db8::1@53\n"
              "F:11:37: key \"k\" is not defined\n"
              "F:11:46: zone \"b\" is not defined; did you mean \"a\"?\n"
              "F:12:32: zone \"z at 192.0.2.1@53\" is defined twice; first at line 11, column 3\n"
              "F:13:12: address :: does not belong to a single host\n");
  assert_only(SERVER "publish: [{server: 192.0.2.1, zone: z}]\n",
              "F:2:11: publish needs a zone of this server, but there are none\n");
}

/* Parents */

static struct config *load_parents(const char *text) {
  char path[] = "/tmp/gslb-parents-XXXXXX", token[] = "/tmp/gslb-token-XXXXXX";
  int fd = mkstemp(path), secret = mkstemp(token);
  assert_true(fd >= 0 && secret >= 0);
  assert_true(write(secret, " gslb_abc-_1 \nmore\n", 19) == 19);
  char *whole =
      mem_format("server: {state: s, listen: [192.0.2.1@53, '192.0.2.1@5300', '::@53'], identity: lb1.example}\n"
                 "zones: [{name: x, file: f}]\n"
                 "services: [{name: a.x, accept: {tokens: [t]}}, {name: '*.p.x', accept: {tokens: [t], "
                 "services: 1}}]\n"
                 "parents:\n- token_file: %s\n%s",
                 token, text);
  assert_true(write(fd, whole, strlen(whole)) == (ssize_t)strlen(whole));
  close(fd);
  close(secret);
  struct problems problems = {0};
  struct config *config = config_load(path, &problems);
  char *report = problems_format(&problems);
  if (!config)
    print_error("%s", report);
  free(report);
  problems_release(&problems);
  free(whole);
  unlink(path);
  unlink(token);
  return config;
}

static void config_loads_parents(void **state) {
  (void)state;
  struct config *config = load_parents("  domain: Example.Org.\n"
                                       "  services: [{name: www.example.org, own: a.x, port: 80}, {name: a.x}, "
                                       "{name: c.example.org, own: made.p.x}]\n");
  assert_non_null(config);
  const struct config_parent *parent = &config->parents[0];
  assert_string_equal(parent->domain, "example.org");
  assert_int_equal(parent->address.family, 0);
  assert_string_equal(parent->token, "gslb_abc-_1");
  assert_string_equal(parent->id, "lb1");
  assert_null(parent->site);
  assert_int_equal(parent->lease_ms, 30000);
  assert_int_equal(parent->address_count, 1);
  assert_true(is_address(&parent->addresses[0], "192.0.2.1@0"));
  assert_int_equal(parent->service_count, 3);
  assert_string_equal(parent->services[0].own, "a.x");
  assert_int_equal(parent->services[0].port, 80);
  assert_string_equal(parent->services[1].own, "a.x");
  assert_int_equal(parent->services[1].port, 0);
  config_free(config);
}

static void config_takes_what_a_parent_is_given(void **state) {
  (void)state;
  struct config *config =
      load_parents("  address: 192.0.2.9@8300\n  tls: true\n  ca: ca.pem\n  id: East\n  site: fra\n  lease: 5s\n"
                   "  addresses: [192.0.2.7, '2001:db8::7']\n  services: [{name: a.x}]\n");
  assert_non_null(config);
  const struct config_parent *parent = &config->parents[0];
  assert_null(parent->domain);
  assert_true(is_address(&parent->address, "192.0.2.9@8300"));
  assert_true(parent->is_tls);
  assert_string_equal(parent->ca, "/tmp/ca.pem");
  assert_string_equal(parent->id, "east");
  assert_string_equal(parent->site, "fra");
  assert_int_equal(parent->lease_ms, 5000);
  assert_int_equal(parent->address_count, 2);
  config_free(config);
}

static void config_loads_parents_from_what_was_read_before(void **state) {
  (void)state;
  struct problems problems = {0};
  char *text = NULL;
  size_t length;
  assert_int_equal(config_read_file(PARENTS, &text, &length, NULL), STATUS_OK);
  struct config *config = config_parse("/etc/gslb/gslb.yaml", text, length, &problems);
  free(text);
  problems_release(&problems);
  assert_non_null(config);
  assert_int_equal(config->parent_count, 2);
  assert_string_equal(config->parents[0].token, "gslb_0123456789");
  config_free(config);
}

static void config_reports_parents_without_their_token(void **state) {
  (void)state;
  char *report = report_of(SERVER "zones: [{name: x, file: f}]\n"
                                  "services:\n"
                                  "- {name: a.x, accept: {tokens: [t]}}\n"
                                  "- {name: '*.p.x', accept: {tokens: [t], services: 1}}\n"
                                  "parents:\n"
                                  "- {token_file: /none, services: []}\n"
                                  "- {domain: d, address: 127.0.0.1@1, services: [{name: '*.p.x', own: b.x}]}\n"
                                  "- {domain: D, services: [{name: a.x}, {name: A.x}, {name: q, own: '*.p.x'}]}\n"
                                  "- {address: 192.0.2.1@1, addresses: [0.0.0.0, 192.0.2.1, 192.0.2.1], ca: x,\n"
                                  "   services: [{name: q.p.x, port: 0}]}\n");
  assert_string_equal(report, "F:7:3: missing key \"domain\" or \"address\"\n"
                              "F:7:16: token_file /none was not read together with this file\n"
                              "F:7:33: services needs at least 1 element\n"
                              "F:8:3: missing key \"token_file\"\n"
                              "F:8:15: address cannot be given together with domain\n"
                              "F:8:55: name \"*.p.x\" has a \"*\" where no wildcard is allowed\n"
                              "F:8:69: service \"b.x\" is not defined; own must name a service of this server\n"
                              "F:9:3: missing key \"token_file\"\n"
                              "F:9:12: parent \"d\" is defined twice; first at line 8, column 3\n"
                              "F:9:46: service \"a.x\" is listed twice\n"
                              "F:9:67: service \"*.p.x\" is a pattern, which has no state\n"
                              "F:10:3: missing key \"token_file\"\n"
                              "F:10:13: address 192.0.2.1@1 is not a loopback address; the token needs tls: true on "
                              "its way, or control.insecure: true\n"
                              "F:10:38: address 0.0.0.0 does not belong to a single host\n"
                              "F:10:58: address 192.0.2.1 is listed twice\n"
                              "F:10:70: ca is given, but tls: true is not\n"
                              "F:11:35: port is 0; it must be from 1 to 65535\n");
  free(report);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(config_loads_control),
      cmocka_unit_test(config_fills_the_defaults_of_control),
      cmocka_unit_test(config_does_not_advertise_an_unspecified_address),
      cmocka_unit_test(config_names_a_balancer_after_its_identity),
      cmocka_unit_test(config_wants_tls_and_tokens_beyond_loopback),
      cmocka_unit_test(config_reports_control),
      cmocka_unit_test(config_reports_interfaces),
      cmocka_unit_test(config_loads_peers_and_publishing),
      cmocka_unit_test(config_reports_peers_and_publishing),
      cmocka_unit_test(config_loads_parents),
      cmocka_unit_test(config_takes_what_a_parent_is_given),
      cmocka_unit_test(config_loads_parents_from_what_was_read_before),
      cmocka_unit_test(config_reports_parents_without_their_token),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
