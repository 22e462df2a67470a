/* discovery/registry/report.h
 * What becomes of a resource's reports: the row that is stored of the last one, with the figures that load sections
 * look at over time worked out from those before (gslb/model/window). Pure: time comes in. A struct reports belongs to
 * whoever holds the registry's lock; struct report_wishes is immutable; any thread. */
#ifndef GSLB_DISCOVERY_REGISTRY_REPORT_H
#define GSLB_DISCOVERY_REGISTRY_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/model/config.h"
#include "gslb/model/metrics.h"
#include "gslb/model/window.h"

struct report_wishes; /* which figures the load sections of services look at, as the configuration says */

struct report_wishes *report_wishes_new(const struct config *config);
/* Copies what it needs. */
void report_wishes_free(struct report_wishes *wishes);
/* NULL is fine. */
bool report_wishes_load(const struct report_wishes *wishes, const char *service);
/* Whether the service, configured or created from a pattern, has a load section. */
struct reports { /* of one resource; zero-initialised is none yet */
  struct report_figure {
    char *name;
    struct window window;
  } * figures; /* those that are looked at over time */
  size_t count, capacity;
  uint64_t taken;
};

uint8_t *reports_take(struct reports *reports, const struct metrics_record *told, const struct report_wishes *wishes,
                      const char *const *services, size_t service_count, int64_t at_ms, int64_t interval_ms,
                      size_t *size);
/* The row of a report (names and values of told count) that came at house time at_ms, encoded; free() it. interval_ms:
 * how often they are to come. */
void reports_release(struct reports *reports);
/* Empty again. */

#endif
