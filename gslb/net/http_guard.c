#include "gslb/net/http_guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gslb/base/memory.h"
#include "gslb/base/random.h"

#define CHAINS 1024u
#define NETWORK_V6 8u /* bytes of an IPv6 address that tell clients apart: one host has a /64 to choose from */

struct http_guard {
  struct guard_rules rules;
  pthread_mutex_t lock;
  uint64_t secret;
  unsigned present; /* entered, neither cut nor left */
  struct line {     /* oldest first, as time in a step is the same for all in it */
    struct guard_visitor *first, *last;
    unsigned count;
  } steps[GUARD_STEPS];
  struct guard_visitor *chains[CHAINS]; /* by client, newest first; those that were cut are not in it */
};

struct http_guard *http_guard_new(const struct guard_rules *rules) {
  struct http_guard *guard = mem_alloc(sizeof *guard);
  guard->rules = *rules;
  random_secret(&guard->secret, sizeof guard->secret);
  pthread_mutex_init(&guard->lock, NULL);
  return guard;
}

void http_guard_free(struct http_guard *guard) {
  if (!guard)
    return;
  pthread_mutex_destroy(&guard->lock);
  free(guard);
}

static size_t network_length(const struct addr *client) {
  return client->family == 6 ? NETWORK_V6 : 4;
}

static bool is_same_client(const struct addr *a, const struct addr *b) {
  return a->family == b->family && memcmp(a->bytes, b->bytes, network_length(a)) == 0;
}

static struct guard_visitor **chain_of(struct http_guard *guard, const struct addr *client) {
  uint64_t key = 0;
  memcpy(&key, client->bytes, network_length(client));
  key = (key ^ guard->secret) * UINT64_C(0x9e3779b97f4a7c15);
  key = (key ^ key >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
  return &guard->chains[(key >> 32) % CHAINS];
}

static void line_add(struct line *line, struct guard_visitor *visitor) {
  line->count++;
  visitor->by_step = (struct guard_link){.previous = line->last};
  if (line->last)
    line->last->by_step.next = visitor;
  else
    line->first = visitor;
  line->last = visitor;
}

static void line_remove(struct line *line, struct guard_visitor *visitor) {
  struct guard_link *link = &visitor->by_step;
  line->count--;
  if (link->previous)
    link->previous->by_step.next = link->next;
  else
    line->first = link->next;
  if (link->next)
    link->next->by_step.previous = link->previous;
  else
    line->last = link->previous;
}

static void chain_remove(struct http_guard *guard, struct guard_visitor *visitor) {
  struct guard_link *link = &visitor->by_client;
  if (link->previous)
    link->previous->by_client.next = link->next;
  else
    *chain_of(guard, &visitor->client) = link->next;
  if (link->next)
    link->next->by_client.previous = link->previous;
}

static void forget(struct http_guard *guard, struct guard_visitor *visitor) {
  line_remove(&guard->steps[visitor->step], visitor);
  if (visitor->client.family)
    chain_remove(guard, visitor);
  guard->present--;
}

static void cut(struct http_guard *guard, struct guard_visitor *visitor) {
  forget(guard, visitor);
  visitor->is_cut = true;
  shutdown(visitor->fd, SHUT_RDWR);
}

/* Who of the visitor's client should go for it: the longest of those that asked nothing, then of those that rest, then
 * itself. NULL: there is room for all. */
static struct guard_visitor *one_too_many(struct http_guard *guard, struct guard_visitor *visitor) {
  struct guard_visitor *fresh = NULL, *resting = NULL;
  unsigned count = 0;
  for (struct guard_visitor *at = *chain_of(guard, &visitor->client); at; at = at->by_client.next) {
    if (!is_same_client(&at->client, &visitor->client))
      continue;
    count++;
    if (at->step == GUARD_FRESH && at != visitor && (!fresh || at->since_ms <= fresh->since_ms))
      fresh = at;
    if (at->step == GUARD_RESTING && (!resting || at->since_ms <= resting->since_ms))
      resting = at;
  }
  if (count <= guard->rules.per_client)
    return NULL;
  return fresh ? fresh : resting ? resting : visitor;
}

/* The longest in the step that most are in: a crowd that does not get on pays for itself, whatever it waits for, and
 * who came just now has time to ask. NULL: all others are busy, and the owner's own limit holds. */
static struct guard_visitor *one_for(struct http_guard *guard, const struct guard_visitor *newcomer) {
  static const enum guard_step waiting[] = {GUARD_FRESH, GUARD_RESTING, GUARD_RECEIVING, GUARD_ANSWERING};
  struct guard_visitor *longest = NULL;
  unsigned most = 0;
  for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++) {
    const struct line *line = &guard->steps[waiting[i]];
    unsigned others = line->count - (newcomer->step == waiting[i]);
    if (others > most) {
      most = others;
      longest = line->first; /* never the newcomer, which is the last of several */
    }
  }
  return longest;
}

void http_guard_enter(struct http_guard *guard, struct guard_visitor *visitor, int fd, const struct addr *client,
                      int64_t now_ms) {
  *visitor = (struct guard_visitor){.fd = fd, .client = *client, .step = GUARD_FRESH, .since_ms = now_ms};
  pthread_mutex_lock(&guard->lock);
  guard->present++;
  if (client->family) {
    struct guard_visitor **chain = chain_of(guard, client);
    visitor->by_client.next = *chain;
    if (*chain)
      (*chain)->by_client.previous = visitor;
    *chain = visitor;
  }
  line_add(&guard->steps[GUARD_FRESH], visitor);

  struct guard_visitor *victim = client->family && guard->rules.per_client ? one_too_many(guard, visitor) : NULL;
  if (!victim && guard->present > guard->rules.most)
    victim = one_for(guard, visitor);
  if (victim)
    cut(guard, victim);
  pthread_mutex_unlock(&guard->lock);
}

void http_guard_step(struct http_guard *guard, struct guard_visitor *visitor, enum guard_step step, int64_t now_ms) {
  pthread_mutex_lock(&guard->lock);
  if (!visitor->is_cut) {
    line_remove(&guard->steps[visitor->step], visitor);
    visitor->step = step;
    visitor->since_ms = now_ms;
    line_add(&guard->steps[step], visitor);
  }
  pthread_mutex_unlock(&guard->lock);
}

void http_guard_cut(struct http_guard *guard, struct guard_visitor *visitor) {
  pthread_mutex_lock(&guard->lock);
  if (!visitor->is_cut)
    cut(guard, visitor);
  pthread_mutex_unlock(&guard->lock);
}

void http_guard_leave(struct http_guard *guard, struct guard_visitor *visitor) {
  pthread_mutex_lock(&guard->lock);
  if (!visitor->is_cut)
    forget(guard, visitor);
  pthread_mutex_unlock(&guard->lock);
}

void http_guard_tick(struct http_guard *guard, int64_t now_ms) {
  pthread_mutex_lock(&guard->lock);
  for (int step = 0; step < GUARD_STEPS; step++) {
    int64_t most_ms = guard->rules.step_most_ms[step];
    while (most_ms && guard->steps[step].first && now_ms - guard->steps[step].first->since_ms >= most_ms)
      cut(guard, guard->steps[step].first);
  }
  pthread_mutex_unlock(&guard->lock);
}
