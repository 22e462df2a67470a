#include "gslb/admin/view.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "gslb/admin/load_shown.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/version.h"
#include "gslb/base/value.h"
#include "gslb/model/chronicle.h"

/* many pages that look at once share one reading of streaks and response times */
#define REREAD_AFTER_MS 500

struct view {
  _Atomic unsigned holders;
  struct config *config;
  struct image image; /* base NULL: none */
  uint64_t generation;
  struct view_sources sources;
  pthread_mutex_t lock;
  struct facts *facts;
  int64_t *reread_ms; /* per service, mono */
  bool is_failing;    /* the last refresh failed, and that was logged */
};

struct view *view_new(struct config *config, uint64_t generation, const struct view_sources *sources) {
  struct view *view = mem_alloc(sizeof *view);
  atomic_init(&view->holders, 1);
  view->config = config;
  view->generation = generation;
  view->sources = *sources;
  pthread_mutex_init(&view->lock, NULL);
  view->facts = facts_new(config, sources->durable, sources->live);
  view->reread_ms = mem_array(config->service_count, sizeof *view->reread_ms);
  return view;
}

enum status view_map_image(struct view *view, int fd, struct errbuf *err) {
  enum status status = image_map(fd, &view->image, err);
  if (status)
    return status;
  uint32_t count = image_head(&view->image)->zone_count;
  if (count == view->config->zone_count)
    return STATUS_OK;
  image_unmap(&view->image);
  return errbuf_set(err, STATUS_VERSION, "name image: has %u zones, the configuration %zu", count,
                    view->config->zone_count);
}

struct view *view_hold(struct view *view) {
  atomic_fetch_add(&view->holders, 1);
  return view;
}

void view_release(struct view *view) {
  if (!view || atomic_fetch_sub(&view->holders, 1) != 1)
    return;
  facts_free(view->facts);
  image_unmap(&view->image);
  config_free(view->config);
  pthread_mutex_destroy(&view->lock);
  free(view->reread_ms);
  free(view);
}

const struct config *view_config(const struct view *view) {
  return view->config;
}

const struct image *view_image(const struct view *view) {
  return view->image.base ? &view->image : NULL;
}

uint64_t view_generation(const struct view *view) {
  return view->generation;
}

const struct view_sources *view_sources(const struct view *view) {
  return &view->sources;
}

void views_init(struct views *views, struct view *first) {
  pthread_mutex_init(&views->lock, NULL);
  views->current = first;
}

void views_release(struct views *views) {
  view_release(views->current);
  views->current = NULL;
  pthread_mutex_destroy(&views->lock);
}

struct view *views_take(struct views *views) {
  pthread_mutex_lock(&views->lock);
  struct view *view = view_hold(views->current);
  pthread_mutex_unlock(&views->lock);
  return view;
}

void views_replace(struct views *views, struct view *view) {
  pthread_mutex_lock(&views->lock);
  struct view *old = views->current;
  views->current = view;
  pthread_mutex_unlock(&views->lock);
  view_release(old);
}

/* Under the lock. What was known stays when a store fails; readiness and the page tell of it. */
static int64_t refresh(struct view *view) {
  struct errbuf err = {{0}};
  bool is_failing = facts_refresh(view->facts, NULL, NULL, &err) != STATUS_OK;
  if (is_failing && !view->is_failing)
    log_warning("facts cannot be read: %s", err.text);
  view->is_failing = is_failing;
  return house_now_ms(&view->sources.house);
}

static struct shown show(struct view *view, size_t service, int64_t now_ms, struct arena *arena,
                         struct evaluation *evaluation) {
  int64_t mono_ms = mono_now_ms();
  if (mono_ms - view->reread_ms[service] >= REREAD_AFTER_MS && facts_reread(view->facts, service, NULL) == STATUS_OK)
    view->reread_ms[service] = mono_ms;
  const struct service_facts *facts = facts_service(view->facts, service);
  evaluate_service(view->config, facts, now_ms, arena, evaluation);
  return (struct shown){view->config, facts, evaluation, view->sources.board, now_ms};
}

static bool is_listed(const struct view *view, size_t service) {
  const struct config_service *now = facts_service(view->facts, service)->service;
  return now->name[0] && !config_service_is_pattern(now);
}

void view_each(struct view *view, view_visit *visit, void *context) {
  struct arena arena = {0};
  pthread_mutex_lock(&view->lock);
  int64_t now_ms = refresh(view);
  for (size_t i = 0; i < view->config->service_count; i++) {
    struct evaluation evaluation;
    if (!is_listed(view, i))
      continue;
    struct shown shown = show(view, i, now_ms, &arena, &evaluation);
    visit(context, &shown);
    arena_release(&arena);
  }
  pthread_mutex_unlock(&view->lock);
}

static struct view_name name_of(const struct config_service *service, size_t member) {
  struct view_name name;
  snprintf(name.service, sizeof name.service, "%s", service->name);
  snprintf(name.member, sizeof name.member, "%s", member == SIZE_MAX ? "" : service->members[member].name);
  return name;
}

/* Under the lock, after refresh. */
static enum status find_in(const struct view *view, const char *service, const char *member, struct view_name *out) {
  size_t s = facts_find_service(view->facts, service);
  size_t m = s == SIZE_MAX ? SIZE_MAX : facts_find_member(view->facts, s, member);
  if (m == SIZE_MAX)
    return STATUS_NOTFOUND;
  *out = name_of(facts_service(view->facts, s)->service, m);
  return STATUS_OK;
}

static enum status find_anywhere(const struct view *view, const char *member, struct view_name *out,
                                 json_t **candidates) {
  size_t found = 0;
  json_t *names = json_array();
  for (size_t s = 0; s < view->config->service_count; s++) {
    const struct config_service *service = facts_service(view->facts, s)->service;
    size_t m = facts_find_member(view->facts, s, member);
    if (m == SIZE_MAX)
      continue;
    if (found++ == 0)
      *out = name_of(service, m);
    char *name = mem_format("%s/%s", service->name, service->members[m].name);
    json_array_append_new(names, value_text(name));
    free(name);
  }
  if (found > 1 && candidates)
    *candidates = names;
  else
    json_decref(names);
  return found == 0 ? STATUS_NOTFOUND : found == 1 ? STATUS_OK : STATUS_CONFLICT;
}

enum status view_find(struct view *view, const char *service, const char *member, struct view_name *out,
                      json_t **candidates) {
  struct view_name found;
  pthread_mutex_lock(&view->lock);
  refresh(view);
  enum status status =
      service ? find_in(view, service, member, &found) : find_anywhere(view, member, &found, candidates);
  pthread_mutex_unlock(&view->lock);
  if (status == STATUS_OK)
    *out = found;
  return status;
}

size_t view_find_service(struct view *view, const char *name) {
  pthread_mutex_lock(&view->lock);
  refresh(view);
  size_t found = facts_find_service(view->facts, name);
  pthread_mutex_unlock(&view->lock);
  return found;
}

bool view_find_owner(struct view *view, const char *name, struct view_name *out) {
  char label[sizeof out->member];
  size_t length = strcspn(name, ".");
  pthread_mutex_lock(&view->lock);
  refresh(view);
  size_t service = facts_find_service(view->facts, name);
  bool is_found = service != SIZE_MAX;
  if (is_found)
    *out = name_of(facts_service(view->facts, service)->service, SIZE_MAX);
  else if (length < sizeof label && name[length]) {
    memcpy(label, name, length);
    label[length] = '\0';
    is_found = find_in(view, name + length + 1, label, out) == STATUS_OK;
  }
  pthread_mutex_unlock(&view->lock);
  return is_found;
}

static bool passes(const struct config_service *service, const struct config_member *member,
                   const struct address_facts *address) {
  for (size_t i = 0; i < service->monitor_count; i++)
    if ((member->monitors >> i & 1) && address->probes[i].state == HEALTH_DOWN)
      return false;
  return member->monitors != 0;
}

bool view_probes_pass(struct view *view, const char *service, const char *member) {
  bool has_passing = false;
  pthread_mutex_lock(&view->lock);
  refresh(view);
  size_t s = facts_find_service(view->facts, service);
  size_t m = s == SIZE_MAX ? SIZE_MAX : facts_find_member(view->facts, s, member);
  if (m != SIZE_MAX) {
    const struct service_facts *facts = facts_service(view->facts, s);
    const struct config_member *made = &facts->service->members[m];
    for (size_t i = 0; i < made->address_count; i++)
      has_passing |= passes(facts->service, made, &facts->members[m].addresses[i]);
  }
  pthread_mutex_unlock(&view->lock);
  return has_passing;
}

static bool is_readable(struct store *store) {
  struct store_txn *txn;
  if (!store || store_begin(store, false, &txn, NULL) != STATUS_OK)
    return false;
  store_abort(txn);
  return true;
}

enum status view_ready(struct view *view, struct errbuf *why) {
  const struct board *board = view->sources.board;
  if (!board)
    return errbuf_set(why, STATUS_NODATA, "no daemon runs");
  if (atomic_load_explicit(&board->processes[BOARD_DNS].pid, memory_order_relaxed) == 0)
    return errbuf_set(why, STATUS_NODATA, "dns does not run");
  int64_t serves = atomic_load_explicit(&board->gauges[BOARD_DNS_GENERATION], memory_order_relaxed);
  if ((uint64_t)serves != view->generation)
    return errbuf_set(why, STATUS_NODATA, "dns serves configuration %lld, not %llu yet", (long long)serves,
                      (unsigned long long)view->generation);
  if (!is_readable(view->sources.durable))
    return errbuf_set(why, STATUS_IO, "the durable store cannot be read");
  if (!is_readable(view->sources.live))
    return errbuf_set(why, STATUS_IO, "the live store cannot be read");
  return STATUS_OK;
}

json_t *view_status(struct view *view) {
  const struct board *board = view->sources.board;
  int64_t now_ms = house_now_ms(&view->sources.house);
  int64_t started_ms = 0, checkpoint_ms = 0;
  if (board) {
    started_ms = atomic_load_explicit(&board->processes[BOARD_SUPERVISOR].started_ms, memory_order_relaxed);
    checkpoint_ms = atomic_load_explicit(&board->gauges[BOARD_CHECKPOINT_MS], memory_order_relaxed);
  }
  struct errbuf why = {{0}};
  bool is_ready = view_ready(view, &why) == STATUS_OK;
  return json_pack("{s:o, s:s, s:o, s:o, s:o, s:I, s:b, s:o, s:o, s:o, s:{s:o, s:o}, s:o}", "identity",
                   value_text(view->config->server.identity), "version", GSLB_VERSION, "now_at", value_time(now_ms),
                   "started_at", value_time(started_ms), "uptime_s", value_age(started_ms, now_ms), "generation",
                   (json_int_t)view->generation, "ready", (int)is_ready, "not_ready_because",
                   is_ready ? json_null() : value_text(why.text), "processes", shown_processes(board, now_ms),
                   "queries", shown_queries(board), "stores", "durable", shown_store(view->sources.durable), "live",
                   shown_store(view->sources.live), "checkpoint_age_s", value_age(checkpoint_ms, now_ms));
}

static void add_service(void *context, const struct shown *shown) {
  json_array_append_new(context, shown_service(shown));
}

json_t *view_services(struct view *view) {
  json_t *services = json_array();
  view_each(view, add_service, services);
  return json_pack("{s:o}", "services", services);
}

/* Under the lock, after refresh. */
static json_t *service_document(struct view *view, size_t service, int64_t now_ms) {
  struct arena arena = {0};
  struct evaluation evaluation;
  struct shown shown = show(view, service, now_ms, &arena, &evaluation);
  json_t *document = shown_service(&shown);
  json_t *members = json_array();
  for (size_t i = 0; i < shown.facts->service->member_count; i++)
    json_array_append_new(members, shown_member(&shown, i));
  json_object_set_new(document, "members", members);
  arena_release(&arena);
  return document;
}

json_t *view_service(struct view *view, size_t service) {
  pthread_mutex_lock(&view->lock);
  json_t *document = service_document(view, service, refresh(view));
  pthread_mutex_unlock(&view->lock);
  return document;
}

json_t *view_service_named(struct view *view, const char *name) {
  pthread_mutex_lock(&view->lock);
  int64_t now_ms = refresh(view);
  size_t service = facts_find_service(view->facts, name);
  json_t *document = service == SIZE_MAX ? NULL : service_document(view, service, now_ms);
  pthread_mutex_unlock(&view->lock);
  return document;
}

json_t *view_member(struct view *view, struct view_name name) {
  struct arena arena = {0};
  struct evaluation evaluation;
  struct shown shown;
  json_t *document = NULL;
  pthread_mutex_lock(&view->lock);
  int64_t now_ms = refresh(view);
  size_t service = facts_find_service(view->facts, name.service);
  if (service != SIZE_MAX) {
    shown = show(view, service, now_ms, &arena, &evaluation);
    size_t member = facts_find_member(view->facts, service, name.member);
    document = member == SIZE_MAX ? NULL : shown_member(&shown, member);
  }
  pthread_mutex_unlock(&view->lock);
  arena_release(&arena);
  if (document)
    return document;
  char *id = mem_format("%s/%s", name.service, name.member);
  document = value_must(json_pack("{s:o, s:o, s:o, s:s}", "id", value_text(id), "service", value_text(name.service),
                                  "name", value_text(name.member), "state", "gone"));
  free(id);
  return document;
}

json_t *view_load(struct view *view, const struct view_name *name) {
  struct arena arena = {0};
  json_t *document = NULL;
  pthread_mutex_lock(&view->lock);
  int64_t now_ms = refresh(view);
  size_t service = facts_find_service(view->facts, name->service);
  size_t member = service == SIZE_MAX ? SIZE_MAX : facts_find_member(view->facts, service, name->member);
  if (member != SIZE_MAX) {
    struct evaluation evaluation;
    struct shown shown = show(view, service, now_ms, &arena, &evaluation);
    /* reading the one afresh may have shown that it has gone */
    member = facts_find_member(view->facts, service, name->member);
    document = member == SIZE_MAX ? NULL : load_shown(&shown, member, view->sources.live);
  }
  pthread_mutex_unlock(&view->lock);
  arena_release(&arena);
  return document;
}

static void add_members(json_t *members, const struct shown *shown, const struct view_filter *filter) {
  const struct config_service *service = shown->facts->service;
  for (size_t i = 0; i < service->member_count; i++) {
    uint32_t site = service->members[i].site;
    if (filter->state && strcasecmp(filter->state, health_name(shown->evaluation->members[i].state)) != 0)
      continue;
    if (filter->site && (site == UINT32_MAX || strcasecmp(filter->site, shown->config->sites[site].name) != 0))
      continue;
    json_array_append_new(members, shown_member(shown, i));
  }
}

json_t *view_members(struct view *view, const struct view_filter *filter) {
  json_t *members = json_array();
  struct arena arena = {0};
  pthread_mutex_lock(&view->lock);
  int64_t now_ms = refresh(view);
  size_t only = filter->service ? facts_find_service(view->facts, filter->service) : SIZE_MAX;
  for (size_t i = 0; i < view->config->service_count; i++) {
    if ((filter->service && i != only) || !is_listed(view, i))
      continue;
    struct evaluation evaluation;
    struct shown shown = show(view, i, now_ms, &arena, &evaluation);
    add_members(members, &shown, filter);
    arena_release(&arena);
  }
  pthread_mutex_unlock(&view->lock);
  return json_pack("{s:o}", "members", members);
}

struct event_pick {
  size_t limit;
  const char *service;
  json_t *events;
};

static bool pick_event(void *context, uint64_t id, const struct event_record *event) {
  struct event_pick *pick = context;
  if (!pick->service || strcasecmp(pick->service, event->service) == 0)
    json_array_append_new(pick->events, shown_event(id, event));
  return json_array_size(pick->events) < pick->limit;
}

enum status view_events(struct view *view, size_t limit, const char *service, json_t **out, struct errbuf *err) {
  struct event_pick pick = {limit, service, json_array()};
  enum status status = chronicle_read_events(view->sources.durable, pick_event, &pick, err);
  if (status) {
    json_decref(pick.events);
    return status;
  }
  *out = json_pack("{s:o}", "events", pick.events);
  return STATUS_OK;
}
