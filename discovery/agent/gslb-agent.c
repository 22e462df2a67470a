/* discovery/agent/gslb-agent.c
 * The agent's command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discovery/agent/agent.h"
#include "discovery/agent/ctl_client.h"
#include "discovery/agent/options.h"
#include "discovery/agent/settings.h"
#include "gslb/base/log.h"
#include "gslb/base/version.h"

#define EXIT_USAGE 2

static int tell_problems(struct problems *problems) {
  problems_sort(problems);
  char *text = problems_format(problems);
  fputs(text, stderr);
  free(text);
  problems_release(problems);
  return EXIT_USAGE;
}

static int run(const struct options *options) {
  struct problems problems = {0};
  struct settings *settings = settings_load(options->config, options->overlay, &problems);
  if (!settings)
    return tell_problems(&problems);
  problems_release(&problems);
  if (options->wish == OPTIONS_RUN)
    return agent_run(settings, options->config, options->overlay);
  printf("%s: ok (%zu services)\n", settings->path, settings->service_count);
  settings_free(settings);
  return EXIT_SUCCESS;
}

static int obey(const struct options *options) {
  char *help;
  switch (options->wish) {
  case OPTIONS_RUN:
  case OPTIONS_CHECK:
    return run(options);
  case OPTIONS_HELP:
    fputs(options_usage, stdout);
    break;
  case OPTIONS_HELP_CONFIG:
    help = settings_help();
    fputs(help, stdout);
    free(help);
    break;
  case OPTIONS_VERSION:
    puts("gslb-agent " GSLB_VERSION);
    break;
  }
  return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "ctl") == 0)
    return ctl_client_run(argc - 1, argv + 1);
  struct options options;
  struct errbuf err;
  int status = EXIT_USAGE;
  log_setup("gslb-agent", LOG_LEVEL_INFO, false);
  if (options_parse(argc, argv, &options, &err) == STATUS_OK)
    status = obey(&options);
  else
    fprintf(stderr, "gslb-agent: %s\nTry gslb-agent --help.\n", err.text);
  options_release(&options);
  return status;
}
