#include "probes/schedule.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "gslb/model/store.h"
#include "gslb/net/ftp_client.h"
#include "gslb/net/snmp.h"
#include "probes/demand.h"
#include "probes/kinds/commands.h"
#include "probes/kinds/pinger.h"
#include "probes/muster.h"
#include "probes/runner.h"
#include "probes/sources.h"
#include "probes/sources/figures.h"
#include "probes/traps.h"
#include "probes/wards.h"
#include "probes/watch.h"

#define RUNNING_MOST 16384u
#define DESCRIPTORS_KEPT 64u /* for the store, the loop and the log */
#define LOG_EVERY_MS 10000
#define LOOK_SHARE 4       /* after a look at the registrations there is none for so many times as long as it took */
#define QUIET_INTERVALS 10 /* without an answer: nobody asks for the service */

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
  struct figures *figures; /* what sources write */
  struct sources *sources;
  struct traps *traps; /* NULL: none are taken */
  struct demand *demand;
  struct store *durable; /* NULL: not open */
  struct loop_timer *look;
  int64_t next_look_us; /* mono: not before it */
  struct wards *wards;
  struct runner *runner;
  struct random random;
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

static void take_result(void *context, struct check *check, const struct probe_result *result) {
  struct schedule *schedule = context;
  if (result->reason == PROBE_NOT_MADE) {
    if (may_log(&schedule->not_made_logged_ms))
      log_error("probes cannot be made, states stay as they are: monitor %s: %s", check->target.monitor->name,
                result->text);
    return;
  }
  atomic_fetch_add_explicit(&schedule->child->board->gauges[BOARD_PROBE_RESULTS], 1, memory_order_relaxed);
  wards_result(schedule->wards, check, result);
}

static bool is_idle(void *context, const struct check *check) {
  const struct schedule *schedule = context;
  int64_t now_ms = mono_now_ms(), least_ms = QUIET_INTERVALS * check->target.monitor->interval_ms;
  const struct watch *watch;
  LIST_FOREACH(watch, &check->watches, entry)
  if (demand_quiet_ms(schedule->demand, watch->service, now_ms) < least_ms)
    return false;
  return true;
}

static const struct config_service *service_now(const void *context, size_t service) {
  return muster_service(context, service);
}

static void look_at_demand(struct schedule *schedule) {
  demand_look(schedule->demand, schedule->durable, service_now, schedule->muster, mono_now_ms());
  wards_wake_idle(schedule->wards, is_idle, schedule);
}

static void service_changed(void *context, size_t service) {
  struct schedule *schedule = context;
  wards_service_changed(schedule->wards, service);
  demand_members_changed(schedule->demand, service);
  sources_service_changed(schedule->sources, service);
}

static bool knows_device(void *context, const struct addr *device) {
  const struct schedule *schedule = context;
  return sources_knows(schedule->sources, device);
}

static void read_device(void *context, const struct addr *device) {
  const struct schedule *schedule = context;
  sources_measure_device(schedule->sources, device);
}

static void take_traps(struct schedule *schedule, const struct config *config) {
  struct traps_readers readers = {.knows = knows_device, .read = read_device, .context = schedule};
  struct errbuf err;
  int fd = schedule->child->trap;
  traps_free(schedule->traps);
  schedule->traps = NULL;
  schedule->child->trap = -1;
  if (fd < 0)
    return;
  schedule->traps = traps_new(schedule->loop, schedule->tools.snmp, config, fd, &readers, &err);
  if (!schedule->traps)
    log_error("%s; no traps are taken", err.text);
}

/* Everything anew: the child's configuration with this muster of it, which the schedule takes over. */
static void take_muster(struct schedule *schedule, struct muster *muster) {
  const struct config *config = schedule->child->config;
  wards_take(schedule->wards, config, muster);
  sources_take(schedule->sources, config, muster);
  take_traps(schedule, config);
  demand_free(schedule->demand);
  schedule->demand = demand_new(config, schedule->child->board, mono_now_ms());
  muster_free(schedule->muster);
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
  enum wards_start start = muster_is_complete(schedule->muster) ? WARDS_AT_ONCE : WARDS_SPREAD;
  enum status status = muster_refresh(schedule->muster, schedule->durable, service_changed, schedule, &err);
  if (status != STATUS_OK && may_log(&schedule->durable_logged_ms))
    log_error("registered members are probed as they were known: %s", err.text);
  if (status == STATUS_OK)
    schedule->durable_logged_ms = 0;
  wards_plan(schedule->wards, start);
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

static void read_store(struct schedule *schedule) {
  struct errbuf err = {0};
  enum stored wanted = muster_is_complete(schedule->muster) ? STORED_SWEPT : STORED_TAKEN;
  if (schedule->stored >= wanted)
    return;
  enum status status = journal_open(schedule->journal, &err);
  if (status == STATUS_OK)
    status = wards_read_stored(schedule->wards, &err);
  if (status == STATUS_OK) {
    figures_attach(schedule->figures, journal_store(schedule->journal));
    status = sources_read_stored(schedule->sources, &err);
  }
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
  set_gauge(schedule, BOARD_PROBE_LATE_US, runner_lateness_us(schedule->runner));
  if (runner_crowd_went(schedule->runner))
    malloc_trim(0);
  look(schedule);
  look_at_demand(schedule);
  sources_second(schedule->sources, schedule->durable, time(NULL));
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
  child->trap = child_take_descriptor(schedule->message, 1);
  take_muster(schedule, muster);
  wards_plan(schedule->wards, WARDS_SPREAD);
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
  else if (message->kind == CHANNEL_MEASURE)
    sources_asked(schedule->sources, message->text, message->length);
  else if (message->kind == CHANNEL_STOP)
    loop_stop(schedule->loop);
  for (size_t i = 0; i < message->fd_count; i++)
    close(message->fds[i]);
}

/* How many probes may run at once, within what the process may open beside what sources open. */
static size_t find_room(void) {
  struct rlimit limit;
  size_t kept = DESCRIPTORS_KEPT + SOURCES_RUNNING_MOST;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= RUNNING_MOST + kept)
    return RUNNING_MOST;
  if (limit.rlim_cur < 4 * kept)
    kept = DESCRIPTORS_KEPT;
  return limit.rlim_cur > 2 * kept ? limit.rlim_cur - kept : kept;
}

static struct schedule *schedule_new(struct child *child) {
  struct schedule *schedule = mem_alloc(sizeof *schedule);
  schedule->child = child;
  schedule->message = mem_alloc(sizeof *schedule->message);
  random_seed_system(&schedule->random);
  schedule->loop = loop_new();
  schedule->tools = (struct probe_tools){
      .loop = schedule->loop,
      .http = http_client_new(schedule->loop),
      .ftp = ftp_client_new(schedule->loop),
      .resolver = resolver_new(schedule->loop),
      .snmp = snmp_client_new(schedule->loop),
      .pinger = pinger_new(schedule->loop, child->ping),
      .commands = commands_new(schedule->loop, child->commands),
  };
  schedule->journal = journal_new(child->config->server.run, schedule->loop, &child->house, child->board, &child->bell);
  struct runner_links runner = {.tools = &schedule->tools,
                                .random = &schedule->random,
                                .room = find_room(),
                                .result = take_result,
                                .is_idle = is_idle,
                                .context = schedule,
                                .running = &child->board->gauges[BOARD_PROBE_RUNNING]};
  schedule->runner = runner_new(&runner);
  struct wards_links wards = {.journal = schedule->journal,
                              .runner = schedule->runner,
                              .house = &child->house,
                              .random = &schedule->random};
  schedule->wards = wards_new(&wards);
  schedule->figures = figures_new(schedule->loop, &child->house, child->board, &child->bell);
  schedule->sources = sources_new(child, &schedule->tools, schedule->figures);
  schedule->second = loop_timer_new(schedule->loop, second_passed, schedule);
  schedule->look = loop_timer_new(schedule->loop, look_is_due, schedule);
  schedule->bell = loop_poll_new(schedule->loop, child->bell.ears[BOARD_EAR_PROBE], bell_rang, schedule);
  schedule->channel = loop_poll_new(schedule->loop, child->channel, message_came, schedule);
  return schedule;
}

static void schedule_free(struct schedule *schedule) {
  traps_free(schedule->traps);
  sources_free(schedule->sources);
  figures_free(schedule->figures);
  wards_free(schedule->wards);
  runner_free(schedule->runner);
  demand_free(schedule->demand);
  muster_free(schedule->muster);
  store_close(schedule->durable);
  journal_free(schedule->journal);
  loop_poll_free(schedule->channel);
  loop_poll_free(schedule->bell);
  loop_timer_free(schedule->look);
  loop_timer_free(schedule->second);
  http_client_free(schedule->tools.http);
  ftp_client_free(schedule->tools.ftp);
  resolver_free(schedule->tools.resolver);
  snmp_client_free(schedule->tools.snmp);
  pinger_free(schedule->tools.pinger);
  commands_free(schedule->tools.commands);
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
  wards_plan(schedule->wards, WARDS_SPREAD);
  set_gauge(schedule, BOARD_PROBE_RUNNING, 0);
  set_gauge(schedule, BOARD_PROBE_GENERATION, (int64_t)child->generation);
  child_say(child, CHANNEL_READY);
  loop_run(schedule->loop);
  if (!journal_flush(schedule->journal) || !figures_flush(schedule->figures))
    log_warning("some results of probes were not stored before the end");
  set_gauge(schedule, BOARD_PROBE_RUNNING, 0);
  schedule_free(schedule);
  return 0;
}
