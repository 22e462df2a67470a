#include "gslb/model/facts_links.h"

#include <stdbool.h>
#include <stdlib.h>

struct facts_link {
  const char *name; /* of the service that is looked at */
  uint32_t service; /* that looks */
  uint32_t monitor; /* position among its monitors */
  uint32_t next;    /* of the same name; NAME_INDEX_NONE: the last */
};

static bool has_any(const struct config *config) {
  for (size_t i = 0; i < config->monitor_count; i++)
    if (config->monitors[i].type == MONITOR_SERVICE)
      return true;
  return false;
}

static void add_link(struct facts_links *links, struct arena *arena, const char *name, size_t service, size_t monitor) {
  uint32_t at = (uint32_t)links->count;
  links->items = mem_grow(links->items, &links->capacity, links->count + 1, sizeof *links->items);
  links->items[links->count++] =
      (struct facts_link){name, (uint32_t)service, (uint32_t)monitor, .next = NAME_INDEX_NONE};
  uint32_t first = name_index_add(&links->index, arena, name, at);
  if (first == NAME_INDEX_NONE)
    return;
  links->items[at].next = links->items[first].next;
  links->items[first].next = at;
}

void facts_links_build(const struct config *config, struct arena *arena, struct service_facts *services,
                       struct facts_links *out) {
  *out = (struct facts_links){0};
  size_t count = has_any(config) ? config->service_count : 0;
  for (size_t s = 0; s < count; s++) {
    const struct config_service *service = &config->services[s];
    for (size_t m = 0; m < service->monitor_count; m++) {
      const struct config_monitor *monitor = &config->monitors[service->monitors[m]];
      if (monitor->type != MONITOR_SERVICE)
        continue;
      if (!services[s].watched)
        services[s].watched = arena_array(arena, service->monitor_count, sizeof *services[s].watched);
      add_link(out, arena, monitor->service, s, m);
    }
  }
}

void facts_links_release(struct facts_links *links) {
  free(links->items);
  *links = (struct facts_links){0};
}

static uint32_t first_of(const struct facts_links *links, const char *name) {
  return links->count > 0 ? name_index_find(&links->index, name) : NAME_INDEX_NONE;
}

void facts_links_connect(const struct facts_links *links, const char *name, struct service_facts *services,
                         const struct service_facts *seen) {
  for (uint32_t i = first_of(links, name); i != NAME_INDEX_NONE; i = links->items[i].next)
    services[links->items[i].service].watched[links->items[i].monitor] = seen;
}

void facts_links_each(const struct facts_links *links, const char *name, facts_links_visit *visit, void *context) {
  for (uint32_t i = first_of(links, name); i != NAME_INDEX_NONE; i = links->items[i].next)
    visit(context, links->items[i].service);
}
