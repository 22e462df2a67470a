#include "discovery/balancers/balancers_private.h"

#include <jansson.h>

#include "gslb/base/log.h"
#include "gslb/base/value.h"

#define TOLD_SERVICES_MOST 256u /* by the feed, of one reload */

void balancers_publish_notice(struct balancers *balancers, const char *service, json_t *directive) {
  struct feed_change change = {.kind = "notice",
                               .resource = "",
                               .service = service,
                               .member = "",
                               .detail = value_must(json_pack("{s:o}", "directive", directive))};
  feed_publish(balancers->links.feed, &change);
}

void balancers_tell_going(struct balancers *balancers) {
  pthread_mutex_lock(&balancers->lock);
  bool must_tell = balancers->must_tell;
  json_t *notice = must_tell ? balancers_show_directive(balancers) : NULL;
  if (notice)
    json_object_set_new(notice, "from", value_text(balancers->identity));
  balancers->must_tell = false;
  pthread_mutex_unlock(&balancers->lock);
  if (!notice)
    return;
  /* whoever was being told of less is told of this instead */
  courier_drop(balancers->courier);
  courier_tell(balancers->courier, notice, NULL, NULL);
  json_decref(notice);
}

static json_t *show_lost(struct balancers *balancers, json_t *services) {
  json_t *directive = value_must(
      json_pack("{s:s, s:n, s:o}", "kind", "leave", "until_at", "balancers", balancers_show_others(balancers)));
  if (services)
    json_object_set_new(directive, "services", services);
  return directive;
}

static bool fits_lost(void *context, const json_t *document, json_t *notice) {
  const struct balancers *balancers = context;
  json_t *services = value_must(json_array()), *service = NULL;
  size_t i;
  json_array_foreach(json_object_get(document, "services"), i, service) {
    const char *name = json_string_value(json_object_get(service, "name"));
    if (name && accepted_has(balancers->told_before, name) && !accepted_has(balancers->told_after, name))
      json_array_append_new(services, value_text(name));
  }
  bool is_concerned = json_array_size(services) > 0;
  json_object_set_new(notice, "services", services);
  return is_concerned;
}

struct lost_visit {
  struct balancers *balancers;
  size_t count;
};

static void publish_lost(void *context, const char *service) {
  struct lost_visit *visit = context;
  if (visit->count++ >= TOLD_SERVICES_MOST)
    return;
  json_t *services = value_must(json_pack("[o]", value_text(service)));
  balancers_publish_notice(visit->balancers, service, show_lost(visit->balancers, services));
}

/* With the lock held: what to tell of a reload; NULL: nothing. */
static json_t *take_lost(struct balancers *balancers) {
  if (!balancers->has_lost_listener && !balancers->lost_from)
    return NULL;
  json_t *notice = show_lost(balancers, NULL);
  json_object_set_new(notice, "from", value_text(balancers->identity));
  struct lost_visit visit = {balancers, 0};
  if (balancers->has_lost_listener)
    balancers_publish_notice(balancers, "", show_lost(balancers, NULL));
  else if (accepted_each_lost(balancers->lost_from, balancers->accepted, publish_lost, &visit) > 0)
    log_info("%zu services take no registrations any more; their resources are told", visit.count);
  return notice;
}

void balancers_tell_lost(struct balancers *balancers) {
  pthread_mutex_lock(&balancers->lock);
  json_t *notice = take_lost(balancers);
  bool is_for_all = balancers->has_lost_listener;
  struct accepted *before = balancers->lost_from;
  balancers->lost_from = NULL;
  balancers->has_lost_listener = false;
  if (before) { /* a reload meanwhile must not free what is compared */
    balancers->told_after = balancers->accepted;
    balancers->accepted = accepted_copy(balancers->told_after);
  }
  pthread_mutex_unlock(&balancers->lock);
  balancers->told_before = before;
  if (notice)
    courier_tell(balancers->courier, notice, is_for_all ? NULL : fits_lost, balancers);
  json_decref(notice);
  accepted_free(before);
  if (before)
    accepted_free(balancers->told_after);
  balancers->told_before = balancers->told_after = NULL;
}
