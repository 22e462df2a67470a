#include "probes/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "gslb/model/store.h"
#include "probes/judge.h"
#include "probes/muster.h"
#include "probes/pace.h"
#include "probes/watch.h"

#define RUNNING_MOST 4096u
#define DESCRIPTORS_KEPT 64u /* for the store, the loop and the log */
#define LOG_EVERY_MS 10000
#define LOOK_SHARE 4 /* after a look at the registrations there is none for so many times as long as it took */

enum stored { /* what was known before this process started */
              STORED_UNREAD,
              STORED_TAKEN, /* its records are taken over */
              STORED_SWEPT, /* and the rows of what is no longer there are deleted */
};

struct schedule {
  struct child *child;
  struct loop *loop;
  struct probe_tools tools;
  struct journal *journal;
  struct loop_timer *second;
  struct loop_poll *channel, *bell;
  struct channel_message *message;
  struct muster *muster;
  struct store *durable; /* NULL: not open */
  struct loop_timer *look;
  int64_t next_look_us;     /* mono: not before it */
  struct watch_list *lists; /* one a service, in the muster's order */
  size_t list_count;
  struct watch_list fresh; /* watches to be planned; borrowed from the lists, in no order */
  size_t fresh_capacity;
  TAILQ_HEAD(watch_line, watch) line; /* watches that wait for room */
  size_t running, room;
  struct random random;
  struct lateness lateness;
  enum stored stored;
  int64_t store_logged_ms, durable_logged_ms, not_made_logged_ms; /* mono; 0 never */
};

static void set_gauge(struct schedule *schedule, enum board_gauge gauge, int64_t value) {
  atomic_store_explicit(&schedule->child->board->gauges[gauge], value, memory_order_relaxed);
}

static bool may_log(int64_t *logged_ms) {
  int64_t now_ms = mono_now_ms();
  if (*logged_ms && now_ms - *logged_ms < LOG_EVERY_MS)
    return false;
  *logged_ms = now_ms;
  return true;
}

static void log_change(const struct watch *watch, enum health before) {
  char address[ADDR_TEXT_SIZE];
  log_info("%s/%s %s monitor %s: %s, was %s (%s)", watch->target.service, watch_member(watch),
           addr_format(&watch->target.address, address), watch->target.monitor->name,
           health_name(watch->item.record.state), health_name(before), watch->item.record.reason);
}

static void take_result(struct watch *watch, const struct probe_result *result) {
  struct schedule *schedule = watch->schedule;
  const struct config_monitor *monitor = watch->target.monitor;
  enum health before = watch->item.record.state;
  if (result->reason == PROBE_NOT_MADE) {
    if (may_log(&schedule->not_made_logged_ms))
      log_error("probes cannot be made, states stay as they are: %s", result->text);
    return;
  }
  enum judge_news news =
      judge_result(&watch->item.record, result, house_now_ms(&schedule->child->house), monitor->rise, monitor->fall);
  atomic_fetch_add_explicit(&schedule->child->board->gauges[BOARD_PROBE_RESULTS], 1, memory_order_relaxed);
  journal_put(schedule->journal, &watch->item, news != JUDGE_ROUTINE);
  if (news == JUDGE_STATE)
    log_change(watch, before);
}

static void serve_line(struct schedule *schedule);

static void get_in_line(struct watch *watch) {
  TAILQ_INSERT_TAIL(&watch->schedule->line, watch, entry);
  watch->is_queued = true;
}

static void probe_finished(void *context, const struct probe_result *result) {
  struct watch *watch = context;
  struct schedule *schedule = watch->schedule;
  watch->run = NULL;
  schedule->running--;
  take_result(watch, result);
  if (watch->stage == WATCH_WAITING)
    get_in_line(watch);
  serve_line(schedule);
}

static void start_probe(struct watch *watch) {
  struct schedule *schedule = watch->schedule;
  const struct config_monitor *monitor = watch->target.monitor;
  int64_t now_us = mono_now_us();
  lateness_note(&schedule->lateness, now_us - watch->planned_us);
  watch->stage = WATCH_RESTING;
  watch->planned_us = pace_next_us(watch->planned_us, now_us, monitor->interval_ms * 1000, monitor->timeout_ms * 1000,
                                   &schedule->random);
  loop_timer_at(watch->timer, watch->planned_us);
  schedule->running++;
  watch->run = probe_kind_of(monitor->type)->start(&schedule->tools, &watch->target, probe_finished, watch);
}

static void serve_line(struct schedule *schedule) {
  struct watch *watch;
  while (schedule->running < schedule->room && (watch = TAILQ_FIRST(&schedule->line))) {
    TAILQ_REMOVE(&schedule->line, watch, entry);
    watch->is_queued = false;
    start_probe(watch);
  }
  set_gauge(schedule, BOARD_PROBE_RUNNING, (int64_t)schedule->running);
}

static void start_is_due(void *context) {
  struct watch *watch = context;
  watch->stage = WATCH_WAITING;
  /* a probe that itself started late may still have time; this one then follows as soon as it ends */
  if (!watch->run)
    get_in_line(watch);
  serve_line(watch->schedule);
}

static void watch_stop(struct watch *watch) {
  struct schedule *schedule = watch->schedule;
  if (watch->run) {
    probe_kind_of(watch->target.monitor->type)->cancel(watch->run);
    watch->run = NULL;
    schedule->running--;
  }
  if (watch->is_queued)
    TAILQ_REMOVE(&schedule->line, watch, entry);
  loop_timer_free(watch->timer);
  watch->timer = NULL;
  watch->is_queued = false;
  watch->stage = WATCH_RESTING;
  watch->planned_us = 0;
}

struct group { /* the watches of one monitor that are to be spread */
  size_t count, given;
  uint32_t phase;
};

/* Shuffled, so that the members of one service are not all looked at in one corner of the interval. */
static void shuffle(struct schedule *schedule, struct watch_list *list) {
  for (size_t i = list->count; i > 1; i--) {
    size_t other = random_below(&schedule->random, (uint32_t)i);
    struct watch *swapped = list->items[i - 1];
    list->items[i - 1] = list->items[other];
    list->items[other] = swapped;
  }
}

static void spread(struct schedule *schedule, int64_t now_us) {
  const struct config *config = schedule->child->config;
  struct watch_list *fresh = &schedule->fresh;
  struct group *groups = mem_array(config->monitor_count, sizeof *groups);
  shuffle(schedule, fresh);
  for (size_t i = 0; i < config->monitor_count; i++)
    groups[i].phase = (uint32_t)random_next(&schedule->random);
  for (size_t i = 0; i < fresh->count; i++)
    groups[fresh->items[i]->target.monitor - config->monitors].count++;
  for (size_t i = 0; i < fresh->count; i++) {
    struct watch *watch = fresh->items[i];
    struct group *group = &groups[watch->target.monitor - config->monitors];
    watch->planned_us =
        pace_first_us(now_us, watch->target.monitor->interval_ms * 1000, group->given++, group->count, group->phase);
  }
  free(groups);
}

enum first_start { AT_ONCE, SPREAD };

static void plan_fresh(struct schedule *schedule, enum first_start start) {
  struct watch_list *fresh = &schedule->fresh;
  int64_t now_us = mono_now_us();
  if (start == SPREAD)
    spread(schedule, now_us);
  for (size_t i = 0; i < fresh->count; i++) {
    struct watch *watch = fresh->items[i];
    if (start == AT_ONCE)
      watch->planned_us = now_us;
    watch->timer = loop_timer_new(schedule->loop, start_is_due, watch);
    loop_timer_at(watch->timer, watch->planned_us);
  }
  fresh->count = 0;
  if (start == SPREAD) { /* there are never so many again */
    free(fresh->items);
    fresh->items = NULL;
    schedule->fresh_capacity = 0;
  }
}

static void add_fresh(struct schedule *schedule, struct watch *watch) {
  struct watch_list *fresh = &schedule->fresh;
  fresh->items = mem_grow(fresh->items, &schedule->fresh_capacity, fresh->count + 1, sizeof(struct watch *));
  fresh->items[fresh->count++] = watch;
}

static struct watch *go_on_as(struct watch *watch, struct watch *next) {
  if (watch->timer && !watch_probes_alike(watch, next)) {
    watch_stop(watch);
    add_fresh(watch->schedule, watch);
  }
  watch->target.monitor = next->target.monitor;
  watch->target.address = next->target.address;
  free(next);
  return watch;
}

static void retire(struct schedule *schedule, struct watch *watch) {
  for (size_t i = 0; i < schedule->fresh.count && !watch->timer; i++)
    if (schedule->fresh.items[i] == watch)
      schedule->fresh.items[i] = schedule->fresh.items[--schedule->fresh.count];
  watch_stop(watch);
  journal_withdraw(schedule->journal, &watch->item);
  journal_delete(schedule->journal, &watch->item.key);
  free(watch);
}

/* From the watches that a service had to those of how it is now; what both hold goes on. */
static void replace_list(struct schedule *schedule, struct watch_list *list, const struct config_service *service) {
  struct watch_list next;
  watch_list_build(schedule->child->config, service, &next);
  for (size_t i = 0; i < next.count; i++) {
    struct watch *known = watch_list_find(list, &next.items[i]->item.key);
    if (known) {
      next.items[i] = go_on_as(known, next.items[i]);
    } else {
      next.items[i]->schedule = schedule;
      add_fresh(schedule, next.items[i]);
    }
  }
  for (size_t i = 0; i < list->count; i++)
    if (watch_list_find(&next, &list->items[i]->item.key) != list->items[i])
      retire(schedule, list->items[i]);
  free(list->items);
  *list = next;
}

static void service_changed(void *context, size_t service) {
  struct schedule *schedule = context;
  replace_list(schedule, &schedule->lists[service], muster_service(schedule->muster, service));
}

/* Everything anew: the child's configuration with this muster of it, which the schedule takes over. */
static void take_muster(struct schedule *schedule, struct muster *muster) {
  size_t count = schedule->child->config->service_count;
  struct watch_list *lists = mem_array(count, sizeof *lists);
  for (size_t i = 0; i < count; i++) {
    const struct config_service *service = muster_service(muster, i);
    size_t known = schedule->muster && service->name[0] ? muster_find(schedule->muster, service->name) : SIZE_MAX;
    if (known != SIZE_MAX) {
      lists[i] = schedule->lists[known];
      schedule->lists[known] = (struct watch_list){0};
    }
    replace_list(schedule, &lists[i], service);
  }
  for (size_t i = 0; i < schedule->list_count; i++) {
    for (size_t j = 0; j < schedule->lists[i].count; j++)
      retire(schedule, schedule->lists[i].items[j]);
    free(schedule->lists[i].items);
  }
  free(schedule->lists);
  muster_free(schedule->muster);
  schedule->lists = lists;
  schedule->list_count = count;
  schedule->muster = muster;
}

static bool open_durable(struct schedule *schedule) {
  struct errbuf err = {0};
  if (schedule->durable)
    return true;
  const char *state = schedule->child->config->server.state;
  if (store_open(state, STORE_DURABLE, STORE_READ, &schedule->durable, &err) == STATUS_OK) {
    if (schedule->durable_logged_ms)
      log_info("the durable store is open; registered members are probed");
    return true;
  }
  if (may_log(&schedule->durable_logged_ms))
    log_error("registered members are not known, configured ones are probed alone: %s", err.text);
  return false;
}

/* Takes over who registered and who left; they are probed from now on, or no more. */
static void look(struct schedule *schedule) {
  struct errbuf err = {0};
  if (!open_durable(schedule))
    return;
  int64_t began_us = mono_now_us();
  enum first_start start = muster_is_complete(schedule->muster) ? AT_ONCE : SPREAD;
  enum status status = muster_refresh(schedule->muster, schedule->durable, service_changed, schedule, &err);
  if (status != STATUS_OK && may_log(&schedule->durable_logged_ms))
    log_error("registered members are probed as they were known: %s", err.text);
  if (status == STATUS_OK)
    schedule->durable_logged_ms = 0;
  plan_fresh(schedule, start);
  serve_line(schedule);
  int64_t now_us = mono_now_us();
  schedule->next_look_us = now_us + LOOK_SHARE * (now_us - began_us);
}

static void look_is_due(void *context) {
  look(context);
}

static void bell_rang(void *context, int events) {
  (void)events;
  struct schedule *schedule = context;
  board_hear(&schedule->child->bell, BOARD_EAR_PROBE);
  if (mono_now_us() >= schedule->next_look_us)
    look(schedule);
  else
    loop_timer_at(schedule->look, schedule->next_look_us);
}

static void take_stored_row(void *context, const struct record_key *key, const struct health_record *record) {
  struct schedule *schedule = context;
  const char *service = (const char *)key->bytes;
  bool is_named = strnlen(service, key->size) < key->size;
  size_t at = is_named ? muster_find(schedule->muster, service) : SIZE_MAX;
  struct watch *watch = at == SIZE_MAX ? NULL : watch_list_find(&schedule->lists[at], key);
  if (!watch && muster_is_complete(schedule->muster))
    journal_delete(schedule->journal, key);
  else if (watch && record && watch->item.record.last_ms == 0)
    watch->item.record = *record; /* it counts until the first results are in */
}

static void read_store(struct schedule *schedule) {
  struct errbuf err = {0};
  enum stored wanted = muster_is_complete(schedule->muster) ? STORED_SWEPT : STORED_TAKEN;
  if (schedule->stored >= wanted)
    return;
  enum status status = journal_open(schedule->journal, &err);
  if (status == STATUS_OK)
    status = journal_read(schedule->journal, take_stored_row, schedule, &err);
  if (status == STATUS_OK) {
    schedule->stored = wanted;
    if (schedule->store_logged_ms)
      log_info("the live store is open; results are stored");
    schedule->store_logged_ms = 0;
  } else if (may_log(&schedule->store_logged_ms)) {
    log_error("probing goes on without the live store: %s", err.text);
  }
}

static void second_passed(void *context) {
  struct schedule *schedule = context;
  loop_timer_after(schedule->second, 1000);
  set_gauge(schedule, BOARD_PROBE_LATE_US, lateness_most_us(&schedule->lateness));
  lateness_tick(&schedule->lateness);
  look(schedule);
  read_store(schedule);
  journal_tidy(schedule->journal);
}

static void take_config(struct schedule *schedule) {
  struct child *child = schedule->child;
  struct config *config;
  struct errbuf err = {0};
  if (child_parse_config(schedule->message, &config, &err) != STATUS_OK) {
    log_error("reload: the old configuration stays: %s", err.text);
    return;
  }
  struct muster *muster = muster_new(config);
  if (schedule->durable && muster_refresh(muster, schedule->durable, NULL, NULL, &err) != STATUS_OK) {
    /* without them every registered member's rows would go; the supervisor restarts who does not answer */
    log_error("reload: the old configuration stays: %s", err.text);
    muster_free(muster);
    config_free(config);
    return;
  }
  struct config *old = child->config;
  child->config = config;
  take_muster(schedule, muster);
  plan_fresh(schedule, SPREAD);
  serve_line(schedule);
  config_free(old);
  child->generation = schedule->message->generation;
  set_gauge(schedule, BOARD_PROBE_GENERATION, (int64_t)child->generation);
  child_set_log(child->config, BOARD_PROBE);
  child_say(child, CHANNEL_TAKEN);
}

static void message_came(void *context, int events) {
  (void)events;
  struct schedule *schedule = context;
  struct channel_message *message = schedule->message;
  enum status status = channel_receive(schedule->child->channel, message);
  if (status == STATUS_INVALID || status == STATUS_TIMEOUT)
    return;
  if (status != STATUS_OK) {
    loop_stop(schedule->loop);
    return;
  }
  if (message->kind == CHANNEL_CONFIG)
    take_config(schedule);
  else if (message->kind == CHANNEL_STOP)
    loop_stop(schedule->loop);
  for (size_t i = 0; i < message->fd_count; i++)
    close(message->fds[i]);
}

static size_t find_room(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= RUNNING_MOST + DESCRIPTORS_KEPT)
    return RUNNING_MOST;
  return limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT : DESCRIPTORS_KEPT;
}

static struct schedule *schedule_new(struct child *child) {
  struct schedule *schedule = mem_alloc(sizeof *schedule);
  schedule->child = child;
  schedule->message = mem_alloc(sizeof *schedule->message);
  schedule->room = find_room();
  TAILQ_INIT(&schedule->line);
  random_seed_system(&schedule->random);
  schedule->loop = loop_new();
  schedule->tools = (struct probe_tools){
      .loop = schedule->loop,
      .http = http_client_new(schedule->loop),
      .resolver = resolver_new(schedule->loop),
  };
  schedule->journal = journal_new(child->config->server.run, schedule->loop, &child->house, child->board, &child->bell);
  schedule->second = loop_timer_new(schedule->loop, second_passed, schedule);
  schedule->look = loop_timer_new(schedule->loop, look_is_due, schedule);
  schedule->bell = loop_poll_new(schedule->loop, child->bell.ears[BOARD_EAR_PROBE], bell_rang, schedule);
  schedule->channel = loop_poll_new(schedule->loop, child->channel, message_came, schedule);
  return schedule;
}

static void schedule_free(struct schedule *schedule) {
  for (size_t i = 0; i < schedule->list_count; i++) {
    for (size_t j = 0; j < schedule->lists[i].count; j++) {
      watch_stop(schedule->lists[i].items[j]);
      journal_withdraw(schedule->journal, &schedule->lists[i].items[j]->item);
    }
    watch_list_release(&schedule->lists[i]);
  }
  free(schedule->lists);
  free(schedule->fresh.items);
  muster_free(schedule->muster);
  store_close(schedule->durable);
  journal_free(schedule->journal);
  loop_poll_free(schedule->channel);
  loop_poll_free(schedule->bell);
  loop_timer_free(schedule->look);
  loop_timer_free(schedule->second);
  http_client_free(schedule->tools.http);
  resolver_free(schedule->tools.resolver);
  loop_free(schedule->loop);
  free(schedule->message);
  free(schedule);
}

int probe_run(struct child *child) {
  struct schedule *schedule = schedule_new(child);
  if (!schedule->channel || !schedule->bell) {
    log_error("the channel to the supervisor or the bell cannot be watched");
    schedule_free(schedule);
    return 1;
  }
  loop_poll_watch(schedule->channel, LOOP_READABLE);
  loop_poll_watch(schedule->bell, LOOP_READABLE);
  loop_timer_after(schedule->second, 1000);
  take_muster(schedule, muster_new(child->config));
  look(schedule);
  read_store(schedule);
  plan_fresh(schedule, SPREAD);
  set_gauge(schedule, BOARD_PROBE_RUNNING, 0);
  set_gauge(schedule, BOARD_PROBE_GENERATION, (int64_t)child->generation);
  child_say(child, CHANNEL_READY);
  loop_run(schedule->loop);
  if (!journal_flush(schedule->journal))
    log_warning("some results of probes were not stored before the end");
  set_gauge(schedule, BOARD_PROBE_RUNNING, 0);
  schedule_free(schedule);
  return 0;
}
