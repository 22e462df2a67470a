#include "discovery/session/finder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "discovery/mdns/mdns_query.h"
#include "gslb/base/memory.h"
#include "gslb/model/scalar.h"
#include "gslb/net/lookup.h"

#define ROWS_MOST (LOOKUP_TARGETS_MOST * LOOKUP_ADDRESSES_MOST)

struct finder {
  struct loop_timer *timer; /* answers without a question: in the next turn of the loop */
  struct lookup *lookup;
  struct mdns_query *query;
  struct random *random;
  struct finder_url url; /* of a URL; url.host empty for SRV */
  char path[64];
  enum status early; /* what the timer tells */
  struct errbuf detail;
  finder_done *done;
  void *context;
};

static enum status split_host(const char *text, size_t length, struct finder_url *url, const char **port) {
  const char *end = text + length;
  const char *close = *text == '[' ? memchr(text, ']', length) : NULL;
  const char *colon = close ? close + 1 : memchr(text, ':', length);
  *port = NULL;
  if (*text == '[' && !close)
    return STATUS_INVALID;
  const char *host_end = close ? close + 1 : colon ? colon : end;
  if (colon && colon < end) {
    if (*colon != ':')
      return STATUS_INVALID;
    *port = colon + 1;
  }
  size_t size = (size_t)(host_end - text);
  if (size == 0 || size >= sizeof url->host)
    return STATUS_INVALID;
  memcpy(url->host, text, size);
  url->host[size] = '\0';
  if (strspn(url->host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._[]:") != size)
    return STATUS_INVALID;
  char bare[sizeof url->host];
  snprintf(bare, sizeof bare, "%.*s", (int)(close ? size - 2 : size), url->host + (close ? 1 : 0));
  if (addr_parse(bare, &url->address) != STATUS_OK && close)
    return STATUS_INVALID;
  return STATUS_OK;
}

enum status finder_parse_url(const char *text, struct finder_url *out, struct errbuf *err) {
  struct finder_url url = {0};
  url.is_tls = strncasecmp(text, "https://", 8) == 0;
  if (!url.is_tls && strncasecmp(text, "http://", 7) != 0)
    return errbuf_set(err, STATUS_INVALID, "\"%s\" does not begin with http:// or https://", text);
  const char *host = text + (url.is_tls ? 8 : 7);
  size_t length = strcspn(host, "/?#");
  url.target = host + length;
  for (const char *at = text; *at; at++)
    if ((unsigned char)*at <= ' ' || *at == '#' || (unsigned char)*at >= 0x7f)
      return errbuf_set(err, STATUS_INVALID, "\"%s\" has a character that a URL cannot have here", text);
  const char *port;
  int64_t number = url.is_tls ? 443 : 80;
  if (split_host(host, length, &url, &port) != STATUS_OK)
    return errbuf_set(err, STATUS_INVALID, "\"%s\" names no host", text);
  if (port) {
    char digits[8];
    size_t size = (size_t)(host + length - port);
    snprintf(digits, sizeof digits, "%.*s", (int)(size < sizeof digits ? size : 0), port);
    if (scalar_number(digits, &number) != STATUS_OK || number < 1 || number > 65535)
      return errbuf_set(err, STATUS_INVALID, "\"%s\" has a port that is no number from 1 to 65535", text);
  }
  url.address.port = (uint16_t)number;
  *out = url;
  return STATUS_OK;
}

static int compare_targets(const void *left, const void *right) {
  const struct finder_target *a = left, *b = right;
  if (a->priority != b->priority)
    return a->priority < b->priority ? -1 : 1;
  /* those without weight first, so that the running sums give them their small chance */
  return (a->weight > 0) - (b->weight > 0);
}

static void draw_by_weight(struct finder_target *targets, size_t count, struct random *random) {
  for (size_t first = 0; first + 1 < count; first++) {
    uint32_t sum = 0, running = 0;
    for (size_t i = first; i < count; i++)
      sum += targets[i].weight;
    /* zero, which RFC 2782 draws too, is only for those without weight: among small weights it would be a large share
     */
    bool has_weightless = targets[first].weight == 0;
    uint32_t drawn = has_weightless ? random_below(random, sum + 1) : 1 + random_below(random, sum);
    size_t chosen = first;
    for (size_t i = first; i < count; i++) {
      running += targets[i].weight;
      chosen = i;
      if (running >= drawn)
        break;
    }
    /* moved, not swapped: what has no weight stays in front */
    struct finder_target moved = targets[chosen];
    memmove(&targets[first + 1], &targets[first], (chosen - first) * sizeof *targets);
    targets[first] = moved;
  }
}

void finder_order(struct finder_target *targets, size_t count, struct random *random) {
  qsort(targets, count, sizeof *targets, compare_targets);
  for (size_t first = 0, end; first < count; first = end) {
    for (end = first + 1; end < count && targets[end].priority == targets[first].priority; end++)
      continue;
    draw_by_weight(targets + first, end - first, random);
  }
}

static void tell(struct finder *finder, enum status status, const struct finder_target *targets, size_t count,
                 const char *detail) {
  finder_done *done = finder->done;
  void *context = finder->context;
  loop_timer_free(finder->timer);
  free(finder);
  done(context, status, targets, count, detail);
}

/* TXT strings are key=value; the first of a key counts, keys without regard to case (RFC 6763 section 6.4). */
static const char *txt_value(const struct lookup_answer *answer, const char *key) {
  size_t length = strlen(key);
  for (size_t i = 0; i < answer->txt_count; i++) {
    const char *text = answer->txt[i];
    if (strncasecmp(text, key, length) == 0 && (text[length] == '=' || text[length] == '\0'))
      return text[length] ? text + length + 1 : "";
  }
  return NULL;
}

static bool says_tls(const char *value) {
  return value && strcmp(value, "0") != 0 && strcasecmp(value, "no") != 0 && strcasecmp(value, "false") != 0;
}

static const struct lookup_target *target_of(const struct lookup_answer *answer, const struct finder_target *row) {
  for (size_t i = 0; i < answer->target_count; i++)
    if (strcmp(answer->targets[i].host, row->host) == 0 && answer->targets[i].port == row->address.port)
      return &answer->targets[i];
  return NULL;
}

static size_t order_targets(const struct lookup_answer *answer, struct random *random, struct finder_target *rows) {
  const char *path = txt_value(answer, "path");
  bool is_tls = says_tls(txt_value(answer, "tls"));
  size_t count = 0;
  for (size_t i = 0; i < answer->target_count; i++) {
    const struct lookup_target *target = &answer->targets[i];
    struct finder_target *row = &rows[count++];
    snprintf(row->host, sizeof row->host, "%s", target->host);
    row->address.port = target->port;
    row->priority = target->priority;
    row->weight = target->weight;
    row->is_tls = is_tls;
    snprintf(row->path, sizeof row->path, "%s", path && path[0] == '/' ? path : FINDER_API_PATH);
  }
  finder_order(rows, count, random);
  return count;
}

static void found_service(void *context, const struct lookup_answer *answer) {
  struct finder *finder = context;
  if (answer->status != STATUS_OK) {
    tell(finder, answer->status, NULL, 0, answer->detail);
    return;
  }
  struct finder_target *ordered = mem_array(LOOKUP_TARGETS_MOST, sizeof *ordered);
  struct finder_target *rows = mem_array(ROWS_MOST, sizeof *rows);
  size_t targets = order_targets(answer, finder->random, ordered), count = 0;
  for (size_t i = 0; i < targets; i++) {
    const struct lookup_target *target = target_of(answer, &ordered[i]);
    for (size_t j = 0; j < target->address_count; j++) {
      rows[count] = ordered[i];
      rows[count++].address = target->addresses[j];
    }
  }
  if (count)
    tell(finder, STATUS_OK, rows, count, "");
  else
    tell(finder, STATUS_NODATA, NULL, 0, "the balancers' names have no addresses");
  free(rows);
  free(ordered);
}

static struct finder_target row_of_url(const struct finder *finder) {
  struct finder_target row = {.address = finder->url.address, .is_tls = finder->url.is_tls};
  memcpy(row.host, finder->url.host, sizeof row.host);
  memcpy(row.path, finder->path, sizeof row.path);
  return row;
}

static void found_host(void *context, const struct lookup_answer *answer) {
  struct finder *finder = context;
  struct finder_target rows[LOOKUP_ADDRESSES_MOST];
  size_t count = 0;
  if (answer->status == STATUS_OK && answer->target_count)
    for (; count < answer->targets[0].address_count; count++) {
      rows[count] = row_of_url(finder);
      rows[count].address = answer->targets[0].addresses[count];
    }
  if (count)
    tell(finder, STATUS_OK, rows, count, "");
  else
    tell(finder, answer->status == STATUS_OK ? STATUS_NODATA : answer->status, NULL, 0, answer->detail);
}

static void tell_early(void *context) {
  struct finder *finder = context;
  struct finder_target row = row_of_url(finder);
  struct errbuf detail = finder->detail; /* the finder goes before it tells */
  tell(finder, finder->early, &row, finder->early == STATUS_OK, detail.text);
}

static void look_for_url(struct finder *finder, struct loop *loop, const struct session_place *place,
                         int64_t timeout_ms) {
  finder->early = finder_parse_url(place->url, &finder->url, &finder->detail);
  size_t length = finder->early == STATUS_OK ? strlen(finder->url.target) : 0;
  while (length && finder->url.target[length - 1] == '/')
    length--;
  if (length >= sizeof finder->path || (length && finder->url.target[0] != '/'))
    finder->early = errbuf_set(&finder->detail, STATUS_INVALID, "\"%s\": too long a path", place->url);
  else
    snprintf(finder->path, sizeof finder->path, "%.*s", length ? (int)length : (int)strlen(FINDER_API_PATH),
             length ? finder->url.target : FINDER_API_PATH);
  finder->url.target = NULL; /* borrowed from the caller */
  if (finder->early == STATUS_OK && finder->url.address.family == 0)
    finder->lookup = lookup_host(loop, finder->url.host, finder->url.address.port, place->servers, place->server_count,
                                 timeout_ms, found_host, finder);
  else
    loop_timer_after(finder->timer, 0);
}

struct finder *finder_start(struct loop *loop, const struct session_place *place, struct random *random,
                            int64_t timeout_ms, finder_done *done, void *context) {
  struct finder *finder = mem_alloc(sizeof *finder);
  finder->random = random;
  finder->done = done;
  finder->context = context;
  finder->timer = loop_timer_new(loop, tell_early, finder);
  if (place->url) {
    look_for_url(finder, loop, place, timeout_ms);
  } else if (place->domain) {
    char *name = mem_format(FINDER_SERVICE ".%s", place->domain);
    finder->lookup = lookup_service(loop, name, place->servers, place->server_count, timeout_ms, found_service, finder);
    free(name);
  } else if (place->is_multicast) {
    finder->query = mdns_query_start(loop, FINDER_SERVICE ".local", timeout_ms, found_service, finder);
  } else {
    finder->early = errbuf_set(&finder->detail, STATUS_INVALID, "nothing says where balancers are looked for");
    loop_timer_after(finder->timer, 0);
  }
  return finder;
}

void finder_cancel(struct finder *finder) {
  if (!finder)
    return;
  loop_timer_free(finder->timer);
  if (finder->lookup)
    lookup_cancel(finder->lookup);
  if (finder->query)
    mdns_query_cancel(finder->query);
  free(finder);
}
