#include "discovery/registry/lease_table.h"

#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discovery/registry/registry.h"
#include "gslb/base/memory.h"

#define NO_PLACE SIZE_MAX

struct lease_table {
  void *by_id;         /* trees of tsearch */
  void *by_name;       /* of struct lease_service */
  struct lease **heap; /* the earliest first; only what is due some time */
  size_t due_count, due_capacity;
  struct lease_queue {
    struct lease *first, **last;
    size_t count;
  } queues[LEASE_WRITES];
  size_t counts[LEASE_ENDED + 1];
  size_t moved; /* of those that have not ended */
};

static int compare_ids(const void *a, const void *b) {
  return strcmp(((const struct lease *)a)->id, ((const struct lease *)b)->id);
}

static int compare_names(const void *a, const void *b) {
  return strcmp(((const struct lease_service *)a)->name, ((const struct lease_service *)b)->name);
}

struct lease_table *lease_table_new(void) {
  struct lease_table *table = mem_alloc(sizeof *table);
  for (size_t i = 0; i < LEASE_WRITES; i++)
    table->queues[i].last = &table->queues[i].first;
  return table;
}

static void free_service(void *node) {
  struct lease_service *service = node;
  free(service->leases);
  free(service->name);
  free(service);
}

static void free_lease(void *node) {
  struct lease *lease = node;
  free(lease->services);
  free(lease->metrics);
  reports_release(&lease->reports);
  free(lease);
}

void lease_table_free(struct lease_table *table) {
  if (!table)
    return;
  tdestroy(table->by_id, free_lease);
  tdestroy(table->by_name, free_service);
  free(table->heap);
  free(table);
}

/* The heap of what is due. */

static void put_at(struct lease_table *table, size_t place, struct lease *lease) {
  table->heap[place] = lease;
  lease->heap_place = place;
}

static void sift_up(struct lease_table *table, size_t place, struct lease *lease) {
  while (place > 0 && table->heap[(place - 1) / 2]->due_ms > lease->due_ms) {
    put_at(table, place, table->heap[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put_at(table, place, lease);
}

static void sift_down(struct lease_table *table, size_t place, struct lease *lease) {
  for (;;) {
    size_t child = 2 * place + 1;
    if (child >= table->due_count)
      break;
    if (child + 1 < table->due_count && table->heap[child + 1]->due_ms < table->heap[child]->due_ms)
      child++;
    if (table->heap[child]->due_ms >= lease->due_ms)
      break;
    put_at(table, place, table->heap[child]);
    place = child;
  }
  put_at(table, place, lease);
}

static void set_due(struct lease_table *table, struct lease *lease, int64_t due_ms) {
  int64_t before_ms = lease->due_ms;
  lease->due_ms = due_ms;
  if (lease->heap_place == NO_PLACE) {
    if (due_ms == INT64_MAX)
      return;
    table->heap = mem_grow(table->heap, &table->due_capacity, table->due_count + 1, sizeof(struct lease *));
    sift_up(table, table->due_count++, lease);
  } else if (due_ms == INT64_MAX) {
    size_t place = lease->heap_place;
    struct lease *last = table->heap[--table->due_count];
    lease->heap_place = NO_PLACE;
    if (last == lease)
      return;
    if (place > 0 && table->heap[(place - 1) / 2]->due_ms > last->due_ms)
      sift_up(table, place, last);
    else
      sift_down(table, place, last);
  } else if (due_ms < before_ms) {
    sift_up(table, lease->heap_place, lease);
  } else {
    sift_down(table, lease->heap_place, lease);
  }
}

/* Services. */

static struct lease_service *find_service(struct lease_table *table, const char *name) {
  struct lease_service wanted = {.name = (char *)(uintptr_t)name};
  void *found = tfind(&wanted, &table->by_name, compare_names);
  if (found)
    return *(struct lease_service **)found;
  struct lease_service *service = mem_alloc(sizeof *service);
  service->name = mem_strdup(name);
  service->counted_ms = -1;
  if (!tsearch(service, &table->by_name, compare_names))
    abort();
  return service;
}

static void leave_services(struct lease_table *table, struct lease *lease) {
  for (size_t i = 0; i < lease->service_count; i++) {
    struct lease_service *service = lease->services[i].service;
    size_t place = lease->services[i].place;
    struct lease *last = service->leases[--service->count];
    service->leases[place] = last;
    for (size_t j = 0; j < last->service_count; j++)
      if (last->services[j].service == service)
        last->services[j].place = place;
    service->counted_ms = -1;
    if (service->count == 0) {
      tdelete(service, &table->by_name, compare_names);
      free_service(service);
    }
  }
  free(lease->services);
  lease->services = NULL;
  lease->service_count = 0;
}

static void join_services(struct lease_table *table, struct lease *lease, const struct lease_terms *terms) {
  assert(terms->service_count <= REGISTRATION_SERVICES_MOST);
  lease->services = mem_array(terms->service_count ? terms->service_count : 1, sizeof *lease->services);
  for (size_t i = 0; i < terms->service_count; i++) {
    struct lease_service *service = find_service(table, terms->services[i]);
    service->leases = mem_grow(service->leases, &service->capacity, service->count + 1, sizeof(struct lease *));
    lease->services[i] = (struct lease_link){service, service->count};
    service->leases[service->count++] = lease;
    service->counted_ms = -1;
  }
  lease->service_count = terms->service_count;
}

/* States. */

static void set_moved(struct lease_table *table, struct lease *lease, bool is_moved) {
  table->moved += (size_t)is_moved - (size_t)lease->record.is_moved;
  lease->record.is_moved = is_moved;
}

static void enter(struct lease_table *table, struct lease *lease, enum lease_state state, int64_t now_ms) {
  table->counts[lease->record.state]--;
  table->counts[state]++;
  lease->record.state = state;
  lease->record.since_ms = now_ms;
  if (state == LEASE_ENDED)
    set_moved(table, lease, false);
}

static void begin_anew(struct lease *lease, uint64_t epoch) {
  enum lease_state state = lease->record.state;
  lease->record = (struct lease_record){.state = state, .epoch = epoch, .utilization = LEASE_NO_UTILIZATION};
  lease->told_utilization = LEASE_NO_UTILIZATION;
  free(lease->metrics);
  lease->metrics = NULL;
  lease->metrics_size = 0;
  reports_release(&lease->reports);
}

static void extend(struct lease_table *table, struct lease *lease, int64_t now_ms) {
  set_moved(table, lease, false);
  lease->record.renewed_ms = now_ms;
  lease->record.end_ms = lease->period_ms ? now_ms + lease->period_ms : 0;
  set_due(table, lease, lease->period_ms ? lease->record.end_ms : INT64_MAX);
}

struct lease *lease_table_find(struct lease_table *table, const char *id) {
  struct lease wanted;
  if (strlen(id) >= sizeof wanted.id)
    return NULL;
  strcpy(wanted.id, id);
  void *found = tfind(&wanted, &table->by_id, compare_ids);
  return found ? *(struct lease **)found : NULL;
}

static struct lease *make_lease(struct lease_table *table, const char *id, int64_t now_ms) {
  struct lease *lease = mem_alloc(sizeof *lease);
  assert(strlen(id) < sizeof lease->id);
  strcpy(lease->id, id);
  lease->heap_place = NO_PLACE;
  lease->due_ms = INT64_MAX;
  lease->record.since_ms = now_ms;
  lease->record.state = LEASE_LIVE;
  table->counts[LEASE_LIVE]++;
  if (!tsearch(lease, &table->by_id, compare_ids))
    abort();
  return lease;
}

struct lease *lease_table_grant(struct lease_table *table, const char *id, const struct lease_terms *terms,
                                int64_t now_ms) {
  struct lease *lease = lease_table_find(table, id);
  if (!lease)
    lease = make_lease(table, id, now_ms);
  if (lease->record.epoch != terms->epoch) {
    set_moved(table, lease, false);
    begin_anew(lease, terms->epoch);
    lease->record.since_ms = now_ms;
  }
  if (lease->record.state != LEASE_LIVE)
    enter(table, lease, LEASE_LIVE, now_ms);
  leave_services(table, lease);
  snprintf(lease->owner, sizeof lease->owner, "%s", terms->owner);
  snprintf(lease->site, sizeof lease->site, "%s", terms->site ? terms->site : "");
  lease->kind = terms->kind;
  lease->revision = terms->revision;
  lease->period_ms = terms->period_ms;
  join_services(table, lease, terms);
  extend(table, lease, now_ms);
  return lease;
}

static void leave_queue(struct lease_table *table, struct lease *lease) {
  if (lease->write == LEASE_WRITE_NONE)
    return;
  struct lease_queue *queue = &table->queues[lease->write];
  *lease->at = lease->next;
  if (lease->next)
    lease->next->at = lease->at;
  else
    queue->last = lease->at;
  queue->count--;
  lease->write = LEASE_WRITE_NONE;
}

void lease_table_drop(struct lease_table *table, struct lease *lease) {
  leave_queue(table, lease);
  set_due(table, lease, INT64_MAX);
  leave_services(table, lease);
  set_moved(table, lease, false);
  table->counts[lease->record.state]--;
  tdelete(lease, &table->by_id, compare_ids);
  free_lease(lease);
}

int64_t lease_table_renew_ms(int64_t period_ms) {
  return period_ms == 0 || period_ms / 3 > LEASE_RENEW_MOST_MS ? LEASE_RENEW_MOST_MS : period_ms / 3;
}

size_t lease_table_count(const struct lease_table *table, enum lease_state state) {
  return table->counts[state];
}

bool lease_table_renew(struct lease_table *table, struct lease *lease, int64_t now_ms) {
  assert(lease->record.state != LEASE_ENDED);
  bool is_change = lease->record.state != LEASE_LIVE;
  if (is_change)
    enter(table, lease, LEASE_LIVE, now_ms);
  extend(table, lease, now_ms);
  return is_change;
}

void lease_table_move(struct lease_table *table, struct lease *lease) {
  assert(lease->record.state != LEASE_ENDED);
  set_moved(table, lease, true);
}

void lease_table_resume_moved(struct lease_table *table, struct lease *lease, int64_t end_ms) {
  lease_table_move(table, lease);
  lease->record.end_ms = end_ms;
  set_due(table, lease, end_ms);
}

size_t lease_table_moved(const struct lease_table *table) {
  return table->moved;
}

/* The end. */

static bool is_silent(const struct lease *lease, int64_t now_ms) {
  if (lease->record.state == LEASE_LIVE)
    return lease->period_ms > 0 && lease->record.end_ms - now_ms <= lease->period_ms / 3;
  return lease->record.state == LEASE_STALE;
}

static bool is_in_doubt(struct lease_service *service, int64_t now_ms) {
  if (service->counted_ms == now_ms)
    return service->is_in_doubt;
  size_t silent = 0, all = 0;
  for (size_t i = 0; i < service->count; i++) {
    silent += is_silent(service->leases[i], now_ms);
    all += service->leases[i]->record.state != LEASE_ENDED;
  }
  service->counted_ms = now_ms;
  service->is_in_doubt = silent >= LEASE_DOUBT_LEAST && 2 * silent > all;
  return service->is_in_doubt;
}

static uint32_t find_doubts(struct lease *lease, int64_t now_ms) {
  uint32_t doubts = 0;
  for (size_t i = 0; i < lease->service_count; i++)
    if (lease->record.is_moved || is_in_doubt(lease->services[i].service, now_ms))
      doubts |= 1u << i;
  if (doubts) {
    lease->doubt_ms = now_ms;
    lease->doubt_mask = doubts;
  } else if (lease->record.state == LEASE_STALE && now_ms - lease->doubt_ms < lease->period_ms) {
    doubts = lease->doubt_mask;
  }
  return doubts;
}

int64_t lease_table_next_ms(const struct lease_table *table) {
  return table->due_count ? table->heap[0]->due_ms : INT64_MAX;
}

size_t lease_table_due(struct lease_table *table, int64_t now_ms, struct lease_case *out, size_t most) {
  size_t count = 0;
  while (count < most && lease_table_next_ms(table) <= now_ms) {
    struct lease *lease = table->heap[0];
    set_due(table, lease, INT64_MAX);
    out[count++] = (struct lease_case){lease, lease->record.state == LEASE_ENDED ? 0 : find_doubts(lease, now_ms)};
  }
  return count;
}

enum lease_verdict lease_table_judge(struct lease_table *table, const struct lease_case *lease_case, int64_t now_ms,
                                     bool passes) {
  struct lease *lease = lease_case->lease;
  if (lease->due_ms != INT64_MAX || (lease->record.state == LEASE_LIVE && lease->period_ms == 0))
    return LEASE_KEPT;
  if (lease->record.state == LEASE_ENDED)
    return LEASE_IS_REMOVABLE;
  bool was_stale = lease->record.state == LEASE_STALE;
  bool is_over = was_stale && now_ms - lease->record.since_ms >= REGISTRY_STALE_MOST_MS;
  if (lease_case->doubts && passes && !is_over) {
    if (!was_stale)
      enter(table, lease, LEASE_STALE, now_ms);
    int64_t last_ms = lease->record.since_ms + REGISTRY_STALE_MOST_MS;
    set_due(table, lease, now_ms + LEASE_LOOK_MS < last_ms ? now_ms + LEASE_LOOK_MS : last_ms);
    if (!was_stale)
      lease_table_queue(table, lease, LEASE_WRITE_NOW);
    return was_stale ? LEASE_KEPT : LEASE_NOW_STALE;
  }
  enter(table, lease, LEASE_ENDED, now_ms);
  set_due(table, lease, now_ms);
  lease_table_queue(table, lease, LEASE_WRITE_NOW);
  return LEASE_NOW_ENDED;
}

void lease_table_postpone(struct lease_table *table, struct lease *lease, int64_t due_ms) {
  set_due(table, lease, due_ms);
}

/* What is to be written. */

void lease_table_queue(struct lease_table *table, struct lease *lease, enum lease_write write) {
  if (lease->write >= write)
    return;
  leave_queue(table, lease);
  struct lease_queue *queue = &table->queues[write];
  lease->write = write;
  lease->next = NULL;
  lease->at = queue->last;
  *queue->last = lease;
  queue->last = &lease->next;
  queue->count++;
}

struct lease *lease_table_take(struct lease_table *table, enum lease_write write) {
  struct lease *lease = table->queues[write].first;
  if (lease)
    leave_queue(table, lease);
  return lease;
}

size_t lease_table_queued(const struct lease_table *table, enum lease_write write) {
  return table->queues[write].count;
}

struct visiting {
  lease_table_visit *visit;
  void *context;
};

static void visit_node(const void *node, VISIT order, void *context) {
  const struct visiting *visiting = context;
  if (order == postorder || order == leaf)
    visiting->visit(visiting->context, *(struct lease *const *)node);
}

void lease_table_each(struct lease_table *table, lease_table_visit *visit, void *context) {
  struct visiting visiting = {visit, context};
  twalk_r(table->by_id, visit_node, &visiting);
}
