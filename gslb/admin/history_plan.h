/* gslb/admin/history_plan.h
 * What the historian does and when, without its thread and its clock: a sample of everything at the end of each minute,
 * written in the minute that follows by small pieces, one at a time, with pauses between them; then the fold of hours
 * that ended, then the removal of what is no longer kept. Nothing waits for it and it waits for nothing: what is not
 * written when the next minute ends is dropped, and while a piece is still on its way nothing new is begun, so memory
 * and the committer's queue hold one minute and one piece at most. Skipping begins and ends with an event. One thread;
 * pieces are written on the committer's. */
#ifndef GSLB_ADMIN_HISTORY_PLAN_H
#define GSLB_ADMIN_HISTORY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/admin/view.h"
#include "gslb/base/status.h"
#include "gslb/model/commit.h"

#define HISTORY_PIECE_ROWS 64u
#define HISTORY_PIECE_CHUNKS 16u /* rows of samples in a piece: 64 KiB */

struct history_plan_links { /* borrowed */
  struct views *views;
  struct committer *committer;
  void (*moved)(void *context); /* a piece was written, or not: a turn is due. On the committer's thread; may be NULL */
  void *context;
};

struct history_plan;

struct history_plan *history_plan_new(const struct history_plan_links *links);
void history_plan_free(struct history_plan *plan);
/* Waits for the piece on its way. The committer must still run. NULL is fine. */

int64_t history_plan_turn(struct history_plan *plan, int64_t now_ms);
/* Does what is due at house time now_ms; returns when to come again, or earlier when moved was called. */
void history_plan_finish(struct history_plan *plan);
/* Before the end: writes what was sampled and waits, without pauses. */

#endif
