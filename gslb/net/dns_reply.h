/* gslb/net/dns_reply.h
 * Reads the DNS message that a server sent back: response code, whether records with certain data are in it, the serial
 * of a zone, until when signatures hold, and the addresses of a name. The bytes are foreign: every length is checked.
 * Pure; any thread. */
#ifndef GSLB_NET_DNS_REPLY_H
#define GSLB_NET_DNS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"

enum status dns_reply_rcode(const uint8_t *bytes, size_t length, int *rcode);
/* The response code of the header, 0 to 15. STATUS_INVALID: shorter than a header, or not a response. */

bool dns_reply_has(const uint8_t *bytes, size_t length, uint16_t type, const char *data);
/* Whether the answer section has a record of that type (class IN) whose data is what the presentation form in data
 * says. Addresses are compared as addresses, names without regard to case or a last dot, numbers as written, TXT by the
 * strings put together (data quoted or not); other types by RFC 3597 section 5: "\# 4 c0000235". A message that breaks
 * off has only the records before that point. */

bool dns_reply_has_whole(const uint8_t *bytes, size_t length, uint16_t type, const char *const *data);
/* Whether the answer section's records of that type are exactly these, in any order: each of data (NULL-terminated) is
 * there, and no other is. A message that breaks off is not whole. */

enum status dns_reply_serial(const uint8_t *bytes, size_t length, uint32_t *serial);
/* Of the first SOA record in the answer section. STATUS_NODATA: none is there. */
bool dns_serial_is_older(uint32_t a, uint32_t b);
/* Whether a comes before b (RFC 1982, section 3.2). */

enum status dns_reply_signed_until(const uint8_t *bytes, size_t length, uint16_t type, int64_t now_s, int64_t *until_s);
/* The earliest end of validity among the RRSIG records of the answer section that cover the type, as Unix time; the 32
 * bits on the wire count around now_s (RFC 4034, section 3.1.5). STATUS_NODATA: none is there. */

size_t dns_reply_addresses(const uint8_t *bytes, size_t length, const char *name, struct addr *out, size_t most);
/* The data of A and AAAA records that the name owns, in any section, at most so many; port 0. Aliases are not followed.
 * name is written as c-ares writes names: no last dot, any case. */

const char *dns_reply_rcode_text(int rcode, char text[16]);
/* "NOERROR", "SERVFAIL", or "RCODE11"; a constant, or written to text. */

#endif
