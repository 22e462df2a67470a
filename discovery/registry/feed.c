#include "discovery/registry/feed.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "gslb/base/value.h"

/* A waiter is in one of the two lists, or its callback runs, or it was called. */
enum place { PLACE_WAITING, PLACE_DUE, PLACE_RUNNING, PLACE_CALLED };

struct feed_waiter {
  struct feed_waiter *next, **at;
  enum place place;
  char *kind, *resource, *service; /* NULL: any */
  feed_woken *woken;
  void *context;
};

struct feed {
  struct house house; /* of its own: times here are for people */
  uint64_t epoch;
  pthread_mutex_t lock;
  pthread_cond_t called;
  struct feed_waiter *waiting, *due;
  uint64_t revision;       /* of the newest change; 0: none */
  json_t *kept[FEED_KEPT]; /* revision % FEED_KEPT; nobody alters them any more */
};

struct feed *feed_new(void) {
  struct feed *feed = mem_alloc(sizeof *feed);
  feed->house = house_start(0);
  random_secret(&feed->epoch, sizeof feed->epoch);
  feed->epoch >>= 11;
  pthread_mutex_init(&feed->lock, NULL);
  pthread_cond_init(&feed->called, NULL);
  return feed;
}

void feed_free(struct feed *feed) {
  if (!feed)
    return;
  for (size_t i = 0; i < FEED_KEPT; i++)
    json_decref(feed->kept[i]);
  pthread_cond_destroy(&feed->called);
  pthread_mutex_destroy(&feed->lock);
  free(feed);
}

static const char *text_of(const json_t *change, const char *key) {
  const char *text = json_string_value(json_object_get(change, key));
  return text ? text : "";
}

/* A change of a resource may concern several services, which its detail names then. */
static bool concerns_service(const json_t *change, const char *service) {
  if (strcmp(text_of(change, "service"), service) == 0)
    return true;
  size_t i;
  json_t *name;
  json_array_foreach(json_object_get(change, "services"), i,
                     name) if (json_is_string(name) && strcmp(json_string_value(name), service) == 0) return true;
  return false;
}

static bool passes(const json_t *change, const char *kind, const char *resource, const char *service) {
  return (!kind || strcmp(text_of(change, "kind"), kind) == 0) &&
         (!resource || strcmp(text_of(change, "resource"), resource) == 0) &&
         (!service || concerns_service(change, service));
}

/* Under the lock. */
static void move(struct feed_waiter *waiter, struct feed_waiter **list, enum place place) {
  if (waiter->at) {
    *waiter->at = waiter->next;
    if (waiter->next)
      waiter->next->at = waiter->at;
  }
  waiter->at = list;
  waiter->next = list ? *list : NULL;
  if (waiter->next)
    waiter->next->at = &waiter->next;
  if (list)
    *list = waiter;
  waiter->place = place;
}

/* Under the lock, which it lets go for each callback. */
static void call_due(struct feed *feed) {
  while (feed->due) {
    struct feed_waiter *waiter = feed->due;
    move(waiter, NULL, PLACE_RUNNING);
    pthread_mutex_unlock(&feed->lock);
    waiter->woken(waiter->context);
    pthread_mutex_lock(&feed->lock);
    waiter->place = PLACE_CALLED;
    pthread_cond_broadcast(&feed->called);
  }
}

static json_t *describe(const struct feed *feed, const struct feed_change *change) {
  json_t *document = value_must(json_object());
  char at[32];
  clock_format_utc(house_now_ms(&feed->house), at, sizeof at);
  json_object_set_new(document, "rev", json_integer(0)); /* known under the lock; stands first */
  json_object_set_new(document, "at", value_text(at));
  json_object_set_new(document, "kind", value_text(change->kind));
  json_object_set_new(document, "resource", value_text(change->resource ? change->resource : ""));
  json_object_set_new(document, "service", value_text(change->service ? change->service : ""));
  json_object_set_new(document, "member", value_text(change->member ? change->member : ""));
  if (change->detail)
    json_object_update_missing(document, change->detail);
  json_decref(change->detail);
  return document;
}

void feed_publish(struct feed *feed, const struct feed_change *change) {
  json_t *document = describe(feed, change);
  pthread_mutex_lock(&feed->lock);
  uint64_t revision = ++feed->revision;
  json_object_set_new(document, "rev", json_integer((json_int_t)revision));
  json_t *oldest = feed->kept[revision % FEED_KEPT];
  feed->kept[revision % FEED_KEPT] = document;
  for (struct feed_waiter *waiter = feed->waiting, *next; waiter; waiter = next) {
    next = waiter->next;
    if (passes(document, waiter->kind, waiter->resource, waiter->service))
      move(waiter, &feed->due, PLACE_DUE);
  }
  call_due(feed);
  pthread_mutex_unlock(&feed->lock);
  json_decref(oldest);
}

static bool read_digits(const char **at, uint64_t *out) {
  const char *text = *at;
  size_t digits = strspn(text, "0123456789");
  if (digits < 1 || digits > 20)
    return false;
  uint64_t value = 0;
  for (size_t i = 0; i < digits; i++)
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
      return false;
  *at = text + digits;
  *out = value;
  return true;
}

bool feed_position_parse(const char *text, struct feed_position *out) {
  struct feed_position position;
  if (!read_digits(&text, &position.epoch) || *text++ != '.' || !read_digits(&text, &position.revision) || *text)
    return false;
  *out = position;
  return true;
}

const char *feed_position_format(struct feed_position position, char text[FEED_POSITION_SIZE]) {
  snprintf(text, FEED_POSITION_SIZE, "%" PRIu64 ".%" PRIu64, position.epoch, position.revision);
  return text;
}

struct feed_position feed_now(struct feed *feed) {
  pthread_mutex_lock(&feed->lock);
  struct feed_position now = {feed->epoch, feed->revision};
  pthread_mutex_unlock(&feed->lock);
  return now;
}

/* Under the lock. */
static bool is_lost(const struct feed *feed, struct feed_position since) {
  return since.epoch != feed->epoch || since.revision > feed->revision || feed->revision - since.revision > FEED_KEPT;
}

json_t *feed_read(struct feed *feed, struct feed_position *since, const struct feed_filter *filter, bool *out_is_lost) {
  static const struct feed_filter any;
  json_t *changes = value_must(json_array());
  if (!filter)
    filter = &any;
  pthread_mutex_lock(&feed->lock);
  *out_is_lost = is_lost(feed, *since);
  for (uint64_t i = since->revision + 1; !*out_is_lost && i <= feed->revision; i++) {
    json_t *change = feed->kept[i % FEED_KEPT];
    if (passes(change, filter->kind, filter->resource, filter->service))
      json_array_append(changes, change);
  }
  *since = (struct feed_position){feed->epoch, feed->revision};
  pthread_mutex_unlock(&feed->lock);
  return changes;
}

/* Under the lock. */
static bool has_news(const struct feed *feed, struct feed_position since, const struct feed_waiter *waiter) {
  if (is_lost(feed, since))
    return true;
  for (uint64_t i = since.revision + 1; i <= feed->revision; i++)
    if (passes(feed->kept[i % FEED_KEPT], waiter->kind, waiter->resource, waiter->service))
      return true;
  return false;
}

static char *copy(const char *text) {
  return text ? mem_strdup(text) : NULL;
}

struct feed_waiter *feed_wait(struct feed *feed, struct feed_position since, const struct feed_filter *filter,
                              feed_woken *woken, void *context) {
  struct feed_waiter *waiter = mem_alloc(sizeof *waiter);
  waiter->woken = woken;
  waiter->context = context;
  if (filter) {
    waiter->kind = copy(filter->kind);
    waiter->resource = copy(filter->resource);
    waiter->service = copy(filter->service);
  }
  pthread_mutex_lock(&feed->lock);
  bool is_now = has_news(feed, since, waiter);
  if (is_now)
    waiter->place = PLACE_CALLED;
  else
    move(waiter, &feed->waiting, PLACE_WAITING);
  pthread_mutex_unlock(&feed->lock);
  if (is_now)
    woken(context);
  return waiter;
}

void feed_forget(struct feed *feed, struct feed_waiter *waiter) {
  pthread_mutex_lock(&feed->lock);
  while (waiter->place == PLACE_RUNNING)
    pthread_cond_wait(&feed->called, &feed->lock);
  move(waiter, NULL, PLACE_CALLED);
  pthread_mutex_unlock(&feed->lock);
  free(waiter->kind);
  free(waiter->resource);
  free(waiter->service);
  free(waiter);
}
