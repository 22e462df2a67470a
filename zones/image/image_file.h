/* zones/image/image_file.h
 * The memory that a name image is written into: a memfd that is sealed once it is whole, so that who maps it can rely
 * on it. One thread. */
#ifndef GSLB_ZONES_IMAGE_IMAGE_FILE_H
#define GSLB_ZONES_IMAGE_IMAGE_FILE_H

#include <stdint.h>

#include "gslb/base/status.h"

struct image_file {
  int fd;
  uint8_t *base;   /* writable until it is sealed */
  uint64_t size;   /* of the image */
  uint64_t mapped; /* bytes; whole huge pages where the image is large */
};

enum status image_file_new(uint64_t size, struct image_file *out, struct errbuf *err);
/* Zeroed. STATUS_IO: there is not so much memory; *out is untouched. */
enum status image_file_seal(struct image_file *file, int *fd, struct errbuf *err);
/* Hands the descriptor over in *fd. STATUS_IO: *fd is untouched. The file is released in both cases. */
void image_file_drop(struct image_file *file);
/* Instead of sealing it. */

#endif
