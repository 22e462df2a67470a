#include "gslb/admin/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/admin/assets.h"
#include "gslb/admin/authority.h"
#include "gslb/admin/balancer_routes.h"
#include "gslb/admin/change.h"
#include "gslb/admin/load_routes.h"
#include "gslb/admin/history_routes.h"
#include "gslb/admin/measure.h"
#include "gslb/admin/metrics.h"
#include "gslb/admin/resource_routes.h"
#include "gslb/admin/token_routes.h"
#include "gslb/admin/visit.h"
#include "gslb/admin/watch_routes.h"
#include "gslb/admin/zone_refresh.h"
#include "gslb/admin/zone_view.h"
#include "gslb/base/memory.h"
#include "gslb/net/reply.h"

#define EVENTS_LIMIT 100
#define EVENTS_LIMIT_MOST 1000

static void get_status(struct visit *visit) {
  reply_json(visit->call, 200, view_status(visit->view));
}

static void get_services(struct visit *visit) {
  reply_json(visit->call, 200, view_services(visit->view));
}

static void get_service(struct visit *visit) {
  json_t *service = view_service_named(visit->view, visit->parts[0]);
  if (service)
    reply_json(visit->call, 200, service);
  else
    reply_problem(visit->call, 404, "no service is called \"%s\"", visit->parts[0]);
}

static void get_members(struct visit *visit) {
  struct view_filter filter = {http_call_query(visit->call, "service"), http_call_query(visit->call, "state"),
                               http_call_query(visit->call, "site")};
  enum health state;
  if (filter.state && health_parse(filter.state, &state) != STATUS_OK)
    reply_problem(visit->call, 400, "state is one of unknown, up, degraded, draining, down, not \"%s\"", filter.state);
  else if (filter.service && view_find_service(visit->view, filter.service) == SIZE_MAX)
    reply_problem(visit->call, 404, "no service is called \"%s\"", filter.service);
  else
    reply_json(visit->call, 200, view_members(visit->view, &filter));
}

/* Finds "service/member" or "member" alone; answers the call itself where there is not exactly one. */
static bool find_member(struct visit *visit, struct view_name *name) {
  const char *first = visit->parts[0], *second = visit->parts[1];
  json_t *candidates = NULL;
  enum status status = view_find(visit->view, second[0] ? first : NULL, second[0] ? second : first, name, &candidates);
  if (status == STATUS_OK)
    return true;
  if (status == STATUS_CONFLICT) {
    char *detail = mem_format("several services have a member \"%s\"", first);
    reply_problem_with(visit->call, 409, detail, "candidates", candidates, NULL);
    free(detail);
  } else {
    reply_problem(visit->call, 404, "no member is called \"%s%s%s\"", first, second[0] ? "/" : "", second);
  }
  return false;
}

static void get_member(struct visit *visit) {
  struct view_name name;
  if (find_member(visit, &name))
    reply_json(visit->call, 200, view_member(visit->view, name));
}

static void get_history(struct visit *visit) {
  struct view_name name;
  if (find_member(visit, &name))
    history_routes_get(visit, &name);
}

static void post_measure(struct visit *visit) {
  struct view_name name;
  if (find_member(visit, &name))
    measure_ask(visit->call, visit->view, visit->routes->supervisor, &name);
}

static void put_override(struct visit *visit) {
  struct view_name name;
  char who[64];
  visit_who(&visit->principal, who);
  if (visit_is_json(visit, false) && find_member(visit, &name))
    change_override_as(visit->call, visit->view, visit->routes->committer, name, who);
}

static void delete_override(struct visit *visit) {
  struct view_name name;
  char who[64];
  visit_who(&visit->principal, who);
  if (find_member(visit, &name))
    change_clear_as(visit->call, visit->view, visit->routes->committer, name, who);
}

static void get_events(struct visit *visit) {
  int64_t limit = EVENTS_LIMIT;
  json_t *events;
  struct errbuf err;
  if (!visit_number(visit, "limit", 1, EVENTS_LIMIT_MOST, &limit))
    return;
  if (view_events(visit->view, (size_t)limit, http_call_query(visit->call, "service"), &events, &err) == STATUS_OK)
    reply_json(visit->call, 200, events);
  else
    reply_problem(visit->call, 503, "events cannot be read: %s", err.text);
}

static void post_reload(struct visit *visit) {
  char who[64];
  visit_who(&visit->principal, who);
  visit->routes->reload(visit->routes->reload_context, visit->call, who);
}

static void get_zones(struct visit *visit) {
  reply_json(visit->call, 200, zone_view_list(visit->view));
}

/* Answers the call itself where there is no such zone. */
static bool find_zone(struct visit *visit, size_t *zone) {
  *zone = zone_view_find(visit->view, visit->parts[0]);
  if (*zone == SIZE_MAX)
    reply_problem(visit->call, 404, "no zone is called \"%s\"", visit->parts[0]);
  return *zone != SIZE_MAX;
}

static void get_zone(struct visit *visit) {
  size_t zone;
  if (find_zone(visit, &zone))
    reply_json(visit->call, 200, zone_view_one(visit->view, zone));
}

static void get_records(struct visit *visit) {
  size_t zone;
  if (!find_zone(visit, &zone))
    return;
  struct zone_question question = {http_call_query(visit->call, "name"), http_call_query(visit->call, "type")};
  json_t *records;
  struct errbuf err;
  enum status status = zone_view_records(visit->view, zone, &question, &records, &err);
  if (status == STATUS_OK)
    reply_json(visit->call, 200, records);
  else
    reply_problem(visit->call, status == STATUS_NODATA ? 503 : 400, "%s", err.text);
}

static void post_zone_reload(struct visit *visit) {
  size_t zone;
  if (!find_zone(visit, &zone))
    return;
  if (view_config(visit->view)->zones[zone].primary_count) {
    char who[64];
    visit_who(&visit->principal, who);
    zone_refresh(visit->call, visit->view, visit->routes->committer, zone, who);
  } else {
    post_reload(visit);
  }
}

static void get_metrics(struct visit *visit) {
  size_t size;
  char *text = metrics_format(visit->view, &size);
  reply_text(visit->call, 200, METRICS_CONTENT_TYPE, text, size);
}

static void reply_word(struct visit *visit, unsigned status, const char *word) {
  reply_text(visit->call, status, "text/plain; charset=utf-8", mem_strdup(word), strlen(word));
}

static void get_health(struct visit *visit) {
  reply_word(visit, 200, "ok");
}

static void get_readiness(struct visit *visit) {
  struct errbuf why;
  if (view_ready(visit->view, &why) == STATUS_OK)
    reply_word(visit, 200, "ok");
  else
    reply_word(visit, 503, why.text);
}

static void get_asset(struct visit *visit) {
  const struct asset *asset = assets_find(visit->call->path);
  const char *const headers[] = {"ETag",
                                 asset->etag,
                                 "Cache-Control",
                                 "no-cache",
                                 "Referrer-Policy",
                                 "no-referrer",
                                 "Content-Security-Policy",
                                 "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                                 NULL};
  const char *known = http_call_header(visit->call, "If-None-Match");
  if (known && strstr(known, asset->etag))
    http_respond(visit->call, &(struct http_response){.status = 304, .body = "", .headers = headers});
  else
    http_respond(visit->call, &(struct http_response){.status = 200,
                                                      .content_type = asset->content_type,
                                                      .body = asset->data,
                                                      .size = asset->size,
                                                      .headers = headers});
}

static const struct route {
  enum http_method method; /* HTTP_GET serves HEAD as well */
  enum authority_need need;
  const char
      *pattern; /* "*" stands for one part of the path; "**" for several: a zone's name may hold "/" (RFC 2317) */
  void (*handle)(struct visit *visit);
} routes_table[] = {
    {HTTP_GET, AUTHORITY_READ, "/v1/status", get_status},
    {HTTP_GET, AUTHORITY_READ, "/v1/services", get_services},
    {HTTP_GET, AUTHORITY_READ, "/v1/services/*", get_service},
    {HTTP_GET, AUTHORITY_READ, "/v1/members", get_members},
    {HTTP_GET, AUTHORITY_READ, "/v1/members/*", get_member},
    {HTTP_GET, AUTHORITY_READ, "/v1/members/*/*", get_member},
    {HTTP_GET, AUTHORITY_READ, "/v1/members/*/*/load", load_routes_get},
    {HTTP_GET, AUTHORITY_READ, "/v1/members/*/*/history", get_history},
    {HTTP_POST, AUTHORITY_ADMIN, "/v1/admin/measure/*", post_measure},
    {HTTP_POST, AUTHORITY_ADMIN, "/v1/admin/measure/*/*", post_measure},
    {HTTP_GET, AUTHORITY_READ, "/v1/events", get_events},
    {HTTP_GET, AUTHORITY_READ, "/v1/zones", get_zones},
    {HTTP_GET, AUTHORITY_READ, "/v1/zones/**/records", get_records},
    {HTTP_GET, AUTHORITY_READ, "/v1/zones/**", get_zone},
    {HTTP_GET, AUTHORITY_READ, "/v1/resources", resource_routes_list},
    {HTTP_GET, AUTHORITY_READ, "/v1/resources/*", resource_routes_get},
    {HTTP_PUT, AUTHORITY_REGISTER, "/v1/resources/*", resource_routes_put},
    {HTTP_PATCH, AUTHORITY_REGISTER, "/v1/resources/*", resource_routes_patch},
    {HTTP_DELETE, AUTHORITY_REGISTER, "/v1/resources/*", resource_routes_delete},
    {HTTP_PUT, AUTHORITY_REGISTER, "/v1/resources/*/status", resource_routes_put_status},
    {HTTP_POST, AUTHORITY_ADMIN, "/v1/resources/*/allow", resource_routes_allow},
    {HTTP_GET, AUTHORITY_READ, "/v1/watch", watch_routes_get},
    {HTTP_GET, AUTHORITY_READ, "/v1/peers", balancer_routes_peers},
    {HTTP_GET, AUTHORITY_NONE, "/v1/balancer", balancer_routes_own},
    {HTTP_GET, AUTHORITY_READ, "/v1/publish", balancer_routes_published},
    {HTTP_GET, AUTHORITY_ADMIN, "/v1/tokens", token_routes_list},
    {HTTP_POST, AUTHORITY_ADMIN, "/v1/tokens", token_routes_create},
    {HTTP_DELETE, AUTHORITY_ADMIN, "/v1/tokens/*", token_routes_delete},
    {HTTP_PUT, AUTHORITY_ADMIN, "/v1/admin/member/*", put_override},
    {HTTP_PUT, AUTHORITY_ADMIN, "/v1/admin/member/*/*", put_override},
    {HTTP_DELETE, AUTHORITY_ADMIN, "/v1/admin/member/*", delete_override},
    {HTTP_DELETE, AUTHORITY_ADMIN, "/v1/admin/member/*/*", delete_override},
    {HTTP_PUT, AUTHORITY_ADMIN, "/v1/admin/leave", balancer_routes_plan},
    {HTTP_DELETE, AUTHORITY_ADMIN, "/v1/admin/leave/*", balancer_routes_cancel},
    {HTTP_POST, AUTHORITY_ADMIN, "/v1/admin/reload", post_reload},
    {HTTP_POST, AUTHORITY_ADMIN, "/v1/admin/zone/**/reload", post_zone_reload},
    {HTTP_GET, AUTHORITY_READ, "/metrics", get_metrics},
    {HTTP_GET, AUTHORITY_NONE, "/healthz", get_health},
    {HTTP_GET, AUTHORITY_NONE, "/readyz", get_readiness},
};
static const struct route asset_route = {HTTP_GET, AUTHORITY_NONE, "", get_asset};

/* Of the path's part that the end of a pattern leaves over; 0 when it ends in another way. */
static size_t length_before(const char *path, const char *end) {
  size_t length = strlen(path), rest = strlen(end);
  return length > rest && strcmp(path + length - rest, end) == 0 ? length - rest : 0;
}

static bool matches(const char *pattern, const char *path, struct visit *visit) {
  size_t part = 0;
  memset(visit->parts, 0, sizeof visit->parts);
  while (*pattern) {
    if (*pattern != '*') {
      if (*pattern++ != *path++)
        return false;
      continue;
    }
    size_t stars = strspn(pattern, "*");
    pattern += stars;
    size_t length = stars > 1 ? length_before(path, pattern) : strcspn(path, "/");
    if (length == 0 || length >= sizeof visit->parts[part])
      return false;
    memcpy(visit->parts[part++], path, length);
    path += length;
  }
  return *path == '\0';
}

static const char *method_word(enum http_method method) {
  static const char *const words[] = {[HTTP_GET] = "GET",   [HTTP_HEAD] = "HEAD",   [HTTP_PUT] = "PUT",
                                      [HTTP_POST] = "POST", [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE"};
  return words[method];
}

static void add_method(char *allow, size_t size, enum http_method method) {
  size_t used = strlen(allow);
  snprintf(allow + used, size - used, "%s%s", used ? ", " : "", method == HTTP_GET ? "GET, HEAD" : method_word(method));
}

/* The route of the path and method; NULL and the methods that the path has in allow (empty: no such path). */
static const struct route *find_route(struct visit *visit, char *allow, size_t size) {
  enum http_method method = visit->call->method == HTTP_HEAD ? HTTP_GET : visit->call->method;
  allow[0] = '\0';
  if (assets_find(visit->call->path)) {
    if (method == HTTP_GET)
      return &asset_route;
    add_method(allow, size, HTTP_GET);
    return NULL;
  }
  for (size_t i = 0; i < sizeof routes_table / sizeof *routes_table; i++) {
    if (!matches(routes_table[i].pattern, visit->call->path, visit))
      continue;
    if (routes_table[i].method == method)
      return &routes_table[i];
    add_method(allow, size, routes_table[i].method);
  }
  return NULL;
}

void routes_each(routes_visit *visit, void *context) {
  for (size_t i = 0; i < sizeof routes_table / sizeof *routes_table; i++)
    visit(context, method_word(routes_table[i].method), routes_table[i].pattern);
}

/* Changes over TCP are counted before anyone looks who asks, since looking is work too. */
static bool is_in_time(const struct visit *visit, const struct route *route) {
  if (route->method == HTTP_GET || visit->call->peer.is_unix ||
      throttle_take(visit->routes->throttle, &visit->call->peer.addr,
                    view_config(visit->view)->control.limits.requests_per_s, mono_now_ms()))
    return true;
  visit_problem(visit->call, 429, NULL, VISIT_RETRY_S, "too many changes from this address in one second");
  return false;
}

void routes_handle(void *context, struct http_call *call) {
  const struct routes *routes = context;
  struct visit visit = {.routes = routes, .call = call};
  char allow[64];
  const struct route *route = find_route(&visit, allow, sizeof allow);
  if (!route && !allow[0]) {
    reply_problem(call, 404, "nothing stands at %s", call->path);
  } else if (!route) {
    const char *const headers[] = {"Allow", allow, NULL};
    reply_problem_with(call, 405, "the path does not know this method", NULL, NULL, headers);
  } else {
    visit.view = views_take(routes->views);
    if (is_in_time(&visit, route) && authority_admit(call, route->need, routes->tokens, view_config(visit.view),
                                                     house_now_ms(&view_sources(visit.view)->house), &visit.principal))
      route->handle(&visit);
    view_release(visit.view);
  }
}
