/* gslb/model/scalar.h
 * Numbers and durations as people write them in the configuration. Pure; any thread. */
#ifndef GSLB_MODEL_SCALAR_H
#define GSLB_MODEL_SCALAR_H

#include <stdint.h>

#include "gslb/base/status.h"

#define SCALAR_DURATION_SIZE 32u
#define SCALAR_QUOTED_SIZE 80u

enum status scalar_number(const char *text, int64_t *out);
/* A whole number in decimal digits, with "-" before it or not. STATUS_INVALID; a number beyond int64_t is stored as the
 * nearest int64_t, so that a check of the range refuses it. */

enum status scalar_decimal(const char *text, double *out);
/* Digits with one "." or none, "-" before it or not; no exponent. STATUS_INVALID. */

enum status scalar_duration(const char *text, int64_t *milliseconds, struct errbuf *err);
/* A whole number and a unit: ms, s, m (minutes), h, d. STATUS_INVALID with a text that continues the value. Too long a
 * duration is stored as INT64_MAX. */

const char *scalar_format_duration(int64_t milliseconds, char text[SCALAR_DURATION_SIZE]);
/* In the largest unit that leaves a whole number: 90000 -> "90s"; returns text. */

const char *scalar_quote(const char *value, char text[SCALAR_QUOTED_SIZE]);
/* The value as a message may show it: control characters as "?", a long one cut with "..."; returns text. */

#endif
