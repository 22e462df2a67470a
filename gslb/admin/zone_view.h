/* gslb/admin/zone_view.h
 * Zones as the interface shows them, from a view: what the name image has of each, and how those that are copies of
 * other primaries' fare. Any thread. Functions that return JSON return a new reference, never NULL. */
#ifndef GSLB_ADMIN_ZONE_VIEW_H
#define GSLB_ADMIN_ZONE_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/admin/view.h"
#include "zones/secondary/secondary.h"

struct json_t;

struct zone_links { /* to who keeps the secondary zones; any thread may call */
  struct secondary_state *(*states)(void *context, size_t *count);
  /* As secondary_states. */
  enum status (*refresh)(void *context, const struct config_zone *zone);
  /* A primary is asked at once. STATUS_NOTFOUND: the zone is not kept. */
  void *context;
};

struct zone_shown { /* borrowed */
  const struct config_zone *config;
  const struct image_zone *image;      /* NULL: absent, no answers are given from it */
  const struct secondary_state *state; /* NULL: not a secondary zone, or nobody keeps it */
  int64_t now_ms;                      /* house time */
};
typedef void zone_visit(void *context, const struct zone_shown *shown);
void zone_view_each(struct view *view, zone_visit *visit, void *context);
/* Every zone in the configuration's order. */

struct json_t *zone_view_list(struct view *view);
struct json_t *zone_view_one(struct view *view, size_t zone);
size_t zone_view_find(const struct view *view, const char *name);
/* Index of the zone of exactly that name, or SIZE_MAX. Case matters not; a last dot is ignored. */

struct zone_question {
  const char *name; /* absolute; the last dot is optional */
  const char *type; /* NULL or "ANY": all */
};
enum status zone_view_records(struct view *view, size_t zone, const struct zone_question *question, struct json_t **out,
                              struct errbuf *err);
/* The static records of the zone at exactly that name, as the image has them: what the zone's file says there, balanced
 * names, wildcards and delegations aside. STATUS_INVALID: the question is wrong; STATUS_NODATA: the zone is absent. */

#endif
