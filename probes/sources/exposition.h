/* probes/sources/exposition.h
 * Reads the Prometheus text format (exposition format 0.0.4) as a server sends it: foreign bytes, so lengths and counts
 * are bounded before anything is kept. Pure; any thread. */
#ifndef GSLB_PROBES_SOURCES_EXPOSITION_H
#define GSLB_PROBES_SOURCES_EXPOSITION_H

#include <stddef.h>

#include "gslb/base/status.h"

#define EXPOSITION_LINE_MOST 16384u /* bytes of a line that is no comment */
#define EXPOSITION_LABELS_MOST 64u  /* of one sample */

struct exposition_label {
  const char *name;
  const char *value; /* escapes resolved */
};

struct exposition_sample { /* borrowed for the call */
  const char *name;
  const struct exposition_label *labels;
  size_t label_count;
  double value; /* may be infinite or no number, as the format allows */
};

typedef void exposition_visit(void *context, const struct exposition_sample *sample);
enum status exposition_parse(const char *text, size_t size, exposition_visit *visit, void *context, struct errbuf *err);
/* Calls visit for each sample in order; comments, types, help and times of samples are passed over. STATUS_INVALID with
 * the line's number: it is no such text, or breaks off within a line; samples before that were visited. */

#endif
