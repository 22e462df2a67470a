#include "gslb/admin/visit.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "discovery/documents/document.h"
#include "gslb/base/log.h"
#include "gslb/base/value.h"
#include "gslb/model/scalar.h"
#include "gslb/net/reply.h"

#define TYPE_JSON "application/json"
#define TYPE_PATCH "application/merge-patch+json"

/* Parameters, such as a charset, play no part (RFC 8259 section 11). */
static bool names_type(const char *header, const char *type) {
  size_t length = strcspn(header, "; \t");
  return length == strlen(type) && strncasecmp(header, type, length) == 0;
}

bool visit_is_json(struct visit *visit, bool is_patch) {
  const char *type = http_call_header(visit->call, "Content-Type");
  if (!type || names_type(type, TYPE_JSON) || (is_patch && names_type(type, TYPE_PATCH)))
    return true;
  const char *const headers[] = {is_patch ? "Accept-Patch" : "Accept", is_patch ? TYPE_PATCH ", " TYPE_JSON : TYPE_JSON,
                                 "Cache-Control", "no-store", NULL};
  reply_problem_with(visit->call, 415, "the body must be JSON, and its Content-Type must say so", NULL, NULL, headers);
  return false;
}

bool visit_read(struct visit *visit, bool is_patch, json_t **body) {
  if (!visit_is_json(visit, is_patch))
    return false;
  if (visit->call->body_size > REGISTRATION_DOCUMENT_MOST) {
    reply_problem(visit->call, 413, "the body has %zu bytes; at most %u are taken", visit->call->body_size,
                  REGISTRATION_DOCUMENT_MOST);
    return false;
  }
  struct errbuf err;
  json_t *errors = NULL;
  if (document_read(visit->call->body, visit->call->body_size, body, &errors, &err) == STATUS_OK)
    return true;
  if (errors)
    visit_wrong(visit->call, errors);
  else
    reply_problem(visit->call, 400, "%s", err.text);
  return false;
}

bool visit_number(struct visit *visit, const char *name, int64_t least, int64_t most, int64_t *out) {
  const char *text = http_call_query(visit->call, name);
  int64_t value;
  if (!text)
    return true;
  if (scalar_number(text, &value) == STATUS_OK && value >= least && value <= most) {
    *out = value;
    return true;
  }
  reply_problem(visit->call, 400, "%s is a number from %lld to %lld", name, (long long)least, (long long)most);
  return false;
}

bool visit_flag(struct visit *visit, const char *name, bool *out) {
  int64_t value = 0;
  bool is_understood = visit_number(visit, name, 0, 1, &value);
  *out = value != 0;
  return is_understood;
}

void visit_problem(struct http_call *call, unsigned status, const char *code, unsigned retry_after_s,
                   const char *detail) {
  char retry[16];
  snprintf(retry, sizeof retry, "%u", retry_after_s);
  const char *const headers[] = {"Cache-Control", "no-store", retry_after_s ? "Retry-After" : NULL, retry, NULL};
  reply_problem_with(call, status, detail, "code", code ? json_string(code) : NULL, headers);
}

void visit_wrong(struct http_call *call, json_t *errors) {
  reply_problem_with(call, 422, "the body is not as it must be", "errors", errors, NULL);
}

void visit_queue(struct visit *visit, commit_apply *apply, commit_done *done, void *context) {
  struct errbuf err;
  http_hold(visit->call);
  enum status status = commit_queue(visit->routes->committer, apply, done, context, &err);
  if (status)
    done(context, status, &err);
}

void visit_not_stored(struct http_call *call, const struct audit_record *audit, enum status status,
                      const struct errbuf *err) {
  switch (status) {
  case STATUS_CONFLICT:
    reply_problem(call, 409, "%s", err->text);
    break;
  case STATUS_NOTFOUND:
    reply_problem(call, 404, "%s", err->text);
    break;
  default:
    log_error("%s: %s is not stored: %s", audit->action, audit->subject, err->text);
    visit_problem(call, 503, NULL, VISIT_RETRY_S, err->text);
  }
}

bool visit_has(struct visit *visit, const void *part, const char *what) {
  if (part)
    return true;
  char detail[96];
  snprintf(detail, sizeof detail, "%s cannot be reached here", what);
  visit_problem(visit->call, 503, NULL, VISIT_RETRY_S, detail);
  return false;
}

void visit_who(const struct principal *principal, char who[64]) {
  const char *kind = principal->kind == PRINCIPAL_TOKEN         ? "token "
                     : principal->kind == PRINCIPAL_CERTIFICATE ? "client "
                                                                : "";
  snprintf(who, 64, "%s%.56s", kind, principal->name);
}
