/* gslb/decide/topology.h
 * Where clients are: the configuration's networks compiled to prefix trees that give a client's class for a service,
 * and how many bits of its address the class depended on. Classes are lists of the sites that the service uses, nearest
 * first, so services that use the same sites share one tree, and networks that make no difference to them are merged.
 * Pure; built once for a configuration, immutable, read by any thread; a look-up takes no lock and allocates nothing.
 */
#ifndef GSLB_DECIDE_TOPOLOGY_H
#define GSLB_DECIDE_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/model/config.h"

struct topology;
struct topology_tree;

struct topology *topology_new(const struct config *config);
void topology_free(struct topology *topology);
/* NULL is fine. */

const struct topology_tree *topology_of(const struct topology *topology, size_t service);
/* The tree of a service that prefers the nearest site; NULL for one that does not. Borrowed from the topology. */

uint32_t topology_class_count(const struct topology_tree *tree);
/* At least 1; class 0 is that of clients in no network. */
const uint32_t *topology_class_sites(const struct topology_tree *tree, uint32_t class, size_t *count);
/* Indices of the sites that the service's members use, or may use once registered, nearest first; sites that a network
 * does not name are left out. Class 0 has none. */

struct topology_hit {
  uint32_t class;
  uint8_t scope_bits; /* every address that shares this many leading bits is in the class, and no shorter prefix of the
                       * address can say so: the scope of RFC 7871 section 7.2.1 */
};

struct topology_hit topology_find(const struct topology_tree *tree, uint8_t family, const uint8_t bytes[16]);
/* family 4 or 6; bytes in network order, zero where unknown. */

#endif
