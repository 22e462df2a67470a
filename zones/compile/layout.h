/* zones/compile/layout.h
 * Writes a checked tree as a name image. One thread. */
#ifndef GSLB_ZONES_COMPILE_LAYOUT_H
#define GSLB_ZONES_COMPILE_LAYOUT_H

#include "gslb/base/status.h"
#include "zones/compile/tree.h"

enum status layout_write(struct tree *tree, const struct cookie_secrets *cookies, int *fd, struct errbuf *err);
/* The image in a sealed memfd, which the caller owns. The tree must have passed check_zones and tree_prune.
 * STATUS_LIMIT: over 32 GiB. STATUS_IO: no memory for it; *fd is untouched on failure. */

#endif
