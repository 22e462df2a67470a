/* gslb/main/gslbd.c
 * The daemon's command line. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "gslb/base/problem.h"
#include "gslb/base/version.h"
#include "gslb/main/control.h"
#include "gslb/main/exec.h"
#include "gslb/main/supervisor.h"
#include "gslb/model/config.h"
#include "probes/schedule.h"
#include "zones/compile/compile.h"
#include "zones/server.h"

#define DEFAULT_CONFIG "/etc/gslb/gslb.yaml"
#define EXIT_USAGE 2

static child_main *const mains[BOARD_PROCESSES] = {
    [BOARD_DNS] = dns_run,
    [BOARD_PROBE] = probe_run,
    [BOARD_CONTROL] = control_run,
    [BOARD_EXEC] = exec_run,
};

static const char usage[] = "usage: gslbd [--config FILE]\n"
                            "       gslbd --check-config FILE\n"
                            "       gslbd --help-config\n"
                            "\n"
                            "  -c, --config FILE        serve what FILE describes (" DEFAULT_CONFIG ")\n"
                            "      --check-config FILE  check FILE and its zones, tell every problem, and end\n"
                            "      --help-config        tell what can stand in a configuration\n"
                            "  -h, --help               this text\n"
                            "  -V, --version            the version\n";

static int check_config(const char *path) {
  struct problems problems = {0};
  struct config *config = config_load(path, &problems);
  int image = -1;
  bool is_good = config && zones_compile(config, &image, &problems) == STATUS_OK;
  if (is_good) {
    size_t members = 0;
    for (size_t i = 0; i < config->service_count; i++)
      members += config->services[i].member_count;
    printf("%s: ok (%zu zones, %zu services, %zu members)\n", path, config->zone_count, config_count_services(config),
           members);
    close(image);
  } else {
    problems_sort(&problems);
    char *text = problems_format(&problems);
    fputs(text, stderr);
    free(text);
  }
  config_free(config);
  problems_release(&problems);
  return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int print_config_help(void) {
  char *text = config_help();
  fputs(text, stdout);
  free(text);
  return EXIT_SUCCESS;
}

enum option_code { OPTION_CHECK = 256, OPTION_HELP_CONFIG };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check-config", required_argument, NULL, OPTION_CHECK},
    {"help-config", no_argument, NULL, OPTION_HELP_CONFIG},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

int main(int argc, char **argv) {
  const char *path = DEFAULT_CONFIG;
  log_setup("supervisor", LOG_LEVEL_INFO, false);
  for (int code; (code = getopt_long(argc, argv, "c:hV", options, NULL)) != -1;) {
    switch (code) {
    case 'c':
      path = optarg;
      break;
    case OPTION_CHECK:
      return check_config(optarg);
    case OPTION_HELP_CONFIG:
      return print_config_help();
    case 'h':
      fputs(usage, stdout);
      return EXIT_SUCCESS;
    case 'V':
      puts("gslbd " GSLB_VERSION);
      return EXIT_SUCCESS;
    default:
      fputs(usage, stderr);
      return EXIT_USAGE;
    }
  }
  if (optind < argc) {
    fprintf(stderr, "gslbd: what is \"%s\"?\n%s", argv[optind], usage);
    return EXIT_USAGE;
  }
  return supervisor_run(path, mains);
}
