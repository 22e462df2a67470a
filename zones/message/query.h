/* zones/message/query.h
 * A query message taken apart: header, the one question, EDNS. Nothing in it is believed before it is checked against
 * the message's bounds. No allocation. Any thread. */
#ifndef GSLB_ZONES_MESSAGE_QUERY_H
#define GSLB_ZONES_MESSAGE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/model/name.h"
#include "zones/message/subnet.h"

enum dns_rcode {
  RCODE_NOERROR = 0,
  RCODE_FORMERR = 1,
  RCODE_SERVFAIL = 2,
  RCODE_NXDOMAIN = 3,
  RCODE_NOTIMP = 4,
  RCODE_REFUSED = 5,
  RCODE_YXDOMAIN = 6, /* RFC 6672 section 2.2 */
  RCODE_NOTAUTH = 9,
  RCODE_BADVERS = 16, /* RFC 6891 section 9 */
};

enum dns_type {
  TYPE_A = 1,
  TYPE_NS = 2,
  TYPE_CNAME = 5,
  TYPE_SOA = 6,
  TYPE_PTR = 12,
  TYPE_MX = 15,
  TYPE_TXT = 16,
  TYPE_AAAA = 28,
  TYPE_SRV = 33,
  TYPE_DNAME = 39,
  TYPE_OPT = 41,
  TYPE_DS = 43,
  TYPE_RRSIG = 46,
  TYPE_NSEC = 47,
  TYPE_SVCB = 64,
  TYPE_HTTPS = 65,
  TYPE_TSIG = 250,
  TYPE_IXFR = 251,
  TYPE_AXFR = 252,
  TYPE_ANY = 255,
};

#define CLASS_IN 1u
#define CLASS_CH 3u
#define CLASS_ANY 255u

#define FLAG_QR 0x8000u
#define FLAG_OPCODE 0x7800u
#define OPCODE_NOTIFY 0x2000u
#define FLAG_AA 0x0400u
#define FLAG_TC 0x0200u
#define FLAG_RD 0x0100u
#define FLAG_CD 0x0010u

enum query_verdict {
  QUERY_FINE,          /* answer it; query->rcode may already say how */
  QUERY_DROP_SHORT,    /* less than a header: silence */
  QUERY_DROP_RESPONSE, /* never answer a response */
};

enum edns_option { /* IANA, EDNS0 option codes */
                   OPTION_NSID = 3,
                   OPTION_SUBNET = 8,
                   OPTION_COOKIE = 10,
                   OPTION_KEEPALIVE = 11,
                   OPTION_ERROR = 15,
};

enum extended_error { /* RFC 8914 section 4 */
                      ERROR_NONE = -1,
                      ERROR_STALE_ANSWER = 3,
                      ERROR_NOT_READY = 14,
                      ERROR_PROHIBITED = 18,
                      ERROR_NOT_AUTHORITATIVE = 20,
                      ERROR_NOT_SUPPORTED = 21,
};

#define QUERY_COOKIE_MOST 40u

struct query {
  const uint8_t *packet;
  uint16_t size; /* of packet */
  uint16_t flags;
  uint16_t rcode;        /* NOERROR: look the name up; otherwise the answer is this, without records */
  uint16_t edns_payload; /* what the client takes, at least 512; valid with has_edns */
  uint16_t type;         /* what follows up to the cookie's size is 0 where the query does not say it */
  uint16_t class;
  uint16_t question_size; /* bytes of the question section, from offset 12 */
  uint16_t tsig_at;       /* offset of the TSIG record, which is the last one; 0: none */
  bool has_question;      /* name, type and class are valid and are copied into the answer */
  bool is_notify;         /* RFC 1996; otherwise a standard query */
  bool has_edns;
  bool do_bit;
  bool has_options; /* of EDNS, which a reply may answer with one of its own */
  bool wants_nsid;
  bool wants_keepalive;
  bool has_subnet;
  uint8_t edns_version;
  uint8_t cookie_size; /* 0: none */
  uint8_t cookie[QUERY_COOKIE_MOST];
  struct subnet subnet; /* valid with has_subnet */
  uint64_t hash;        /* name_hash of name; valid with has_question */
  struct name name;     /* lower case */
};

enum query_verdict query_parse(const uint8_t *packet, size_t size, struct query *out);
/* RFC 1035 section 4, RFC 6891, 7871, 7873, 7828, 9619. Borrows packet. */

#endif
