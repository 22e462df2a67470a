#include "gslb/main/ctl_snmp.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/main/ctl_table.h"
#include "gslb/net/loop.h"
#include "gslb/net/snmp.h"
#include "probes/kinds/snmp_plan.h"

#define WHOLE_TREE "1.3.6.1"
#define WALK_ROWS_MOST 1000000u
#define WALK_MOST_MS 600000
#define SUGGEST_MOST_MS 60000
#define RETRY_MS 2000

struct session { /* one look at one device */
  const struct ctl_line *line;
  struct ctl_device device;
  struct snmp_identity identity;
  char *auth_secret, *privacy_secret; /* read from files; NULL: none */
  struct loop *loop;
  struct snmp_client *client;
  size_t left; /* answers to come */
  json_t *document;
  struct errbuf err; /* of the failure */
  bool is_failed;
};

bool ctl_snmp_is_alone(const struct ctl_line *line) {
  struct ctl_device device;
  return line->count > 2 && strcmp(line->words[0], "snmp") == 0 && (line->community || line->user) && !line->access &&
         ctl_snmp_find_device(NULL, line->words[2], &device, NULL) == STATUS_OK;
}

/* Devices */

static void take_source(const struct config *config, const struct config_service *service, struct ctl_device *out) {
  for (size_t i = 0; i < service->source_count; i++) {
    const struct config_source *source = &config->sources[service->sources[i]];
    if (source->type != SOURCE_SNMP)
      continue;
    if (source->address.family)
      out->address = source->address;
    out->address.port = source->port ? source->port : SNMP_PORT_DEFAULT;
    out->access = &config->snmp[source->access];
    return;
  }
}

static enum status find_member(const struct config *config, const char *name, struct ctl_device *out,
                               struct errbuf *err) {
  const char *slash = strrchr(name, '/');
  const char *wanted = slash ? slash + 1 : name;
  size_t count = 0;
  for (size_t s = 0; s < config->service_count; s++) {
    const struct config_service *service = &config->services[s];
    if (slash && (strlen(service->name) != (size_t)(slash - name) ||
                  strncasecmp(service->name, name, (size_t)(slash - name)) != 0))
      continue;
    size_t m = config_find_member(service, wanted);
    if (m == SIZE_MAX || service->members[m].address_count == 0 || ++count > 1)
      continue;
    const struct config_member *member = &service->members[m];
    *out =
        (struct ctl_device){.address = member->monitor_address.family ? member->monitor_address : member->addresses[0]};
    out->address.port = SNMP_PORT_DEFAULT;
    take_source(config, service, out);
  }
  if (count == 1)
    return STATUS_OK;
  return errbuf_set(err, STATUS_NOTFOUND,
                    count ? "several services have a member %s; name it service/member"
                          : "%s is neither an address nor a configured member with one",
                    name);
}

enum status ctl_snmp_find_device(const struct config *config, const char *name, struct ctl_device *out,
                                 struct errbuf *err) {
  struct ctl_device device = {.access = NULL};
  if (addr_parse_port(name, &device.address) == STATUS_OK) {
    *out = device;
    return STATUS_OK;
  }
  if (addr_parse(name, &device.address) == STATUS_OK) {
    device.address.port = SNMP_PORT_DEFAULT;
    *out = device;
    return STATUS_OK;
  }
  if (!config)
    return errbuf_set(err, STATUS_NOTFOUND, "%s is no address, and no configuration is read", name);
  return find_member(config, name, out, err);
}

/* Access */

static enum status read_secret(const char *path, char **out, struct errbuf *err) {
  size_t length;
  enum status status = config_read_file(path, out, &length, err);
  if (status != STATUS_OK)
    return status;
  (*out)[strcspn(*out, "\r\n")] = '\0';
  return strlen(*out) >= SNMP_SECRET_LEAST
             ? STATUS_OK
             : errbuf_set(err, STATUS_RANGE, "%s: a secret has at least %u bytes", path, SNMP_SECRET_LEAST);
}

static enum status read_digest(const char *word, enum snmp_digest *out, struct errbuf *err) {
  static const struct {
    const char *word;
    enum snmp_digest digest;
  } digests[] = {{"sha", SNMP_DIGEST_SHA1}, {"sha256", SNMP_DIGEST_SHA256}, {"sha512", SNMP_DIGEST_SHA512}};
  for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
    if (strcmp(digests[i].word, word) == 0) {
      *out = digests[i].digest;
      return STATUS_OK;
    }
  return errbuf_set(err, STATUS_INVALID, "--auth is sha, sha256 or sha512, not %s", word);
}

static enum status identity_of_user(struct session *session) {
  const struct ctl_line *line = session->line;
  struct snmp_identity *identity = &session->identity;
  enum status status = STATUS_OK;
  *identity = (struct snmp_identity){.is_v3 = true, .user = line->user, .context = line->context};
  if (line->privacy_secret && !line->auth_secret)
    return errbuf_set(&session->err, STATUS_INVALID, "--privacy-secret needs --auth-secret");
  if (line->auth_secret) {
    identity->digest = SNMP_DIGEST_SHA256;
    status = read_secret(line->auth_secret, &session->auth_secret, &session->err);
    identity->auth_secret = session->auth_secret;
  }
  if (status == STATUS_OK && line->auth)
    status = read_digest(line->auth, &identity->digest, &session->err);
  if (status == STATUS_OK && line->privacy_secret) {
    status = read_secret(line->privacy_secret, &session->privacy_secret, &session->err);
    identity->privacy_secret = session->privacy_secret;
    identity->is_private = true;
  }
  return status;
}

static enum status find_identity(struct session *session, const struct config *config) {
  const struct ctl_line *line = session->line;
  const struct config_snmp_access *access = session->device.access;
  if (line->user)
    return identity_of_user(session);
  if (line->community) {
    session->identity = (struct snmp_identity){.community = line->community};
    return STATUS_OK;
  }
  if (line->access) {
    access = NULL;
    for (size_t i = 0; config && i < config->snmp_count; i++)
      if (strcmp(config->snmp[i].name, line->access) == 0)
        access = &config->snmp[i];
    if (!access)
      return errbuf_set(&session->err, STATUS_NOTFOUND, "no access of the configuration is called %s", line->access);
  }
  if (!access)
    return errbuf_set(&session->err, STATUS_NODATA,
                      "how is it asked? --access NAME of the configuration, --community, or --user");
  snmp_identity_of(access, &session->identity);
  return STATUS_OK;
}

/* What is shown */

static bool is_printable(const struct snmp_value *value) {
  for (size_t i = 0; i < value->text_size; i++)
    if (!isprint((unsigned char)value->text[i]) && !memchr("\t\r\n", value->text[i], 3))
      return false;
  return true;
}

/* The text on one line, or its bytes in hexadecimal; free() it. */
static char *value_shown(const struct snmp_value *value) {
  if (is_printable(value)) {
    char *line = mem_strdup(value->text);
    for (char *at = line; (at = strpbrk(at, "\t\r\n"));)
      *at = ' ';
    return line;
  }
  char *text = mem_array(2 * value->text_size + 3, 1);
  memcpy(text, "0x", 2);
  for (size_t i = 0; i < value->text_size; i++)
    sprintf(text + 2 + 2 * i, "%02x", (unsigned char)value->text[i]);
  return text;
}

static void print_objects(const json_t *document) {
  size_t index;
  json_t *object;
  json_array_foreach(json_object_get(document, "objects"), index, object) {
    printf("%s = %s: %s\n", ctl_text(object, "oid"), ctl_text(object, "type"), ctl_text(object, "value"));
  }
}

static void print_suggestion(const json_t *document) {
  size_t index, count = 0;
  json_t *table, *value;
  const char *name;
  json_array_foreach(json_object_get(document, "tables"), index, table) {
    json_t *metrics = json_object_get(table, "metrics");
    if (json_object_size(metrics) == 0)
      continue;
    printf("%stable: %s  (%s)\n", count++ ? "\n" : "", ctl_text(table, "table"), ctl_text(table, "about"));
    json_object_foreach(metrics, name, value) {
      printf("  %-36s %.6g%s\n", name, json_number_value(json_object_get(value, "value")),
             json_is_true(json_object_get(value, "counter")) ? "  (counter)" : "");
    }
  }
  if (count == 0)
    puts("The device answers, but has no object of the ready tables; gslbctl snmp walk shows what it has.");
}

static void one_answer_less(struct session *session, const struct snmp_answer *answer) {
  if (answer->outcome != NET_ANSWERED && !session->is_failed) {
    char text[ADDR_TEXT_SIZE];
    session->is_failed = true;
    errbuf_set(&session->err, STATUS_IO, "%s: %s%s%s", addr_format_port(&session->device.address, text),
               net_outcome_text(answer->outcome), answer->detail[0] ? ": " : "", answer->detail);
  }
  if (--session->left == 0)
    loop_stop(session->loop);
}

static void walked(void *context, const struct snmp_answer *answer) {
  struct session *session = context;
  json_t *objects = json_array();
  for (size_t i = 0; answer->outcome == NET_ANSWERED && i < answer->rows[0].count; i++) {
    const struct snmp_value *value = &answer->rows[0].values[i];
    char oid[OBJECT_ID_TEXT_SIZE];
    char *shown = value_shown(value);
    json_array_append_new(objects,
                          value_must(json_pack("{s:s, s:s, s:o}", "oid", object_id_format(&value->name, oid), "type",
                                               snmp_kind_name(value->kind), "value", value_text(shown))));
    free(shown);
  }
  json_object_set_new(session->document, "objects", objects);
  one_answer_less(session, answer);
}

static enum status begin_walk(struct session *session) {
  const char *oid = session->line->count > 3 ? session->line->words[3] : WHOLE_TREE;
  struct object_id root;
  if (object_id_parse(oid, &root) != STATUS_OK)
    return errbuf_set(&session->err, STATUS_INVALID, "%s is no numeric object identifier such as " WHOLE_TREE, oid);
  struct snmp_request request = {.device = session->device.address,
                                 .access = &session->identity,
                                 .timeout_ms = WALK_MOST_MS,
                                 .retry_ms = RETRY_MS,
                                 .roots = &root,
                                 .root_count = 1,
                                 .rows_most = WALK_ROWS_MOST};
  session->left = 1;
  snmp_ask(session->client, &request, walked, session);
  return STATUS_OK;
}

struct trial { /* of one ready table */
  struct session *session;
  const struct snmp_table *table;
  struct snmp_plan *plan;
};

static void tried(void *context, const struct snmp_answer *answer) {
  struct trial *trial = context;
  const struct source_value *values = NULL;
  size_t count = answer->outcome == NET_ANSWERED ? snmp_plan_values(trial->plan, answer, &values) : 0;
  json_t *metrics = json_object();
  for (size_t i = 0; i < count; i++)
    json_object_set_new(metrics, values[i].name,
                        json_pack("{s:f, s:b}", "value", values[i].value, "counter", (int)values[i].is_counter));
  json_array_append_new(json_object_get(trial->session->document, "tables"),
                        value_must(json_pack("{s:s, s:s, s:o}", "table", trial->table->name, "about",
                                             trial->table->about, "metrics", metrics)));
  struct session *session = trial->session;
  snmp_plan_free(trial->plan);
  free(trial);
  one_answer_less(session, answer);
}

static void begin_suggestion(struct session *session) {
  const struct snmp_table *table;
  json_object_set_new(session->document, "tables", json_array());
  for (size_t i = 0; (table = snmp_table_at(i)); i++) {
    struct trial *trial = mem_alloc(sizeof *trial);
    *trial = (struct trial){session, table, snmp_plan_new(table->rows, table->count)};
    struct snmp_request request = {.device = session->device.address,
                                   .access = &session->identity,
                                   .timeout_ms = SUGGEST_MOST_MS,
                                   .retry_ms = RETRY_MS};
    snmp_plan_request(trial->plan, &request);
    session->left++;
    snmp_ask(session->client, &request, tried, trial);
  }
}

static int look(struct session *session, bool is_walk) {
  char text[ADDR_TEXT_SIZE];
  enum status status = STATUS_OK;
  session->loop = loop_new();
  session->client = snmp_client_new(session->loop);
  session->document = value_must(json_pack("{s:s}", "device", addr_format_port(&session->device.address, text)));
  if (is_walk)
    status = begin_walk(session);
  else
    begin_suggestion(session);
  if (session->left > 0)
    loop_run(session->loop);
  snmp_client_free(session->client);
  loop_free(session->loop);
  if (status == STATUS_OK && !session->is_failed)
    return ctl_show(session->line, session->document, is_walk ? print_objects : print_suggestion);
  json_decref(session->document);
  if (status != STATUS_OK)
    return ctl_misuse("%s", session->err.text);
  fprintf(stderr, "gslbctl: %s\n", session->err.text);
  return EXIT_FAILURE;
}

int ctl_snmp(const struct ctl_line *line, struct ctl_source *source) {
  const struct config *config = source ? source->config : NULL;
  const char *word = line->words[1];
  bool is_walk = strcmp(word, "walk") == 0;
  struct session session = {.line = line};
  int exit_status;
  if ((!is_walk && strcmp(word, "suggest") != 0) || line->count < 3)
    return ctl_misuse("snmp walk DEVICE [OID] or snmp suggest DEVICE");
  if (!is_walk && line->count > 3)
    return ctl_misuse("%s is one argument too many", line->words[3]);
  if (ctl_snmp_find_device(config, line->words[2], &session.device, &session.err) != STATUS_OK ||
      find_identity(&session, config) != STATUS_OK)
    exit_status = ctl_misuse("%s", session.err.text);
  else
    exit_status = look(&session, is_walk);
  free(session.auth_secret);
  free(session.privacy_secret);
  return exit_status;
}
