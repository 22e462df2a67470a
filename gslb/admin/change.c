#include "gslb/admin/change.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/model/chronicle.h"
#include "gslb/net/reply.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"

struct change {
  struct http_call *call;
  struct view *view; /* held */
  struct view_name name;
  struct override_record record; /* OVERRIDE_NONE: end the override */
};

static void complain(json_t *errors, const char *pointer, const char *detail) {
  json_array_append_new(errors, json_pack("{s:s, s:s}", "pointer", pointer, "detail", detail));
}

static void take_state(const json_t *value, struct override_record *out, json_t *errors) {
  const char *word = json_string_value(value);
  if (!word || override_parse(word, &out->kind) != STATUS_OK || out->kind == OVERRIDE_NONE)
    complain(errors, "/state", "must be \"up\", \"down\" or \"drain\"");
}

static void take_reason(const json_t *value, struct override_record *out, json_t *errors) {
  const char *text = json_string_value(value);
  size_t length = text ? json_string_length(value) : 0;
  if (length == 0) {
    complain(errors, "/reason", "must be a text that says why");
    return;
  }
  if (length >= sizeof out->why) {
    complain(errors, "/reason", "must be at most 255 bytes long");
    return;
  }
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
      complain(errors, "/reason", "must not hold control characters");
      return;
    }
  memcpy(out->why, text, length);
}

static void take_duration(const json_t *value, struct override_record *out, json_t *errors) {
  double for_s = json_number_value(value);
  if (!json_is_number(value) || !(for_s > 0 && for_s <= CHANGE_FOR_MOST_S))
    complain(errors, "/for_s", "must be a number of seconds above 0 and at most ten years");
  else
    out->until_ms = out->set_ms + (int64_t)(for_s * 1000.0);
}

enum status change_parse(const char *body, size_t size, int64_t now_ms, struct override_record *out, json_t **errors,
                         struct errbuf *err) {
  json_error_t where;
  json_t *document = json_loadb(body, size, JSON_REJECT_DUPLICATES, &where);
  if (!json_is_object(document)) {
    json_decref(document);
    return document ? errbuf_set(err, STATUS_INVALID, "the body must be a JSON object")
                    : errbuf_set(err, STATUS_INVALID, "the body is not JSON: line %d, column %d: %s", where.line,
                                 where.column, where.text);
  }
  struct override_record record = {.set_ms = now_ms};
  json_t *found = json_array();
  take_state(json_object_get(document, "state"), &record, found);
  take_reason(json_object_get(document, "reason"), &record, found);
  if (json_object_get(document, "for_s"))
    take_duration(json_object_get(document, "for_s"), &record, found);
  const char *key;
  json_t *value;
  json_object_foreach(document, key, value) {
    if (strcmp(key, "state") == 0 || strcmp(key, "reason") == 0 || strcmp(key, "for_s") == 0)
      continue;
    char *pointer = mem_format("/%s", key);
    complain(found, pointer, "is not known here: state, reason and for_s are");
    free(pointer);
  }
  json_decref(document);
  if (json_array_size(found) > 0) {
    *errors = found;
    return errbuf_set(err, STATUS_RANGE, "the override is not understood");
  }
  json_decref(found);
  *out = record;
  return STATUS_OK;
}

void change_who(const struct http_peer *peer, char who[64]) {
  struct passwd entry, *found = NULL;
  char buffer[4096], address[ADDR_TEXT_SIZE];
  if (!peer->is_unix)
    snprintf(who, 64, "%s", addr_format(&peer->addr, address));
  else if (getpwuid_r(peer->uid, &entry, buffer, sizeof buffer, &found) == 0 && found && found->pw_name[0])
    snprintf(who, 64, "%s", found->pw_name);
  else
    snprintf(who, 64, "uid %u", peer->uid);
}

static enum status write_chronicle(const struct change *change, enum override_kind old, struct store_txn *txn,
                                   struct errbuf *err) {
  const struct override_record *record = &change->record;
  char until[32] = "";
  if (record->until_ms)
    clock_format_utc(record->until_ms, until, sizeof until);
  struct event_record event = {.at_ms = record->set_ms, .kind = "override"};
  snprintf(event.service, sizeof event.service, "%s", change->name.service);
  snprintf(event.member, sizeof event.member, "%s", change->name.member);
  snprintf(event.from, sizeof event.from, "%s", override_name(old));
  snprintf(event.to, sizeof event.to, "%s", override_name(record->kind));
  snprintf(event.reason, sizeof event.reason, "operator %s%s%.80s", record->who, record->why[0] ? ": " : "",
           record->why);
  enum status status = chronicle_write_event(txn, &event, err);
  if (status)
    return status;

  struct audit_record audit = {.at_ms = record->set_ms, .action = "override"};
  snprintf(audit.who, sizeof audit.who, "%s", record->who);
  snprintf(audit.subject, sizeof audit.subject, "%s/%s", change->name.service, change->name.member);
  snprintf(audit.detail, sizeof audit.detail, "%s%s%s: %.200s", override_name(record->kind), until[0] ? " until " : "",
           until, record->why);
  return chronicle_write_audit(txn, &audit, err);
}

static enum status apply_change(void *context, struct store_txn *txn, struct errbuf *err) {
  const struct change *change = context;
  struct record_key key;
  record_key_member(change->name.service, change->name.member, &key);
  struct store_bytes at = {key.bytes, key.size}, stored;
  struct override_record old = {.kind = OVERRIDE_NONE};
  if (store_get(txn, STORE_DB_ADMIN, at, &stored) == STATUS_OK)
    (void)override_decode(stored.data, stored.size, &old);

  enum status status;
  if (change->record.kind == OVERRIDE_NONE) {
    status = store_delete(txn, STORE_DB_ADMIN, at, err);
  } else {
    uint8_t row[RECORD_SIZE_MOST];
    size_t size = override_encode(&change->record, row);
    status = store_put(txn, STORE_DB_ADMIN, at, (struct store_bytes){row, size}, err);
  }
  if (status == STATUS_OK)
    status = store_mark_changed(txn, change->name.service, err);
  if (status == STATUS_OK)
    status = write_chronicle(change, old.kind, txn, err);
  return status;
}

static void tell_change(void *context, enum status status, const struct errbuf *err) {
  struct change *change = context;
  const char *kind = override_name(change->record.kind);
  if (status == STATUS_NODATA) {
    reply_empty(change->call, 204);
  } else if (status) {
    log_error("override of %s/%s is not stored: %s", change->name.service, change->name.member, err->text);
    reply_problem(change->call, 503, "the override cannot be stored: %s", err->text);
  } else {
    log_info("override of %s/%s: %s by %s%s%s", change->name.service, change->name.member, kind, change->record.who,
             change->record.why[0] ? ": " : "", change->record.why);
    if (change->record.kind == OVERRIDE_NONE)
      reply_empty(change->call, 204);
    else
      reply_json(change->call, 200, view_member(change->view, change->name));
  }
  view_release(change->view);
  free(change);
}

static void queue_change(struct http_call *call, struct view *view, struct committer *committer, struct view_name name,
                         const struct override_record *record, const char *who) {
  struct change *change = mem_alloc(sizeof *change);
  *change = (struct change){call, view_hold(view), name, *record};
  snprintf(change->record.who, sizeof change->record.who, "%s", who);
  http_hold(call);
  struct errbuf err;
  enum status status = commit_queue(committer, apply_change, tell_change, change, &err);
  if (status)
    tell_change(change, status, &err);
}

void change_override_as(struct http_call *call, struct view *view, struct committer *committer, struct view_name name,
                        const char *who) {
  struct override_record record;
  struct errbuf err;
  json_t *errors = NULL;
  enum status status =
      change_parse(call->body, call->body_size, house_now_ms(&view_sources(view)->house), &record, &errors, &err);
  if (status == STATUS_OK)
    queue_change(call, view, committer, name, &record, who);
  else if (errors)
    reply_problem_with(call, 422, err.text, "errors", errors, NULL);
  else
    reply_problem(call, 400, "%s", err.text);
}

void change_clear_as(struct http_call *call, struct view *view, struct committer *committer, struct view_name name,
                     const char *who) {
  struct override_record record = {.kind = OVERRIDE_NONE, .set_ms = house_now_ms(&view_sources(view)->house)};
  queue_change(call, view, committer, name, &record, who);
}

void change_override(struct http_call *call, struct view *view, struct committer *committer, struct view_name name) {
  char who[64];
  change_who(&call->peer, who);
  change_override_as(call, view, committer, name, who);
}

void change_clear(struct http_call *call, struct view *view, struct committer *committer, struct view_name name) {
  char who[64];
  change_who(&call->peer, who);
  change_clear_as(call, view, committer, name, who);
}
