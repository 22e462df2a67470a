#include "gslb/model/config_check.h"

#include <string.h>
#include <strings.h>

#include "gslb/base/addr.h"
#include "gslb/model/config.h"
#include "gslb/model/scalar.h"

#define TIMEOUT_STANDARD_MS 2000
#define TYPE_A 1u
#define TYPE_SOA 6u
#define TYPE_AAAA 28u
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define TOKEN_LETTERS LETTERS "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~" /* RFC 9110 section 5.6.2 */

static bool has_blank_or_foreign(const char *text) {
  for (; *text; text++)
    if (*text <= ' ' || *text >= 0x7f)
      return true;
  return false;
}

/* What monitors, sources and members share */

void config_check_request(struct schema_reader *reader, const struct document_node *node, const char *path,
                          const char *host) {
  if (path && (*path != '/' || has_blank_or_foreign(path)))
    schema_problem(reader, config_place(node, "path"),
                   "path must begin with \"/\" and have printable ASCII without blanks "
                   "(write others as %%20 and the like)");
  if (host && has_blank_or_foreign(host))
    schema_problem(reader, config_place(node, "host"), "host must be printable ASCII without blanks");
}

void config_check_metric_name(struct schema_reader *reader, const struct document_node *node, const char *name) {
  if (name && has_blank_or_foreign(name))
    schema_problem(reader, config_place(node, "name"), "name must be printable ASCII without blanks");
}

void config_check_subject(struct schema_reader *reader, const struct document_node *node, struct addr *address,
                          uint16_t port) {
  if (!address->family)
    return;
  char text[ADDR_TEXT_SIZE];
  if (!config_is_host(address))
    schema_problem(reader, node, "address %s does not belong to a single host", addr_format(address, text));
  address->port = port;
}

void config_complete_timeout(struct schema_reader *reader, const struct document_node *node, int64_t interval_ms,
                             int64_t *timeout_ms) {
  if (!document_find(node, "timeout"))
    *timeout_ms = interval_ms && interval_ms < TIMEOUT_STANDARD_MS ? interval_ms : TIMEOUT_STANDARD_MS;
  if (!interval_ms || *timeout_ms <= interval_ms)
    return;
  char timeout[SCALAR_DURATION_SIZE], interval[SCALAR_DURATION_SIZE];
  schema_problem(reader, config_place(node, "timeout"), "timeout %s is longer than interval %s",
                 scalar_format_duration(*timeout_ms, timeout), scalar_format_duration(interval_ms, interval));
}

void config_check_client_tls(struct schema_reader *reader, const struct document_node *node, void *record) {
  const struct config_client_tls *tls = record;
  const struct document_node *certificate = document_find(node, "certificate"), *key = document_find(node, "key");
  const struct document_node *ca = document_find(node, "ca");
  if (certificate && !key)
    schema_problem(reader, certificate->key, "certificate is given, but key is not");
  if (key && !certificate)
    schema_problem(reader, key->key, "key is given, but certificate is not");
  if (ca && tls->is_unverified)
    schema_problem(reader, ca->key, "ca is given, but with verify: false nothing is checked");
}

/* Expectations */

static void compile(struct schema_reader *reader, const struct document_node *place,
                    struct config_expectation *expect) {
  struct errbuf err;
  char quoted[SCALAR_QUOTED_SIZE];
  if (expect->text && match_new(expect->text, expect->is_regex, &expect->match, &err) != STATUS_OK)
    schema_problem(reader, place, "%s \"%s\" %s", place->key->text, scalar_quote(expect->text, quoted), err.text);
}

static void check_expectation(struct schema_reader *reader, const struct document_node *node,
                              struct config_monitor *monitor) {
  static const char *const plain_keys[] = {"body", "text", "line"};
  const struct document_node *plain = NULL, *regex = document_find(node, "regex"),
                             *inverted = document_find(node, "not");
  for (size_t i = 0; i < sizeof plain_keys / sizeof plain_keys[0] && !plain; i++)
    plain = document_find(node, plain_keys[i]);
  if (plain && regex) {
    schema_problem(reader, regex->key, "regex cannot be given together with %s", plain->key->text);
    return;
  }
  if (inverted && !plain && !regex)
    schema_problem(reader, inverted->key, "not is given, but nothing that must not be there");
  monitor->expect.is_regex = regex != NULL;
  if (plain || regex)
    compile(reader, plain ? plain : regex, &monitor->expect);
}

/* Kinds */

/* Whether a header is of those that come of themselves. */
static bool is_own_header(const char *name, size_t length) {
  static const char *const own[] = {"Host", "Content-Length", "Transfer-Encoding", "Connection"};
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
    if (strlen(own[i]) == length && strncasecmp(own[i], name, length) == 0)
      return true;
  return false;
}

static void check_headers(struct schema_reader *reader, const struct document_node *list) {
  if (!list || list->kind != DOCUMENT_LIST)
    return;
  for (const struct document_node *item = list->first; item; item = item->next) {
    if (item->kind != DOCUMENT_SCALAR || !*item->text)
      continue;
    char quoted[SCALAR_QUOTED_SIZE];
    size_t length = strspn(item->text, TOKEN_LETTERS);
    scalar_quote(item->text, quoted);
    if (!length || item->text[length] != ':')
      schema_problem(reader, item, "\"%s\" is not a header such as \"Accept: text/plain\"", quoted);
    else if (is_own_header(item->text, length))
      schema_problem(reader, item, "header \"%s\" cannot be given here%s", quoted,
                     *item->text == 'H' || *item->text == 'h' ? "; use the key host" : "");
  }
}

static void check_http(struct schema_reader *reader, const struct document_node *node,
                       const struct config_monitor *monitor) {
  config_check_request(reader, node, monitor->path, monitor->host);
  check_headers(reader, document_find(node, "headers"));
  if (!monitor->method)
    return;
  const struct document_node *place = config_place(node, "method");
  char quoted[SCALAR_QUOTED_SIZE];
  if (monitor->method[strspn(monitor->method, LETTERS "-")] || strcmp(monitor->method, "CONNECT") == 0)
    schema_problem(reader, place, "method \"%s\" is not one such as GET, HEAD or POST",
                   scalar_quote(monitor->method, quoted));
  else if (strcmp(monitor->method, "HEAD") == 0 && monitor->expect.text)
    schema_problem(reader, place, "method HEAD gets no body, but one is expected");
}

static void check_answers(struct schema_reader *reader, const struct document_node *expect,
                          const struct config_monitor *monitor) {
  const struct document_node *list = document_find(expect, "answers"), *one = document_find(expect, "answer");
  const char *key = list ? "answers" : "answer";
  const struct document_node *place = config_place(expect, key);
  if (list && one)
    schema_problem(reader, one->key, "answer cannot be given together with answers");
  if (monitor->expect_rcode != 0)
    schema_problem(reader, place, "%s can only be expected with rcode NOERROR", key);
  unsigned family = monitor->query_type == TYPE_A ? 4 : monitor->query_type == TYPE_AAAA ? 6 : 0;
  const struct document_node *item = list && list->kind == DOCUMENT_LIST ? list->first : place;
  for (size_t i = 0; family && monitor->expect_answers[i] && item; i++, item = item->next) {
    struct addr addr;
    if (addr_parse(monitor->expect_answers[i], &addr) != STATUS_OK || addr.family != family)
      schema_problem(reader, item, "answer to a query of type %s must be an IPv%u address", family == 4 ? "A" : "AAAA",
                     family);
    if (!list)
      break;
  }
}

static void check_dns(struct schema_reader *reader, const struct document_node *node, struct config_monitor *monitor) {
  const struct document_node *expect = document_find(node, "expect");
  const struct document_node *serial = document_find(expect, "serial"), *whole = document_find(expect, "whole");
  if (monitor->expect_answers)
    check_answers(reader, expect, monitor);
  else if (whole && monitor->is_whole_answer)
    schema_problem(reader, whole->key, "whole is given, but answers are not");
  monitor->has_serial_least = serial != NULL;
  if (serial && monitor->query_type && monitor->query_type != TYPE_SOA)
    schema_problem(reader, serial->key, "serial can only be expected in the answer to a query of type SOA");
}

static void check_ftp(struct schema_reader *reader, const struct document_node *node, struct config_monitor *monitor) {
  const struct document_node *user = document_find(node, "user"), *file = document_find(node, "password_file");
  config_check_request(reader, node, monitor->path, NULL);
  if (!document_find(node, "path"))
    schema_problem(reader, node, "missing key \"path\", which type ftp needs");
  if (file && !user)
    schema_problem(reader, file->key, "password_file is given, but user is not");
  if (file)
    return;
  if (user && monitor->user && strcmp(monitor->user, "anonymous") != 0)
    schema_problem(reader, node, "missing key \"password_file\", which user needs");
  monitor->password = "anonymous";
}

static void check_snmp(struct schema_reader *reader, const struct document_node *node, struct config_monitor *monitor) {
  const struct document_node *value = document_find(node, "value"), *compare = document_find(node, "compare");
  double number;
  if (monitor->expect.text && value) {
    schema_problem(reader, value->key, "value cannot be given together with expect");
  } else if (monitor->expect.text) {
    if (compare && monitor->comparison != SNMP_MATCHES)
      schema_problem(reader, compare, "compare must be matches where expect is given");
    monitor->comparison = SNMP_MATCHES;
  } else if (!value) {
    schema_problem(reader, node, "missing key \"value\" or \"expect\"");
  } else if (monitor->comparison == SNMP_MATCHES) {
    monitor->expect.text = monitor->value;
    monitor->expect.is_regex = true;
    compile(reader, value, &monitor->expect);
  } else if (monitor->comparison >= SNMP_LESS && monitor->value &&
             scalar_decimal(monitor->value, &number) != STATUS_OK) {
    schema_problem(reader, value, "value must be a number such as 3 or 0.5 with this compare");
  }
}

static void check_exec(struct schema_reader *reader, const struct document_node *node,
                       const struct config_monitor *monitor) {
  const struct document_node *command = document_find(node, "command");
  if (!command || command->kind == DOCUMENT_REFUSED)
    return;
  bool is_line = command->kind == DOCUMENT_SCALAR;
  if (is_line && !monitor->uses_shell)
    schema_problem(reader, command,
                   "command is one text, which needs shell: true; without a shell it is a list: a program and its "
                   "arguments");
  else if (!is_line && monitor->uses_shell)
    schema_problem(reader, command, "command must be one text with shell: true");
  else if (!is_line)
    config_make_program(reader, command, monitor->command);
}

static void check_calculated(struct schema_reader *reader, const struct document_node *node,
                             const struct config_monitor *monitor) {
  config_check_repeated(reader, document_find(node, "of"), "monitor");
  if (monitor->of_count && monitor->least > monitor->of_count)
    schema_problem(reader, config_place(node, "least"), "least is %u, but of names %zu monitors", monitor->least,
                   monitor->of_count);
}

static void complete_port(struct schema_reader *reader, const struct document_node *node,
                          struct config_monitor *monitor) {
  static const uint16_t standard[] = {
      [MONITOR_HTTP] = 80, [MONITOR_HTTPS] = 443, [MONITOR_DNS] = 53, [MONITOR_FTP] = 21, [MONITOR_SNMP] = 161,
  };
  if (document_find(node, "port"))
    return;
  if (monitor->type == MONITOR_TCP || monitor->type == MONITOR_UDP)
    schema_problem(reader, node, "missing key \"port\"");
  else if ((size_t)monitor->type < sizeof standard / sizeof standard[0])
    monitor->port = standard[monitor->type];
}

static void check_kind(struct schema_reader *reader, const struct document_node *node, struct config_monitor *monitor) {
  switch (monitor->type) {
  case MONITOR_HTTP:
  case MONITOR_HTTPS:
    check_http(reader, node, monitor);
    break;
  case MONITOR_UDP:
    if (!document_find(node, "send"))
      schema_problem(reader, node, "missing key \"send\", which type udp needs");
    break;
  case MONITOR_DNS:
    check_dns(reader, node, monitor);
    break;
  case MONITOR_FTP:
    check_ftp(reader, node, monitor);
    break;
  case MONITOR_SNMP:
    check_snmp(reader, node, monitor);
    break;
  case MONITOR_EXEC:
    check_exec(reader, node, monitor);
    break;
  case MONITOR_CALCULATED:
    check_calculated(reader, node, monitor);
    break;
  case MONITOR_TCP:
  case MONITOR_PING:
  case MONITOR_SERVICE:
    break;
  }
}

void config_check_monitor(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  struct config_monitor *monitor = record;
  config_define(reader, &names->monitors, "monitor", monitor->name, config_place(node, "name"), names->config->monitors,
                monitor, sizeof *monitor);
  if (!reader->variant)
    return;
  complete_port(reader, node, monitor);
  config_check_subject(reader, config_place(node, "address"), &monitor->address, monitor->port);
  check_expectation(reader, document_find(node, "expect"), monitor);
  check_kind(reader, node, monitor);
  if (monitor->interval_ms)
    config_complete_timeout(reader, node, monitor->interval_ms, &monitor->timeout_ms);
}
