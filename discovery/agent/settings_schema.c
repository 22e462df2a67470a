#include "discovery/agent/settings_schema.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "discovery/agent/settings.h"
#include "gslb/model/config_rows.h"
#include "gslb/model/domain.h"
#include "gslb/model/scalar.h"
#include "gslb/net/url.h"

#define METRIC_TIMEOUT_MS 5000

static const char *const kinds[] =
    {[RESOURCE_SERVER] = "server", [RESOURCE_BALANCER] = "balancer", [RESOURCE_CLOUD] = "cloud", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

static bool read_capacity(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                          void *field) {
  double value;
  if (node->kind != DOCUMENT_SCALAR || scalar_decimal(node->text, &value) != STATUS_OK || value < 0) {
    schema_problem(reader, node, "%s must be a number not below 0", row->key);
    return false;
  }
  *(const char **)field = node->text;
  return true;
}

static bool read_weight(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field) {
  int64_t value;
  if (strcmp(node->kind == DOCUMENT_SCALAR ? node->text : "", "inherit") == 0) {
    *(uint32_t *)field = SETTINGS_NOT_TOLD;
    return true;
  }
  if (node->kind != DOCUMENT_SCALAR || scalar_number(node->text, &value) != STATUS_OK || value < row->least ||
      value > row->most) {
    schema_problem(reader, node, "%s must be a number from %lld to %lld", row->key, (long long)row->least,
                   (long long)row->most);
    return false;
  }
  *(uint32_t *)field = (uint32_t)value;
  return true;
}

/* A mapping: key: value. */
static bool read_labels(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field) {
  struct settings *settings = field;
  if (node->kind != DOCUMENT_MAP || node->count > REGISTRATION_LABELS_MOST) {
    schema_problem(reader, node, "%s must be a mapping of at most %u labels", row->key, REGISTRATION_LABELS_MOST);
    return false;
  }
  settings->labels = arena_array(reader->arena, node->count + 1, sizeof *settings->labels);
  for (const struct document_node *value = node->first; value; value = value->next) {
    const struct document_node *first = document_find(node, value->key->text);
    if (first != value) {
      schema_report_twice(reader, value->key, first->key);
      return false;
    }
    if (value->kind != DOCUMENT_SCALAR) {
      schema_problem(reader, value, "a label must be a single value");
      return false;
    }
    size_t size = strlen(value->key->text) + strlen(value->text) + 2;
    char *label = arena_alloc(reader->arena, size);
    strcpy(stpcpy(stpcpy(label, value->key->text), "="), value->text);
    settings->labels[settings->label_count++] = label;
  }
  return true;
}

static bool read_listen(struct schema_reader *reader, const struct schema_row *row, const struct document_node *node,
                        void *field) {
  struct settings *settings = field;
  if (node->kind == DOCUMENT_SCALAR && strcmp(node->text, "none") == 0) {
    settings->has_listener = false;
    return true;
  }
  if (node->kind == DOCUMENT_SCALAR && strcmp(node->text, "auto") == 0) {
    settings->has_listener = true;
    return true;
  }
  if (node->kind != DOCUMENT_SCALAR || addr_parse_port(node->text, &settings->listen) != STATUS_OK) {
    schema_problem(reader, node, "%s must be address@port, auto or none", row->key);
    return false;
  }
  settings->has_listener = true;
  return true;
}

static const struct schema_row service_rows[] = {
    {.key = "name",
     .kind = SCHEMA_TEXT,
     ONE(struct settings_service, name),
     .most = 253,
     .is_required = true,
     .help = "Name of the service; one without a dot is completed with the domain."},
    {.key = "port",
     .kind = SCHEMA_U16,
     ONE(struct settings_service, port),
     .least = 0,
     .most = 65535,
     .standard = "0",
     .help = "Port at which this machine serves it; 0: none."},
    {.key = "weight",
     .kind = SCHEMA_CUSTOM,
     .read = read_weight,
     ONE(struct settings_service, weight),
     .least = 0,
     .most = 65535,
     .type_help = "number from 0 to 65535",
     .standard = "inherit",
     .standard_help = "that of the resource",
     .help = "Weight in this service."},
    {.key = "tier",
     .kind = SCHEMA_CUSTOM,
     .read = read_weight,
     ONE(struct settings_service, tier),
     .least = 0,
     .most = 255,
     .type_help = "number from 0 to 255",
     .standard = "inherit",
     .standard_help = "that of the resource",
     .help = "Tier in this service: a higher one is used when the lower ones have nobody left."},
    {.key = "instance",
     .kind = SCHEMA_TEXT,
     ONE(struct settings_service, instance),
     .most = 63,
     .standard_help = "none",
     .help = "Name under which it is shown to those who browse (DNS-SD)."},
};
static const struct schema_map service_map = {ROWS(service_rows)};

static void check_metric(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct settings_metric *metric = record;
  unsigned sources = 0;
  if (!node)
    return;
  const struct document_node *socket = document_find(node, "socket");
  if (metric->command) {
    metric->source = SOURCE_COMMAND;
    sources++;
  }
  if (document_find(node, "file")) {
    metric->source = SOURCE_FILE;
    sources++;
  }
  if (metric->url) {
    struct url url;
    struct errbuf err;
    metric->source = SOURCE_URL;
    sources++;
    if (url_parse(metric->url, &url, &err) != STATUS_OK)
      schema_problem(reader, document_find(node, "url"), "url %s", err.text);
  }
  if (socket) {
    metric->source = SOURCE_SOCKET;
    sources++;
  }
  if (sources != 1)
    schema_problem(reader, node, "an element of metrics has exactly one of command, file, url and socket");
  if (!document_find(node, "timeout"))
    metric->timeout_ms = metric->interval_ms < METRIC_TIMEOUT_MS ? metric->interval_ms : METRIC_TIMEOUT_MS;
  if (metric->timeout_ms > metric->interval_ms)
    schema_problem(reader, document_find(node, "timeout"), "timeout is longer than interval");
}

static const struct schema_row metric_rows[] = {
    {.key = "command",
     .kind = SCHEMA_TEXT,
     MANY(struct settings_metric, command, command_count),
     .list_least = 1,
     .list_most = 64,
     .standard_help = "none",
     .help = "Program and arguments that print the figures; no shell."},
    {.key = "file",
     .kind = SCHEMA_PATH,
     ONE(struct settings_metric, path),
     .standard_help = "none",
     .help = "File that holds the figures."},
    {.key = "url",
     .kind = SCHEMA_TEXT,
     ONE(struct settings_metric, url),
     .most = 512,
     .standard_help = "none",
     .help = "http or https URL with an address as host, whose answer holds the figures."},
    {.key = "socket",
     .kind = SCHEMA_PATH,
     ONE(struct settings_metric, path),
     .standard_help = "none",
     .help = "Unix socket that writes the figures to whoever connects, and closes."},
    {.key = "name",
     .kind = SCHEMA_TEXT,
     ONE(struct settings_metric, name),
     .most = 63,
     .standard_help = "none",
     .help = "Name of the figure where a source gives one number alone."},
    {.key = "interval",
     .kind = SCHEMA_MILLISECONDS,
     ONE(struct settings_metric, interval_ms),
     .least = 100 * MILLISECOND,
     .most = DAY,
     .standard = "10s",
     .help = "Time from one reading to the next; figures older than three intervals are not told any more."},
    {.key = "timeout",
     .kind = SCHEMA_MILLISECONDS,
     ONE(struct settings_metric, timeout_ms),
     .least = 10 * MILLISECOND,
     .most = 600 * SECOND,
     .standard_help = "5s, or the interval where that is shorter",
     .help = "How long a reading may take."},
};
static const struct schema_map metric_map = {ROWS(metric_rows), .check = check_metric};

#define TEXT_ROW(name, field, longest, words)                                                                          \
  {                                                                                                                    \
    .key = name, .kind = SCHEMA_TEXT, ONE(struct settings, field), .most = longest, .standard_help = "none",           \
    .help = words                                                                                                      \
  }
#define PATH_ROW(name, field, standard_words, words)                                                                   \
  { .key = name, .kind = SCHEMA_PATH, ONE(struct settings, field), .standard_help = standard_words, .help = words }

static const struct schema_row tls_rows[] = {
    PATH_ROW("ca", ca, "the system's", "PEM file of those who may vouch for a balancer's certificate."),
    PATH_ROW("certificate", certificate, "none", "PEM file of this resource's certificate."),
    PATH_ROW("key", key, "none", "PEM file of its private key."),
};
static const struct schema_map tls_map = {ROWS(tls_rows)};

static const struct schema_row log_rows[] = {
    {.key = "level",
     .kind = SCHEMA_WORD,
     ONE(struct settings, log_level),
     .words = log_levels,
     .standard = "info",
     .help = "Least severe messages that are written."},
    {.key = "format",
     .kind = SCHEMA_WORD,
     ONE(struct settings, log_format),
     .words = log_formats,
     .standard = "text",
     .help = "Form of the messages."},
};
static const struct schema_map log_map = {ROWS(log_rows)};

static const struct schema_row root_rows[] = {
    {.key = "domain",
     .kind = SCHEMA_DOMAIN,
     ONE(struct settings, domain),
     .standard_help = "none",
     .help = "Domain whose SRV records at _gslb-register._tcp name the balancers; completes short service names."},
    TEXT_ROW("url", url, 512, "URL of a balancer, where none is looked for."),
    {.key = "multicast",
     .kind = SCHEMA_BOOL,
     ONE(struct settings, is_multicast),
     .standard = "false",
     .help = "Looks for balancers by multicast DNS; a domain completes names only, then."},
    {.key = "dns",
     .kind = SCHEMA_ENDPOINT,
     MANY(struct settings, servers, server_count),
     .list_most = 8,
     .standard_help = "those of /etc/resolv.conf",
     .help = "DNS servers that are asked."},
    TEXT_ROW("id", id, 63, "Id of this resource; without one, the host name's first label."),
    {.key = "kind",
     .kind = SCHEMA_WORD,
     ONE(struct settings, kind),
     .words = kinds,
     .standard = "server",
     .help = "What this is; of a cloud only the own metrics are told, not those of this machine."},
    TEXT_ROW("site", site, 63, "Place where it stands."),
    {.key = "addresses",
     .kind = SCHEMA_ADDRESS,
     MANY(struct settings, addresses, address_count),
     .list_most = CONFIG_ADDRESSES_MOST,
     .standard_help = "the one that routes to the balancer",
     .help = "Addresses that clients are given."},
    {.key = "services",
     .kind = SCHEMA_MAP,
     .map = &service_map,
     MANY(struct settings, services, service_count),
     .list_most = REGISTRATION_SERVICES_MOST,
     .help = "Services that this resource is a member of."},
    {.key = "lease",
     .kind = SCHEMA_MILLISECONDS,
     ONE(struct settings, lease_ms),
     .least = 0,
     .most = 365LL * DAY,
     .standard = "30s",
     .help = "How long a balancer keeps this resource without hearing of it, from 5s; 0s: until it is deregistered."},
    {.key = "weight",
     .kind = SCHEMA_U32,
     ONE(struct settings, weight),
     .least = 0,
     .most = 65535,
     .standard = "1",
     .help = "Weight in its services."},
    {.key = "tier",
     .kind = SCHEMA_U32,
     ONE(struct settings, tier),
     .least = 0,
     .most = 255,
     .standard = "0",
     .help = "Tier in its services."},
    {.key = "capacity",
     .kind = SCHEMA_CUSTOM,
     .read = read_capacity,
     ONE(struct settings, capacity),
     .type_help = "number not below 0",
     .standard_help = "not told",
     .help = "What it can do, in whatever unit all members of a service use."},
    TEXT_ROW("version", version, 64, "Version of what it serves."),
    {.key = "capabilities",
     .kind = SCHEMA_TEXT,
     MANY(struct settings, capabilities, capability_count),
     .list_most = 32,
     .most = 64,
     .help = "What it can do that others cannot."},
    {.key = "labels",
     .kind = SCHEMA_CUSTOM,
     .read = read_labels,
     .type_help = "mapping of names to values",
     .standard_help = "none",
     .help = "Further properties; DNS-SD shows them in TXT."},
    TEXT_ROW("token", token, 128, "Bearer token; a token_file keeps it out of this file."),
    PATH_ROW("token_file", token_file, "none", "File with the token in its first line; read again at a reload."),
    {.key = "tls", .kind = SCHEMA_MAP, .map = &tls_map, .help = "How it knows balancers, and they it."},
    {.key = "balancers",
     .kind = SCHEMA_TEXT,
     ONE(struct settings, balancers),
     .standard = "1",
     .help = "With how many balancers it is registered at once: 1 to 64, or all."},
    {.key = "listen",
     .kind = SCHEMA_CUSTOM,
     .read = read_listen,
     .type_help = "address@port | auto | none",
     .standard = "auto",
     .help = "Where utilization and notices are served; auto: the registered address, at a port that is free."},
    PATH_ROW("socket", socket, "gslb-agent.sock in $RUNTIME_DIRECTORY", "Unix socket of gslb-agent ctl."),
    PATH_ROW("state", directory, "$STATE_DIRECTORY", "Directory for id, own state and job counters."),
    PATH_ROW("state_file", state_file, "none", "File whose first line is up, drain or maint, and a reason."),
    PATH_ROW("jobs_file", jobs_file, "none", "File with {\"done\":…,\"busy_s\":…,\"last_ended_at\":…}."),
    PATH_ROW("disk", disk, "the state directory, or /", "Path on the file system whose use is told."),
    {.key = "interfaces",
     .kind = SCHEMA_TEXT,
     MANY(struct settings, interfaces, interface_count),
     .list_most = 32,
     .most = 15,
     .standard_help = "all but lo",
     .help = "Interfaces whose traffic is told."},
    {.key = "metrics",
     .kind = SCHEMA_MAP,
     .map = &metric_map,
     MANY(struct settings, metrics, metric_count),
     .list_most = 32,
     .help = "Sources of own figures."},
    {.key = "timeout",
     .kind = SCHEMA_MILLISECONDS,
     ONE(struct settings, timeout_ms),
     .least = 100 * MILLISECOND,
     .most = 60 * SECOND,
     .standard = "5s",
     .help = "How long a balancer may take to answer."},
    {.key = "linger_most",
     .kind = SCHEMA_MILLISECONDS,
     ONE(struct settings, linger_most_ms),
     .least = 0,
     .most = DAY,
     .standard = "120s",
     .help = "How long it stays after it deregistered, at most, while clients may still come."},
    {.key = "log", .kind = SCHEMA_MAP, .map = &log_map, .help = "What is written to standard error."},
};
const struct schema_map settings_schema = {ROWS(root_rows)};
