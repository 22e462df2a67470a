/* gslb/admin/metrics.h
 * The state of the house as Prometheus text (exposition format 0.0.4). Any thread. */
#ifndef GSLB_ADMIN_METRICS_H
#define GSLB_ADMIN_METRICS_H

#include <stddef.h>

#include "gslb/admin/view.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

char *metrics_format(struct view *view, size_t *size);
/* A new text; free() it. */

#endif
