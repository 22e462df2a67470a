/* discovery/documents/reading.h
 * Reads members of JSON objects with their bounds, and complains of what does not fit (discovery/documents/complaint).
 * An absent member and null are the same. Pure; any thread. */
#ifndef GSLB_DISCOVERY_DOCUMENTS_READING_H
#define GSLB_DISCOVERY_DOCUMENTS_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

struct reading { /* an object that is read */
  const struct json_t *object;
  const char *pointer; /* of the object; "" for the whole document */
  struct json_t **errors;
};

struct json_t *reading_member(const struct reading *reading, const char *key);
/* Borrowed; NULL when it is absent or null. */
void reading_refuse_others(const struct reading *reading, const char *const *known);
/* Complains of members that are not in the NULL-terminated list. */
void reading_complain(const struct reading *reading, const char *key, const char *detail);

bool reading_is_plain(const char *text, size_t length);
/* Whether text has no control characters. (jansson takes valid UTF-8 alone.) */
const char *reading_text(const struct reading *reading, const char *key, size_t most);
/* 1 to most bytes without control characters; borrowed; NULL when absent or complained of. */
bool reading_whole(const struct reading *reading, const char *key, int64_t least, int64_t most, int64_t *out);
/* A whole number; *out is untouched when it is absent or complained of, and then false is returned. */
bool reading_number(const struct reading *reading, const char *key, double least, double most, double *out);
/* Likewise for any finite number. */

#endif
