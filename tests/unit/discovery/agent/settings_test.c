#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "discovery/agent/options.h"
#include "discovery/agent/registration.h"
#include "discovery/agent/settings.h"

struct line {
  struct options options;
  struct settings *settings;
  char *problems;
};

/* What the command line and a configuration (NULL: none) make together. */
static struct line read_line(const char *text, const char *const *words) {
  struct line line = {0};
  char *argv[32] = {"gslb-agent"};
  int argc = 1;
  struct errbuf err;
  for (; *words; words++)
    argv[argc++] = (char *)*words;
  assert_int_equal(options_parse(argc, argv, &line.options, &err), STATUS_OK);
  struct problems problems = {0};
  line.settings =
      settings_parse("/etc/gslb/agent.yaml", text, text ? strlen(text) : 0, line.options.overlay, &problems);
  line.problems = problems_format(&problems);
  problems_release(&problems);
  return line;
}
#define READ(text, ...) read_line(text, (const char *const[]){__VA_ARGS__, NULL})

static void forget(struct line *line) {
  settings_free(line->settings);
  options_release(&line->options);
  free(line->problems);
}

static void refused(const char *text, const char *const *words, const char *why) {
  struct line line = read_line(text, words);
  assert_null(line.settings);
  assert_non_null(strstr(line.problems, why));
  forget(&line);
}
#define REFUSED(why, text, ...) refused(text, (const char *const[]){__VA_ARGS__, NULL}, why)

static void misused(const char *const *words) {
  struct options options;
  struct errbuf err;
  char *argv[16] = {"gslb-agent"};
  int argc = 1;
  for (; *words; words++)
    argv[argc++] = (char *)*words;
  assert_int_equal(options_parse(argc, argv, &options, &err), STATUS_INVALID);
  options_release(&options);
}
#define MISUSED(...) misused((const char *const[]){__VA_ARGS__, NULL})

static void the_command_line_is_enough(void **state) {
  (void)state;
  struct line line = READ(NULL, "--domain", "Example.com.", "--service", "www", "--port", "8080", "--service",
                          "api.example.net", "--label", "rack=r7", "--address", "127.0.0.77", "--balancers", "all");
  const struct settings *settings = line.settings;
  assert_non_null(settings);
  assert_string_equal(settings->domain, "example.com");
  assert_int_equal(settings->service_count, 2);
  assert_string_equal(settings->services[0].name, "www.example.com");
  assert_int_equal(settings->services[0].port, 8080);
  assert_string_equal(settings->services[1].name, "api.example.net");
  assert_int_equal(settings->services[1].port, 0);
  assert_int_equal(settings->lease_ms, 30000);
  assert_int_equal(settings->linger_most_ms, 120000);
  assert_true(settings->has_listener);
  assert_int_equal(settings->balancer_count, UINT32_MAX);
  assert_string_equal(settings->labels[0], "rack=r7");
  forget(&line);
}

static const char whole[] = "domain: example.com\n"
                            "id: Web-1\n"
                            "token_file: token\n"
                            "services:\n"
                            "  - {name: www, port: 80, weight: 3, instance: Web 1}\n"
                            "labels: {rack: r7, row: 2}\n"
                            "capacity: 12.5\n"
                            "tls: {ca: ca.pem}\n"
                            "listen: none\n"
                            "metrics:\n"
                            "  - {command: [/bin/echo, queue 1], interval: 5s, timeout: 1s}\n"
                            "  - {url: 'http://127.0.0.1:9100/load', name: load}\n"
                            "log: {level: debug}\n";

static void the_command_line_stands_above_the_file(void **state) {
  (void)state;
  char text[1024];
  snprintf(text, sizeof text, "%s", whole);
  char *token = strstr(text, "token_file: token\n");
  memmove(token, token + 18, strlen(token + 18) + 1);
  struct line line =
      READ(text, "-s", "api", "-p", "8443", "--ca", "/etc/other.pem", "--log-level", "error", "--token", "gslb_x");
  const struct settings *settings = line.settings;
  assert_string_equal(line.problems, "");
  assert_non_null(settings);
  assert_int_equal(settings->service_count, 1);
  assert_string_equal(settings->services[0].name, "api.example.com");
  assert_string_equal(settings->ca, "/etc/other.pem");
  assert_int_equal(settings->log_level, 0);
  assert_string_equal(settings->id, "web-1");
  assert_false(settings->has_listener);
  assert_int_equal(settings->metric_count, 2);
  assert_int_equal(settings->metrics[0].source, SOURCE_COMMAND);
  assert_string_equal(settings->metrics[0].command[1], "queue 1");
  assert_int_equal(settings->metrics[1].source, SOURCE_URL);
  assert_int_equal(settings->metrics[1].interval_ms, 10000);
  assert_string_equal(settings->token, "gslb_x");
  forget(&line);
}

static void a_reading_may_take_no_longer_than_its_interval(void **state) {
  (void)state;
  struct line line = READ("metrics:\n"
                          "  - {file: load, interval: 500ms}\n"
                          "  - {file: load, interval: 1m}\n",
                          "-d", "example.com", "-s", "www");
  assert_string_equal(line.problems, "");
  assert_int_equal(line.settings->metrics[0].timeout_ms, 500);
  assert_int_equal(line.settings->metrics[1].timeout_ms, 5000);
  forget(&line);
  line = READ("metrics:\n  - {file: load, interval: 500ms, timeout: 1s}\n", "-d", "example.com", "-s", "www");
  assert_null(line.settings);
  assert_non_null(strstr(line.problems, "timeout is longer than interval"));
  forget(&line);
}

static void a_token_comes_from_its_file_or_the_environment(void **state) {
  (void)state;
  char path[] = "/tmp/gslb-agent-token-XXXXXX";
  int fd = mkstemp(path);
  assert_int_equal(write(fd, "gslb_secret\nrest\n", 17), 17);
  close(fd);
  struct line line = READ(NULL, "-d", "example.com", "-s", "www", "--token-file", path);
  assert_string_equal(line.settings->token, "gslb_secret");
  forget(&line);
  unlink(path);
  REFUSED("No such file", NULL, "-d", "example.com", "-s", "www", "--token-file", path);
  setenv("GSLB_TOKEN", "gslb_environment", 1);
  line = READ(NULL, "-d", "example.com", "-s", "www");
  assert_string_equal(line.settings->token, "gslb_environment");
  forget(&line);
  unsetenv("GSLB_TOKEN");
}

static void what_is_wrong_is_told(void **state) {
  (void)state;
  REFUSED("one of domain, url and multicast", NULL, "-s", "www.example.com");
  REFUSED("no service is named", NULL, "-d", "example.com");
  REFUSED("named twice", NULL, "-d", "example.com", "-s", "www", "-s", "WWW.example.com");
  REFUSED("lease is at least 5s", NULL, "-d", "example.com", "-s", "www", "--lease", "3s");
  REFUSED("balancers is a number", NULL, "-d", "example.com", "-s", "www", "--balancers", "0");
  REFUSED("belong together", NULL, "-d", "example.com", "-s", "www", "--key", "/k");
  REFUSED("id \"a.b\"", NULL, "-d", "example.com", "-s", "www", "--id", "a.b");
  REFUSED("listen must be", NULL, "-d", "example.com", "-s", "www", "--listen", "8080");
  REFUSED("agent.yaml:1:1: unknown key", "nothing: 1\n", "-d", "example.com", "-s", "www");
  REFUSED("exactly one of command", "metrics: [{name: x}]\n", "-d", "example.com", "-s", "www");
  REFUSED("url must name an address", "metrics: [{url: 'http://localhost/'}]\n", "-d", "example.com", "-s", "www");
  REFUSED("labels must be a mapping", "labels: [a]\n", "-d", "example.com", "-s", "www");
  REFUSED("stands twice", "labels: {a: 1, a: 2}\n", "-d", "example.com", "-s", "www");
}

static void misuse_is_refused(void **state) {
  (void)state;
  MISUSED("--domain", "a", "--domain", "b");
  MISUSED("--port", "80");
  MISUSED("--service", "a", "--port", "80", "--port", "81");
  MISUSED("--label", "a");
  MISUSED("--label", "a=1", "--label", "a=2");
  MISUSED("something");
}

static void settings_are_registered_as_a_document(void **state) {
  (void)state;
  struct line line =
      READ(NULL, "-d", "example.com", "-s", "www", "-p", "8080", "--weight", "5", "-l", "rack=r7", "--site", "fra",
           "--capability", "tls13", "--lease", "0s", "--kind", "cloud", "--capacity", "2.5");
  struct addr addresses[2], service;
  addr_parse("127.0.0.77", &addresses[0]);
  addr_parse("::1", &addresses[1]);
  addr_parse_port("::1@4711", &service);
  json_t *document = registration_document(line.settings, addresses, 2, &service);
  json_t *wanted =
      json_loads("{\"kind\":\"cloud\",\"addresses\":[\"127.0.0.77\",\"::1\"],\"services\":[{\"name\":\"www.example."
                 "com\","
                 "\"port\":8080}],\"lease_s\":0.0,\"weight\":5,\"tier\":0,\"site\":\"fra\",\"capacity\":2.5,"
                 "\"capabilities\":[\"tls13\"],\"labels\":{\"rack\":\"r7\"},"
                 "\"utilization_url\":\"http://[::1]:4711/utilization\",\"notice_url\":\"http://[::1]:4711/notice\"}",
                 0, NULL);
  assert_true(json_equal(document, wanted));
  json_decref(document);
  json_decref(wanted);
  forget(&line);
}

static void the_route_to_a_balancer_tells_the_own_address(void **state) {
  (void)state;
  struct addr balancer, own, wanted;
  addr_parse_port("127.0.0.1@8300", &balancer);
  addr_parse("127.0.0.1", &wanted);
  assert_int_equal(registration_route(&balancer, &own, NULL), STATUS_OK);
  assert_true(addr_equal(&own, &wanted));
}

static void every_key_is_explained(void **state) {
  (void)state;
  char *help = settings_help();
  assert_non_null(strstr(help, "tls.ca"));
  assert_non_null(strstr(help, "metrics[].command[]"));
  free(help);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_command_line_is_enough),
      cmocka_unit_test(the_command_line_stands_above_the_file),
      cmocka_unit_test(a_reading_may_take_no_longer_than_its_interval),
      cmocka_unit_test(a_token_comes_from_its_file_or_the_environment),
      cmocka_unit_test(what_is_wrong_is_told),
      cmocka_unit_test(misuse_is_refused),
      cmocka_unit_test(settings_are_registered_as_a_document),
      cmocka_unit_test(the_route_to_a_balancer_tells_the_own_address),
      cmocka_unit_test(every_key_is_explained),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
