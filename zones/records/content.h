/* zones/records/content.h
 * The records of one zone as a set in memory: filled by a transfer or from the copy on disk, changed by differences,
 * written as a copy. Records are equal when owner, type and data are, names without regard to case (RFC 4343). One
 * thread; owns all it holds. */
#ifndef GSLB_ZONES_RECORDS_CONTENT_H
#define GSLB_ZONES_RECORDS_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/name.h"
#include "zones/records/rdata.h"

struct soa { /* the numbers of an SOA record */
  uint32_t serial;
  uint32_t refresh_s;
  uint32_t retry_s;
  uint32_t expire_s;
};

bool soa_read(const uint8_t *data, size_t size, struct soa *out);
/* From uncompressed data with sound names. False: not of that form. */
bool soa_is_newer(uint32_t serial, uint32_t than);
/* RFC 1982 section 3.2; false where it leaves the order undefined. */

struct content_record {
  struct content_record *next; /* in order of arrival */
  uint64_t hash;
  uint32_t ttl_s;
  uint16_t type;
  uint16_t data_size;
  uint8_t owner_size;
  bool is_removed; /* may be added again */
  uint8_t bytes[]; /* the owner in lower case, then the data */
};

struct content;

struct content *content_new(uint64_t bytes_most);
/* bytes_most: of memory for records. */
void content_free(struct content *content);

enum status content_add(struct content *content, const struct name *owner, uint16_t type, uint32_t ttl_s,
                        const struct rdata *data);
/* Copies. STATUS_CONFLICT: the record is there already; it takes the TTL. STATUS_LIMIT: no more fit. */
enum status content_remove(struct content *content, const struct name *owner, uint16_t type, const struct rdata *data);
/* Whatever its TTL. STATUS_NOTFOUND: there is none. */

size_t content_count(const struct content *content);
const struct content_record *content_next(const struct content *content, const struct content_record *after);
/* The first record for NULL, then each in order of arrival; NULL behind the last. */

bool content_soa(const struct content *content, struct soa *out, const struct content_record **record);
/* Of the only SOA record; false when there is none or more than one. */

#endif
