/* zones/compile/check.h
 * Whether zones mean something: what a single record cannot show. Works on a settled tree. One thread. */
#ifndef GSLB_ZONES_COMPILE_CHECK_H
#define GSLB_ZONES_COMPILE_CHECK_H

#include "gslb/base/problem.h"
#include "zones/compile/tree.h"

#define CHECK_RRSET_SIZE_MOST 65000u /* bytes of an RRset in a message of at most 65,535 */

void check_zones(const struct tree *tree, const bool *is_broken, struct problems *problems, struct problems *copies);
/* SOA and NS, CNAME and DNAME beside or above what they exclude, name servers without address, RRsets that fit no
 * message; static records in the places of balanced names. is_broken[zone]: the zone could not be read in full, so what
 * it lacks is not told. copies[zone]: of a secondary zone, where what makes its copy unfit is told instead; what its
 * primary does and we can serve all the same is not told at all. */

const struct tree_rrset *check_collision(const struct config *config, const struct tree_node *node);
/* The first static RRset in the way of a balanced name: of a type that it answers, or any beside an alias. NULL: none.
 */

struct config_pos check_place(const struct config *config, const struct tree_node *node);
/* Where the configuration asks for this balanced name. */

#endif
