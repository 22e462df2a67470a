/* zones/compile/places.h
 * Gives each balanced name of the configuration its node: the service, its SRV name, and its members as targets. One
 * thread. */
#ifndef GSLB_ZONES_COMPILE_PLACES_H
#define GSLB_ZONES_COMPILE_PLACES_H

#include "gslb/base/problem.h"
#include "zones/compile/tree.h"

void places_add(struct tree *tree, struct problems *problems);
/* Two balanced parts at one name, names that are none or lie in no zone, and SRV of what has no targets are told as
 * problems at the configuration's place; clashes with records are check_zones'. */

#endif
