/* gslb/base/object_id.h
 * An object identifier in numbers, as SNMP names things: reading, writing, comparing. Values, no ownership. Any
 * thread. */
#ifndef GSLB_BASE_OBJECT_ID_H
#define GSLB_BASE_OBJECT_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"

#define OBJECT_ID_PARTS 128u      /* RFC 2578 section 3.5 */
#define OBJECT_ID_TEXT_SIZE 1408u /* 128 numbers of 10 digits, the dots and the end */

struct object_id {
  uint32_t count;
  uint32_t parts[OBJECT_ID_PARTS];
};

enum status object_id_parse(const char *text, struct object_id *out);
/* "1.3.6.1.2.1.1.3.0", with or without a dot before it; at least two parts, the first 0 to 2, the second below 40
 * beside a first of 0 or 1. STATUS_INVALID leaves *out untouched. */
const char *object_id_format(const struct object_id *id, char text[OBJECT_ID_TEXT_SIZE]);
/* Without a dot before it; returns text. */

int object_id_compare(const struct object_id *a, const struct object_id *b);
/* In the order of a walk: below 0, 0, above 0. */
bool object_id_is_below(const struct object_id *id, const struct object_id *root);
/* Whether root, or anything under it, is what id names. */

bool object_id_append(struct object_id *id, const char *text);
/* Puts the parts in text ("1", "4.101.116") after id's; false, and id as it was, when they are none or too many. */

#endif
