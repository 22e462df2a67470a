/* zones/compile/reuse.h
 * The name image of a configuration: the one in use or the one that was kept, while neither the configuration nor any
 * file that it was compiled from has changed, and a fresh one otherwise. For the short-lived compiler process. One
 * thread. */
#ifndef GSLB_ZONES_COMPILE_REUSE_H
#define GSLB_ZONES_COMPILE_REUSE_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/problem.h"
#include "gslb/base/status.h"
#include "gslb/model/config.h"

struct reuse {           /* where an image may be had; borrowed */
  int provenance, image; /* in use, both memfds; -1: none */
  const char *directory; /* where one is kept; NULL: nowhere */
};

struct reuse_image {
  int image;      /* sealed memfd */
  int provenance; /* memfd of what it was compiled from, for the next run; -1: it must not be used again */
  bool is_fresh;
};
/* The caller owns the descriptors. */

enum status reuse_or_compile(const struct config *config, const char *text, size_t length, const struct reuse *from,
                             struct reuse_image *out, struct problems *problems);
/* config was parsed from text. STATUS_INVALID: as zones_compile. What is kept and broken is logged and not used. */

enum status reuse_keep(const struct reuse_image *image, const char *directory, struct errbuf *err);
/* Keeps a fresh image that is worth it for the next start. Takes as long as the disk does. */

#endif
