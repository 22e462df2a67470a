/* zones/records/rdata.h
 * Record types, periods and record data: between the presentation form of master files and wire form, by ldns, field
 * by field. The only file with ldns headers. Any thread. */
#ifndef GSLB_ZONES_RECORDS_RDATA_H
#define GSLB_ZONES_RECORDS_RDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "zones/records/entry.h"
#include "gslb/model/name.h"

#define RDATA_SIZE_MOST 65535u
#define RDATA_NAMES_MOST 2u
#define RDATA_PERIOD_MOST 0x7fffffffu /* seconds (RFC 2181 section 8) */
#define RDATA_TYPE_TEXT_SIZE 12u

struct rdata {
  uint16_t size;
  uint8_t name_count; /* the first domain names in it, uncompressed */
  uint16_t name_at[RDATA_NAMES_MOST];
  uint8_t bytes[RDATA_SIZE_MOST];
};

uint16_t rdata_type_parse(const char *text);
/* "MX", "TYPE65280"; 0 for what is no type or cannot stand in a zone (RFC 6895: OPT, queries' and meta types). */
const char *rdata_type_name(uint16_t type, char text[RDATA_TYPE_TEXT_SIZE]);
/* Returns text. */
bool rdata_class_parse(const char *text, uint16_t *out);
/* "IN", "CH", "CLASS7". False for anything else. */
enum status rdata_period_parse(const char *text, uint32_t *out);
/* Seconds, or as "1w2d3h4m5s". STATUS_INVALID; STATUS_RANGE over RDATA_PERIOD_MOST. *out untouched on failure. */

enum status rdata_parse(uint16_t type, struct entry *entry, size_t first, const struct name *origin, struct rdata *out,
                        struct errbuf *err);
/* The entry's tokens from first on are the data of a record of that type, names relative to origin or as RFC 3597 has
 * it. May join tokens of the entry. STATUS_INVALID: err says which field is wrong; *out is then undefined. */

char *rdata_format(uint16_t type, const uint8_t *bytes, size_t size);
/* Uncompressed data in the presentation form of their type, on one line; NULL when ldns knows none or they do not fit
 * it. free() it. */

#endif
