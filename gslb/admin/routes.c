#include "gslb/admin/routes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/admin/assets.h"
#include "gslb/admin/change.h"
#include "gslb/admin/metrics.h"
#include "gslb/admin/reply.h"
#include "gslb/admin/zone_refresh.h"
#include "gslb/admin/zone_view.h"
#include "gslb/base/memory.h"

#define EVENTS_LIMIT 100u
#define EVENTS_LIMIT_MOST 1000u
#define PARTS_MOST 2

struct visit { /* one call on its way through a handler */
  const struct routes *routes;
  struct http_call *call;
  struct view *view;
  char parts[PARTS_MOST][272]; /* what stood for each "*" or "**" of the pattern */
};

static void get_status(struct visit *visit) {
  reply_json(visit->call, 200, view_status(visit->view));
}

static void get_services(struct visit *visit) {
  reply_json(visit->call, 200, view_services(visit->view));
}

static void get_service(struct visit *visit) {
  size_t service = config_find_service(view_config(visit->view), visit->parts[0]);
  if (service == SIZE_MAX)
    reply_problem(visit->call, 404, "no service is called \"%s\"", visit->parts[0]);
  else
    reply_json(visit->call, 200, view_service(visit->view, service));
}

static void get_members(struct visit *visit) {
  struct view_filter filter = {http_call_query(visit->call, "service"), http_call_query(visit->call, "state"),
                               http_call_query(visit->call, "site")};
  enum health state;
  if (filter.state && health_parse(filter.state, &state) != STATUS_OK)
    reply_problem(visit->call, 400, "state is one of unknown, up, degraded, draining, down, not \"%s\"", filter.state);
  else if (filter.service && config_find_service(view_config(visit->view), filter.service) == SIZE_MAX)
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

static void put_override(struct visit *visit) {
  struct view_name name;
  if (find_member(visit, &name))
    change_override(visit->call, visit->view, visit->routes->committer, name);
}

static void delete_override(struct visit *visit) {
  struct view_name name;
  if (find_member(visit, &name))
    change_clear(visit->call, visit->view, visit->routes->committer, name);
}

static bool parse_limit(const char *text, size_t *limit) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end || errno || value < 1 || value > EVENTS_LIMIT_MOST)
    return false;
  *limit = value;
  return true;
}

static void get_events(struct visit *visit) {
  size_t limit = EVENTS_LIMIT;
  const char *text = http_call_query(visit->call, "limit");
  if (text && !parse_limit(text, &limit)) {
    reply_problem(visit->call, 400, "limit is a number from 1 to %u", EVENTS_LIMIT_MOST);
    return;
  }
  json_t *events;
  struct errbuf err;
  if (view_events(visit->view, limit, http_call_query(visit->call, "service"), &events, &err) == STATUS_OK)
    reply_json(visit->call, 200, events);
  else
    reply_problem(visit->call, 503, "events cannot be read: %s", err.text);
}

static void post_reload(struct visit *visit) {
  visit->routes->reload(visit->routes->reload_context, visit->call);
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
  if (view_config(visit->view)->zones[zone].primary_count)
    zone_refresh(visit->call, visit->view, visit->routes->committer, zone);
  else
    post_reload(visit);
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
  const char
      *pattern; /* "*" stands for one part of the path; "**" for several: a zone's name may hold "/" (RFC 2317) */
  void (*handle)(struct visit *visit);
} routes_table[] = {
    {HTTP_GET, "/v1/status", get_status},
    {HTTP_GET, "/v1/services", get_services},
    {HTTP_GET, "/v1/services/*", get_service},
    {HTTP_GET, "/v1/members", get_members},
    {HTTP_GET, "/v1/members/*", get_member},
    {HTTP_GET, "/v1/members/*/*", get_member},
    {HTTP_GET, "/v1/events", get_events},
    {HTTP_GET, "/v1/zones", get_zones},
    {HTTP_GET, "/v1/zones/**/records", get_records},
    {HTTP_GET, "/v1/zones/**", get_zone},
    {HTTP_PUT, "/v1/admin/member/*", put_override},
    {HTTP_PUT, "/v1/admin/member/*/*", put_override},
    {HTTP_DELETE, "/v1/admin/member/*", delete_override},
    {HTTP_DELETE, "/v1/admin/member/*/*", delete_override},
    {HTTP_POST, "/v1/admin/reload", post_reload},
    {HTTP_POST, "/v1/admin/zone/**/reload", post_zone_reload},
    {HTTP_GET, "/metrics", get_metrics},
    {HTTP_GET, "/healthz", get_health},
    {HTTP_GET, "/readyz", get_readiness},
};
static const struct route asset_route = {HTTP_GET, "", get_asset};

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

static void add_method(char *allow, size_t size, enum http_method method) {
  const char *word = method == HTTP_PUT      ? "PUT"
                     : method == HTTP_DELETE ? "DELETE"
                     : method == HTTP_POST   ? "POST"
                                             : "GET, HEAD";
  size_t used = strlen(allow);
  snprintf(allow + used, size - used, "%s%s", used ? ", " : "", word);
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
  } else if (route->method != HTTP_GET && !call->peer.is_unix) {
    reply_problem(call, 403, "changes go through the unix socket, where the kernel tells who asks");
  } else {
    visit.view = views_take(routes->views);
    route->handle(&visit);
    view_release(visit.view);
  }
}
