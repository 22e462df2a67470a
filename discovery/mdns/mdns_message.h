/* discovery/mdns/mdns_message.h
 * Messages of multicast DNS (RFC 6762): reads them from foreign bytes, writes them. By ldns. Pure; any thread. */
#ifndef GSLB_DISCOVERY_MDNS_MDNS_MESSAGE_H
#define GSLB_DISCOVERY_MDNS_MDNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/base/status.h"
#include "gslb/decide/directory.h"
#include "gslb/model/name.h"

#define MDNS_PORT 5353u
#define MDNS_MESSAGE_MOST 1452u /* goes into one Ethernet frame with IPv6 (section 17) */
#define MDNS_TYPE_NSEC 47u
#define MDNS_TYPE_ANY 255u

struct mdns_question {
  struct name name; /* lower case */
  uint16_t type;
  bool wants_unicast; /* QU (section 5.4) */
};

struct mdns_message { /* in the arena of mdns_read; records of class IN alone */
  uint16_t id;
  bool is_response;
  bool is_cut; /* of a query: more known answers follow (section 7.2) */
  struct mdns_question *questions;
  size_t question_count;
  struct directory answers;    /* of a query: known answers; in the order of the message */
  struct directory additional; /* likewise */
};

enum status mdns_read(const uint8_t *bytes, size_t size, struct arena *arena, struct mdns_message *out);
/* STATUS_INVALID: malformed, an operation other than QUERY, or a code other than 0 (sections 18.3 and 18.11: to be
 * ignored). */

struct mdns_writing {
  uint16_t id; /* 0, but for a reply to a legacy query (section 6.7) */
  bool is_response;
  bool is_legacy;     /* TTLs of at most 10 s, no cache-flush bits, questions are repeated */
  bool is_goodbye;    /* TTLs are 0 (section 10.1) */
  bool wants_unicast; /* the bit QU of every question */
  const struct mdns_question *questions;
  size_t question_count;
};
size_t mdns_write(const struct mdns_writing *writing, const struct directory *answers,
                  const struct directory *additional, uint8_t *out, size_t room);
/* Bytes written; 0: the answers do not fit. Additional records that do not fit are left out, from the end. */

bool mdns_is_unique(const struct directory_record *record);
/* Whether it is ours alone and goes out with the cache-flush bit (section 10.2). Names that begin with "_" are shared
 * with other balancers on the link. */

#endif
