/* gslb/admin/view.h
 * What is known now, for everyone who looks: one configuration generation with the facts that belong to it. Each call
 * takes over what changed in the stores and evaluates what it shows, so a reader sees its own writes. The daemon's
 * interface and gslbctl without a daemon use the same code.
 * Threads: any; a mutex inside keeps calls apart. A view counts its holders: views_take, view_hold, view_release. */
#ifndef GSLB_ADMIN_VIEW_H
#define GSLB_ADMIN_VIEW_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/admin/shown.h"
#include "gslb/base/clock.h"
#include "gslb/base/status.h"
#include "zones/image/image.h"

struct zone_links;

struct view_sources {    /* borrowed for the life of all views */
  struct store *durable; /* NULL: cannot be opened */
  struct store *live;    /* likewise */
  struct board *board;   /* NULL: no daemon runs */
  struct house house;
  const struct zone_links *zones; /* NULL: nobody keeps secondary zones */
};

struct view;

struct view *view_new(struct config *config, uint64_t generation, const struct view_sources *sources);
/* Takes over config; copies sources. Counted once for the caller. */
enum status view_map_image(struct view *view, int fd, struct errbuf *err);
/* The name image that was compiled from the view's configuration, mapped for the view's life; fd is borrowed for the
 * call. Once, before others see the view. STATUS_VERSION, STATUS_IO: the view has none. */
struct view *view_hold(struct view *view);
/* Counts one holder more and returns view. */
void view_release(struct view *view);
/* The last one frees the configuration too. NULL is fine. */
const struct config *view_config(const struct view *view);
/* Valid while the view is held. */
const struct image *view_image(const struct view *view);
/* Likewise; NULL: there is none. */
uint64_t view_generation(const struct view *view);
const struct view_sources *view_sources(const struct view *view);

struct views { /* the view in use; replaced at a reload while others still look at the old one */
  pthread_mutex_t lock;
  struct view *current;
};
void views_init(struct views *views, struct view *first);
/* Takes the reference. */
void views_release(struct views *views);
struct view *views_take(struct views *views);
/* The current one, counted; view_release it. */
void views_replace(struct views *views, struct view *view);
/* Takes the reference and lets go of the one before. */

struct view_name { /* a member that was named, and found; it may go at any time, and indices with it, so it keeps names
                    */
  char service[256];
  char member[64];
};
enum status view_find(struct view *view, const char *service, const char *member, struct view_name *out,
                      struct json_t **candidates);
/* service may be NULL: the member alone. STATUS_NOTFOUND; STATUS_CONFLICT: several services have such a member, and
 * *candidates (may be NULL) is a new array of their "service/member". */
size_t view_find_service(struct view *view, const char *name);
/* Index of a service that is there now, configured or created by registration (a pattern too), or SIZE_MAX. Another
 * service may have its place later: view_service_named looks and shows at once. */
bool view_find_owner(struct view *view, const char *name, struct view_name *out);
/* Whether that is the name of a service that is there now (member ""), or <member>.<service>. */

bool view_probes_pass(struct view *view, const char *service, const char *member);
/* Whether nothing that probes know speaks against the member: some address of it fails no monitor. False where it is
 * not there, or nobody probes it. */

struct json_t *view_status(struct view *view);
struct json_t *view_services(struct view *view);
struct json_t *view_service(struct view *view, size_t service);
struct json_t *view_service_named(struct view *view, const char *name);
/* NULL: it is not there. A pattern is shown with "pattern": true and without members; lists leave patterns out. */
struct json_t *view_member(struct view *view, struct view_name name);
/* {"id","service","name","state":"gone"} for one that has gone since it was found. */
struct json_t *view_load(struct view *view, const struct view_name *name);
/* Its load down to the terms, and what every source told of it (gslb/admin/load_shown); NULL: it has gone. */
struct view_filter { /* NULL: any */
  const char *service;
  const char *state;
  const char *site;
};
struct json_t *view_members(struct view *view, const struct view_filter *filter);
enum status view_events(struct view *view, size_t limit, const char *service, struct json_t **out, struct errbuf *err);
/* service NULL: all. STATUS_IO: the store cannot be read. */

enum status view_ready(struct view *view, struct errbuf *why);
/* STATUS_OK: dns serves this generation and both stores can be read. */

typedef void view_visit(void *context, const struct shown *shown);
void view_each(struct view *view, view_visit *visit, void *context);
/* Every service that is there, in order, response times fresh, under the view's lock; not the patterns. */

#endif
