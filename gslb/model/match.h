/* gslb/model/match.h
 * Looks for a text in bytes that came from elsewhere: a substring, or a POSIX extended regular expression, compiled
 * once. Bytes may hold NULs; a regular expression sees the text up to the first. Immutable; any thread. */
#ifndef GSLB_MODEL_MATCH_H
#define GSLB_MODEL_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/status.h"

#define MATCH_PATTERN_MOST 512u /* bytes of a regular expression */

struct match;

enum status match_new(const char *pattern, bool is_regex, struct match **out, struct errbuf *err);
/* STATUS_INVALID with a text that continues the pattern: it is no regular expression, or one whose work would have no
 * bound (back-references, repetitions of repetitions). The pattern is copied. */
void match_free(struct match *match);
/* NULL is fine. */
bool match_finds(const struct match *match, const char *bytes, size_t size);
/* bytes[size] must be NUL. */

#endif
