/* zones/tables/registered.h
 * The names that registrations make, which the image does not have: <member>.<service> below a service that accepts
 * them, and everything of the services that were created from a pattern. They come from the tables, so they appear with
 * the member itself. No allocation; a worker's thread. */
#ifndef GSLB_ZONES_TABLES_REGISTERED_H
#define GSLB_ZONES_TABLES_REGISTERED_H

#include "zones/image/find.h"
#include "zones/tables/book.h"

enum registered_kind {
  REGISTERED_FOREIGN, /* not a matter of registrations: what was found in the image counts */
  REGISTERED_NAME,    /* the name is there */
  REGISTERED_ABSENT,  /* it could be, and is not */
};

struct registered {
  struct image_node node; /* stands for the name, without RRsets of its own: it has the service and flags of a balanced
                           * node, or is an empty non-terminal */
  const struct table *table; /* in which it was found; NULL for an empty non-terminal. Of REGISTERED_ABSENT: whose
                              * registrations may bring the name */
};

enum registered_kind registered_find(const struct book *book, const struct find_result *found, const uint8_t *name,
                                     size_t size, struct registered *out);
/* name: lower-case wire form, for which found was found. Untouched with REGISTERED_FOREIGN. Tables are as borrowed as
 * the book. */

#endif
