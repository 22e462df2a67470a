/* zones/compile/kept.h
 * A compiled name image that is kept in a directory of its own until the next start, with what it was compiled from.
 * Written aside and renamed; whatever is not just what was written (cut short, altered, of another build) is found by
 * size and digest before anything of it is used. Secrets stay out of it. One thread; writers in several processes wait
 * for each other. */
#ifndef GSLB_ZONES_COMPILE_KEPT_H
#define GSLB_ZONES_COMPILE_KEPT_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "zones/message/cookie.h"

#define KEPT_IMAGE_LEAST (1u << 20) /* bytes; what is smaller is compiled sooner than read and checked */

struct kept { /* one that was opened */
  int fd;
  uint8_t *provenance; /* as provenance_encode made it */
  size_t provenance_size;
  uint64_t image_size;
};

enum status kept_write(const char *directory, const uint8_t *provenance, size_t provenance_size, int image,
                       struct errbuf *err);
/* Puts the image (zones/image) in the place of what was kept before; the directory exists. STATUS_IO. */

enum status kept_open(const char *directory, struct kept *out, struct errbuf *err);
/* STATUS_NOTFOUND: none is kept. STATUS_INVALID: what is there is broken. STATUS_IO. *out is untouched then. */
enum status kept_read_image(const struct kept *kept, const struct cookie_secrets *cookies, int *image,
                            struct errbuf *err);
/* A sealed memfd of the image, with those secrets, which the caller owns. STATUS_INVALID; STATUS_IO. */
void kept_close(struct kept *kept);

#endif
