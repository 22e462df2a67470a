#include "zones/secondary/secondary.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "zones/compile/compile.h"
#include "zones/secondary/copy.h"
#include "zones/secondary/refresh.h"
#include "zones/secondary/renew.h"

#define WAIT_MOST_MS 60000
#define RETIRE_AGAIN_MS 10000

struct watched {        /* one secondary zone; only what stands under "state" changes, under the lock */
  struct watched *next; /* in the configuration's order; those that are no longer in it last */
  char *name;
  struct name zone;
  char *file;
  struct addr *primaries;
  size_t primary_count;
  bool has_key;
  struct tsig_key key;
  /* state: */
  struct refresh refresh;
  size_t first;    /* the primary to ask first */
  bool is_loaded;  /* it is known whether there is a copy */
  bool is_busy;    /* a thread is at it */
  bool is_removed; /* from the configuration: freed once no thread is at it */
  char error[256];
};

struct secondary {
  struct secondary_options options;
  pthread_mutex_t lock; /* for all that follows but cancel */
  pthread_cond_t news;
  struct watched *zones;
  struct random random;
  bool is_stopping;
  int cancel; /* eventfd: readable when all is to end */
  uint32_t thread_count;
  pthread_t threads[SECONDARY_THREADS];
};

static void watched_free(struct watched *watched) {
  if (watched->has_key)
    explicit_bzero(&watched->key, sizeof watched->key);
  free(watched->name);
  free(watched->file);
  free(watched->primaries);
  free(watched);
}

/* NULL, and logged: it cannot be asked for as it is configured. */
static struct watched *watched_new(const struct config *config, const struct config_zone *zone) {
  struct watched *watched = mem_alloc(sizeof *watched);
  struct errbuf err;
  watched->name = mem_strdup(zone->name);
  watched->file = mem_strdup(zone->file);
  watched->primaries = mem_array(zone->primary_count, sizeof *watched->primaries);
  memcpy(watched->primaries, zone->primaries, zone->primary_count * sizeof *watched->primaries);
  watched->primary_count = zone->primary_count;
  watched->has_key = zone->primary_key != CONFIG_NO_KEY;
  refresh_init(&watched->refresh);
  enum status status = name_from_text(zone->name, &watched->zone);
  if (status != STATUS_OK)
    errbuf_set(&err, status, "is no domain name");
  else if (watched->has_key)
    status = tsig_key_read(&config->keys[zone->primary_key], zone->primary_key, &watched->key, &err);
  if (status == STATUS_OK)
    return watched;
  log_error("zone %s: cannot be asked for: %s", zone->name, err.text);
  watched_free(watched);
  return NULL;
}

static bool is_same_key(const struct watched *a, const struct watched *b) {
  if (!a->has_key || !b->has_key)
    return a->has_key == b->has_key;
  return a->key.algorithm == b->key.algorithm && a->key.secret_size == b->key.secret_size &&
         a->key.name.size == b->key.name.size && memcmp(a->key.name.wire, b->key.name.wire, a->key.name.size) == 0 &&
         memcmp(a->key.secret, b->key.secret, a->key.secret_size) == 0;
}

static bool is_same(const struct watched *a, const struct watched *b) {
  if (strcmp(a->name, b->name) != 0 || strcmp(a->file, b->file) != 0 || a->primary_count != b->primary_count)
    return false;
  for (size_t i = 0; i < a->primary_count; i++)
    if (!addr_equal(&a->primaries[i], &b->primaries[i]))
      return false;
  return is_same_key(a, b);
}

static struct watched *find(const struct secondary *secondary, const char *name) {
  struct watched *watched = secondary->zones;
  while (watched && (watched->is_removed || strcmp(watched->name, name) != 0))
    watched = watched->next;
  return watched;
}

/* Takes one that is as before out of the old list, or NULL. */
static struct watched *keep(struct watched **old, const struct watched *fresh) {
  for (struct watched **link = old; *link; link = &(*link)->next) {
    struct watched *watched = *link;
    if (watched->is_removed || !is_same(watched, fresh))
      continue;
    *link = watched->next;
    return watched;
  }
  return NULL;
}

void secondary_configure(struct secondary *secondary, const struct config *config) {
  struct watched *fresh = NULL, **last = &fresh;
  for (size_t i = 0; i < config->zone_count; i++) {
    struct watched *watched = config->zones[i].primary_count ? watched_new(config, &config->zones[i]) : NULL;
    if (!watched)
      continue;
    *last = watched;
    last = &watched->next;
  }
  pthread_mutex_lock(&secondary->lock);
  struct watched *old = secondary->zones;
  for (struct watched **link = &fresh; *link; link = &(*link)->next) {
    struct watched *kept = keep(&old, *link);
    if (!kept)
      continue;
    kept->next = (*link)->next;
    watched_free(*link);
    *link = kept;
  }
  last = &fresh;
  while (*last)
    last = &(*last)->next;
  while (old) {
    struct watched *gone = old;
    old = gone->next;
    gone->next = NULL;
    gone->is_removed = true;
    if (gone->is_busy) {
      *last = gone;
      last = &gone->next;
    } else {
      watched_free(gone);
    }
  }
  secondary->zones = fresh;
  pthread_cond_broadcast(&secondary->news);
  pthread_mutex_unlock(&secondary->lock);
}

static bool is_same_address(const struct addr *a, const struct addr *b) {
  struct addr with_port = *a;
  with_port.port = b->port;
  return addr_equal(&with_port, b);
}

enum status secondary_notify(struct secondary *secondary, const char *zone, const struct addr *from) {
  pthread_mutex_lock(&secondary->lock);
  struct watched *watched = find(secondary, zone);
  enum status status = watched ? STATUS_FORBIDDEN : STATUS_NOTFOUND;
  for (size_t i = 0; watched && i < watched->primary_count; i++) {
    if (!is_same_address(&watched->primaries[i], from))
      continue;
    watched->first = i;
    refresh_hurry(&watched->refresh, house_now_ms(secondary->options.house));
    pthread_cond_broadcast(&secondary->news);
    status = STATUS_OK;
    break;
  }
  pthread_mutex_unlock(&secondary->lock);
  return status;
}

struct secondary_state *secondary_states(struct secondary *secondary, size_t *count) {
  size_t room = 0, used = 0;
  pthread_mutex_lock(&secondary->lock);
  for (const struct watched *watched = secondary->zones; watched; watched = watched->next)
    room++;
  struct secondary_state *states = mem_array(room, sizeof *states);
  for (const struct watched *watched = secondary->zones; watched; watched = watched->next) {
    const struct refresh *refresh = &watched->refresh;
    struct secondary_state *state = &states[used];
    if (watched->is_removed)
      continue;
    used++;
    snprintf(state->zone, sizeof state->zone, "%s", watched->name);
    memcpy(state->error, watched->error, sizeof state->error);
    state->has_copy = refresh->has_copy;
    state->is_busy = watched->is_busy || !watched->is_loaded;
    state->serial = refresh->has_copy ? refresh->soa.serial : 0;
    state->refreshed_ms = refresh->refreshed_ms;
    state->next_ms = refresh->next_ms == REFRESH_NEVER ? 0 : refresh->next_ms;
    state->expire_ms = refresh->has_copy ? refresh->expire_ms : 0;
  }
  pthread_mutex_unlock(&secondary->lock);
  *count = used;
  return states;
}

/* With nothing locked meanwhile, as the listener may ask for anything. */
static void tell(struct secondary *secondary, const char *zone, const char *what) {
  char *name = mem_strdup(zone);
  pthread_mutex_unlock(&secondary->lock);
  secondary->options.changed(secondary->options.context, name, what);
  pthread_mutex_lock(&secondary->lock);
  free(name);
}

/* Sets aside one zone that has expired; false: there is none. */
static bool expire_one(struct secondary *secondary, int64_t now_ms) {
  struct watched *watched = secondary->zones;
  struct errbuf err;
  while (watched && (watched->is_removed || !refresh_has_expired(&watched->refresh, now_ms)))
    watched = watched->next;
  if (!watched)
    return false;
  if (copy_retire(watched->file, &err) != STATUS_OK) {
    log_error("zone %s has expired, and cannot be set aside: %s", watched->name, err.text);
    watched->refresh.expire_ms = now_ms + RETIRE_AGAIN_MS;
    return true;
  }
  log_error("zone %s has expired: no primary could be asked for too long", watched->name);
  refresh_expire(&watched->refresh);
  tell(secondary, watched->name, "expired");
  return true;
}

static bool is_file_busy(const struct secondary *secondary, const char *file) {
  for (const struct watched *watched = secondary->zones; watched; watched = watched->next)
    if (watched->is_busy && strcmp(watched->file, file) == 0)
      return true;
  return false;
}

static struct watched *pick(const struct secondary *secondary, int64_t now_ms) {
  struct watched *picked = NULL;
  for (struct watched *watched = secondary->zones; watched; watched = watched->next)
    if (!watched->is_removed && !watched->is_busy && watched->refresh.next_ms <= now_ms &&
        (!picked || watched->refresh.next_ms < picked->refresh.next_ms) && !is_file_busy(secondary, watched->file))
      picked = watched;
  return picked;
}

static int64_t next_event_ms(const struct secondary *secondary) {
  int64_t next_ms = REFRESH_NEVER;
  for (const struct watched *watched = secondary->zones; watched; watched = watched->next) {
    if (watched->is_removed)
      continue;
    if (!watched->is_busy && watched->refresh.next_ms < next_ms && !is_file_busy(secondary, watched->file))
      next_ms = watched->refresh.next_ms;
    if (watched->refresh.has_copy && watched->refresh.expire_ms < next_ms)
      next_ms = watched->refresh.expire_ms;
  }
  return next_ms;
}

/* Finds out what is on the disk. Unlocked. */
static void load(struct secondary *secondary, struct watched *watched) {
  struct content *content = content_new(fetch_limits_default.bytes);
  struct errbuf err;
  struct soa soa;
  const struct content_record *record;
  int64_t refreshed_ms = 0;
  enum status status = copy_read(watched->file, &watched->zone, content, &refreshed_ms, &err);
  bool has_soa = status == STATUS_OK && content_soa(content, &soa, &record);
  content_free(content);
  if (has_soa)
    status = zones_check_copy(watched->name, watched->file, &err);
  if (status != STATUS_OK && status != STATUS_NOTFOUND)
    log_warning("zone %s: its copy is no use: %s", watched->name, err.text);
  pthread_mutex_lock(&secondary->lock);
  if (has_soa && status == STATUS_OK)
    refresh_load(&watched->refresh, &soa, refreshed_ms, house_now_ms(secondary->options.house));
  watched->is_loaded = true;
  pthread_mutex_unlock(&secondary->lock);
}

static void note_failure(struct secondary *secondary, struct watched *watched, const char *text) {
  if (secondary->is_stopping) /* broken off */
    return;
  if (strcmp(watched->error, text) != 0)
    log_warning("zone %s: %s", watched->name, text);
  snprintf(watched->error, sizeof watched->error, "%s", text);
  refresh_fail(&watched->refresh, house_now_ms(secondary->options.house));
}

static void note_success(struct secondary *secondary, struct watched *watched, const struct renewal *renewal) {
  const struct soa *soa = renewal->is_changed ? &renewal->soa : &watched->refresh.soa;
  struct soa current = *soa;
  watched->first = renewal->primary;
  watched->error[0] = '\0';
  refresh_succeed(&watched->refresh, &current, house_now_ms(secondary->options.house),
                  (uint32_t)random_next(&secondary->random));
}

/* Puts the draft in place; the locked part of a check that brought something. */
static void commit(struct secondary *secondary, struct watched *watched, const struct renewal *renewal) {
  struct errbuf err;
  char address[ADDR_TEXT_SIZE];
  if (watched->is_removed) {
    copy_discard(watched->file);
    return;
  }
  if (copy_commit(watched->file, &err) != STATUS_OK) {
    note_failure(secondary, watched, err.text);
    return;
  }
  note_success(secondary, watched, renewal);
  log_info("zone %s: serial %u from %s, %zu records%s", watched->name, renewal->soa.serial,
           addr_format_port(&watched->primaries[renewal->primary], address), renewal->record_count,
           renewal->is_difference ? ", by differences" : "");
  tell(secondary, watched->name, "changed");
}

/* The version that is held is current. */
static void confirm(struct secondary *secondary, struct watched *watched, const struct renewal *renewal) {
  struct errbuf err;
  if (watched->is_removed)
    return;
  if (!watched->refresh.has_copy) { /* it expired meanwhile; the next check asks for the whole zone */
    refresh_hurry(&watched->refresh, house_now_ms(secondary->options.house));
    return;
  }
  note_success(secondary, watched, renewal);
  if (copy_touch(watched->file, watched->refresh.refreshed_ms, &err) != STATUS_OK)
    log_warning("zone %s: the time of its refresh cannot be kept: %s", watched->name, err.text);
}

/* Unlocked; renew was filled under the lock. */
static void check(struct secondary *secondary, struct watched *watched, const struct renew *renew) {
  struct renewal renewal;
  struct errbuf err;
  enum status status = renew_zone(renew, &renewal, &err);
  pthread_mutex_lock(&secondary->lock);
  if (status != STATUS_OK)
    note_failure(secondary, watched, err.text);
  else if (renewal.is_changed)
    commit(secondary, watched, &renewal);
  else
    confirm(secondary, watched, &renewal);
  pthread_mutex_unlock(&secondary->lock);
}

/* Locked before and after, not in between. */
static void serve(struct secondary *secondary, struct watched *watched) {
  struct renew renew = {.name = watched->name,
                        .zone = watched->zone,
                        .file = watched->file,
                        .primaries = watched->primaries,
                        .primary_count = watched->primary_count,
                        .first = watched->first,
                        .key = watched->has_key ? &watched->key : NULL,
                        .limits = secondary->options.limits,
                        .house = secondary->options.house,
                        .cancel = secondary->cancel,
                        .has_copy = watched->refresh.has_copy,
                        .serial = watched->refresh.soa.serial};
  bool is_loaded = watched->is_loaded;
  watched->is_busy = true;
  if (is_loaded)
    refresh_begin(&watched->refresh, house_now_ms(renew.house));
  pthread_mutex_unlock(&secondary->lock);
  if (is_loaded)
    check(secondary, watched, &renew);
  else
    load(secondary, watched);
  pthread_mutex_lock(&secondary->lock);
  watched->is_busy = false;
  pthread_cond_broadcast(&secondary->news);
  if (!watched->is_removed)
    return;
  struct watched **link = &secondary->zones;
  while (*link != watched)
    link = &(*link)->next;
  *link = watched->next;
  watched_free(watched);
}

static void wait_for_news(struct secondary *secondary, int64_t wait_ms) {
  struct timespec until;
  if (wait_ms > WAIT_MOST_MS)
    wait_ms = WAIT_MOST_MS;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += wait_ms / 1000;
  until.tv_nsec += wait_ms % 1000 * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_cond_timedwait(&secondary->news, &secondary->lock, &until);
}

static void *run(void *argument) {
  struct secondary *secondary = argument;
  pthread_mutex_lock(&secondary->lock);
  while (!secondary->is_stopping) {
    int64_t now_ms = house_now_ms(secondary->options.house);
    if (expire_one(secondary, now_ms))
      continue;
    struct watched *due = pick(secondary, now_ms);
    if (due) {
      serve(secondary, due);
      continue;
    }
    int64_t next_ms = next_event_ms(secondary);
    wait_for_news(secondary, next_ms > now_ms ? next_ms - now_ms : 1);
  }
  pthread_mutex_unlock(&secondary->lock);
  return NULL;
}

struct secondary *secondary_start(const struct secondary_options *options, struct errbuf *err) {
  struct secondary *secondary = mem_alloc(sizeof *secondary);
  pthread_condattr_t attributes;
  secondary->options = *options;
  if (!options->limits)
    secondary->options.limits = &fetch_limits_default;
  random_seed_system(&secondary->random);
  pthread_mutex_init(&secondary->lock, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&secondary->news, &attributes);
  pthread_condattr_destroy(&attributes);
  secondary->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int failure = secondary->cancel < 0 ? errno : 0;
  while (!failure && secondary->thread_count < SECONDARY_THREADS) {
    failure = pthread_create(&secondary->threads[secondary->thread_count], NULL, run, secondary);
    if (!failure)
      secondary->thread_count++;
  }
  if (!failure)
    return secondary;
  errbuf_set(err, STATUS_IO, "secondary zones: %s", strerror(failure));
  secondary_stop(secondary);
  return NULL;
}

void secondary_stop(struct secondary *secondary) {
  if (!secondary)
    return;
  pthread_mutex_lock(&secondary->lock);
  secondary->is_stopping = true;
  if (secondary->cancel >= 0)
    eventfd_write(secondary->cancel, 1);
  pthread_cond_broadcast(&secondary->news);
  pthread_mutex_unlock(&secondary->lock);
  for (uint32_t i = 0; i < secondary->thread_count; i++)
    pthread_join(secondary->threads[i], NULL);
  while (secondary->zones) {
    struct watched *watched = secondary->zones;
    secondary->zones = watched->next;
    watched_free(watched);
  }
  if (secondary->cancel >= 0)
    close(secondary->cancel);
  pthread_cond_destroy(&secondary->news);
  pthread_mutex_destroy(&secondary->lock);
  free(secondary);
}
