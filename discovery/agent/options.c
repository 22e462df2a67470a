#include "discovery/agent/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gslb/model/schema.h"

const char options_usage[] =
    "usage: gslb-agent --domain DOMAIN --service NAME [--port PORT] [OPTION...]\n"
    "       gslb-agent --config FILE [OPTION...]\n"
    "       gslb-agent ctl [--socket PATH] COMMAND\n"
    "\n"
    "Finds a balancer, registers this machine there as a member of its services, and keeps it registered.\n"
    "\n"
    "  -c, --config FILE            the same as options, and more (--help-config)\n"
    "  -d, --domain DOMAIN          _gslb-register._tcp.DOMAIN names the balancers\n"
    "      --url URL                this balancer instead\n"
    "      --multicast              one that answers on this network instead\n"
    "      --dns SERVER@PORT        ask this DNS server; may be repeated\n"
    "  -s, --service NAME           member of this service; completed with DOMAIN when it has no dot; may be repeated\n"
    "  -p, --port PORT              of the service before it\n"
    "      --id ID                  of this resource (the host name's first label)\n"
    "      --kind KIND              server, balancer or cloud (server)\n"
    "      --site SITE              where it stands\n"
    "  -a, --address ADDRESS        for clients; may be repeated (the one that routes to the balancer)\n"
    "      --lease DURATION         (30s)\n"
    "      --weight N, --tier N, --capacity X, --version-of-service TEXT\n"
    "  -l, --label KEY=VALUE        may be repeated\n"
    "      --capability TEXT        may be repeated\n"
    "      --token TEXT | --token-file FILE (or GSLB_TOKEN in the environment)\n"
    "      --ca FILE, --certificate FILE, --key FILE\n"
    "      --balancers N|all        how many to be registered with at once (1)\n"
    "      --listen ADDRESS@PORT    utilization and notices; auto or none (auto)\n"
    "      --socket PATH            for gslb-agent ctl ($RUNTIME_DIRECTORY/gslb-agent.sock)\n"
    "      --state DIRECTORY        what is remembered over restarts ($STATE_DIRECTORY)\n"
    "      --state-file FILE, --jobs-file FILE\n"
    "      --timeout DURATION       of one request (5s)\n"
    "      --linger-most DURATION   stay so long at most after deregistering (120s)\n"
    "      --log-level LEVEL        error, warning, info, debug (info)\n"
    "      --log-format FORM        text or json (text)\n"
    "      --check                  check what is given, and end\n"
    "      --help-config            what can stand in a configuration\n"
    "  -h, --help                   this text\n"
    "  -V, --version                the version\n"
    "\n"
    "gslb-agent ctl --help tells its commands.\n";

enum form { FORM_TEXT, FORM_PATH, FORM_LIST, FORM_LABEL, FORM_SERVICE, FORM_PORT, FORM_TRUE };

struct known { /* an option that is a key of the configuration */
  const char *option;
  const char *key; /* "tls.ca": in a mapping */
  enum form form;
};
static const struct known known_options[] = {
    {"domain", "domain", FORM_TEXT},
    {"url", "url", FORM_TEXT},
    {"multicast", "multicast", FORM_TRUE},
    {"dns", "dns", FORM_LIST},
    {"service", "services", FORM_SERVICE},
    {"port", "services", FORM_PORT},
    {"id", "id", FORM_TEXT},
    {"kind", "kind", FORM_TEXT},
    {"site", "site", FORM_TEXT},
    {"address", "addresses", FORM_LIST},
    {"lease", "lease", FORM_TEXT},
    {"weight", "weight", FORM_TEXT},
    {"tier", "tier", FORM_TEXT},
    {"capacity", "capacity", FORM_TEXT},
    {"version-of-service", "version", FORM_TEXT},
    {"label", "labels", FORM_LABEL},
    {"capability", "capabilities", FORM_LIST},
    {"token", "token", FORM_TEXT},
    {"token-file", "token_file", FORM_PATH},
    {"ca", "tls.ca", FORM_PATH},
    {"certificate", "tls.certificate", FORM_PATH},
    {"key", "tls.key", FORM_PATH},
    {"balancers", "balancers", FORM_TEXT},
    {"listen", "listen", FORM_TEXT},
    {"socket", "socket", FORM_PATH},
    {"state", "state", FORM_PATH},
    {"state-file", "state_file", FORM_PATH},
    {"jobs-file", "jobs_file", FORM_PATH},
    {"timeout", "timeout", FORM_TEXT},
    {"linger-most", "linger_most", FORM_TEXT},
    {"log-level", "log.level", FORM_TEXT},
    {"log-format", "log.format", FORM_TEXT},
};
#define KNOWN_COUNT (sizeof known_options / sizeof known_options[0])
#define CODE_FIRST 256

enum plain_code { CODE_CHECK = 128, CODE_HELP_CONFIG };

static const struct option plain_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check", no_argument, NULL, CODE_CHECK},
    {"help-config", no_argument, NULL, CODE_HELP_CONFIG},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
};
#define PLAIN_COUNT (sizeof plain_options / sizeof plain_options[0])

static struct document_node *node_new(struct options *options, enum document_kind kind, const char *text) {
  struct document_node *node = arena_alloc(&options->arena, sizeof *node);
  node->kind = kind;
  node->text = text;
  node->pos.file = "command line";
  return node;
}

static void append(struct document_node *to, struct document_node *node) {
  struct document_node **end = &to->first;
  while (*end)
    end = &(*end)->next;
  *end = node;
  to->count++;
}

/* The value of a key, made where there is none; NULL when it is there and may not be there twice. */
static struct document_node *value_of(struct options *options, struct document_node *map, const char *key,
                                      enum document_kind kind, const char *text) {
  struct document_node *node = (struct document_node *)document_find(map, key);
  if (node)
    return kind == DOCUMENT_SCALAR ? NULL : node;
  node = node_new(options, kind, text);
  node->key = node_new(options, DOCUMENT_SCALAR, key);
  append(map, node);
  return node;
}

static const char *absolute(struct options *options, const char *path) {
  char *here = get_current_dir_name();
  const char *out = path[0] == '/' || !here ? path : schema_join(&options->arena, here, path);
  free(here);
  return out;
}

static struct document_node *last_of(struct document_node *list) {
  struct document_node *last = list ? list->first : NULL;
  while (last && last->next)
    last = last->next;
  return last;
}

static enum status take_label(struct options *options, const char *key, const char *text, struct errbuf *err) {
  const char *equals = strchr(text, '=');
  if (!equals)
    return errbuf_set(err, STATUS_INVALID, "--label is KEY=VALUE, not %s", text);
  struct document_node *labels = value_of(options, options->overlay, key, DOCUMENT_MAP, NULL);
  const char *name = arena_strndup(&options->arena, text, (size_t)(equals - text));
  if (!value_of(options, labels, name, DOCUMENT_SCALAR, equals + 1))
    return errbuf_set(err, STATUS_INVALID, "--label %s is given twice", name);
  return STATUS_OK;
}

static enum status take_scalar(struct options *options, const struct known *known, const char *text,
                               struct errbuf *err) {
  const char *dot = strchr(known->key, '.');
  struct document_node *map = options->overlay;
  if (dot)
    map = value_of(options, map, arena_strndup(&options->arena, known->key, (size_t)(dot - known->key)), DOCUMENT_MAP,
                   NULL);
  if (!value_of(options, map, dot ? dot + 1 : known->key, DOCUMENT_SCALAR, text))
    return errbuf_set(err, STATUS_INVALID, "--%s is given twice", known->option);
  return STATUS_OK;
}

static enum status take(struct options *options, const struct known *known, const char *text, struct errbuf *err) {
  struct document_node *list = known->form == FORM_LIST || known->form == FORM_SERVICE
                                   ? value_of(options, options->overlay, known->key, DOCUMENT_LIST, NULL)
                                   : (struct document_node *)document_find(options->overlay, known->key);
  switch (known->form) {
  case FORM_TEXT:
    return take_scalar(options, known, text, err);
  case FORM_PATH:
    return take_scalar(options, known, absolute(options, text), err);
  case FORM_TRUE:
    return take_scalar(options, known, "true", err);
  case FORM_LABEL:
    return take_label(options, known->key, text, err);
  case FORM_LIST:
    append(list, node_new(options, DOCUMENT_SCALAR, text));
    return STATUS_OK;
  case FORM_SERVICE:
    append(list, node_new(options, DOCUMENT_MAP, NULL));
    value_of(options, last_of(list), "name", DOCUMENT_SCALAR, text);
    return STATUS_OK;
  case FORM_PORT:
    break;
  }
  if (!last_of(list) || !value_of(options, last_of(list), "port", DOCUMENT_SCALAR, text))
    return errbuf_set(err, STATUS_INVALID, "--port belongs behind a --service of its own");
  return STATUS_OK;
}

static const struct known *short_option(int letter) {
  static const char letters[] = "dspal";
  static const char *const names[] = {"domain", "service", "port", "address", "label"};
  const char *at = strchr(letters, letter);
  for (size_t i = 0; at && i < KNOWN_COUNT; i++)
    if (strcmp(known_options[i].option, names[at - letters]) == 0)
      return &known_options[i];
  return NULL;
}

static enum status take_code(struct options *options, int code, struct errbuf *err) {
  switch (code) {
  case 'c':
    options->config = absolute(options, optarg);
    return STATUS_OK;
  case CODE_CHECK:
    options->wish = OPTIONS_CHECK;
    return STATUS_OK;
  case CODE_HELP_CONFIG:
    options->wish = OPTIONS_HELP_CONFIG;
    return STATUS_OK;
  case 'h':
    options->wish = OPTIONS_HELP;
    return STATUS_OK;
  case 'V':
    options->wish = OPTIONS_VERSION;
    return STATUS_OK;
  default:
    break;
  }
  const struct known *known = code >= CODE_FIRST ? &known_options[code - CODE_FIRST] : short_option(code);
  return known ? take(options, known, optarg, err) : errbuf_set(err, STATUS_INVALID, "wrong usage");
}

enum status options_parse(int argc, char **argv, struct options *out, struct errbuf *err) {
  struct option table[PLAIN_COUNT + KNOWN_COUNT + 1] = {0};
  memcpy(table, plain_options, sizeof plain_options);
  for (size_t i = 0; i < KNOWN_COUNT; i++)
    table[PLAIN_COUNT + i] =
        (struct option){known_options[i].option, known_options[i].form == FORM_TRUE ? no_argument : required_argument,
                        NULL, CODE_FIRST + (int)i};
  *out = (struct options){.wish = OPTIONS_RUN};
  out->overlay = node_new(out, DOCUMENT_MAP, NULL);
  optind = 0; /* the library's way to begin anew */
  enum status status = STATUS_OK;
  for (int code; status == STATUS_OK && (code = getopt_long(argc, argv, "c:d:s:p:a:l:hV", table, NULL)) != -1;)
    status = take_code(out, code, err);
  if (status == STATUS_OK && optind < argc)
    status = errbuf_set(err, STATUS_INVALID, "what is \"%s\"?", argv[optind]);
  return status;
}

void options_release(struct options *options) {
  arena_release(&options->arena);
}
