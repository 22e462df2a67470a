#include "gslb/admin/watch_routes.h"

#include <string.h>

#include <jansson.h>

#include "gslb/net/reply.h"

#define WAIT_MOST_S 55 /* below the minute after which proxies give up */

static bool wants_stream(const struct http_call *call) {
  const char *accept = http_call_header(call, "Accept");
  return accept && strstr(accept, "text/event-stream") != NULL;
}

/* The position that the caller knows; answers the call itself where it is none. */
static bool read_since(struct visit *visit, bool is_stream, struct watchers_wish *wish, bool *has_since) {
  /* a browser that lost its stream asks the same address again, and tells by the header how far it came */
  const char *text = is_stream ? http_call_header(visit->call, "Last-Event-ID") : NULL;
  if (!text || !text[0])
    text = http_call_query(visit->call, "since");
  *has_since = text != NULL;
  wish->since = feed_now(watchers_feed(visit->routes->watchers));
  if (!text || feed_position_parse(text, &wish->since))
    return true;
  reply_problem(visit->call, 400, "since is a position as an earlier answer gave it, such as 7.42");
  return false;
}

static void refuse(struct visit *visit, enum status status) {
  visit_problem(visit->call, 503, NULL, VISIT_RETRY_S,
                status == STATUS_LIMIT ? "too many wait already" : "the process is stopping");
}

static void hold(struct visit *visit, struct watchers_wish *wish) {
  wish->most = view_config(visit->view)->control.limits.connections / 2;
  enum status status = watchers_hold(visit->routes->watchers, visit->call, wish);
  if (status)
    refuse(visit, status);
}

void watch_routes_get(struct visit *visit) {
  struct http_call *call = visit->call;
  if (!visit_has(visit, visit->routes->watchers, "what happens"))
    return;
  int64_t wait_s = WAIT_MOST_S;
  bool has_since, is_lost = false;
  struct watchers_wish wish = {.filter = {http_call_query(call, "kind"), http_call_query(call, "resource"),
                                          http_call_query(call, "service")},
                               .is_stream = wants_stream(call) && call->method == HTTP_GET};
  if (!visit_number(visit, "wait_s", 0, WAIT_MOST_S, &wait_s) || !read_since(visit, wish.is_stream, &wish, &has_since))
    return;
  wish.wait_ms = wait_s * 1000;
  struct feed_position at = wish.since;
  json_t *changes = feed_read(watchers_feed(visit->routes->watchers), &at, &wish.filter, &is_lost);
  if (is_lost) {
    visit_problem(call, 410, "gone", 0, "the position is too old, or of an earlier start: read the lists again");
  } else if (wish.is_stream) {
    hold(visit, &wish);
  } else if (!has_since || wait_s == 0 || call->method == HTTP_HEAD || json_array_size(changes) > 0) {
    reply_json(call, 200, watchers_page(at, changes));
    return;
  } else {
    hold(visit, &wish);
  }
  json_decref(changes);
}
