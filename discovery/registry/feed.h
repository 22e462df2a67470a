/* discovery/registry/feed.h
 * What happens, in order, for those who wait for it: long polls and server-sent events. A ring of the newest changes in
 * memory, numbered from 1 within an epoch that is new at each start of control. Threads: any. */
#ifndef GSLB_DISCOVERY_REGISTRY_FEED_H
#define GSLB_DISCOVERY_REGISTRY_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FEED_KEPT 16384u
#define FEED_POSITION_SIZE 42u

struct json_t;
struct feed;

struct feed *feed_new(void);
void feed_free(struct feed *feed);
/* When nobody waits any more. NULL is fine. */

struct feed_change { /* all borrowed for the call; "" where it does not apply */
  const char *kind;  /* "resource", "member", "service", "balancer", "notice" */
  const char *resource;
  const char *service;
  const char *member;
  struct json_t *detail; /* object; its reference is taken; NULL for none */
};
void feed_publish(struct feed *feed, const struct feed_change *change);
/* Never waits; wakes who waits for it. detail's members go into the change's document beside kind, rev, at, resource,
 * service and member. */

struct feed_filter { /* NULL: any */
  const char *kind;
  const char *resource;
  const char *service; /* also changes whose detail has it among its "services" */
};

struct feed_position {
  uint64_t epoch, revision;
};
bool feed_position_parse(const char *text, struct feed_position *out);
/* "<epoch>.<revision>". */
const char *feed_position_format(struct feed_position position, char text[FEED_POSITION_SIZE]);
struct feed_position feed_now(struct feed *feed);

struct json_t *feed_read(struct feed *feed, struct feed_position *since, const struct feed_filter *filter,
                         bool *is_lost);
/* A new array of what came after *since and passes the filter, and *since moved to the end. *is_lost: since is of
 * another epoch or too old, so the caller must read the lists again; the array is then empty. The changes in it are
 * shared with other readers: they may be written out, not altered. filter NULL: all. */

typedef void feed_woken(void *context);
struct feed_waiter;
struct feed_waiter *feed_wait(struct feed *feed, struct feed_position since, const struct feed_filter *filter,
                              feed_woken *woken, void *context);
/* woken is called once, from a publisher's thread and outside the feed's lock, when there is something to read; at
 * once, from this call and before it returns, when there is already. The filter is copied. */
void feed_forget(struct feed *feed, struct feed_waiter *waiter);
/* Frees it, woken or not; when it returns, woken does not run and will not. Never from woken. */

#endif
