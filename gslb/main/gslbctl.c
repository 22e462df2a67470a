/* gslb/main/gslbctl.c
 * The operator's command line. */
#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/base/version.h"
#include "gslb/main/ctl_balancer.h"
#include "gslb/main/ctl_command.h"
#include "gslb/main/ctl_history.h"
#include "gslb/main/ctl_load.h"
#include "gslb/main/ctl_print.h"
#include "gslb/main/ctl_resource.h"
#include "gslb/main/ctl_snmp.h"
#include "gslb/main/ctl_source.h"
#include "gslb/main/ctl_table.h"
#include "gslb/main/ctl_token.h"
#include "gslb/main/ctl_watch.h"
#include "gslb/main/ctl_zone.h"
#include "gslb/model/config.h"
#include "gslb/model/records.h"
#include "gslb/model/scalar.h"

#define DEFAULT_CONFIG "/etc/gslb/gslb.yaml"
#define EVENTS_LIMIT_MOST 1000

static const char usage[] =
    "usage: gslbctl [--config FILE | --socket PATH] [-o text|json] COMMAND\n"
    "\n"
    "  status                        the whole house at a glance\n"
    "  services                      every service and how it stands\n"
    "  members [--service S] [--state STATE]\n"
    "                                every member (unknown, up, degraded, draining, down)\n"
    "  member NAME                   one member with its addresses and probes\n"
    "  member NAME down|up|drain --reason TEXT [--for DURATION]\n"
    "                                an operator's word stands above the probes, until its time is over\n"
    "  member NAME clear             the probes decide again\n"
    "  load NAME                     the member's load, term by term, and what every source told of it\n"
    "  history NAME [METRIC] [--source SOURCE] [--from TIME] [--to TIME] [--step DURATION]\n"
    "                                a figure over time, or which are kept (TIME is -6h or 2026-11-21T13:30:00Z)\n"
    "  measure NAME                  reads the member's sources of figures now\n"
    "  events [--limit N] [--service S]\n"
    "                                what happened, newest first (100)\n"
    "  zones                         every zone, and how those from other primaries fare\n"
    "  zone check FILE [--origin ZONE]\n"
    "                                whether the file is a sound zone, without a daemon (the file's name without "
    ".zone)\n"
    "  zone query NAME [TYPE]        the static records at that name, as master files have them\n"
    "  zone reload ZONE              read all files again, or ask the zone's primary at once\n"
    "  resource list [--service S] [--site S] [--owner O] [--kind KIND] [--state STATE]\n"
    "                                what registered (live, stale, moved, ended, removed)\n"
    "  resource show ID              one registration with its lease and its last report\n"
    "  resource remove ID --reason TEXT [--for DURATION]\n"
    "                                takes it out, and refuses it until then, or until it is allowed\n"
    "  resource allow ID             it may register again\n"
    "  token create NAME --resources PATTERNS [--services PATTERNS] [--admin] [--no-read] [--for DURATION]\n"
    "                                makes a token and prints it alone; PATTERNS such as 'app-*,web-*'\n"
    "               [--token-file FILE]\n"
    "                                takes the one in FILE, which another balancer made, so that it is good here too\n"
    "  token list | token delete NAME\n"
    "  peers                         this balancer and the others\n"
    "  leave --for DURATION [--at TIME] [--reason TEXT]\n"
    "                                a planned absence: resources are told and move (TIME is 02:00 or +10m)\n"
    "  leave list | leave cancel [TIME]\n"
    "  snmp walk DEVICE [OID]        what the device has, read from here; all of it, or what is below OID\n"
    "  snmp suggest DEVICE           which ready tables of metrics the device has\n"
    "      [--access NAME | --community C | --user U [--auth sha|sha256|sha512] [--auth-secret FILE]\n"
    "      [--privacy-secret FILE] [--context C]]\n"
    "                                DEVICE is an address, address@port or a configured member's NAME\n"
    "  watch [--kind KIND] [--resource ID] [--service S] [--since POSITION]\n"
    "                                what happens, as it happens\n"
    "  reload                        read the configuration and the zones again; on any error the old ones stay\n"
    "\n"
    "A member's NAME is service/member, or the member alone where only one service has it. DURATION is 90s, 30m, 2h, "
    "1d.\n"
    "\n"
    "  -c, --config FILE   the daemon's configuration, which tells the socket (" DEFAULT_CONFIG ")\n"
    "  -s, --socket PATH   the daemon's unix socket\n"
    "  -o, --output FORM   text or json (text)\n"
    "  -h, --help          this text\n"
    "  -V, --version       the version\n"
    "\n"
    "Without a daemon, what only reads is read from the stores. Exit: 0 done, 1 refused or failed, 2 wrong usage.\n";

enum option_code {
  OPTION_SERVICE = 256,
  OPTION_STATE,
  OPTION_FOR,
  OPTION_LIMIT,
  OPTION_ORIGIN,
  OPTION_SITE,
  OPTION_OWNER,
  OPTION_KIND,
  OPTION_RESOURCE,
  OPTION_RESOURCES,
  OPTION_SERVICES,
  OPTION_ADMIN,
  OPTION_NO_READ,
  OPTION_TOKEN_FILE,
  OPTION_AT,
  OPTION_SINCE,
  OPTION_FROM,
  OPTION_TO,
  OPTION_STEP,
  OPTION_SOURCE,
  OPTION_ACCESS,
  OPTION_COMMUNITY,
  OPTION_USER,
  OPTION_AUTH,
  OPTION_AUTH_SECRET,
  OPTION_PRIVACY_SECRET,
  OPTION_CONTEXT,
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"socket", required_argument, NULL, 's'},
    {"output", required_argument, NULL, 'o'},
    {"service", required_argument, NULL, OPTION_SERVICE},
    {"state", required_argument, NULL, OPTION_STATE},
    {"reason", required_argument, NULL, 'r'},
    {"for", required_argument, NULL, OPTION_FOR},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"origin", required_argument, NULL, OPTION_ORIGIN},
    {"site", required_argument, NULL, OPTION_SITE},
    {"owner", required_argument, NULL, OPTION_OWNER},
    {"kind", required_argument, NULL, OPTION_KIND},
    {"resource", required_argument, NULL, OPTION_RESOURCE},
    {"resources", required_argument, NULL, OPTION_RESOURCES},
    {"services", required_argument, NULL, OPTION_SERVICES},
    {"admin", no_argument, NULL, OPTION_ADMIN},
    {"no-read", no_argument, NULL, OPTION_NO_READ},
    {"token-file", required_argument, NULL, OPTION_TOKEN_FILE},
    {"at", required_argument, NULL, OPTION_AT},
    {"since", required_argument, NULL, OPTION_SINCE},
    {"from", required_argument, NULL, OPTION_FROM},
    {"to", required_argument, NULL, OPTION_TO},
    {"step", required_argument, NULL, OPTION_STEP},
    {"source", required_argument, NULL, OPTION_SOURCE},
    {"access", required_argument, NULL, OPTION_ACCESS},
    {"community", required_argument, NULL, OPTION_COMMUNITY},
    {"user", required_argument, NULL, OPTION_USER},
    {"auth", required_argument, NULL, OPTION_AUTH},
    {"auth-secret", required_argument, NULL, OPTION_AUTH_SECRET},
    {"privacy-secret", required_argument, NULL, OPTION_PRIVACY_SECRET},
    {"context", required_argument, NULL, OPTION_CONTEXT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

static int run_status(const struct ctl_line *line, struct ctl_source *source) {
  static const enum ctl_subject subjects[] = {CTL_STATUS, CTL_SERVICES, CTL_MEMBERS};
  json_t *documents[3] = {NULL};
  struct errbuf err;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < 3 && status == STATUS_OK; i++)
    status = ctl_read(source, &(struct ctl_question){.subject = subjects[i]}, &documents[i], &err);
  if (status == STATUS_OK && line->is_json) {
    json_t *whole = json_pack("{s:O}", "status", documents[0]);
    json_object_update(whole, documents[1]);
    json_object_update(whole, documents[2]);
    ctl_show(line, whole, NULL);
  } else if (status == STATUS_OK) {
    ctl_print_status(documents[0], documents[1], documents[2]);
  }
  for (size_t i = 0; i < 3; i++)
    json_decref(documents[i]);
  return status == STATUS_OK ? EXIT_SUCCESS : ctl_fail(source, &err);
}

static int run_services(const struct ctl_line *line, struct ctl_source *source) {
  return ctl_ask(line, source, &(struct ctl_question){.subject = CTL_SERVICES}, ctl_print_services);
}

static int run_members(const struct ctl_line *line, struct ctl_source *source) {
  return ctl_ask(line, source,
                 &(struct ctl_question){.subject = CTL_MEMBERS, .service = line->service, .state = line->state},
                 ctl_print_members);
}

static int run_events(const struct ctl_line *line, struct ctl_source *source) {
  int64_t limit = 100;
  if (line->limit && (scalar_number(line->limit, &limit) != STATUS_OK || limit < 1 || limit > EVENTS_LIMIT_MOST))
    return ctl_misuse("--limit is a number from 1 to 1000, not %s", line->limit);
  return ctl_ask(line, source,
                 &(struct ctl_question){.subject = CTL_EVENTS, .service = line->service, .limit = (size_t)limit},
                 ctl_print_events);
}

static int run_zones(const struct ctl_line *line, struct ctl_source *source) {
  return ctl_ask(line, source, &(struct ctl_question){.subject = CTL_ZONES}, ctl_print_zones);
}

static int run_reload(const struct ctl_line *line, struct ctl_source *source) {
  json_t *document = NULL;
  struct errbuf err;
  if (ctl_write(source, "POST", "/v1/admin/reload", NULL, &document, &err) != STATUS_OK)
    return ctl_fail(source, &err);
  if (line->is_json)
    return ctl_show(line, document, NULL);
  printf("generation %lld is in use\n", (long long)json_integer_value(json_object_get(document, "generation")));
  json_decref(document);
  return EXIT_SUCCESS;
}

static int set_override(const struct ctl_line *line, struct ctl_source *source, const struct ctl_question *question,
                        const char *word) {
  if (!line->reason || !line->reason[0])
    return ctl_misuse("member NAME %s needs --reason TEXT: whoever looks at it at night wants to know why", word);
  int64_t duration_ms = 0;
  int exit_status = ctl_read_duration(line, &duration_ms);
  if (exit_status >= 0)
    return exit_status;
  char path[2048];
  ctl_member_path("/v1/admin/member", question, path, sizeof path);
  json_t *body = json_pack("{s:s, s:s}", "state", word, "reason", line->reason);
  if (!body)
    return ctl_misuse("--reason is not UTF-8");
  if (duration_ms)
    json_object_set_new(body, "for_s", json_real((double)duration_ms / 1000.0));
  return ctl_send(line, source, "PUT", path, body, ctl_print_member);
}

static int clear_override(const struct ctl_line *line, struct ctl_source *source, const struct ctl_question *question) {
  char path[2048];
  ctl_member_path("/v1/admin/member", question, path, sizeof path);
  json_t *nothing = NULL;
  struct errbuf err;
  if (ctl_write(source, "DELETE", path, NULL, &nothing, &err) != STATUS_OK)
    return ctl_fail(source, &err);
  json_decref(nothing);
  return ctl_ask(line, source, question, ctl_print_member);
}

/* From "service/member" or "member", which is cut in two. -1: well; else the exit status. */
static int read_member(char *name, struct ctl_question *question) {
  char *slash = strrchr(name, '/');
  *question = (struct ctl_question){.subject = CTL_MEMBER, .member = slash ? slash + 1 : name};
  if (!question->member[0] || slash == name)
    return ctl_misuse("a member is called service/member or member, not %s", name);
  if (slash) {
    *slash = '\0';
    question->service = name;
  }
  return -1;
}

static void print_asked(const json_t *document) {
  printf("the sources of %s are read now\n", ctl_text(document, "member"));
}

static int run_history(const struct ctl_line *line, struct ctl_source *source) {
  char *name = mem_strdup(line->words[1]);
  struct ctl_question question;
  int exit_status = read_member(name, &question);
  if (exit_status < 0)
    exit_status = ctl_history(line, source, &question);
  free(name);
  return exit_status;
}

static int run_measure(const struct ctl_line *line, struct ctl_source *source) {
  char *name = mem_strdup(line->words[1]), path[2048];
  struct ctl_question question;
  int exit_status = read_member(name, &question);
  if (exit_status < 0) {
    ctl_member_path("/v1/admin/measure", &question, path, sizeof path);
    exit_status = ctl_send(line, source, "POST", path, NULL, print_asked);
  }
  free(name);
  return exit_status;
}

static int run_member(const struct ctl_line *line, struct ctl_source *source) {
  char *name = mem_strdup(line->words[1]);
  struct ctl_question question;
  enum override_kind kind;
  const char *word = line->count > 2 ? line->words[2] : NULL;
  int exit_status = read_member(name, &question);
  if (exit_status >= 0) {
    free(name);
    return exit_status;
  }
  if (!word)
    exit_status = ctl_ask(line, source, &question, ctl_print_member);
  else if (strcmp(word, "clear") == 0)
    exit_status = clear_override(line, source, &question);
  else if (override_parse(word, &kind) == STATUS_OK && kind != OVERRIDE_NONE)
    exit_status = set_override(line, source, &question, word);
  else
    exit_status = ctl_misuse("a member can be set down, up or drain, or cleared, not %s", word);
  free(name);
  return exit_status;
}

static int run_load(const struct ctl_line *line, struct ctl_source *source) {
  char *name = mem_strdup(line->words[1]);
  struct ctl_question question;
  int exit_status = read_member(name, &question);
  if (exit_status < 0)
    exit_status = ctl_load(line, source, &question);
  free(name);
  return exit_status;
}

static const struct command {
  const char *word;
  int arguments_least, arguments_most;
  int (*run)(const struct ctl_line *line, struct ctl_source *source);
} commands[] = {
    {"status", 0, 0, run_status},   {"services", 0, 0, run_services}, {"members", 0, 0, run_members},
    {"member", 1, 2, run_member},   {"events", 0, 0, run_events},     {"zones", 0, 0, run_zones},
    {"zone", 1, 3, ctl_zone},       {"reload", 0, 0, run_reload},     {"resource", 1, 2, ctl_resource},
    {"token", 1, 2, ctl_token},     {"peers", 0, 0, ctl_peers},       {"leave", 0, 2, ctl_leave},
    {"watch", 0, 0, ctl_watch},     {"snmp", 1, 3, ctl_snmp},         {"measure", 1, 1, run_measure},
    {"history", 1, 2, run_history}, {"load", 1, 1, run_load},
};

static const struct command *find_command(const char *word) {
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    if (strcmp(commands[i].word, word) == 0)
      return &commands[i];
  return NULL;
}

struct place { /* where an option's argument is kept */
  int code;
  size_t offset; /* in struct ctl_line, of a const char * */
};

#define PLACE(option, name) .code = (option), .offset = offsetof(struct ctl_line, name)
static const struct place places[] = {
    {PLACE('c', config)},
    {PLACE('s', socket)},
    {PLACE('r', reason)},
    {PLACE(OPTION_SERVICE, service)},
    {PLACE(OPTION_STATE, state)},
    {PLACE(OPTION_FOR, duration)},
    {PLACE(OPTION_LIMIT, limit)},
    {PLACE(OPTION_ORIGIN, origin)},
    {PLACE(OPTION_SITE, site)},
    {PLACE(OPTION_OWNER, owner)},
    {PLACE(OPTION_KIND, kind)},
    {PLACE(OPTION_RESOURCE, resource)},
    {PLACE(OPTION_RESOURCES, resources)},
    {PLACE(OPTION_SERVICES, services)},
    {PLACE(OPTION_TOKEN_FILE, token_file)},
    {PLACE(OPTION_AT, at)},
    {PLACE(OPTION_SINCE, since)},
    {PLACE(OPTION_FROM, from)},
    {PLACE(OPTION_TO, to)},
    {PLACE(OPTION_STEP, step)},
    {PLACE(OPTION_SOURCE, source)},
    {PLACE(OPTION_ACCESS, access)},
    {PLACE(OPTION_COMMUNITY, community)},
    {PLACE(OPTION_USER, user)},
    {PLACE(OPTION_AUTH, auth)},
    {PLACE(OPTION_AUTH_SECRET, auth_secret)},
    {PLACE(OPTION_PRIVACY_SECRET, privacy_secret)},
    {PLACE(OPTION_CONTEXT, context)},
};

/* NULL: the option has no argument, or another kind of it. */
static const char **place_of(struct ctl_line *line, int code) {
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
    if (places[i].code == code)
      return (const char **)(void *)((char *)line + places[i].offset);
  return NULL;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct ctl_line *line) {
  int code;
  while ((code = getopt_long(argc, argv, "c:s:o:r:hV", options, NULL)) != -1) {
    const char **place = place_of(line, code);
    if (place) {
      *place = optarg;
      continue;
    }
    switch (code) {
    case 'o':
      line->is_json = strcmp(optarg, "json") == 0;
      if (!line->is_json && strcmp(optarg, "text") != 0)
        return ctl_misuse("-o is text or json, not %s", optarg);
      break;
    case OPTION_ADMIN:
      line->is_admin = true;
      break;
    case OPTION_NO_READ:
      line->is_no_reader = true;
      break;
    case 'h':
      fputs(usage, stdout);
      return EXIT_SUCCESS;
    case 'V':
      puts("gslbctl " GSLB_VERSION);
      return EXIT_SUCCESS;
    default:
      fputs("Try gslbctl --help.\n", stderr);
      return CTL_EXIT_USAGE;
    }
  }
  line->words = argv + optind;
  line->count = argc - optind;
  return line->config && line->socket ? ctl_misuse("either --config or --socket, not both") : -1;
}

static struct config *load_config(const char *path) {
  struct problems problems = {0};
  struct config *config = config_load(path, &problems);
  if (!config) {
    problems_sort(&problems);
    char *text = problems_format(&problems);
    fputs(text, stderr);
    free(text);
    fputs("gslbctl: the configuration does not tell the daemon's socket; name it with --socket PATH\n", stderr);
  }
  problems_release(&problems);
  return config;
}

/* -1: nothing is wrong with the words of the command line. */
static int check_words(const struct ctl_line *line, const struct command **command) {
  if (line->count == 0)
    return ctl_misuse("no command");
  *command = find_command(line->words[0]);
  if (!*command)
    return ctl_misuse("no command is called %s", line->words[0]);
  if (line->count - 1 < (*command)->arguments_least)
    return ctl_misuse("%s needs a name", line->words[0]);
  if (line->count - 1 > (*command)->arguments_most)
    return ctl_misuse("%s is one argument too many", line->words[(*command)->arguments_most + 1]);
  enum health state;
  if (line->state && strcmp(line->words[0], "resource") != 0 && health_parse(line->state, &state) != STATUS_OK)
    return ctl_misuse("--state is unknown, up, degraded, draining or down, not %s", line->state);
  return -1;
}

static int run(const struct command *command, const struct ctl_line *line) {
  struct config *config = NULL;
  if (ctl_zone_is_check(line))
    return ctl_zone_check(line);
  if (ctl_snmp_is_alone(line))
    return ctl_snmp(line, NULL);
  if (!line->socket) {
    config = load_config(line->config ? line->config : DEFAULT_CONFIG);
    if (!config)
      return EXIT_FAILURE;
  }
  struct ctl_source source;
  ctl_source_init(&source, line->socket ? line->socket : config->control.socket, config);
  int exit_status = command->run(line, &source);
  ctl_source_release(&source);
  return exit_status;
}

int main(int argc, char **argv) {
  struct ctl_line line = {0};
  const struct command *command = NULL;
  log_setup("gslbctl", LOG_LEVEL_WARNING, false);
  int exit_status = parse_options(argc, argv, &line);
  if (exit_status < 0)
    exit_status = check_words(&line, &command);
  if (exit_status >= 0)
    return exit_status;
  exit_status = run(command, &line);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fputs("gslbctl: the output cannot be written\n", stderr);
    return EXIT_FAILURE;
  }
  return exit_status;
}
