#include "discovery/mdns/ldns_record.h"

#include <string.h>

#include <ldns/ldns.h>

ldns_rdf *ldns_record_name(const struct name *name) {
  return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, name->size, name->wire);
}

ldns_rr *ldns_record_make(const struct name *owner, uint16_t type, uint16_t class, uint32_t ttl_s, const uint8_t *data,
                          size_t size) {
  ldns_rr *record = ldns_rr_new();
  ldns_rr_set_owner(record, ldns_record_name(owner));
  ldns_rr_set_type(record, type);
  ldns_rr_set_class(record, class);
  ldns_rr_set_ttl(record, ttl_s);
  if (data)
    ldns_rr_push_rdf(record, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_NONE, size, data));
  return record;
}

void ldns_record_read(const ldns_rr *record, struct arena *arena, struct directory_record *out) {
  const ldns_rdf *owner = ldns_rr_owner(record);
  size_t size = 0;
  for (size_t i = 0; i < ldns_rr_rd_count(record); i++)
    size += ldns_rdf_size(ldns_rr_rdf(record, i));
  uint8_t *data = arena_alloc(arena, size ? size : 1);
  *out = (struct directory_record){.owner.size = (uint8_t)ldns_rdf_size(owner),
                                   .type = (uint16_t)ldns_rr_get_type(record),
                                   .ttl_s = ldns_rr_ttl(record),
                                   .data = data,
                                   .size = (uint16_t)size};
  for (size_t i = 0; i < out->owner.size; i++)
    out->owner.wire[i] = name_lower(ldns_rdf_data(owner)[i]);
  for (size_t i = 0; i < ldns_rr_rd_count(record); i++) {
    const ldns_rdf *field = ldns_rr_rdf(record, i);
    if (ldns_rdf_size(field))
      memcpy(data, ldns_rdf_data(field), ldns_rdf_size(field));
    data += ldns_rdf_size(field);
  }
}
