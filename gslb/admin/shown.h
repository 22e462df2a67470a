/* gslb/admin/shown.h
 * What the interface shows of services, members and events as JSON, as docs/api.md describes it. Pure; any thread.
 * Every function returns a new reference, never NULL. */
#ifndef GSLB_ADMIN_SHOWN_H
#define GSLB_ADMIN_SHOWN_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/decide/evaluate.h"
#include "gslb/model/board.h"
#include "gslb/model/config.h"
#include "gslb/model/facts.h"
#include "gslb/model/store.h"

struct json_t;

struct shown { /* one service as it is at now_ms; borrowed */
  const struct config *config;
  const struct service_facts *facts;
  const struct evaluation *evaluation;
  const struct board *board; /* NULL: nothing was counted */
  int64_t now_ms;            /* house time */
};

struct json_t *shown_service(const struct shown *shown);
/* Without its members. */
struct json_t *shown_member(const struct shown *shown, size_t member);
struct json_t *shown_event(uint64_t id, const struct event_record *event);
struct json_t *shown_queries(const struct board *board);
struct json_t *shown_processes(const struct board *board, int64_t now_ms);
struct json_t *shown_store(struct store *store);
/* {"readable":false} for NULL or one that does not answer. */

uint64_t shown_answers(const struct board *board, const struct member_facts *member);
/* Answers given with the member so far; 0 without a slot or a board. */

#endif
