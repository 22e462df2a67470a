#include "gslb/admin/resource_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "discovery/documents/document.h"
#include "gslb/admin/resource_shown.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/model/chronicle.h"
#include "gslb/model/domain.h"
#include "gslb/net/reply.h"

#define LIST_LIMIT 100
#define LIST_LIMIT_MOST 1000
#define REMOVE_MOST_S (10 * 365 * 86400)
#define ETAG_SIZE 24

/* Entity tags */

static const char *etag_format(uint64_t revision, char text[ETAG_SIZE]) {
  snprintf(text, ETAG_SIZE, "\"%" PRIu64 "\"", revision);
  return text;
}

bool resource_routes_read_match(const char *header, uint64_t *revision) {
  char *end;
  if (header[0] != '"' || header[1] < '1' || header[1] > '9')
    return false;
  uint64_t value = strtoull(header + 1, &end, 10);
  if (strcmp(end, "\"") != 0 || value == UINT64_MAX)
    return false;
  *revision = value;
  return true;
}

bool resource_routes_knows(const char *header, uint64_t revision) {
  char etag[ETAG_SIZE];
  return strcmp(header, "*") == 0 || strstr(header, etag_format(revision, etag)) != NULL;
}

/* What a call asks of the registry; owns all that the registry borrows until it is answered. */

struct errand {
  struct http_call *call;
  const struct routes *routes;
  struct view *view; /* held: the principal's client and the identity are part of its configuration */
  struct principal principal;
  char id[DOMAIN_LABEL_MOST + 1];
  json_t *document;
  struct registry_call asked;
  const char *action; /* for the audit; NULL: none is written */
  char detail[256];
  int64_t removed_until_ms; /* of a removal, with why */
  char why[128];
};

/* The id in lower case; answers the call itself where it is none. */
static bool read_id(struct visit *visit, char id[DOMAIN_LABEL_MOST + 1]) {
  struct errbuf err;
  if (domain_read_host_label(visit->parts[0], id, &err) == STATUS_OK && !strchr(id, '_'))
    return true;
  reply_problem(visit->call, 400, "an id is one label of letters, digits and inner \"-\", at most 63 long, not \"%s\"",
                visit->parts[0]);
  return false;
}

static bool read_conditions(struct visit *visit, struct registry_call *asked) {
  const char *match = http_call_header(visit->call, "If-Match");
  const char *none_match = http_call_header(visit->call, "If-None-Match");
  if (match && !resource_routes_read_match(match, &asked->if_revision))
    reply_problem(visit->call, 400, "If-Match takes one entity tag as ETag gave it, such as \"3\"");
  else if (none_match && strcmp(none_match, "*") != 0)
    reply_problem(visit->call, 400, "If-None-Match takes * here: only where there is none yet");
  else {
    asked->if_absent = none_match != NULL;
    return true;
  }
  return false;
}

/* Answers the call itself, and returns NULL, where it cannot be asked. */
static struct errand *errand_new(struct visit *visit) {
  struct registry_call asked = {0};
  char id[DOMAIN_LABEL_MOST + 1];
  if (!visit_has(visit, visit->routes->registry, "the registry") || !read_id(visit, id) ||
      !read_conditions(visit, &asked) || !visit_flag(visit, "dry_run", &asked.is_dry_run))
    return NULL;
  struct errand *errand = mem_alloc(sizeof *errand);
  errand->call = visit->call;
  errand->routes = visit->routes;
  errand->view = view_hold(visit->view);
  errand->principal = visit->principal;
  memcpy(errand->id, id, sizeof errand->id);
  errand->asked = asked;
  errand->asked.id = errand->id;
  errand->asked.principal = &errand->principal;
  errand->asked.identity = view_config(errand->view)->server.identity;
  return errand;
}

static void errand_free(struct errand *errand) {
  json_decref(errand->document);
  view_release(errand->view);
  free(errand);
}

static void errand_audit(const struct errand *errand) {
  if (!errand->action || errand->asked.is_dry_run)
    return;
  struct audit_record audit = {.at_ms = house_now_ms(&view_sources(errand->view)->house)};
  visit_who(&errand->principal, audit.who);
  snprintf(audit.action, sizeof audit.action, "%s", errand->action);
  snprintf(audit.subject, sizeof audit.subject, "resource %s", errand->id);
  snprintf(audit.detail, sizeof audit.detail, "%s", errand->detail);
  chronicle_queue_audit(errand->routes->committer, &audit);
}

/* Answers */

static void reply_failure(struct http_call *call, const struct registry_outcome *outcome) {
  const char *text = outcome->text && outcome->text[0] ? outcome->text : status_name(outcome->status);
  unsigned retry_s = outcome->retry_after_s ? outcome->retry_after_s : VISIT_RETRY_S;
  switch (outcome->status) {
  case STATUS_RANGE:
    visit_wrong(call, outcome->errors ? json_incref(outcome->errors) : json_array());
    break;
  case STATUS_FORBIDDEN:
    visit_problem(call, 403, NULL, 0, text);
    break;
  case STATUS_NOTFOUND:
    visit_problem(call, 404, NULL, 0, text);
    break;
  case STATUS_CONFLICT:
    visit_problem(call, outcome->is_replay || outcome->is_loop ? 409 : 412,
                  outcome->is_replay ? "replayed"
                  : outcome->is_loop ? "loop"
                                     : NULL,
                  0, text);
    break;
  case STATUS_NODATA:
    visit_problem(call, 410, "removed", 0, text);
    break;
  case STATUS_LIMIT:
    visit_problem(call, 429, NULL, retry_s, text);
    break;
  default:
    visit_problem(call, 503, NULL, retry_s, text);
  }
}

static void reply_registered(struct errand *errand, const struct registry_outcome *outcome) {
  char etag[ETAG_SIZE], place[sizeof errand->id + 16];
  bool is_dry = errand->asked.is_dry_run, is_created = outcome->is_created && !is_dry;
  json_t *document = resource_shown(errand->id, &outcome->resource, &outcome->lease);
  if (!is_dry)
    json_object_set_new(document, "notice_key", json_string(outcome->resource.notice_key));
  resource_add_advice(document, errand->routes->balancers);
  snprintf(place, sizeof place, "/v1/resources/%s", errand->id);
  const char *const headers[] = {is_dry ? NULL : "ETag", etag_format(outcome->resource.revision, etag),
                                 is_created ? "Location" : NULL, place, NULL};
  reply_json_with(errand->call, is_created ? 201 : 200, document, headers);
}

static void on_registered(void *context, const struct registry_outcome *outcome) {
  struct errand *errand = context;
  if (outcome->status)
    reply_failure(errand->call, outcome);
  else
    reply_registered(errand, outcome);
  errand_free(errand);
}

static void on_deregistered(void *context, const struct registry_outcome *outcome) {
  struct errand *errand = context;
  if (outcome->status == STATUS_NODATA)
    reply_empty(errand->call, 204);
  else if (outcome->status)
    reply_failure(errand->call, outcome);
  else
    reply_json(errand->call, 202, value_must(json_pack("{s:o}", "clients_until_at", value_time(outcome->until_ms))));
  errand_free(errand);
}

static void on_removed(void *context, const struct registry_outcome *outcome) {
  struct errand *errand = context;
  if (outcome->status)
    reply_failure(errand->call, outcome);
  else
    reply_json(errand->call, 202,
               value_must(json_pack("{s:o}", "removed", resource_removed(errand->removed_until_ms, errand->why))));
  if (outcome->status == STATUS_OK)
    errand_audit(errand);
  errand_free(errand);
}

static void on_allowed(void *context, const struct registry_outcome *outcome) {
  struct errand *errand = context;
  if (outcome->status)
    reply_failure(errand->call, outcome);
  else
    reply_empty(errand->call, 204);
  if (outcome->status == STATUS_OK)
    errand_audit(errand);
  errand_free(errand);
}

/* Routes that change */

static void register_resource(struct visit *visit, bool is_patch) {
  json_t *document;
  if (!visit_read(visit, is_patch, &document))
    return;
  struct errand *errand = errand_new(visit);
  if (!errand) {
    json_decref(document);
    return;
  }
  errand->document = document;
  http_hold(visit->call);
  registry_register(visit->routes->registry, &errand->asked, document, is_patch, on_registered, errand);
}

void resource_routes_put(struct visit *visit) {
  register_resource(visit, false);
}

void resource_routes_patch(struct visit *visit) {
  register_resource(visit, true);
}

static void reply_status(struct visit *visit, const struct registry_outcome *outcome) {
  if (outcome->status == STATUS_OK)
    reply_json(visit->call, 200,
               resource_renewed(&outcome->lease, outcome->resource.lease_ms, visit->routes->balancers));
  else if (outcome->status == STATUS_NOTFOUND)
    visit_problem(visit->call, 404, "unknown-lease", 0,
                  outcome->text && outcome->text[0] ? outcome->text
                                                    : "no lease of this epoch is known: register again");
  else
    reply_failure(visit->call, outcome);
}

/* Thousands of these arrive each second: nothing here waits for a store or for who looks at a view. */
void resource_routes_put_status(struct visit *visit) {
  char id[DOMAIN_LABEL_MOST + 1];
  json_t *body, *errors = NULL;
  struct document_status report;
  if (!visit_has(visit, visit->routes->registry, "the registry") || !read_id(visit, id) ||
      !visit_read(visit, false, &body))
    return;
  if (document_parse_status(body, &report, &errors) != STATUS_OK) {
    visit_wrong(visit->call, errors);
  } else {
    struct registry_call asked = {.id = id,
                                  .principal = &visit->principal,
                                  .identity = view_config(visit->view)->server.identity};
    struct registry_outcome outcome = {0};
    outcome.status = registry_status(visit->routes->registry, &asked, &report, &outcome);
    reply_status(visit, &outcome);
  }
  json_decref(body);
}

static void remove_resource(struct visit *visit, struct errand *errand) {
  int64_t for_s = 0;
  const char *why = http_call_query(visit->call, "why");
  if (!visit->principal.may_admin) {
    reply_problem(visit->call, 403, "only an operator removes: the unix socket, or a token that may administer");
  } else if (why && strlen(why) >= sizeof((struct resource_record *)0)->removed_why) {
    reply_problem(visit->call, 400, "why is at most 127 bytes long");
  } else if (visit_number(visit, "for_s", 1, REMOVE_MOST_S, &for_s)) {
    int64_t now_ms = house_now_ms(&view_sources(visit->view)->house), until_ms = for_s ? now_ms + for_s * 1000 : 0;
    char until[32] = "it is allowed again";
    if (until_ms)
      clock_format_utc(until_ms, until, sizeof until);
    errand->action = "remove";
    snprintf(errand->detail, sizeof errand->detail, "until %s: %s", until, why ? why : "");
    snprintf(errand->why, sizeof errand->why, "%s", why ? why : "");
    errand->removed_until_ms = until_ms;
    http_hold(visit->call);
    registry_remove(visit->routes->registry, &errand->asked, until_ms, errand->why, on_removed, errand);
    return;
  }
  errand_free(errand);
}

/* Whether that is all; an unlimited lease, or none, is deregistered. */
static bool move_resource(struct visit *visit, struct errand *errand) {
  struct registry_outcome outcome;
  enum status status = registry_move(visit->routes->registry, &errand->asked, &outcome);
  if (status == STATUS_NOTFOUND || status == STATUS_RANGE)
    return false;
  if (status == STATUS_OK)
    reply_json(visit->call, 202, value_must(json_pack("{s:o}", "clients_until_at", value_time(outcome.until_ms))));
  else
    reply_failure(visit->call, &outcome);
  errand_free(errand);
  return true;
}

void resource_routes_delete(struct visit *visit) {
  bool is_remove, is_moved;
  if (!visit_flag(visit, "remove", &is_remove) || !visit_flag(visit, "moved", &is_moved))
    return;
  struct errand *errand = errand_new(visit);
  if (!errand || (is_moved && move_resource(visit, errand)))
    return;
  if (is_remove) {
    remove_resource(visit, errand);
    return;
  }
  http_hold(visit->call);
  registry_deregister(visit->routes->registry, &errand->asked, on_deregistered, errand);
}

void resource_routes_allow(struct visit *visit) {
  struct errand *errand = errand_new(visit);
  if (!errand)
    return;
  errand->action = "allow";
  http_hold(visit->call);
  registry_allow(visit->routes->registry, &errand->asked, on_allowed, errand);
}

/* Routes that look */

struct page {
  json_t *resources;
  size_t limit;
  char last[DOMAIN_LABEL_MOST + 1];
  bool has_more;
};

static bool add_resource(void *context, const char *id, const struct resource_record *resource,
                         const struct lease_record *lease) {
  struct page *page = context;
  page->has_more = json_array_size(page->resources) == page->limit;
  if (page->has_more)
    return false;
  json_array_append_new(page->resources, resource_shown(id, resource, lease));
  snprintf(page->last, sizeof page->last, "%s", id);
  return true;
}

static bool is_listed_state(const char *word) {
  static const char *const states[] = {"live", "stale", "moved", "ended", "removed"};
  for (size_t i = 0; i < sizeof states / sizeof *states; i++)
    if (strcmp(word, states[i]) == 0)
      return true;
  return false;
}

static bool read_filter(struct visit *visit, char service[DOMAIN_TEXT_SIZE], struct registry_filter *filter) {
  struct http_call *call = visit->call;
  enum resource_kind kind;
  const char *name = http_call_query(call, "service"), *state = http_call_query(call, "state");
  *filter = (struct registry_filter){.site = http_call_query(call, "site"),
                                     .owner = http_call_query(call, "owner"),
                                     .kind = http_call_query(call, "kind"),
                                     .state = state,
                                     .after = http_call_query(call, "after")};
  int64_t limit = LIST_LIMIT;
  if (!visit_number(visit, "limit", 1, LIST_LIMIT_MOST, &limit))
    return false;
  filter->limit = (size_t)limit + 1; /* one more tells whether there is another page */
  if (name && domain_read(name, 0, service, NULL) != STATUS_OK) {
    reply_problem(call, 400, "service is a domain name, not \"%s\"", name);
  } else if (filter->kind && resource_kind_parse(filter->kind, &kind) != STATUS_OK) {
    reply_problem(call, 400, "kind is server, balancer or cloud, not \"%s\"", filter->kind);
  } else if (state && !is_listed_state(state)) {
    reply_problem(call, 400, "state is live, stale, moved, ended or removed, not \"%s\"", state);
  } else {
    filter->service = name ? service : NULL;
    return true;
  }
  return false;
}

void resource_routes_list(struct visit *visit) {
  char service[DOMAIN_TEXT_SIZE];
  struct registry_filter filter;
  if (!visit_has(visit, visit->routes->registry, "the registry") || !read_filter(visit, service, &filter))
    return;
  struct page page = {.resources = json_array(), .limit = filter.limit - 1};
  struct errbuf err;
  if (registry_each(visit->routes->registry, &filter, add_resource, &page, &err) != STATUS_OK) {
    json_decref(page.resources);
    visit_problem(visit->call, 503, NULL, VISIT_RETRY_S, err.text);
    return;
  }
  reply_json(visit->call, 200,
             value_must(json_pack("{s:o, s:o}", "resources", page.resources, "next",
                                  page.has_more ? json_string(page.last) : json_null())));
}

static void show(struct visit *visit, const char *id, const struct resource_record *resource,
                 const struct lease_record *lease, const struct metrics_record *metrics) {
  char etag[ETAG_SIZE];
  const char *const headers[] = {"ETag", etag_format(resource->revision, etag), NULL};
  const char *known = http_call_header(visit->call, "If-None-Match");
  if (known && resource_routes_knows(known, resource->revision)) {
    http_respond(visit->call, &(struct http_response){.status = 304, .body = "", .headers = headers});
    return;
  }
  const struct principal *principal = &visit->principal;
  bool is_owner = principal->kind != PRINCIPAL_NOBODY && strcmp(principal_owner(principal), resource->owner) == 0;
  json_t *document = resource_shown(id, resource, lease);
  json_object_set_new(document, "metrics", resource_metrics(metrics));
  json_object_set_new(document, "metrics_age_s",
                      value_age(metrics->at_ms, house_now_ms(&view_sources(visit->view)->house)));
  if (principal->may_admin || is_owner)
    json_object_set_new(document, "notice_key", json_string(resource->notice_key));
  reply_json_with(visit->call, 200, document, headers);
}

void resource_routes_get(struct visit *visit) {
  char id[DOMAIN_LABEL_MOST + 1];
  if (!visit_has(visit, visit->routes->registry, "the registry") || !read_id(visit, id))
    return;
  struct arena arena = {0};
  struct resource_record resource;
  struct lease_record lease = {0};
  struct metrics_record metrics = {0};
  struct errbuf err;
  enum status status = registry_get(visit->routes->registry, id, &arena, &resource, &lease, &metrics, &err);
  if (status == STATUS_OK)
    show(visit, id, &resource, &lease, &metrics);
  else if (status == STATUS_NOTFOUND)
    reply_problem(visit->call, 404, "no resource is called \"%s\"", id);
  else
    visit_problem(visit->call, 503, NULL, VISIT_RETRY_S, err.text);
  arena_release(&arena);
}
