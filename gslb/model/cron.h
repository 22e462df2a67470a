/* gslb/model/cron.h
 * Times as cron writes them: "minute hour day month weekday", each "*", or numbers, ranges "a-b" and steps "/n", with
 * commas between. All in UTC, so that no time comes twice or never. Pure; any thread. */
#ifndef GSLB_MODEL_CRON_H
#define GSLB_MODEL_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/status.h"

#define CRON_NEVER INT64_MAX

struct cron { /* bit i: i is one of them */
  uint64_t minutes;
  uint32_t hours;
  uint32_t days;      /* 1 to 31 */
  uint32_t months;    /* 1 to 12 */
  uint32_t weekdays;  /* 0, Sunday, to 6 */
  bool is_either_day; /* days and weekdays are both given: one of them is enough */
};

enum status cron_parse(const char *text, struct cron *out, struct errbuf *err);
/* Sunday is 0 or 7. STATUS_INVALID with a text that continues the value: it is none, or its time never comes. */
int64_t cron_next_s(const struct cron *cron, int64_t after_s);
/* The first such minute after after_s, both in seconds since 1970; CRON_NEVER only for a struct that cron_parse did
 * not fill. */

#endif
