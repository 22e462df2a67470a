#include "gslb/model/config.h"

#include <unistd.h>

#include "gslb/base/memory.h"
#include "tests/unit/model/config_text.h"

/* the lines that are put behind begin at line 4 */
#define SERVER                                                                                                         \
  "server: {state: s, listen: [127.0.0.1@53]}\nzones: [{name: example.com, file: zone}]\n"                             \
  "snmp: [{name: lab, version: v2c, community: public}]\n"
#define SOURCES SERVER "sources:\n" /* from line 5 on */
#define LOADS SERVER "loads:\n"     /* likewise */
#define MEMBER "members: [{name: m, addresses: [192.0.2.1]}]"

static void assert_source_wrong(const char *source, const char *wanted) {
  char text[4096];
  snprintf(text, sizeof text, SOURCES "- {name: s, %s}\n", source);
  assert_reports(text, wanted);
}

static void assert_load_wrong(const char *load, const char *wanted) {
  char text[4096];
  snprintf(text, sizeof text, LOADS "- {name: l, %s}\n", load);
  assert_reports(text, wanted);
}

static void config_loads_snmp_accesses(void **state) {
  (void)state;
  struct config *config = parse("server: {state: s, listen: [127.0.0.1@53]}\n"
                                "snmp:\n- {name: a, version: v2c, community: public}\n"
                                "- {name: b, version: v3, user: me, auth: sha256, auth_secret: 12345678, privacy: aes, "
                                "privacy_secret: abcdefgh, context: rack1}\n- {name: c, version: v3, user: you}\n"
                                "traps: {listen: 127.0.0.1@1162}\n");
  assert_string_equal(config->snmp[0].community, "public");
  assert_string_equal(config->snmp[0].context, "");
  const struct config_snmp_access *v3 = &config->snmp[1];
  assert_true(v3->version == SNMP_V3 && v3->auth == SNMP_AUTH_SHA256 && v3->privacy == SNMP_PRIVACY_AES);
  assert_string_equal(v3->user, "me");
  assert_string_equal(v3->auth_secret, "12345678");
  assert_string_equal(v3->privacy_secret, "abcdefgh");
  assert_string_equal(v3->context, "rack1");
  assert_true(config->snmp[2].auth == SNMP_AUTH_NONE && !config->snmp[2].auth_secret);
  assert_true(config->trap_listen.family == 4 && config->trap_listen.port == 1162);
  config_free(config);
}

static void config_reads_passwords_from_their_files(void **state) {
  (void)state;
  char path[] = "/tmp/gslb-config-XXXXXX", secret[] = "/tmp/gslb-secret-XXXXXX";
  int fd = mkstemp(path), secret_fd = mkstemp(secret);
  assert_true(fd >= 0 && secret_fd >= 0);
  dprintf(secret_fd, " a secret \nmore\n");
  dprintf(fd,
          "server: {state: s, listen: [127.0.0.1@53]}\n"
          "snmp:\n- {name: a, version: v2c, community_file: %s}\n"
          "- {name: b, version: v3, user: u, auth: sha, auth_secret_file: %s, privacy: aes, privacy_secret_file: %s}\n"
          "monitors: [{name: f, type: ftp, path: /x, user: u, password_file: %s}]\n",
          secret, secret, secret, secret);
  close(fd);
  struct problems problems = {0};
  struct config *config = config_load(path, &problems);
  assert_non_null(config);
  assert_string_equal(config->snmp[0].community, "a secret");
  assert_string_equal(config->snmp[1].auth_secret, "a secret");
  assert_string_equal(config->snmp[1].privacy_secret, "a secret");
  assert_string_equal(config->monitors[0].password, "a secret");
  config_free(config);
  assert_int_equal(ftruncate(secret_fd, 3), 0);
  assert_null(config_load(path, &problems));
  char *report = problems_format(&problems);
  assert_non_null(strstr(report, "auth_secret_file must hold a text of 8 to 255 bytes without control characters"));
  assert_null(strstr(report, " a\n"));
  free(report);
  problems_release(&problems);
  close(secret_fd);
  unlink(path);
  unlink(secret);
}

static void config_reports_snmp_accesses_that_are_wrong(void **state) {
  (void)state;
  assert_reports("snmp: [{name: a, version: v2c}]\n",
                 "F:1:8: missing key \"community\" or \"community_file\", which version v2c needs");
  assert_reports("snmp: [{name: a, version: v2c, community: x, user: u}]\n",
                 "key \"user\" does not belong to version v2c");
  assert_reports("snmp: [{name: a, version: v2c, community: x, community_file: u}]\n",
                 "community_file cannot be given together with community");
  assert_reports("snmp: [{name: a, version: v3, user: u, auth: sha}]\n", "missing key \"auth_secret\" or");
  assert_reports("snmp: [{name: a, version: v3, user: u, auth: sha, auth_secret: short}]\n",
                 "auth_secret has 5 bytes; 8 to 255 are allowed");
  assert_reports("snmp: [{name: a, version: v3, user: u, auth_secret: 12345678}]\n",
                 "auth_secret is given, but auth is not");
  assert_reports("snmp: [{name: a, version: v3, user: u, privacy: aes, privacy_secret: 12345678}]\n",
                 "privacy is given, but auth is not");
  assert_reports("snmp: [{name: a, version: v3, user: u}, {name: A, version: v3, user: u}]\n",
                 "snmp access \"a\" is defined twice");
  assert_reports(SERVER "traps: {listen: 127.0.0.1@53}\n", "F:4:17: listen 127.0.0.1@53 is taken by server.listen");
  assert_reports("server: {state: s, listen: [127.0.0.1@53]}\ntraps: {listen: 127.0.0.1@162}\n",
                 "traps is given, but snmp, which tells whose are taken, is not");
}

static void config_loads_sources_of_every_type(void **state) {
  (void)state;
  struct config *config = parse(
      SOURCES
      "- {name: orca, type: utilization, path: /load, schedule: '*/5 8-18 * * 1-5', every_answers: 1000}\n"
      "- {name: node, type: scrape, port: 9100, tls: {verify: false}, interval: 5s, metrics: [{name: cpu, series: "
      "node_cpu_seconds_total, labels: {mode: idle, cpu: '0'}, rate: true, scale: -0.5}]}\n"
      "- {name: agent, type: agent_check, port: 9999, send: 'hello\\n', address: 10.0.0.1}\n"
      "- {name: host, type: snmp, access: lab, table: host-resources, interval: 1s}\n"
      "- {name: own, type: snmp, access: lab, metrics: [{name: a, oid: 1.3.6.1}, {name: b, oid: 1.3.6.2, "
      "where: {oid: 1.3.6.3, value: eth0}}]}\n"
      "services: [{name: a.example.com, sources: [host, orca], " MEMBER "}]\n");
  const struct config_source *sources = config->sources;
  assert_true(sources[0].interval_ms == 0 && sources[0].timeout_ms == 2000 && sources[0].every_answers == 1000);
  assert_string_equal(sources[0].schedule, "*/5 8-18 * * 1-5");
  assert_true(!sources[0].is_tls && sources[0].port == 80);
  assert_true(sources[1].is_tls && sources[1].tls.is_unverified && sources[1].port == 9100);
  assert_string_equal(sources[1].path, "/metrics");
  const struct config_source_metric *cpu = &sources[1].metrics[0];
  assert_string_equal(cpu->series, "node_cpu_seconds_total");
  assert_string_equal(cpu->labels[0], "mode=idle");
  assert_string_equal(cpu->labels[1], "cpu=0");
  assert_null(cpu->labels[2]);
  assert_true(cpu->is_rate && cpu->scale == -0.5);
  assert_string_equal(sources[2].send, "hello\n");
  assert_true(sources[2].address.port == 9999 && sources[2].interval_ms == 10000);
  assert_string_equal(sources[3].table, "host-resources");
  assert_true(sources[3].port == 161 && sources[3].timeout_ms == 1000 && sources[3].metric_count == 0);
  assert_true(sources[4].metric_count == 2 && sources[4].metrics[0].scale == 1);
  assert_null(sources[4].metrics[0].where_oid);
  assert_string_equal(sources[4].metrics[1].where_oid, "1.3.6.3");
  assert_string_equal(sources[4].metrics[1].where_value, "eth0");
  assert_true(config->services[0].source_count == 2 && config->services[0].sources[0] == 3);
  config_free(config);
}

static void config_reports_sources_that_are_wrong(void **state) {
  (void)state;
  assert_source_wrong("type: snmp, access: lab", "F:5:3: missing key \"table\" or \"metrics\"");
  assert_source_wrong("type: snmp, access: lab, table: nothing", "table \"nothing\" is none of the ready ones");
  assert_source_wrong("type: snmp, access: lab, table: host-resource", "did you mean \"host-resources\"?");
  assert_source_wrong("type: snmp, access: lab, table: host-resources, metrics: [{name: a, oid: 1.3}]",
                      "metrics cannot be given together with table");
  assert_source_wrong("type: scrape", "missing key \"metrics\"");
  assert_source_wrong("type: scrape, metrics: [{name: a}]", "missing key \"series\"");
  assert_source_wrong("type: scrape, metrics: [{name: a, series: b, oid: 1.3}]",
                      "key \"oid\" does not belong to type scrape");
  assert_source_wrong("type: scrape, metrics: [{name: a, series: b}, {name: a, series: c}]",
                      "metric \"a\" is listed twice");
  assert_source_wrong("type: scrape, metrics: [{name: a b, series: b}]", "name must be printable ASCII without blanks");
  assert_source_wrong("type: scrape, metrics: [{name: a, series: b, scale: 0}]", "scale is 0");
  assert_source_wrong("type: scrape, metrics: [{name: a, series: b, labels: [x]}]", "labels must be a mapping");
  assert_source_wrong("type: scrape, metrics: [{name: a, series: b, labels: {9x: y}}]",
                      "\"9x\" is not the name of a label");
  assert_source_wrong("type: scrape, metrics: [{name: a, series: b, labels: {x: y, x: z}}]", "key \"x\" stands twice");
  assert_source_wrong("type: agent_check", "missing key \"port\", which type agent_check needs");
  assert_source_wrong("type: agent_check, port: 1, send: 'a\\x00'", "send cannot contain the character NUL");
  assert_source_wrong("type: utilization, schedule: '61 * * * *'", "schedule \"61 * * * *\" has a wrong minute");
  assert_source_wrong("type: utilization, schedule: '0 0 31 2 *'", "is a time that never comes");
  assert_source_wrong("type: scrape, schedule: '* * * * *'", "key \"schedule\" does not belong to type scrape");
  assert_source_wrong("type: utilization, interval: 1s, timeout: 2s", "timeout 2s is longer than interval 1s");
  assert_source_wrong("type: utilization, path: x", "path must begin with \"/\"");
}

static void config_loads_shared_and_own_load_sections(void **state) {
  (void)state;
  struct config *config = parse(
      LOADS "- {name: std, window: 2m, rule: prefer, metrics: [{name: cpu_utilization, weight: 2.5, ceiling: 100, "
            "view: p95, threshold: 90, release: 80}, {name: free, source: snmp, more_is_better: true, "
            "threshold: 1, release: 2}]}\n"
            "- {name: plain}\n"
            "services:\n"
            "- {name: a.example.com, load: {window: 1m, metrics: [{name: rps}]}, " MEMBER "}\n"
            "- {name: b.example.com, load: std, " MEMBER "}\n"
            "- {name: c.example.com, load: {}, " MEMBER "}\n"
            "- {name: d.example.com, " MEMBER "}\n");
  assert_int_equal(config->load_count, 4);
  const struct config_load_metric *cpu = &config->loads[0].metrics[0], *free = &config->loads[0].metrics[1];
  assert_true(config->loads[0].window_ms == 120000 && config->loads[0].rule == THRESHOLD_PREFER);
  assert_true(cpu->weight == 2.5 && cpu->ceiling == 100 && cpu->view == VIEW_P95 && cpu->source == METRICS_SOURCES);
  assert_true(cpu->has_threshold && cpu->threshold == 90 && cpu->release == 80);
  assert_true(free->is_more_better && free->source == METRICS_SNMP && free->ceiling == 0 && free->weight == 1);
  assert_true(config->loads[1].metric_count == 0 && config->loads[1].window_ms == 300000);
  assert_int_equal(config->services[0].load, 2);
  assert_string_equal(config->loads[2].name, "a.example.com");
  assert_true(config->loads[2].window_ms == 60000 && !config->loads[2].metrics[0].has_threshold);
  assert_int_equal(config->services[1].load, 0);
  assert_int_equal(config->services[2].load, 3);
  assert_string_equal(config->loads[3].name, "c.example.com");
  assert_true(config->services[3].load == CONFIG_NO_LOAD);
  assert_false(config->has_history);
  config_free(config);
}

static void config_reports_loads_that_are_wrong(void **state) {
  (void)state;
  assert_load_wrong("metrics: [{name: a, weight: 0}]", "F:5:41: weight is 0; it must be above 0");
  assert_load_wrong("metrics: [{name: a, weight: -1}]", "weight is -1; it must be from 0 to 1000000");
  assert_load_wrong("metrics: [{name: a, ceiling: 0}]", "ceiling is 0; it must be above 0");
  assert_load_wrong("metrics: [{name: a, ceiling: -2.5}]", "ceiling is -2.5; it must be above 0");
  assert_load_wrong("metrics: [{name: a, release: 1}]", "release is given, but threshold is not");
  assert_load_wrong("metrics: [{name: a, threshold: 1, release: 2}]", "release must not be above threshold");
  assert_load_wrong("metrics: [{name: a, threshold: 2, release: 1, more_is_better: true}]",
                    "release must not be below threshold");
  assert_load_wrong("metrics: [{name: a, source: agents}]", "source is \"agents\", which is none of any, probe");
  assert_load_wrong("metrics: [{name: a}, {name: a}]", "metric \"a\" is listed twice with the same source and view");
  assert_load_wrong("rule: all, metrics: [{name: a}]", "rule is given, but no metric has a threshold");
  assert_reports(SERVER "services: [{name: a.example.com, load: std, " MEMBER "}]\n", "load \"std\" is not defined");
  assert_reports(SERVER "services: [{name: a.example.com, load: {name: x}, " MEMBER "}]\n", "unknown key \"name\"");
  assert_reports(SERVER "services: [{name: a.example.com, load: [x], " MEMBER "}]\n",
                 "load must be a single value: name of");
}

static void config_keeps_history_when_told(void **state) {
  (void)state;
  struct config *config = parse("server: {state: s, listen: [127.0.0.1@53], history: true}\n");
  assert_true(config->has_history);
  config_free(config);
  assert_reports("server: {history: yes}\n", "F:1:19: history must be true or false, not \"yes\"");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(config_loads_snmp_accesses),
      cmocka_unit_test(config_reads_passwords_from_their_files),
      cmocka_unit_test(config_reports_snmp_accesses_that_are_wrong),
      cmocka_unit_test(config_loads_sources_of_every_type),
      cmocka_unit_test(config_reports_sources_that_are_wrong),
      cmocka_unit_test(config_loads_shared_and_own_load_sections),
      cmocka_unit_test(config_reports_loads_that_are_wrong),
      cmocka_unit_test(config_keeps_history_when_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
