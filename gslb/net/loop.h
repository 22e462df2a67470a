/* gslb/net/loop.h
 * The event loop of a process: timers, by libuv, which no other file knows, and readiness of descriptors. One
 * thread owns a loop and all that belongs to it. Callbacks come from loop_run alone; after a timer or a poll was freed
 * its callback is never called again, and either may be freed in its own callback. */
#ifndef GSLB_NET_LOOP_H
#define GSLB_NET_LOOP_H

#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_poll;

struct loop *loop_new(void);
void loop_free(struct loop *loop);
/* Frees the timers and polls that are left too; descriptors stay their owners'. NULL is fine. */
void loop_run(struct loop *loop);
/* Until loop_stop, or until there is neither a timer that runs nor a poll. */
void loop_stop(struct loop *loop);
/* Ends loop_run after the callbacks at hand. */
uint64_t loop_turn(const struct loop *loop);
/* A number that grows by one with each turn: timers that are due fire, then descriptors are looked at. */

typedef void loop_fired(void *context);
struct loop_timer *loop_timer_new(struct loop *loop, loop_fired *fired, void *context);
/* Never NULL. Idle until started; fires once for each start. context is borrowed. */
void loop_timer_after(struct loop_timer *timer, int64_t delay_ms);
/* Starts it, or starts it anew. 0 or less: in the next turn of the loop, never within this call. */
void loop_timer_at(struct loop_timer *timer, int64_t due_us);
/* Likewise, at a point of mono time; it fires in the millisecond that holds due_us. */
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer);
/* NULL is fine. */

enum loop_event { LOOP_READABLE = 1, LOOP_WRITABLE = 2 };

typedef void loop_ready(void *context, int events);
struct loop_poll *loop_poll_new(struct loop *loop, int fd, loop_ready *ready, void *context);
/* fd is borrowed, made non-blocking, and must stay open until loop_poll_free; one poll a descriptor. NULL when the
 * kernel cannot poll it. */
struct loop_poll *loop_poll_start(struct loop *loop, int fd, int events, loop_ready *ready, void *context);
/* Likewise, and watches for the events from now on; fd is non-blocking already. */
void loop_poll_watch(struct loop_poll *poll, int events);
/* Level-triggered, until changed; 0 for nothing. A descriptor in error gives both events once, so that its owner meets
 * the error in its own call; watching then ends until asked for again. */
void loop_poll_free(struct loop_poll *poll);
/* NULL is fine. The descriptor may be closed right after. */

#endif
