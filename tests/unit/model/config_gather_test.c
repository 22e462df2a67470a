#include "gslb/model/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include "gslb/base/memory.h"
#include "gslb/model/config_bundle.h"
#include "tests/unit/base/directory.h"
#include "tests/unit/model/config_text.h"

#define SERVER "server: {state: /var/lib/gslb, listen: [127.0.0.1@53]}\n"

static char directory[] = "/tmp/gslb-config-XXXXXX";

static char *path_of(const char *name) {
  return mem_format("%s/%s", directory, name);
}

static void put(const char *name, const char *text) {
  char *path = path_of(name);
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
  free(path);
}

static void make_directory(const char *name) {
  char *path = path_of(name);
  assert_int_equal(mkdir(path, 0700), 0);
  free(path);
}

static int empty(void **state) {
  (void)state;
  if (access(directory, F_OK) == 0 && directory_remove(directory) != 0)
    return -1;
  return mkdir(directory, 0700);
}

static int leave(void **state) {
  (void)state;
  return directory_remove(directory);
}

static struct config *load(void) {
  struct problems problems = {0};
  char *path = path_of("gslb.yaml");
  struct config *config = config_load(path, &problems);
  char *report = problems_format(&problems);
  if (!config)
    print_error("%s", report);
  assert_non_null(config);
  free(report);
  problems_release(&problems);
  free(path);
  return config;
}

/* What is wrong, with "D" for the directory. */
static void assert_refused(const char *wanted) {
  struct problems problems = {0};
  char *path = path_of("gslb.yaml");
  assert_null(config_load(path, &problems));
  char *report = problems_format(&problems), *out = mem_alloc(strlen(report) + 1), *to = out;
  for (const char *at = report; *at;)
    if (strncmp(at, directory, strlen(directory)) == 0) {
      at += strlen(directory);
      *to++ = 'D';
    } else {
      *to++ = *at++;
    }
  assert_string_equal(out, wanted);
  free(out);
  free(report);
  problems_release(&problems);
  free(path);
}

static void assert_below(const char *path, const char *name) {
  char *wanted = path_of(name);
  assert_string_equal(path, wanted);
  free(wanted);
}

/* Includes */

static void config_appends_the_lists_of_included_files(void **state) {
  (void)state;
  make_directory("conf.d");
  put("gslb.yaml", "include: [sites.yaml, conf.d/*.yaml]\n"
                   "zones: [{name: example.com, file: com.zone}]\n" SERVER);
  put("sites.yaml", "sites: [{name: fra}]\ncontrol: {listen: 127.0.0.1@8300}\n");
  put("conf.d/b.yaml",
      "zones: [{name: b.example, file: b.zone}]\n"
      "services: [{name: www.example.com, members: [{name: a, site: fra, addresses: [192.0.2.1]}]}]\n");
  put("conf.d/a.yaml", "zones: [{name: a.example, file: ../a.zone}, {name: aa.example, file: /aa.zone}]\n");
  put("conf.d/c.yaml", "zones: []\n");
  put("conf.d/not-this.yml", "]\n");
  struct config *config = load();
  assert_int_equal(config->zone_count, 4);
  assert_string_equal(config->zones[0].name, "example.com");
  assert_string_equal(config->zones[1].name, "a.example");
  assert_string_equal(config->zones[2].name, "aa.example");
  assert_string_equal(config->zones[3].name, "b.example");
  assert_below(config->zones[0].file, "com.zone");
  assert_below(config->zones[1].file, "conf.d/../a.zone");
  assert_string_equal(config->zones[2].file, "/aa.zone");
  assert_below(config->zones[3].file, "conf.d/b.zone");
  assert_true(config->control.has_listen);
  assert_int_equal(config->services[0].zone, 0);
  assert_int_equal(config->services[0].members[0].site, 0);
  assert_below(config_file_at(config, config->services[0].pos), "conf.d/b.yaml");
  assert_below(config_file_at(config, config->zones[0].pos), "gslb.yaml");
  config_free(config);
}

static void config_includes_a_file_once_and_itself_never(void **state) {
  (void)state;
  put("gslb.yaml", SERVER "include: ['*.yaml', a.yaml, ./a.yaml, gslb.yaml, 'none-*']\n");
  put("a.yaml", "sites: [{name: fra}]\n");
  struct config *config = load();
  assert_int_equal(config->site_count, 1);
  config_free(config);
}

static void config_names_the_file_of_each_problem(void **state) {
  (void)state;
  put("gslb.yaml",
      "include: [a.yaml, missing.yaml, b.yaml, c.yaml, ., [x], '']\n" SERVER "zones: [{name: a, file: f}]\n"
      "workers: 1\n");
  put("a.yaml", "server: {state: x}\n"
                "zones: [{name: b, flie: f}, {name: A, file: f}]\n"
                "include: [b.yaml]\n"
                "sites: [{name: s}]\n"
                "sites: [{name: t}]\n"
                "monitors: {}\n");
  put("b.yaml", "zones: [{name: B, file: f}\n");
  put("c.yaml", "- x\n");
  assert_refused("D/a.yaml:1:1: key \"server\" stands twice; first at D/gslb.yaml, line 2, column 1\n"
                 "D/a.yaml:2:9: missing key \"file\"\n"
                 "D/a.yaml:2:19: unknown key \"flie\"; did you mean \"file\"?\n"
                 "D/a.yaml:2:36: zone \"a\" is defined twice; first at D/gslb.yaml, line 3, column 9\n"
                 "D/a.yaml:3:1: an included file cannot include others\n"
                 "D/a.yaml:5:1: key \"sites\" stands twice; first at line 4, column 1\n"
                 "D/a.yaml:6:11: monitors must be a list, not a mapping\n"
                 "D/gslb.yaml:1:19: include D/missing.yaml cannot be opened: No such file or directory\n"
                 "D/gslb.yaml:1:49: include D cannot be read: it is a directory\n"
                 "D/gslb.yaml:1:52: an element of include must be a path\n"
                 "D/gslb.yaml:1:57: an element of include must be a path\n"
                 "D/gslb.yaml:4:1: unknown key \"workers\"; the keys here are include, server, control, keys, zones, "
                 "sites, networks, snmp, monitors, traps, sources, loads, services, peers, parents, publish, mdns\n"
                 "D/b.yaml:2:1: YAML: did not find expected ',' or ']' (while parsing a flow sequence that began at "
                 "line 1, column 8)\n"
                 "D/c.yaml:1:1: an included file must be a mapping, like the main one\n");
}

static void config_wants_include_to_be_a_list(void **state) {
  (void)state;
  put("gslb.yaml", SERVER "include: a.yaml\n");
  assert_refused("D/gslb.yaml:2:10: include must be a list of paths\n");
}

static void config_bounds_all_files_together(void **state) {
  (void)state;
  put("gslb.yaml", SERVER "include: [a.yaml, b.yaml]\n");
  size_t size = 40u << 20;
  char *text = mem_alloc(size + 1);
  memset(text, '\n', size);
  memcpy(text, "sites: [{name: s}]", 18);
  put("a.yaml", text);
  memcpy(text, "zones: []         ", 18);
  put("b.yaml", text);
  free(text);
  assert_refused("D/gslb.yaml:2:19: include D/b.yaml makes the configuration larger than 64 MiB\n");
}

/* Directories of zones */

static void config_makes_a_zone_of_each_file_in_a_directory(void **state) {
  (void)state;
  make_directory("zones");
  put("zones/b.example.zone", "");
  put("zones/A.Example.zone", "");
  put("zones/.hidden.zone", "");
  put("zones/.zone", "");
  put("zones/notes.txt", "");
  put("gslb.yaml", SERVER "zones:\n"
                          "- {name: first, file: x}\n"
                          "- {directory: zones, transfer: {allow: [192.0.2.0/24]}, serial: unixtime}\n"
                          "- {name: last, file: y}\n");
  struct config *config = load();
  assert_int_equal(config->zone_count, 4);
  assert_string_equal(config->zones[0].name, "first");
  assert_string_equal(config->zones[1].name, "a.example");
  assert_below(config->zones[1].file, "zones/A.Example.zone");
  assert_int_equal(config->zones[1].transfer_allow_count, 1);
  assert_string_equal(config->zones[2].name, "b.example");
  assert_int_equal(config->zones[2].serial, ZONE_SERIAL_UNIXTIME);
  assert_int_equal(config->zones[2].pos.line, 4);
  assert_string_equal(config->zones[3].name, "last");
  assert_int_equal(config->zones[3].serial, ZONE_SERIAL_FILE);
  config_free(config);
}

static void config_takes_an_empty_directory_for_no_zones(void **state) {
  (void)state;
  make_directory("zones");
  put("gslb.yaml", SERVER "zones: [{directory: zones}]\n");
  struct config *config = load();
  assert_int_equal(config->zone_count, 0);
  config_free(config);
}

static void config_reports_directories(void **state) {
  (void)state;
  make_directory("zones");
  put("zones/a b.zone", "");
  put("zones/x.zone", "");
  put("zones/y.zone", "");
  put("gslb.yaml", SERVER "zones:\n"
                          "- {directory: zones, serial: never}\n"
                          "- {directory: missing, colour: 1}\n"
                          "- {directory: zones, name: x, file: y, primaries: [192.0.2.1], primary_key: z}\n"
                          "- {directory: [zones]}\n"
                          "- {name: X, file: y}\n"
                          "services: [{name: anywhere, members: [{name: a, addresses: [192.0.2.1]}]}]\n");
  assert_refused(
      "D/gslb.yaml:3:15: file \"a b.zone\" in this directory is not named like a zone: \"a b\" has a character "
      "that is not allowed in a name (printable ASCII without blanks and \"\\\")\n"
      "D/gslb.yaml:3:30: serial is \"never\", which is none of file, unixtime\n"
      "D/gslb.yaml:4:15: directory D/missing cannot be read: No such file or directory\n"
      "D/gslb.yaml:4:24: unknown key \"colour\"; the keys here are name, file, directory, primaries, "
      "primary_key, transfer, notify, notify_key, serial, register, browse\n"
      "D/gslb.yaml:5:22: key \"name\" cannot be given with directory\n"
      "D/gslb.yaml:5:28: zone \"x\" is defined twice; first at line 3, column 3\n"
      "D/gslb.yaml:5:31: key \"file\" cannot be given with directory\n"
      "D/gslb.yaml:5:40: key \"primaries\" cannot be given with directory\n"
      "D/gslb.yaml:5:64: key \"primary_key\" cannot be given with directory\n"
      "D/gslb.yaml:5:77: key \"z\" is not defined\n"
      "D/gslb.yaml:6:15: directory must be a path\n"
      "D/gslb.yaml:7:10: zone \"x\" is defined twice; first at line 3, column 3\n");
}

/* Secrets */

static void config_reads_secrets_from_files(void **state) {
  (void)state;
  put("one", "AAECAwQFBgcICQ==\r\nnot this\n");
  put("two", " AAECAwQFBgc=\t");
  put("gslb.yaml", SERVER "keys:\n"
                          "- {name: a, secret_file: one}\n"
                          "- {name: b, secret_file: ./two}\n"
                          "- {name: c, secret_file: two}\n");
  struct config *config = load();
  assert_string_equal(config->keys[0].secret, "AAECAwQFBgcICQ==");
  assert_string_equal(config->keys[1].secret, "AAECAwQFBgc=");
  assert_string_equal(config->keys[2].secret, "AAECAwQFBgc=");
  config_free(config);
}

static void config_reports_secret_files_without_what_they_hold(void **state) {
  (void)state;
  put("empty", "\nAAECAwQFBgcICQ==\n");
  put("wrong", "hunter2hunter2!!\n");
  char large[8192];
  memset(large, 'A', sizeof large - 1);
  large[sizeof large - 1] = '\0';
  put("large", large);
  put("gslb.yaml", SERVER "keys:\n"
                          "- {name: a, secret_file: empty}\n"
                          "- {name: b, secret_file: wrong}\n"
                          "- {name: c, secret_file: missing}\n"
                          "- {name: d, secret_file: large}\n"
                          "- {name: e, secret_file: .}\n"
                          "- {name: f, secret_file: []}\n");
  assert_refused("D/gslb.yaml:3:26: secret_file must hold base64 text of 8 to 128 bytes\n"
                 "D/gslb.yaml:4:26: secret_file must hold base64 text of 8 to 128 bytes\n"
                 "D/gslb.yaml:5:26: secret_file D/missing cannot be opened: No such file or directory\n"
                 "D/gslb.yaml:6:26: secret_file D/large is too large\n"
                 "D/gslb.yaml:7:26: secret_file D cannot be read: it is a directory\n"
                 "D/gslb.yaml:8:26: secret_file must be a path\n");
}

/* The whole */

static void config_parses_a_whole_without_the_files(void **state) {
  (void)state;
  make_directory("zones");
  put("zones/x.zone", "");
  put("secret", "AAECAwQFBgcICQ==\n");
  put("gslb.yaml", SERVER "include: [more.y*ml]\n");
  put("more.yaml", "zones: [{directory: zones}]\nkeys: [{name: k, secret_file: secret}]\n");
  struct problems problems = {0};
  char *path = path_of("gslb.yaml"), *text = NULL;
  size_t length = 0;
  assert_int_equal(config_read_whole(path, &text, &length, &problems), STATUS_OK);
  assert_int_equal(empty(NULL), 0);
  struct config *config = config_parse(path, text, length, &problems);
  assert_non_null(config);
  assert_int_equal(config->zone_count, 1);
  assert_below(config->zones[0].file, "zones/x.zone");
  assert_string_equal(config->keys[0].secret, "AAECAwQFBgcICQ==");
  config_free(config);
  /* not even a cut one is taken for something else, and none is read beyond its end */
  for (size_t cut = 0; cut < length; cut++) {
    char *part = mem_alloc(cut ? cut : 1);
    memcpy(part, text, cut);
    config = config_parse(path, part, cut, &problems);
    free(part);
    config_free(config);
  }
  problems_release(&problems);
  free(text);
  free(path);
}

static void config_leaves_a_text_alone_that_refers_to_no_other(void **state) {
  (void)state;
  put("gslb.yaml", SERVER);
  struct problems problems = {0};
  char *path = path_of("gslb.yaml"), *text = NULL;
  size_t length = 0;
  assert_int_equal(config_read_whole(path, &text, &length, &problems), STATUS_OK);
  assert_int_equal(length, strlen(SERVER));
  assert_string_equal(text, SERVER);
  free(text);
  free(path);
}

static void config_sees_keys_however_they_are_written(void **state) {
  (void)state;
  put("a.yaml", "sites: [{name: s}]\n");
  put("gslb.yaml", SERVER "\"\\x69nclude\": [a.yaml]\n");
  struct config *config = load();
  assert_int_equal(config->site_count, 1);
  config_free(config);
}

static void config_takes_no_bundle_from_a_file(void **state) {
  (void)state;
  put("gslb.yaml", "%gslb-configuration 1\n");
  assert_refused("D/gslb.yaml: is no YAML text\n");
}

static void config_reads_relative_to_where_it_was_started(void **state) {
  (void)state;
  make_directory("etc");
  put("etc/a.yaml", "zones: [{name: x, file: x.zone}]\n");
  put("etc/gslb.yaml", SERVER "include: [a.yaml]\n");
  char here[4096];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(directory), 0);
  struct problems problems = {0};
  struct config *config = config_load("etc/gslb.yaml", &problems);
  assert_int_equal(chdir(here), 0);
  assert_non_null(config);
  assert_below(config->zones[0].file, "etc/x.zone");
  assert_string_equal(config->path, "etc/gslb.yaml");
  config_free(config);
}

int main(void) {
  if (!mkdtemp(directory))
    return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(config_appends_the_lists_of_included_files, empty),
      cmocka_unit_test_setup(config_includes_a_file_once_and_itself_never, empty),
      cmocka_unit_test_setup(config_names_the_file_of_each_problem, empty),
      cmocka_unit_test_setup(config_wants_include_to_be_a_list, empty),
      cmocka_unit_test_setup(config_bounds_all_files_together, empty),
      cmocka_unit_test_setup(config_makes_a_zone_of_each_file_in_a_directory, empty),
      cmocka_unit_test_setup(config_takes_an_empty_directory_for_no_zones, empty),
      cmocka_unit_test_setup(config_reports_directories, empty),
      cmocka_unit_test_setup(config_reads_secrets_from_files, empty),
      cmocka_unit_test_setup(config_reports_secret_files_without_what_they_hold, empty),
      cmocka_unit_test_setup(config_parses_a_whole_without_the_files, empty),
      cmocka_unit_test_setup(config_leaves_a_text_alone_that_refers_to_no_other, empty),
      cmocka_unit_test_setup(config_sees_keys_however_they_are_written, empty),
      cmocka_unit_test_setup(config_takes_no_bundle_from_a_file, empty),
      cmocka_unit_test_setup(config_reads_relative_to_where_it_was_started, empty),
  };
  return cmocka_run_group_tests(tests, NULL, leave);
}
