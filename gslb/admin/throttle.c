#include "gslb/admin/throttle.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "gslb/base/random.h"

#define TOKEN 1000 /* buckets count thousandths, so that a millisecond gives per_s of them */

struct bucket {
  uint64_t client; /* the address's bytes */
  uint8_t family;  /* 0: free */
  int64_t level;
  int64_t filled_ms;
};

struct throttle {
  pthread_mutex_t lock;
  uint64_t secret; /* so that nobody can aim at another's place */
  struct bucket buckets[THROTTLE_PLACES][THROTTLE_WAYS];
};

struct throttle *throttle_new(void) {
  struct throttle *throttle = mem_alloc(sizeof *throttle);
  pthread_mutex_init(&throttle->lock, NULL);
  random_secret(&throttle->secret, sizeof throttle->secret);
  return throttle;
}

void throttle_free(struct throttle *throttle) {
  if (!throttle)
    return;
  pthread_mutex_destroy(&throttle->lock);
  free(throttle);
}

static size_t place_of(const struct throttle *throttle, uint64_t client) {
  struct random mix;
  random_seed(&mix, client ^ throttle->secret);
  return random_next(&mix) % THROTTLE_PLACES;
}

static struct bucket *find_bucket(struct throttle *throttle, uint64_t client, uint8_t family, int64_t full,
                                  int64_t now_ms) {
  struct bucket *ways = throttle->buckets[place_of(throttle, client)], *rested = &ways[0];
  for (size_t i = 0; i < THROTTLE_WAYS; i++) {
    if (ways[i].family == family && ways[i].client == client)
      return &ways[i];
    if (ways[i].family == 0 || (rested->family != 0 && ways[i].filled_ms < rested->filled_ms))
      rested = &ways[i];
  }
  *rested = (struct bucket){client, family, full, now_ms};
  return rested;
}

bool throttle_take(struct throttle *throttle, const struct addr *client, uint32_t per_s, int64_t now_ms) {
  if (!throttle || per_s == 0 || client->family == 0)
    return true;
  uint64_t bytes = 0;
  memcpy(&bytes, client->bytes, client->family == 4 ? 4 : sizeof bytes);
  int64_t full = (int64_t)per_s * TOKEN;
  pthread_mutex_lock(&throttle->lock);
  struct bucket *bucket = find_bucket(throttle, bytes, client->family, full, now_ms);
  int64_t rest_ms = now_ms - bucket->filled_ms;
  bucket->level = rest_ms >= TOKEN || bucket->level + rest_ms * per_s > full ? full : bucket->level + rest_ms * per_s;
  bucket->filled_ms = now_ms;
  bool is_allowed = bucket->level >= TOKEN;
  if (is_allowed)
    bucket->level -= TOKEN;
  pthread_mutex_unlock(&throttle->lock);
  return is_allowed;
}
