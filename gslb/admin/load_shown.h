/* gslb/admin/load_shown.h
 * A member's load as the interface shows it, down to its terms, and the stored figures of every source, as JSON
 * (docs/api.md). Any thread. Every function returns a new reference, never NULL. */
#ifndef GSLB_ADMIN_LOAD_SHOWN_H
#define GSLB_ADMIN_LOAD_SHOWN_H

#include <stddef.h>

#include "gslb/admin/shown.h"
#include "gslb/model/store.h"

struct json_t;

struct json_t *load_shown_figure(const struct shown *shown, size_t member);
/* The load with its terms; null for a service without a load section. */

struct json_t *load_shown_sources(const struct shown *shown, size_t member, struct store *live);
/* What each source told of the member, as it is stored now: an array without the sources that told nothing. live NULL,
 * or not to be read: empty. */

struct json_t *load_shown(const struct shown *shown, size_t member, struct store *live);
/* Both, with the member's names and state. */

#endif
