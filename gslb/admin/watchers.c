#include "gslb/admin/watchers.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "gslb/base/value.h"
#include "gslb/net/reply.h"

/* changes that come in a burst wake everybody once in so long, not once each */
#define GATHER_MS 5

struct watcher {
  struct watchers *watchers;
  struct watcher *next, *before; /* among all */
  struct watcher *next_ready;
  bool is_ready; /* the thread looks after it, now or next: it is not put in the list again */
  bool is_new;   /* the thread has not seen it */
  bool is_gone;  /* its client went away */
  struct http_call *call;
  struct http_stream *stream;  /* NULL: a held call */
  struct feed_waiter *waiting; /* the thread's alone */
  struct feed_position since;
  int64_t due_ms; /* mono: end of the wait, or the next sign of life */
  char *kind, *resource, *service;
};

struct watchers {
  struct feed *feed;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t stirred;
  struct watcher *first;
  struct watcher *ready;
  size_t count;   /* with those that are about to be listed */
  int64_t due_ms; /* not after the earliest of all */
  bool is_stopping;
};

static char *copy_of(const char *text) {
  return text ? mem_strdup(text) : NULL;
}

static struct feed_filter filter_of(const struct watcher *watcher) {
  return (struct feed_filter){watcher->kind, watcher->resource, watcher->service};
}

json_t *watchers_page(struct feed_position position, json_t *changes) {
  char text[FEED_POSITION_SIZE];
  return value_must(json_pack("{s:s, s:o}", "position", feed_position_format(position, text), "changes", changes));
}

/* Under the lock. */
static void make_ready(struct watcher *watcher) {
  struct watchers *watchers = watcher->watchers;
  if (watcher->is_ready)
    return;
  watcher->is_ready = true;
  watcher->next_ready = watchers->ready;
  watchers->ready = watcher;
  pthread_cond_signal(&watchers->stirred);
}

static void on_woken(void *context) {
  struct watcher *watcher = context;
  struct watchers *watchers = watcher->watchers;
  pthread_mutex_lock(&watchers->lock);
  make_ready(watcher);
  pthread_mutex_unlock(&watchers->lock);
}

static void on_gone(void *context) {
  struct watcher *watcher = context;
  struct watchers *watchers = watcher->watchers;
  pthread_mutex_lock(&watchers->lock);
  watcher->is_gone = true;
  make_ready(watcher);
  pthread_mutex_unlock(&watchers->lock);
}

/* The thread */

static void end(struct watcher *watcher) {
  struct watchers *watchers = watcher->watchers;
  if (watcher->stream)
    http_stream_close(watcher->stream);
  pthread_mutex_lock(&watchers->lock);
  *(watcher->before ? &watcher->before->next : &watchers->first) = watcher->next;
  if (watcher->next)
    watcher->next->before = watcher->before;
  watchers->count--;
  pthread_mutex_unlock(&watchers->lock);
  free(watcher->kind);
  free(watcher->resource);
  free(watcher->service);
  free(watcher);
}

static void write_text(struct watcher *watcher, char *text) {
  http_stream_write(watcher->stream, text, strlen(text));
  free(text);
}

static void write_change(struct watcher *watcher, json_t *change) {
  const char *kind = json_string_value(json_object_get(change, "kind"));
  json_int_t revision = json_integer_value(json_object_get(change, "rev"));
  char *data = value_dump(json_incref(change)); /* one line, with its newline */
  write_text(watcher, mem_format("id: %" PRIu64 ".%lld\nevent: %s\ndata: %s\n", watcher->since.epoch,
                                 (long long)revision, kind ? kind : "message", data));
  free(data);
}

/* Whether the stream goes on. */
static bool write_news(struct watcher *watcher, int64_t now_ms) {
  struct feed_filter filter = filter_of(watcher);
  bool is_lost = false;
  json_t *changes = feed_read(watcher->watchers->feed, &watcher->since, &filter, &is_lost);
  size_t index;
  json_t *change;
  json_array_foreach(changes, index, change) write_change(watcher, change);
  char position[FEED_POSITION_SIZE];
  feed_position_format(watcher->since, position);
  if (is_lost)
    write_text(watcher, mem_format("event: gone\ndata: {\"code\":\"gone\"}\n\n"));
  else if (json_array_size(changes) > 0)
    watcher->due_ms = now_ms + WATCHERS_ALIVE_MS;
  else if (now_ms >= watcher->due_ms) {
    /* an id without data moves where the client goes on after a break, and is no event */
    write_text(watcher, mem_format(": nothing new\nid: %s\n\n", position));
    watcher->due_ms = now_ms + WATCHERS_ALIVE_MS;
  }
  json_decref(changes);
  return !is_lost;
}

static void answer(struct watcher *watcher) {
  struct feed_filter filter = filter_of(watcher);
  bool is_lost = false;
  json_t *changes = feed_read(watcher->watchers->feed, &watcher->since, &filter, &is_lost);
  if (!is_lost) {
    reply_json(watcher->call, 200, watchers_page(watcher->since, changes));
    return;
  }
  json_decref(changes);
  reply_problem_with(watcher->call, 410, "more happened than is kept: read the lists again", "code",
                     json_string("gone"), NULL);
}

/* Lets others put it in the list again, then waits for news: what there is already wakes it at once. */
static void wait_on(struct watcher *watcher) {
  struct watchers *watchers = watcher->watchers;
  struct feed_filter filter = filter_of(watcher);
  pthread_mutex_lock(&watchers->lock);
  watcher->is_ready = false;
  if (watcher->is_gone)
    make_ready(watcher);
  if (watcher->due_ms < watchers->due_ms)
    watchers->due_ms = watcher->due_ms;
  pthread_mutex_unlock(&watchers->lock);
  watcher->waiting = feed_wait(watchers->feed, watcher->since, &filter, on_woken, watcher);
}

static void look_after(struct watcher *watcher) {
  struct watchers *watchers = watcher->watchers;
  if (watcher->waiting)
    feed_forget(watchers->feed, watcher->waiting);
  watcher->waiting = NULL;
  pthread_mutex_lock(&watchers->lock);
  bool is_over = watcher->is_gone || watchers->is_stopping, is_new = watcher->is_new;
  watcher->is_new = false;
  pthread_mutex_unlock(&watchers->lock);
  if (!watcher->stream && (is_over || !is_new))
    answer(watcher);
  else if (!is_over && (!watcher->stream || write_news(watcher, mono_now_ms()))) {
    wait_on(watcher);
    return;
  }
  end(watcher);
}

/* Under the lock. Everybody is due when it stops. */
static void find_due(struct watchers *watchers, int64_t now_ms) {
  if (now_ms < watchers->due_ms && !watchers->is_stopping)
    return;
  int64_t due_ms = INT64_MAX;
  for (struct watcher *watcher = watchers->first; watcher; watcher = watcher->next) {
    if (watcher->due_ms <= now_ms || watchers->is_stopping)
      make_ready(watcher);
    else if (watcher->due_ms < due_ms)
      due_ms = watcher->due_ms;
  }
  watchers->due_ms = due_ms;
}

static void wait_until(struct watchers *watchers, int64_t until_ms) {
  if (until_ms == INT64_MAX) {
    pthread_cond_wait(&watchers->stirred, &watchers->lock);
    return;
  }
  struct timespec at = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
  pthread_cond_timedwait(&watchers->stirred, &watchers->lock, &at);
}

static void *run(void *context) {
  struct watchers *watchers = context;
  int64_t next_ms = 0; /* mono: not before */
  pthread_mutex_lock(&watchers->lock);
  for (;;) {
    int64_t now_ms = mono_now_ms();
    find_due(watchers, now_ms);
    if (!watchers->ready && watchers->is_stopping && watchers->count == 0)
      break;
    if (!watchers->ready || (now_ms < next_ms && !watchers->is_stopping)) {
      wait_until(watchers, watchers->ready ? next_ms : watchers->due_ms);
      continue;
    }
    struct watcher *ready = watchers->ready;
    watchers->ready = NULL;
    pthread_mutex_unlock(&watchers->lock);
    while (ready) {
      struct watcher *next = ready->next_ready;
      look_after(ready);
      ready = next;
    }
    next_ms = mono_now_ms() + GATHER_MS;
    pthread_mutex_lock(&watchers->lock);
  }
  pthread_mutex_unlock(&watchers->lock);
  return NULL;
}

enum status watchers_start(struct feed *feed, struct watchers **out, struct errbuf *err) {
  struct watchers *watchers = mem_alloc(sizeof *watchers);
  watchers->feed = feed;
  watchers->due_ms = INT64_MAX;
  pthread_mutex_init(&watchers->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&watchers->stirred, &attributes);
  pthread_condattr_destroy(&attributes);
  int code = pthread_create(&watchers->thread, NULL, run, watchers);
  if (code) {
    watchers->is_stopping = true;
    watchers_free(watchers);
    return errbuf_set(err, STATUS_IO, "a thread for those who watch cannot be started: %s", strerror(code));
  }
  *out = watchers;
  return STATUS_OK;
}

void watchers_stop(struct watchers *watchers) {
  if (!watchers)
    return;
  pthread_mutex_lock(&watchers->lock);
  watchers->is_stopping = true;
  pthread_cond_signal(&watchers->stirred);
  pthread_mutex_unlock(&watchers->lock);
  pthread_join(watchers->thread, NULL);
}

void watchers_free(struct watchers *watchers) {
  if (!watchers)
    return;
  assert(watchers->is_stopping && watchers->count == 0);
  pthread_cond_destroy(&watchers->stirred);
  pthread_mutex_destroy(&watchers->lock);
  free(watchers);
}

struct feed *watchers_feed(const struct watchers *watchers) {
  return watchers->feed;
}

/* Whether there is room, which is then taken. */
static enum status reserve(struct watchers *watchers, size_t most) {
  pthread_mutex_lock(&watchers->lock);
  enum status status = watchers->is_stopping ? STATUS_IO : watchers->count >= most ? STATUS_LIMIT : STATUS_OK;
  if (status == STATUS_OK)
    watchers->count++;
  pthread_mutex_unlock(&watchers->lock);
  return status;
}

static void list(struct watcher *watcher) {
  struct watchers *watchers = watcher->watchers;
  pthread_mutex_lock(&watchers->lock);
  watcher->next = watchers->first;
  if (watcher->next)
    watcher->next->before = watcher;
  watchers->first = watcher;
  watcher->is_ready = false;
  make_ready(watcher);
  pthread_mutex_unlock(&watchers->lock);
}

enum status watchers_hold(struct watchers *watchers, struct http_call *call, const struct watchers_wish *wish) {
  enum status status = reserve(watchers, wish->most);
  if (status)
    return status;
  struct watcher *watcher = mem_alloc(sizeof *watcher);
  *watcher = (struct watcher){.watchers = watchers,
                              .is_ready = true, /* nobody else lists it before it is whole */
                              .is_new = true,
                              .call = call,
                              .since = wish->since,
                              .due_ms = mono_now_ms() + (wish->is_stream ? 0 : wish->wait_ms),
                              .kind = copy_of(wish->filter.kind),
                              .resource = copy_of(wish->filter.resource),
                              .service = copy_of(wish->filter.service)};
  if (wish->is_stream)
    watcher->stream = http_stream_open(call, "text/event-stream", on_gone, watcher);
  else
    http_hold(call);
  list(watcher);
  return STATUS_OK;
}
