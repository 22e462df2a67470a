#include "gslb/model/config_check.h"

#include <string.h>

#include "gslb/base/addr.h"
#include "gslb/model/config.h"
#include "gslb/model/nearest.h"
#include "gslb/model/scalar.h"
#include "gslb/model/snmp_tables.h"

#define INTERVAL_STANDARD_MS 10000
#define PORT_SNMP 161u
#define PORT_HTTP 80u
#define PORT_HTTPS 443u

/* SNMP */

/* A secret that is there directly or as a file, once, where it is needed (what needs it is given), and nowhere else. */
static void check_secret(struct schema_reader *reader, const struct document_node *node, const char *key,
                         const char *file_key, const char *needed_by) {
  const struct document_node *direct = document_find(node, key), *file = document_find(node, file_key);
  if (direct && file)
    schema_problem(reader, file->key, "%s cannot be given together with %s", file_key, key);
  else if (needed_by && !direct && !file)
    schema_problem(reader, node, "missing key \"%s\" or \"%s\", which %s needs", key, file_key, needed_by);
}

static void refuse_secret(struct schema_reader *reader, const struct document_node *node, const char *key,
                          const char *file_key, const char *without) {
  const struct document_node *given =
      document_find(node, key) ? document_find(node, key) : document_find(node, file_key);
  if (given)
    schema_problem(reader, given->key, "%s is given, but %s is not", given->key->text, without);
}

void config_check_access(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  struct config_snmp_access *access = record;
  config_define(reader, &names->snmp, "snmp access", access->name, config_place(node, "name"), names->config->snmp,
                access, sizeof *access);
  if (!access->context)
    access->context = "";
  if (!reader->variant)
    return;
  if (access->version == SNMP_V2C) {
    check_secret(reader, node, "community", "community_file", "version v2c");
    return;
  }
  bool has_auth = document_find(node, "auth") && access->auth != SNMP_AUTH_NONE;
  bool has_privacy = document_find(node, "privacy") && access->privacy != SNMP_PRIVACY_NONE;
  check_secret(reader, node, "auth_secret", "auth_secret_file", has_auth ? "auth" : NULL);
  check_secret(reader, node, "privacy_secret", "privacy_secret_file", has_privacy ? "privacy" : NULL);
  if (access->auth == SNMP_AUTH_NONE)
    refuse_secret(reader, node, "auth_secret", "auth_secret_file", "auth");
  if (access->privacy == SNMP_PRIVACY_NONE)
    refuse_secret(reader, node, "privacy_secret", "privacy_secret_file", "privacy");
  if (has_privacy && access->auth == SNMP_AUTH_NONE) /* RFC 3414 section 1.4.3 */
    schema_problem(reader, config_place(node, "privacy"), "privacy is given, but auth is not");
}

void config_check_traps(struct schema_reader *reader, const struct document_node *node, void *record) {
  const struct config *config = record;
  char text[ADDR_TEXT_SIZE];
  if (!node || !config->trap_listen.family)
    return;
  for (size_t i = 0; i < config->server.listen_count; i++)
    if (addr_equal(&config->trap_listen, &config->server.listen[i]))
      schema_problem(reader, config_place(node, "listen"), "listen %s is taken by server.listen",
                     addr_format_port(&config->trap_listen, text));
  if (!config->snmp_count)
    schema_problem(reader, node, "traps is given, but snmp, which tells whose are taken, is not");
}

/* Sources */

void config_check_source_metric(struct schema_reader *reader, const struct document_node *node, void *record) {
  const struct config_source_metric *metric = record;
  config_check_metric_name(reader, node, metric->name);
  const struct document_node *scale = document_find(node, "scale");
  double number;
  if (scale && scale->kind == DOCUMENT_SCALAR && scalar_decimal(scale->text, &number) == STATUS_OK && number == 0)
    schema_problem(reader, scale, "scale is 0, which makes every value 0");
}

static void check_metrics(struct schema_reader *reader, const struct document_node *list,
                          const struct config_source *source) {
  const struct document_node *node = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  for (size_t i = 0; i < source->metric_count && node; i++, node = node->next)
    for (size_t j = 0; j < i && source->metrics[i].name; j++)
      if (source->metrics[j].name && strcmp(source->metrics[i].name, source->metrics[j].name) == 0) {
        char quoted[SCALAR_QUOTED_SIZE];
        schema_problem(reader, config_place(node, "name"), "metric \"%s\" is listed twice",
                       scalar_quote(source->metrics[i].name, quoted));
        break;
      }
}

static void check_table(struct schema_reader *reader, const struct document_node *node,
                        const struct config_source *source) {
  const struct document_node *table = document_find(node, "table"), *metrics = document_find(node, "metrics");
  char quoted[SCALAR_QUOTED_SIZE];
  if (table && metrics)
    schema_problem(reader, metrics->key, "metrics cannot be given together with table");
  else if (!table && !metrics)
    schema_problem(reader, node, "missing key \"%s\"",
                   source->type == SOURCE_SCRAPE ? "metrics" : "table\" or \"metrics");
  if (!source->table || snmp_table_find(source->table))
    return;
  struct nearest nearest;
  const struct snmp_table *ready;
  nearest_begin(&nearest, source->table);
  for (size_t i = 0; (ready = snmp_table_at(i)); i++)
    nearest_offer(&nearest, ready->name);
  schema_problem(reader, table, "table \"%s\" is none of the ready ones%s%s%s", scalar_quote(source->table, quoted),
                 nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "", nearest.best ? "\"?" : "");
}

static void complete_source(struct schema_reader *reader, const struct document_node *node,
                            struct config_source *source) {
  bool is_http = source->type == SOURCE_UTILIZATION || source->type == SOURCE_SCRAPE;
  source->is_tls = is_http && document_find(node, "tls");
  if (!document_find(node, "port")) {
    if (source->type == SOURCE_AGENT_CHECK)
      schema_problem(reader, node, "missing key \"port\", which type agent_check needs");
    source->port = source->type == SOURCE_SNMP ? PORT_SNMP : source->is_tls ? PORT_HTTPS : PORT_HTTP;
  }
  if (is_http && !document_find(node, "path"))
    source->path = source->type == SOURCE_SCRAPE ? "/metrics" : "/";
  bool has_other_times = document_find(node, "schedule") || document_find(node, "every_answers");
  if (!document_find(node, "interval") && !has_other_times)
    source->interval_ms = INTERVAL_STANDARD_MS;
  config_complete_timeout(reader, node, source->interval_ms, &source->timeout_ms);
}

void config_check_source(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  struct config_source *source = record;
  config_define(reader, &names->sources, "source", source->name, config_place(node, "name"), names->config->sources,
                source, sizeof *source);
  if (!reader->variant)
    return;
  complete_source(reader, node, source);
  config_check_subject(reader, config_place(node, "address"), &source->address, source->port);
  config_check_request(reader, node, source->path, source->host);
  check_metrics(reader, document_find(node, "metrics"), source);
  if (source->type == SOURCE_SNMP || source->type == SOURCE_SCRAPE)
    check_table(reader, node, source);
}
