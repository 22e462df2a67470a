#include "gslb/admin/historian.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "gslb/admin/history_plan.h"
#include "gslb/base/memory.h"

struct historian {
  struct history_plan *plan;
  const struct house *house;
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t woken;
  bool has_moved, is_stopping;
};

static void wake(void *context) {
  struct historian *historian = context;
  pthread_mutex_lock(&historian->lock);
  historian->has_moved = true;
  pthread_cond_signal(&historian->woken);
  pthread_mutex_unlock(&historian->lock);
}

/* Returns whether to go on. */
static bool wait_ms(struct historian *historian, int64_t left_ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  int64_t ns = until.tv_nsec + (left_ms > 0 ? left_ms : 0) * 1000000;
  until.tv_sec += ns / 1000000000;
  until.tv_nsec = ns % 1000000000;
  pthread_mutex_lock(&historian->lock);
  while (!historian->has_moved && !historian->is_stopping &&
         pthread_cond_timedwait(&historian->woken, &historian->lock, &until) == 0)
    ;
  historian->has_moved = false;
  bool goes_on = !historian->is_stopping;
  pthread_mutex_unlock(&historian->lock);
  return goes_on;
}

static void *run(void *context) {
  struct historian *historian = context;
  int64_t next_ms;
  do {
    next_ms = history_plan_turn(historian->plan, house_now_ms(historian->house));
  } while (wait_ms(historian, next_ms - house_now_ms(historian->house)));
  history_plan_finish(historian->plan);
  return NULL;
}

static void historian_free(struct historian *historian) {
  history_plan_free(historian->plan);
  pthread_cond_destroy(&historian->woken);
  pthread_mutex_destroy(&historian->lock);
  free(historian);
}

enum status historian_start(const struct historian_links *links, struct historian **out, struct errbuf *err) {
  struct historian *historian = mem_alloc(sizeof *historian);
  struct history_plan_links plan = {links->views, links->committer, wake, historian};
  historian->house = links->house;
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&historian->woken, &monotonic);
  pthread_condattr_destroy(&monotonic);
  pthread_mutex_init(&historian->lock, NULL);
  historian->plan = history_plan_new(&plan);
  if (pthread_create(&historian->thread, NULL, run, historian) != 0) {
    historian_free(historian);
    return errbuf_set(err, STATUS_IO, "the historian's thread cannot be started");
  }
  *out = historian;
  return STATUS_OK;
}

void historian_stop(struct historian *historian) {
  if (!historian)
    return;
  pthread_mutex_lock(&historian->lock);
  historian->is_stopping = true;
  pthread_cond_signal(&historian->woken);
  pthread_mutex_unlock(&historian->lock);
  pthread_join(historian->thread, NULL);
  historian_free(historian);
}
