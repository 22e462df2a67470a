/* probes/sources/source_fetch.h
 * What the kinds of sources share that are read by HTTP: one GET as a source says, whose body a kind's own reader turns
 * into values. Belongs to the loop's thread. */
#ifndef GSLB_PROBES_SOURCES_SOURCE_FETCH_H
#define GSLB_PROBES_SOURCES_SOURCE_FETCH_H

#include <stddef.h>

#include "gslb/base/memory.h"
#include "gslb/base/status.h"
#include "gslb/model/metrics.h"
#include "probes/sources/source.h"

struct source_values {
  struct source_value items[METRICS_MOST];
  size_t count;
  struct arena arena; /* of the names, where they are not the configuration's */
};

typedef enum status source_read(const struct source_target *target, const char *body, size_t size,
                                struct source_values *out, struct errbuf *err);
/* body[size] is NUL; out is empty. Anything but STATUS_OK: the body is not what it should be, as err says. */

struct source_form {
  const char *const *headers; /* "Name: value", NULL-terminated */
  size_t body_most;           /* a longer body is refused */
  source_read *read;
};

struct source_run *source_fetch_start(const struct probe_tools *tools, const struct source_target *target,
                                      const struct source_form *form, source_done *done, void *context);
/* form is static. */
void source_fetch_cancel(struct source_run *run);

#endif
