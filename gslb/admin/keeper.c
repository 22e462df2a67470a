#include "gslb/admin/keeper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "gslb/admin/command.h"
#include "gslb/admin/follow.h"
#include "gslb/admin/news.h"
#include "gslb/admin/slots.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"

#define LOOK_ROUND_MS 1000
#define CHECKPOINT_MS 60000
#define SNAPSHOT_HELD_S 5
#define FREE_LEAST_BYTES (64ull << 20)

struct reader_watch { /* of one store: does the oldest reader hold on to one snapshot? */
  int pid;
  uint64_t snapshot;
  unsigned seconds;
};

struct keeper {
  struct keeper_links links;
  pthread_t thread;
  int wake;
  _Atomic bool is_stopping;

  struct view *view; /* whose configuration is followed */
  struct follow *follow;
  struct slots *slots;
  bool needs_slots; /* to be loaded before the next look */
  bool is_failing;  /* the last round failed, and that was logged */
  bool is_low;      /* the disk is nearly full, and that was logged */
  uint32_t restarts[BOARD_PROCESSES];
  struct reader_watch readers[2];
  int64_t next_round_ms;      /* mono */
  int64_t next_checkpoint_ms; /* mono */
};

static void fail(struct keeper *keeper, const struct errbuf *err) {
  if (!keeper->is_failing)
    log_error("%s", err->text);
  keeper->is_failing = true;
}

static void delete_slot(void *context, const struct record_key *key) {
  news_add_row(context, &(struct news_row){.kind = NEWS_DELETE, .db = STORE_DB_SLOTS, .key = *key});
}

static void load_slots(struct keeper *keeper, struct news *news) {
  const struct view_sources *sources = view_sources(keeper->view);
  struct errbuf err;
  if (!sources->durable)
    return;
  if (slots_load(keeper->slots, sources->durable, view_config(keeper->view), delete_slot, news, &err) == STATUS_OK)
    keeper->needs_slots = false;
  else
    fail(keeper, &err);
}

static void take_view(struct keeper *keeper, struct news *news) {
  struct view *view = views_take(keeper->links.views);
  if (view == keeper->view) {
    view_release(view);
    return;
  }
  const struct view_sources *sources = view_sources(view);
  struct follow *follow = follow_new(view_config(view), sources->durable, sources->live, keeper->follow);
  if (keeper->view) {
    struct event_record *event = news_add_event(news, "reload", "", "");
    snprintf(event->from, sizeof event->from, "%llu", (unsigned long long)view_generation(keeper->view));
    snprintf(event->to, sizeof event->to, "%llu", (unsigned long long)view_generation(view));
    snprintf(event->reason, sizeof event->reason, "a new configuration is in use");
  }
  follow_free(keeper->follow);
  view_release(keeper->view);
  keeper->view = view;
  keeper->follow = follow;
  keeper->needs_slots = true;
}

static void watch_processes(struct keeper *keeper, struct news *news) {
  for (int i = 0; i < BOARD_PROCESSES; i++) {
    const struct board_process_row *row = &keeper->links.board->processes[i];
    uint32_t restarts = atomic_load_explicit(&row->restarts, memory_order_relaxed);
    if (restarts == keeper->restarts[i])
      continue;
    struct event_record *event = news_add_event(news, "process", "", "");
    snprintf(event->reason, sizeof event->reason, "%s was started again (%u so far)",
             board_process_name((enum board_process)i), restarts);
    keeper->restarts[i] = restarts;
  }
}

static void log_event(const struct event_record *event) {
  bool is_bad = strcmp(event->to, health_name(HEALTH_DOWN)) == 0 || strncmp(event->to, "down-", 5) == 0 ||
                strcmp(event->to, "failed") == 0 || strcmp(event->kind, "process") == 0 ||
                strcmp(event->kind, "limit") == 0;
  char change[sizeof event->from + sizeof event->to + 8] = "";
  if (event->to[0])
    snprintf(change, sizeof change, "%s -> %s: ", event->from, event->to);
  log_write(is_bad ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s%s%s%s%s: %s%s", event->kind, event->service[0] ? " " : "",
            event->service, event->member[0] ? "/" : "", event->member, change, event->reason);
}

static void spread_news(struct keeper *keeper, struct news *news) {
  const struct config *config = view_config(keeper->view);
  for (size_t i = 0; i < news->event_count; i++) {
    const struct event_record *event = &news->events[i];
    log_event(event);
    bool is_change = strcmp(event->kind, "health") == 0 || strcmp(event->kind, "service") == 0;
    if (is_change && config->server.on_change && keeper->links.exec >= 0)
      command_send(keeper->links.exec, event);
  }
  for (size_t i = 0; i < news->empty_count && keeper->links.exec >= 0; i++)
    (void)command_send_empty(keeper->links.exec, news->empties[i], news->now_ms);
}

static void store_news(struct keeper *keeper, struct news *news) {
  struct errbuf err;
  if (news->event_count + news->row_count == 0 || !view_sources(keeper->view)->durable)
    return;
  if (commit_and_wait(keeper->links.committer, news_apply, news, &err) == STATUS_OK) {
    keeper->is_failing = false;
    return;
  }
  errbuf_prefix(&err, STATUS_IO, "events, latches and slots are not stored: ");
  fail(keeper, &err);
  keeper->needs_slots = true;
  follow_again(keeper->follow);
}

/* What on_empty commands came to. */
static void take_results(struct keeper *keeper, struct news *news) {
  struct channel_message *message = mem_alloc(sizeof *message);
  struct pollfd ready = {.fd = keeper->links.exec, .events = POLLIN};
  while (keeper->links.exec >= 0 && poll(&ready, 1, 0) > 0) {
    enum status status = channel_receive(keeper->links.exec, message);
    if (status == STATUS_NODATA || status == STATUS_IO)
      keeper->links.exec = ready.fd = -1;
    if (status != STATUS_OK)
      continue;
    for (size_t i = 0; i < message->fd_count; i++)
      close(message->fds[i]);
    struct event_record event;
    if (message->kind != CHANNEL_RESULT)
      continue;
    command_take_result(message, news->now_ms, &event);
    *news_add_event(news, event.kind, event.service, "") = event;
  }
  free(message);
}

static void look(struct keeper *keeper) {
  struct news news = {.now_ms = house_now_ms(keeper->links.house)};
  take_view(keeper, &news);
  take_results(keeper, &news);
  if (keeper->needs_slots)
    load_slots(keeper, &news);
  watch_processes(keeper, &news);
  struct errbuf err;
  if (follow_look(keeper->follow, keeper->needs_slots ? NULL : keeper->slots, &news, &err) != STATUS_OK)
    fail(keeper, &err);
  spread_news(keeper, &news);
  store_news(keeper, &news);
  for (size_t i = 0; i < news.event_count && keeper->links.event; i++)
    keeper->links.event(keeper->links.context, &news.events[i]);
  news_release(&news);
}

static void watch_readers(struct reader_watch *watch, struct store *store, const char *name) {
  struct store_info info;
  if (!store || store_check_readers(store, NULL) != STATUS_OK || store_info(store, &info) != STATUS_OK)
    return;
  uint64_t snapshot = info.last_txn - info.oldest_reader_txns;
  bool is_same = info.oldest_reader_txns > 0 && info.oldest_reader_pid == watch->pid && snapshot == watch->snapshot;
  watch->seconds = is_same ? watch->seconds + 1 : 0;
  watch->pid = info.oldest_reader_pid;
  watch->snapshot = snapshot;
  if (watch->seconds == SNAPSHOT_HELD_S)
    log_warning("process %d has held a snapshot of the %s store for %u s: pages cannot be used again", watch->pid, name,
                watch->seconds);
}

static void watch_disk(struct keeper *keeper) {
  struct statvfs disk;
  const char *directory = view_config(keeper->view)->server.state;
  if (statvfs(directory, &disk) != 0)
    return;
  unsigned long long free_bytes = (unsigned long long)disk.f_bavail * disk.f_frsize;
  bool is_low = free_bytes < FREE_LEAST_BYTES;
  if (is_low && !keeper->is_low)
    log_warning("%s: only %llu MiB are free; when the disk is full, changes are refused", directory, free_bytes >> 20);
  keeper->is_low = is_low;
}

static void checkpoint(struct keeper *keeper, bool is_synced) {
  const struct view_sources *sources = view_sources(keeper->view);
  if (!sources->live)
    return;
  int64_t now_ms = house_now_ms(keeper->links.house);
  struct errbuf err;
  struct store_txn *txn;
  /* a time that cannot be noted now will be with the next checkpoint */
  if (store_begin(sources->live, true, &txn, &err) == STATUS_OK) {
    if (store_note_time(txn, now_ms) == STATUS_OK)
      store_commit(txn, &err);
    else
      store_abort(txn);
  }
  enum status status =
      store_checkpoint(sources->live, view_config(keeper->view)->server.state, now_ms, is_synced, &err);
  if (status == STATUS_OK)
    atomic_store_explicit(&keeper->links.board->gauges[BOARD_CHECKPOINT_MS], now_ms, memory_order_relaxed);
  else
    log_error("checkpoint of the live store: %s", err.text);
}

static void do_rounds(struct keeper *keeper) {
  int64_t now_ms = mono_now_ms();
  if (now_ms >= keeper->next_round_ms) {
    const struct view_sources *sources = view_sources(keeper->view);
    watch_readers(&keeper->readers[0], sources->durable, "durable");
    watch_readers(&keeper->readers[1], sources->live, "live");
    watch_disk(keeper);
    keeper->next_round_ms = now_ms + LOOK_ROUND_MS;
  }
  if (now_ms >= keeper->next_checkpoint_ms) {
    checkpoint(keeper, true);
    keeper->next_checkpoint_ms = now_ms + CHECKPOINT_MS;
  }
}

static int wait_ms(const struct keeper *keeper) {
  int64_t left_ms = keeper->next_round_ms - mono_now_ms();
  int64_t due_ms = follow_due_ms(keeper->follow);
  if (due_ms != INT64_MAX) {
    int64_t due_in_ms = due_ms - house_now_ms(keeper->links.house);
    if (due_in_ms < left_ms)
      left_ms = due_in_ms;
  }
  return left_ms < 0 ? 0 : (int)left_ms;
}

static void *run(void *context) {
  struct keeper *keeper = context;
  for (;;) {
    look(keeper);
    if (atomic_load(&keeper->is_stopping))
      break;
    do_rounds(keeper);
    struct pollfd ready[] = {{.fd = keeper->wake, .events = POLLIN},
                             {.fd = keeper->links.bell->ears[BOARD_EAR_CONTROL], .events = POLLIN},
                             {.fd = keeper->links.exec, .events = POLLIN}};
    if (poll(ready, sizeof ready / sizeof *ready, wait_ms(keeper)) < 0 && errno != EINTR) {
      log_error("keeper: poll: %s", strerror(errno));
      break;
    }
    uint64_t count;
    if (ready[0].revents && read(keeper->wake, &count, sizeof count) < 0)
      count = 0;
    board_hear(keeper->links.bell, BOARD_EAR_CONTROL);
    if (ready[1].revents && keeper->links.heard)
      keeper->links.heard(keeper->links.context);
  }
  /* a shutdown syncs all files, and a start within this boot has the live store itself; so a busy disk need not hold up
   * the stop */
  checkpoint(keeper, false);
  return NULL;
}

enum status keeper_start(const struct keeper_links *links, struct keeper **out, struct errbuf *err) {
  struct keeper *keeper = mem_alloc(sizeof *keeper);
  keeper->links = *links;
  keeper->slots = slots_new();
  keeper->next_round_ms = mono_now_ms();
  keeper->next_checkpoint_ms = mono_now_ms() + CHECKPOINT_MS;
  for (int i = 0; i < BOARD_PROCESSES; i++)
    keeper->restarts[i] = atomic_load_explicit(&links->board->processes[i].restarts, memory_order_relaxed);
  /* nobody else could tell of this one: it was not there */
  keeper->restarts[BOARD_CONTROL] = 0;
  keeper->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (keeper->wake >= 0 && pthread_create(&keeper->thread, NULL, run, keeper) == 0) {
    *out = keeper;
    return STATUS_OK;
  }
  if (keeper->wake >= 0)
    close(keeper->wake);
  slots_free(keeper->slots);
  free(keeper);
  return errbuf_set(err, STATUS_IO, "the keeper's thread cannot be started");
}

void keeper_wake(struct keeper *keeper) {
  uint64_t one = 1;
  /* the only failure is a counter at its end, which wakes as well */
  ssize_t written = write(keeper->wake, &one, sizeof one);
  (void)written;
}

void keeper_stop(struct keeper *keeper) {
  if (!keeper)
    return;
  atomic_store(&keeper->is_stopping, true);
  keeper_wake(keeper);
  pthread_join(keeper->thread, NULL);
  follow_free(keeper->follow);
  view_release(keeper->view);
  slots_free(keeper->slots);
  close(keeper->wake);
  free(keeper);
}
