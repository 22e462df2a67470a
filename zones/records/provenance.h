/* zones/records/provenance.h
 * What a name image was compiled from: the program, the configuration's text, and every file that was read, by digests
 * of their bytes. Times of files are not looked at, so none can mislead: a file that was written twice within one tick
 * of the clock differs, and one that was only touched does not. One thread. */
#ifndef GSLB_ZONES_RECORDS_PROVENANCE_H
#define GSLB_ZONES_RECORDS_PROVENANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct provenance;

struct provenance *provenance_new(const char *path, const char *text, size_t length);
/* For compiling the configuration at path with that text by this very program; no file yet. */
void provenance_free(struct provenance *provenance);

void provenance_add(struct provenance *provenance, const char *file, const void *bytes, size_t size);
/* A file and what was read of it. */
void provenance_add_absent(struct provenance *provenance, const char *file);
/* A file of which it matters that there is none. */
void provenance_spoil(struct provenance *provenance);
/* What comes out must not be used again: the next run has something to tell of it as well. */

uint8_t *provenance_encode(const struct provenance *provenance, size_t *size);
/* For provenance_match, by this program alone; free() it. NULL: not to be used again. */
bool provenance_match(const struct provenance *now, const uint8_t *encoded, size_t size);
/* Whether compiling now would come to the same: encoded is of the same program and configuration, and every file that
 * it tells of, which are read for that, is as it was. False also for bytes that are no encoded provenance. */

#endif
