/* zones/tables/record.h
 * A member's records in wire form: addresses, SRV, HTTPS, MX and CNAME. Owners are pointers to offset 12 until patched.
 * One thread; memory comes from the caller's arena. */
#ifndef GSLB_ZONES_TABLES_RECORD_H
#define GSLB_ZONES_TABLES_RECORD_H

#include "zones/tables/table.h"

#define RECORD_HEAD_SIZE 12u /* owner pointer, type, class, TTL, RDLENGTH */

struct table_row record_addresses(struct arena *arena, const struct config_member *member, uint8_t family,
                                  uint32_t ttl_s, const bool *is_held);
/* Those of the family for which is_held, one flag an address of the member, is set. */

struct table_row record_srv(struct arena *arena, const struct config_service *service, size_t member, uint32_t weight,
                            uint32_t ttl_s);
/* RFC 2782. None for a member without srv_port. */
struct table_row record_binding(struct arena *arena, const struct config_service *service, size_t member, uint16_t type,
                                uint32_t ttl_s, const bool *is_held);
/* HTTPS or SVCB, if the service gives them (RFC 9460): priority 1, the member's own name as target, ALPN, port, and its
 * held addresses as hints. */
struct table_row record_mx(struct arena *arena, const struct config_service *service, size_t member, uint32_t ttl_s);
struct table_row record_cname(struct arena *arena, const struct config_service *service, size_t member, uint32_t ttl_s);

#endif
