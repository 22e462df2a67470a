/* discovery/mdns/ldns_record.h
 * Between ldns's records and ours. Pure; any thread. */
#ifndef GSLB_DISCOVERY_MDNS_LDNS_RECORD_H
#define GSLB_DISCOVERY_MDNS_LDNS_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/decide/directory.h"
#include "gslb/model/name.h"

struct ldns_struct_rdf;
struct ldns_struct_rr;

struct ldns_struct_rdf *ldns_record_name(const struct name *name);
struct ldns_struct_rr *ldns_record_make(const struct name *owner, uint16_t type, uint16_t class, uint32_t ttl_s,
                                        const uint8_t *data, size_t size);
/* data is taken as it is, so names in it are not compressed; NULL: none. */
void ldns_record_read(const struct ldns_struct_rr *record, struct arena *arena, struct directory_record *out);
/* Owner in lower case, data as it came, names in it expanded. */

#endif
