/* gslb/model/facts_links.h
 * Which services look at which by monitors of type MONITOR_SERVICE: they are found by the name of the one that is
 * looked at, which may come and go with registrations. For facts.c alone. No I/O. */
#ifndef GSLB_MODEL_FACTS_LINKS_H
#define GSLB_MODEL_FACTS_LINKS_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/model/facts.h"
#include "gslb/model/name_index.h"

struct facts_links {
  struct facts_link *items;
  size_t count, capacity;
  struct name_index index; /* name -> the first of its links, which leads to the others */
};

void facts_links_build(const struct config *config, struct arena *arena, struct service_facts *services,
                       struct facts_links *out);
/* Gives every service with such a monitor its list of those that it looks at; all of them are still to be connected.
 * Release with facts_links_release. */
void facts_links_release(struct facts_links *links);

void facts_links_connect(const struct facts_links *links, const char *name, struct service_facts *services,
                         const struct service_facts *seen);
/* Those that look at name see these facts from now on; NULL: the service is not there. */

typedef void facts_links_visit(void *context, size_t service);
void facts_links_each(const struct facts_links *links, const char *name, facts_links_visit *visit, void *context);
/* The services that look at name, one that does so with several monitors as often. */

#endif
