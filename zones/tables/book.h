/* zones/tables/book.h
 * What all workers answer from: the name image and one table a service. The book is published whole when the
 * configuration changes, a single table when facts change; both by RCU, so a reader keeps what it found until its next
 * quiescent state. Written by the builder thread alone. */
#ifndef GSLB_ZONES_TABLES_BOOK_H
#define GSLB_ZONES_TABLES_BOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gslb/decide/topology.h"
#include "gslb/model/config.h"
#include "zones/image/image.h"
#include "zones/message/cookie.h"
#include "zones/message/tsig.h"
#include "zones/tables/listing.h"
#include "zones/tables/table.h"

struct book {
  struct image image;
  dev_t image_device; /* of its file, with image_inode: the same for as long as nothing that it is made of changes */
  ino_t image_inode;
  const struct config *config; /* borrowed: the builder keeps it as long as the book */
  struct table **tables;       /* by service; each published by RCU, never NULL */
  uint32_t **turns;            /* by worker, then service: round robin counters, each worker's own */
  uint32_t worker_count;
  struct listing *listing;        /* published by RCU; owned by the builder; NULL: nothing is listed */
  struct topology *topology;      /* borrowed by the tables */
  struct cookie_secrets *cookies; /* published by RCU; owned by the builder; NULL: cookies are off */
  struct tsig_keys *keys;
  const char *nsid, *version; /* of the configuration; NULL: not given */
  size_t nsid_size, version_size;
  uint16_t keepalive; /* idle time-out of TCP in 100 ms (RFC 7828) */
};

struct book *book_new(const struct config *config, int image_fd, uint32_t worker_count, struct errbuf *err);
/* Maps the image; tables are NULL until the builder sets each. NULL: see err. */
bool book_has_same_image(const struct book *a, const struct book *b);
/* False where either is NULL. */
void book_free(struct book *book);
/* After the grace period: frees its tables as well. */

#endif
