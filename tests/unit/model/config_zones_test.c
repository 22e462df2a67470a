#include "gslb/model/config.h"

#include "tests/unit/model/config_text.h"

#define SERVER "server: {state: /var/lib/gslb, listen: [127.0.0.1@53], identity: lb1.example.net}\n"
/* lines 2 and on */
#define KEYS SERVER "keys: [{name: K1., secret: AAECAwQFBgcICQ==}, {name: k2.example, secret: AAECAwQFBgcICQ==}]\n"
/* lines 3 and on */

static bool holds(const struct prefix *prefix, const char *text) {
  char printed[PREFIX_TEXT_SIZE];
  return strcmp(prefix_format(prefix, printed), text) == 0;
}

static bool is_server(const struct addr *addr, const char *text) {
  char printed[ADDR_TEXT_SIZE];
  return strcmp(addr_format_port(addr, printed), text) == 0;
}

static void config_gives_the_server_its_defaults(void **state) {
  (void)state;
  struct config *config = parse(SERVER);
  const struct config_server *server = &config->server;
  assert_string_equal(server->nsid, "lb1.example.net");
  assert_string_equal(server->version, "gslb");
  assert_true(server->has_cookies);
  assert_null(server->cookie_secret);
  assert_int_equal(server->tcp_per_client, 100);
  assert_int_equal(server->rate_limit.responses_per_s, 200);
  assert_int_equal(server->rate_limit.slip, 2);
  assert_int_equal(server->rate_limit.ipv4_bits, 24);
  assert_int_equal(server->rate_limit.ipv6_bits, 56);
  assert_int_equal(server->rate_limit.exempt_count, 2);
  assert_true(holds(&server->rate_limit.exempt[0], "127.0.0.0/8"));
  assert_true(holds(&server->rate_limit.exempt[1], "::1/128"));
  config_free(config);
}

static void config_takes_what_the_server_is_given(void **state) {
  (void)state;
  struct config *config =
      parse("server:\n"
            "  state: s\n"
            "  listen: [127.0.0.1@53]\n"
            "  nsid: fra 1\n"
            "  version: ''\n"
            "  tcp: {per_client: 7}\n"
            "  cookies: {enabled: false, secret: cookies}\n"
            "  rate_limit: {responses: 0, slip: 0, ipv4_prefix: 32, ipv6_prefix: 64, exempt: []}\n");
  const struct config_server *server = &config->server;
  assert_string_equal(server->nsid, "fra 1");
  assert_null(server->version);
  assert_false(server->has_cookies);
  assert_string_equal(server->cookie_secret, "/etc/gslb/cookies");
  assert_int_equal(server->tcp_per_client, 7);
  assert_int_equal(server->rate_limit.responses_per_s, 0);
  assert_int_equal(server->rate_limit.slip, 0);
  assert_int_equal(server->rate_limit.ipv4_bits, 32);
  assert_int_equal(server->rate_limit.ipv6_bits, 64);
  assert_int_equal(server->rate_limit.exempt_count, 0);
  config_free(config);
  config = parse("server: {state: s, listen: [127.0.0.1@53], nsid: \"\"}\n");
  assert_null(config->server.nsid);
  config_free(config);
}

static void config_reports_what_the_server_cannot_be_given(void **state) {
  (void)state;
  assert_only("server:\n"
              "  state: s\n"
              "  listen: [127.0.0.1@53]\n"
              "  nsid: \"a\\tb\"\n"
              "  version: [x]\n"
              "  tcp: {per_client: 0}\n"
              "  cookies: {enabled: yes, secret: ''}\n"
              "  rate_limit: {responses: 1000001, slip: 11, ipv4_prefix: 7, ipv6_prefix: 65, exempt: [10.0.0.1/8, x, "
              "10.0.0.0/33]}\n",
              "F:4:9: nsid contains a control character\n"
              "F:5:12: version must be a single value: text of up to 255 bytes\n"
              "F:6:21: per_client is 0; it must be from 1 to 100000\n"
              "F:7:22: enabled must be true or false, not \"yes\"\n"
              "F:7:35: secret is empty\n"
              "F:8:27: responses is 1000001; it must be from 0 to 1000000\n"
              "F:8:42: slip is 11; it must be from 0 to 10\n"
              "F:8:59: ipv4_prefix is 7; it must be from 8 to 32\n"
              "F:8:75: ipv6_prefix is 65; it must be from 16 to 64\n"
              "F:8:88: network \"10.0.0.1/8\" has bits beyond its length, or too great a length\n"
              "F:8:100: \"x\" is not a network such as 192.0.2.0/24 or 2001:db8::/32\n"
              "F:8:103: network \"10.0.0.0/33\" has bits beyond its length, or too great a length\n");
  char text[600], long_text[257];
  memset(long_text, 'x', 256);
  long_text[256] = '\0';
  snprintf(text, sizeof text, "server: {nsid: %s}\n", long_text);
  assert_reports(text, "F:1:16: nsid has 256 bytes; at most 255 are allowed");
  assert_reports("server: {nsid: }\n", "F:1:16: nsid has no value");
}

static void config_loads_keys(void **state) {
  (void)state;
  struct config *config = parse(KEYS);
  assert_int_equal(config->key_count, 2);
  assert_string_equal(config->keys[0].name, "k1");
  assert_int_equal(config->keys[0].algorithm, KEY_HMAC_SHA256);
  assert_string_equal(config->keys[0].secret, "AAECAwQFBgcICQ==");
  assert_int_equal(config->keys[1].pos.line, 2);
  config_free(config);
  config = parse(SERVER "keys: [{name: k, algorithm: hmac-sha512, secret: AAECAwQFBgc=}]\n");
  assert_int_equal(config->keys[0].algorithm, KEY_HMAC_SHA512);
  assert_string_equal(key_algorithm_name(config->keys[0].algorithm), "hmac-sha512");
  config_free(config);
}

static void config_reports_keys_without_telling_their_secret(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "AAECAwQFBg==",          /* seven bytes */
      "AAECAwQFBgcICQ=",       /* cut */
      "AAECAwQFBgcICR==",      /* bits that no byte has */
      "AAECAwQFBgcI====",      /* nothing but padding */
      "AAECAwQF=gcICQ==",      /* padding inside */
      "AAECAwQF BgcICQ=",      /* blanks */
      "AAECAwQFBgcI-_==",      /* the other alphabet */
      "\"AAECAwQF\\nBgcICQ\"", /* lines */
      "''",
  };
  char text[300];
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    snprintf(text, sizeof text, SERVER "keys: [{name: k, secret: %s}]\n", wrong[i]);
    assert_only(text, "F:2:26: secret must hold base64 text of 8 to 128 bytes\n");
  }
  assert_only(SERVER "keys: [{name: k, secret: [AAECAwQFBgcICQ==]}]\n",
              "F:2:26: secret must be a single value: base64 text of 8 to 128 bytes\n");
  char most[172 + 1], more[176 + 1];
  memset(most, 'A', sizeof most - 1), most[sizeof most - 1] = '\0';
  memset(more, 'A', sizeof more - 1), more[sizeof more - 1] = '\0';
  most[171] = '='; /* 128 bytes */
  snprintf(text, sizeof text, SERVER "keys: [{name: k, secret: %s}]\n", most);
  config_free(parse(text));
  snprintf(text, sizeof text, SERVER "keys: [{name: k, secret: %s}]\n", more);
  assert_only(text, "F:2:26: secret must hold base64 text of 8 to 128 bytes\n");
}

static void config_reports_keys_that_contradict_themselves(void **state) {
  (void)state;
  assert_only(SERVER "keys:\n"
                     "- {name: k}\n"
                     "- {name: K., secret: AAECAwQFBgc=, algorithm: hmac-md5}\n"
                     "- {name: other, secret: AAECAwQFBgc=, secret_file: /w/f}\n",
              "F:3:3: missing key \"secret\" or \"secret_file\"\n"
              "F:4:10: key \"k\" is defined twice; first at line 3, column 3\n"
              "F:4:47: algorithm is \"hmac-md5\", which is none of hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384, "
              "hmac-sha512\n"
              "F:5:39: secret_file cannot be given together with secret\n"
              "F:5:52: secret_file /w/f was not read together with this file\n");
}

static void config_loads_the_settings_of_a_zone(void **state) {
  (void)state;
  struct config *config =
      parse(KEYS "zones:\n"
                 "- name: example.com\n"
                 "  file: a\n"
                 "  transfer: {allow: [192.0.2.0/24, '::/0'], keys: [K2.example., k1], balanced: freeze}\n"
                 "  notify: [192.0.2.53, '2001:db8::1@5300']\n"
                 "  notify_key: k2.example\n"
                 "  serial: unixtime\n"
                 "- {name: plain.example.com, file: b}\n");
  const struct config_zone *zone = &config->zones[0], *plain = &config->zones[1];
  assert_int_equal(zone->transfer_allow_count, 2);
  assert_true(holds(&zone->transfer_allow[0], "192.0.2.0/24"));
  assert_true(holds(&zone->transfer_allow[1], "::/0"));
  assert_int_equal(zone->transfer_key_count, 2);
  assert_int_equal(zone->transfer_keys[0], 1);
  assert_int_equal(zone->transfer_keys[1], 0);
  assert_int_equal(zone->transfer_balanced, ZONE_BALANCED_FREEZE);
  assert_int_equal(zone->notify_count, 2);
  assert_true(is_server(&zone->notify[0], "192.0.2.53@53"));
  assert_true(is_server(&zone->notify[1], "2001:db8::1@5300"));
  assert_int_equal(zone->notify_key, 1);
  assert_int_equal(zone->serial, ZONE_SERIAL_UNIXTIME);
  assert_int_equal(zone->primary_count, 0);
  assert_true(zone->primary_key == CONFIG_NO_KEY);
  assert_int_equal(plain->transfer_allow_count, 0);
  assert_int_equal(plain->transfer_key_count, 0);
  assert_int_equal(plain->transfer_balanced, ZONE_BALANCED_OMIT);
  assert_int_equal(plain->notify_count, 0);
  assert_true(plain->notify_key == CONFIG_NO_KEY);
  assert_int_equal(plain->serial, ZONE_SERIAL_FILE);
  config_free(config);
}

static void config_keeps_secondary_zones_in_the_state_directory(void **state) {
  (void)state;
  struct config *config = parse(KEYS "zones:\n"
                                     "- {name: Example.COM, primaries: ['::1', 192.0.2.1@5353], primary_key: k1}\n"
                                     "- {name: ., primaries: [192.0.2.1]}\n"
                                     "- {name: 0/25.2.0.192.in-addr.arpa, primaries: [192.0.2.1]}\n"
                                     "- {name: example.org, primaries: [192.0.2.1], file: kept}\n");
  assert_int_equal(config->zones[0].primary_count, 2);
  assert_true(is_server(&config->zones[0].primaries[0], "::1@53"));
  assert_true(is_server(&config->zones[0].primaries[1], "192.0.2.1@5353"));
  assert_int_equal(config->zones[0].primary_key, 0);
  assert_true(config->zones[1].primary_key == CONFIG_NO_KEY);
  assert_string_equal(config->zones[0].file, "/var/lib/gslb/secondary/example.com.zone");
  assert_string_equal(config->zones[1].file, "/var/lib/gslb/secondary/root.zone");
  assert_string_equal(config->zones[2].file, "/var/lib/gslb/secondary/0%2f25.2.0.192.in-addr.arpa.zone");
  assert_string_equal(config->zones[3].file, "/etc/gslb/kept");
  config_free(config);
}

static void config_lets_a_service_lie_in_a_secondary_zone(void **state) {
  (void)state;
  struct config *config = parse(SERVER "zones: [{name: example.com, primaries: [192.0.2.1]}]\n"
                                       "services: [{name: www.example.com, members: [{name: a, addresses: "
                                       "[192.0.2.2]}]}]\n");
  assert_int_equal(config->services[0].zone, 0);
  config_free(config);
}

static void config_reports_zones_that_contradict_themselves(void **state) {
  (void)state;
  assert_only(KEYS "zones:\n"
                   "- {file: a}\n"
                   "- {name: a}\n"
                   "- {name: b, file: b, primary_key: k1, notify_key: k1}\n"
                   "- {name: c, primaries: [192.0.2.1, 192.0.2.1@53, x, 192.0.2.1@0], serial: unixtime}\n"
                   "- {name: d, primaries: []}\n"
                   "- {name: e, file: e, notify: ['::1', '::1'], transfer: {keys: [k1, K1, k3], balanced: all}}\n"
                   "- {name: f, primaries: [192.0.2.1], primary_key: k2.exampel}\n",
              "F:4:3: missing key \"name\"\n"
              "F:5:3: missing key \"file\"\n"
              "F:6:35: primary_key is given, but no primaries are\n"
              "F:6:51: notify_key is given, but notify names no server\n"
              "F:7:36: server 192.0.2.1@53 is listed twice\n"
              "F:7:50: \"x\" is not an IP address with a port or without, such as 192.0.2.1 or ::1@5300\n"
              "F:7:53: \"192.0.2.1@0\" has a port outside 1 to 65535\n"
              "F:7:75: serial unixtime is for zones without primaries; others keep the serial of their primary\n"
              "F:8:24: primaries needs at least 1 element\n"
              "F:9:38: server ::1@53 is listed twice\n"
              "F:9:68: key \"K1\" is listed twice\n"
              "F:9:72: key \"k3\" is not defined; did you mean \"k1\"?\n"
              "F:9:87: balanced is \"all\", which is none of omit, freeze\n"
              "F:10:50: key \"k2.exampel\" is not defined; did you mean \"k2.example\"?\n");
}

static void config_keeps_zones_out_of_the_files_of_secondary_zones(void **state) {
  (void)state;
  assert_only(SERVER "zones:\n"
                     "- {name: a, file: /var/lib/gslb/secondary/b.zone}\n"
                     "- {name: b, primaries: [192.0.2.1]}\n"
                     "- {name: c, primaries: [192.0.2.1], file: /var/lib/gslb/secondary/b.zone}\n"
                     "- {name: ., primaries: [192.0.2.1]}\n"
                     "- {name: root, primaries: [192.0.2.1]}\n",
              "F:3:3: file /var/lib/gslb/secondary/b.zone is where a secondary zone is kept (line 4, column 3)\n"
              "F:5:43: file /var/lib/gslb/secondary/b.zone is where another secondary zone is kept (line 4, column 3)\n"
              "F:7:3: file /var/lib/gslb/secondary/root.zone is where another secondary zone is kept (line 6, column "
              "3)\n");
}

static void config_lets_primary_zones_share_a_file(void **state) {
  (void)state;
  struct config *config = parse(SERVER "zones: [{name: a, file: parked}, {name: b, file: parked}]\n");
  assert_string_equal(config->zones[0].file, config->zones[1].file);
  config_free(config);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(config_gives_the_server_its_defaults),
      cmocka_unit_test(config_takes_what_the_server_is_given),
      cmocka_unit_test(config_reports_what_the_server_cannot_be_given),
      cmocka_unit_test(config_loads_keys),
      cmocka_unit_test(config_reports_keys_without_telling_their_secret),
      cmocka_unit_test(config_reports_keys_that_contradict_themselves),
      cmocka_unit_test(config_loads_the_settings_of_a_zone),
      cmocka_unit_test(config_keeps_secondary_zones_in_the_state_directory),
      cmocka_unit_test(config_lets_a_service_lie_in_a_secondary_zone),
      cmocka_unit_test(config_reports_zones_that_contradict_themselves),
      cmocka_unit_test(config_keeps_zones_out_of_the_files_of_secondary_zones),
      cmocka_unit_test(config_lets_primary_zones_share_a_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
