/* zones/find.h
 * Where a name stands in the image: RFC 1034 section 4.3.2 with wildcards after RFC 4592, delegations, empty
 * non-terminals and DNAME. One hash look-up when the name exists; one a label above it when not. Any thread. */
#ifndef GSLB_ZONES_FIND_H
#define GSLB_ZONES_FIND_H

#include "zones/image.h"

enum find_kind {
  FIND_NAME,       /* node is the name itself or the wildcard that stands for it */
  FIND_DELEGATION, /* node is the cut at or above the name */
  FIND_DNAME,      /* node holds the DNAME above the name */
  FIND_ABSENT,     /* in the zone, and the image has no such name */
  FIND_OUTSIDE,    /* in none of our zones */
};

struct find_result {
  enum find_kind kind;
  const struct image_node *node;     /* NULL for FIND_ABSENT and FIND_OUTSIDE */
  const struct image_zone *zone;     /* NULL for FIND_OUTSIDE */
  const struct image_node *encloser; /* the nearest name above, where the image does not have the name itself and
                                      * neither a cut nor a DNAME stands above; else NULL */
};

void find_name(const struct image *image, const uint8_t *name, size_t size, uint16_t type, struct find_result *out);
/* name: lower-case wire form. type: the type asked for, since DS belongs to the parent side of a cut (RFC 4035 section
 * 3.1.4.1). */

const struct image_node *find_node(const struct image *image, const uint8_t *name, size_t size);
/* The node of exactly this name, or NULL. */

#endif
