#include "gslb/admin/token_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "discovery/documents/complaint.h"
#include "discovery/documents/reading.h"
#include "discovery/registry/token.h"
#include "gslb/admin/change.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/model/chronicle.h"
#include "gslb/net/reply.h"

#define ID_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-*"
#define SERVICE_CHARACTERS ID_CHARACTERS "_."

/* What is asked for */

static void take_name(const struct reading *body, char name[DOMAIN_LABEL_MOST + 1]) {
  const char *text = reading_text(body, "name", DOMAIN_LABEL_MOST);
  struct errbuf err;
  if (!reading_member(body, "name"))
    reading_complain(body, "name", "is missing: one label, as accept.tokens names it");
  else if (text && domain_read_host_label(text, name, &err) != STATUS_OK)
    reading_complain(body, "name", err.text);
  else if (text && strcmp(name, PRINCIPAL_OPERATOR_OWNER) == 0)
    reading_complain(body, "name", "is how the operator is called");
}

static bool take_pattern(const json_t *value, const char *characters, char *out, size_t size) {
  const char *text = json_string_value(value);
  size_t length = text ? json_string_length(value) : 0;
  if (length == 0 || length >= size)
    return false;
  for (size_t i = 0; i <= length; i++)
    out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
  if (out[length - 1] == '.')
    out[length - 1] = '\0';
  return out[0] && strspn(out, characters) == strlen(out) && strlen(text) == length;
}

/* rows: REGISTRATION_PATTERNS_MOST of them, of that size. Returns how many. */
static uint32_t take_patterns(const struct reading *body, const char *key, const char *characters, char *rows,
                              size_t size) {
  char pointer[COMPLAINT_POINTER_SIZE], place[COMPLAINT_POINTER_SIZE];
  const json_t *list = reading_member(body, key);
  complaint_pointer(pointer, "", key);
  if (!list)
    return 0;
  if (!json_is_array(list) || json_array_size(list) > REGISTRATION_PATTERNS_MOST) {
    complaint_add(body->errors, pointer, "must be a list of at most %u patterns", REGISTRATION_PATTERNS_MOST);
    return 0;
  }
  size_t i;
  json_t *value;
  json_array_foreach(list, i, value) {
    if (!take_pattern(value, characters, rows + i * size, size))
      complaint_add(body->errors, complaint_pointer_at(place, pointer, i),
                    "must be a name in which * stands for any run of characters, at most %zu bytes long", size - 1);
  }
  return (uint32_t)json_array_size(list);
}

static bool take_flag(const struct reading *body, const char *key, bool otherwise) {
  const json_t *value = reading_member(body, key);
  if (!value)
    return otherwise;
  if (!json_is_boolean(value))
    reading_complain(body, key, "must be true or false");
  return json_is_true(value);
}

enum status token_routes_parse(const json_t *json, int64_t now_ms, char name[DOMAIN_LABEL_MOST + 1],
                               struct token_record *out, json_t **errors) {
  static const char *const known[] = {"name", "resources", "services", "admin", "read", "for_s", "token", NULL};
  json_t *found = NULL;
  const struct reading body = {json, "", &found};
  double for_s = 0;
  *out = (struct token_record){.created_ms = now_ms};
  reading_refuse_others(&body, known);
  take_name(&body, name);
  out->resource_count = take_patterns(&body, "resources", ID_CHARACTERS, out->resources[0], sizeof out->resources[0]);
  out->service_count = take_patterns(&body, "services", SERVICE_CHARACTERS, out->services[0], sizeof out->services[0]);
  if (!reading_member(&body, "services") && out->resource_count) { /* what a service accepts is said there too */
    out->service_count = 1;
    strcpy(out->services[0], "*");
  }
  out->is_admin = take_flag(&body, "admin", false);
  out->may_read = take_flag(&body, "read", true);
  if (reading_number(&body, "for_s", 0, CHANGE_FOR_MOST_S, &for_s) && for_s > 0)
    out->until_ms = now_ms + (int64_t)(for_s * 1000.0);
  const json_t *token = reading_member(&body, "token");
  if (token && (!json_is_string(token) || token_read(json_string_value(token), out->hash) != STATUS_OK))
    reading_complain(&body, "token", "must be a token that a balancer made");
  if (!found && !out->is_admin && !out->may_read && out->resource_count == 0)
    reading_complain(&body, "resources", "is missing: a token that neither registers, reads nor administers is none");
  if (!found)
    return STATUS_OK;
  *errors = found;
  return STATUS_RANGE;
}

/* What is shown */

static json_t *patterns_shown(const char *rows, size_t size, uint32_t count) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(list, value_text(rows + i * size));
  return list;
}

static json_t *token_shown(const char *name, const struct token_record *record) {
  return value_must(
      json_pack("{s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:o}", "name", value_text(name), "resources",
                patterns_shown(record->resources[0], sizeof record->resources[0], record->resource_count), "services",
                patterns_shown(record->services[0], sizeof record->services[0], record->service_count), "admin",
                (int)record->is_admin, "read", (int)record->may_read, "created_at", value_time(record->created_ms),
                "until_at", value_time(record->until_ms), "who", value_text(record->who)));
}

static bool add_token(void *context, const char *name, const struct token_record *record) {
  json_array_append_new(context, token_shown(name, record));
  return true;
}

void token_routes_list(struct visit *visit) {
  json_t *tokens = json_array();
  struct errbuf err;
  if (tokens_each(view_sources(visit->view)->durable, add_token, tokens, &err) == STATUS_OK) {
    reply_json(visit->call, 200, value_must(json_pack("{s:o}", "tokens", tokens)));
    return;
  }
  json_decref(tokens);
  visit_problem(visit->call, 503, NULL, VISIT_RETRY_S, err.text);
}

/* What is stored */

struct token_errand {
  struct http_call *call;
  char name[DOMAIN_LABEL_MOST + 1];
  struct token_record record;
  char text[TOKEN_TEXT_SIZE]; /* of a new one, kept until it is told */
  struct audit_record audit;
};

static struct token_errand *errand_new(struct visit *visit, const char *action, const char *name) {
  struct token_errand *errand = mem_alloc(sizeof *errand);
  errand->call = visit->call;
  snprintf(errand->name, sizeof errand->name, "%s", name);
  errand->audit.at_ms = house_now_ms(&view_sources(visit->view)->house);
  visit_who(&visit->principal, errand->audit.who);
  snprintf(errand->audit.action, sizeof errand->audit.action, "%s", action);
  snprintf(errand->audit.subject, sizeof errand->audit.subject, "token %s", errand->name);
  return errand;
}

static void errand_free(struct token_errand *errand) {
  explicit_bzero(errand->text, sizeof errand->text);
  free(errand);
}

static enum status apply_create(void *context, struct store_txn *txn, struct errbuf *err) {
  const struct token_errand *errand = context;
  enum status status = token_put(txn, errand->name, &errand->record, err);
  return status ? status : chronicle_write_audit(txn, &errand->audit, err);
}

static void tell_create(void *context, enum status status, const struct errbuf *err) {
  struct token_errand *errand = context;
  if (status) {
    visit_not_stored(errand->call, &errand->audit, status, err);
  } else {
    char place[sizeof errand->name + 16];
    snprintf(place, sizeof place, "/v1/tokens/%s", errand->name);
    const char *const headers[] = {"Location", place, NULL};
    json_t *document = value_must(json_pack("{s:s}", "token", errand->text));
    json_t *shown = token_shown(errand->name, &errand->record);
    json_object_update(document, shown);
    json_decref(shown);
    reply_json_with(errand->call, 201, document, headers);
    log_info("token %s: made by %s", errand->name, errand->audit.who);
  }
  errand_free(errand);
}

/* A client certificate of that name would own what the token registers. */
static bool is_of_client(const struct config_control *control, const char *name) {
  for (size_t i = 0; i < control->client_count; i++)
    if (strcmp(control->clients[i].name, name) == 0)
      return true;
  return false;
}

void token_routes_create(struct visit *visit) {
  json_t *body, *errors = NULL;
  char name[DOMAIN_LABEL_MOST + 1] = "";
  struct token_record record;
  if (!visit_read(visit, false, &body))
    return;
  int64_t now_ms = house_now_ms(&view_sources(visit->view)->house);
  if (token_routes_parse(body, now_ms, name, &record, &errors) != STATUS_OK) {
    visit_wrong(visit->call, errors);
  } else if (is_of_client(&view_config(visit->view)->control, name)) {
    reply_problem(visit->call, 409, "control.clients has a client that is called \"%s\"", name);
  } else {
    struct token_errand *errand = errand_new(visit, "token create", name);
    errand->record = record;
    snprintf(errand->record.who, sizeof errand->record.who, "%s", errand->audit.who);
    const char *given = json_string_value(json_object_get(body, "token"));
    if (given)
      snprintf(errand->text, sizeof errand->text, "%s", given);
    else
      token_make(errand->text, errand->record.hash);
    char until[32] = "no end";
    if (record.until_ms)
      clock_format_utc(record.until_ms, until, sizeof until);
    snprintf(errand->audit.detail, sizeof errand->audit.detail, "%s%s%u patterns of ids, %u of services, until %s",
             record.is_admin ? "administers, " : "", record.may_read ? "reads, " : "", record.resource_count,
             record.service_count, until);
    visit_queue(visit, apply_create, tell_create, errand);
  }
  json_decref(body);
}

static enum status apply_delete(void *context, struct store_txn *txn, struct errbuf *err) {
  const struct token_errand *errand = context;
  enum status status = token_delete(txn, errand->name, err);
  return status ? status : chronicle_write_audit(txn, &errand->audit, err);
}

static void tell_delete(void *context, enum status status, const struct errbuf *err) {
  struct token_errand *errand = context;
  if (status) {
    visit_not_stored(errand->call, &errand->audit, status, err);
  } else {
    reply_empty(errand->call, 204);
    log_info("token %s: deleted by %s", errand->name, errand->audit.who);
  }
  errand_free(errand);
}

void token_routes_delete(struct visit *visit) {
  char name[DOMAIN_LABEL_MOST + 1];
  if (domain_read_host_label(visit->parts[0], name, NULL) != STATUS_OK)
    reply_problem(visit->call, 404, "there is no token \"%s\"", visit->parts[0]);
  else
    visit_queue(visit, apply_delete, tell_delete, errand_new(visit, "token delete", name));
}
