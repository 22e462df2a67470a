#include "probes/wards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "probes/judge.h"
#include "probes/measure.h"
#include "probes/pace.h"
#include "probes/watch.h"

#define MARK_EVERY_MS 1000 /* a service whose load depends on what is measured */

struct ward { /* a service */
  struct watch_list watches;
  struct measure **measures; /* in order of members */
  size_t measure_count;
  int64_t marked_ms; /* house time: measures were news */
};

struct wards {
  const struct config *config;
  const struct muster *muster;
  struct journal *journal;
  struct runner *runner;
  const struct house *house;
  struct random *random;
  struct ward *items; /* one a service, in the muster's order */
  size_t count;
  struct checks checks;
  struct check **fresh; /* checks to be planned, in no order */
  size_t fresh_count, fresh_capacity;
};

struct wards *wards_new(const struct wards_links *links) {
  struct wards *wards = mem_alloc(sizeof *wards);
  wards->journal = links->journal;
  wards->runner = links->runner;
  wards->house = links->house;
  wards->random = links->random;
  return wards;
}

static void log_change(const struct watch *watch, enum health before) {
  char address[ADDR_TEXT_SIZE];
  log_info("%s/%s %s monitor %s: %s, was %s (%s)", watch->target.service, watch_member(watch),
           addr_format(&watch->address, address), watch->target.monitor->name, health_name(watch->record.state),
           health_name(before), watch->record.reason);
}

/* Whether readers are to be told: the load of the service depends on it, and it is not marked all the time. */
static bool is_measure_news(struct measure *measure, struct ward *ward, int64_t now_ms) {
  if (!measure->load || now_ms - ward->marked_ms < MARK_EVERY_MS)
    return false;
  ward->marked_ms = now_ms;
  return true;
}

static void tell_watch(struct wards *wards, struct ward *ward, struct watch *watch, const struct probe_result *result,
                       int64_t now_ms) {
  const struct config_monitor *monitor = watch->target.monitor;
  enum health before = watch->record.state;
  enum judge_news news = judge_result(&watch->record, result, now_ms, monitor->rise, monitor->fall);
  journal_put(wards->journal, &watch->row, news != JUDGE_ROUTINE);
  if (news == JUDGE_STATE)
    log_change(watch, before);
  if (measure_take(watch->measure, result, watch->check, watch->check->results, now_ms))
    journal_put(wards->journal, &watch->measure->row, is_measure_news(watch->measure, ward, now_ms));
}

void wards_result(struct wards *wards, struct check *check, const struct probe_result *result) {
  struct watch *watch;
  check->last = *result;
  check->last_ms = house_now_ms(wards->house);
  LIST_FOREACH(watch, &check->watches, entry)
  tell_watch(wards, &wards->items[watch->service], watch, result, check->last_ms);
}

struct group { /* the checks of one monitor that are to be spread */
  size_t count, given;
  uint32_t phase;
};

/* Shuffled, so that the members of one service are not all looked at in one corner of the interval. */
static void shuffle(struct wards *wards) {
  for (size_t i = wards->fresh_count; i > 1; i--) {
    size_t other = random_below(wards->random, (uint32_t)i);
    struct check *swapped = wards->fresh[i - 1];
    wards->fresh[i - 1] = wards->fresh[other];
    wards->fresh[other] = swapped;
  }
}

static void plan_spread(struct wards *wards, int64_t now_us) {
  const struct config *config = wards->config;
  struct group *groups = mem_array(config->monitor_count, sizeof *groups);
  shuffle(wards);
  for (size_t i = 0; i < config->monitor_count; i++)
    groups[i].phase = (uint32_t)random_next(wards->random);
  for (size_t i = 0; i < wards->fresh_count; i++)
    groups[wards->fresh[i]->target.monitor - config->monitors].count++;
  for (size_t i = 0; i < wards->fresh_count; i++) {
    const struct config_monitor *monitor = wards->fresh[i]->target.monitor;
    struct group *group = &groups[monitor - config->monitors];
    runner_plan(wards->runner, wards->fresh[i],
                pace_first_us(now_us, monitor->interval_ms * 1000, group->given++, group->count, group->phase));
  }
  free(groups);
}

void wards_plan(struct wards *wards, enum wards_start start) {
  int64_t now_us = mono_now_us();
  if (start == WARDS_SPREAD)
    plan_spread(wards, now_us);
  for (size_t i = 0; i < wards->fresh_count && start == WARDS_AT_ONCE; i++)
    runner_plan(wards->runner, wards->fresh[i], now_us);
  wards->fresh_count = 0;
  if (start == WARDS_SPREAD) { /* there are never so many again */
    free(wards->fresh);
    wards->fresh = NULL;
    wards->fresh_capacity = 0;
  }
}

static void add_fresh(struct wards *wards, struct check *check) {
  wards->fresh = mem_grow(wards->fresh, &wards->fresh_capacity, wards->fresh_count + 1, sizeof(struct check *));
  wards->fresh[wards->fresh_count++] = check;
}

static void leave_check(struct wards *wards, struct watch *watch) {
  struct check *check = watch->check;
  LIST_REMOVE(watch, entry);
  watch->check = NULL;
  if (!LIST_EMPTY(&check->watches))
    return;
  for (size_t i = 0; i < wards->fresh_count && !check->is_planned; i++)
    if (wards->fresh[i] == check)
      wards->fresh[i] = wards->fresh[--wards->fresh_count];
  runner_stop(wards->runner, check);
  checks_drop(&wards->checks, check);
}

static void join_check(struct wards *wards, struct watch *watch) {
  struct check *check = checks_take(&wards->checks, &watch->target);
  if (check == watch->check)
    return;
  if (LIST_EMPTY(&check->watches))
    add_fresh(wards, check);
  LIST_INSERT_HEAD(&check->watches, watch, entry);
  watch->check = check;
}

static struct watch *go_on_as(struct watch *watch, struct watch *next) {
  struct wards *wards = watch->wards;
  if (probe_target_compare(&watch->check->target, &next->target) != 0)
    leave_check(wards, watch);
  next->target.service = watch->target.service;
  watch->target = next->target;
  join_check(wards, watch);
  free(next);
  return watch;
}

static void begin_watch(struct wards *wards, struct watch *watch) {
  watch->wards = wards;
  join_check(wards, watch);
  if (watch->record.state == HEALTH_UNKNOWN)
    return;
  watch->record.since_ms = house_now_ms(wards->house);
  snprintf(watch->record.reason, sizeof watch->record.reason, "not probed yet");
  journal_put(wards->journal, &watch->row, true);
}

static void retire(struct wards *wards, struct watch *watch) {
  leave_check(wards, watch);
  live_row_withdraw(&watch->row);
  journal_delete(wards->journal, STORE_DB_HEALTH, &watch->row.key);
  free(watch);
}

static struct measure *find_measure(const struct ward *ward, const char *member) {
  size_t low = 0, high = ward->measure_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = strcmp(member, measure_member(ward->measures[middle]));
    if (order == 0)
      return ward->measures[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}

static void drop_measure(struct wards *wards, struct measure *measure) {
  live_row_withdraw(&measure->row);
  journal_delete(wards->journal, STORE_DB_METRICS_PROBE, &measure->row.key);
  measure_free(measure);
}

/* One for each member that is watched; those of members that stay go on. */
static void replace_measures(struct wards *wards, struct ward *ward, size_t service) {
  const struct config *config = wards->config;
  uint32_t load = config->services[service].load;
  struct ward next = {.measures = mem_array(ward->watches.count + 1, sizeof(struct measure *))};
  for (size_t from = 0, to; from < ward->watches.count; from = to) {
    const char *member = watch_member(ward->watches.items[from]);
    struct measure *measure = find_measure(ward, member);
    if (!measure)
      measure = measure_new(ward->watches.items[from]->target.service, member);
    int64_t interval_ms = INT64_MAX;
    for (to = from; to < ward->watches.count && strcmp(watch_member(ward->watches.items[to]), member) == 0; to++) {
      struct watch *watch = ward->watches.items[to];
      watch->measure = measure;
      if (watch->target.monitor->interval_ms < interval_ms)
        interval_ms = watch->target.monitor->interval_ms;
    }
    measure_configure(measure, load == CONFIG_NO_LOAD ? NULL : &config->loads[load], interval_ms);
    next.measures[next.measure_count++] = measure;
  }
  for (size_t i = 0; i < ward->measure_count; i++)
    if (find_measure(&next, measure_member(ward->measures[i])) != ward->measures[i])
      drop_measure(wards, ward->measures[i]);
  free(ward->measures);
  ward->measures = next.measures;
  ward->measure_count = next.measure_count;
}

/* From the watches that a service had to those of how it is now; what both hold goes on. */
static void replace_ward(struct wards *wards, struct ward *ward, size_t service, const struct config_service *now) {
  struct watch_list next, *list = &ward->watches;
  watch_list_build(wards->config, now, &next);
  for (size_t i = 0; i < next.count; i++) {
    struct watch *known = watch_list_find(list, &next.items[i]->row.key);
    if (known)
      next.items[i] = go_on_as(known, next.items[i]);
    else
      begin_watch(wards, next.items[i]);
    next.items[i]->service = service;
  }
  for (size_t i = 0; i < list->count; i++)
    if (watch_list_find(&next, &list->items[i]->row.key) != list->items[i])
      retire(wards, list->items[i]);
  free(list->items);
  *list = next;
  replace_measures(wards, ward, service);
  /* who joins a check that goes on need not wait for its next result */
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i]->record.last_ms == 0 && list->items[i]->check->last_ms > 0)
      tell_watch(wards, ward, list->items[i], &list->items[i]->check->last, list->items[i]->check->last_ms);
}

static void ward_release(struct wards *wards, struct ward *ward) {
  for (size_t i = 0; i < ward->watches.count; i++)
    retire(wards, ward->watches.items[i]);
  for (size_t i = 0; i < ward->measure_count; i++)
    drop_measure(wards, ward->measures[i]);
  free(ward->watches.items);
  free(ward->measures);
  *ward = (struct ward){0};
}

void wards_take(struct wards *wards, const struct config *config, const struct muster *muster) {
  size_t count = config->service_count;
  struct ward *items = mem_array(count + 1, sizeof *items);
  wards->config = config;
  for (size_t i = 0; i < count; i++) {
    const struct config_service *service = muster_service(muster, i);
    size_t known = wards->muster && service->name[0] ? muster_find(wards->muster, service->name) : SIZE_MAX;
    if (known != SIZE_MAX) {
      items[i] = wards->items[known];
      wards->items[known] = (struct ward){0};
    }
    replace_ward(wards, &items[i], i, service);
  }
  for (size_t i = 0; i < wards->count; i++)
    ward_release(wards, &wards->items[i]);
  free(wards->items);
  wards->items = items;
  wards->count = count;
  wards->muster = muster;
}

void wards_service_changed(struct wards *wards, size_t service) {
  replace_ward(wards, &wards->items[service], service, muster_service(wards->muster, service));
}

void wards_wake_idle(struct wards *wards, runner_is_idle *is_idle, void *context) {
  for (size_t i = 0; i < wards->count; i++) {
    const struct watch_list *list = &wards->items[i].watches;
    for (size_t w = 0; w < list->count; w++)
      if (list->items[w]->check->is_idle && !is_idle(context, list->items[w]->check))
        runner_wake(wards->runner, list->items[w]->check);
  }
}

static void take_health(void *context, const struct record_key *key, struct store_bytes value) {
  struct wards *wards = context;
  const char *service = (const char *)key->bytes;
  struct health_record record;
  bool is_named = strnlen(service, key->size) < key->size;
  size_t at = is_named ? muster_find(wards->muster, service) : SIZE_MAX;
  struct watch *watch = at == SIZE_MAX ? NULL : watch_list_find(&wards->items[at].watches, key);
  if (!watch && muster_is_complete(wards->muster))
    journal_delete(wards->journal, STORE_DB_HEALTH, key);
  else if (watch && watch->record.last_ms == 0 && health_decode(value.data, value.size, &record) == STATUS_OK)
    watch->record = record; /* it counts until the first results are in */
}

static void take_metrics(void *context, const struct record_key *key, struct store_bytes value) {
  struct wards *wards = context;
  const char *service = (const char *)key->bytes;
  char member[CONFIG_MEMBER_NAME_MOST + 1];
  size_t length = strnlen(service, key->size);
  size_t left = key->size > length ? key->size - length - 1 : sizeof member;
  struct measure *measure = NULL;
  if (left < sizeof member) {
    memcpy(member, service + length + 1, left);
    member[left] = '\0';
    size_t at = muster_find(wards->muster, service);
    measure = at == SIZE_MAX ? NULL : find_measure(&wards->items[at], member);
  }
  if (!measure && muster_is_complete(wards->muster)) {
    journal_delete(wards->journal, STORE_DB_METRICS_PROBE, key);
    return;
  }
  struct metrics_record *record = mem_alloc(sizeof *record);
  if (measure && metrics_decode(value.data, value.size, record) == STATUS_OK)
    measure_restore(measure, record);
  free(record);
}

enum status wards_read_stored(struct wards *wards, struct errbuf *err) {
  struct store *live = journal_store(wards->journal);
  enum status status = live_rows_read(live, STORE_DB_HEALTH, take_health, wards, err);
  return status == STATUS_OK ? live_rows_read(live, STORE_DB_METRICS_PROBE, take_metrics, wards, err) : status;
}

/* What is stored stays: another process goes on with it. */
void wards_free(struct wards *wards) {
  if (!wards)
    return;
  for (size_t i = 0; i < wards->count; i++) {
    struct ward *ward = &wards->items[i];
    for (size_t w = 0; w < ward->watches.count; w++) {
      leave_check(wards, ward->watches.items[w]);
      live_row_withdraw(&ward->watches.items[w]->row);
    }
    for (size_t m = 0; m < ward->measure_count; m++) {
      live_row_withdraw(&ward->measures[m]->row);
      measure_free(ward->measures[m]);
    }
    watch_list_release(&ward->watches);
    free(ward->measures);
  }
  free(wards->items);
  free(wards->fresh);
  free(wards);
}
