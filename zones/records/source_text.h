/* zones/records/source_text.h
 * A file that goes into the zones, read whole. Any thread. */
#ifndef GSLB_ZONES_RECORDS_SOURCE_TEXT_H
#define GSLB_ZONES_RECORDS_SOURCE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "gslb/base/status.h"

struct source_text {
  char *bytes; /* free() it */
  size_t size;
  size_t forgotten; /* bytes at the start, at most */
  dev_t device;
  ino_t inode;
};

enum status source_text_read(const char *path, struct source_text *out, struct errbuf *err);
/* Never waits for what is no regular file (the name may be that of a FIFO). STATUS_IO: it cannot be read;
 * STATUS_INVALID: it is not a regular file. err says so without the path; *out is untouched. */

void source_text_forget(struct source_text *text, size_t size);
/* That many bytes at the start are not read any more, and their memory is of use elsewhere, in large pieces. They must
 * not be looked at again. */

bool source_text_is_absent(const char *path);
/* There is no such file; one that cannot be looked at counts as there. */

#endif
