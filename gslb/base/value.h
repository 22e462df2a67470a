/* gslb/base/value.h
 * JSON values as all documents of ours write them (docs/api.md): text, times, ages, and the document as text. Pure; any
 * thread. Every function returns a new reference, never NULL. */
#ifndef GSLB_BASE_VALUE_H
#define GSLB_BASE_VALUE_H

#include <stddef.h>
#include <stdint.h>

struct json_t;

struct json_t *value_must(struct json_t *document);
/* document, unless it is NULL: memory ran out, which ends the process. */
struct json_t *value_text(const char *text);
/* A string even when text is not UTF-8: what cannot be kept becomes '?'. */
struct json_t *value_text_or_null(const char *text);
/* null for NULL and "". */
struct json_t *value_time(int64_t house_ms);
/* RFC 3339; null for 0. */
struct json_t *value_seconds(int64_t ms);
/* Not below 0. */
struct json_t *value_age(int64_t house_ms, int64_t now_ms);
/* Seconds, not below 0; null for 0. */
char *value_dump(struct json_t *document);
/* The document as one line of text with its newline; takes the reference; free() it. */

#endif
