/* gslb/main/reloads.h
 * HTTP calls in control that wait for the supervisor's answer to a reload. Any thread. */
#ifndef GSLB_MAIN_RELOADS_H
#define GSLB_MAIN_RELOADS_H

#include <stdint.h>

#include "gslb/model/channel.h"
#include "gslb/model/commit.h"
#include "gslb/net/http_server.h"

#define RELOADS_TIMEOUT_MS 60000
#define RELOADS_MOST 64u

struct reloads;

struct reloads *reloads_new(int channel, struct committer *committer, const struct house *house);
/* channel leads to the supervisor; all are borrowed. */
void reloads_stop(struct reloads *reloads);
/* Answers those that still wait, and whoever comes from now on, with 503. NULL is fine. */
void reloads_free(struct reloads *reloads);
/* After reloads_stop, when nobody can ask any more. NULL is fine. */

void reloads_ask(void *reloads, struct http_call *call, const char *who);
/* A routes_reload: holds the call and asks the supervisor, which answers every request once, in their order. */
void reloads_want(struct reloads *reloads, const char *who);
/* Asks the supervisor for a reload for which nobody waits; who goes into the audit. One that finds no room is logged.
 */
void reloads_answer(struct reloads *reloads, const struct channel_message *message);
/* A CHANNEL_RELOADED came: answers the oldest call with 200, or 422 with the problems, and writes the audit. */
int64_t reloads_expire(struct reloads *reloads, int64_t now_ms);
/* Answers 504 to those that have waited too long; now_ms is mono. Returns when to call again; INT64_MAX: nobody waits.
 */

#endif
