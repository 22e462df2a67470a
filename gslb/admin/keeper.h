/* gslb/admin/keeper.h
 * The thread of control that keeps house: follows the facts, stores and logs what follows from them (events, latches,
 * slots, overrides that ended), has the operator's on_change and on_empty commands run and stores what came of the
 * latter, clears dead readers and warns of slow ones, and copies the live store to disk every minute and at the end. */
#ifndef GSLB_ADMIN_KEEPER_H
#define GSLB_ADMIN_KEEPER_H

#include "gslb/admin/view.h"
#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "gslb/model/board.h"
#include "gslb/model/commit.h"
#include "gslb/model/records.h"

struct keeper_links {  /* borrowed until keeper_stop */
  struct views *views; /* a new view there is taken over at the next round */
  struct committer *committer;
  struct board *board;
  const struct board_bell *bell;
  const struct house *house;
  int exec; /* takes CHANNEL_COMMAND, sends CHANNEL_RESULT; -1: none */

  /* Called on the keeper's thread; either may be NULL. They must not wait. */
  void (*heard)(void *context); /* the bell rang: something was committed */
  void (*event)(void *context, const struct event_record *event);
  /* An event was stored, or could not be, which does not undo it. The record is borrowed for the call. */
  void *context;
};

struct keeper;

enum status keeper_start(const struct keeper_links *links, struct keeper **out, struct errbuf *err);
void keeper_wake(struct keeper *keeper);
/* A round at once, as after views_replace. */
void keeper_stop(struct keeper *keeper);
/* Ends after a last checkpoint. The committer must still run. NULL is fine. */

#endif
