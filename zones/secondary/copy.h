/* zones/secondary/copy.h
 * A secondary zone's copy on disk: a master file whose first line tells when the primary was last heard to have this
 * version, so that the zone's expiry counts over a restart. Written beside its place and renamed into it: a reader of
 * the file sees the old copy or the new one, whole. One thread a file. */
#ifndef GSLB_ZONES_SECONDARY_COPY_H
#define GSLB_ZONES_SECONDARY_COPY_H

#include <stdint.h>

#include "gslb/base/status.h"
#include "zones/records/content.h"

enum status copy_read(const char *file, const struct name *zone, struct content *content, int64_t *refreshed_ms,
                      struct errbuf *err);
/* Adds the file's records to content. *refreshed_ms: house time; of a file that we did not write, its change.
 * STATUS_NOTFOUND: no such file. STATUS_INVALID: not a zone of that name with one SOA record. STATUS_LIMIT. */

char *copy_draft(const char *file);
/* Where copy_write puts the next copy: beside it, ".new" behind the name; free() it. */
enum status copy_write(const char *file, const char *zone, const struct content *content, int64_t refreshed_ms,
                       struct errbuf *err);
/* Writes the draft down to the disk, and makes the directories that are missing. content has one SOA record.
 * STATUS_IO: nothing is left of it. */
enum status copy_commit(const char *file, struct errbuf *err);
/* Puts the draft in the file's place. STATUS_IO: the draft is gone and the file as it was. */
void copy_discard(const char *file);
/* Removes the draft. */

enum status copy_touch(const char *file, int64_t refreshed_ms, struct errbuf *err);
/* Another time for the same version; in a file that we wrote, in place. Not synced: a time that is lost makes the zone
 * expire earlier. */
enum status copy_retire(const char *file, struct errbuf *err);
/* Sets the file aside, ".expired" behind the name. */

#endif
