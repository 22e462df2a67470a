#include "discovery/balancers/balancers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "discovery/balancers/balancers_private.h"
#include "discovery/balancers/leaves.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/model/records.h"

#define LOG_EVERY_MS 10000
#define PLAN_WAIT_MOST_MS 60000 /* house time is looked at again */

static int64_t now_ms(const struct balancers *balancers) {
  return house_now_ms(balancers->links.house);
}

static void wake(struct balancers *balancers) {
  eventfd_write(balancers->wake, 1);
}

/* Events */

static enum status append_event(void *context, struct store_txn *txn, struct errbuf *err) {
  uint8_t row[RECORD_SIZE_MOST];
  size_t size = event_encode(context, row);
  return store_append(txn, STORE_DB_EVENTS, (struct store_bytes){row, size}, NULL, err);
}

static void event_written(void *context, enum status status, const struct errbuf *err) {
  if (status != STATUS_OK)
    log_error("an event of a balancer is not stored: %s", err->text);
  free(context);
}

static void tell_event(struct balancers *balancers, const char *identity, const char *from, const char *to,
                       const char *why) {
  struct event_record *event = mem_alloc(sizeof *event);
  struct errbuf err = {""};
  event->at_ms = now_ms(balancers);
  snprintf(event->kind, sizeof event->kind, "balancer");
  snprintf(event->from, sizeof event->from, "%s", from);
  snprintf(event->to, sizeof event->to, "%s", to);
  snprintf(event->reason, sizeof event->reason, "%.80s%s%.72s", identity, why[0] ? ": " : "", why);
  log_info("balancer %s: %s, was %s%s%s", identity, to, from, why[0] ? ": " : "", why);
  enum status status = commit_queue(balancers->links.committer, append_event, event_written, event, &err);
  if (status != STATUS_OK)
    event_written(event, status, &err);
}

static const char *state_name(const struct balancer_record *record) {
  return !record->is_alive ? "away" : record->is_accepting ? "accepting" : "leaving";
}

static void write_rows(struct balancers *balancers) {
  struct errbuf err = {""};
  int64_t mono_ms = mono_now_ms();
  if (balancers_write_rows(balancers, &err)) {
    balancers->write_logged_ms = 0;
  } else if (!balancers->write_logged_ms || mono_ms - balancers->write_logged_ms >= LOG_EVERY_MS) {
    balancers->write_logged_ms = mono_ms;
    log_error("states of balancers are not stored, and wait: %s", err.text);
  }
}

/* Going and coming back; the lock is held */

static void set_own(struct balancers *balancers, bool is_accepting, int64_t leaves_ms, const char *why) {
  struct balancer_record *own = &balancers->own;
  const char *before = state_name(own);
  bool has_turned = own->is_accepting != is_accepting;
  if (!has_turned && own->leaves_ms == leaves_ms)
    return;
  own->is_accepting = is_accepting;
  own->leaves_ms = leaves_ms;
  if (has_turned)
    own->since_ms = now_ms(balancers);
  balancers->is_own_dirty = true;
  balancers_publish(balancers, balancers->identity, own);
  if (has_turned)
    tell_event(balancers, balancers->identity, before, state_name(own), why);
  write_rows(balancers);
}

static void start_going(struct balancers *balancers, enum going going, int64_t until_ms, const char *why) {
  int64_t leaves_ms = balancers->going == GOING_STAYS ? now_ms(balancers) : balancers->own.leaves_ms;
  balancers->going = going;
  balancers->until_ms = until_ms;
  set_own(balancers, false, leaves_ms, why);
  balancers->must_tell = true;
  balancers_publish_notice(balancers, "", balancers_show_directive(balancers));
}

static int64_t next_leave_ms(const struct balancers *balancers) {
  int64_t now = now_ms(balancers);
  for (size_t i = 0; i < balancers->leave_count; i++)
    if (balancers->leaves[i].at_ms > now)
      return balancers->leaves[i].at_ms;
  return 0;
}

static void come_back(struct balancers *balancers) {
  balancers->going = GOING_STAYS;
  balancers->until_ms = 0;
  courier_drop(balancers->courier);
  set_own(balancers, true, next_leave_ms(balancers), "the absence is over");
}

void balancers_go(struct balancers *balancers, int64_t until_ms) {
  pthread_mutex_lock(&balancers->lock);
  if (balancers->going != GOING_ORDERED)
    balancers->ordered_ms = mono_now_ms();
  start_going(balancers, GOING_ORDERED, until_ms, "it is going away");
  pthread_mutex_unlock(&balancers->lock);
  wake(balancers);
}

int64_t balancers_linger_ms(struct balancers *balancers) {
  struct registry_totals totals = {0};
  registry_totals(balancers->links.registry, &totals);
  pthread_mutex_lock(&balancers->lock);
  bool has_other = false;
  for (size_t i = 0; i < balancers->peers.count && !has_other; i++)
    has_other = balancers->peers.items[i]->record.is_alive && balancers->peers.items[i]->record.is_accepting;
  int64_t left_ms = balancers->ordered_ms + balancers->leave_most_ms - mono_now_ms();
  bool has_reason = balancers->going == GOING_ORDERED && has_other && totals.live + totals.stale > totals.moved;
  pthread_mutex_unlock(&balancers->lock);
  return has_reason && left_ms > 0 ? left_ms : 0;
}

/* Planned absences, on the thread with the lock held */

enum status balancers_plan(struct store_txn *txn, const struct leave_record *leave, struct errbuf *err) {
  return leaves_add(txn, leave, err);
}

enum status balancers_cancel(struct store_txn *txn, int64_t at_ms, struct errbuf *err) {
  return leaves_delete(txn, at_ms, err);
}

void balancers_look(struct balancers *balancers) {
  pthread_mutex_lock(&balancers->lock);
  balancers->must_look = true;
  pthread_mutex_unlock(&balancers->lock);
  wake(balancers);
}

static void read_leaves(struct balancers *balancers) {
  struct errbuf err = {""};
  struct leave_record *leaves;
  size_t count;
  if (!balancers->links.durable)
    return;
  if (leaves_read(balancers->links.durable, &leaves, &count, &err) != STATUS_OK) {
    log_error("%s", err.text);
    return;
  }
  free(balancers->leaves);
  balancers->leaves = leaves;
  balancers->leave_count = count;
}

static enum status delete_leave(void *context, struct store_txn *txn, struct errbuf *err) {
  const int64_t *at_ms = context;
  enum status status = leaves_delete(txn, *at_ms, err);
  return status == STATUS_NOTFOUND ? STATUS_OK : status;
}

static void leave_deleted(void *context, enum status status, const struct errbuf *err) {
  if (status != STATUS_OK)
    log_error("a planned absence that is over is not deleted: %s", err->text);
  free(context);
}

static void drop_ended(struct balancers *balancers, int64_t now) {
  size_t kept = 0;
  for (size_t i = 0; i < balancers->leave_count; i++) {
    if (balancers->leaves[i].until_ms > now) {
      balancers->leaves[kept++] = balancers->leaves[i];
      continue;
    }
    struct errbuf err = {""};
    int64_t *at_ms = mem_alloc(sizeof *at_ms);
    *at_ms = balancers->leaves[i].at_ms;
    enum status status = commit_queue(balancers->links.committer, delete_leave, leave_deleted, at_ms, &err);
    if (status != STATUS_OK)
      leave_deleted(at_ms, status, &err);
  }
  balancers->leave_count = kept;
}

static bool is_over(const struct balancers *balancers, int64_t now) {
  return balancers->going == GOING_PLANNED ||
         (balancers->going == GOING_ORDERED && balancers->until_ms != 0 && balancers->until_ms <= now);
}

static void follow_leaves(struct balancers *balancers) {
  int64_t now = now_ms(balancers), next_ms;
  drop_ended(balancers, now);
  const struct leave_record *current = leaves_find_current(balancers->leaves, balancers->leave_count, now);
  if (balancers->going == GOING_STAYS && !current)
    set_own(balancers, true, next_leave_ms(balancers), "");
  else if (balancers->going == GOING_STAYS)
    start_going(balancers, GOING_PLANNED, current->until_ms, current->why);
  else if (!current && is_over(balancers, now))
    come_back(balancers);
  else if (balancers->going == GOING_PLANNED)
    balancers->until_ms = current->until_ms;
  next_ms = leaves_next_ms(balancers->leaves, balancers->leave_count, now);
  if (balancers->until_ms > now && balancers->until_ms < next_ms)
    next_ms = balancers->until_ms;
  loop_timer_after(balancers->plan, next_ms - now < PLAN_WAIT_MOST_MS ? next_ms - now : PLAN_WAIT_MOST_MS);
}

/* Peers, on the thread */

struct asking {
  struct balancers *balancers;
  struct peer *peer;
};

static void peer_answered(void *context, const struct http_reply *reply) {
  struct asking *asking = context;
  struct balancers *balancers = asking->balancers;
  struct peer *peer = asking->peer;
  free(asking);
  pthread_mutex_lock(&balancers->lock);
  peer->transfer = NULL;
  const char *before = state_name(&peer->record);
  if (peer_judge(peer, reply, now_ms(balancers))) {
    const char *after = state_name(&peer->record);
    balancers_publish(balancers, peer->identity, &peer->record);
    if (strcmp(before, after) != 0)
      tell_event(balancers, peer->identity, before, after, peer->record.reason);
  }
  /* one that was never there turns nothing, and would be missing without a word */
  if (!peer->record.is_alive && peer->failures == PEER_FALL && strcmp(before, "away") == 0)
    log_warning("balancer %s is away: %s", peer->identity, peer->record.reason);
  write_rows(balancers);
  pthread_mutex_unlock(&balancers->lock);
}

static void ask_peers(void *context) {
  struct balancers *balancers = context;
  loop_timer_after(balancers->ask, PEER_ASK_MS);
  for (size_t i = 0; i < balancers->peers.count; i++) {
    struct peer *peer = balancers->peers.items[i];
    if (peer->transfer)
      continue;
    struct asking *asking = mem_alloc(sizeof *asking);
    struct http_request request;
    *asking = (struct asking){balancers, peer};
    peer_request(peer, &request);
    peer->asking = asking;
    peer->transfer = http_client_start(balancers->http, &request, peer_answered, asking);
  }
  pthread_mutex_lock(&balancers->lock);
  write_rows(balancers); /* what failed before */
  pthread_mutex_unlock(&balancers->lock);
}

static void drop_peer(struct peer *peer) {
  if (peer && peer->transfer) {
    http_client_cancel(peer->transfer);
    free(peer->asking);
  }
  peer_free(peer);
}

static void release_peers(struct peer_list *list) {
  for (size_t i = 0; i < list->count; i++)
    drop_peer(list->items[i]);
  free(list->items);
  *list = (struct peer_list){0};
}

/* Keeps those that are asked as before, with what is known of them and the question under way. */
static void take_peers(struct balancers *balancers) {
  struct peer_list *next = &balancers->next_peers, *now = &balancers->peers;
  for (size_t i = 0; i < next->count; i++)
    for (size_t j = 0; j < now->count; j++) {
      struct peer *known = now->items[j];
      if (!known || !peer_is_same(known, next->items[i]))
        continue;
      peer_take_over(known, next->items[i]);
      next->items[i] = known;
      now->items[j] = NULL;
      break;
    }
  release_peers(now);
  *now = *next;
  *next = (struct peer_list){0};
  balancers->has_next_peers = false;
  balancers->has_strangers = true;
  write_rows(balancers);
}

/* The thread */

static void plan_is_due(void *context) {
  struct balancers *balancers = context;
  pthread_mutex_lock(&balancers->lock);
  follow_leaves(balancers);
  pthread_mutex_unlock(&balancers->lock);
  balancers_tell_going(balancers);
}

static void was_woken(void *context, int events) {
  (void)events;
  struct balancers *balancers = context;
  eventfd_t count;
  eventfd_read(balancers->wake, &count);
  pthread_mutex_lock(&balancers->lock);
  bool is_fresh = balancers->has_next_peers;
  if (is_fresh)
    take_peers(balancers);
  if (balancers->must_look)
    read_leaves(balancers);
  balancers->must_look = false;
  follow_leaves(balancers);
  bool is_stopping = balancers->is_stopping;
  pthread_mutex_unlock(&balancers->lock);
  if (is_stopping) {
    loop_stop(balancers->loop);
    return;
  }
  balancers_tell_lost(balancers);
  balancers_tell_going(balancers);
  if (is_fresh)
    loop_timer_after(balancers->ask, 0);
}

static void *run(void *context) {
  struct balancers *balancers = context;
  loop_poll_watch(balancers->woken, LOOP_READABLE);
  loop_run(balancers->loop);
  return NULL;
}

/* From the configuration, on its caller's thread */

static struct peer_list make_peers(const struct balancers *balancers, const struct config *config) {
  struct peer_list list = {.items = mem_array(config->peer_count, sizeof *list.items), .count = config->peer_count};
  for (size_t i = 0; i < config->peer_count; i++)
    list.items[i] = peer_new(&config->peers[i], now_ms(balancers));
  return list;
}

static bool is_unspecified(const struct addr *address) {
  static const uint8_t zeroes[sizeof address->bytes];
  return memcmp(address->bytes, zeroes, sizeof zeroes) == 0;
}

static void describe_own(struct balancers *balancers, const struct config *config) {
  const struct config_control *control = &config->control;
  struct balancer_record *own = &balancers->own;
  free(balancers->identity);
  balancers->identity = mem_strdup(config->server.identity);
  if (control->advertise_name)
    snprintf(own->name, sizeof own->name, "%s", control->advertise_name);
  else
    balancer_name(config->server.identity, own->name);
  memset(own->addresses, 0, sizeof own->addresses);
  own->address_count = 0;
  for (size_t i = 0; i < control->advertise_count && i < CONFIG_ADDRESSES_MOST; i++)
    own->addresses[own->address_count++] = control->advertise[i];
  if (control->advertise_count == 0 && control->has_listen && !is_unspecified(&control->listen))
    own->addresses[own->address_count++] = control->listen;
  if (own->address_count == 0 && control->has_listen)
    log_warning("control listens on every address and control.advertise names none: resources do not find this "
                "balancer");
  own->is_tls = control->tls.is_given;
  own->priority = control->advertise_priority;
  own->weight = control->advertise_weight;
  balancers->leave_most_ms = control->leave_ms;
  balancers->is_own_dirty = true;
  if (own->address_count == 0)
    balancers->has_strangers = true;
}

/* The first accepted set since resources were told last is compared with the newest. */
static void take_accepted(struct balancers *balancers, const struct config *config) {
  struct accepted *accepted = accepted_new(config), *before = balancers->accepted;
  balancers->accepted = accepted;
  if (before && !balancers->lost_from && accepted_each_lost(before, accepted, NULL, NULL) > 0)
    balancers->lost_from = before;
  else
    accepted_free(before);
  balancers->has_lost_listener |= balancers->has_listen && !config->control.has_listen;
  balancers->has_listen = config->control.has_listen;
}

void balancers_configure(struct balancers *balancers, const struct config *config) {
  struct peer_list peers = make_peers(balancers, config);
  pthread_mutex_lock(&balancers->lock);
  balancers_recall(balancers, &peers);
  release_peers(&balancers->next_peers); /* nobody asked those yet */
  balancers->next_peers = peers;
  balancers->has_next_peers = true;
  describe_own(balancers, config);
  take_accepted(balancers, config);
  write_rows(balancers);
  pthread_mutex_unlock(&balancers->lock);
  wake(balancers);
}

static enum status prepare(struct balancers *balancers, struct errbuf *err) {
  balancers->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (balancers->wake < 0)
    return errbuf_set(err, STATUS_IO, "balancers: eventfd: %s", strerror(errno));
  balancers->loop = loop_new();
  balancers->http = http_client_new(balancers->loop);
  balancers->courier = courier_new(balancers->loop, balancers->http, balancers->links.registry);
  balancers->ask = loop_timer_new(balancers->loop, ask_peers, balancers);
  balancers->plan = loop_timer_new(balancers->loop, plan_is_due, balancers);
  balancers->woken = loop_poll_new(balancers->loop, balancers->wake, was_woken, balancers);
  return balancers->woken ? STATUS_OK : errbuf_set(err, STATUS_IO, "balancers: the loop cannot watch an eventfd");
}

static void balancers_free(struct balancers *balancers) {
  release_peers(&balancers->peers);
  release_peers(&balancers->next_peers);
  courier_free(balancers->courier);
  http_client_free(balancers->http);
  loop_timer_free(balancers->ask);
  loop_timer_free(balancers->plan);
  loop_poll_free(balancers->woken);
  loop_free(balancers->loop);
  if (balancers->wake >= 0)
    close(balancers->wake);
  accepted_free(balancers->accepted);
  accepted_free(balancers->lost_from);
  pthread_mutex_destroy(&balancers->lock);
  free(balancers->leaves);
  free(balancers->identity);
  free(balancers);
}

enum status balancers_start(const struct balancers_links *links, const struct config *config, struct balancers **out,
                            struct errbuf *err) {
  struct balancers *balancers = mem_alloc(sizeof *balancers);
  balancers->links = *links;
  pthread_mutex_init(&balancers->lock, NULL);
  enum status status = prepare(balancers, err);
  if (status == STATUS_OK) {
    int64_t now = now_ms(balancers);
    read_leaves(balancers);
    /* an absence that is under way is not interrupted by a restart */
    bool is_away = leaves_find_current(balancers->leaves, balancers->leave_count, now) != NULL;
    balancers->own = (struct balancer_record){.is_alive = true,
                                              .is_own = true,
                                              .is_accepting = !is_away,
                                              .since_ms = now,
                                              .leaves_ms = next_leave_ms(balancers)};
    balancers_configure(balancers, config);
    int failed = pthread_create(&balancers->thread, NULL, run, balancers);
    if (failed)
      status = errbuf_set(err, STATUS_IO, "balancers: thread: %s", strerror(failed));
  }
  if (status != STATUS_OK) {
    balancers_free(balancers);
    return status;
  }
  *out = balancers;
  return STATUS_OK;
}

void balancers_stop(struct balancers *balancers) {
  if (!balancers)
    return;
  pthread_mutex_lock(&balancers->lock);
  balancers->is_stopping = true;
  pthread_mutex_unlock(&balancers->lock);
  wake(balancers);
  pthread_join(balancers->thread, NULL);
  balancers->own.is_alive = balancers->own.is_accepting = false;
  balancers->own.since_ms = now_ms(balancers);
  snprintf(balancers->own.reason, sizeof balancers->own.reason, "stopped");
  balancers->is_own_dirty = true;
  write_rows(balancers);
  balancers_free(balancers);
}
