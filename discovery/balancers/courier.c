#include "discovery/balancers/courier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include <jansson.h>

#include "discovery/documents/notice.h"
#include "gslb/base/clock.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/net/url.h"

#define PAGE 1000u
#define URL_MEMBER "\"notice_url\""

struct target { /* one resource to be told */
  struct courier *courier;
  char *id;
  char *text; /* which url borrows from */
  struct url url;
  char key[NOTICE_KEY_SIZE];
  char *body;
  size_t size;
  unsigned tries;
  int64_t due_ms; /* mono: of the next try */
  struct http_transfer *transfer;
  TAILQ_ENTRY(target) entry;
};

TAILQ_HEAD(target_list, target);

struct courier {
  struct http_client *http;
  struct registry *registry;
  struct loop_timer *timer;
  struct target_list waiting; /* in order of due_ms: first those never tried, for which it is 0 */
  struct target_list again;   /* likewise: every pause is as long */
  struct target_list running;
  size_t running_count;
  size_t heard, unheard; /* since nothing was under way */
};

static void pump(struct courier *courier);

static void timer_fired(void *context) {
  pump(context);
}

struct courier *courier_new(struct loop *loop, struct http_client *http, struct registry *registry) {
  struct courier *courier = mem_alloc(sizeof *courier);
  courier->http = http;
  courier->registry = registry;
  courier->timer = loop_timer_new(loop, timer_fired, courier);
  TAILQ_INIT(&courier->waiting);
  TAILQ_INIT(&courier->again);
  TAILQ_INIT(&courier->running);
  return courier;
}

static void target_free(struct target *target) {
  free(target->id);
  free(target->text);
  free(target->body);
  free(target);
}

static void drop_list(struct target_list *list) {
  while (!TAILQ_EMPTY(list)) {
    struct target *target = TAILQ_FIRST(list);
    TAILQ_REMOVE(list, target, entry);
    if (target->transfer)
      http_client_cancel(target->transfer);
    target_free(target);
  }
}

void courier_drop(struct courier *courier) {
  drop_list(&courier->waiting);
  drop_list(&courier->again);
  drop_list(&courier->running);
  courier->running_count = courier->heard = courier->unheard = 0;
  loop_timer_stop(courier->timer);
}

void courier_free(struct courier *courier) {
  if (!courier)
    return;
  courier_drop(courier);
  loop_timer_free(courier->timer);
  free(courier);
}

/* One try is over: told, or put in line again, or given up. */
static void conclude(struct target *target, bool is_heard) {
  struct courier *courier = target->courier;
  TAILQ_REMOVE(&courier->running, target, entry);
  courier->running_count--;
  target->transfer = NULL;
  if (!is_heard && target->tries < COURIER_TRIES) {
    target->due_ms = mono_now_ms() + COURIER_PAUSE_MS;
    TAILQ_INSERT_TAIL(&courier->again, target, entry);
    return;
  }
  courier->heard += is_heard;
  courier->unheard += !is_heard;
  target_free(target);
}

static void answered(void *context, const struct http_reply *reply) {
  struct target *target = context;
  struct courier *courier = target->courier;
  bool is_heard = reply->outcome == NET_ANSWERED && reply->status >= 200 && reply->status < 300;
  if (!is_heard)
    log_debug("notice to %s, try %u: %s", target->id, target->tries,
              reply->outcome == NET_ANSWERED ? "refused" : net_outcome_text(reply->outcome));
  conclude(target, is_heard);
  pump(courier);
}

static void try_target(struct target *target) {
  struct courier *courier = target->courier;
  char signature[NOTICE_SIGNATURE_SIZE], header[NOTICE_SIGNATURE_SIZE + 32];
  notice_sign(target->key, (int64_t)time(NULL), target->body, target->size, signature);
  snprintf(header, sizeof header, "Gslb-Signature: %s", signature);
  const char *const headers[] = {"Content-Type: application/json", header, NULL};
  char address[ADDR_TEXT_SIZE], host[ADDR_TEXT_SIZE + 8];
  bool is_six = target->url.address.family == 6;
  addr_format(&target->url.address, address);
  snprintf(host, sizeof host, "%s%s%s:%u", is_six ? "[" : "", address, is_six ? "]" : "", target->url.address.port);
  struct http_request request = {.method = "POST",
                                 .address = target->url.address,
                                 .host = host,
                                 .path = target->url.target,
                                 .timeout_ms = COURIER_TRY_MS,
                                 .body_most = 1024,
                                 .headers = headers,
                                 .body = target->body,
                                 .body_size = target->size,
                                 .is_tls = target->url.is_tls};
  target->tries++;
  TAILQ_INSERT_TAIL(&courier->running, target, entry);
  courier->running_count++;
  target->transfer = http_client_start(courier->http, &request, answered, target);
}

static void pump(struct courier *courier) {
  struct target *target;
  int64_t now_ms = mono_now_ms();
  while (courier->running_count < COURIER_AT_ONCE) {
    struct target_list *list = &courier->again;
    target = TAILQ_FIRST(list);
    if (!target || target->due_ms > now_ms) {
      list = &courier->waiting;
      target = TAILQ_FIRST(list);
    }
    if (!target)
      break;
    TAILQ_REMOVE(list, target, entry);
    try_target(target);
  }
  target = TAILQ_FIRST(&courier->again);
  if (target && courier->running_count < COURIER_AT_ONCE)
    loop_timer_after(courier->timer, target->due_ms - now_ms);
  bool is_done = !target && courier->running_count == 0 && courier->heard + courier->unheard > 0;
  if (!is_done)
    return;
  log_info("notices: %zu resources heard, %zu did not answer", courier->heard, courier->unheard);
  courier->heard = courier->unheard = 0;
}

struct page { /* of resources, copied from the store */
  struct arena arena;
  struct row {
    const char *id, *key;
    const char *document;
    size_t size;
  } rows[PAGE];
  size_t count, seen;
  char last[REGISTRATION_ID_MOST + 1];
};

static bool copy_resource(void *context, const char *id, const struct resource_record *resource,
                          const struct lease_record *lease) {
  (void)lease;
  struct page *page = context;
  snprintf(page->last, sizeof page->last, "%s", id);
  page->seen++;
  bool has_url = !resource->is_removed && resource->document &&
                 memmem(resource->document, resource->document_size, URL_MEMBER, strlen(URL_MEMBER)) != NULL;
  if (has_url) {
    struct row *row = &page->rows[page->count++];
    row->id = arena_strdup(&page->arena, id);
    row->key = arena_strdup(&page->arena, resource->notice_key);
    row->document = arena_copy(&page->arena, resource->document, resource->document_size);
    row->size = resource->document_size;
  }
  return page->seen < PAGE;
}

struct telling {
  struct courier *courier;
  const json_t *notice;
  courier_fit *fit;
  void *context;
};

static void add_target(const struct telling *telling, const struct row *row, const char *url, json_t *notice) {
  struct target *target = mem_alloc(sizeof *target);
  struct errbuf err = {""};
  target->courier = telling->courier;
  target->id = mem_strdup(row->id);
  target->text = mem_strdup(url);
  snprintf(target->key, sizeof target->key, "%s", row->key);
  json_object_set_new(notice, "id", value_text(row->id));
  target->body = value_dump(json_incref(notice));
  target->size = strlen(target->body);
  if (url_parse(target->text, &target->url, &err) == STATUS_OK) {
    TAILQ_INSERT_TAIL(&telling->courier->waiting, target, entry);
    return;
  }
  log_warning("notice to %s: the URL %s", row->id, err.text);
  target_free(target);
}

static void add_row(const struct telling *telling, const struct row *row) {
  json_t *document = json_loadb(row->document, row->size, 0, NULL);
  const char *url = json_string_value(json_object_get(document, "notice_url"));
  json_t *notice = url ? value_must(json_copy((json_t *)telling->notice)) : NULL;
  if (url && (!telling->fit || telling->fit(telling->context, document, notice)))
    add_target(telling, row, url, notice);
  json_decref(notice);
  json_decref(document);
}

void courier_tell(struct courier *courier, const json_t *notice, courier_fit *fit, void *context) {
  struct telling telling = {courier, notice, fit, context};
  struct page *page = mem_alloc(sizeof *page);
  struct errbuf err = {""};
  do {
    char after[sizeof page->last];
    memcpy(after, page->last, sizeof after);
    struct registry_filter filter = {.after = after[0] ? after : NULL, .limit = PAGE};
    page->seen = page->count = 0;
    if (registry_each(courier->registry, &filter, copy_resource, page, &err) != STATUS_OK) {
      log_error("notices: resources cannot be read: %s", err.text);
      break;
    }
    for (size_t i = 0; i < page->count; i++)
      add_row(&telling, &page->rows[i]);
    arena_release(&page->arena);
  } while (page->seen == PAGE);
  arena_release(&page->arena);
  free(page);
  pump(courier);
}
