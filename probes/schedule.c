#include "probes/schedule.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "probes/judge.h"
#include "probes/pace.h"
#include "probes/watch.h"

#define RUNNING_MOST 4096u
#define DESCRIPTORS_KEPT 64u /* for the store, the loop and the log */
#define LOG_EVERY_MS 10000

struct schedule {
  struct child *child;
  struct loop *loop;
  struct probe_tools tools;
  struct journal *journal;
  struct loop_timer *second;
  struct loop_poll *channel;
  struct channel_message *message;
  struct watch_list watches;
  TAILQ_HEAD(watch_line, watch) line; /* watches that wait for room */
  size_t running, room;
  struct random random;
  struct lateness lateness;
  bool has_read_store;                         /* what was known before this process started is taken over */
  int64_t store_logged_ms, not_made_logged_ms; /* mono; 0 never */
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
  log_info("%s/%s %s monitor %s: %s, was %s (%s)", watch->target.service, watch->member,
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

static size_t find_unplanned(const struct watch_list *watches, struct watch **out) {
  size_t count = 0;
  for (size_t i = 0; i < watches->count; i++)
    if (!watches->items[i]->timer)
      out[count++] = watches->items[i];
  return count;
}

static void plan_watches(struct schedule *schedule) {
  const struct config *config = schedule->child->config;
  struct watch **watches = mem_array(schedule->watches.count, sizeof(struct watch *));
  struct group *groups = mem_array(config->monitor_count, sizeof *groups);
  size_t count = find_unplanned(&schedule->watches, watches);
  /* shuffled, so that the members of one service are not all looked at in one corner of the interval */
  for (size_t i = count; i > 1; i--) {
    size_t other = random_below(&schedule->random, (uint32_t)i);
    struct watch *swapped = watches[i - 1];
    watches[i - 1] = watches[other];
    watches[other] = swapped;
  }
  for (size_t i = 0; i < config->monitor_count; i++)
    groups[i].phase = (uint32_t)random_next(&schedule->random);
  for (size_t i = 0; i < count; i++)
    groups[watches[i]->target.monitor - config->monitors].count++;
  int64_t now_us = mono_now_us();
  for (size_t i = 0; i < count; i++) {
    struct watch *watch = watches[i];
    struct group *group = &groups[watch->target.monitor - config->monitors];
    watch->planned_us =
        pace_first_us(now_us, watch->target.monitor->interval_ms * 1000, group->given++, group->count, group->phase);
    watch->timer = loop_timer_new(schedule->loop, start_is_due, watch);
    loop_timer_at(watch->timer, watch->planned_us);
  }
  free(groups);
  free(watches);
}

static struct watch *go_on_as(struct watch *watch, struct watch *next) {
  if (!watch_probes_alike(watch, next))
    watch_stop(watch);
  watch->target = next->target;
  watch->member = next->member;
  free(next);
  return watch;
}

/* From the watches of one configuration to those of the next, which the child holds already. */
static void take_watches(struct schedule *schedule) {
  struct watch_list next;
  watch_list_build(schedule->child->config, &next);
  for (size_t i = 0; i < next.count; i++) {
    struct watch *known = watch_list_find(&schedule->watches, &next.items[i]->item.key);
    if (known)
      next.items[i] = go_on_as(known, next.items[i]);
    else
      next.items[i]->schedule = schedule;
  }
  for (size_t i = 0; i < schedule->watches.count; i++) {
    struct watch *watch = schedule->watches.items[i];
    if (watch_list_find(&next, &watch->item.key) == watch)
      continue;
    watch_stop(watch);
    journal_withdraw(schedule->journal, &watch->item);
    journal_delete(schedule->journal, &watch->item.key);
    free(watch);
  }
  free(schedule->watches.items);
  schedule->watches = next;
}

static void take_stored_row(void *context, const struct record_key *key, const struct health_record *record) {
  struct schedule *schedule = context;
  struct watch *watch = watch_list_find(&schedule->watches, key);
  if (!watch)
    journal_delete(schedule->journal, key);
  else if (record && watch->item.record.last_ms == 0)
    watch->item.record = *record; /* it counts until the first results are in */
}

static void read_store(struct schedule *schedule) {
  struct errbuf err = {0};
  if (schedule->has_read_store)
    return;
  enum status status = journal_open(schedule->journal, &err);
  if (status == STATUS_OK)
    status = journal_read(schedule->journal, take_stored_row, schedule, &err);
  if (status == STATUS_OK) {
    schedule->has_read_store = true;
    if (schedule->store_logged_ms)
      log_info("the live store is open; results are stored");
  } else if (may_log(&schedule->store_logged_ms)) {
    log_error("probing goes on without the live store: %s", err.text);
  }
}

static void second_passed(void *context) {
  struct schedule *schedule = context;
  loop_timer_after(schedule->second, 1000);
  set_gauge(schedule, BOARD_PROBE_LATE_US, lateness_most_us(&schedule->lateness));
  lateness_tick(&schedule->lateness);
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
  struct config *old = child->config;
  child->config = config;
  take_watches(schedule);
  plan_watches(schedule);
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
  schedule->channel = loop_poll_new(schedule->loop, child->channel, message_came, schedule);
  return schedule;
}

static void schedule_free(struct schedule *schedule) {
  for (size_t i = 0; i < schedule->watches.count; i++) {
    watch_stop(schedule->watches.items[i]);
    journal_withdraw(schedule->journal, &schedule->watches.items[i]->item);
  }
  watch_list_release(&schedule->watches);
  journal_free(schedule->journal);
  loop_poll_free(schedule->channel);
  loop_timer_free(schedule->second);
  http_client_free(schedule->tools.http);
  resolver_free(schedule->tools.resolver);
  loop_free(schedule->loop);
  free(schedule->message);
  free(schedule);
}

int probe_run(struct child *child) {
  struct schedule *schedule = schedule_new(child);
  if (!schedule->channel) {
    log_error("the channel to the supervisor cannot be watched");
    schedule_free(schedule);
    return 1;
  }
  loop_poll_watch(schedule->channel, LOOP_READABLE);
  loop_timer_after(schedule->second, 1000);
  take_watches(schedule);
  read_store(schedule);
  plan_watches(schedule);
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
